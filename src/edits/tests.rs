//! Edits of a small node.

use super::*;
use std::collections::BTreeMap;

const PCI: PciAddress = PciAddress { domain: 0, bus: 0x1a, device: 0 };

fn nodes(dev: &str) -> Nodes {
    let drm = vec![
        DrmNode { name: "dri/card1".into(), group: Some(44) },
        DrmNode { name: "dri/renderD128".into(), group: None },
    ];
    Nodes {
        dev: dev.into(),
        control: vec!["nvidiactl".into()],
        drm: BTreeMap::from([(PCI.to_string(), drm)]),
    }
}

fn options() -> Options {
    let hook =
        HookEntry { path: "/usr/bin/divvy-hook".into(), ldconfig: None, without: BTreeSet::new() };
    Options { hook: Some(hook), additional_gids: true, sockets: true }
}

fn paths(edits: &ContainerEdits) -> Vec<&str> {
    edits.device_nodes.iter().map(|node| node.path.as_str()).collect()
}

#[test]
fn a_gpu_has_its_node_and_its_drm_nodes() {
    let gpu = Target::Gpu { minor: 3, pci: PCI };
    let edits = device(&[gpu], &nodes("/dev"), &options());
    assert_eq!(paths(&edits), ["/dev/nvidia3", "/dev/dri/card1", "/dev/dri/renderD128"]);
    assert_eq!(edits.additional_gids, [44]);
    let first = &edits.device_nodes[0];
    assert_eq!((first.major, first.minor, first.file_mode), (None, None, None));
    assert_eq!(first.host_path, None);
}

#[test]
fn groups_can_be_kept_out() {
    let gpu = Target::Gpu { minor: 3, pci: PCI };
    let options = Options { additional_gids: false, ..options() };
    assert!(device(&[gpu], &nodes("/dev"), &options).additional_gids.is_empty());
}

#[test]
fn a_mig_device_has_its_capability_nodes_and_drm_nodes_only_for_graphics() {
    let capabilities = CapabilityMinors { gpu_instance: 12, compute_instance: 13 };
    let plain = Target::Mig { minor: 0, capabilities, graphics: None };
    let edits = device(&[plain], &nodes("/dev"), &options());
    let own = ["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13"];
    assert_eq!(paths(&edits), own);
    let graphics = Target::Mig { minor: 0, capabilities, graphics: Some(PCI) };
    assert_eq!(paths(&device(&[graphics], &nodes("/dev"), &options())).len(), 5);
}

#[test]
fn several_targets_name_a_shared_node_once() {
    let mig = |n| Target::Mig {
        minor: 0,
        capabilities: CapabilityMinors { gpu_instance: n, compute_instance: n + 1 },
        graphics: None,
    };
    let edits = device(&[mig(12), mig(30)], &nodes("/dev"), &options());
    assert_eq!(edits.device_nodes.len(), 5);
}

#[test]
fn nodes_of_another_root_have_a_host_path() {
    let edits =
        device(&[Target::Gpu { minor: 0, pci: PCI }], &nodes("/run/driver/dev"), &options());
    assert_eq!(edits.device_nodes[0].path, "/dev/nvidia0");
    assert_eq!(edits.device_nodes[0].host_path.as_deref(), Some("/run/driver/dev/nvidia0"));
}

fn files() -> DriverFiles {
    let file = |path: &str| DriverFile { container_path: path.into(), host_path: path.into() };
    DriverFiles {
        version: "550.163.01".into(),
        libraries: vec![file("/usr/lib64/libcuda.so.550.163.01")],
        links: vec![crate::driver_files::Link {
            path: "/usr/lib64/libcuda.so".into(),
            target: "libcuda.so.1".into(),
        }],
        library_folders: vec!["/usr/lib64".into()],
        binaries: vec![file("/usr/bin/nvidia-smi")],
        sockets: vec![file("/run/nvidia-persistenced/socket")],
        ..DriverFiles::default()
    }
}

#[test]
fn common_edits_have_one_hook_with_the_links_of_every_gpu() {
    let edits = common(&files(), &nodes("/dev"), &options());
    assert_eq!(edits.env, ["NVIDIA_VISIBLE_DEVICES=void"]);
    let [hook] = edits.hooks.as_slice() else { panic!("{} hooks", edits.hooks.len()) };
    assert_eq!(
        hook.args,
        [
            "divvy-hook",
            "create-container",
            "--link=libcuda.so.1::/usr/lib64/libcuda.so",
            "--device-link=../card1::/dev/dri/by-path/pci-0000:1a:00.0-card",
            "--device-link=../renderD128::/dev/dri/by-path/pci-0000:1a:00.0-render",
            "--folder=/usr/lib64",
            "--cuda-compat=550.163.01",
            "--hide-device-node-params",
            "--application-profile",
        ]
    );
    // With an empty one it would inherit the runtime's environment.
    assert!(!hook.env.is_empty());
}

#[test]
fn sockets_and_jobs_can_be_kept_out() {
    let mut options = Options { sockets: false, ..options() };
    let all = [
        Job::Links,
        Job::LibraryCache,
        Job::CudaCompat,
        Job::DeviceNodeParams,
        Job::ApplicationProfile,
    ];
    options.hook.as_mut().unwrap().without.extend(all);
    let edits = common(&files(), &nodes("/dev"), &options);
    assert_eq!(edits.hooks[0].args.len(), 2);
    let mounts: Vec<&str> =
        edits.mounts.iter().map(|mount| mount.container_path.as_str()).collect();
    assert_eq!(mounts, ["/usr/bin/nvidia-smi", "/usr/lib64/libcuda.so.550.163.01"]);
    options.hook = None;
    assert_eq!(common(&files(), &nodes("/dev"), &options).hooks, []);
}

//! Specs of inventories made up here, on a host whose nodes are plain files.

use super::*;
use crate::inventory::{
    ComputeInstance, Gpu, GpuInstance, Mig, PciAddress, Placement, Profile, ProfileName, Unusable,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const VERSION: &str = "550.163.01";
const GRAPHICS: u32 = 47;

fn gpu(index: u32, mig: Option<Mig>) -> Gpu {
    Gpu {
        index,
        // Minors and indexes need not agree.
        minor: 100 - index,
        uuid: format!("GPU-{index:08}-0000-0000-0000-000000000000"),
        pci: PciAddress { domain: 0, bus: u8::try_from(index).unwrap(), device: 0 },
        pci_ids: Default::default(),
        name: "NVIDIA H100 80GB HBM3".into(),
        memory_mib: 81_559,
        compute_capability: (9, 0),
        compute_mode: Default::default(),
        mig,
        processes: vec![],
    }
}

/// MIG mode on, with that many GPU instances of one compute instance each.
fn mig(gpu: u32, count: u32) -> Mig {
    let instance = |id| GpuInstance {
        id,
        profile_id: if id == 0 { GRAPHICS } else { 9999 },
        placement: Placement { start: id, size: 1 },
        compute_instances: vec![ComputeInstance {
            id: 0,
            profile_id: 0,
            uuid: format!("MIG-{gpu:04}{id:04}-0000-0000-0000-000000000000"),
            mig_index: id,
        }],
    };
    let graphics = Profile {
        id: GRAPHICS,
        name: ProfileName::parse("1g.24gb+gfx").unwrap(),
        memory_mib: 0,
        multiprocessors: 0,
        engines: Default::default(),
        max_instances: 1,
        placements: vec![],
        compute_profiles: vec![],
    };
    Mig {
        enabled: true,
        pending: true,
        slices: 8,
        profiles: vec![graphics],
        instances: (0..count).map(instance).collect(),
    }
}

fn inventory(gpus: Vec<Gpu>) -> Inventory {
    Inventory { driver_version: VERSION.into(), cuda_version: (12, 4), gpus, unusable: vec![] }
}

struct Node {
    dir: TempDir,
    host: Host,
}

impl Node {
    /// A host with every node and capability file that the inventory needs.
    fn of(inventory: &Inventory) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let host = Host {
            driver_root: root.clone(),
            dev_root: root.clone(),
            proc_root: root.join("proc"),
            sys_root: root.join("sys"),
            ..Host::default()
        };
        let node = Node { dir, host };
        for name in ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"] {
            node.file(&format!("dev/{name}"), "");
        }
        node.file(&format!("usr/lib64/libcuda.so.{VERSION}"), "");
        for gpu in &inventory.gpus {
            node.file(&format!("dev/nvidia{}", gpu.minor), "");
            node.file(&format!("dev/dri/renderD{}", 128 + gpu.index), "");
            node.file(
                &format!("sys/bus/pci/devices/{}/drm/renderD{}/dev", gpu.pci, 128 + gpu.index),
                "",
            );
            for instance in gpu.mig.iter().flat_map(|mig| &mig.instances) {
                let first = 3 + gpu.minor * 135 + instance.id * 9;
                let base = format!(
                    "proc/driver/nvidia/capabilities/gpu{}/mig/gi{}",
                    gpu.minor, instance.id
                );
                for (file, minor) in [("access", first), ("ci0/access", first + 1)] {
                    let text = format!(
                        "DeviceFileMinor: {minor}\nDeviceFileMode: 292\nDeviceFileModify: 1\n"
                    );
                    node.file(&format!("{base}/{file}"), &text);
                    node.file(&format!("dev/nvidia-caps/nvidia-cap{minor}"), "");
                }
            }
        }
        node
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn options() -> Options {
    let hook = edits::HookEntry {
        path: "/usr/bin/divvy-hook".into(),
        ldconfig: None,
        without: BTreeSet::new(),
    };
    Options {
        shared: Shared::default(),
        kind: "nvidia.com/gpu".parse().unwrap(),
        strategies: vec![NameStrategy::Index, NameStrategy::Uuid],
        wanted: vec![],
        all_device: true,
        edits: edits::Options { hook: Some(hook), additional_gids: false, sockets: true },
        search: Search::default(),
    }
}

fn names(spec: &Spec) -> Vec<&str> {
    spec.devices.iter().map(|device| device.name.as_str()).collect()
}

fn paths<'a>(spec: &'a Spec, name: &str) -> Vec<&'a str> {
    let device = spec.devices.iter().find(|device| device.name.as_str() == name).unwrap();
    device.container_edits.device_nodes.iter().map(|node| node.path.as_str()).collect()
}

#[test]
fn gpus_and_mig_devices_are_offered_but_no_gpu_with_mig_on() {
    let inventory = inventory(vec![gpu(0, Some(mig(0, 2))), gpu(1, None), gpu(2, Some(mig(2, 0)))]);
    let node = Node::of(&inventory);
    let generated = generate(&node.host, &inventory, &options()).unwrap();
    assert_eq!(
        generated.left_out,
        ["GPU 2 is left out: MIG mode is on, and there is no MIG device on it"]
    );
    let spec = generated.spec;
    let first = "MIG-00000000-0000-0000-0000-000000000000";
    let second = "MIG-00000001-0000-0000-0000-000000000000";
    let third = "GPU-00000001-0000-0000-0000-000000000000";
    assert_eq!(names(&spec), ["0:0", "0:1", "1", first, second, third, "all"]);
    assert_eq!(
        paths(&spec, "0:1"),
        ["/dev/nvidia100", "/dev/nvidia-caps/nvidia-cap13512", "/dev/nvidia-caps/nvidia-cap13513"]
    );
    // Only the first instance has a graphics profile.
    assert!(paths(&spec, "0:0").contains(&"/dev/dri/renderD128"));
    assert_eq!(paths(&spec, "all").len(), 8);
}

#[test]
fn every_strategy_names_every_device_once() {
    let inventory = inventory(vec![gpu(0, Some(mig(0, 1))), gpu(1, None)]);
    let node = Node::of(&inventory);
    let strategies = vec![NameStrategy::TypeIndex, NameStrategy::Index, NameStrategy::TypeIndex];
    let options = Options { strategies, all_device: false, ..options() };
    let spec = generate(&node.host, &inventory, &options).unwrap().spec;
    assert_eq!(names(&spec), ["mig0:0", "gpu1", "0:0", "1"]);
}

#[test]
fn wanted_devices_are_known_by_any_name() {
    let inventory = inventory(vec![gpu(0, Some(mig(0, 2))), gpu(1, None), gpu(2, None)]);
    let node = Node::of(&inventory);
    let only = |wanted: &[&str]| {
        let wanted = wanted.iter().map(|name| (*name).to_owned()).collect();
        let strategies = vec![NameStrategy::Index];
        let options = Options { wanted, strategies, ..options() };
        generate(&node.host, &inventory, &options).map(|generated| generated.spec)
    };
    assert_eq!(
        names(&only(&["mig0:1", "GPU-00000002-0000-0000-0000-000000000000"]).unwrap()),
        ["0:1", "2", "all"]
    );
    assert_eq!(names(&only(&["all"]).unwrap()), ["0:0", "0:1", "1", "2", "all"]);
    let error = only(&["1", "7"]).unwrap_err().to_string();
    assert_eq!(error, "there is no device 7 to generate; those that there are: 0:0, 0:1, 1, 2");
    let error = only(&["0"]).unwrap_err().to_string();
    assert!(error.contains("MIG mode is on"), "{error}");
}

#[test]
fn a_lost_gpu_costs_the_others_nothing() {
    let mut inventory = inventory(vec![gpu(0, None), gpu(2, None)]);
    inventory.unusable = vec![Unusable { index: 1, says: "it fell off the bus".into() }];
    let node = Node::of(&inventory);
    let generated = generate(&node.host, &inventory, &options()).unwrap();
    assert_eq!(generated.left_out, ["left out: GPU 1: it fell off the bus"]);
    assert_eq!(names(&generated.spec)[..2], ["0", "2"]);
    let asked = Options { wanted: vec!["1".into()], ..options() };
    let error = generate(&node.host, &inventory, &asked).unwrap_err().to_string();
    assert!(error.contains("no device 1 to generate (it fell off the bus)"), "{error}");
}

#[test]
fn missing_capability_nodes_are_named() {
    let inventory = inventory(vec![gpu(0, Some(mig(0, 1)))]);
    let node = Node::of(&inventory);
    for minor in [13503, 13504] {
        fs::remove_file(node.path(&format!("dev/nvidia-caps/nvidia-cap{minor}"))).unwrap();
    }
    let error = generate(&node.host, &inventory, &options()).unwrap_err().to_string();
    assert!(error.starts_with("MIG device 0:0 (MIG-0"), "{error}");
    assert!(error.contains("/dev/nvidia-caps/nvidia-cap13503 and "), "{error}");
    assert!(error.contains("nvidia-cap13504: "), "{error}");
    assert!(error.contains("nvidia-modprobe -f "), "{error}");
}

#[test]
fn a_missing_capability_file_is_named() {
    let inventory = inventory(vec![gpu(0, Some(mig(0, 1)))]);
    let node = Node::of(&inventory);
    let file = node.path("proc/driver/nvidia/capabilities/gpu100/mig/gi0/ci0/access");
    fs::write(&file, "DeviceFileMode: 292\n").unwrap();
    let error = generate(&node.host, &inventory, &options()).unwrap_err().to_string();
    assert!(error.contains("gi0/ci0/access doesn't say `DeviceFileMinor"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = generate(&node.host, &inventory, &options()).unwrap_err().to_string();
    assert!(error.starts_with("MIG device 0:0 (MIG-0"), "{error}");
    assert!(error.contains("gi0/ci0/access is missing"), "{error}");
}

#[test]
fn a_missing_gpu_node_is_named() {
    let inventory = inventory(vec![gpu(0, None)]);
    let node = Node::of(&inventory);
    fs::remove_file(node.path("dev/nvidia100")).unwrap();
    let error = generate(&node.host, &inventory, &options()).unwrap_err().to_string();
    assert!(error.starts_with("GPU 0 (GPU-0"), "{error}");
    assert!(error.contains("nvidia-modprobe -c 100"), "{error}");
}

#[test]
fn without_a_device_the_reason_is_told() {
    let told = |inventory: &Inventory| {
        generate(&Node::of(inventory).host, inventory, &options()).unwrap_err().to_string()
    };
    assert!(told(&inventory(vec![])).contains("the driver sees no GPU"));
    let empty = told(&inventory(vec![gpu(0, Some(mig(0, 0))), gpu(1, Some(mig(1, 0)))]));
    assert!(empty.contains("MIG mode is on, and there is no MIG device, on GPU 0, 1"), "{empty}");
    let mut lost = inventory(vec![]);
    lost.unusable = vec![Unusable { index: 0, says: "lost".into() }];
    assert!(told(&lost).contains("no GPU answers (GPU 0: lost)"));
}

fn arbitrary_inventory() -> impl Strategy<Value = Inventory> {
    let one = (prop::option::of(0_u32..4), any::<bool>());
    prop::collection::vec(one, 1..5).prop_map(|gpus| {
        let gpus = (0..).zip(gpus).map(|(index, (instances, enabled))| {
            let mig = instances.map(|count| Mig { enabled, ..mig(index, count) });
            gpu(index, mig)
        });
        inventory(gpus.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_node_gives_a_valid_spec_or_says_that_it_has_no_device(
        inventory in arbitrary_inventory(),
        all_device: bool,
        additional_gids: bool,
    ) {
        let node = Node::of(&inventory);
        let options = Options {
            all_device,
            edits: edits::Options { additional_gids, ..options().edits },
            ..options()
        };
        match generate(&node.host, &inventory, &options) {
            Err(error) => prop_assert!(matches!(error, Error::NoDevices { .. }), "{}", error),
            Ok(generated) => {
                let spec = generated.spec;
                for device in &spec.devices {
                    prop_assert!(!device.container_edits.is_empty());
                    for node in &device.container_edits.device_nodes {
                        let host_path = node.host_path.as_deref().unwrap_or(&node.path);
                        prop_assert!(Path::new(host_path).exists(), "{}", host_path);
                    }
                }
                let again = generate(&node.host, &inventory, &options).unwrap();
                prop_assert_eq!(again.spec, spec);
            }
        }
    }
}

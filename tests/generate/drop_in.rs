//! divvy's specs beside those that nvidia-ctk 1.20 wrote on the same host: the facts of
//! `tests/fixtures/nvidia-ctk/*.json`, which `normalise.py` there took from the recorded specs.

use super::{generate, spec};
use crate::common::node::{self, Node};
use crate::support::skip;
use cdi::{ContainerEdits, DeviceNode, Mount, Spec};
use divvy::hook_args::CreateContainer;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

/// What a drop-in has to share.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Facts {
    version: String,
    kind: String,
    env: Vec<String>,
    nodes: Vec<String>,
    mounts: Vec<String>,
    links: Vec<String>,
    device_links: BTreeSet<String>,
    folders: Vec<String>,
    devices: BTreeMap<String, Device>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
struct Device {
    nodes: Vec<String>,
    gids: Vec<u32>,
}

fn recorded(case: &str) -> Facts {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nvidia-ctk");
    serde_json::from_str(&fs::read_to_string(folder.join(format!("{case}.json"))).unwrap()).unwrap()
}

/// The host of the recorded specs: eight H100; with `mig`, two of them cut up and one with MIG on and
/// nothing made.
fn host(mig: bool) -> Option<Node> {
    let addresses = ["1a", "1b", "4a", "4b", "8a", "8b", "ca", "cb"];
    let gpus = addresses.iter().enumerate().map(|(index, bus)| {
        let cut = if mig { cut(index) } else { String::new() };
        format!(
            "- board: H100-80GB\n  uuid: GPU-01000100-0000-0000-0000-{index:012}\n  minor: {index}\n  pci: '0000:{bus}:00.0'\n{cut}"
        )
    });
    let gpus: String = gpus.collect();
    let node = node::describe(&format!("driver-version: 550.163.01\ngpus:\n{gpus}"));
    give_groups(&node).then_some(node)
}

/// DRM nodes belong to `video` and `render`, as on Debian 12. False where only root may say so.
fn give_groups(node: &Node) -> bool {
    let entries = fs::read_dir(node.dir().join("dev/dri")).unwrap();
    let nodes = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let mut given = nodes.map(|path| {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
        let is_card = path.file_name().unwrap().to_str().unwrap().starts_with("card");
        chown(&path, None, Some(if is_card { 44 } else { 105 })).is_ok()
    });
    given.all(|done| done)
}

fn cut(gpu: usize) -> String {
    let devices: &[(&str, u32)] = match gpu {
        0 => &[("3g.40gb", 1), ("2g.20gb", 3), ("1g.10gb", 9)],
        1 => &[
            ("1g.10gb", 7),
            ("1g.10gb", 8),
            ("1g.10gb", 9),
            ("1g.10gb", 10),
            ("1g.10gb", 11),
            ("1g.10gb", 12),
            ("1g.10gb", 13),
        ],
        2 => &[],
        _ => return String::new(),
    };
    let first = if gpu == 1 { 3 } else { 0 };
    let devices = devices.iter().zip(first..).map(|((profile, gi), serial)| {
        format!("  - {{profile: {profile}, gi: {gi}, uuid: MIG-abcd{gpu:04}-{gi:04x}-0000-0000-{serial:012}}}\n")
    });
    let devices: String = devices.collect();
    let list =
        if devices.is_empty() { String::new() } else { format!("  mig-devices:\n{devices}") };
    format!("  mig: true\n{list}")
}

/// divvy's spec as facts, with the node's folders as the host of the recording had them.
fn facts(spec: &Spec, node: &Node, driver_root: &str, dev_root: &str) -> Facts {
    let dir = node.dir();
    let dir = dir.to_str().unwrap();
    let host_path = |path: &str| {
        let path = path.replace(&format!("{dir}/driver"), driver_root);
        path.replace(dir, dev_root)
    };
    let of_node = |node: &DeviceNode| {
        let host = host_path(node.host_path.as_ref().unwrap_or(&node.path));
        let group = node.gid.map(|gid| format!(" gid={gid}")).unwrap_or_default();
        format!("{} <- {host} {}{group}", node.path, node.permissions.as_ref().unwrap())
    };
    let of_mount = |mount: &Mount| {
        format!(
            "{} <- {} {}",
            mount.container_path,
            host_path(&mount.host_path),
            mount.options.join(",")
        )
    };
    let nodes = |edits: &ContainerEdits| sorted(edits.device_nodes.iter().map(of_node));
    let device = |device: &cdi::Device| {
        let edits = &device.container_edits;
        let facts = Device { nodes: nodes(edits), gids: edits.additional_gids.clone() };
        (device.name.to_string(), facts)
    };
    let common = &spec.container_edits;
    let [hook] = common.hooks.as_slice() else { panic!("not one hook: {:?}", common.hooks) };
    let work = CreateContainer::parse(&hook.args[2..]).unwrap().work;
    Facts {
        version: spec.cdi_version.to_string(),
        kind: spec.kind.to_string(),
        env: common.env.clone(),
        nodes: nodes(common),
        mounts: sorted(common.mounts.iter().map(of_mount)),
        links: sorted(work.links.iter().map(ToString::to_string)),
        device_links: work.device_links.iter().map(ToString::to_string).collect(),
        folders: sorted(work.folders.iter().map(ToString::to_string)),
        devices: spec.devices.iter().map(device).collect(),
    }
}

fn sorted(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut items: Vec<String> = items.collect();
    items.sort();
    items
}

fn assert_shares(ours: &Facts, theirs: &Facts) {
    assert_eq!(ours.version, theirs.version);
    assert_eq!(ours.kind, theirs.kind);
    assert_eq!(ours.env, theirs.env);
    assert_eq!(ours.nodes, theirs.nodes);
    assert_eq!(ours.mounts, theirs.mounts);
    assert_eq!(ours.links, theirs.links);
    assert_eq!(ours.folders, theirs.folders);
    assert_eq!(ours.devices.keys().collect::<Vec<_>>(), theirs.devices.keys().collect::<Vec<_>>());
    for (name, device) in &theirs.devices {
        assert_eq!(ours.devices.get(name), Some(device), "device {name}");
    }
    // One hook serves every device, so it names the links of all; it makes those of the nodes that are there.
    assert!(ours.device_links.is_superset(&theirs.device_links), "{:?}", ours.device_links);
}

fn compare(case: &str, mig: bool, arguments: &[&str]) {
    let Some(node) = host(mig) else { return skip("only root may give files to groups") };
    let spec = spec(generate(&node).args(arguments));
    assert_shares(&facts(&spec, &node, "", ""), &recorded(case));
    let no_numbers = |edits: &ContainerEdits| {
        edits
            .device_nodes
            .iter()
            .all(|node| (node.major, node.minor, node.file_mode) == (None, None, None))
    };
    assert!(no_numbers(&spec.container_edits));
    assert!(spec.devices.iter().all(|device| no_numbers(&device.container_edits)));
}

#[test]
fn eight_gpus() {
    compare("h100x8-default", false, &[]);
}

#[test]
fn eight_gpus_with_mig_devices() {
    compare("mig-default", true, &[]);
}

#[test]
fn without_the_device_all() {
    compare("h100x8-no-all", false, &["--no-all-device", "--device-name-strategy", "index"]);
}

#[test]
fn named_by_uuid() {
    compare("h100x8-uuid", false, &["--device-name-strategy=uuid"]);
}

#[test]
fn one_device_of_eight() {
    compare("h100x8-device-0", false, &["--device-id", "0", "--device-name-strategy=index"]);
}

#[test]
fn a_driver_in_a_root_of_its_own() {
    let Some(node) = host(false) else { return skip("only root may give files to groups") };
    // There the device nodes lay below the driver root, without those of DRM.
    fs::remove_dir_all(node.dir().join("dev/dri")).unwrap();
    fs::rename(node.dir().join("dev"), node.dir().join("driver/dev")).unwrap();
    let spec = spec(generate(&node).env_remove("DIVVY_DEV_ROOT"));
    let ours = facts(&spec, &node, "/driver-root", "/driver-root");
    assert_shares(&ours, &recorded("h100x8-driver-root"));
}

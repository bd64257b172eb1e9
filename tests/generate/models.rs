//! The devices of every board that the simulated NVML knows.

use super::{generate, names, spec, without_folder};
use crate::common::node::{self, Node};
use cdi::{ContainerEdits, Spec};
use serde::Deserialize;
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[derive(Deserialize)]
struct Board {
    key: String,
    #[serde(default)]
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    name: String,
}

/// The boards, from the simulated NVML's own descriptions.
fn boards() -> Vec<Board> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-nvml/boards");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path| serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut boards: Vec<Board> = files.map(read).collect();
    boards.sort_by(|a, b| a.key.cmp(&b.key));
    boards
}

/// A GPU that is whole, and one for each MIG profile, cut into one instance of it.
fn node_of(board: &Board) -> Node {
    let mut yaml = String::from("gpus:\n");
    let cut = board.profiles.iter().map(|profile| Some(profile.name.as_str()));
    for (index, profile) in std::iter::once(None).chain(cut).enumerate() {
        let key = &board.key;
        writeln!(yaml, "- board: {key}\n  uuid: GPU-{index:08}-0000-0000-0000-000000000000\n  minor: {index}\n  pci: '0000:{:02x}:00.0'", 0x10 + index).unwrap();
        if let Some(name) = profile {
            writeln!(yaml, "  mig: true\n  mig-devices: [{{profile: '{name}'}}]").unwrap();
        }
    }
    node::describe(&yaml)
}

/// A line for each device: its nodes and groups.
fn lines(spec: &Spec) -> String {
    let line = |edits: &ContainerEdits| {
        let paths: Vec<&str> = edits.device_nodes.iter().map(|node| node.path.as_str()).collect();
        let groups = match edits.additional_gids.as_slice() {
            [] => String::new(),
            groups => format!(" groups {groups:?}"),
        };
        format!("{}{groups}", paths.join(" "))
    };
    spec.devices
        .iter()
        .map(|device| format!("{}: {}\n", device.name, line(&device.container_edits)))
        .collect()
}

#[test]
fn every_board_has_its_devices() {
    let boards = boards();
    assert!(boards.len() >= 15, "{}", boards.len());
    let mut text = String::new();
    for board in &boards {
        let node = node_of(board);
        let spec = spec(generate(&node).arg("--no-all-device"));
        assert_eq!(cdi::validate(&spec), [], "{}", board.key);
        assert_eq!(names(&spec).len(), 2 * (1 + board.profiles.len()), "{}", board.key);
        let profiles: Vec<&str> = board.profiles.iter().map(|p| p.name.as_str()).collect();
        writeln!(text, "# {} {}\n{}", board.key, profiles.join(" "), lines(&spec)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_whole_spec_in_both_forms() {
    let gpu = "- {board: H100-80GB, uuid: GPU-01000100-0000-0000-0000-000000000000, minor: 0, pci: '0000:1a:00.0'}\n";
    let node = node::describe(&format!("driver-version: 550.163.01\ngpus:\n{gpu}"));
    let yaml = generate(&node).output().unwrap();
    let yaml = String::from_utf8(yaml.stdout).unwrap();
    insta::assert_snapshot!(without_folder(&yaml, &node));
    let json = generate(&node).args(["--format", "json"]).output().unwrap();
    let json = String::from_utf8(json.stdout).unwrap();
    assert!(json.starts_with('{'));
    assert_eq!(cdi::parse(&json).unwrap(), cdi::parse(&yaml).unwrap());
}

#[test]
fn without_groups_the_version_is_one_that_loads_everywhere() {
    let node = node::create(&["--no-nodes", "--gpu", "L4:1"]);
    // Plain files have no group; nodes that are open to nobody else have.
    let version =
        |arguments: &[&str]| spec(generate(&node).args(arguments)).cdi_version.to_string();
    assert_eq!(version(&["--no-additional-gids"]), "0.5.0");
    assert_eq!(version(&["--feature-flag", "no-additional-gids-for-device-nodes"]), "0.5.0");
    // Names that begin with a letter, and nodes in their places, need less still.
    let names = ["--device-name-strategy=type-index", "--no-additional-gids"];
    assert_eq!(version(&names), "0.5.0");
}

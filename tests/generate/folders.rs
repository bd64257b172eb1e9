//! `divvy cdi list`, `validate` and `refresh` in the folders that engines read.

use super::{HOOK, generate, list, stderr, succeed, without_folder};
use crate::common::node::{self, Node};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A node with an L4 as NVML's index 0 and an H100 as 1, and no program named podman.
fn node() -> Node {
    let gpus = "- {board: L4, uuid: GPU-0, minor: 0, pci: '0000:1a:00.0'}\n- {board: H100-80GB, uuid: GPU-1, minor: 1, pci: '0000:1b:00.0', mig: true}\n";
    node::describe(&format!("gpus:\n{gpus}"))
}

fn refresh(node: &Node) -> Command {
    let mut command = node.divvy();
    command.args(["cdi", "refresh", "--hook-path", HOOK, "--device-name-strategy=index"]);
    command.env("PATH", node.dir().join("programs"));
    command
}

/// A program of that name in the refreshing process's PATH that answers with this.
fn program(node: &Node, name: &str, answer: &str) {
    let folder = node.dir().join("programs");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn spec_file(node: &Node) -> PathBuf {
    node.dir().join("cdi/divvy-gpu.json")
}

/// Exit code, stdout and stderr, with the node's folder as NODE.
fn told(node: &Node, output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let text = format!(
        "exit {}\n--- stdout\n{stdout}--- stderr\n{}",
        output.status.code().unwrap(),
        stderr(output)
    );
    without_folder(&text, node)
}

fn step(node: &Node, command: &mut Command) -> String {
    let text = told(node, &command.output().unwrap());
    // The version in the sentence on a missing hook depends on what is installed.
    text.lines()
        .filter(|line| !line.contains("is not there yet"))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn refresh_tells_what_changed() {
    let node = node();
    let mut story = String::new();
    let mut next = |what: &str| {
        story += &format!("# {what}\n{}", step(&node, &mut refresh(&node)));
    };
    next("first");
    next("again");
    node.change("mig", &["1", "create", "1g.10gb"]);
    next("a MIG device whose nodes nobody made");
    node.change("caps", &[]);
    next("with its nodes");
    node.change("lose", &["0"]);
    next("a GPU is lost");
    node.change("mig", &["1", "destroy", "11"]);
    next("no device is left");
    next("and still none");
    insta::assert_snapshot!(story);
    // A MIG device can be made on the GPU that is left.
    assert_eq!(list(&node.dir().join("cdi")), ["divvy-requests.json"]);
}

#[test]
fn refresh_keeps_groups_out_for_an_old_podman_and_says_so() {
    let node = node::create(&["--gpu", "L4:1"]);
    for (version, groups) in [("4.3.1", false), ("5.0.3", false), ("5.1.0", true), ("5.4.2", true)]
    {
        program(&node, "podman", &format!("podman version {version}"));
        let output = refresh(&node).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let text = fs::read_to_string(spec_file(&node)).unwrap();
        assert_eq!(text.contains("additionalGids"), groups, "{version}");
        assert_eq!(text.contains("\"cdiVersion\": \"0.5.0\""), !groups, "{version}");
        let said = stderr(&output).contains(&format!("podman {version} is here"));
        assert_eq!(said, !groups, "{version}");
    }
}

#[test]
fn refresh_refuses_beside_another_file_of_the_kind() {
    let node = node();
    let theirs = node.dir().join("cdi/nvidia.yaml");
    succeed(generate(&node).arg("--output").arg(&theirs));
    insta::assert_snapshot!(step(&node, &mut refresh(&node)));
    insta::assert_snapshot!(step(&node, refresh(&node).args(["--output", "json"])));
    assert_eq!(list(&node.dir().join("cdi")), ["divvy-requests.json", "nvidia.yaml"]);
    // Another kind is nobody's business.
    succeed(refresh(&node).arg("--vendor=example.com"));
}

#[test]
fn refresh_leaves_the_old_file_where_it_fails() {
    let node = node();
    succeed(&mut refresh(&node));
    let before = fs::read(spec_file(&node)).unwrap();
    fs::remove_file(node.dir().join("dev/nvidia0")).unwrap();
    let output = refresh(&node).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(fs::read(spec_file(&node)).unwrap(), before);
}

#[test]
fn list_shows_what_engines_find() {
    let node = node();
    let folder = |name: &str| node.dir().join(name);
    fs::create_dir(folder("etc")).unwrap();
    fs::create_dir(folder("run")).unwrap();
    let write = |name: &str, vendor: &str| {
        let file = folder(name);
        let mut command = generate(&node);
        command.args(["--device-name-strategy=index", "--no-all-device", "--vendor", vendor]);
        succeed(command.arg("--output").arg(file));
    };
    write("etc/shadowed.yaml", "nvidia.com");
    write("run/wins.json", "nvidia.com");
    write("run/one.yaml", "twice.com");
    write("run/two.yaml", "twice.com");
    fs::write(folder("run/broken.json"), "{\n \"cdiVersion\": 5\n}\n").unwrap();
    let answer = |arguments: &[&str]| {
        let mut command = node.divvy();
        command.args(["cdi", "list"]).args(arguments);
        command.arg("--cdi-dir").arg(folder("etc")).arg("--cdi-dir").arg(folder("run"));
        step(&node, &mut command)
    };
    insta::assert_snapshot!(answer(&[]));
    insta::assert_snapshot!(answer(&["--output=json"]));
}

#[test]
fn list_of_nothing_is_empty() {
    let node = node();
    let output = node.divvy().args(["cdi", "list", "--cdi-dir", "/nowhere"]).output().unwrap();
    assert_eq!(told(&node, &output), "exit 0\n--- stdout\n--- stderr\n");
}

#[test]
fn validate_names_line_and_field() {
    let node = node();
    let bad = node.dir().join("bad.yaml");
    let text = "cdiVersion: 0.5.0\nkind: a.com/gpu\ndevices:\n- name: x y\n  containerEdits: {}\n";
    fs::write(&bad, text).unwrap();
    let good = node.dir().join("good.json");
    let mut command = generate(&node);
    // Something that is there, in the hook's place.
    command.args(["--hook-path", "/bin/sh", "--no-additional-gids"]).arg("--output").arg(&good);
    succeed(&mut command);
    let mut command = node.divvy();
    command.args(["cdi", "validate"]).arg(&bad).arg(&good);
    insta::assert_snapshot!(step(&node, &mut command));
    insta::assert_snapshot!(step(&node, command.args(["--output", "yaml"])));
    succeed(node.divvy().args(["cdi", "validate"]).arg(&good));
}

#[test]
fn alone_it_prints_a_short_help() {
    let node = node();
    let output = Command::new(env!("CARGO_BIN_EXE_divvy")).output().unwrap();
    assert!(output.status.success());
    let text = told(&node, &output);
    assert!(text.contains("Usage: divvy [OPTIONS] [COMMAND]"), "{text}");
    let wrong = Command::new(env!("CARGO_BIN_EXE_divvy")).arg("cid").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

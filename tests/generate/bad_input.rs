//! What can't be served, each with its sentence, its exit code, and nothing written.

use super::{assert_fails, generate, list, stderr, succeed};
use crate::common::node::{self, Node};
use crate::support::skip;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

fn node() -> Node {
    node::create(&["--no-nodes", "--gpu", "L4:1"])
}

/// Fails, and leaves nothing where the spec was to be written.
fn fails(node: &Node, command: &mut Command, code: i32, words: &[&str]) {
    let out = node.dir().join("out");
    fs::create_dir_all(&out).unwrap();
    assert_fails(command.arg("--output").arg(out.join("spec.yaml")), code, words);
    assert_eq!(list(&out), [""; 0]);
}

#[test]
fn no_driver() {
    let node = node();
    let mut command = generate(&node);
    command.env("DIVVY_NVML_LIBRARY", "/nowhere/libnvidia-ml.so.1");
    fails(&node, &mut command, 1, &["/nowhere/libnvidia-ml.so.1", "install the NVIDIA driver"]);
}

#[test]
fn a_driver_and_a_library_of_different_versions() {
    let gpu = "gpus:\n- {board: L4, uuid: GPU-0, minor: 0, pci: '0000:1a:00.0'}\n";
    let node = node::describe(&format!("nvml: {{init-error: 18}}\n{gpu}"));
    fails(&node, &mut generate(&node), 1, &["different versions", "reboot"]);
}

#[test]
fn a_broken_node_file() {
    let node = node();
    fs::write(node.dir().join("node.yaml"), "gpus: [").unwrap();
    fails(&node, &mut generate(&node), 1, &["divvy: "]);
}

#[test]
fn an_unknown_strategy() {
    let node = node();
    let mut command = generate(&node);
    command.arg("--device-name-strategy=uiid");
    fails(&node, &mut command, 2, &["\"uiid\" (did you mean uuid?)", "type-index (gpu0, mig0:1)"]);
}

#[test]
fn other_wrong_words() {
    let node = node();
    for (argument, word) in [
        ("--vendor=-x", "of the vendor is not allowed"),
        ("--class=", "has no class"),
        ("--format=toml", "[possible values: json, yaml]"),
        ("--disable-hook=ldcache", "update-ldcache"),
        ("--feature-flag=speed", "--no-sockets"),
        ("--ldconfig-path=ldconfig", "--ldconfig-path: \"ldconfig\" is not an absolute path"),
        ("--nonsense", "--nonsense"),
    ] {
        fails(&node, generate(&node).arg(argument), 2, &[word]);
    }
    fails(
        &node,
        generate(&node).arg("--device-id=7"),
        1,
        &["no device 7", "those that there are: 0"],
    );
}

#[test]
fn a_driver_without_its_files() {
    let node = node();
    fs::remove_dir_all(node.dir().join("driver/usr/lib/x86_64-linux-gnu/vdpau")).ok();
    let empty = node.dir().join("empty");
    fs::create_dir(&empty).unwrap();
    let mut command = generate(&node);
    command.arg("--driver-root").arg(&empty);
    fails(&node, &mut command, 1, &["no library of driver 550", "--library-search-path"]);
}

#[test]
fn a_missing_control_node() {
    let node = node();
    fs::remove_file(node.dir().join("dev/nvidia-uvm")).unwrap();
    fails(&node, &mut generate(&node), 1, &["/dev/nvidia-uvm is missing", "nvidia-modprobe -u"]);
}

#[test]
fn two_gpus_with_one_minor() {
    let gpu = |n: u32| format!("- {{board: L4, uuid: GPU-{n}, minor: 0, pci: '0000:1{n}:00.0'}}\n");
    let node = node::describe(&format!("gpus:\n{}{}", gpu(0), gpu(1)));
    fails(&node, &mut generate(&node), 1, &["GPU-0 and GPU-1 are both /dev/nvidia0"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let node = node();
    for path in ["/proc/spec.yaml", "/dev/null", "/dev/null/spec.yaml"] {
        assert_fails(generate(&node).args(["--output", path]), 1, &[path]);
    }
    let folder = node.dir().join("folder.yaml");
    fs::create_dir(&folder).unwrap();
    assert_fails(generate(&node).arg("--output").arg(&folder), 1, &["no regular file"]);
}

#[test]
fn a_full_disk_as_stdout() {
    let node = node();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = generate(&node).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("can't be written to stdout: No space left"));
}

#[test]
fn a_full_disk_keeps_the_file_that_was_there() {
    let node = node();
    let disk = node.dir().join("disk");
    fs::create_dir(&disk).unwrap();
    // In a mount namespace of its own: nothing of it outlives the shell.
    let script = "mount -t tmpfs -o size=8k tmpfs \"$DISK\" && echo old > \"$DISK/spec.yaml\" || exit 77
        \"$@\" --output \"$DISK/spec.yaml\"; echo \"exit $?\"; ls -A \"$DISK\"; cat \"$DISK/spec.yaml\"";
    let inner = generate(&node);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let output = command.envs(node.env()).env("DISK", &disk).output().unwrap();
    if matches!(output.status.code(), Some(77 | 1)) {
        return skip("mounting a small disk takes root");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "exit 1\nspec.yaml\nold\n");
    assert!(stderr(&output).contains("No space left"), "{}", stderr(&output));
}

#[test]
fn a_closed_stdout_is_no_failure() {
    let node = node();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    succeed(generate(&node).stdout(writer));
}

fn validate(node: &Node, file: &Path) -> (i32, String) {
    let output = node.divvy().args(["cdi", "validate"]).arg(file).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn specs_that_no_engine_would_read() {
    let node = node();
    let folder = node.dir().join("specs");
    fs::create_dir(&folder).unwrap();
    let latin = folder.join("latin.yaml");
    fs::write(&latin, b"cdiVersion: 0.5.0\nkind: caf\xe9/gpu\n").unwrap();
    let bomb = folder.join("bomb.yaml");
    let levels =
        (1..10).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(", ")));
    fs::write(&bomb, format!("l0: &l0 [x]\n{}", levels.collect::<String>())).unwrap();
    let huge = folder.join("huge.json");
    File::create(&huge).unwrap().set_len(100 << 20).unwrap();
    for (file, word) in [
        (&latin, ":2: the CDI spec is not UTF-8"),
        (&bomb, "bomb.yaml:"),
        (&huge, "104857600 bytes"),
    ] {
        let (code, text) = validate(&node, file);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(word) && text.contains("error: "), "{text}");
    }
    // Beside a good one they cost nothing but themselves.
    let mut command = generate(&node);
    succeed(command.arg("--output").arg(folder.join("good.yaml")));
    let list = node.divvy().args(["cdi", "list", "--cdi-dir"]).arg(&folder).output().unwrap();
    assert!(list.status.success());
    assert!(String::from_utf8_lossy(&list.stdout).contains("nvidia.com/gpu=0"));
    assert_eq!(stderr(&list).matches("dropped by engines: ").count(), 3, "{}", stderr(&list));
}

//! What goes wrong with other generators, and must not here.

use super::{assert_fails, generate, list, names, spec, stderr, succeed};
use crate::common::node;
use std::fs;

fn mig_node() -> node::Node {
    node::describe(
        "gpus:\n- board: H100-80GB\n  uuid: GPU-0\n  minor: 0\n  pci: '0000:1a:00.0'\n  mig: true\n  mig-devices: [{profile: 1g.10gb}, {profile: 2g.20gb}]\n- {board: H100-80GB, uuid: GPU-1, minor: 1, pci: '0000:1b:00.0'}\n",
    )
}

#[test]
fn the_hosts_mps_pipe_directory_is_never_mounted() {
    let node = node::create(&["--no-nodes", "--gpu", "L4:1"]);
    fs::create_dir_all(node.dir().join("driver/tmp/nvidia-mps")).unwrap();
    let output = generate(&node).output().unwrap();
    assert!(output.status.success());
    assert!(!String::from_utf8(output.stdout).unwrap().contains("nvidia-mps"));
}

#[test]
fn missing_capability_nodes_are_an_error_that_names_them() {
    let node = mig_node();
    fs::remove_dir_all(node.dir().join("dev/nvidia-caps")).unwrap();
    let words =
        ["MIG device 0:0 (MIG-", "/dev/nvidia-caps/nvidia-cap", " and ", "nvidia-modprobe -f"];
    assert_fails(&mut generate(&node), 1, &words);
}

#[test]
fn capabilities_that_the_driver_does_not_tell_are_an_error_that_says_so() {
    let node = mig_node();
    fs::remove_dir_all(node.dir().join("proc/driver/nvidia/capabilities")).unwrap();
    // The driver's table serves as well.
    assert_eq!(names(&spec(&mut generate(&node))).len(), 7);
    fs::remove_file(node.dir().join("proc/driver/nvidia-caps/mig-minors")).unwrap();
    assert_fails(&mut generate(&node), 1, &["MIG device 0:0", "mig-minors", "gpu0/gi"]);
}

#[test]
fn a_lost_gpu_costs_the_others_nothing() {
    let node = node::create(&["--no-nodes", "--gpu", "H100-80GB:3"]);
    node.change("lose", &["1"]);
    let output = generate(&node).arg("--device-name-strategy=index").output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("left out: GPU 1: "), "{said}");
    assert!(said.contains("fallen off the bus"), "{said}");
    let spec = cdi::parse(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert_eq!(names(&spec), ["0", "2", "all"]);
}

#[test]
fn a_profile_that_is_not_known_costs_nothing() {
    let node = mig_node();
    let calls = ["nvmlDeviceGetGpuInstanceProfileInfo", "nvmlDeviceGetGpuInstanceProfileInfoV"];
    for call in calls {
        let faults: String = (1..40).map(|n| format!("{call}:{n}:2\n")).collect();
        node.faults(&faults);
        let spec = spec(generate(&node).arg("--device-name-strategy=index"));
        assert_eq!(names(&spec), ["0:0", "0:1", "1", "all"], "{call}");
    }
}

#[test]
fn a_node_that_is_all_mig_and_empty_is_told_what_to_do() {
    let node = node::create(&["--no-nodes", "--gpu", "H100-80GB:2", "--mig", "on"]);
    let words =
        ["there is no device to generate: MIG mode is on", "on GPU 0, 1", "nvidia-smi mig -cgi"];
    assert_fails(&mut generate(&node), 1, &words);
}

#[test]
fn nothing_is_left_or_read_in_the_folder_for_temporary_files() {
    let node = node::create(&["--no-nodes", "--gpu", "L4:1"]);
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("junk.json"), "{").unwrap();
    let output = generate(&node).env("TMPDIR", temporary.path()).output().unwrap();
    assert!(output.status.success());
    assert_eq!(stderr(&output).matches("junk").count(), 0);
    assert_eq!(list(temporary.path()), ["junk.json"]);
    let file = node.dir().join("out/spec.yaml");
    fs::create_dir(node.dir().join("out")).unwrap();
    let mut command = generate(&node);
    command.env("TMPDIR", temporary.path()).arg("--output").arg(&file);
    succeed(&mut command);
    assert_eq!(list(temporary.path()), ["junk.json"]);
    assert_eq!(list(&node.dir().join("out")), ["spec.yaml"]);
}

#[test]
fn modes_of_nvidia_ctk_that_are_not_divvys_say_what_to_use() {
    let node = node::create(&["--no-nodes", "--gpu", "L4:1"]);
    succeed(generate(&node).arg("--mode=nvml"));
    for mode in ["management", "imex", "csv", "wsl"] {
        let words = [format!("nvidia-ctk cdi generate --mode {mode}")];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_fails(generate(&node).arg(format!("--mode={mode}")), 2, &words);
    }
}

#[test]
fn nvml_is_initialised_once() {
    let node = mig_node();
    // A second call would be answered with an error.
    node.faults("nvmlInitWithFlags:2:999\nnvmlInit_v2:1:999\n");
    spec(&mut generate(&node));
}

//! `fake-node` and the programs that it stands in for.

use crate::common::Node;
use std::process::{Command, Output};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn nvidia_smi_lists_gpus_and_mig_devices() {
    let node = Node::new(
        "",
        &["A30-24GB, mig: true, mig-devices: [{profile: 2g.12gb, uuid: MIG-x, gi: 1}]", "T4"],
    );
    node.does("lose", &["1"]);
    let listed = node.program("nvidia-smi", &["-L"]);
    assert_eq!(
        out(&listed),
        "GPU 0: NVIDIA A30 (UUID: GPU-0)\n  MIG 2g.12gb         Device  0: (UUID: MIG-x)\n\
         Unable to determine the device handle for GPU1: 0000:11:00.0: GPU is lost\n"
    );
}

#[test]
fn a_time_slice_is_set_listed_and_refused() {
    let node = Node::new("", &["T4", "A30-24GB, mig: true", "L4, time-slice: false"]);
    let set = |gpu, slice| {
        node.program("nvidia-smi", &["compute-policy", "-i", gpu, "--set-timeslice", slice])
    };
    let listed = || out(&node.program("nvidia-smi", &["compute-policy", "-i", "0", "-l"]));
    assert!(listed().contains("|   0     Timeslice        Default   |"));
    assert!(set("GPU-0", "3").status.success());
    assert!(listed().contains("Timeslice        Long"));
    assert!(set("0", "short").status.success());
    assert!(listed().contains("Timeslice        Short"));
    let codes = [set("1", "1"), set("2", "1"), set("0", "4"), set("GPU-9", "1")]
        .map(|output| output.status.code());
    assert_eq!(codes, [Some(3), Some(3), Some(2), Some(6)]);
}

#[test]
fn a_compute_mode_is_set_by_name_and_number() {
    let node = Node::new("", &["T4"]);
    assert!(node.program("nvidia-smi", &["-i", "0", "-c", "EXCLUSIVE_PROCESS"]).status.success());
    assert!(node.does("show", &[]).contains("compute mode 3"));
    assert!(node.program("nvidia-smi", &["-i", "0", "-c", "0"]).status.success());
    assert!(!node.does("show", &[]).contains("compute mode"));
}

#[test]
fn capability_nodes_appear_when_somebody_makes_them() {
    let node = Node::new("", &["H100-80GB, mig: true"]);
    node.does("mig", &["0", "create", "3g.40gb@4"]);
    let (gi, ci) =
        (node.file("dev/nvidia-caps/nvidia-cap12"), node.file("dev/nvidia-caps/nvidia-cap13"));
    let access = "/proc/driver/nvidia/capabilities/gpu0/mig/gi1/access";
    let text = std::fs::read_to_string(node.file(&access[1..])).unwrap();
    assert_eq!(text, "DeviceFileMinor: 12\nDeviceFileMode: 292\nDeviceFileModify: 1\n");
    assert!(!gi.exists() && !ci.exists());
    assert!(node.program("nvidia-modprobe", &["-f", access]).status.success());
    assert!(gi.exists() && !ci.exists());
    assert!(node.file("dev/char/511:12").exists());
    node.does("caps", &[]);
    assert!(ci.exists());
    node.does("mig", &["0", "destroy", "1"]);
    assert!(
        !node.file(&access[1..]).exists() && gi.exists(),
        "the driver takes its files, not the nodes"
    );
    assert!(!node.program("nvidia-modprobe", &["-f", access]).status.success());
}

#[test]
fn a_boot_is_another_boot() {
    let node = Node::new("", &["H100-80GB, mig: true", "A30-24GB, mig: true"]);
    node.does("mig", &["0", "create", "1g.10gb"]);
    node.does("caps", &[]);
    let boot = || std::fs::read_to_string(node.file("proc/sys/kernel/random/boot_id")).unwrap();
    let before = boot();
    std::fs::write(node.file("state/claim"), "").unwrap();
    node.does("reload", &[]);
    assert_eq!(boot(), before);
    let shown = node.does("show", &[]);
    assert!(
        !shown.contains("1g.10gb") && shown.contains("A30-24GB GPU-1 0000:11:00.0 MIG on"),
        "{shown}"
    );
    assert!(
        !node.file("dev/nvidia-caps/nvidia-cap12").exists()
            && node.file("dev/nvidia-caps/nvidia-cap1").exists()
    );
    node.does("reboot", &[]);
    assert_ne!(boot(), before);
    assert!(node.file("state/claim").exists());
    node.does("reboot", &["--clear-run"]);
    assert!(!node.file("state/claim").exists() && node.file("state").is_dir());
}

#[test]
fn create_says_what_to_export_and_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("it's");
    let create = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_fake-node"))
            .arg("create")
            .arg(&at)
            .arg("--no-nodes")
            .args(arguments)
            .output()
            .unwrap()
    };
    let said = create(&[
        "--gpu",
        "H100-80GB:2",
        "--gpu",
        "L4",
        "--mig",
        "on",
        "--driver-version",
        "580.95.05",
        "--managed",
    ]);
    assert!(said.status.success(), "{said:?}");
    let script = format!(
        "{}\nls \"$DIVVY_NVML_LIBRARY\" && cat \"$DIVVY_CONFIG\" \"$DIVVY_PROC_ROOT/driver/nvidia/version\"",
        out(&said)
    );
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(shell.status.success(), "{shell:?}");
    assert!(out(&shell).contains("managed: true") && out(&shell).contains("580.95.05"));
    let shown =
        Command::new(env!("CARGO_BIN_EXE_fake-node")).arg("show").arg(&at).output().unwrap();
    assert_eq!(out(&shown).matches("MIG on").count(), 2, "{}", out(&shown));
    let wrong = |arguments: &[&str], words: &str| {
        let output = create(arguments);
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && why.contains(words), "{why}");
    };
    wrong(&["--gpu", "T4"], "there is a node already");
    wrong(&["--gpu", "V100"], "no GPU model is named");
    wrong(&["--gpu", "T4:0"], "the count is 1 to 64");
    wrong(&["--gpu", "T4", "--driver-version", "../x"], "550.163.01");
}

//! Changes of MIG mode: at once, after a reset, after a reboot, or not at all.

use super::Site;
use std::fs;

const ON: (&str, &str) = ("a100-40gb.yaml", "all-1g.5gb");
const OFF: (&str, &str) = ("a100-40gb.yaml", "all-disabled");

#[test]
fn a_mode_that_needs_a_reset_is_asked_for_and_waited_for() {
    let site = Site::new(&["--gpu", "A100-40GB:2", "--managed"]);
    let said = site.apply(ON, &[]);
    assert!(said.stdout.contains("MIG mode waits for a reset of the GPU\n"), "{said:?}");
    assert!(said.stdout.ends_with("state: pending\n"), "{said:?}");
    assert!(said.stderr.contains("nvidia-smi --gpu-reset -i 0,1"), "{said:?}");
    said.failed(4);
    let shown = site.node.change("show", &[]);
    assert_eq!(shown.matches("MIG off, MIG mode waits for a reset").count(), 2, "{shown}");
    // Asked again, there is nothing to do but to wait.
    let json = site.apply(ON, &["--output", "json"]).json();
    assert_eq!(json["state"], "pending");
    assert_eq!(json["gpus"][0]["steps"].as_array().unwrap().len(), 0);
    assert_eq!(json["gpus"][0]["waits"], "reset");
    site.assert(ON).failed(1);
    site.node.change("reset", &["0"]);
    // One GPU is there, the other waits.
    site.apply(ON, &[]).failed(4);
    assert_eq!(site.instances().len(), 7);
    site.node.change("reset", &["1"]);
    site.apply(ON, &[]).done();
    assert_eq!(site.instances().len(), 14);
    site.assert(ON).done();
    // And back.
    site.apply(OFF, &[]).failed(4);
    assert_eq!(site.instances(), [""; 0]);
    site.node.change("reset", &["0"]);
    site.node.change("reset", &["1"]);
    site.apply(OFF, &[]).done();
    site.assert(OFF).done();
}

#[test]
fn what_was_asked_for_can_be_taken_back() {
    let site = Site::new(&["--gpu", "A100-40GB", "--managed"]);
    let before = site.picture();
    site.apply(ON, &[]).failed(4);
    assert!(site.apply(OFF, &[]).done().contains("turn off MIG mode"));
    assert_eq!(site.picture(), before);
}

#[test]
fn a_gpu_that_cant_be_reset_needs_a_reboot() {
    let site = Site::new(&["--gpu", "A100-40GB", "--managed"]);
    let host = site.node.host();
    fs::remove_file(host.sys_root.join("bus/pci/devices/0000:10:00.0/reset")).unwrap();
    let said = site.apply(ON, &[]);
    assert!(said.stdout.ends_with("state: rebooting\n"), "{said:?}");
    assert!(said.stderr.contains("GPU 0 needs a reboot"), "{said:?}");
    said.failed(4);
    site.node.change("reboot", &[]);
    site.apply(ON, &[]).done();
}

#[test]
fn a_mode_that_changes_at_once_does() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    let layout = ("h100-80gb.yaml", "all-balanced");
    site.apply(layout, &["--mode-only"]).done();
    assert!(site.node.change("show", &[]).contains("MIG on"));
    assert_eq!(site.instances(), [""; 0]);
    site.apply(layout, &[]).done();
    assert_eq!(site.instances().len(), 4);
    // The modes are right already.
    site.apply(layout, &["--mode-only"]).done();
    assert_eq!(site.instances().len(), 4);
    site.apply(("h100-80gb.yaml", "all-disabled"), &["--mode-only"]).done();
    assert!(site.node.change("show", &[]).contains("MIG off"));
}

#[test]
fn the_mode_of_a_gpu_that_isnt_managed_is_changed_by_order_alone() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let layout = ("h100-80gb.yaml", "all-balanced");
    let before = site.picture();
    let said = site.apply(layout, &[]).failed(3);
    assert!(said.contains("divvy doesn't manage it: say --unmanaged"), "{said}");
    assert_eq!(site.picture(), before);
    site.apply(layout, &["--unmanaged"]).done();
    assert_eq!(site.instances().len(), 4);
}

#[test]
fn a_gpu_in_use_keeps_its_mode() {
    let site = Site::new(&["--gpu", "H100-80GB:2", "--managed"]);
    site.node.change("process", &["1", "add", "4711"]);
    let before = site.picture();
    let layout = ("h100-80gb.yaml", "all-balanced");
    let said = site.apply(layout, &["--output", "json"]);
    assert!(
        said.stderr.contains("GPU 1 (NVIDIA H100 80GB HBM3): it is in use by process 4711"),
        "{said:?}"
    );
    let json = said.json();
    assert_eq!(json["state"], "failed");
    assert_eq!(json["gpus"][0]["obstacles"][0]["reason"], "processes");
    said.failed(3);
    // The other GPU, which is idle, wasn't touched either.
    assert_eq!(site.picture(), before);
}

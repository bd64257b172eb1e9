//! What was done is undone where a step fails, and what a crash left is gone on with.

use super::Site;

/// A node with something of everything: two MIG devices that stay, some that go, a GPU instance in parts.
fn site() -> Site {
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    let entries =
        "[{devices: all, mig-enabled: true, mig-devices: {1c.3g.20gb: 2, 1g.5gb: 2, 2g.10gb: 1}}]";
    site.apply_text(entries, &[]).done();
    site
}

const NEXT: &str =
    "[{devices: all, mig-enabled: true, mig-devices: {2c.3g.20gb: 1, 1c.3g.20gb: 1, 1g.5gb: 4}}]";

#[test]
fn whichever_step_fails_everything_is_as_it_was() {
    let site = site();
    let before = site.picture();
    let mut step = 0;
    loop {
        step += 1;
        site.node.faults(&format!("*:{step}:999\n"));
        let said = site.apply_text(NEXT, &[]);
        site.node.faults("");
        if said.code == Some(0) {
            break;
        }
        assert_eq!(site.picture(), before, "step {step}: {said:?}");
        assert!(said.stderr.contains("everything is as it was before"), "{said:?}");
        said.failed(1);
    }
    assert!(step > 8, "only {step} steps");
    let again = site.apply_text(NEXT, &[]).done();
    assert!(again.contains("is right"), "{again}");
}

#[test]
fn an_undo_that_fails_says_what_is_left() {
    let site = site();
    // The third step fails, and so does the making of what the second destroyed.
    site.node.faults("*:3:999\n*:4:999\n");
    let said = site.apply_text(NEXT, &["--output", "json"]);
    site.node.faults("");
    assert_eq!(said.json()["state"], "failed");
    let message = said.failed(1);
    assert!(
        message.contains("not everything is as it was before: a compute instance at"),
        "{message}"
    );
    site.apply_text(NEXT, &[]).done();
}

#[test]
fn in_use_by_surprise_is_said_and_undone() {
    let site = site();
    let before = site.picture();
    // The driver knows of somebody whom it doesn't name.
    site.node.faults("nvmlGpuInstanceDestroy:1:19\n");
    let said = site.apply_text(NEXT, &[]);
    site.node.faults("");
    assert!(said.stderr.contains("it is in use"), "{said:?}");
    said.failed(1);
    assert_eq!(site.picture(), before);
}

#[test]
fn several_gpus_go_back_together() {
    let site = Site::new(&["--gpu", "H100-80GB:2", "--managed"]);
    let before = site.picture();
    // Seven steps on the first, then MIG mode of the second.
    let layout = ("h100-80gb.yaml", "all-balanced");
    site.node.faults("nvmlDeviceSetMigMode:2:999\n");
    let said = site.apply(layout, &[]);
    site.node.faults("");
    assert!(said.stderr.contains("GPU 1: can't turn on MIG mode"), "{said:?}");
    said.failed(1);
    assert_eq!(site.picture(), before);
}

#[test]
fn a_killed_apply_is_gone_on_with() {
    for fault in [
        "*:1:after",
        "*:3:after",
        "*:5",
        "*:6:after",
        "nvmlDeviceCreateGpuInstanceWithPlacement:1:after",
    ] {
        let site = site();
        let mut command = site.node.divvy();
        let layout = site.node.dir().join("layout.yaml");
        std::fs::write(&layout, format!("version: v1\nmig-configs:\n  it: {NEXT}\n")).unwrap();
        command.args(["mig", "apply", "-f"]).arg(&layout).env("FAKE_NVML_ABORT_AT", fault);
        assert_eq!(command.output().unwrap().status.code(), None, "{fault}");
        site.apply_text(NEXT, &[]).done();
        let whole = site.picture();
        let fresh = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
        fresh.apply_text(NEXT, &[]).done();
        let profiles = |site: &Site| {
            let names = site.instances().into_iter();
            let mut names: Vec<String> =
                names.map(|name| name.split('@').next().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(profiles(&site), profiles(&fresh), "{fault}");
        // Nodes of five GPU instances and six compute instances, and the driver's own two. What was killed
        // before it removed a node leaves one more.
        let nodes = whole.iter().filter(|line| line.contains("/nvidia-cap")).count();
        assert!((13..=15).contains(&nodes), "{fault}: {whole:#?}");
    }
}

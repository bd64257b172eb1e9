//! What divvy did not make stands through all that it does.

use super::site::Site;
use std::fs;
use std::process::Command;

#[test]
fn foreign_instances_and_files_stand() {
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    site.node.change("mig", &["0", "create", "2g.10gb@0", "1g.5gb@6"]);
    let cdi = site.node.host().cdi_dirs[0].join("other.json");
    let spec = r#"{"cdiVersion":"0.5.0","kind":"a.com/gpu","devices":[{"name":"x","containerEdits":{"env":["A=1"]}}]}"#;
    fs::write(&cdi, spec).unwrap();
    let before = site.picture();
    // As many as fit beside them, and one more.
    for n in 0..4 {
        site.prepare(&n.to_string(), &["mig:1g.5gb"]).done();
    }
    site.prepare("4", &["mig:1g.5gb"]).failed(3);
    let shown = site.node.change("show", &[]);
    assert!(shown.contains("2g.10gb@0 gi") && shown.contains("1g.5gb@6 gi"), "{shown}");
    for n in 0..4 {
        site.release(&n.to_string()).done();
    }
    assert_eq!(site.picture(), before);
    assert_eq!(site.reconcile().done().stdout, "nothing to mend\n");
    // Killed where a GPU instance was just made, and nobody knows of it but the journal.
    for fault in ["nvmlDeviceCreateGpuInstanceWithPlacement:1:after", "*:2", "*:2:after"] {
        let mut prepare = site.command(&["prepare", "mig:1g.5gb"]);
        let status = prepare.env("FAKE_NVML_ABORT_AT", fault).status().unwrap();
        assert_eq!(status.code(), None, "{fault} didn't kill it");
        assert!(site.reconcile().done().stdout.starts_with("released claim"));
        assert_eq!(site.picture(), before);
    }
    assert_eq!(fs::read_to_string(&cdi).unwrap(), spec);
}

#[test]
fn an_instance_made_by_others_during_a_crash_stands() {
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    let mut prepare = site.command(&["prepare", "mig:1g.5gb"]);
    let status = prepare.env("FAKE_NVML_ABORT_AT", "*:1").status().unwrap();
    assert_eq!(status.code(), None);
    // Wherever the plan wanted its instance, somebody else has one with a compute instance now.
    site.node.change("mig", &["0", "create", "7g.40gb"]);
    let theirs = site.node.change("show", &[]);
    assert!(site.reconcile().done().stdout.starts_with("released claim"));
    assert_eq!(site.node.change("show", &[]), theirs);
}

#[test]
fn a_compute_mode_of_the_administrator_stands() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let smi = site.node.host().driver_root.join("usr/bin/nvidia-smi");
    let set = Command::new(smi).args(["-i", "0", "-c", "2"]).output().unwrap();
    assert!(set.status.success());
    let before = site.picture();
    assert!(before.iter().any(|line| line.contains("compute mode 2")), "{before:?}");
    for request in ["exclusive", "time-slicing:interval=short"] {
        if site.prepare("job", &[request]).code == Some(0) {
            site.release("job").done();
        }
        assert_eq!(site.reconcile().done().stdout, "nothing to mend\n");
        assert_eq!(site.picture(), before);
    }
}

#[test]
fn what_somebody_destroyed_is_given_to_nobody() {
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    site.prepare("first", &["mig:3g.20gb/time-slicing"]).done();
    site.node.change("mig", &["0", "destroy", &site.instance("first")]);
    let there = || site.node.change("show", &[]).contains("3g.20gb");
    // Neither the old grant again, nor a share of what is gone: the second has one of its own.
    let again = site.prepare("first", &["mig:3g.20gb/time-slicing"]);
    assert!(again.failed(1).contains("claim first has lost its device MIG-"));
    site.prepare("second", &["mig:3g.20gb/time-slicing"]).done();
    assert!(there());
    // What its claim's release finds in the lost one's place is the second's, or nothing, and stays.
    site.release("first").done();
    assert!(there());
    site.release("second").done();
    assert!(!there());
}

#[test]
fn a_claim_whose_mig_device_somebody_destroyed_is_shown_as_lost() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    let made = site.prepare("job", &["mig:3g.40gb"]).done().granted();
    site.prepare("other", &["mig:1g.10gb"]).done();
    let lost = || {
        let claims = site.divvy(&["claims", "--output", "json"]).done().json();
        claims.as_array().unwrap().iter().map(|claim| claim["lost"].clone()).collect::<Vec<_>>()
    };
    assert!(lost().iter().all(serde_json::Value::is_null), "{:?}", lost());
    site.node.change("mig", &["0", "destroy", &site.instance("job")]);
    // With the device gone, and with another tool's in its place: the driver uses ids again, and so the UUID.
    for other_tool in [false, true] {
        if other_tool {
            site.node.change("mig", &["0", "create", "2g.20gb"]);
        }
        assert_eq!(lost()[0], serde_json::json!(made));
        assert!(lost()[1].is_null());
        let claims = site.divvy(&["claims"]).done().stdout;
        assert!(claims.contains("granted, lost") && claims.contains("granted  "), "{claims}");
        let status = site.divvy(&["status", "--output", "json"]).done().json();
        assert_eq!(status["lost"].as_array().unwrap().len(), 1);
        assert_eq!(status["lost"][0]["claim"], "job");
        let drawn = site.divvy(&["status"]).done().stdout;
        assert!(drawn.contains(&format!("lost  job  mig:3g.40gb  {} is gone", made[0])), "{drawn}");
        assert_eq!(drawn.contains("foreign"), other_tool, "{drawn}");
    }
    // It ends with its owner, and nothing of the other tool's is undone.
    site.release("job").done();
    assert!(site.node.change("show", &[]).contains("2g.20gb"));
    assert_eq!(
        site.divvy(&["status", "--output", "json"]).done().json()["lost"],
        serde_json::json!(null)
    );
}

//! Live claims are respected, and nobody meets on a GPU.

use super::Site;
use divvy::claim::store::Store;
use std::collections::BTreeSet;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

const BALANCED: (&str, &str) = ("a100-40gb.yaml", "all-balanced");

fn a100() -> Site {
    Site::new(&["--gpu", "A100-40GB", "--mig", "on"])
}

#[test]
fn a_claims_device_stands_through_a_layout() {
    let site = a100();
    site.divvy(&["prepare", "--claim", "job", "mig:3g.20gb"]).done();
    let held = site.picture();
    let said = site.apply(BALANCED, &[]);
    assert!(
        said.stderr.contains("3g.20gb at 4 was made for claims, and goes with them"),
        "{said:?}"
    );
    said.done();
    assert!(held.is_subset(&site.picture()));
    assert_eq!(site.instances(), ["1g.5gb@2", "1g.5gb@3", "2g.10gb@0", "3g.20gb@4"]);
    let before = site.picture();
    let said = site.apply(("a100-40gb.yaml", "all-1g.5gb"), &[]).failed(3);
    assert!(
        said.contains("3g.20gb at 4 is held by claim job (3g.20gb): release it first"),
        "{said}"
    );
    let said = site.apply(("a100-40gb.yaml", "all-disabled"), &["--unmanaged"]).failed(3);
    assert!(said.contains("claim job"), "{said}");
    assert_eq!(site.picture(), before);
    site.divvy(&["release", "job"]).done();
    // What the layout made stays, and is nobody's.
    assert_eq!(site.instances(), ["1g.5gb@2", "1g.5gb@3", "2g.10gb@0"]);
    assert_eq!(site.divvy(&["reconcile"]).done(), "nothing to mend\n");
    site.apply(BALANCED, &[]).done();
    assert_eq!(site.instances().len(), 4);
}

#[test]
fn what_a_layout_makes_can_be_claimed_and_is_held_then() {
    let site = a100();
    site.apply(BALANCED, &[]).done();
    let shown = site.node.change("show", &[]);
    let after = shown.split("3g.20gb@4").nth(1).unwrap();
    let uuid = after.lines().nth(1).unwrap().split_whitespace().last().unwrap();
    site.divvy(&["prepare", "--claim", "job", &format!("exclusive @{uuid}")]).done();
    let said = site.apply(("a100-40gb.yaml", "all-1g.5gb"), &[]).failed(3);
    assert!(said.contains("3g.20gb at 4 is held by claim job"), "{said}");
    site.divvy(&["release", "job"]).done();
    site.apply(("a100-40gb.yaml", "all-1g.5gb"), &[]).done();
}

#[test]
fn processes_are_named_and_nothing_is_touched() {
    let site = a100();
    site.apply(BALANCED, &[]).done();
    let shown = site.node.change("show", &[]);
    let line = shown.lines().find(|line| line.contains("2g.10gb@0")).unwrap();
    let gi = line.split_whitespace().last().unwrap();
    site.node.change("process", &[&format!("0:{gi}:0"), "add", "4711"]);
    let before = site.picture();
    let said = site.apply(("a100-40gb.yaml", "all-1g.5gb"), &[]).failed(3);
    assert!(said.contains("2g.10gb at 0 is in use by process 4711: end them first"), "{said}");
    assert_eq!(site.picture(), before);
    // Around it, all else may change.
    let entries = "[{devices: all, mig-enabled: true, mig-devices: {2g.10gb: 1, 1g.5gb: 5}}]";
    site.apply_text(entries, &[]).done();
    assert!(site.instances().contains(&"2g.10gb@0".to_owned()));
}

#[test]
fn claims_that_a_reboot_outlived_are_in_nobodys_way() {
    let site = a100();
    site.divvy(&["prepare", "--claim", "old", "mig:7g.40gb"]).done();
    site.node.change("reboot", &[]);
    site.apply(BALANCED, &[]).done();
    assert_eq!(site.instances().len(), 4);
}

/// A claim turned MIG mode on, and would turn it off again; the layout wants it on.
#[test]
fn mig_mode_of_claims_stays_for_a_layout() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    site.divvy(&["prepare", "--claim", "one", "mig:1g.10gb"]).done();
    site.apply_text("[{devices: all, mig-enabled: true, mig-devices: {1g.10gb: 1}}]", &[]).done();
    site.divvy(&["release", "one"]).done();
    assert_eq!(site.instances(), [""; 0]);
    assert!(site.node.change("show", &[]).contains("MIG on"));
    assert_eq!(site.divvy(&["reconcile"]).done(), "nothing to mend\n");
}

/// A claim that is planned on a whole GPU and has to wait for it, while the GPU is cut.
#[test]
fn a_gpu_that_is_cut_meanwhile_is_not_granted_whole() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    let store = Store::open(&site.node.host()).unwrap();
    let uuid = site.node.session().device(0).unwrap().uuid().unwrap();
    let lock = store.lock_gpus(&BTreeSet::from([uuid.as_str()]), Duration::from_secs(9)).unwrap();
    let mut prepare = site.node.divvy();
    prepare.args(["prepare", "--claim", "job", "exclusive"]).stderr(Stdio::piped());
    let prepare = prepare.spawn().unwrap();
    while store.claims().unwrap().is_empty() {
        thread::sleep(Duration::from_millis(5));
    }
    site.node.change("mig", &["0", "on"]);
    drop(lock);
    let output = prepare.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("MIG"), "{said}");
    assert!(store.claims().unwrap().is_empty());
}

/// Claims and layouts at once: every claim has what it was granted, and every layout that was applied holds
/// at that moment or was refused.
#[test]
fn layouts_and_claims_take_turns() {
    let site = Site::new(&["--gpu", "A100-40GB:2", "--mig", "on"]);
    thread::scope(|scope| {
        for n in 0..6 {
            let site = &site;
            scope.spawn(move || {
                let id = format!("c{n}");
                for _ in 0..4 {
                    let said = site.divvy(&["prepare", "--claim", &id, "mig:1g.5gb"]);
                    match said.code {
                        Some(0) => {
                            let status = site.divvy(&["claims", "--output", "json"]);
                            assert!(!status.done().contains("lost"));
                            site.divvy(&["release", &id]).done();
                        }
                        Some(3 | 4) => {}
                        _ => panic!("{said:?}"),
                    }
                }
            });
        }
        for label in ["all-balanced", "all-1g.5gb"] {
            let site = &site;
            scope.spawn(move || {
                for _ in 0..4 {
                    let said = site.apply(("a100-40gb.yaml", label), &[]);
                    assert!(matches!(said.code, Some(0 | 3 | 4)), "{said:?}");
                }
            });
        }
    });
    assert_eq!(site.divvy(&["reconcile"]).done(), "nothing to mend\n");
    site.apply(BALANCED, &[]).done();
    assert_eq!(site.instances().len(), 8);
}

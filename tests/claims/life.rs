//! A claim's life: made twice, released twice, bound, in use, outlived.

use super::site::Site;
use divvy::claim::store::Store;
use divvy::claim::{ClaimId, ContainerRef};
use divvy::ops::bind::{Bound, Start, bind};
use divvy::request::Requests;
use std::time::Duration;

fn mig_site() -> Site {
    Site::new(&["--gpu", "A100-40GB", "--mig", "on"])
}

#[test]
fn the_same_request_again_gives_the_same_grant() {
    let site = mig_site();
    let before = site.picture();
    let first = site.prepare("job", &["mig:2g.10gb"]).done();
    let made = site.picture();
    let second = site.prepare("job", &["mig:2g.10gb"]).done();
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(site.picture(), made);
    let refused = site.prepare("job", &["mig:1g.5gb"]).failed(1);
    for part in ["claim job", "mig:2g.10gb", "release it"] {
        assert!(refused.contains(part), "{refused}");
    }
    let other_uid = site.divvy(&["prepare", "--claim", "job", "--uid", "1500", "mig:2g.10gb"]);
    other_uid.failed(1);
    assert_eq!(site.picture(), made);
    site.release("job").done();
    assert_eq!(site.picture(), before);
}

#[test]
fn the_same_request_again_writes_a_file_that_is_gone() {
    let site = mig_site();
    let file = site.node.host().cdi_dirs[0].join("divvy-claim_job.json");
    site.prepare("job", &["mig:1g.5gb"]).done();
    let text = std::fs::read_to_string(&file).unwrap();
    let before = site.picture();
    type Change = fn(&std::path::Path) -> std::io::Result<()>;
    let changes: [Change; 2] =
        [|file| std::fs::remove_file(file), |file| std::fs::write(file, "{}")];
    for change in changes {
        change(&file).unwrap();
        site.prepare("job", &["mig:1g.5gb"]).done();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        site.same(&before, "prepare");
    }
}

#[test]
fn looking_leaves_nothing_behind() {
    let site = mig_site();
    let state = site.node.host().state_dir;
    let _ = std::fs::remove_dir_all(&state);
    site.divvy(&["plan", "mig:1g.5gb"]).done();
    site.divvy(&["plan", "mig:9g.90gb"]).failed(3);
    site.divvy(&["status"]).done();
    assert_eq!(site.divvy(&["claims"]).done().stdout, "no claims\n");
    assert!(!state.exists());
}

#[test]
fn a_release_of_what_is_gone_succeeds() {
    let site = mig_site();
    site.prepare("job", &["mig:1g.5gb"]).done();
    assert_eq!(site.release("job").done().stderr, "");
    assert!(site.release("job").done().stderr.contains("no claim job"));
}

#[test]
fn what_changed_nothing_is_taken_back_without_the_driver() {
    let site = Site::new(&["--gpu", "L4"]);
    let before = site.picture();
    site.prepare("job", &["time-slicing"]).done();
    let mut release = site.command(&["release", "job"]);
    let said = release.env("DIVVY_NVML_LIBRARY", "/nowhere/libnvidia-ml.so.1").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(site.picture(), before);
}

#[test]
fn a_reboot_ends_every_claim() {
    let site = mig_site();
    site.prepare("one", &["mig:1g.5gb"]).done();
    site.prepare("two", &["mig:2g.10gb/time-slicing"]).done();
    site.node.change("reboot", &[]);
    let reconciled = site.reconcile().done().stdout;
    assert!(reconciled.contains("claim one") && reconciled.contains("claim two"), "{reconciled}");
    let left = site.picture();
    assert!(!left.iter().any(|line| line.contains("divvy-claim")), "{left:?}");
    assert_eq!(site.phases(), []);
    assert_eq!(site.reconcile().done().stdout, "nothing to mend\n");
    site.prepare("one", &["mig:1g.5gb"]).done();
}

#[test]
fn prepare_itself_takes_back_what_a_reboot_outlived() {
    let site = mig_site();
    site.prepare("old", &["mig:7g.40gb"]).done();
    site.node.change("reboot", &[]);
    site.node.change("mig", &["0", "on"]);
    site.prepare("new", &["mig:7g.40gb"]).done();
    assert_eq!(site.phases(), [("new".to_owned(), "granted".to_owned())]);
}

#[test]
fn a_device_in_use_is_taken_back_later() {
    let site = mig_site();
    let before = site.picture();
    site.prepare("job", &["mig:2g.10gb"]).done();
    let shown = site.node.change("show", &[]);
    let gi = shown.split(" gi ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let place = format!("0:{gi}:0");
    site.node.change("process", &[&place, "add", "4711"]);
    let noted = site.release("job").done().stderr;
    assert!(noted.contains("still in use by 4711"), "{noted}");
    assert_eq!(site.phases(), [("job".to_owned(), "releasing".to_owned())]);
    let noted = site.reconcile().done();
    assert!(noted.stdout.contains("still in use by 4711"), "{noted:?}");
    site.node.change("process", &[&place, "rm", "4711"]);
    assert_eq!(site.reconcile().done().stdout, "released claim job\n");
    assert_eq!(site.picture(), before);
    assert_eq!(site.reconcile().done().stdout, "nothing to mend\n");
}

#[test]
fn a_living_container_keeps_its_claim() {
    let site = mig_site();
    let before = site.picture();
    let own = std::process::id().to_string();
    let words = ["prepare", "--claim", "job", "--start-process", &own, "mig:1g.5gb"];
    site.divvy(&words).done();
    let host = site.node.host();
    // It is one container's: no other can name it, and engines have no file to read anew.
    let files = std::fs::read_dir(&host.cdi_dirs[0]).map_or(0, Iterator::count);
    assert_eq!(files, 0, "a CDI file of a container's own claim");
    let start = Start {
        container: ContainerRef { id: "box".to_owned(), bundle: "/bundle".into() },
        process: host.this_process().unwrap(),
        cgroup: None,
        requests: Requests::from_texts(&["mig:1g.5gb".to_owned()]).unwrap(),
    };
    let store = Store::open(&host).unwrap();
    let id: ClaimId = "job".parse().unwrap();
    let bound = bind(&host, &store, &id, &start, Duration::from_secs(9)).unwrap();
    assert_eq!(bound, Bound::Container);
    let held = site.release("job").failed(4);
    assert!(held.contains("container box") && held.contains("--force"), "{held}");
    // A late poststop of an earlier life changes nothing either.
    site.divvy(&["release", "--container", "box", "--bundle", "/bundle"]).done();
    assert_eq!(site.reconcile().done().stdout, "nothing to mend\n");
    assert_eq!(site.phases(), [("job".to_owned(), "bound".to_owned())]);
    site.divvy(&["release", "--force", "job"]).done();
    assert_eq!(site.picture(), before);
}

#[test]
fn a_start_that_died_leaves_nothing() {
    let site = mig_site();
    let before = site.picture();
    let mut starter = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = starter.id().to_string();
    let prepared = site.divvy(&["prepare", "--start-process", &pid, "mig:1g.5gb"]);
    assert_eq!(site.reconcile().stdout, "nothing to mend\n");
    starter.kill().unwrap();
    starter.wait().unwrap();
    prepared.done();
    assert!(site.reconcile().done().stdout.starts_with("released claim"));
    assert_eq!(site.picture(), before);
}

#[test]
fn a_claim_on_a_lost_gpu_can_be_released() {
    let site = mig_site();
    let before = site.picture();
    site.prepare("job", &["mig:1g.5gb"]).done();
    site.node.change("lose", &["0"]);
    site.release("job").done();
    assert_eq!(site.phases(), []);
    site.node.change("reset", &["0"]);
    site.same(&before, "after the reset that a lost GPU needs");
    site.prepare("job", &["mig:1g.5gb"]).done();
}

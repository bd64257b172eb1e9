//! What fits together on a GPU, and the sentence for what doesn't.

use super::site::Site;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Prepares claims of one request until `count` stand; gives their devices.
fn fill(site: &Site, request: &str, count: usize) -> Vec<String> {
    let prepare = |n: usize| site.prepare(&format!("{n}"), &[request]).done().granted();
    (0..count).flat_map(prepare).collect()
}

/// Takes the claims back; the node is as it was.
fn empty(site: &Site, count: usize, before: &BTreeSet<String>) {
    for n in 0..count {
        site.release(&n.to_string()).done();
    }
    assert_eq!(site.picture(), *before);
}

fn distinct(devices: &[String]) -> usize {
    devices.iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn two_profiles_lie_side_by_side() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let before = site.picture();
    let mut devices = site.prepare("0", &["mig:3g.40gb"]).done().granted();
    devices.extend(site.prepare("1", &["mig:1g.10gb"]).done().granted());
    assert!(distinct(&devices) == 2 && devices.iter().all(|uuid| uuid.starts_with("MIG-")));
    let shown = site.node.change("show", &[]);
    assert!(shown.contains("3g.40gb@") && shown.contains("1g.10gb@"), "{shown}");
    empty(&site, 2, &before);
}

#[test]
fn seven_of_the_smallest_fit_and_an_eighth_is_refused() {
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    let before = site.picture();
    assert_eq!(distinct(&fill(&site, "mig:1g.5gb", 7)), 7);
    let full = site.picture();
    let refusal = site.prepare("7", &["mig:1g.5gb"]).failed(3);
    for part in ["mig:1g.5gb", "claim", "release a claim"] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    assert_eq!(site.picture(), full);
    empty(&site, 7, &before);
}

#[test]
fn four_claims_take_turns_on_each_of_seven_devices() {
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    let before = site.picture();
    let devices = fill(&site, "mig:1g.5gb/time-slicing", 28);
    assert_eq!((devices.len(), distinct(&devices)), (28, 7));
    for device in &devices {
        assert_eq!(devices.iter().filter(|other| *other == device).count(), 4);
    }
    let full = site.picture();
    let refusal = site.prepare("28", &["mig:1g.5gb/time-slicing"]).failed(3);
    for part in ["mig:1g.5gb/time-slicing", "claim", "release a claim"] {
        assert!(refusal.contains(part), "{part}: {refusal}");
    }
    assert_eq!(site.picture(), full);
    empty(&site, 28, &before);
}

#[test]
fn a_larger_one_and_five_small_ones_share_a_gpu() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let before = site.picture();
    let mut devices = site.prepare("5", &["mig:2g.20gb"]).done().granted();
    devices.extend(fill(&site, "mig:1g.10gb", 5));
    assert_eq!(distinct(&devices), 6);
    empty(&site, 6, &before);
    // The small ones first, one after the other.
    let mut devices = fill(&site, "mig:1g.10gb", 5);
    devices.extend(site.prepare("5", &["mig:2g.20gb"]).done().granted());
    assert_eq!(distinct(&devices), 6);
    empty(&site, 6, &before);
    // In one claim, the small ones named first.
    let devices = site.prepare("0", &["5x mig:1g.10gb", "mig:2g.20gb"]).done().granted();
    assert_eq!(distinct(&devices), 6);
    empty(&site, 1, &before);
}

/// One container's end is often the next one's start.
#[test]
fn what_is_just_being_taken_back_is_waited_for() {
    for request in ["mig:7g.80gb", "mig:7g.80gb/time-slicing"] {
        let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
        site.prepare("first", &["mig:7g.80gb"]).done();
        let node = site.node.dir().join("node.yaml");
        let text = std::fs::read_to_string(&node).unwrap();
        assert!(text.contains("destroy-ms: 0"), "{text}");
        std::fs::write(&node, text.replace("destroy-ms: 0", "destroy-ms: 2000")).unwrap();
        let mut release = site.command(&["release", "first"]).spawn().unwrap();
        let releasing = [("first".to_owned(), "releasing".to_owned())];
        let deadline = Instant::now() + Duration::from_secs(20);
        while site.phases() != releasing {
            assert!(Instant::now() < deadline, "{:?}", site.phases());
        }
        site.prepare("second", &[request]).done();
        assert!(release.wait().unwrap().success());
        let refused = site.prepare("third", &["mig:7g.80gb"]).failed(3);
        assert!(refused.contains("claim second"), "{refused}");
    }
}

/// Whoever takes a claim back may die over it: who waited for that does it then.
#[test]
fn what_nobody_takes_back_any_more_is_taken_back() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    site.prepare("first", &["mig:7g.80gb"]).done();
    let node = site.node.dir().join("node.yaml");
    let text = std::fs::read_to_string(&node).unwrap();
    std::fs::write(&node, text.replace("destroy-ms: 0", "destroy-ms: 3000")).unwrap();
    let mut release = site.command(&["release", "first"]).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while site.phases() != [("first".to_owned(), "releasing".to_owned())] {
        assert!(Instant::now() < deadline, "{:?}", site.phases());
    }
    let mut second =
        site.command(&["prepare", "--claim", "second", "mig:7g.80gb"]).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    std::fs::write(&node, text).unwrap();
    release.kill().unwrap();
    release.wait().unwrap();
    assert!(second.wait().unwrap().success());
    assert_eq!(site.phases(), [("second".to_owned(), "granted".to_owned())]);
}

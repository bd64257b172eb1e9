//! `--dry-run`: says what would be done, and nothing is touched.

use crate::claims::site::Site;

#[test]
fn a_release_says_what_it_would_undo() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on", "--managed"]);
    site.prepare("one", &["mig:3g.40gb/time-slicing"]).done();
    site.prepare("two", &["mig:3g.40gb/time-slicing"]).done();
    let before = site.picture();
    let shared = site.divvy(&["release", "--dry-run", "one", "none"]).done();
    assert_eq!(shared.stdout, "claim one: would remove its CDI device\n");
    assert_eq!(shared.stderr, "divvy: there is no claim none to release: is one meant?\n");
    site.same(&before, "release --dry-run");
    site.release("two").done();
    let last = site.divvy(&["release", "--dry-run", "one"]).done().stdout;
    let undone: Vec<&str> = last.lines().skip(1).collect();
    assert!(undone[0].contains("would remove its capability nodes"), "{last}");
    assert!(undone.last().unwrap().contains("would destroy the GPU instance 3g.40gb"), "{last}");
    assert_eq!(site.phases(), [("one".to_owned(), "granted".to_owned())]);
}

#[test]
fn reconcile_says_what_it_would_take_back() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    assert_eq!(site.divvy(&["reconcile", "--dry-run"]).done().stdout, "nothing to mend\n");
    site.prepare("old", &["mig:1g.10gb"]).done();
    site.node.change("reboot", &[]);
    let before = site.picture();
    let said = site.divvy(&["reconcile", "--dry-run"]).done().stdout;
    assert_eq!(said, "would release claim old\n");
    site.same(&before, "reconcile --dry-run");
    assert_eq!(site.reconcile().done().stdout, "released claim old\n");
}

#[test]
fn a_refresh_says_what_it_would_write() {
    let site = Site::new(&["--gpu", "H100-80GB"]);
    let refresh = |more: &[&str]| {
        let words = [&["cdi", "refresh", "--no-additional-gids"], more].concat();
        site.divvy(&words).done().stdout
    };
    let before = site.picture();
    let said = refresh(&["--dry-run"]);
    assert!(said.contains("divvy-gpu.json: would be created\nadded: "), "{said}");
    site.same(&before, "cdi refresh --dry-run");
    assert!(refresh(&[]).contains("divvy-gpu.json: created\nadded: "));
    assert!(refresh(&["--dry-run"]).contains("divvy-gpu.json: unchanged"));
}

#[test]
fn a_preparation_says_what_it_would_do() {
    let site = Site::new(&["--gpu", "H100-80GB", "--mig", "on"]);
    let before = site.picture();
    let said = site.divvy(&["prepare", "--dry-run", "mig:3g.40gb"]).done().stdout;
    assert_eq!(said, site.divvy(&["plan", "mig:3g.40gb"]).done().stdout);
    assert!(said.starts_with("1. create the GPU instance 3g.40gb"), "{said}");
    site.divvy(&["prepare", "--dry-run", "exclusive"]).failed(3);
    site.same(&before, "prepare --dry-run");
}

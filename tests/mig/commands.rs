//! What the commands print, and how they end.

use super::{Site, fixture_path};
use std::io::Write;
use std::process::Stdio;

fn two() -> Site {
    Site::new(&["--gpu", "A100-40GB:2", "--mig", "on"])
}

#[test]
fn applied_twice_it_does_nothing() {
    let site = two();
    let layout = ("a100-40gb.yaml", "all-balanced");
    site.apply(layout, &[]).done();
    let before = site.picture();
    let said = site.apply(layout, &[]).done();
    assert_eq!(
        said,
        "GPU 0: NVIDIA A100-SXM4-40GB\n  is right\nGPU 1: NVIDIA A100-SXM4-40GB\n  is right\nstate: success\n"
    );
    assert_eq!(site.picture(), before);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let site = two();
    site.node.change("mig", &["0", "create", "1g.5gb@0", "2g.10gb@4"]);
    let before = site.picture();
    let layout = ("a100-40gb.yaml", "each-its-own");
    insta::assert_snapshot!(site.apply(layout, &["--dry-run", "--unmanaged"]).done());
    let json = site.apply(layout, &["--dry-run", "--unmanaged", "--output", "json"]).json();
    assert_eq!(json["gpus"][0]["steps"][4]["do"], "set-mig-mode");
    assert_eq!(json["gpus"][0]["waits"], "reset");
    assert!(json.get("state").is_none());
    assert_eq!(site.picture(), before);
}

#[test]
fn what_is_right_keeps_its_uuid_and_its_nodes() {
    let site = two();
    site.apply(("a100-40gb.yaml", "all-balanced"), &[]).done();
    let before = site.picture();
    let entries =
        "[{devices: [0], mig-enabled: true, mig-devices: {1g.5gb: 1, 2g.10gb: 1, 3g.20gb: 1}}]";
    site.apply_text(entries, &[]).done();
    let after = site.picture();
    // One 1g is gone, with the nodes and links of its two capabilities; all else is as it was.
    let gone: Vec<&String> = before.difference(&after).collect();
    assert_eq!(gone.len(), 2 + 4, "{gone:?}");
    assert_eq!(after.difference(&before).count(), 0);
}

#[test]
fn export_writes_down_what_apply_makes_again() {
    let site = two();
    site.apply(("a100-40gb.yaml", "parted"), &[]).done();
    let entries = "[{devices: [1], mig-enabled: true, mig-devices: {7g.40gb: 1}}]";
    site.apply_text(entries, &[]).done();
    let text = site.divvy(&["mig", "export", "--label", "now"]).done();
    insta::assert_snapshot!(text);
    let json = site.divvy(&["mig", "export", "-o", "json"]).json();
    assert_eq!(json["mig-configs"]["current"][0]["mig-devices"]["1c.3g.20gb"], 3);
    let other = two();
    let mut command = other.node.divvy();
    command.args(["mig", "apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(other.divvy(&["mig", "export", "--label", "now"]).done(), text);
    // Where nothing can be cut, all are whole.
    let whole = Site::new(&["--gpu", "L4"]);
    let said = whole.divvy(&["mig", "export"]).done();
    assert!(said.contains("devices: all\n    mig-enabled: false"), "{said}");
}

#[test]
fn assert_counts_the_gpus_that_the_layout_is_for() {
    let site = two();
    let entries = "[{devices: [1], mig-enabled: true, mig-devices: {1g.5gb: 2}}]";
    site.apply_text(entries, &[]).done();
    let file = site.node.dir().join("layout.yaml");
    let file = file.to_str().unwrap();
    site.divvy(&["mig", "assert", "-f", file]).done();
    let wrong = site.assert(("a100-40gb.yaml", "each-its-own"));
    assert!(wrong.stderr.contains("the layout doesn't hold on GPU 0, 1"), "{wrong:?}");
    assert!(wrong.stdout.contains("turn off MIG mode"), "{wrong:?}");
    wrong.failed(1);
    // The modes alone are right.
    site.mig("assert", ("a100-40gb.yaml", "all-1g.5gb"), &["--mode-only"]).done();
    site.mig("assert", ("a100-40gb.yaml", "all-disabled"), &["--mode-only"]).failed(1);
}

#[test]
fn profiles_are_shown_with_what_is_left() {
    let site =
        Site::new(&["--gpu", "A100-40GB", "--gpu", "A30-24GB", "--gpu", "L4", "--mig", "on"]);
    site.node.change("mig", &["0", "create", "3g.20gb@4", "1g.5gb+me@0"]);
    insta::assert_snapshot!(site.divvy(&["mig", "profiles"]).done());
    let json = site.divvy(&["mig", "profiles", "--output", "json"]).json();
    assert_eq!(json[0]["profiles"][0]["name"], "7g.40gb");
    assert_eq!(json[2]["mig_enabled"], serde_json::Value::Null);
}

/// mig-parted destroys everything on a GPU for a profile that it doesn't have, and succeeds.
#[test]
fn what_this_node_cant_be_is_an_error_before_anything_is_touched() {
    let site = two();
    site.node.change("mig", &["0", "create", "1g.5gb@0", "2g.10gb@4"]);
    let before = site.picture();
    for (entries, part) in [
        (
            "[{devices: all, mig-enabled: true, mig-devices: {1g.99gb: 7}}]",
            "layout.yaml:3:56: GPU 0 (NVIDIA A100-SXM4-40GB) has no profile 1g.99gb",
        ),
        (
            "[{devices: [9], mig-enabled: false}]",
            "layout.yaml:3:18: there is no GPU 9: this node has GPUs 0 to 1",
        ),
        (
            "[{device-filter: nonsense, devices: all, mig-enabled: false}]",
            "layout.yaml:3:24: \"nonsense\" is no device filter",
        ),
        (
            "[{device-filter: '0x233010DE', devices: all, mig-enabled: false}]",
            "the layout is for no GPU of this node: its device filters are 0x233010DE, and here GPU 0 is 0x20B010DE",
        ),
        (
            "[{devices: all, mig-enabled: true, mig-devices: {3g.20gb: 3}}]",
            "3x 3g.20gb, of at most 2",
        ),
        (
            "[{devices: all, mig-enabled: true, mig-devices: {3g.20gb: 2, 1g.5gb: 1}}]",
            "no room for them in its 8 slices",
        ),
        (
            "[{devices: all, mig-enabled: true, mig-devices: {5c.7g.40gb: 1}}]",
            "7g.40gb of GPU 0 (NVIDIA A100-SXM4-40GB) has no part of 5 compute slices: it has parts of 1, 2, 3, 4, 7",
        ),
        ("[{devices: all, mig-enabled: true, mig-devics: {}}]", "is \"mig-devices\" meant?"),
    ] {
        let said = site.apply_text(entries, &[]).failed(2);
        assert!(said.contains(part), "{said}");
        assert_eq!(site.picture(), before, "{entries}");
    }
    let said = site.apply(("a100-40gb.yaml", "all-1g.5g"), &[]).failed(2);
    assert!(said.contains("is \"all-1g.5gb\" meant?"), "{said}");
    let file = fixture_path("a100-40gb.yaml");
    let said = site.divvy(&["mig", "apply", "-f", &file]).failed(2);
    assert!(said.contains("the file has 6 layouts: name one with --label"), "{said}");
    let said = site.divvy(&["mig", "apply", "-f", "/nowhere", "-c", "x"]).failed(1);
    assert!(said.contains("/nowhere can't be read"), "{said}");
    assert_eq!(site.picture(), before);
}

#[test]
fn what_is_left_out_is_noted() {
    let site = Site::new(&["--gpu", "A100-40GB:2", "--gpu", "L4", "--mig", "on"]);
    let said = site.apply(("a100-40gb.yaml", "all-enabled"), &[]);
    assert_eq!(said.stderr, "divvy: GPU 2 (NVIDIA L4) can't do MIG and is left out\n");
    said.done();
    site.node.change("lose", &["1"]);
    let said = site.apply(("a100-40gb.yaml", "all-1g.5gb"), &[]);
    assert!(said.stderr.contains("GPU 1 is left out: "), "{said:?}");
    said.done();
    assert_eq!(site.instances().len(), 7);
    let said = site.apply(("a100-40gb.yaml", "each-its-own"), &[]).failed(2);
    assert!(said.contains("GPU 1 can't be used"), "{said}");
}

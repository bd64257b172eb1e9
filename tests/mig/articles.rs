//! The layouts of articles on GPU sharing, applied to the GPUs that they are about.

use super::Site;
use std::collections::BTreeMap;

/// What `divvy labels` tells with a MIG strategy, without `nvidia.com/`.
fn labels(site: &Site, strategy: &str) -> BTreeMap<String, String> {
    let said = site.divvy(&["labels", "--no-timestamp", "--mig-strategy", strategy]).done();
    let pair = |line: &str| {
        let (key, value) = line.strip_prefix("nvidia.com/")?.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    said.lines().filter_map(pair).collect()
}

#[track_caller]
fn has(labels: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(labels.get(*key).map(String::as_str), Some(*value), "{key} in {labels:#?}");
    }
}

#[test]
fn seven_of_one_kind_are_seven_gpus() {
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    let layout = ("a100-40gb.yaml", "all-1g.5gb");
    assert!(site.apply(layout, &[]).done().ends_with("state: success\n"));
    site.assert(layout).done();
    has(&labels(&site, "single"), &[("gpu.count", "7"), ("mig.capable", "true")]);
}

#[test]
fn a_balanced_gpu_has_three_kinds() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    site.apply(("h100-80gb.yaml", "all-balanced"), &[]).done();
    let shown = [
        ("mig-1g.10gb.count", "2"),
        ("mig-1g.10gb.memory", "9984"),
        ("mig-1g.10gb.multiprocessors", "16"),
        ("mig-2g.20gb.count", "1"),
        ("mig-3g.40gb.count", "1"),
        ("mig.strategy", "mixed"),
    ];
    has(&labels(&site, "mixed"), &shown);
    // Its small ones were asked for as 1g.5gb on the other board.
    let site = Site::new(&["--gpu", "A100-40GB", "--mig", "on"]);
    site.apply(("a100-40gb.yaml", "all-balanced"), &[]).done();
    let shown = [("mig-1g.5gb.count", "2"), ("mig-2g.10gb.count", "1"), ("mig-3g.20gb.count", "1")];
    has(&labels(&site, "mixed"), &shown);
}

#[test]
fn a_custom_config_map_makes_six() {
    let site = Site::new(&["--gpu", "H100-80GB", "--managed"]);
    let layout = ("config-map.yaml", "five-1g-one-2g");
    site.apply(layout, &[]).done();
    // An article shows gpu.count 6 beside these. With the strategy mixed GPU Feature Discovery counts whole
    // GPUs there, and MIG devices under their own names alone: 5 and 1.
    has(&labels(&site, "mixed"), &[("mig-1g.10gb.count", "5"), ("mig-2g.20gb.count", "1")]);
    assert_eq!(site.instances().len(), 6);
    site.apply(("config-map.yaml", "all-disabled"), &[]).done();
    assert_eq!(site.instances(), [""; 0]);
    assert!(site.node.change("show", &[]).contains("MIG off"));
    site.assert(("config-map.yaml", "all-disabled")).done();
}

/// 1g.10gb is a quarter of one board's memory and an eighth of the other's.
#[test]
fn a_name_is_another_profile_on_another_board() {
    let site = Site::new(&["--gpu", "A100-40GB", "--gpu", "H100-80GB", "--mig", "on"]);
    let layout = ("h100-80gb.yaml", "all-1g.10gb");
    site.apply(layout, &[]).done();
    site.assert(layout).done();
    let shown = site.node.change("show", &[]);
    let (first, second) = shown.split_once("GPU 1").unwrap();
    assert_eq!(first.matches("1g.10gb@").count(), 4);
    assert_eq!(second.matches("1g.10gb@").count(), 7);
}

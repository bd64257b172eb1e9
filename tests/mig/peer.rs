//! NVIDIA's own files, which lie elsewhere.

use super::{Said, Site};
use crate::support::skip;
use divvy::compat::mig_parted::Layouts;
use std::path::{Path, PathBuf};

/// One of mig-parted's files; `None` where nobody said where they are.
fn file(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("DIVVY_PEER_DATA") else {
        skip("DIVVY_PEER_DATA names no folder with mig-parted/, its examples and its default file");
        return None;
    };
    Some(PathBuf::from(folder).join("mig-parted").join(name))
}

fn layouts(path: &Path) -> Vec<String> {
    Layouts::load(path).unwrap().labels().map(str::to_owned).collect()
}

fn mig(site: &Site, verb: &str, file: &Path, label: &str) -> Said {
    site.divvy(&["mig", verb, "-f", file.to_str().unwrap(), "-c", label])
}

#[test]
fn they_are_read() {
    for (name, labels) in [
        ("config-default.yaml", 50),
        ("example-config.yaml", 9),
        ("dgx-station-80gb-config.yaml", 8),
    ] {
        let Some(path) = file(name) else { return };
        let found = layouts(&path).len();
        assert!(found >= labels, "{name}: {found} layouts");
    }
}

/// Every layout of the default file that is for a board is applied to it, and holds; the others say why not,
/// and touch nothing.
#[test]
fn their_layouts_are_applied_or_refused_with_the_reason() {
    let Some(path) = file("config-default.yaml") else { return };
    let mut applied = 0;
    for board in
        ["A100-40GB", "A100-80GB", "A30-24GB", "H100-80GB", "B200-180GB", "RTX-PRO-6000-96GB"]
    {
        let site = Site::new(&["--gpu", board, "--mig", "on"]);
        for label in layouts(&path).iter().filter(|label| *label != "all-disabled") {
            let before = site.picture();
            let said = mig(&site, "apply", &path, label);
            match said.code {
                Some(0) => {
                    applied += 1;
                    mig(&site, "assert", &path, label).done();
                }
                _ => {
                    assert_eq!(site.picture(), before, "{board} {label}");
                    let said = said.failed(2);
                    let reasons = ["has no profile", "is for no GPU of this node", "don't fit"];
                    assert!(reasons.iter().any(|reason| said.contains(reason)), "{label}: {said}");
                }
            }
        }
    }
    assert!(applied >= 40, "{applied} were applied");
}

#[test]
fn the_eight_gpus_of_the_example_are_cut_each_in_its_way() {
    let Some(path) = file("example-config.yaml") else { return };
    let site = Site::new(&["--gpu", "A100-40GB:8", "--mig", "on"]);
    let said = site.divvy(&[
        "mig",
        "apply",
        "-f",
        path.to_str().unwrap(),
        "-c",
        "custom-config",
        "--unmanaged",
    ]);
    // Four of them leave MIG mode, which a reset brings.
    said.failed(4);
    (0..4).for_each(|gpu| drop(site.node.change("reset", &[&gpu.to_string()])));
    mig(&site, "apply", &path, "custom-config").done();
    mig(&site, "assert", &path, "custom-config").done();
    assert_eq!(site.instances().len(), 7 + 3 + 2 + 4);
}

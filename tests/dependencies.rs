//! docs/dependencies.md names each direct dependency, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The folders of the workspace's crates.
const CRATES: [&str; 4] = [".", "cdi", "hooks", "tests/fake-nvml"];
/// Crates of this workspace need no reason.
const OWN: [&str; 3] = ["cdi", "divvy", "fake-nvml"];

/// The names in every `…dependencies]` table of a Cargo.toml but the workspace's own, which only says versions.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && line != "[workspace.dependencies]";
        } else if let (true, Some(end)) = (inside, line.find([' ', '.', '='])) {
            names.insert(line[..end].to_owned());
        }
    }
    names
        .into_iter()
        .filter(|name| !name.starts_with('#') && !OWN.contains(&name.as_str()))
        .collect()
}

#[test]
fn every_dependency_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let used: BTreeSet<String> = CRATES
        .iter()
        .flat_map(|folder| {
            dependencies(&fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap())
        })
        .collect();
    let page = fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    let explained: BTreeSet<String> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned())
        })
        .collect();
    assert_eq!(used, explained, "left: the Cargo.toml files; right: docs/dependencies.md");
}

#[test]
fn members_of_the_workspace_are_all_looked_at() {
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let members = manifest.lines().find(|line| line.starts_with("members = ")).unwrap();
    assert_eq!(members, format!("members = {CRATES:?}"));
}

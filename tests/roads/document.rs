//! docs/roads.md says what the programs say.

use divvy::hook_args::TIMEOUT_SECONDS;
use divvy::oci;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[test]
fn the_page_quotes_what_hooks_say() {
    let page = read("docs/roads.md");
    let said = read("hooks/src/create_runtime/error.rs") + &read("hooks/src/device_cgroup/mod.rs");
    let quoted: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    assert!(quoted.len() >= 4, "{quoted:?}");
    for sentence in quoted {
        assert!(said.contains(sentence), "no hook says: {sentence}");
    }
}

#[test]
fn the_page_names_what_there_is() {
    let page = read("docs/roads.md");
    assert!(page.contains(&format!("`{}`", oci::REQUEST)));
    assert!(page.contains(&format!("`{}/CONTAINER`", oci::REQUEST)));
    assert!(page.contains(&format!("Each hook has {TIMEOUT_SECONDS} seconds.")));
    assert!(page.contains(divvy::share::mps::CONTAINER_FOLDER));
}

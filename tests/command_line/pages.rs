//! Manual pages, as their readers render them.

use super::{divvy, here, stdout};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The pages of the command line, and those of the programs beside it.
fn pages() -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let listed = stdout(divvy().arg("man").arg(folder.path()).output().unwrap());
    let mut pages: Vec<PathBuf> = listed.lines().map(PathBuf::from).collect();
    let by_hand = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man");
    pages.extend(fs::read_dir(by_hand).unwrap().map(|entry| entry.unwrap().path()));
    (folder, pages)
}

#[test]
fn every_command_has_a_page() {
    let (folder, pages) = pages();
    let names: Vec<&str> = pages.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    for name in ["divvy.1", "divvy-prepare.1", "divvy-cdi-generate.1", "divvy-hook.8"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    for line in read("divvy.1").lines().filter(|line| line.starts_with("divvy\\-")) {
        let page = line.replace("\\-", "-").replace("(1)", ".1");
        assert!(line.contains(", ") || names.contains(&page.as_str()), "{page} has no page");
    }
    let prepare = read("divvy-prepare.1");
    for part in ["EXIT STATUS", "DIVVY_WAIT", "MPS clients", "SEE ALSO"] {
        assert!(prepare.contains(part), "{prepare}");
    }
}

#[test]
fn pages_render_without_a_warning() {
    let (_folder, pages) = pages();
    if here("man") {
        for page in &pages {
            let mut man = Command::new("man");
            man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page);
            let output = man.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{}", page.display());
            assert!(output.status.success() && !output.stdout.is_empty());
        }
    }
    if here("mandoc") {
        let output = Command::new("mandoc").args(["-Tlint", "-W", "error"]).args(&pages).output();
        let said = output.unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }
}

#[test]
fn the_hook_s_page_has_its_stages_and_jobs() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks/src/hook.rs");
    let source = fs::read_to_string(source).unwrap();
    let usage = source.split("const USAGE").nth(1).unwrap().split("\";").next().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man/divvy-hook.8");
    let page = fs::read_to_string(page).unwrap().replace('\\', "");
    let words = usage.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    let named: Vec<&str> = words
        .filter(|word| word.starts_with("--") || ["precreate", "poststop"].contains(word))
        .collect();
    assert!(named.len() > 8, "{named:?}");
    for word in named {
        assert!(page.contains(word), "divvy-hook.8 doesn't tell of {word}");
    }
}

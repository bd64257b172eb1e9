//! `divvy doctor`: each finding provoked on a simulated node, and a node where nothing is found.

mod book;
mod causes;
mod machine;
mod mends;
mod mps;

use divvy::doctor::Name;
use machine::Machine;
use std::fs;
use std::path::Path;

#[test]
fn nothing_is_found_on_a_healthy_node() {
    let machine = Machine::new();
    let output = machine.doctor(&[]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(machine.shown(&output));
}

#[test]
fn what_is_found_decides_the_exit_code() {
    let machine = Machine::new();
    let code = |machine: &Machine| machine.doctor(&["--output", "json"]).status.code();
    fs::remove_file(machine.root("etc/subuid")).unwrap();
    assert_eq!((machine.report()["level"].as_str(), code(&machine)), (Some("note"), Some(0)));
    fs::remove_file(machine.dev("nvidiactl")).unwrap();
    assert_eq!((machine.report()["level"].as_str(), code(&machine)), (Some("error"), Some(1)));
    let output = machine.doctor(&[]);
    insta::assert_snapshot!(machine.shown(&output));
}

#[test]
fn looking_changes_nothing() {
    let machine = Machine::new();
    let before = machine.site.picture();
    machine.doctor(&[]);
    machine.site.same(&before, "doctor");
}

#[test]
fn what_can_t_be_checked_says_why() {
    let machine = Machine::new();
    machine.env("DIVVY_NVML_LIBRARY", "/nonexistent/libnvidia-ml.so.1");
    let output = machine.doctor(&[]);
    let shown = machine.shown(&output);
    for check in ["persistence", "nodes", "mig"] {
        assert!(
            shown.contains(&format!("not checked: {check}: the driver doesn't answer")),
            "{shown}"
        );
    }
}

/// docs/doctor.md has every finding with its level and meaning, and no other.
#[test]
fn the_page_has_every_finding() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md");
    let page = fs::read_to_string(page).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |name: &Name| {
        format!("| `{}` | {} | {} |", name.word(), name.level().word(), name.meaning())
    };
    let known: Vec<String> = Name::ALL.iter().map(row).collect();
    assert_eq!(rows, known);
}

//! Help, and what is said to who mistypes.

use super::{divvy, stdout};
use crate::common::node;

fn mistake(arguments: &[&str]) -> String {
    // A variable for an option is no part of how a command is used.
    let output = divvy().args(arguments).env("DIVVY_STATE_DIR", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert_eq!(output.stdout, b"");
    format!("$ divvy {}\n{}", arguments.join(" "), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn divvy_alone_explains_itself() {
    let said = stdout(divvy().output().unwrap());
    for part in ["share NVIDIA GPUs", "Usage: divvy", "Where things are:", "To begin:"] {
        assert!(said.contains(part), "{said}");
    }
    let commands = said.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in commands.lines() {
        assert!(line.split_whitespace().count() > 3, "no explanation: {line}");
    }
    // What it recommends is understood; what it would do is another test's.
    let examples = said.split("To begin:\n").nth(1).unwrap();
    for line in examples.lines() {
        let command = line.trim().split("   ").next().unwrap();
        let words: Vec<&str> = command.split(' ').skip(1).chain(["--help"]).collect();
        assert!(!stdout(divvy().args(words).output().unwrap()).is_empty(), "{line}");
    }
}

#[test]
fn mistakes_show_how_it_is_done() {
    let mistakes: [&[&str]; 8] = [
        &["prepar"],
        &["prepare"],
        &["prepare", "--clam", "x", "mps"],
        &["prepare", "mpss"],
        &["plan"],
        &["release"],
        &["claims", "--output", "jsn"],
        &["runtime", "configure"],
    ];
    let said: Vec<String> = mistakes.iter().map(|arguments| mistake(arguments)).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_mistyped_name_is_answered_with_the_one_that_was_meant() {
    let node = node::create(&["--gpu", "H100-80GB", "--mig", "on"]);
    let said = |arguments: &[&str]| {
        let output = node.divvy().args(arguments).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    said(&["prepare", "--claim", "training", "mig:1g.10gb"]);
    let absent = said(&["release", "trainign"]);
    assert_eq!(absent, "divvy: there is no claim trainign to release: is training meant?\n");
    let absent = said(&["release", "other"]);
    assert_eq!(absent, "divvy: there is no claim other to release\n");
    let profile = said(&["plan", "mig:3g.30gb"]);
    assert!(profile.contains("is 3g.40gb meant?"), "{profile}");
    let gpu = said(&["plan", "mps @H10O"]);
    assert!(gpu.contains("is *H100* meant?"), "{gpu}");
}

#[test]
fn completions_and_help_come_without_a_right_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.yaml");
    std::fs::write(&config, "nonsense: [").unwrap();
    for arguments in [&["completions", "bash"][..], &[], &["--version"]] {
        let output = divvy().args(arguments).env("DIVVY_CONFIG", &config).output().unwrap();
        assert!(!stdout(output).is_empty());
    }
}

#[test]
fn help_is_a_word_too() {
    let help = |words: &[&str]| stdout(divvy().args(words).output().unwrap());
    assert_eq!(help(&["help"]), help(&["--help"]));
    assert_eq!(help(&["help", "prepare"]), help(&["prepare", "--help"]));
    assert_eq!(help(&["help", "mig", "apply"]), help(&["mig", "apply", "--help"]));
    assert!(mistake(&["help", "prepar"]).contains("'prepare'"));
}

#[test]
fn commands_of_other_tools_lead_to_those_here() {
    for (word, meant) in [
        ("ls", "'claims'"),
        ("list", "'status'"),
        ("ps", "'claims'"),
        ("rm", "'release'"),
        ("delete", "'release'"),
        ("create", "'prepare'"),
    ] {
        let said = mistake(&[word]);
        assert!(said.contains(meant), "{said}");
    }
}

#[test]
fn names_of_cdi_devices_are_understood() {
    let node = node::create(&["--gpu", "H100-80GB", "--mig", "on"]);
    let answer = |words: &[&str]| stdout(node.divvy().args(words).output().unwrap());
    let plain = answer(&["plan", "mig:1g.10gb"]);
    for name in ["mig-1g.10gb", "divvy/gpu=mig-1g.10gb", "divvy/gpu=0:mig-1g.10gb"] {
        assert_eq!(answer(&["plan", name]), plain, "{name}");
    }
    answer(&["prepare", "--claim", "m", "divvy/gpu=mig-1g.10gb"]);
    answer(&["release", "divvy/claim=m"]);
    assert_eq!(answer(&["claims"]), "no claims\n");
    let said = node.divvy().args(["plan", "mig:1g.10g"]).output().unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("a right one: mig:1g.10gb\n"), "{said}");
    let said = node.divvy().args(["plan", "divvy/gpu=mig-1g"]).output().unwrap();
    assert_eq!(said.status.code(), Some(2));
}

//! `divvy cdi` on simulated nodes: the built program, its answers and exit codes.

mod bad_input;
mod drop_in;
mod faults;
mod folders;
mod models;
mod requests;

use crate::common::node::Node;
use std::path::Path;
use std::process::{Command, Output};

/// Where the hook is said to be, so that answers don't depend on what was built.
const HOOK: &str = "/usr/bin/divvy-hook";

/// `divvy cdi generate` on a node, with the hook's place given.
fn generate(node: &Node) -> Command {
    let mut command = node.divvy();
    command.args(["cdi", "generate", "--hook-path", HOOK]);
    command
}

/// Runs a command that must succeed.
fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// The spec that a command prints.
fn spec(command: &mut Command) -> cdi::Spec {
    let output = succeed(command);
    cdi::parse(&String::from_utf8(output.stdout).unwrap()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A failure says one sentence that has these words, and answers nothing.
fn assert_fails(command: &mut Command, code: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

fn names(spec: &cdi::Spec) -> Vec<&str> {
    spec.devices.iter().map(|device| device.name.as_str()).collect()
}

/// Text with the node's folder as NODE.
fn without_folder(text: &str, node: &Node) -> String {
    text.replace(node.dir().to_str().unwrap(), "NODE")
}

/// What lies in a folder, hidden files too.
fn list(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return vec![] };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

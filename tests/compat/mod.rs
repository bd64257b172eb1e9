//! Configurations that people already have, on simulated nodes of the GPUs that they are for.

mod articles;
mod import;
mod policies;
mod schema;

use crate::common::node::Node;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A file of the configurations that articles show.
fn article(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/articles").join(name)
}

/// Makes an article's file the node's configuration, as it is.
fn configure(node: &Node, name: &str) {
    fs::copy(article(name), node.host().config).unwrap();
}

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command that went well prints.
#[track_caller]
fn answer(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The request in the hook of each device of a kind, by the device's name.
#[track_caller]
fn requests(node: &Node, class: &str) -> Vec<(String, String)> {
    let mut command = node.divvy();
    command.args(["cdi", "generate", "--format", "json", "--hook-path", "/usr/bin/divvy-hook"]);
    let spec: Value = serde_json::from_str(&answer(command.args(["--class", class]))).unwrap();
    let devices = spec["devices"].as_array().unwrap().iter();
    let request = |device: &Value| {
        let argument = device.pointer("/containerEdits/hooks/0/args/2")?.as_str()?;
        let name = device["name"].as_str().unwrap().to_owned();
        Some((name, argument.strip_prefix("--request=")?.to_owned()))
    };
    devices.filter_map(request).collect()
}

/// Asks as the hook of a CDI device does, for a container whose process has this uid.
fn start(node: &Node, claim: &str, request: &str, uid: u32) -> Output {
    let pid = std::process::id().to_string();
    let mut command = node.divvy();
    command.args(["prepare", "--output", "json", "--claim", claim, "--start-process", &pid]);
    run(command.args(["--uid", &uid.to_string()]).args(request.split("; ")))
}

/// Asks once for each request; says how many were served, and how the first refusal reads.
fn fill(node: &Node, requests: &[String]) -> (usize, String) {
    let mut served = 0;
    for (n, request) in requests.iter().enumerate() {
        let output = start(node, &format!("c{n}"), request, 0);
        match output.status.code() {
            Some(0) => served += 1,
            Some(3) => return (served, stderr(&output)),
            _ => panic!("{request}: {}", stderr(&output)),
        }
    }
    (served, String::new())
}

/// Takes every claim back, which ends the daemons that were started.
fn release_all(node: &Node) {
    let claims: Value =
        serde_json::from_str(&answer(node.divvy().args(["claims", "--output", "json"]))).unwrap();
    for claim in claims.as_array().unwrap() {
        run(node.divvy().args(["release", "--force", claim["id"].as_str().unwrap()]));
    }
}

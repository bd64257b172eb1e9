//! What is found of daemons that divvy started: NVIDIA's own, with a stand-in server.

use super::machine::Machine;
use crate::claims::site::Site;
use divvy::claim::store::Store;
use divvy::claim::{ClaimId, ContainerRef};
use divvy::ops::bind::{Start, bind};
use divvy::request::Requests;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

fn machine() -> Option<Machine> {
    Site::new(&["--gpu", "H100-80GB", "--managed"]).lend_mps().map(Machine::with)
}

#[test]
fn a_daemon_that_was_killed_is_found() {
    let Some(machine) = machine() else { return };
    machine.site.prepare("job", &["mps:threads=50"]).done();
    assert_eq!(machine.found("mps-dead"), None);
    machine.site.kill_daemons();
    let told = machine.found("mps-dead").unwrap();
    let (before, after) = told.split_once("process ").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_digit());
    insta::assert_snapshot!(format!("{before}process N{after}"));
}

#[test]
fn a_container_of_another_user_is_found() {
    let Some(machine) = machine() else { return };
    let mut other = Command::new("sleep").arg("1000").uid(1500).spawn().unwrap();
    let pid = other.id().to_string();
    machine.site.divvy(&["prepare", "--claim", "job", "--start-process", &pid, "mps"]).done();
    let host = machine.site.node.host();
    let start = Start {
        container: ContainerRef { id: "box".to_owned(), bundle: "/bundle".into() },
        process: host.process(other.id()).unwrap(),
        cgroup: None,
        requests: Requests::from_texts(&["mps".to_owned()]).unwrap(),
    };
    let id: ClaimId = "job".parse().unwrap();
    bind(&host, &Store::open(&host).unwrap(), &id, &start, Duration::from_secs(9)).unwrap();
    let found = machine.found("mps-uid");
    other.kill().unwrap();
    other.wait().unwrap();
    insta::assert_snapshot!(found.unwrap());
    machine.site.divvy(&["release", "--force", "job"]).done();
}

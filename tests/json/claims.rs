//! Requests and claims.

use super::told;
use crate::claims::site::Site;
use divvy::claim::store::Store;
use divvy::claim::{ClaimId, ContainerRef, Owner, Phase};
use divvy::refused::Refused;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// `divvy prepare --claim ID REQUEST…`
#[track_caller]
fn prepare(site: &Site, id: &str, requests: &[&str], code: i32) -> Value {
    told(site, &[&["prepare", "--claim", id], requests].concat(), code)
}

/// The claim as one that a container has, or that is being released.
fn change(site: &Site, id: &str, phase: Phase, owner: Option<Owner>) {
    let store = Store::open(&site.node.host()).unwrap();
    let lock = store.lock(Duration::from_secs(10)).unwrap();
    let mut claim = store.claim(&id.parse().unwrap()).unwrap().unwrap();
    claim.phase = phase;
    claim.owner = owner.unwrap_or(claim.owner);
    store.save_claim(&lock, &claim, &BTreeSet::new()).unwrap();
}

#[test]
fn of_a_node_without_claims() {
    let site = Site::new(&["--gpu", "H100-80GB:2", "--gpu", "T4", "--managed"]);
    assert_eq!(told(&site, &["claims"], 0), Value::Array(Vec::new()));
    assert_eq!(told(&site, &["claims", "--refused"], 0), Value::Array(Vec::new()));
    told(&site, &["status"], 0);
    for request in [
        "exclusive",
        "time-slicing:interval=short",
        "mps:threads=25,memory=10Gi",
        "mig:1g.10gb",
        "2x mig:3g.40gb/time-slicing",
        "mig:3g.40gb/mps:threads=50",
        "exclusive @*T4*",
    ] {
        told(&site, &["plan", request], 0);
        told(&site, &["prepare", "--dry-run", request], 0);
    }
    for request in [
        "exclusive @7",
        "mig:1g.5gb",
        "exclusive @T4",
        "mig:1g.10gb @*T4*",
        "time-slicing as nothing",
    ] {
        let refusal = told(&site, &["plan", request], 3);
        assert!(refusal["message"].as_str().unwrap().contains("is refused"), "{refusal}");
    }
    assert_eq!(told(&site, &["plan", "mps @0", "exclusive @1"], 3)["cause"], "mixed-mps");
}

#[test]
fn of_claims_in_every_phase() {
    let site = Site::new(&["--gpu", "H100-80GB:3", "--managed"]);
    let grant = prepare(&site, "part", &["mig:1g.10gb @0"], 0);
    assert!(grant["devices"][0]["mig"].is_string(), "{grant}");
    prepare(&site, "turns", &["time-slicing:interval=long @1"], 0);
    prepare(&site, "inside", &["mig:3g.40gb/time-slicing @0"], 0);
    let pid = std::process::id().to_string();
    prepare(&site, "whole", &["exclusive @2", "--start-process", &pid], 0);
    let claims = told(&site, &["claims"], 0);
    assert_eq!(claims.as_array().unwrap().len(), 4);
    let process = site.node.host().this_process().unwrap();
    let container = ContainerRef { id: "c1".into(), bundle: "/run/c1".into() };
    let bound = Owner::Container { container: container.clone(), process, cgroup: None };
    change(&site, "turns", Phase::Bound, Some(bound));
    let cgroup = site.node.host().cgroup_of(process.pid);
    change(&site, "whole", Phase::Bound, Some(Owner::Container { container, process, cgroup }));
    change(&site, "inside", Phase::Releasing, None);
    change(&site, "part", Phase::Intent, None);
    told(&site, &["claims"], 0);
    let status = told(&site, &["status"], 0);
    assert_eq!(status["gpus"][1]["sharing"]["holders"][0]["container"], "c1");
    change(&site, "part", Phase::Granted, None);
    for request in [
        "exclusive",
        "time-slicing:interval=short @1",
        "mps",
        "mig:7g.80gb @0",
        "mig:1g.10gb @1",
        "8x mig:1g.10gb @0",
    ] {
        let refusal = told(&site, &["plan", request], 3);
        assert_eq!(refusal["cause"], "gpus", "{refusal}");
        prepare(&site, "more", &[request], 3);
    }
    told(&site, &["mig", "profiles"], 0);
    told(&site, &["doctor", "--root", "/nonexistent"], 1);
}

#[test]
fn of_shares_under_mps() {
    let Some(site) = Site::new(&["--gpu", "H100-80GB:2", "--managed"]).lend_mps() else { return };
    prepare(&site, "a", &["mps:threads=60,memory=10Gi @0"], 0);
    prepare(&site, "b", &["mig:3g.40gb/mps:threads=50 @1"], 0);
    told(&site, &["claims"], 0);
    let status = told(&site, &["status"], 0);
    assert_eq!(status["gpus"][0]["sharing"]["mode"], "mps");
    let refusal = prepare(&site, "c", &["mps:threads=60 @0"], 3);
    assert_eq!(refusal["gpus"][0]["left_percent"], 40, "{refusal}");
    prepare(&site, "c", &["mps:memory=75Gi @0"], 3);
    prepare(&site, "c", &["mps @0", "--uid", "7"], 3);
    told(&site, &["doctor", "--root", "/nonexistent"], 1);
    site.divvy(&["release", "a", "b"]).done();
}

#[test]
fn of_gpus_that_others_use() {
    let site = Site::new(&["--gpu", "H100-80GB:4"]);
    site.node.change("process", &["0", "add", "4711"]);
    site.node.change("lose", &["1"]);
    site.node.change("mig", &["2", "on"]);
    site.node.change("mig", &["2", "create", "1g.10gb@0"]);
    let status = told(&site, &["status"], 0);
    assert_eq!(status["gpus"][0]["unclaimed_processes"][0], 4711);
    assert_eq!(status["unusable"][0]["index"], 1);
    let plan = told(&site, &["plan", "time-slicing @0"], 0);
    assert_eq!(plan["notes"][0]["note"], "foreign-processes");
    for request in ["exclusive @1", "exclusive @0", "mps @0", "exclusive @2", "mig:1g.10gb @3"] {
        told(&site, &["plan", request], 3);
    }
    told(&site, &["mig", "profiles"], 0);
    told(&site, &["mig", "export"], 0);
}

#[test]
fn of_containers_that_were_not_started() {
    let site = Site::new(&["--gpu", "T4"]);
    let host = site.node.host();
    let refused = |id: &str| Refused::new(id.parse::<ClaimId>().unwrap(), "no GPU here is 7");
    refused("c1").keep(&host).unwrap();
    let known = Refused {
        container: Some("0123456789abcdef".into()),
        requests: Some("exclusive @7".into()),
        ..refused("c2")
    };
    known.keep(&host).unwrap();
    let list = told(&site, &["claims", "--refused"], 0);
    assert_eq!(list.as_array().unwrap().len(), 2);
}

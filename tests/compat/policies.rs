//! Each policy of the configuration holds.

use super::{answer, run, start, stderr};
use crate::common::node::{self, Node};
use std::fs;

fn configured(text: &str) -> Node {
    let node = node::create(&["--gpu", "H100-80GB", "--no-nodes"]);
    fs::write(node.host().config, text).unwrap();
    node
}

#[track_caller]
fn refused(node: &Node, request: &str, words: &str) {
    let output = run(node.divvy().args(["plan", request]));
    assert_eq!(output.status.code(), Some(3), "{request}: {}", stderr(&output));
    assert!(stderr(&output).contains(words), "{request}: {}", stderr(&output));
}

#[test]
fn modes_that_policy_keeps_away() {
    let node = configured("gpus: [{match: '*', modes: [time-slicing]}]\n");
    answer(node.divvy().args(["plan", "time-slicing"]));
    for request in ["exclusive", "mps", "mig:1g.10gb"] {
        refused(&node, request, "policy doesn't allow");
    }
}

#[test]
fn mig_mode_that_policy_leaves() {
    refused(
        &configured("gpus: [{match: '*', managed: true}]\n"),
        "mig:1g.10gb",
        "divvy may not turn it on",
    );
    let managed = configured("gpus: [{match: '*', managed: true, mig-mode: enable}]\n");
    assert!(answer(managed.divvy().args(["plan", "mig:1g.10gb"])).contains("MIG mode"));
}

#[test]
fn no_more_claims_than_policy_lets_in() {
    let node = configured("gpus: [{match: '*', claims: 2, replicas: 4}]\n");
    for claim in ["a", "b"] {
        assert!(start(&node, claim, "time-slicing", 0).status.success());
    }
    let output = start(&node, "c", "time-slicing", 0);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("at most 2 claims"), "{}", stderr(&output));
}

#[test]
fn nothing_but_shares_where_policy_says_so() {
    let node =
        configured("gpus: [{match: '*', only-shares: true}]\nshares: {notebook: time-slicing}\n");
    refused(&node, "time-slicing", "nothing but named shares");
    refused(&node, "time-slicing @0 as nvidia.com/gpu=0::0", "no share of that name");
    answer(node.divvy().args(["plan", "notebook"]));
}

#[test]
fn a_share_is_for_its_users() {
    let node = configured(
        "shares:\n  notebook: {request: time-slicing, users: [1000], groups: [50]}\n  all: exclusive\n",
    );
    let asked = "time-slicing as notebook";
    let output = start(&node, "a", asked, 1001);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("not for uid 1001"), "{}", stderr(&output));
    assert_eq!(
        start(&node, "a", asked, 0).status.code(),
        Some(3),
        "root in a container is not root"
    );
    assert!(start(&node, "b", asked, 1000).status.success());
    let sudo = |uid: &str, gid: &str| {
        run(node.divvy().args(["plan", "notebook"]).env("SUDO_UID", uid).env("SUDO_GID", gid))
    };
    assert!(sudo("1000", "1").status.success() && sudo("7", "50").status.success());
    assert_eq!(sudo("7", "7").status.code(), Some(3));
    answer(node.divvy().args(["plan", "notebook"]));
    // A name says what the configuration says, whoever writes it down.
    let output = start(&node, "d", "exclusive as notebook", 1000);
    assert!(stderr(&output).contains("that share is time-slicing"), "{}", stderr(&output));
    let output = start(&node, "e", "exclusive as nobody", 1000);
    assert!(stderr(&output).contains("no share of that name"), "{}", stderr(&output));
}

#[test]
fn a_share_is_a_cdi_device_that_asks_by_its_name() {
    let node = configured("shares: {notebook: 'mig:1g.10gb/time-slicing'}\n");
    let spec = answer(node.divvy().args(["cdi", "generate", "--requests", "--hook-path", "/h"]));
    assert!(spec.contains("--request=mig:1g.10gb/time-slicing as notebook"), "{spec}");
}

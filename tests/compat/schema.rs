//! The published schemas agree with what is read: what one takes, the other does.

use super::{answer, article, run};
use crate::common::node::{self, Node};
use crate::common::schema::allows;
use divvy::config::Config;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn schema(node: &Node, kind: &str) -> Value {
    serde_json::from_str(&answer(node.divvy().args(["config", "schema", "--kind", kind]))).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

const FULL: &str = "gpus:\n- {match: 0, managed: true, modes: [mps, mig], replicas: 8, claims: 3, only-shares: true, mig-mode: enable, compute-mode: exclusive, oversubscribe: true, require: {memory: daemon, compute: client}}\n\
shares: {a: mps, b: {request: {mode: mig, profile: 1g.10gb, sharing: mps, memory: 1Gi}, users: [1], groups: [2]}}\n\
cdi-names: [mps @0]\nmig-strategy: mixed\nresources: [{name: gpu, kind: gpu.shared, mode: mps, replicas: 2, devices: [0, '0:1'], one-per-claim: true}, {name: mig-1g.10gb, mode: time-slicing, replicas: 4, devices: 2}]\n\
requests: {from-environment: true}\nhost: {driver-root: /x}\nruntime: crun\n";

#[test]
fn the_configuration() {
    let node = node::create(&["--gpu", "T4"]);
    let schema = schema(&node, "config");
    let read = |text: &str| Config::parse(text, Path::new("c")).is_ok();
    for (text, right) in [
        (FULL.to_owned(), true),
        ("{}".to_owned(), true),
        (FULL.replace("managed", "manage"), false),
        (FULL.replace("mig-mode: enable", "mig-mode: 'on'"), false),
        (FULL.replace("users: [1]", "users: [root]"), false),
        (FULL.replace("mode: mps, replicas: 2", "replicas: 2"), false),
        (FULL.replace("modes: [mps, mig]", "modes: mps"), false),
        (FULL.replace("driver-root", "driver_root"), false),
        (FULL.replace("devices: 2", "devices: two"), false),
    ] {
        assert_eq!((read(&text), allows(&schema, &yaml(&text))), (right, right), "{text}");
    }
}

#[test]
fn the_files_of_others() {
    let node = node::create(&["--gpu", "H100-80GB"]);
    let plugin = schema(&node, "device-plugin");
    for name in ["time-slicing.yaml", "mig-time-slicing.yaml", "mps.yaml"] {
        let map = yaml(&fs::read_to_string(article(name)).unwrap());
        let inner = map["data"]["any"].as_str().unwrap().to_owned();
        assert!(allows(&plugin, &yaml(&inner)), "{name}");
        assert!(!allows(&plugin, &yaml(&inner.replace("replicas", "replica"))), "{name}");
    }
    let claims = schema(&node, "resource-claim");
    let templates = fs::read_to_string(article("claim-templates.yaml")).unwrap();
    let first = templates.split("---").next().unwrap();
    let file = node.dir().join("claim.yaml");
    for (text, right) in [
        (first.to_owned(), true),
        (first.replace("deviceClassName", "deviceClass"), false),
        (first.replace("mig.nvidia.com", "tpu.google.com"), false),
        (format!("{first}      constraints: [{{matchAttribute: a}}]\n"), false),
    ] {
        fs::write(&file, &text).unwrap();
        let code = run(node.divvy().args(["plan", "--file"]).arg(&file)).status.code();
        // Exit code 2 is a file that can't be read; that the GPU's MIG mode is off is another answer.
        assert_eq!(code != Some(2), right, "{text}");
        assert_eq!(allows(&claims, &yaml(&text)), right, "{text}");
    }
}

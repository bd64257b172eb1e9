//! podman's filter.

use super::{Ground, bytes, config, paths, said};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::Output;

fn precreate(ground: &Ground, config: &[u8]) -> Output {
    fs::write(ground.path("stdin"), config).unwrap();
    ground.script("exec bin/divvy-hook precreate", File::open(ground.path("stdin")).unwrap().into())
}

#[test]
fn what_asks_for_nothing_passes_byte_for_byte() {
    let ground = Ground::new("");
    let odd = b"{ \"b\" : 1,\n\t\"a\":[1.50, \"\\u00e9\\/\"] }\n";
    let mut device = config(json!({"io.container.manager": "libpod"}));
    device["hooks"] = json!({"createContainer": [{"path": ground.path("bin/divvy-hook"), "args": ["divvy-hook", "create-container"]}]});
    for passed in [&odd[..], b"", b"no JSON \xff\0", &bytes(&device), &vec![b'x'; 1 << 20]] {
        let output = precreate(&ground, passed);
        assert!(output.status.success() && output.stdout == passed, "{}", said(&output));
    }
}

#[test]
fn what_asks_gets_its_devices_and_a_claim_to_bind() {
    let ground = Ground::new("");
    let output = precreate(&ground, &bytes(&config(json!({"divvy.request": "mig:2g.20gb"}))));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
    let edited: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(edited["x-vendor"], config(json!({}))["x-vendor"]);
    assert!(paths(&edited, "/linux/devices").iter().any(|path| path.contains("nvidia-cap")));
    let claim = edited["annotations"]["divvy.claim"].as_str().unwrap();
    assert!(ground.claims().contains(claim), "{}", ground.claims());
}

#[test]
fn a_refusal_goes_into_a_hook_that_tells_it() {
    let ground = Ground::new("");
    for (request, words) in [("exclusive @7", "no GPU here is 7"), ("mpz", "is 'mps' meant?")] {
        let output = precreate(&ground, &bytes(&config(json!({"divvy.request": request}))));
        assert!(output.status.success(), "{}", said(&output));
        let edited: Value = serde_json::from_slice(&output.stdout).unwrap();
        let args = &edited["hooks"]["createRuntime"][0]["args"];
        let id = args[2].as_str().unwrap().strip_prefix("--refused-id=").unwrap();
        let kept =
            divvy::refused::Refused::read(&ground.node.host(), &id.parse().unwrap()).unwrap();
        assert!(kept.message.contains(words), "{}", kept.message);
        assert_eq!(ground.claims(), "no claims\n");
    }
    let told = |form: &str| {
        let mut command = ground.node.divvy();
        let output = command.args(["claims", "--refused", "--output", form]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let table = told("table");
    assert!(table.starts_with("WHEN"), "{table}");
    let line = table.lines().nth(2).unwrap();
    assert!(line.contains("exclusive @7") && line.contains("no GPU here is 7"), "{table}");
    let list: Value = serde_json::from_str(&told("json")).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[1]["requests"], "exclusive @7");
}

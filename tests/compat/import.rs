//! `divvy import`, and the CDI devices of what it prints.

use super::{answer, article, configure, requests, run, stderr};
use crate::common::node::{self, Node};
use divvy::config::Config;
use std::fs;
use std::path::Path;

fn import(node: &Node, words: &[&str]) -> (String, String, Option<i32>) {
    let output = run(node.divvy().arg("import").args(words));
    let said = stderr(&output);
    (String::from_utf8(output.stdout).unwrap(), said, output.status.code())
}

#[test]
fn what_is_printed_means_what_was_read() {
    let node = node::create(&["--gpu", "T4"]);
    let folder = article("");
    for name in
        ["time-slicing.yaml", "time-slicing-several.yaml", "mig-time-slicing.yaml", "mps.yaml"]
    {
        let path = folder.join(name);
        let (printed, _, code) = import(&node, &[path.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{name}");
        let direct = Config::load(&path).unwrap();
        let imported = Config::parse(&printed, Path::new("printed.yaml")).unwrap();
        assert_eq!(Config { notes: vec![], ..direct }, imported, "{name}: {printed}");
    }
    let (printed, _, _) = import(&node, &[folder.join("mps.yaml").to_str().unwrap()]);
    let body = printed.lines().skip(1).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(body);
}

const TWO: &str = "kind: ConfigMap\ndata:\n  any: |\n    version: v1\n    sharing:\n      timeSlicing: {resources: [{name: gpu, replicas: 4}]}\n  \
                   tesla-t4: |\n    version: v1\n    flags: {gdsEnabled: true, nvidiaDriverRoot: /run/nvidia/driver}\n    sharing:\n      mps: {renameByDefault: true, resources: [{name: gpu, devices: [1], replicas: 2}]}\n";

#[test]
fn a_configuration_is_chosen_by_name_or_by_the_nodes_label() {
    let node = node::create(&["--gpu", "T4"]);
    let file = node.dir().join("plugin.yaml");
    fs::write(&file, TWO).unwrap();
    let file = file.to_str().unwrap();
    let (_, said, code) = import(&node, &[file]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("any, tesla-t4"), "{said}");
    let by_name = import(&node, &[file, "--config-name", "tesla-t4"]);
    let label = ["--node-label", "a=b", "--node-label", "nvidia.com/device-plugin.config=tesla-t4"];
    assert_eq!(import(&node, &[&[file], &label[..]].concat()), by_name);
    assert!(by_name.1.contains("nvidia-ctk cdi generate --mode gds"), "{}", by_name.1);
    assert!(by_name.0.contains("kind: nvidia.com/gpu.shared"), "{}", by_name.0);
    assert!(by_name.0.contains("driver-root: /run/nvidia/driver"), "{}", by_name.0);
    let (_, said, code) = import(&node, &[file, "--node-label", "a=b"]);
    assert_eq!(code, Some(2), "{said}");
    let out = node.dir().join("out.yaml");
    let written = [file, "--config-name", "any", "--output-file", out.to_str().unwrap()];
    assert_eq!(import(&node, &written).2, Some(0));
    assert_eq!(import(&node, &written).2, Some(0), "the same again changes nothing");
    fs::write(&out, "gpus: []\n").unwrap();
    assert_eq!(import(&node, &written).2, Some(3));
    assert_eq!(fs::read_to_string(&out).unwrap(), "gpus: []\n");
    assert_eq!(import(&node, &[&written[..], &["--force"]].concat()).2, Some(0));
}

#[test]
fn each_device_selector_chooses() {
    let node = node::create(&["--gpu", "T4:3"]);
    let inventory =
        divvy::inventory::read(&node.session(), divvy::inventory::Scope::Devices).unwrap();
    let uuid = &inventory.gpus[2].uuid;
    for (devices, names) in [
        ("all", vec!["0::0", "0::1", "1::0", "1::1", "2::0", "2::1"]),
        ("2", vec!["0::0", "0::1", "1::0", "1::1"]),
        ("[1]", vec!["1::0", "1::1"]),
        (&format!("['0', {uuid}]"), vec!["0::0", "0::1", "2::0", "2::1"]),
    ] {
        let text = format!(
            "version: v1\nsharing:\n  timeSlicing:\n    resources: [{{name: gpu, replicas: 2, devices: {devices}}}]\n"
        );
        fs::write(node.host().config, text).unwrap();
        let found: Vec<String> = requests(&node, "gpu").into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, names, "{devices}");
    }
}

#[test]
fn refresh_keeps_a_file_for_each_kind_and_no_device_twice() {
    let node = node::create(&["--gpu", "H100-80GB:2", "--mig", "on"]);
    for gpu in ["0", "1"] {
        node.change("mig", &[gpu, "create", "1g.10gb"]);
        node.change("mig", &[gpu, "create", "3g.40gb"]);
    }
    node.change("caps", &[]);
    let refresh =
        || answer(node.divvy().args(["cdi", "refresh", "--hook-path", "/usr/bin/divvy-hook"]));
    let mixed = |devices: &str| {
        format!(
            "version: v1\nflags: {{migStrategy: mixed}}\nsharing:\n  timeSlicing:\n    renameByDefault: true\n    resources: [{{name: mig-1g.10gb, replicas: 2, devices: {devices}}}]\n"
        )
    };
    fs::write(node.host().config, mixed("['0:0']")).unwrap();
    refresh();
    let list = answer(node.divvy().args(["cdi", "list"]));
    for name in [
        "nvidia.com/gpu=0:0::0 ",
        "nvidia.com/gpu=0:1 ",
        "nvidia.com/gpu=1:0 ",
        "nvidia.com/mig-1g.10gb.shared=0:0::1 ",
        "nvidia.com/mig-1g.10gb=1:0 ",
        "nvidia.com/mig-3g.40gb=0:1 ",
    ] {
        assert!(list.contains(name), "{name}: {list}");
    }
    assert!(
        !list.contains("nvidia.com/gpu=0:0 "),
        "a shared device is not had past its replicas: {list}"
    );
    let conflicts = run(node.divvy().args(["cdi", "list"]));
    assert_eq!(stderr(&conflicts), "", "no device is defined twice");
    let folder = node.host().cdi_dirs[0].clone();
    let shared = folder.join("divvy-resource_mig-1g.10gb.shared.json");
    let checked = run(node.divvy().args(["cdi", "validate"]).arg(&shared));
    let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &stderr(&checked);
    assert!(said.contains("nvidia.com/gpu") && said.contains("0.6.0"), "{said}");
    configure(&node, "time-slicing.yaml");
    refresh();
    assert!(!shared.exists(), "a file of a resource that is gone is removed");
    assert!(folder.join("divvy-gpu.json").exists());
}

#[test]
fn what_a_node_can_not_have_is_an_error() {
    let node = node::create(&["--gpu", "H100-80GB:2", "--mig", "on"]);
    node.change("mig", &["0", "create", "1g.10gb"]);
    node.change("mig", &["1", "create", "3g.40gb"]);
    configure(&node, "mig-time-slicing.yaml");
    let output = run(node.divvy().args(["cdi", "generate"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("single wants every GPU cut"), "{}", stderr(&output));
    let both = "version: v1\nsharing:\n  timeSlicing: {resources: [{name: gpu, devices: [0], replicas: 2}]}\n  mps: {resources: [{name: gpu, devices: 1, replicas: 2}]}\n";
    let node = node::create(&["--gpu", "T4:2"]);
    fs::write(node.host().config, both).unwrap();
    let output = run(node.divvy().args(["cdi", "generate"]));
    assert!(stderr(&output).contains("device 0 is shared twice"), "{}", stderr(&output));
}

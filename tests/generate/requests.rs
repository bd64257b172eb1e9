//! `divvy cdi generate --requests`: names that people type, served when a container starts.

use super::{assert_fails, generate, list, names, spec, stderr, succeed};
use crate::common::node::{self, Node};
use divvy::request::Request;
use std::fs;
use std::process::Command;

fn requests(node: &Node) -> Command {
    let mut command = generate(node);
    command.arg("--requests");
    command
}

#[test]
fn every_name_is_the_request_that_its_hook_carries() {
    let node = node::create(&["--gpu", "H100-80GB:1", "--gpu", "A30-24GB:1", "--gpu", "T4:1"]);
    let spec = spec(&mut requests(&node));
    assert_eq!(spec.kind.to_string(), "divvy/gpu");
    assert!(spec.cdi_version <= cdi::Version::V0_5, "{:?}", spec.cdi_version);
    for device in &spec.devices {
        let edits = &device.container_edits;
        let request = Request::from_cdi_name(device.name.as_str()).unwrap();
        assert_eq!(
            edits.hooks[0].args[1..],
            ["create-runtime".into(), format!("--request={request}")]
        );
        assert_eq!(edits.hooks[1].args[1..], ["poststop"]);
        assert!(edits.device_nodes.is_empty(), "{}", device.name);
        let mps = request.to_string().contains("mps");
        assert_eq!(
            edits.env.iter().any(|env| env == "CUDA_MPS_PIPE_DIRECTORY=/tmp/nvidia-mps"),
            mps
        );
    }
    let all = spec.devices.iter().flat_map(|device| &device.container_edits.hooks);
    assert!(all.chain(&spec.container_edits.hooks).all(|hook| !hook.env.is_empty()));
    assert!(spec.container_edits.env.contains(&"NVIDIA_VISIBLE_DEVICES=void".to_owned()));
    let names = names(&spec);
    for name in [
        "exclusive",
        "time-slicing",
        "time-slicing-long",
        "mps",
        "mps-25",
        "mig-1g.10gb",
        "mig-1g.10gb.me",
        "mig-1g.6gb",
        "mig-3g.40gb.mps-50",
        "mig-3g.40gb.time-slicing",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(names.len() <= 200, "{}", names.len());
}

#[test]
fn the_configuration_names_shares_and_pinned_requests_first() {
    let node = node::create(&["--gpu", "H100-80GB:1"]);
    let config = node.host().config;
    fs::write(
        &config,
        "shares: {notebook: '2x mps:memory=1Gi'}\ncdi-names: ['mig:1g.10gb @0', mps]\n",
    )
    .unwrap();
    let described = spec(&mut requests(&node));
    assert_eq!(names(&described)[..3], ["notebook", "0:mig-1g.10gb", "mps"]);
    assert_eq!(names(&described).iter().filter(|name| **name == "mps").count(), 1);
    let notebook = &described.devices[0].container_edits;
    assert_eq!(notebook.hooks[0].args[2], "--request=2x mps:memory=1Gi as notebook");
    assert!(notebook.env.contains(&"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=1024M,1=1024M".to_owned()));

    let many = |count: usize| {
        let shares: String = (0..count).map(|n| format!("  s{n}: mps\n")).collect();
        fs::write(&config, format!("shares:\n{shares}")).unwrap();
    };
    many(190);
    let output = succeed(&mut requests(&node));
    assert!(stderr(&output).contains("combined requests have no name"), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(cdi::parse(&text).unwrap().devices.len(), 200);
    many(201);
    assert_fails(&mut requests(&node), 1, &["names 201 requests", "at most 200"]);
}

#[test]
fn what_requests_need_is_not_left_out() {
    let node = node::create(&["--gpu", "H100-80GB:1"]);
    assert_fails(requests(&node).args(["--disable-hook", "all"]), 1, &["--disable-hook"]);
    assert_fails(requests(&node).args(["--device-id", "0"]), 2, &["--requests", "--device-id"]);
    node.change("lose", &["0"]);
    assert_fails(&mut requests(&node), 1, &["no GPU answers"]);
}

/// What `divvy cdi refresh` with these options prints.
fn refresh(node: &Node, options: &[&str]) -> String {
    let mut command = node.divvy();
    command.args(["cdi", "refresh", "--hook-path", "/usr/bin/divvy-hook"]).args(options);
    String::from_utf8(succeed(&mut command).stdout).unwrap()
}

#[test]
fn refresh_keeps_both_files() {
    let node = node::create(&["--gpu", "H100-80GB:1"]);
    let folder = node.host().cdi_dirs[0].clone();
    assert!(refresh(&node, &["--requests"]).contains("divvy-requests.json: created"));
    assert_eq!(list(&folder), ["divvy-requests.json"]);
    let both = refresh(&node, &[]);
    assert!(both.contains("divvy-gpu.json: created"), "{both}");
    assert!(both.contains("divvy-requests.json: unchanged"), "{both}");
    // A new boot, a new share: whoever runs it again has both.
    fs::write(node.host().config, "shares: {notebook: mps}\n").unwrap();
    assert!(refresh(&node, &[]).contains("divvy-requests.json: replaced\nadded: notebook\n"));
    fs::remove_dir_all(&folder).unwrap();
    refresh(&node, &[]);
    assert_eq!(list(&folder), ["divvy-gpu.json", "divvy-requests.json"]);
}

#[test]
fn requests_are_served_beside_another_tool_s_devices() {
    let node = node::create(&["--gpu", "H100-80GB:1"]);
    let folder = node.host().cdi_dirs[0].clone();
    let theirs = folder.join("nvidia.yaml");
    succeed(node.divvy().args(["cdi", "generate", "--output"]).arg(&theirs));
    assert_fails(node.divvy().args(["cdi", "refresh"]), 3, &["nvidia.yaml", "already"]);
    assert_eq!(list(&folder), ["divvy-requests.json", "nvidia.yaml"]);
}

#[test]
fn what_is_kept_can_be_taken_away() {
    let node = node::create(&["--gpu", "H100-80GB:1"]);
    let folder = node.host().cdi_dirs[0].clone();
    refresh(&node, &[]);
    succeed(node.divvy().args(["prepare", "time-slicing", "--claim", "job"]));
    fs::write(folder.join("divvy-resource_gpu.shared.json"), "{}").unwrap();
    // Not kept by divvy: one that was written there by hand with its hook, and another tool's.
    succeed(node.divvy().args(["cdi", "generate", "--output"]).arg(folder.join("own.yaml")));
    fs::write(folder.join("other.json"), "{}").unwrap();
    let before = list(&folder);
    let would = refresh(&node, &["--remove", "--dry-run"]);
    assert_eq!(would.matches("would be removed").count(), 4, "{would}");
    assert_eq!(list(&folder), before);
    let output = succeed(node.divvy().args(["cdi", "refresh", "--remove"]));
    assert_eq!(String::from_utf8_lossy(&output.stdout).matches(": removed").count(), 4);
    let said = stderr(&output);
    assert!(said.contains("own.yaml has divvy's hook") && !said.contains("other.json"), "{said}");
    assert_eq!(list(&folder), ["other.json", "own.yaml"]);
    assert_eq!(refresh(&node, &["--remove"]), "no CDI file of divvy's is here\n");
}

//! `divvy-runtime` and `divvy-hook precreate`, the built programs, on simulated nodes: what they do to a
//! container's configuration before any runtime sees it. In place of runc stands a script that keeps what it
//! is given.
//!
//! They know one configuration, `/etc/divvy/config.yaml`: each test has a mount namespace with an /etc and a
//! /run of its own.

mod document;
mod hostile;
mod precreate;
mod replicas;
mod runtime;

use crate::common::node::{self, Node};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A node, divvy's programs in one folder, and a bundle.
struct Ground {
    dir: TempDir,
    node: Node,
}

/// Stands where runc does.
const RUNTIME: &str = r#"#!/bin/bash
cd "$(dirname "$0")/.."
printf '%s\0' "${0##*/}" "$@" >args
env -0 >env
cp bundle/config.json seen.json
"#;

impl Ground {
    /// Two H100s that divvy manages; `config` is what the configuration says besides.
    fn new(config: &str) -> Ground {
        let (dir, node) =
            (tempfile::tempdir().unwrap(), node::create(&["--gpu", "H100-80GB:2", "--managed"]));
        let ground = Ground { dir, node };
        for folder in ["bin", "bundle/rootfs", "up", "work"] {
            fs::create_dir_all(ground.path(folder)).unwrap();
        }
        let hook = crate::hook::hook();
        fs::copy(hook, ground.path("bin/divvy-hook")).unwrap();
        fs::copy(hook.with_file_name("divvy-runtime"), ground.path("bin/divvy-runtime")).unwrap();
        // A link's target is another folder, where no hook is: the program must be here itself.
        fs::hard_link(env!("CARGO_BIN_EXE_divvy"), ground.path("bin/divvy"))
            .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_divvy"), ground.path("bin/divvy")).map(drop))
            .unwrap();
        let runtime = ground.path("bin/runtime");
        fs::write(&runtime, RUNTIME).unwrap();
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
        let managed = fs::read_to_string(ground.node.host().config).unwrap();
        let named = if config.contains("runtime:") {
            String::new()
        } else {
            format!("runtime: {}\n", runtime.display())
        };
        fs::write(ground.path("config.yaml"), format!("{managed}{named}{config}")).unwrap();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A bash script in the ground's namespace; `$G` is its folder.
    fn script(&self, script: &str, stdin: Stdio) -> Output {
        let furnish = r#"set -e
            mount -t tmpfs tmpfs /run
            mount -t tmpfs tmpfs "$G/up"; mkdir "$G/up/up" "$G/up/work"
            mount -t overlay -o "lowerdir=/etc,upperdir=$G/up/up,workdir=$G/up/work" overlay /etc
            mkdir -p /etc/divvy; cp "$G/config.yaml" /etc/divvy/config.yaml
            cd "$G"; set +e
        "#;
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-c",
            &format!("{furnish}\n{script}"),
        ]);
        command.env("G", self.dir.path()).stdin(stdin).output().unwrap()
    }

    /// `divvy-runtime create` of a bundle with this configuration, then `after`.
    fn create(&self, config: &[u8], after: &str) -> Output {
        fs::write(self.path("bundle/config.json"), config).unwrap();
        let create = "bin/divvy-runtime --log \"$G/log.json\" --log-format json create --bundle \"$G/bundle\" c1";
        self.script(&format!("{create}; code=$?; {after}\nexit $code"), Stdio::null())
    }

    /// What the runtime was given; `None` where it wasn't run.
    fn seen(&self) -> Option<Value> {
        let text = fs::read(self.path("seen.json")).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// The claims, as `divvy claims` shows them.
    fn claims(&self) -> String {
        let output = self.node.divvy().arg("claims").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A configuration with things in it that nobody knows.
fn config(annotations: Value) -> Value {
    json!({
        "ociVersion": "1.2.0", "x-vendor": {"deep": [1, {"a": null}]},
        "process": {"args": ["sh"], "env": ["PATH=/bin", "NVIDIA_VISIBLE_DEVICES=all"], "futureField": true},
        "root": {"path": "rootfs"}, "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "new": 1}],
        "linux": {"resources": {"devices": [{"allow": false, "access": "rwm"}]}, "newThing": {}},
        "annotations": annotations,
    })
}

fn bytes(config: &Value) -> Vec<u8> {
    serde_json::to_vec(config).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A failure is one sentence on stderr.
#[track_caller]
fn assert_sentence(output: &Output, program: &str, words: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with(&format!("{program}: ")) && said.contains(words),
        "no {words:?} in {said}"
    );
    assert_eq!(said.matches('\n').count(), 1, "{said}");
}

fn paths<'a>(config: &'a Value, pointer: &str) -> Vec<&'a str> {
    let entries = config.pointer(pointer).and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(|entry| entry["path"].as_str()).collect()
}

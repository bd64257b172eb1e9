//! A machine in order: a simulated node, and a root around it with an engine, control groups and users' ids.
//!
//! CDI files name paths as the machine has them, which are below the root for this one: as for a divvy in a container.

use crate::claims::site::Site;
use serde_json::Value;
use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// divvy's units, and what wants them.
pub(super) const UNITS: [(&str, &str); 3] = [
    ("divvy-cdi-refresh.service", "multi-user.target"),
    ("divvy-cdi-refresh.path", "multi-user.target"),
    ("divvy-reconcile.timer", "timers.target"),
];

pub(super) struct Machine {
    pub(super) site: Site,
    root: PathBuf,
    memory: TempDir,
    env: RefCell<Vec<(String, String)>>,
}

impl Machine {
    /// Nothing is wrong on it.
    pub(super) fn new() -> Machine {
        Machine::with(Site::new(&["--gpu", "H100-80GB:2", "--managed"]))
    }

    pub(super) fn with(mut site: Site) -> Machine {
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        site.node.keep_state_in(&memory.path().join("divvy"));
        let root = site.node.dir().parent().unwrap().to_owned();
        let machine = Machine { site, root, memory, env: RefCell::default() };
        machine.engine("podman", "podman version 5.4.2");
        machine.write("usr/bin/divvy-hook", "");
        let hook = include_str!("../../packaging/hooks.d/divvy.json");
        machine.write("usr/share/containers/oci/hooks.d/divvy.json", hook);
        machine.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        for file in ["etc/subuid", "etc/subgid"] {
            machine.write(file, "user:100000:65536\n");
        }
        for (unit, target) in UNITS {
            machine.write(&format!("usr/lib/systemd/system/{unit}"), "");
            machine.write(&format!("etc/systemd/system/{target}.wants/{unit}"), "");
        }
        machine.write("proc/sys/user/max_user_namespaces", "15000\n");
        fs::create_dir_all(machine.root("run/systemd/system")).unwrap();
        let hook = ["--hook-path", "/usr/bin/divvy-hook"];
        machine
            .site
            .divvy(&[&["cdi", "refresh", "--no-additional-gids"], &hook[..]].concat())
            .done();
        machine.site.divvy(&[&["cdi", "refresh", "--requests"], &hook[..]].concat()).done();
        for name in ["divvy-gpu.json", "divvy-requests.json"] {
            machine.as_below_the_root(&machine.cdi(name));
        }
        machine
    }

    /// Lets a CDI file name paths as they are for the machine.
    pub(super) fn as_below_the_root(&self, file: &Path) {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text.replace(self.root.to_str().unwrap(), "")).unwrap();
    }

    pub(super) fn root(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(super) fn dev(&self, name: &str) -> PathBuf {
        self.site.node.dir().join("dev").join(name)
    }

    pub(super) fn cdi(&self, name: &str) -> PathBuf {
        self.site.node.dir().join("cdi").join(name)
    }

    /// Writes a file below the root.
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.root(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// An engine's program that says its version.
    pub(super) fn engine(&self, program: &str, version: &str) {
        let path = format!("usr/bin/{program}");
        self.write(&path, &format!("#!/bin/sh\necho '{version}'\n"));
        fs::set_permissions(self.root(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A process that doctor sees: its words and its environment.
    pub(super) fn process(&self, pid: u32, words: &[&str], environment: &[&str]) {
        let line =
            |words: &[&str]| words.iter().map(|word| format!("{word}\0")).collect::<String>();
        self.write(&format!("proc/{pid}/cmdline"), &line(words));
        self.write(&format!("proc/{pid}/environ"), &line(environment));
    }

    /// Another value of a variable, for the commands that follow.
    pub(super) fn env(&self, name: &str, value: &str) {
        self.env.borrow_mut().push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn doctor(&self, arguments: &[&str]) -> Output {
        let mut command = self.site.command(&["doctor", "--root"]);
        command.arg(&self.root).args(arguments);
        command.envs(self.env.borrow().iter().cloned()).output().unwrap()
    }

    pub(super) fn report(&self) -> Value {
        let output = self.doctor(&["--output", "json"]);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Everything found, as lines, with what differs from run to run named.
    pub(super) fn found(&self, name: &str) -> Option<String> {
        let finding = self.findings().into_iter().find(|finding| finding["name"] == name)?;
        let part = |key: &str| finding[key].as_str().unwrap();
        let (level, what, how) = (part("level"), part("what"), part("how"));
        let mut text = format!("{name} ({level})\n  {what}\n  seen: {how}");
        for key in ["command", "advice"] {
            if let Some(mend) = finding[key].as_str() {
                text.push_str(&format!("\n  {key}: {mend}"));
            }
        }
        Some(self.masked(&text))
    }

    /// Every finding, as programs get it.
    pub(super) fn findings(&self) -> Vec<Value> {
        let report = self.report();
        let checks = report["checks"].as_array().unwrap().iter();
        checks.flat_map(|check| check["findings"].as_array().unwrap().clone()).collect()
    }

    /// Stdout and stderr, masked.
    pub(super) fn shown(&self, output: &Output) -> String {
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        self.masked(&text)
    }

    fn masked(&self, text: &str) -> String {
        let node = self.site.node.dir();
        let text = text.replace(node.to_str().unwrap(), "NODE");
        let text = text.replace(self.root.to_str().unwrap(), "ROOT");
        let text = text.replace(self.memory.path().to_str().unwrap(), "MEMORY");
        // Where the machine's own linker looks stands in it.
        let text = match text.split_once("(looked in ") {
            Some((before, after)) => {
                format!("{before}(looked in …){}", after.split_once(')').unwrap().1)
            }
            None => text,
        };
        let words = text.split_inclusive(|c: char| c.is_whitespace() || ",;:".contains(c));
        words.map(unnamed).collect()
    }
}

/// A word, with a UUID or a made-up id in it made the same on each run.
fn unnamed(word: &str) -> String {
    let end = word.trim_end_matches(|c: char| c.is_whitespace() || ",;:'".contains(c));
    let rest = &word[end.len()..];
    for kind in ["GPU-", "MIG-"] {
        if let Some((before, _)) = end.split_once(kind).filter(|(_, uuid)| uuid.len() == 36) {
            return format!("{before}{kind}…{rest}");
        }
    }
    let made_up = end.len() == 16 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    if made_up { format!("…{rest}") } else { word.to_owned() }
}

//! A simulated node that claims are made on, and all of it that a claim could change.

use crate::common::node::{self, Node};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A simulated node. Control daemons that were started on it end when this is dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) node: Node,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Said {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Said {
        Said {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same, where it went well.
    #[track_caller]
    pub(crate) fn done(self) -> Said {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// What it says, where it ended with that code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.stderr
    }

    /// The answer as a document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The devices that were granted, each MIG device or GPU by its UUID.
    #[track_caller]
    pub(crate) fn granted(&self) -> Vec<String> {
        let grant = self.json();
        let devices = grant["devices"].as_array().unwrap();
        let uuid = |device: &Value| {
            device.get("mig").unwrap_or_else(|| &device["gpu"]).as_str().unwrap().to_owned()
        };
        devices.iter().map(uuid).collect()
    }
}

impl Site {
    /// A node, as `fake-node create` makes it.
    pub(crate) fn new(arguments: &[&str]) -> Site {
        Site { node: node::create(arguments) }
    }

    /// A node in memory, where many are needed: nothing waits for a disk. Device nodes can't be opened there.
    pub(crate) fn in_memory(arguments: &[&str]) -> Site {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        Site { node: node::create_in(&folder, arguments) }
    }

    /// The command `divvy WORD…` on the node.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.node.divvy();
        command.args(words).stdin(Stdio::null());
        command
    }

    pub(crate) fn divvy(&self, words: &[&str]) -> Said {
        Said::of(self.command(words).output().unwrap())
    }

    /// `divvy prepare --claim ID --output json REQUEST…`
    pub(crate) fn prepare(&self, id: &str, requests: &[&str]) -> Said {
        self.divvy(&prepare_words(id, requests))
    }

    pub(crate) fn release(&self, id: &str) -> Said {
        self.divvy(&["release", id])
    }

    pub(crate) fn reconcile(&self) -> Said {
        self.divvy(&["reconcile"])
    }

    /// The phases of the claims, with their ids.
    pub(crate) fn phases(&self) -> Vec<(String, String)> {
        let claims = self.divvy(&["claims", "--output", "json"]).done().json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let claims = claims.as_array().unwrap().iter();
        claims.map(|claim| (text(&claim["id"]), text(&claim["phase"]))).collect()
    }

    /// The id of the GPU instance that was made for a claim.
    pub(crate) fn instance(&self, claim: &str) -> String {
        let state = self.node.host().state_dir;
        let read =
            |path: PathBuf| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let record = read(state.join(format!("claims/{claim}.json")));
        let device = record["parts"][0]["device"].as_str().unwrap().to_owned();
        let device = read(state.join(format!("devices/{device}.json")));
        let steps = device["steps"].as_array().unwrap();
        let id = steps.iter().find_map(|step| step["outcome"]["gpu-instance"].as_u64());
        id.unwrap().to_string()
    }

    /// All that a claim could change: instances and modes, records, CDI files, capability nodes, daemons.
    pub(crate) fn picture(&self) -> BTreeSet<String> {
        let shown = self.node.change("show", &[]);
        let mut picture: BTreeSet<String> = shown.lines().map(str::to_owned).collect();
        let host = self.node.host();
        let state = host.state_dir;
        for folder in ["claims", "devices", "gpus", "mps"] {
            files(&state.join(folder), &mut picture);
        }
        files(&host.cdi_dirs[0], &mut picture);
        for folder in ["nvidia-caps", "char"] {
            files(&host.dev_root.join("dev").join(folder), &mut picture);
        }
        picture.extend(self.daemons().iter().map(|daemon| format!("a process of {daemon:?}")));
        picture
    }

    /// Sees that the node is as it was.
    #[track_caller]
    pub(crate) fn same(&self, before: &BTreeSet<String>, what: &str) {
        let now = self.picture();
        let more: Vec<&String> = now.difference(before).collect();
        let less: Vec<&String> = before.difference(&now).collect();
        assert!(more.is_empty() && less.is_empty(), "{what}: left {more:#?}, missing {less:#?}");
    }

    /// Kills every control daemon and server of this node.
    pub(crate) fn kill_daemons(&self) {
        for (pid, _) in self.daemons() {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        while !self.daemons().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Processes whose environment names a pipe directory of this node: the pid and the daemon's folder.
    pub(super) fn daemons(&self) -> Vec<(u32, PathBuf)> {
        let own = self.node.host().state_dir.join("mps");
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid| {
            let pipe = pipe_of(pid)?;
            pipe.starts_with(&own).then(|| (pid, pipe.parent().unwrap().to_owned()))
        })
        .collect()
    }
}

/// The words of a preparation.
pub(crate) fn prepare_words<'a>(id: &'a str, requests: &[&'a str]) -> Vec<&'a str> {
    [&["prepare", "--claim", id, "--output", "json"], requests].concat()
}

fn pipe_of(pid: u32) -> Option<PathBuf> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let pipe = variables.find_map(|pair| pair.strip_prefix(b"CUDA_MPS_PIPE_DIRECTORY="))?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(pipe)))
}

/// Every file below a folder. Folders alone are nobody's.
fn files(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap().is_dir() {
            true => files(&path, into),
            false => drop(into.insert(path.display().to_string())),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let daemons = self.daemons();
        for (pid, _) in &daemons {
            let pid = rustix::process::Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        if !daemons.is_empty() {
            // They count in their cgroups for a moment after their end.
            std::thread::sleep(Duration::from_millis(50));
        }
        // Also of daemons that a test has killed itself.
        let folders = fs::read_dir(self.node.host().state_dir.join("mps")).into_iter().flatten();
        for folder in folders.flatten() {
            for mount in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
                let _ = fs::remove_dir(mount.path().join("divvy").join(folder.file_name()));
            }
        }
    }
}

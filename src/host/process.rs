//! Who is alive: processes by pid and start time, and the cgroups they live in.

use super::Host;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One process for good: a pid is used again, a pid with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProcessRef {
    /// The pid in `pid_namespace`.
    pub pid: u32,
    /// Clock ticks from boot to its start (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
    /// Inode of the pid namespace that `pid` counts in.
    pub pid_namespace: u64,
}

/// What can be known of a process from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It is gone, or a zombie.
    Dead,
    /// It was seen from another pid namespace: nothing can be decided.
    Unknown,
}

/// A cgroup by its folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Cgroup {
    /// The folder that holds `cgroup.procs`.
    pub folder: PathBuf,
}

impl Host {
    /// The process `pid` as it is now; `None` where there is none.
    pub fn process(&self, pid: u32) -> Option<ProcessRef> {
        let (start_time, alive) = stat(&self.processes, pid)?;
        alive.then_some(ProcessRef { pid, start_time, pid_namespace: self.pid_namespace()? })
    }

    /// This process.
    ///
    /// # Errors
    /// Where `/proc` is not mounted or belongs to another pid namespace.
    pub fn this_process(&self) -> io::Result<ProcessRef> {
        self.process(std::process::id()).ok_or_else(|| {
            let proc = self.processes.display();
            io::Error::other(format!(
                "{proc} does not show this process: mount the proc of its own pid namespace"
            ))
        })
    }

    /// Whether that process still runs.
    pub fn liveness(&self, process: &ProcessRef) -> Liveness {
        if self.pid_namespace() != Some(process.pid_namespace) {
            return Liveness::Unknown;
        }
        match stat(&self.processes, process.pid) {
            Some((start_time, true)) if start_time == process.start_time => Liveness::Alive,
            _ => Liveness::Dead,
        }
    }

    /// The cgroup of a process: the devices or pids hierarchy of version 1, else version 2's.
    /// `None` for a process in the root cgroup, which says nothing about it.
    pub fn cgroup_of(&self, pid: u32) -> Option<Cgroup> {
        let text = fs::read_to_string(self.processes.join(pid.to_string()).join("cgroup")).ok()?;
        let path_of = |controller: &str| {
            text.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                let (controllers, path) = rest.split_once(':')?;
                controllers.split(',').any(|name| name == controller).then_some(path)
            })
        };
        let folder = |mount: &str, controller: &str| {
            let path = path_of(controller)?.trim_start_matches('/');
            let inside = !path.is_empty()
                && !Path::new(path).components().any(|part| part.as_os_str() == "..");
            let folder = self.cgroups.join(mount).join(path);
            (inside && folder.is_dir()).then_some(Cgroup { folder })
        };
        folder("devices", "devices")
            .or_else(|| folder("pids", "pids"))
            .or_else(|| folder("", ""))
            .or_else(|| folder("unified", ""))
    }

    /// Whether a cgroup, or one below it, still holds a process. A cgroup that is gone holds none.
    pub fn populated(&self, cgroup: &Cgroup) -> bool {
        populated(&cgroup.folder)
    }

    /// Inode of the pid namespace that this process sees the others from.
    fn pid_namespace(&self) -> Option<u64> {
        fs::metadata(self.processes.join("self/ns/pid")).ok().map(|namespace| namespace.ino())
    }
}

/// Start time of a process, and whether it is more than a zombie.
fn stat(processes: &Path, pid: u32) -> Option<(u64, bool)> {
    let text = fs::read_to_string(processes.join(pid.to_string()).join("stat")).ok()?;
    // The name in parentheses may hold spaces and parentheses itself; the last one closes it.
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = fields.next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    Some((start_time, !matches!(state, "Z" | "X" | "x")))
}

fn populated(folder: &Path) -> bool {
    if fs::read(folder.join("cgroup.procs")).is_ok_and(|processes| !processes.is_empty()) {
        return true;
    }
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries
        .flatten()
        .any(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && populated(&entry.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let host = Host::default();
        let me = host.this_process().unwrap();
        assert_eq!(host.liveness(&me), Liveness::Alive);
        assert_eq!(
            host.liveness(&ProcessRef { start_time: me.start_time + 1, ..me }),
            Liveness::Dead
        );
        assert_eq!(host.liveness(&ProcessRef { pid_namespace: 1, ..me }), Liveness::Unknown);
    }

    #[test]
    fn a_zombie_is_dead() {
        let host = Host::default();
        let mut child = Command::new("true").spawn().unwrap();
        let process = ProcessRef { pid: child.id(), ..host.this_process().unwrap() };
        let zombie = || stat(&host.processes, process.pid).is_some_and(|(_, alive)| !alive);
        while !zombie() {
            std::thread::yield_now();
        }
        assert_eq!(host.process(process.pid), None);
        child.wait().unwrap();
    }

    #[test]
    fn a_cgroup_is_populated_by_a_process_in_a_child() {
        let root = tempfile::tempdir().unwrap();
        let child = root.path().join("pod/container");
        fs::create_dir_all(&child).unwrap();
        let host = Host::default();
        let pod = Cgroup { folder: root.path().join("pod") };
        fs::write(pod.folder.join("cgroup.procs"), "").unwrap();
        assert!(!host.populated(&pod));
        fs::write(child.join("cgroup.procs"), "42\n").unwrap();
        assert!(host.populated(&pod));
        assert!(!host.populated(&Cgroup { folder: root.path().join("gone") }));
    }

    #[test]
    fn the_cgroup_of_a_process_is_found_in_both_layouts() {
        let root = tempfile::tempdir().unwrap();
        let host = Host {
            processes: root.path().join("proc"),
            cgroups: root.path().join("cgroup"),
            ..Host::default()
        };
        fs::create_dir_all(host.processes.join("7")).unwrap();
        let says = |text: &str| {
            fs::write(host.processes.join("7/cgroup"), text).unwrap();
            host.cgroup_of(7)
                .map(|cgroup| cgroup.folder.strip_prefix(&host.cgroups).unwrap().to_owned())
        };
        fs::create_dir_all(host.cgroups.join("devices/a/b")).unwrap();
        assert_eq!(says("9:name=systemd:/\n5:devices:/a/b\n0::/\n"), Some("devices/a/b".into()));
        assert_eq!(says("0::/a/../../etc\n"), None);
        fs::create_dir_all(host.cgroups.join("c")).unwrap();
        assert_eq!(says("0::/c\n"), Some("c".into()));
        assert_eq!(says("5:devices:/\n0::/\n"), None);
    }
}

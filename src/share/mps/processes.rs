//! The processes of one control daemon: found by their environment, which names its pipe directory.
//!
//! So a daemon is found whatever became of whoever started it, and no other daemon is taken for it.

use super::folder::Folder;
use crate::host::{Host, Liveness, ProcessRef};
use crate::share::bounded::Watch;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

/// The name of the launcher's subcommand, which stands in its command line.
pub const LAUNCH: &str = "mps-launch";

/// What a process is to a control daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The daemon, or the launcher that is about to become it.
    Daemon,
    /// A server that it started. It outlives a daemon that is killed (535 and 550, tried).
    Server,
}

/// A living process of a control daemon.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) process: ProcessRef,
    pub(super) role: Role,
    watch: Watch,
}

impl Member {
    pub(super) fn ended(&self, deadline: Instant) -> bool {
        self.watch.ended(deadline).unwrap_or(false)
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        self.watch.signal(signal)
    }
}

/// Every living process of that folder's daemon.
pub(super) fn members(host: &Host, folder: &Folder) -> io::Result<Vec<Member>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(&host.processes)? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok());
        found.extend(pid.and_then(|pid| member(host, folder, pid)));
    }
    Ok(found)
}

fn member(host: &Host, folder: &Folder, pid: u32) -> Option<Member> {
    let of_process = host.processes.join(pid.to_string());
    role(&of_process, folder)?;
    // The handle first, then all that is asked of the process: no other can take its pid in between.
    let watch = Watch::of(pid).ok()?;
    let process = host.process(pid)?;
    let role = role(&of_process, folder)?;
    (host.liveness(&process) == Liveness::Alive).then_some(Member { process, role, watch })
}

/// What a process is to the folder's daemon: nothing, unless both its environment and its program say so.
fn role(of_process: &Path, folder: &Folder) -> Option<Role> {
    let environment = fs::read(of_process.join("environ")).ok()?;
    let pipe = folder.pipe();
    let ours = |variable: &[u8]| {
        variable.strip_prefix(b"CUDA_MPS_PIPE_DIRECTORY=") == Some(pipe.as_os_str().as_bytes())
    };
    environment.split(|b| *b == 0).any(ours).then_some(())?;
    let command_line = fs::read(of_process.join("cmdline")).ok()?;
    let first = command_line.split(|b| *b == 0).nth(1).unwrap_or_default();
    let program = fs::read_link(of_process.join("exe")).ok()?;
    match (program_name(&program), first) {
        (b"nvidia-cuda-mps-control", b"-f") => Some(Role::Daemon),
        (b"nvidia-cuda-mps-server", _) => Some(Role::Server),
        (_, first) if first == LAUNCH.as_bytes() => Some(Role::Daemon),
        // A control client, or a CUDA program.
        _ => None,
    }
}

/// The name of a program; one whose file a driver update has replaced, too.
fn program_name(program: &Path) -> &[u8] {
    let name = program.file_name().map(OsStr::as_bytes).unwrap_or_default();
    name.strip_suffix(b" (deleted)").unwrap_or(name)
}

//! The container's first process, which the runtime holds before its program starts.
//!
//! The state names it by pid. All that is learned of it is learned through its one folder below /proc, which
//! goes with the process: a pid that is used again is never taken for it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use divvy::host::{Host, ProcessRef};
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::thread::LinkNameSpaceType;

use super::error::StartError;
use crate::error::Error;
use crate::runtime::args::Line;
use crate::state::{RuntimeState, read_limited};

/// Bytes of a file of /proc that are read.
const LIMIT: usize = 64 << 10;

/// The container's first process.
#[derive(Debug)]
pub(crate) struct FirstProcess {
    pub(crate) process: ProcessRef,
    /// What `/proc/PID/cgroup` says of it.
    pub(crate) cgroup: String,
    /// The host's uid and gid of the container's root, where it has a user namespace of its own.
    pub(crate) root_ids: Option<(u32, u32)>,
    mounts: OwnedFd,
    /// Its root directory: still the runtime's.
    root: OwnedFd,
}

impl FirstProcess {
    /// Looks at the process `pid`, and makes sure that it is a container's that the runtime is starting which
    /// started this hook.
    pub(crate) fn open(host: &Host, pid: u32) -> Result<Self, Error> {
        let failed = |source| StartError::Process { pid, source };
        let path = OFlags::PATH | OFlags::CLOEXEC;
        let folder = host.processes.join(pid.to_string());
        let proc =
            rustix::fs::open(&folder, path | OFlags::DIRECTORY, Mode::empty()).map_err(failed)?;
        let process = host.process(pid).ok_or(StartError::Process { pid, source: Errno::SRCH })?;
        // Read through its own folder, after the start time: had the process ended before, this would fail.
        let stat = read(&proc, "stat")?;
        let runtime = rustix::process::getppid().map_or(0, |parent| parent.as_raw_nonzero().get());
        if parent(&stat) != Some(runtime) && !is_same_program(host, &proc, runtime) {
            return Err(StartError::Stranger(pid).into());
        }
        if !has_own(&proc, "ns/mnt").map_err(failed)? {
            return Err(StartError::NoNamespace(pid).into());
        }
        let root_ids = match has_own(&proc, "ns/user").map_err(failed)? {
            true => {
                let ids = root_of(&read(&proc, "uid_map")?).zip(root_of(&read(&proc, "gid_map")?));
                Some(ids.ok_or(StartError::NoRootId(pid))?)
            }
            false => None,
        };
        let namespace = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(FirstProcess {
            process,
            cgroup: read(&proc, "cgroup")?,
            root_ids,
            mounts: rustix::fs::openat(&proc, "ns/mnt", namespace, Mode::empty())
                .map_err(failed)?,
            root: rustix::fs::openat(&proc, "root", path | OFlags::DIRECTORY, Mode::empty())
                .map_err(failed)?,
        })
    }

    /// Does `work` in the container's mount namespace, with the root directory that the runtime has there.
    /// However it ends, this process is back in its own afterwards.
    pub(crate) fn within<T>(
        &self,
        work: impl FnOnce(&OwnedFd) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let failed = |action| move |source| StartError::Namespace { action, source };
        let open = |path, flags| {
            rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(failed("leave for"))
        };
        let home = open("/proc/self/ns/mnt", OFlags::RDONLY)?;
        // Whoever enters a namespace is at its root: an engine in a chroot has another.
        let root = open("/", OFlags::PATH | OFlags::DIRECTORY)?;
        enter(&self.mounts).map_err(failed("enter"))?;
        let done = work(&self.root);
        enter(&home).map_err(failed("leave"))?;
        rustix::process::fchdir(&root).map_err(failed("leave"))?;
        rustix::process::chroot(".").map_err(failed("leave"))?;
        done
    }
}

/// The bundle by the runtime's own command line, where the state names none. crun leaves its folder when it mounts
/// nodes for a user namespace, and then tells the hook that it is `/`.
pub(super) fn bundle_of_runtime(host: &Host, state: &RuntimeState) -> Option<String> {
    if state.bundle != "/" || Path::new("/config.json").exists() {
        return None;
    }
    let runtime = host.processes.join(rustix::process::getppid()?.as_raw_nonzero().to_string());
    let text = File::open(runtime.join("cmdline")).ok()?;
    let text = read_limited("the runtime's command line", text, LIMIT).ok()?;
    let words = text.strip_suffix(&[0])?.split(|byte| *byte == 0);
    let words: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).to_owned()).collect();
    let create = Line::read(&words).create?;
    let bundle = Path::new(&create.bundle);
    if create.container != state.id || !bundle.is_absolute() {
        return None;
    }
    bundle.canonicalize().ok()?.into_os_string().into_string().ok()
}

fn enter(mounts: &OwnedFd) -> Result<(), Errno> {
    rustix::thread::move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))
}

/// Whether the process is still a part of the runtime's own program. With a user namespace crun gives the process
/// away: its parent is the engine's monitor. What it runs until its start is the copy that crun has made of itself.
fn is_same_program(host: &Host, proc: &OwnedFd, runtime: i32) -> bool {
    let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
    let its = rustix::fs::statat(proc, "exe", AtFlags::empty()).map(identity);
    let of_runtime = rustix::fs::stat(host.processes.join(runtime.to_string()).join("exe"));
    its.is_ok() && its == of_runtime.map(identity)
}

/// Whether the process has a namespace that is not this process's.
fn has_own(proc: &OwnedFd, name: &str) -> Result<bool, Errno> {
    let its = rustix::fs::statat(proc, name, AtFlags::empty())?;
    let own = rustix::fs::stat(format!("/proc/self/{name}"))?;
    Ok((its.st_dev, its.st_ino) != (own.st_dev, own.st_ino))
}

fn read(proc: &OwnedFd, name: &str) -> Result<String, Error> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let what = format!("the container's /proc/PID/{name}");
    let fd = rustix::fs::openat(proc, name, flags, Mode::empty())
        .map_err(Error::system("open", &what))?;
    let bytes = read_limited(&what, File::from(fd), LIMIT)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The host's id of a user namespace's root, from `/proc/PID/uid_map` or `gid_map`.
fn root_of(map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_ascii_whitespace();
        let inside = numbers.next()?;
        let outside = numbers.next()?;
        (inside == "0").then(|| outside.parse().ok())?
    })
}

/// The parent's pid, from `/proc/PID/stat`.
fn parent(stat: &str) -> Option<i32> {
    // The name in parentheses may hold spaces and parentheses itself; the last one closes it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_stands_behind_any_name() {
        assert_eq!(parent("7 (a) S 1 (b) R 42 7 7 0"), Some(42));
        assert_eq!(parent("7 (a S 42"), None);
    }

    #[test]
    fn a_namespaces_root_is_somebody_else_outside() {
        assert_eq!(
            root_of("      1000     200000  1\n         0     100000      65536\n"),
            Some(100_000)
        );
        assert_eq!(root_of("1 100000 10\n"), None);
    }
}

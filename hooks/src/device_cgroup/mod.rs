//! The device cgroup of a container: what its processes may open.
//!
//! Version 1 is told by its file `devices.allow`, version 2 by a BPF program (`filter`).

mod filter;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// What can go wrong with a device cgroup.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CgroupError {
    #[error(
        "the container's cgroup {path} belongs to systemd, which would take the devices away again at any reload: let divvy edit the container's configuration instead, with `divvy runtime configure` for your engine"
    )]
    Systemd { path: String },
    #[error(
        "the container's cgroup {path} can't be seen from the cgroup namespace of the container engine: let divvy edit the container's configuration instead, with `divvy runtime configure` for your engine"
    )]
    Outside { path: String },
    #[error("/proc/PID/cgroup doesn't say which cgroup the container is in")]
    Unknown,
    #[error("the container's device cgroup is in no hierarchy that is mounted on {}", .0.display())]
    Unmounted(PathBuf),
    #[error("can't {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("can't {action} the BPF program of the container's device cgroup: {source}")]
    Bpf { action: &'static str, source: Errno },
    #[error(
        "the kernel doesn't show the BPF program of the container's device cgroup (net.core.bpf_jit_harden or kernel.kptr_restrict is set): let divvy edit the container's configuration instead, with `divvy runtime configure` for your engine"
    )]
    Hidden,
}

/// A device that may be opened for reading and writing, and made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceRule {
    pub(crate) block: bool,
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

impl DeviceRule {
    /// The rule for a device node.
    pub(crate) fn of(stat: &Stat) -> DeviceRule {
        DeviceRule {
            block: FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice,
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        }
    }
}

/// The cgroups that decide what a container's processes may open. A machine may have both versions mounted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceCgroups {
    /// In version 1's devices hierarchy. `None`: it has none of its own, and may open there what the engine may.
    v1: Option<Place>,
    /// In version 2's hierarchy, likewise.
    v2: Option<Place>,
}

/// Where a container is in a hierarchy, and where this process is.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    container: PathBuf,
    own: PathBuf,
}

impl DeviceCgroups {
    /// Finds them from what `/proc/PID/cgroup` says of the container's process and of this one. `mounts` is
    /// where cgroups are mounted.
    pub(crate) fn find(mounts: &Path, container: &str, own: &str) -> Result<Self, CgroupError> {
        let is_cgroup = |folder: &PathBuf| folder.join("cgroup.procs").exists();
        let v1 = [mounts.join("devices")].into_iter().find(is_cgroup);
        let v2 = [mounts.to_owned(), mounts.join("unified")].into_iter().find(is_cgroup);
        if v1.is_none() && v2.is_none() {
            return Err(CgroupError::Unmounted(mounts.to_owned()));
        }
        let place = |mount: Option<PathBuf>, controller: &str| {
            let (container, own) = (path(container, controller), path(own, controller));
            match mount {
                Some(mount) => Place::find(&mount, container.ok_or(CgroupError::Unknown)?, own),
                // It decides all the same.
                None if container != own => Err(CgroupError::Unmounted(mounts.to_owned())),
                None => Ok(None),
            }
        };
        Ok(DeviceCgroups { v1: place(v1, "devices")?, v2: place(v2, "")? })
    }

    /// Lets the container's processes open these devices as well.
    pub(crate) fn allow(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        if let Some(Place { container, .. }) = &self.v1 {
            let path = container.join("devices.allow");
            for rule in rules {
                let kind = if rule.block { 'b' } else { 'c' };
                fs::write(&path, format!("{kind} {}:{} rwm", rule.major, rule.minor))
                    .map_err(failed("write to", &path))?;
            }
        }
        if let Some(Place { container, .. }) = &self.v2 {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let cgroup = rustix::fs::open(container, flags, Mode::empty())
                .map_err(|errno| failed("open", container)(errno.into()))?;
            filter::allow(cgroup.as_fd(), rules)?;
        }
        Ok(())
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        self.v1.iter().chain(&self.v2)
    }
}

impl Place {
    fn find(
        mount: &Path,
        container: &str,
        own: Option<&str>,
    ) -> Result<Option<Place>, CgroupError> {
        if container == "/" || Some(container) == own {
            return Ok(None);
        }
        let mut names = container.split('/').filter(|name| !name.is_empty());
        if names.clone().any(|name| name == "..") {
            return Err(CgroupError::Outside { path: container.to_owned() });
        }
        // crun has a cgroup of its own for the container inside a scope.
        if names.any(|name| Path::new(name).extension().is_some_and(|end| end == "scope")) {
            return Err(CgroupError::Systemd { path: container.to_owned() });
        }
        let below = |path: &str| mount.join(path.trim_start_matches('/'));
        Ok(Some(Place { container: below(container), own: below(own.unwrap_or("/")) }))
    }
}

/// The path that `/proc/PID/cgroup` has for a controller; version 2's is named by none.
fn path<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers.split(',').any(|name| name == controller).then_some(path)
    })
}

/// This process inside the container's device cgroups; it goes back when dropped.
///
/// Whether a node may be opened is decided by the cgroup of who asks, so who wants to know must go there.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    places: &'a DeviceCgroups,
}

impl Visit<'_> {
    /// Goes there.
    pub(crate) fn to(places: &DeviceCgroups) -> Result<Visit<'_>, CgroupError> {
        // Where only one of them lets it in, it leaves that again.
        let visit = Visit { places };
        places.places().try_for_each(|place| go(&place.container))?;
        Ok(visit)
    }

    /// Whether the processes of the container may open a node. The node's driver is not asked: with some, the
    /// first opening takes seconds.
    pub(crate) fn may_open(&self, node: impl AsFd) -> Result<(), Errno> {
        let node = format!("/proc/self/fd/{}", node.as_fd().as_raw_fd());
        rustix::fs::access(node, Access::READ_OK | Access::WRITE_OK)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        for place in self.places.places() {
            // Where it can't go back, it ends there soon.
            let _ = go(&place.own);
        }
    }
}

fn go(folder: &Path) -> Result<(), CgroupError> {
    let path = folder.join("cgroup.procs");
    fs::write(&path, "0").map_err(failed("write to", &path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    move |source| CgroupError::Io { action, path, source }
}

//! Containers, as their cgroups name them.

use super::Cgroup;
use std::ffi::OsStr;

impl Cgroup {
    /// The container's id in the path of its cgroup: `libpod-ID.scope`, `docker-ID.scope`, `cri-containerd-ID.scope`,
    /// `crio-ID.scope`, `nerdctl-ID.scope`, `SLICE:cri-containerd:ID`, or a folder that is named `ID`. Engines' ids
    /// are 64 hexadecimal digits. `None` where no part of the path is one; the monitors of podman and CRI-O aren't
    /// the container.
    pub fn container(&self) -> Option<String> {
        let parts = self.folder.components().rev();
        parts.filter_map(|part| id_in(part.as_os_str())).next()
    }

    /// Whether it is that cgroup, or lies in it.
    pub fn within(&self, other: &Cgroup) -> bool {
        self.folder.starts_with(&other.folder)
    }
}

fn id_in(name: &OsStr) -> Option<String> {
    let name = name.to_str()?;
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (before, id) = name.rsplit_once(['-', ':']).unwrap_or(("", name));
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_id = id.len() == 64 && id.bytes().all(digit) && !before.ends_with("conmon");
    is_id.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_in_the_paths_of_every_engine() {
        let id = "0123456789abcdef".repeat(4);
        let found = |path: &str| {
            Cgroup { folder: path.replace("ID", &id).into() }.container().is_some_and(|it| it == id)
        };
        for path in [
            "/sys/fs/cgroup/machine.slice/libpod-ID.scope",
            "/sys/fs/cgroup/machine.slice/libpod-ID.scope/container",
            "/sys/fs/cgroup/devices/libpod_parent/libpod-ID",
            "/sys/fs/cgroup/system.slice/docker-ID.scope",
            "/sys/fs/cgroup/devices/docker/ID",
            "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/cri-containerd-ID.scope",
            "/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/crio-ID.scope",
            "/sys/fs/cgroup/kubepods/besteffort/pod1/ID",
            "/sys/fs/cgroup/system.slice/kubepods-pod1.slice:cri-containerd:ID",
            "/sys/fs/cgroup/user.slice/user-1000.slice/nerdctl-ID.scope",
        ] {
            assert!(found(path), "{path}");
        }
        for path in [
            "/sys/fs/cgroup/machine.slice/libpod-conmon-ID.scope",
            "/sys/fs/cgroup/user.slice/user-1000.slice/session-1.scope",
            "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_17",
            "/sys/fs/cgroup",
        ] {
            assert!(!found(path), "{path}");
        }
    }
}

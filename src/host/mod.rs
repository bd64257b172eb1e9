//! Every path that divvy reads or writes, under roots that can be moved.

mod container;
mod hardware;
mod identity;
mod process;

pub use identity::NodeIdentity;
pub use process::{Cgroup, Liveness, ProcessRef};

use std::path::{Path, PathBuf};

/// Where things are on this machine. The defaults are those of a node with its driver in `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The root below which the driver's user-space files lie (`/` or, say, `/run/nvidia/driver`).
    pub driver_root: PathBuf,
    /// The root whose `dev` folder holds the device nodes.
    pub dev_root: PathBuf,
    /// Stands for `/proc` where the driver and the kernel are asked.
    pub proc_root: PathBuf,
    /// Stands for `/sys`.
    pub sys_root: PathBuf,
    /// Where processes are asked after: always `/proc`, for a simulated node's processes are real.
    pub processes: PathBuf,
    /// Where cgroups are mounted: always `/sys/fs/cgroup`, likewise.
    pub cgroups: PathBuf,
    /// Claims, shared records, locks and MPS folders; on tmpfs.
    pub state_dir: PathBuf,
    /// The folders that engines read CDI specs from, lowest priority first.
    pub cdi_dirs: Vec<PathBuf>,
    /// The administrator's configuration.
    pub config: PathBuf,
    /// The NVML library to load; `None` finds `libnvidia-ml.so.1` as the dynamic linker does.
    pub nvml_library: Option<PathBuf>,
}

impl Default for Host {
    fn default() -> Self {
        Host {
            driver_root: "/".into(),
            dev_root: "/".into(),
            proc_root: "/proc".into(),
            sys_root: "/sys".into(),
            processes: "/proc".into(),
            cgroups: "/sys/fs/cgroup".into(),
            state_dir: "/run/divvy".into(),
            cdi_dirs: vec!["/etc/cdi".into(), "/var/run/cdi".into()],
            config: "/etc/divvy/config.yaml".into(),
            nvml_library: None,
        }
    }
}

impl Host {
    /// The host's path of a device node that containers see as `/dev/<name>`.
    pub fn dev(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dev_root.join("dev").join(name)
    }

    /// A path below `/proc`.
    pub fn proc(&self, name: impl AsRef<Path>) -> PathBuf {
        self.proc_root.join(name)
    }
}

//! `host:`, where things are on this machine.

use super::read::{Table, table};
use crate::host::Host;
use serde::de::{Error, MapAccess};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// The options of the command line that say where things are, with the same names. What is not said has its
/// default. Hooks know no other place to look for them: what starts them could say anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPaths {
    /// The NVML library to load.
    pub nvml_library: Option<PathBuf>,
    /// The root below which the driver's files lie.
    pub driver_root: Option<PathBuf>,
    /// The root whose `dev` folder holds the device nodes; the driver root, if not said.
    pub dev_root: Option<PathBuf>,
    /// Stands for `/proc`.
    pub proc_root: Option<PathBuf>,
    /// Stands for `/sys`.
    pub sys_root: Option<PathBuf>,
    /// Claims and locks.
    pub state_dir: Option<PathBuf>,
    /// The folders that engines read CDI specs from, lowest priority first.
    pub cdi_dirs: Option<Vec<PathBuf>>,
}

impl HostPaths {
    /// The host that has what is said here, and the defaults for the rest.
    #[must_use]
    pub fn host(self) -> Host {
        let default = Host::default();
        let driver_root = self.driver_root.unwrap_or(default.driver_root);
        Host {
            dev_root: self.dev_root.unwrap_or_else(|| driver_root.clone()),
            driver_root,
            proc_root: self.proc_root.unwrap_or(default.proc_root),
            sys_root: self.sys_root.unwrap_or(default.sys_root),
            state_dir: self.state_dir.unwrap_or(default.state_dir),
            cdi_dirs: self.cdi_dirs.unwrap_or(default.cdi_dirs),
            nvml_library: self.nvml_library,
            ..Host::default()
        }
    }

    /// These, and `other` for what is not said here.
    #[must_use]
    pub fn or(self, other: HostPaths) -> HostPaths {
        // Nodes and library go with their driver root.
        let other_driver = self.driver_root.is_none();
        HostPaths {
            nvml_library: self.nvml_library.or_else(|| other.nvml_library.filter(|_| other_driver)),
            dev_root: self.dev_root.or_else(|| other.dev_root.filter(|_| other_driver)),
            driver_root: self.driver_root.or(other.driver_root),
            proc_root: self.proc_root.or(other.proc_root),
            sys_root: self.sys_root.or(other.sys_root),
            state_dir: self.state_dir.or(other.state_dir),
            cdi_dirs: self.cdi_dirs.or(other.cdi_dirs),
        }
    }
}

impl Table for HostPaths {
    const OF: &'static str = "host";
    const KEYS: &'static [&'static str] = &[
        "nvml-library",
        "driver-root",
        "dev-root",
        "proc-root",
        "sys-root",
        "state-dir",
        "cdi-dirs",
    ];

    fn set<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        if key == "cdi-dirs" {
            let folders: Vec<Folder> = map.next_value()?;
            if folders.is_empty() {
                return Err(A::Error::custom(
                    "cdi-dirs needs a folder: leave it out for /etc/cdi and /var/run/cdi",
                ));
            }
            self.cdi_dirs = Some(folders.into_iter().map(|Folder(path)| path).collect());
            return Ok(());
        }
        let Folder(path) = map.next_value()?;
        let place = match key {
            "nvml-library" => &mut self.nvml_library,
            "driver-root" => &mut self.driver_root,
            "dev-root" => &mut self.dev_root,
            "proc-root" => &mut self.proc_root,
            "sys-root" => &mut self.sys_root,
            _ => &mut self.state_dir,
        };
        *place = Some(path);
        Ok(())
    }
}

impl<'de> Deserialize<'de> for HostPaths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HostPaths, D::Error> {
        table(deserializer)
    }
}

/// An absolute path: who reads the configuration may be anywhere.
struct Folder(PathBuf);

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Folder, D::Error> {
        let path = PathBuf::deserialize(deserializer)?;
        match path.is_absolute() {
            true => Ok(Folder(path)),
            false => Err(D::Error::custom(format_args!(
                "{:?} is no absolute path: begin it with /",
                path.to_string_lossy()
            ))),
        }
    }
}

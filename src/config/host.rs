//! `host:`, where things are on this machine.

use crate::host::Host;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// The options of the command line that say where things are, with the same names. What is not said has its
/// default. Hooks know no other place to look for them: what starts them could say anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HostPaths {
    /// The NVML library to load.
    #[serde(deserialize_with = "folder")]
    pub nvml_library: Option<PathBuf>,
    /// The root below which the driver's files lie.
    #[serde(deserialize_with = "folder")]
    pub driver_root: Option<PathBuf>,
    /// The root whose `dev` folder holds the device nodes; the driver root, if not said.
    #[serde(deserialize_with = "folder")]
    pub dev_root: Option<PathBuf>,
    /// Stands for `/proc`.
    #[serde(deserialize_with = "folder")]
    pub proc_root: Option<PathBuf>,
    /// Stands for `/sys`.
    #[serde(deserialize_with = "folder")]
    pub sys_root: Option<PathBuf>,
    /// Claims and locks.
    #[serde(deserialize_with = "folder")]
    pub state_dir: Option<PathBuf>,
    /// The folders that engines read CDI specs from, lowest priority first.
    #[serde(deserialize_with = "folders")]
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

/// Absolute paths only: who reads the configuration may be anywhere.
fn folder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    absolute(PathBuf::deserialize(deserializer)?).map(Some)
}

fn folders<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
    let folders = Vec::<PathBuf>::deserialize(deserializer)?;
    if folders.is_empty() {
        return Err(D::Error::custom(
            "cdi-dirs needs a folder: leave it out for /etc/cdi and /var/run/cdi",
        ));
    }
    folders.into_iter().map(absolute).collect::<Result<_, _>>().map(Some)
}

fn absolute<E: Error>(path: PathBuf) -> Result<PathBuf, E> {
    match path.is_absolute() {
        true => Ok(path),
        false => Err(E::custom(format_args!(
            "{:?} is no absolute path: begin it with /",
            path.to_string_lossy()
        ))),
    }
}

//! `runtime:`, the OCI runtime behind `divvy-runtime`.

use super::read::{document, read_text};
use crate::compat::device_plugin;
use crate::document::FileError;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};

/// The OCI runtime behind `divvy-runtime`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// Not said: runc, and crun where there is no runc.
    #[default]
    Any,
    /// By its program's name, in the folders that [`Runtime::FOLDERS`] lists.
    Named(String),
    /// By its path.
    At(PathBuf),
}

impl Runtime {
    /// Where a runtime is looked for. The environment is the engine's, so its `PATH` is not asked.
    pub const FOLDERS: [&'static str; 6] =
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    /// Reads no more of the configuration than which runtime it names: a mistake elsewhere in it must not
    /// keep containers from being stopped.
    ///
    /// # Errors
    /// The file can't be read, is no YAML, or names the runtime in a way that has no meaning.
    pub fn load(path: &Path) -> Result<Runtime, FileError> {
        let text = read_text(path)?;
        if device_plugin::is_one(&text) {
            return Ok(Runtime::Any);
        }
        document(&text, path).map(|Only { runtime }| runtime)
    }

    /// The paths that it may have, best first.
    #[must_use]
    pub fn candidates(&self) -> Vec<PathBuf> {
        let in_folders = |name: &str| Runtime::FOLDERS.map(|folder| Path::new(folder).join(name));
        match self {
            Runtime::Any => [in_folders("runc"), in_folders("crun")].concat(),
            Runtime::Named(name) => in_folders(name).to_vec(),
            Runtime::At(path) => vec![path.clone()],
        }
    }
}

impl<'de> Deserialize<'de> for Runtime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Runtime, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if text.starts_with('/') && !text.ends_with('/') {
            Ok(Runtime::At(text.into()))
        } else if !text.is_empty() && text.bytes().all(name) && !text.starts_with('.') {
            Ok(Runtime::Named(text))
        } else {
            Err(D::Error::custom("runtime is a program's name, runc or crun, or its absolute path"))
        }
    }
}

/// A configuration of which one key counts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Only {
    runtime: Runtime,
}

#[cfg(feature = "cli")]
crate::schema::text!(Runtime, "Runtime", "^(/.*[^/]|[A-Za-z0-9_-][A-Za-z0-9_.-]*)$");

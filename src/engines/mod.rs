//! The configuration of container engines: divvy's runtime, its podman hook, and CDI switched on.
//!
//! [`read`] takes in what is there, [`plan`] and [`plan_removal`] say what would change and touch nothing, and
//! [`apply`] carries it out. Paths are those that the engine sees; `root` goes before them where they are read
//! and written.

mod apply;
mod containerd;
mod crio;
mod docker;
mod error;
mod json;
#[cfg(feature = "nvml")]
mod look;
mod plan;
mod podman;
mod read;
mod record;
mod toml;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use error::Error;
#[cfg(feature = "nvml")]
pub use look::{Found, look};
pub use plan::{plan, plan_removal};
pub use read::{Current, below, read};
pub use record::{Record, Trace};

use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The first words of a file that is divvy's alone.
const HEADING: &str = "# Written by `divvy runtime configure`";

/// A container engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// podman, with hooks of its own.
    Podman,
    /// containerd, as Kubernetes and others use it through the CRI.
    Containerd,
    /// CRI-O.
    Crio,
    /// Docker.
    Docker,
}

impl Engine {
    /// Its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Engine::Podman => "podman",
            Engine::Containerd => "containerd",
            Engine::Crio => "crio",
            Engine::Docker => "docker",
        }
    }

    fn program(self) -> &'static str {
        if self == Engine::Docker { "dockerd" } else { self.word() }
    }

    /// The folder that shows that it is, or will be, here.
    fn folder(self) -> &'static Path {
        Path::new(match self {
            Engine::Podman => "/etc/containers",
            Engine::Containerd => "/etc/containerd",
            Engine::Crio => "/etc/crio",
            Engine::Docker => "/etc/docker",
        })
    }

    /// The option that names the file to write.
    fn option(self) -> &'static str {
        if self == Engine::Docker { "--engine-config" } else { "--drop-in" }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Podman => "podman",
            Engine::Containerd => "containerd",
            Engine::Crio => "CRI-O",
            Engine::Docker => "Docker",
        })
    }
}

/// What to configure. The paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name that containers ask for.
    pub runtime_name: String,
    /// `divvy-runtime`.
    pub runtime_path: String,
    /// `divvy-hook`.
    pub hook_path: String,
    /// Whether containers that name no runtime get it too.
    pub set_as_default: bool,
    /// Whether CDI is switched on where it is off.
    pub cdi: bool,
    /// The engine's own file, in place of the usual one.
    pub config: Option<PathBuf>,
    /// The file that divvy adds, in place of the usual one.
    pub drop_in: Option<PathBuf>,
}

/// Texts by path. What isn't in it isn't there.
pub type Files = BTreeMap<PathBuf, String>;

/// The files that divvy writes for an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Places {
    /// Those that are divvy's alone.
    own: Vec<PathBuf>,
    /// The one that is the administrator's.
    shared: Option<PathBuf>,
}

impl Places {
    fn of(engine: Engine, options: &Options) -> Places {
        let drop_in = |usual: &str| options.drop_in.clone().unwrap_or_else(|| usual.into());
        let config = |usual: &str| options.config.clone().unwrap_or_else(|| usual.into());
        match engine {
            Engine::Podman => {
                Places { own: vec![podman::HOOK.into(), drop_in(podman::DROP_IN)], shared: None }
            }
            Engine::Containerd => Places {
                own: vec![drop_in(containerd::DROP_IN)],
                shared: Some(config(containerd::CONFIG)),
            },
            Engine::Crio => Places { own: vec![drop_in(crio::DROP_IN)], shared: None },
            Engine::Docker => Places { own: Vec::new(), shared: Some(config(docker::CONFIG)) },
        }
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.own.iter().chain(&self.shared)
    }
}

/// A file as it should be.
#[derive(Debug)]
struct Wanted {
    path: PathBuf,
    text: String,
    why: String,
}

/// One file that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The file, as the engine sees it.
    pub path: PathBuf,
    /// Its text now; `None` where it isn't there.
    pub before: Option<String>,
    /// Its text then; `None` where it goes.
    pub after: Option<String>,
    /// What the change is for.
    pub why: String,
}

/// What makes the engine see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing changed.
    Nothing,
    /// The next container sees it.
    NextContainer,
    /// The service reads its configuration again; containers are not touched.
    Reload {
        /// Its name under systemd.
        service: &'static str,
    },
    /// The service has to be started again.
    Restart {
        /// Its name under systemd.
        service: &'static str,
        /// What that does to containers.
        warning: Option<&'static str>,
    },
}

/// What would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The files, in the order to write them.
    pub changes: Vec<FileChange>,
    /// What makes the engine see it.
    pub activation: Activation,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// divvy's record of it, written before and removed after.
    record: FileChange,
    /// Folders that were not there before divvy, to go if they are empty then.
    folders: Vec<PathBuf>,
}

/// The change as a unified diff.
pub fn diff(change: &FileChange) -> String {
    let path = change.path.display().to_string();
    let name = |text: &Option<String>| if text.is_some() { path.as_str() } else { "/dev/null" };
    let (before, after) = (name(&change.before), name(&change.after));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    similar::TextDiff::from_lines(&text(&change.before), &text(&change.after))
        .unified_diff()
        .header(before, after)
        .to_string()
}

//! Whose a claim is, which decides when it is dead.

use crate::host::{Cgroup, ProcessRef};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who must be gone before a claim may be taken back unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Owner {
    /// Made by `divvy prepare`: lives until it is released or another boot, whatever its age.
    Caller,
    /// Made while an engine starts a container: dead when that process is gone and nothing is bound,
    /// or 120 seconds after it was made.
    Start {
        /// The engine or wrapper that is starting the container.
        process: ProcessRef,
    },
    /// A container has it: dead when its process is gone and its cgroup is gone or empty.
    Container {
        /// Which one.
        container: ContainerRef,
        /// Its first process.
        process: ProcessRef,
        /// Where its processes live; absent where they share the root cgroup.
        #[serde(skip_serializing_if = "Option::is_none")]
        cgroup: Option<Cgroup>,
    },
}

impl Owner {
    /// How long a start may take, in milliseconds.
    pub const START_LIMIT_MS: u64 = 120_000;
}

/// A container by its engine's words: ids repeat across engines, an id with its bundle does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContainerRef {
    /// The id in the OCI state.
    pub id: String,
    /// The bundle folder in the OCI state.
    pub bundle: PathBuf,
}

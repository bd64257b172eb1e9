//! What the administrator decided: `/etc/divvy/config.yaml`.
//!
//! ```yaml
//! gpus:                        # the first entry that matches a GPU holds for it
//! - match: "*A100*"            # an index, a GPU-UUID, or a product with * and ?
//!   managed: true              # divvy may change its modes
//!   modes: [mps, mig]          # what it may be used for; all, if not said
//!   replicas: 4                # claims that may take turns on it, or on a MIG device of it
//!   claims: 8                  # claims that may be on it in all; any number, if not said
//!   mig-mode: enable           # or leave
//!   compute-mode: exclusive    # for MPS; or leave
//!   oversubscribe: false       # whether MPS limits may sum to more than there is
//!   only-shares: false         # whether nothing but shares: and resources: may be asked for on it
//!   require: {memory: daemon}  # refuse what isn't enforced at least like this
//! shares:                      # names of CDI devices of kind divvy/gpu
//!   notebook: mig:1g.10gb/time-slicing
//!   training: {request: mps:threads=50, users: [1000], groups: [100]}   # for these uids and gids
//! mig-strategy: mixed          # how MIG devices are called: none, single, mixed
//! resources:                   # devices that claims share, as NVIDIA's device plugin calls them
//! - name: nvidia.com/gpu       # or nvidia.com/mig-1g.10gb
//!   mode: time-slicing         # or mps
//!   replicas: 4                # nvidia.com/gpu=0::0 to 0::3
//!   devices: all               # or a count, or [0, "0:1", GPU-…]
//! cdi-names: [mig:1g.10gb @0]  # further requests that get a CDI device, pinned ones say
//! requests:
//!   from-environment: false    # DIVVY_REQUEST in a container's environment, which images can set
//!   from-pod-annotations: false
//! host:                        # where things are: the command line's options, for hooks as well
//!   driver-root: /run/nvidia/driver
//! runtime: runc                # what divvy-runtime runs: runc, crun, or a path
//! ```

mod host;
mod read;
mod resources;
mod runtime;
mod shares;
#[cfg(test)]
mod tests;

pub use host::HostPaths;
pub use resources::{Resolved, SharedDevice, SharedResource, Unit};
pub use runtime::Runtime;
pub use shares::{Asker, NamedShare, ShareName};

use crate::compat::device_plugin::MigStrategy;
use crate::inventory::Gpu;
use crate::request::{Mode, Pin, Request};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The whole configuration. Without a file, the default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What holds for which GPUs; the first that matches.
    #[cfg_attr(feature = "cli", schemars(with = "Vec<read::EntryForm>"))]
    pub gpus: Vec<GpuEntry>,
    /// The administrator's own names for requests, as CDI devices of kind `divvy/gpu`.
    pub shares: BTreeMap<ShareName, NamedShare>,
    /// Requests that get a CDI device beside the usual ones.
    #[serde(deserialize_with = "read::named")]
    pub cdi_names: Vec<Request>,
    /// How MIG devices are called where they are shared or named as the device plugin does.
    pub mig_strategy: MigStrategy,
    /// Devices that several claims share, as CDI devices of kind `nvidia.com/gpu` and the like.
    pub resources: Vec<SharedResource>,
    /// Where requests are believed.
    pub requests: RequestSources,
    /// Where things are on this machine.
    pub host: HostPaths,
    /// The OCI runtime behind `divvy-runtime`.
    pub runtime: Runtime,
    /// What another program's file asks for and divvy doesn't do, a sentence each.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// Places that a request may come from besides the engine's user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RequestSources {
    /// A container's environment, which its image can set.
    pub from_environment: bool,
    /// A pod's annotations, which by-pass a cluster's quota.
    pub from_pod_annotations: bool,
}

/// A policy and the GPUs that it is for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "read::EntryForm")]
pub struct GpuEntry {
    /// Which GPUs.
    pub gpus: Pin,
    /// What holds for them.
    pub policy: GpuPolicy,
}

/// What may be done with a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuPolicy {
    /// What it may be used for.
    pub modes: BTreeSet<Mode>,
    /// How many claims may take turns on it, or on one MIG device of it.
    pub replicas: u32,
    /// How many claims may be on it in all, in whatever mode; any number, where it is not said.
    pub claims: Option<u32>,
    /// Whether only the administrator's shares and the replicas of resources may be asked for on it.
    pub only_shares: bool,
    /// Whether MIG mode may be turned on. `false` unless the GPU is managed.
    pub enable_mig: bool,
    /// Whether the compute mode may be set to EXCLUSIVE_PROCESS for MPS. `false` unless managed.
    pub exclusive_process: bool,
    /// Whether the GPU is managed.
    pub managed: bool,
    /// Whether the limits of MPS claims may sum to more than there is.
    pub oversubscribe: bool,
    /// What must be enforced at least.
    pub require: Enforced,
}

impl Default for GpuPolicy {
    fn default() -> Self {
        GpuPolicy {
            modes: Mode::ALL.into(),
            replicas: 4,
            claims: None,
            only_shares: false,
            enable_mig: false,
            exclusive_process: false,
            managed: false,
            oversubscribe: false,
            require: Enforced { memory: Level::No, compute: Level::No },
        }
    }
}

/// Who sees to it that a claim gets no more than it was granted, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nobody.
    No,
    /// The client's own environment, as long as the client leaves it alone.
    Client,
    /// The MPS control daemon.
    Daemon,
    /// The hardware.
    Hardware,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::No => "no",
            Level::Client => "client",
            Level::Daemon => "daemon",
            Level::Hardware => "hardware",
        })
    }
}

/// The levels for memory and for compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Enforced {
    /// Of memory.
    pub memory: Level,
    /// Of compute.
    pub compute: Level,
}

impl fmt::Display for Enforced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory: {}, compute: {}", self.memory, self.compute)
    }
}

impl Enforced {
    /// The same, with nothing stronger than that.
    #[must_use]
    pub fn at_most(self, level: Level) -> Enforced {
        Enforced { memory: self.memory.min(level), compute: self.compute.min(level) }
    }

    /// Whether both are as strong as demanded.
    pub fn reaches(self, demanded: Enforced) -> bool {
        self.memory >= demanded.memory && self.compute >= demanded.compute
    }
}

impl Config {
    /// What holds for a GPU: the first entry that matches it, else the default.
    pub fn policy(&self, gpu: &Gpu) -> GpuPolicy {
        let entry = self.gpus.iter().find(|entry| entry.gpus.matches(gpu));
        entry.map(|entry| entry.policy.clone()).unwrap_or_default()
    }
}

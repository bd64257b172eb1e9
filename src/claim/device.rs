//! What was done to the node for one device, shared by the claims that name it.

use super::{Before, DeviceId, Entry, Outcome};
use crate::host::NodeIdentity;
use crate::inventory::{Placement, ProfileName};
use crate::request::Interval;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A device in one sharing mode, and the steps that made it so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// What it is for.
    pub purpose: Purpose,
    /// The GPUs or MIG devices it consists of: one, or several under one MPS control daemon.
    pub targets: Vec<Target>,
    /// What is done to the node, in order; the undo goes backwards.
    pub steps: Vec<Entry>,
    /// The boot and driver load it belongs to.
    pub identity: NodeIdentity,
    /// The undo has begun: nobody joins any more.
    pub retiring: bool,
}

impl Device {
    /// Whether every step is done.
    pub fn ready(&self) -> bool {
        !self.retiring && self.steps.iter().all(|entry| entry.outcome.is_some())
    }

    /// The MIG device that its steps made: ids of the GPU instance and the compute instance, and the UUID.
    pub fn mig_device(&self) -> Option<(u32, u32, &str)> {
        let outcomes = || self.steps.iter().filter_map(|entry| entry.outcome.as_ref());
        let gpu_instance = outcomes().find_map(|outcome| match outcome {
            Outcome::GpuInstance(id) => Some(*id),
            _ => None,
        })?;
        outcomes().find_map(|outcome| match outcome {
            Outcome::ComputeInstance { id, uuid } => Some((gpu_instance, *id, uuid.as_str())),
            _ => None,
        })
    }

    /// Whether its device turned out to have no compute mode: a client can go around the control daemon.
    pub fn without_compute_mode(&self) -> bool {
        self.steps.iter().any(|entry| entry.outcome == Some(Outcome::Unsupported))
    }

    /// The folder of its MPS control daemon.
    pub fn daemon_folder(&self) -> Option<&Path> {
        self.steps.iter().find_map(|entry| match &entry.before {
            Some(Before::Folder(folder)) => Some(folder.as_path()),
            _ => None,
        })
    }

    /// Whether it is on that GPU.
    pub fn on_gpu(&self, uuid: &str) -> bool {
        self.targets.iter().any(|target| target.gpu == uuid)
    }
}

/// What a device record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "mode", deny_unknown_fields)]
pub enum Purpose {
    /// MIG mode, turned on for the MIG devices of the GPU.
    MigMode,
    /// For one claim.
    Exclusive,
    /// For claims that take turns.
    TimeSlicing {
        /// The interval that was asked for, where one was.
        #[serde(skip_serializing_if = "Option::is_none")]
        interval: Option<Interval>,
    },
    /// For claims that run at once, through one control daemon.
    Mps,
}

/// A GPU, or a MIG device on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The GPU's UUID.
    pub gpu: String,
    /// The MIG device, where it isn't the whole GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mig: Option<MigTarget>,
}

/// A MIG device by what it is and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MigTarget {
    /// The GPU-instance profile.
    pub profile: ProfileName,
    /// Where the GPU instance stands.
    pub placement: Placement,
    /// The MIG device's UUID where it existed before; one that divvy makes has it in its steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<String>,
}

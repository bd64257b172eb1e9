//! What is done to the node, one step at a time, as the journal has it.

use crate::host::ProcessRef;
use crate::inventory::{ComputeMode, Placement, ProfileName};
use crate::request::{Interval, MpsLimits};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// One step. GPUs are named by UUID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "do", deny_unknown_fields)]
pub enum Step {
    /// Turns MIG mode on, where that needs no reset.
    EnableMig {
        /// Where.
        gpu: String,
    },
    /// Makes a GPU instance.
    CreateGpuInstance {
        /// Where.
        gpu: String,
        /// The driver's profile id.
        profile_id: u32,
        /// The same profile for people.
        profile: ProfileName,
        /// The place that was chosen.
        placement: Placement,
    },
    /// Makes a compute instance in the GPU instance of this device record.
    CreateComputeInstance {
        /// Where.
        gpu: String,
        /// The driver's profile id.
        profile_id: u32,
    },
    /// Makes the two capability nodes of this record's MIG device and their `/dev/char` links.
    MakeCapabilityNodes {
        /// Where.
        gpu: String,
    },
    /// Sets the time-slice interval.
    SetTimeSlice {
        /// Where.
        gpu: String,
        /// To what.
        interval: Interval,
    },
    /// Lets one process at a time open a context: the MPS server. On this record's MIG device where it has one.
    SetExclusiveProcess {
        /// Where.
        gpu: String,
    },
    /// Starts an MPS control daemon over all targets of this device record, and a server for `uid`.
    StartMps {
        /// The daemon's own limits, which hold for every client whatever its environment says.
        limits: MpsLimits,
        /// Whose processes may connect.
        uid: u32,
    },
}

impl Step {
    /// The GPU that it changes; `None` for a control daemon, which is the machine's.
    pub fn gpu(&self) -> Option<&str> {
        match self {
            Step::EnableMig { gpu }
            | Step::CreateGpuInstance { gpu, .. }
            | Step::CreateComputeInstance { gpu, .. }
            | Step::MakeCapabilityNodes { gpu }
            | Step::SetTimeSlice { gpu, .. }
            | Step::SetExclusiveProcess { gpu } => Some(gpu),
            Step::StartMps { .. } => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::EnableMig { gpu } => write!(f, "turn on MIG mode of {gpu}"),
            Step::CreateGpuInstance { gpu, profile, placement, .. } => {
                write!(f, "create the GPU instance {profile} at {} on {gpu}", placement.start)
            }
            Step::CreateComputeInstance { gpu, .. } => {
                write!(f, "create the compute instance in it on {gpu}")
            }
            Step::MakeCapabilityNodes { gpu } => {
                write!(f, "make the capability nodes of the MIG device on {gpu}")
            }
            Step::SetTimeSlice { gpu, interval } => {
                write!(f, "set the time-slice interval of {gpu} to {interval}")
            }
            Step::SetExclusiveProcess { gpu } => {
                write!(f, "set the compute mode of {gpu} to EXCLUSIVE_PROCESS")
            }
            Step::StartMps { uid, .. } => {
                write!(f, "start an MPS control daemon and its server for uid {uid}")
            }
        }
    }
}

/// A step in the journal: planned, begun or done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What is to be done.
    pub step: Step,
    /// What was there, written before the step begins; without it the step was not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// What came of it, written before the next step begins; with `before` alone the step may have happened or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl Entry {
    /// A step that is still to do.
    pub fn planned(step: Step) -> Entry {
        Entry { step, before: None, outcome: None }
    }
}

/// What a step found, as far as its undo needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Nothing worth keeping.
    Nothing,
    /// Whether MIG mode was on.
    MigMode(bool),
    /// Ids of the GPU instances, or of the compute instances, that were there.
    Instances(Vec<u32>),
    /// The capability nodes and links that were missing.
    Missing(Vec<PathBuf>),
    /// The interval; `None` where the driver doesn't tell it.
    Interval(Option<Interval>),
    /// The compute mode.
    ComputeMode(ComputeMode),
    /// The folder of the control daemon that is about to start.
    Folder(PathBuf),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is done.
    Done,
    /// The device can't do it, and what it is for is done without: a MIG device that has no compute mode.
    Unsupported,
    /// The GPU instance's id.
    GpuInstance(u32),
    /// The compute instance's id and the MIG device's UUID.
    ComputeInstance {
        /// The id inside the GPU instance.
        id: u32,
        /// `MIG-…`.
        uuid: String,
    },
    /// The control daemon.
    Daemon(ProcessRef),
}

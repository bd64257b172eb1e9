//! Why a step can't be carried out or undone.

use super::mps::MpsError;
use crate::driver_files;
use crate::inventory::{CapabilityError, Placement, ProfileName};
use crate::nvml::{Code, NvmlError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a step can't be carried out or undone.
#[derive(Debug, Error)]
pub enum ShareError {
    /// NVML's answer.
    #[error(transparent)]
    Nvml(#[from] NvmlError),
    /// A control daemon.
    #[error(transparent)]
    Mps(#[from] MpsError),
    /// The driver tells no capability nodes.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The driver's libraries aren't where its root says.
    #[error(transparent)]
    DriverFiles(#[from] driver_files::Error),
    /// The place was free when it was planned. Planning again may find another.
    #[error(
        "{gpu} has no room for {profile} at memory slice {} any more: somebody else was faster; try again",
        placement.start
    )]
    NoRoom {
        /// The GPU.
        gpu: String,
        /// What was to be made.
        profile: ProfileName,
        /// Where.
        placement: Placement,
    },
    /// The GPU can't do MIG.
    #[error("{gpu} can't do MIG: ask for another sharing mode, or for another GPU")]
    NoMig {
        /// The GPU.
        gpu: String,
    },
    /// MIG mode would come with a reset only.
    #[error(
        "MIG mode of {gpu} comes with a GPU reset only, which divvy never does: turn it on with `nvidia-smi -i {gpu} -mig 1`, then reset the GPU or reboot"
    )]
    NeedsReset {
        /// The GPU.
        gpu: String,
    },
    /// A whole GPU that was planned with is in MIG mode by now. Planning again may find another.
    #[error("MIG mode of {gpu} was turned on by somebody else meanwhile; try again")]
    MigOn {
        /// The GPU.
        gpu: String,
    },
    /// The driver won't change MIG mode.
    #[error("the driver doesn't turn {} MIG mode of {gpu}: {code}", if *on { "on" } else { "off" })]
    MigRefused {
        /// The GPU.
        gpu: String,
        /// What it was to be.
        on: bool,
        /// Its answer.
        code: Code,
    },
    /// Processes use a GPU that must be idle.
    #[error(
        "MIG mode of {gpu} can't be turned on while the processes {pids:?} use it: end them, then try again"
    )]
    Busy {
        /// The GPU.
        gpu: String,
        /// Who uses it.
        pids: Vec<u32>,
    },
    /// A setting that was accepted and isn't there.
    #[error(
        "{device}: the {what} was set to {wanted} and is {found}; see what the driver says to `nvidia-smi -q`"
    )]
    NotSet {
        /// The GPU or MIG device.
        device: String,
        /// `compute mode`, `time slice`, `MIG mode`.
        what: &'static str,
        /// What was set.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// The GPU, or its driver, has no time-slice intervals.
    #[error(
        "the time slice of {gpu} can't be set (nvidia-smi says: {said}): ask for time-slicing without an interval, or for another GPU"
    )]
    NoTimeSlice {
        /// The GPU.
        gpu: String,
        /// nvidia-smi's words.
        said: String,
    },
    /// A program of the driver's is missing.
    #[error(
        "no {program} lies under {}: install it with the driver, or name the driver's place with --driver-root",
        root.display()
    )]
    NoProgram {
        /// Its name.
        program: &'static str,
        /// Where it was looked for.
        root: PathBuf,
    },
    /// The kernel knows no capability nodes.
    #[error(
        "{} has no line `nvidia-caps`: the nvidia module isn't loaded, or is too old for MIG",
        devices.display()
    )]
    NoMajor {
        /// The kernel's list of devices.
        devices: PathBuf,
    },
    /// A node of another driver load.
    #[error(
        "{} is device {found} and should be {wanted}: another load of the driver left it; remove it and try again",
        path.display()
    )]
    StaleNode {
        /// The node.
        path: PathBuf,
        /// `236:12`.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// A record whose steps don't follow from each other.
    #[error(
        "the device record {device} tells no {what}, which its step needs: it was written by another version of divvy, or changed"
    )]
    Record {
        /// The record.
        device: String,
        /// What is missing.
        what: &'static str,
    },
    /// The record's MIG device isn't there to go on with.
    #[error(
        "the GPU instance of the device record {device} is gone from {gpu}: somebody else destroyed it; release the claims on it and prepare again"
    )]
    InstanceGone {
        /// The record.
        device: String,
        /// The GPU.
        gpu: String,
    },
    /// A GPU instance of an administrator's own isn't there to go on with.
    #[error(
        "the GPU instance at memory slice {start} of {gpu} is gone or another: somebody else changed it meanwhile; try again"
    )]
    Changed {
        /// The GPU.
        gpu: String,
        /// Its first memory slice.
        start: u32,
    },
    /// A file or a program.
    #[error("can't {what} {}: {source}", path.display())]
    Io {
        /// `make`, `read`, `run`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ShareError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> ShareError {
        ShareError::Io { what, path: path.to_owned(), source }
    }

    /// Whether the driver answered just this.
    pub(super) fn is(&self, code: Code) -> bool {
        matches!(self, ShareError::Nvml(error) if error.is(code))
    }
}

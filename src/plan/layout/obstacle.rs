//! Who stands in the way of a layout.

use super::goal::Piece;
use super::standing::Standing;
use crate::inventory::{ComputeMode, Gpu};
use crate::plan::reason::By;
use crate::plan::table;
use crate::plan::{Holder, Node};
use serde::Serialize;
use std::fmt;

/// Something in the way on a GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Obstacle {
    /// A GPU instance that would have to go.
    InUse {
        /// `3g.20gb at 4`.
        what: String,
        /// Claims that have it.
        by: Vec<Holder>,
        /// Processes in it.
        pids: Vec<u32>,
    },
    /// Claims on the whole GPU, whose MIG mode would have to change.
    Claimed {
        /// Which.
        by: Vec<Holder>,
    },
    /// Processes on the GPU, whose MIG mode would have to change.
    Processes {
        /// Which.
        pids: Vec<u32>,
    },
    /// Somebody else set the compute mode, which goes with a change of MIG mode.
    ComputeModeSet {
        /// To what.
        mode: ComputeMode,
    },
    /// MIG mode would have to change, and divvy doesn't manage the GPU.
    Unmanaged {
        /// What it would be.
        on: bool,
    },
    /// A GPU instance that couldn't be made again, should a later step fail.
    UnknownProfile {
        /// `GPU instance 5 at 0`.
        what: String,
    },
}

/// A GPU that can't become what is wanted now.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// NVML's index.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// What is in the way.
    pub obstacles: Vec<Obstacle>,
}

/// A layout that can't be had now. Nothing was touched.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("the layout is refused, and nothing was changed: {}", sentence(gpus))]
pub struct Refused {
    /// The GPUs that can't become what is wanted.
    pub gpus: Vec<Refusal>,
}

fn sentence(gpus: &[Refusal]) -> String {
    let one = |gpu: &Refusal| {
        let obstacles: Vec<String> = gpu.obstacles.iter().map(ToString::to_string).collect();
        format!("GPU {} ({}): {}", gpu.index, gpu.name, obstacles.join(", "))
    };
    gpus.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::InUse { what, by, pids } if pids.is_empty() => {
                write!(f, "{what} is held by {}: release it first", By(by))
            }
            Obstacle::InUse { what, by, pids } if by.is_empty() => {
                write!(f, "{what} is in use by {}: end them first", processes(pids))
            }
            Obstacle::InUse { what, by, pids } => {
                let (by, pids) = (By(by), processes(pids));
                write!(f, "{what} is held by {by} and in use by {pids}: release it first")
            }
            Obstacle::Claimed { by } => {
                write!(f, "it is held by {}: release it first", By(by))
            }
            Obstacle::Processes { pids } => {
                write!(f, "it is in use by {}: end them first", processes(pids))
            }
            Obstacle::ComputeModeSet { mode } => write!(
                f,
                "its compute mode was set to {mode} by somebody else: put it back with `nvidia-smi -c DEFAULT`"
            ),
            Obstacle::Unmanaged { on } => write!(
                f,
                "its MIG mode would be turned {}, and divvy doesn't manage it: say --unmanaged, or managed: true in the configuration",
                if *on { "on" } else { "off" }
            ),
            Obstacle::UnknownProfile { what } => write!(
                f,
                "{what} is of a profile that this version of divvy doesn't know: destroy it with `nvidia-smi mig -dgi`"
            ),
        }
    }
}

fn processes(pids: &[u32]) -> String {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let word = if pids.len() == 1 { "process" } else { "processes" };
    format!("{word} {}", pids.join(", "))
}

/// What keeps MIG mode as it is, beside MIG devices in use.
pub(super) fn to_mode_change(gpu: &Gpu, node: Node<'_>) -> Result<(), Obstacle> {
    let records = table::held_on(gpu, node);
    let whole =
        |held: &&table::Held| held.mig.is_none() && held.purpose != crate::claim::Purpose::MigMode;
    if records.iter().any(|held| whole(&held)) {
        let by = records.iter().filter(whole).flat_map(table::Held::by).collect();
        return Err(Obstacle::Claimed { by });
    }
    if !gpu.mig_enabled() && !gpu.processes.is_empty() {
        let pids = gpu.processes.iter().map(|process| process.pid).collect();
        return Err(Obstacle::Processes { pids });
    }
    match gpu.compute_mode {
        mode if mode != ComputeMode::Default && !gpu.mig_enabled() => {
            Err(Obstacle::ComputeModeSet { mode })
        }
        _ => Ok(()),
    }
}

/// Which instances in use no way goes around: those of profiles that are not wanted, or not so many; where
/// all are wanted, all that stand where others would have to.
pub(super) fn in_the_way(standing: &[Standing<'_>], pieces: &[Piece<'_>]) -> Vec<Obstacle> {
    let used: Vec<&Standing<'_>> = standing.iter().filter(|instance| instance.in_use()).collect();
    let unwanted = used.iter().filter(|instance| {
        let alike = |id: Option<u32>| id == instance.profile.map(|profile| profile.id);
        let wanted = pieces.iter().filter(|piece| alike(Some(piece.profile.id))).count();
        let there = used.iter().filter(|other| alike(other.profile.map(|p| p.id))).count();
        there > wanted
    });
    let unwanted: Vec<Obstacle> = unwanted.filter_map(|instance| instance.obstacle()).collect();
    match unwanted.is_empty() {
        true => used.iter().filter_map(|instance| instance.obstacle()).collect(),
        false => unwanted,
    }
}

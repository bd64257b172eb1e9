//! From what is asked for and what there is to what would be done, or to why not. Pure: no I/O, no
//! clock, no chance; the same inputs give the same plan.

pub mod capacity;
mod fit;
pub mod layout;
pub mod matrix;
mod meant;
mod mps;
mod permit;
pub mod placement;
mod reason;
mod refusal;
mod search;
mod steps;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use permit::permitted;
pub use reason::{Holder, Reason};
pub use refusal::{Cause, Obstacle, Refusal};

use crate::claim::{Claim, Device, DeviceId, Purpose, Step, Target};
use crate::config::{Config, Enforced};
use crate::inventory::Inventory;
use crate::request::{MpsLimits, Requests};
use serde::Serialize;
use std::fmt;

/// All that a plan depends on besides what is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// What there is.
    pub inventory: &'a Inventory,
    /// What claims hold.
    pub claims: &'a [Claim],
    /// The device records that they name.
    pub devices: &'a [Device],
    /// What the administrator decided.
    pub config: &'a Config,
}

/// What would be done for a claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Plan {
    /// Device records to make, in the order in which their steps are to be carried out.
    pub new: Vec<NewDevice>,
    /// The devices of the claim, in the order of its requests.
    pub parts: Vec<PlannedPart>,
    /// Records that the claim must keep alive beside its parts: MIG mode that divvy turned on.
    pub foundations: Vec<DeviceRef>,
    /// What whoever asked should know.
    pub notes: Vec<Note>,
}

/// A device record to be made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct NewDevice {
    /// What it is for.
    pub purpose: Purpose,
    /// What it consists of.
    pub targets: Vec<Target>,
    /// What is to be done to the node, in order; the undo goes backwards.
    pub steps: Vec<Step>,
}

/// A device record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DeviceRef {
    /// One that there is.
    Join(DeviceId),
    /// One to be made: its index in `new`.
    New(usize),
}

/// One device of the claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct PlannedPart {
    /// Which of the requests it serves.
    pub request: usize,
    /// The record.
    pub device: DeviceRef,
    /// What this claim's processes may use of it, under MPS.
    pub limits: MpsLimits,
    /// On joining an MPS control daemon: the limits that it must be raised to before the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raise_daemon: Option<MpsLimits>,
    /// Who sees to it that the claim gets no more.
    pub enforced: Enforced,
    /// Who must see to it at least. Whether a MIG device has a compute mode is known only when it is made.
    pub required: Enforced,
}

/// Something to know about a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "note")]
pub enum Note {
    /// Processes that nobody claims take turns on the GPU as well.
    ForeignProcesses {
        /// NVML's index.
        index: u32,
        /// Which processes.
        pids: Vec<u32>,
    },
    /// Policy leaves the compute mode: a client that by-passes its daemon isn't stopped.
    ComputeModeLeft {
        /// NVML's index.
        index: u32,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::ForeignProcesses { index, pids } => {
                let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
                let pids = pids.join(", ");
                write!(f, "processes that nobody claims take turns on GPU {index} as well: {pids}")
            }
            Note::ComputeModeLeft { index } => write!(
                f,
                "the compute mode of GPU {index} is left as it is: a process that by-passes the MPS \
                 control daemon gets the whole GPU (compute-mode: exclusive in the configuration \
                 prevents it)"
            ),
        }
    }
}

/// Plans one claim. `uid` is whose processes will be MPS clients.
///
/// # Errors
/// What stands in the way, and what would help.
pub fn plan(requests: &Requests, uid: u32, node: Node<'_>) -> Result<Plan, Box<Refusal>> {
    let units = table::units(requests)?;
    let mut table = table::Table::of(node, uid);
    if let Some(chosen) = mps::join_several(&units, &table) {
        return Ok(steps::plan(&units, &chosen, &table));
    }
    let chosen = search::search(&units, &mut table, requests)?;
    Ok(steps::plan(&units, &chosen, &table))
}

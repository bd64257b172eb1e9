//! Why a claim was not made.

use crate::claim::ClaimId;
use crate::claim::store::{StoreError, seconds};
use crate::config::Enforced;
use crate::inventory::InventoryError;
use crate::ops::grant::GrantError;
use crate::ops::journal::StepError;
use crate::ops::release::ReleaseError;
use crate::ops::spec_file::SpecFileError;
use crate::plan::Refusal;
use crate::share::ShareError;
use std::time::Duration;

/// Why a claim was not made. Nothing of it is left, unless the error says so.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The node can't serve it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The id is taken.
    #[error(
        "claim {id} exists with another request ({there}): release it first, or choose another id"
    )]
    Different {
        /// The claim.
        id: ClaimId,
        /// What it asked for.
        there: String,
    },
    /// Others were in the way all the time.
    #[error("busy: other processes kept the GPUs or this claim for {}; try again", seconds(.0))]
    Unsettled(Duration),
    /// Policy demands more than the device turned out to be able to do.
    #[error(
        "the configuration demands that limits are enforced ({required}), but this driver gives the MIG device no compute mode, so that a client can by-pass the MPS control daemon ({possible}): ask for a MIG device of its own, or for MPS on a whole GPU"
    )]
    NotEnforced {
        /// By whom limits must be enforced.
        required: Enforced,
        /// By whom they would be.
        possible: Enforced,
    },
    /// The driver.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// What was begun failed, and is undone.
    #[error("{0}; nothing of the claim is left")]
    Undone(Box<PrepareError>),
    /// What was begun failed, and part of it is in use and stays.
    #[error("{cause}; {}, and `divvy reconcile` takes it back when it isn't", left(what, pids))]
    Left {
        /// What failed.
        cause: Box<PrepareError>,
        /// The step whose undo has to wait.
        what: String,
        /// Who uses what it made, where the driver says.
        pids: Vec<u32>,
    },
    /// A step failed.
    #[error(transparent)]
    Step(Box<StepError>),
    /// What the container gets can't be worked out; what was made for it is undone.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The CDI file can't be written; what was made is undone.
    #[error(transparent)]
    SpecFile(#[from] SpecFileError),
    /// The undo of a failed step failed too.
    #[error("{cause}; and the undo failed as well: {undo}")]
    Undo {
        /// What failed first.
        cause: Box<PrepareError>,
        /// What failed then.
        undo: Box<ReleaseError>,
    },
    /// A claim in the way can't be taken back.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine.
    #[error(transparent)]
    Host(#[from] std::io::Error),
}

fn left(what: &str, pids: &[u32]) -> String {
    let by = if pids.is_empty() { String::new() } else { format!(" by the processes {pids:?}") };
    format!("what was made for the claim ({what}) is still in use{by}")
}

impl PrepareError {
    /// The same, where all that was done is undone. Who was only kept waiting had begun nothing.
    pub(super) fn undone(self) -> PrepareError {
        match self {
            PrepareError::Step(_) | PrepareError::Grant(_) | PrepareError::SpecFile(_) => {
                PrepareError::Undone(Box::new(self))
            }
            other => other,
        }
    }

    /// Whether others were in the way, and later may not be.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            PrepareError::Unsettled(_) | PrepareError::Store(StoreError::Busy { .. }) => true,
            PrepareError::Release(error) => matches!(
                error,
                ReleaseError::Working { .. } | ReleaseError::Store(StoreError::Busy { .. })
            ),
            _ => false,
        }
    }

    /// Whether another program took the place or the GPU that the plan had chosen, and nothing else is wrong.
    pub(super) fn overtaken(&self) -> bool {
        match self {
            PrepareError::Undone(cause) => cause.overtaken(),
            PrepareError::Step(error) => match &**error {
                StepError::Share(cause) | StepError::Failed { cause, .. } => {
                    matches!(**cause, ShareError::NoRoom { .. } | ShareError::MigOn { .. })
                }
                _ => false,
            },
            _ => false,
        }
    }
}

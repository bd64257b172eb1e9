//! Carries out the steps of a device record and undoes them, each written down before and after.

use crate::claim::store::{Store, StoreError};
use crate::claim::{Device, Entry};
use crate::share::{self, End, Node, Running, ShareError, Undone, Work};

/// What can't be undone yet, because somebody uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InUse {
    /// The step whose work it is.
    pub(super) what: String,
    /// Who, as far as the driver says.
    pub(super) pids: Vec<u32>,
}

/// What can stop a step.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The node.
    #[error(transparent)]
    Share(Box<ShareError>),
    /// A step can't be carried out.
    #[error("can't {what}: {cause}")]
    Failed {
        /// The step.
        what: String,
        /// The node's answer.
        cause: Box<ShareError>,
    },
    /// A step can't be undone.
    #[error("can't undo this: {what}: {cause}")]
    Undo {
        /// The step.
        what: String,
        /// The node's answer.
        cause: Box<ShareError>,
    },
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A step that a crash left half done is in use, so it can't be begun anew.
    #[error(
        "an earlier attempt to {what} was cut short, and processes use what it left ({pids:?}): end them, then run `divvy reconcile`"
    )]
    HalfDone {
        /// The step.
        what: String,
        /// Who, as far as the driver says.
        pids: Vec<u32>,
    },
    /// The machine.
    #[error(transparent)]
    Host(#[from] std::io::Error),
}

impl From<ShareError> for StepError {
    fn from(error: ShareError) -> StepError {
        StepError::Share(Box::new(error))
    }
}

/// Carries out what is still to do. A step that a crash left open is undone first, then begun anew.
///
/// # Errors
/// The first step that fails. The record then says how far it came.
pub(super) fn make(node: &Node, store: &Store, device: &mut Device) -> Result<(), StepError> {
    for n in 0..device.steps.len() {
        let Entry { step, before, outcome } = device.steps[n].clone();
        if outcome.is_some() {
            continue;
        }
        if before.is_some()
            && let Undone::InUse { pids } = share::undo(node, device, &device.steps[n])?
        {
            return Err(StepError::HalfDone { what: device.steps[n].step.to_string(), pids });
        }
        let failed = |cause: ShareError| StepError::Failed {
            what: step.to_string(),
            cause: Box::new(cause),
        };
        let running = Running::begin(node, Work::Do(&step), step.gpu());
        let before = share::observe(node, device, &step).map_err(failed)?;
        device.steps[n].before = Some(before.clone());
        store.save_device(device)?;
        let outcome = share::carry_out(node, device, &step, &before).map_err(failed)?;
        device.steps[n].outcome = Some(outcome);
        store.save_device(device)?;
        running.over(End::Done);
    }
    Ok(())
}

/// Undoes the steps backwards, then removes the record. `None` when that is through, else who still uses
/// what is to be undone.
///
/// # Errors
/// The first step that can't be undone. The record then says how far the undo came.
pub(super) fn unmake(
    node: &Node,
    store: &Store,
    device: &mut Device,
) -> Result<Option<InUse>, StepError> {
    for n in (0..device.steps.len()).rev() {
        if device.steps[n].before.is_none() {
            continue;
        }
        let step = device.steps[n].step.clone();
        let running = Running::begin(node, Work::Undo(&step), step.gpu());
        let undone = share::undo(node, device, &device.steps[n])
            .map_err(|cause| StepError::Undo { what: step.to_string(), cause: Box::new(cause) })?;
        if let Undone::InUse { pids } = undone {
            running.over(End::InUse);
            return Ok(Some(InUse { what: step.to_string(), pids }));
        }
        running.over(End::Done);
        device.steps[n].before = None;
        device.steps[n].outcome = None;
        store.save_device(device)?;
    }
    store.remove_device(&device.id)?;
    Ok(None)
}

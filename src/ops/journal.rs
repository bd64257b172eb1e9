//! Carries out the steps of a device record and undoes them, each written down before and after.

use crate::claim::Step;
use crate::claim::store::{Store, StoreError};
use crate::claim::{Device, Entry};
use crate::share::{self, Node, Progress, ShareError, Undone};
use std::time::Instant;

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
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A step that a crash left half done is in use, so it can't be begun anew.
    #[error(
        "an earlier attempt to {what} was cut short, and processes use what it left ({pids:?}): end them, then run divvy reconcile"
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

/// A step under way, for who watches.
struct Running {
    watch: Option<fn(Progress<'_>)>,
    since: Instant,
}

impl Running {
    fn begin(node: &Node, step: &Step, undo: bool) -> Running {
        let (watch, since) = (node.settings.watch, Instant::now());
        if let Some(watch) = watch {
            let device = step.gpu().and_then(|uuid| node.nvml.device_by_uuid(uuid).ok());
            let gpu = device.and_then(|device| device.index().ok());
            watch(Progress::Begins { step, gpu, undo });
        }
        Running { watch, since }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(watch) = self.watch {
            watch(Progress::Over { took: self.since.elapsed() });
        }
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
        let _running = Running::begin(node, &step, false);
        let before = share::observe(node, device, &step)?;
        device.steps[n].before = Some(before.clone());
        store.save_device(device)?;
        device.steps[n].outcome = Some(share::carry_out(node, device, &step, &before)?);
        store.save_device(device)?;
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
        let running = Running::begin(node, &device.steps[n].step, true);
        let undone = share::undo(node, device, &device.steps[n]);
        drop(running);
        if let Undone::InUse { pids } = undone? {
            return Ok(Some(InUse { what: device.steps[n].step.to_string(), pids }));
        }
        device.steps[n].before = None;
        device.steps[n].outcome = None;
        store.save_device(device)?;
    }
    store.remove_device(&device.id)?;
    Ok(None)
}

//! The second half: under the GPUs' locks, from the plan to devices that are ready.

use super::begin::Intent;
use super::{Ask, PrepareError};
use crate::claim::store::{Store, StoreError};
use crate::claim::{Claim, Device, Owner, Phase};
use crate::config::Level;
use crate::ops::grant::{self, Grant};
use crate::ops::journal::{self, StepError};
use crate::ops::release::{self, Released, When};
use crate::ops::spec_file;
use crate::request::MpsLimits;
use crate::share::{self, Node, ShareError, mps};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Carries the plan out. Where that fails, nothing of the claim is left.
pub(super) fn finish(
    node: &Node,
    store: &Store,
    ask: &Ask,
    intent: Intent,
    patience: Duration,
) -> Result<Grant, PrepareError> {
    make(node, store, ask, intent, patience).map_err(|cause| {
        match release::release(node, store, &ask.id, When::Always, patience) {
            Ok(Released::InUse { what, pids }) => {
                PrepareError::Left { cause: Box::new(cause), what, pids }
            }
            Ok(Released::Done | Released::Absent) => cause.undone(),
            Err(undo) => PrepareError::Undo { cause: Box::new(cause), undo: undo.into() },
        }
    })
}

fn make(
    node: &Node,
    store: &Store,
    ask: &Ask,
    intent: Intent,
    patience: Duration,
) -> Result<Grant, PrepareError> {
    let Intent { mut claim, raise, required } = intent;
    let gpus = release::gpus_of(&store.devices_of(std::slice::from_ref(&claim))?);
    let _gpus = store.lock_gpus(&gpus.iter().map(String::as_str).collect(), patience)?;
    // What others stand on comes first. A device that the claim joins may be half made: its first claim failed.
    let devices = claim.foundations.iter().chain(claim.parts.iter().map(|part| &part.device));
    let mut by_passable = BTreeSet::new();
    for id in devices {
        if let Some(mut device) = store.device(id)? {
            share::check_whole(node, &device)
                .map_err(StepError::from)
                .and_then(|()| journal::make(node, store, &mut device))
                .map_err(|error| PrepareError::Step(Box::new(error)))?;
            by_passable.extend(device.without_compute_mode().then_some(device.id));
        }
    }
    for (part, required) in claim.parts.iter_mut().zip(required) {
        if by_passable.contains(&part.device) {
            part.enforced = part.enforced.at_most(Level::Client);
        }
        if !part.enforced.reaches(required) {
            return Err(PrepareError::NotEnforced { required, possible: part.enforced });
        }
    }
    for (id, limits) in &raise {
        if let Some(device) = store.device(id)? {
            raise_limits(node, &device, limits)
                .map_err(|error| PrepareError::Step(Box::new(error.into())))?;
        }
    }
    let grant = grant::of(node, store, ask.hook.as_ref(), &claim)?;
    // Only what a caller prepares is for engines to name; a container that is starting is handed its edits.
    if claim.owner == Owner::Caller {
        spec_file::write(node.host, &claim.id, grant.edits.clone())?;
    }
    let lock = store.lock(patience)?;
    claim.phase = Phase::Granted;
    release::save(store, &lock, &claim)?;
    Ok(grant)
}

/// Writes the CDI file of a claim that is there, where somebody removed it or it is as an older hook needed it.
pub(super) fn name_again(
    node: &Node,
    store: &Store,
    claim: &Claim,
    grant: &Grant,
    patience: Duration,
) -> Result<(), PrepareError> {
    if claim.owner != Owner::Caller || spec_file::is_as(node.host, &claim.id, &grant.edits)? {
        return Ok(());
    }
    // Under the lock, for a release removes the file once the claim says that it has begun.
    let _lock = store.lock(patience)?;
    if store.claim(&claim.id)?.as_ref() == Some(claim) {
        spec_file::write(node.host, &claim.id, grant.edits.clone())?;
    }
    Ok(())
}

/// Lets a daemon that the claim joins give as much as its most demanding claim may have.
fn raise_limits(node: &Node, device: &Device, limits: &MpsLimits) -> Result<(), ShareError> {
    let Some(folder) = device.daemon_folder() else { return Ok(()) };
    Ok(mps::change_limits(node.host, node.settings, folder, device.targets.len(), limits)?)
}

/// Waits until the process that works on a claim has let go of its GPUs.
pub(super) fn await_worker(
    store: &Store,
    claim: &Claim,
    patience: Duration,
) -> Result<(), StoreError> {
    // It takes their locks soon after it has written the claim.
    std::thread::sleep(Duration::from_millis(2));
    let gpus = release::gpus_of(&store.devices_of(std::slice::from_ref(claim))?);
    store.lock_gpus(&gpus.iter().map(String::as_str).collect(), patience).map(drop)
}

/// How long after a release has let go of its GPUs its claim may still be there; it goes at once, unless its devices
/// are in use.
const GRACE: Duration = Duration::from_millis(100);

/// Waits until another process has taken a claim back, or has let go of it.
pub(super) fn await_end(
    store: &Store,
    claim: &Claim,
    patience: Duration,
) -> Result<(), StoreError> {
    let start = Instant::now();
    await_worker(store, claim, patience)?;
    let grace = Instant::now() + GRACE;
    // Whoever has the GPUs meanwhile may have them for longer than that.
    while Instant::now() < grace && store.claim(&claim.id)?.as_ref() == Some(claim) {
        await_worker(store, claim, patience.saturating_sub(start.elapsed()))?;
    }
    Ok(())
}

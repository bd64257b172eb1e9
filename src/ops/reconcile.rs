//! Brings records and node to agree: what hooks that never ran, crashes and reboots left behind.

use super::release::{self, ReleaseError, Released, When};
use crate::claim::repair::{self, Now, Repair};
use crate::claim::store::Store;
use crate::claim::{ClaimId, DeviceId};
use crate::host::Host;
use crate::share::Node;
use std::time::Duration;

/// What one reconcile did.
#[derive(Debug, Default)]
pub struct Report {
    /// Claims that it took back.
    pub released: Vec<ClaimId>,
    /// Device records without a claim that it undid.
    pub retired: Vec<DeviceId>,
    /// What is still in use, with the claim: the next reconcile tries again.
    pub in_use: Vec<(ClaimId, Released)>,
    /// What failed. The others were mended all the same.
    pub failed: Vec<ReleaseError>,
}

impl Report {
    /// Whether records and node agreed already.
    pub fn is_empty(&self) -> bool {
        self.released.is_empty()
            && self.retired.is_empty()
            && self.in_use.is_empty()
            && self.failed.is_empty()
    }
}

/// Mends everything that can be mended. Twice does no more than once.
///
/// # Errors
/// Where the records can't be read; what fails for one claim is in the report.
pub fn reconcile(node: &Node, store: &Store, patience: Duration) -> Result<Report, ReleaseError> {
    let mut report = Report::default();
    for repair in find(node, store, patience)? {
        match repair {
            Repair::Release(id) => match release::release(node, store, &id, When::Dead, patience) {
                Ok(Released::Done) => report.released.push(id),
                Ok(Released::Absent) => {}
                Ok(in_use) => report.in_use.push((id, in_use)),
                Err(error) => report.failed.push(error),
            },
            Repair::Retire(id) => match retire(node, store, &id, patience) {
                Ok(true) => report.retired.push(id),
                Ok(false) => {}
                Err(error) => report.failed.push(error),
            },
        }
    }
    Ok(report)
}

/// What it would mend now. Nothing is locked and nothing is changed.
///
/// # Errors
/// Where the records can't be read.
pub fn look(host: &Host, store: &Store) -> Result<Vec<Repair>, ReleaseError> {
    let claims = store.claims()?;
    let devices = store.devices()?;
    let now = Now { identity: host.identity()?, uptime_ms: host.uptime_ms() };
    let signs = claims.iter().map(|claim| (claim, release::signs(host, claim)));
    Ok(repair::repairs(signs, &devices, &now))
}

fn find(node: &Node, store: &Store, patience: Duration) -> Result<Vec<Repair>, ReleaseError> {
    let lock = store.lock(patience)?;
    store.sweep(&lock)?;
    look(node.host, store)
}

/// Undoes a device record, if no claim names it by now.
fn retire(
    node: &Node,
    store: &Store,
    id: &DeviceId,
    patience: Duration,
) -> Result<bool, ReleaseError> {
    let Some(device) = store.device(id)? else { return Ok(false) };
    let gpus = release::gpus_of(std::slice::from_ref(&device));
    let _gpus = store.lock_gpus(&gpus.iter().map(String::as_str).collect(), patience)?;
    let lock = store.lock(patience)?;
    let claims = store.claims()?;
    let Some(mut device) = store.device(id)? else { return Ok(false) };
    if claims.iter().any(|claim| claim.holds(id)) {
        return Ok(false);
    }
    device.retiring = true;
    store.save_device(&device)?;
    drop(lock);
    let undone = release::undo(node, store, &mut device)
        .map_err(|error| ReleaseError::Orphan { id: id.clone(), error: error.into() })?;
    Ok(undone.is_none())
}

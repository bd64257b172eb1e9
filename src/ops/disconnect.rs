//! What comes before a container is killed: its MPS clients leave, so that those it shares a server with live on.

use crate::claim::store::{Store, StoreError};
use crate::claim::{Claim, Device, Owner};
#[cfg(feature = "nvml")]
use crate::host::{Cgroup, Host};
#[cfg(feature = "nvml")]
use crate::share::{
    Settings,
    mps::{self, MpsError},
};
use std::path::PathBuf;

/// The control daemons that a container shares with claims of others, by their folders, and its claims on them.
///
/// # Errors
/// Where the records can't be read.
pub fn shared_daemons(store: &Store, container: &str) -> Result<Vec<(Claim, PathBuf)>, StoreError> {
    let claims = store.claims()?;
    let is_its = |claim: &&Claim| match &claim.owner {
        Owner::Container { container: own, .. } => own.id == container,
        Owner::Caller | Owner::Start { .. } => false,
    };
    let mut shared = Vec::new();
    for claim in claims.iter().filter(is_its) {
        let devices = store.devices_of(std::slice::from_ref(claim))?;
        let devices = devices.iter().filter(|device| others_have(&claims, claim, device));
        let folders = devices.filter_map(Device::daemon_folder);
        shared.extend(folders.map(|folder| (claim.clone(), folder.to_owned())));
    }
    Ok(shared)
}

fn others_have(claims: &[Claim], claim: &Claim, device: &Device) -> bool {
    let others = claims.iter().filter(|other| other.id != claim.id);
    others.flat_map(|other| &other.parts).any(|part| part.device == device.id)
}

/// Why clients may still be there.
#[cfg(feature = "nvml")]
#[derive(Debug, thiserror::Error)]
pub enum DisconnectError {
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The control daemon.
    #[error(transparent)]
    Mps(#[from] MpsError),
}

/// Ends the MPS clients in a container where claims of others share their server. Answers their pids.
///
/// # Errors
/// Where the records or a control daemon can't be asked.
#[cfg(feature = "nvml")]
pub fn disconnect(
    host: &Host,
    settings: &Settings,
    store: &Store,
    container: &str,
) -> Result<Vec<u32>, DisconnectError> {
    let mut ended = Vec::new();
    for (claim, folder) in shared_daemons(store, container)? {
        let its = |pid| lives_in(host, &claim, pid);
        ended.extend(mps::disconnect(host, settings, &folder, its)?);
    }
    Ok(ended)
}

/// Whether a process is one of the claim's container: its first, or one in its cgroup or below that.
#[cfg(feature = "nvml")]
fn lives_in(host: &Host, claim: &Claim, pid: u32) -> bool {
    let Owner::Container { process, cgroup, .. } = &claim.owner else { return false };
    let inside =
        |own: &Cgroup| host.cgroup_of(pid).is_some_and(|its| its.folder.starts_with(&own.folder));
    process.pid == pid || cgroup.as_ref().is_some_and(inside)
}

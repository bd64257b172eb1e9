//! What comes before a container is killed: its MPS clients leave, so that those it shares a server with live on.

use crate::claim::Device;
use crate::claim::store::{Store, StoreError};
use crate::host::Host;
use crate::share::Settings;
use crate::share::mps::{self, MpsError};

/// Why clients may still be there.
#[derive(Debug, thiserror::Error)]
pub enum DisconnectError {
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A control daemon.
    #[error(transparent)]
    Mps(#[from] MpsError),
}

/// Ends the MPS clients in a container whose server has others, too. Which they are is told by their cgroup, that
/// engines name by the container's id: so whoever made the claim, and however many containers it serves. Answers their
/// pids.
///
/// # Errors
/// Where the records or a control daemon can't be asked. The other daemons are asked all the same.
pub fn disconnect(
    host: &Host,
    settings: &Settings,
    store: &Store,
    container: &str,
) -> Result<Vec<u32>, DisconnectError> {
    let its = |pid| {
        host.cgroup_of(pid).and_then(|cgroup| cgroup.container()).as_deref() == Some(container)
    };
    let (mut ended, mut failed) = (Vec::new(), None);
    for folder in store.devices()?.iter().filter_map(Device::daemon_folder) {
        match mps::disconnect(host, settings, folder, its) {
            Ok(pids) => ended.extend(pids),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(ended), |error| Err(error.into()))
}

//! Looks at the node for metrics.

use super::{Daemon, Seen};
use crate::claim::Device;
use crate::claim::store::{Store, StoreError};
use crate::history::History;
use crate::host::Host;
use crate::inventory::{self, Inventory, InventoryError, Scope};
use crate::nvml::Session;
use crate::refused::Refused;
use crate::share::{Settings, mps};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far back a driver's sample may lie: it takes one every second or so.
const RECENT: Duration = Duration::from_secs(5);

/// Looks at the node, and tells in sentences what could not be seen of it. A driver that doesn't answer leaves the
/// rest to be seen.
///
/// # Errors
/// The records can't be read.
pub fn look(
    host: &Host,
    store: &Store,
    settings: &Settings,
) -> Result<(Seen, Vec<String>), StoreError> {
    let mut notes = Vec::new();
    let claims = store.claims()?;
    let devices = store.devices_of(&claims)?;
    let daemons = devices.iter().filter_map(|device| daemon(host, settings, device, &mut notes));
    let daemons = daemons.collect();
    let mut seen = Seen {
        claims,
        devices,
        daemons,
        history: History::read(host),
        refusals_kept: Refused::all(host).len(),
        uptime_ms: host.uptime_ms(),
        ..Seen::default()
    };
    match driver(host, &mut seen, &mut notes) {
        Ok(inventory) => seen.inventory = Some(inventory),
        Err(error) => notes.push(error.to_string()),
    }
    let listed = seen.inventory.iter().flat_map(|inventory| &inventory.gpus);
    let pids = listed.flat_map(|gpu| &gpu.processes).map(|process| process.pid);
    let clients = seen.daemons.iter().filter_map(|daemon| daemon.clients.as_ref()).flatten();
    let pids: Vec<u32> = pids.chain(clients.copied()).collect();
    let cgroups = pids.into_iter().filter_map(|pid| Some((pid, host.cgroup_of(pid)?)));
    seen.cgroups = cgroups.collect();
    Ok((seen, notes))
}

fn driver(
    host: &Host,
    seen: &mut Seen,
    notes: &mut Vec<String>,
) -> Result<Inventory, InventoryError> {
    let session: Session = inventory::open(host)?;
    let inventory = inventory::read(&session, Scope::Full)?;
    let since = SystemTime::now() - RECENT;
    let since = since.duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros());
    let since = u64::try_from(since).unwrap_or(0);
    for gpu in &inventory.gpus {
        match inventory::utilization(&session, gpu, since) {
            Ok(Some(samples)) => drop(seen.utilization.insert(gpu.uuid.clone(), samples)),
            Ok(None) => {}
            // The others are measured all the same.
            Err(error) => notes.push(error.to_string()),
        }
    }
    Ok(inventory)
}

/// The control daemon of a record that has one.
fn daemon(
    host: &Host,
    settings: &Settings,
    device: &Device,
    notes: &mut Vec<String>,
) -> Option<Daemon> {
    let folder = device.daemon_folder()?;
    let id = device.id.clone();
    match mps::state(host, settings, folder) {
        Ok(mps::State { condition: mps::Condition::Serving { clients }, servers }) => {
            Some(Daemon { device: id, clients: Some(clients), servers })
        }
        Ok(mps::State { servers, .. }) => Some(Daemon { device: id, clients: None, servers }),
        Err(error) => {
            notes.push(error.to_string());
            Some(Daemon { device: id, clients: None, servers: Vec::new() })
        }
    }
}

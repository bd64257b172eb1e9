//! Metrics of the node: GPUs, MIG slices, claims, MPS control daemons, what went before, and who uses how much.
//!
//! Written by whoever asks, as text for a file that Prometheus' node exporter reads; nothing stays resident.

mod family;
mod instances;
#[cfg(feature = "nvml")]
mod look;
#[cfg(test)]
mod tests;
mod text;
mod usage;

pub use family::{FAMILIES, Family, Kind};
#[cfg(feature = "nvml")]
pub use look::look;
pub use text::Format;

use crate::claim::{Claim, Device, DeviceId, Owner, Phase, Purpose};
use crate::history::{Durations, History};
use crate::host::Cgroup;
use crate::inventory::{Inventory, Utilization};
use crate::request::SharingMode;
use std::collections::BTreeMap;

/// All that metrics depend on, seen at one moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The GPUs; `None` where the driver doesn't answer.
    pub inventory: Option<Inventory>,
    /// Who holds what.
    pub claims: Vec<Claim>,
    /// The device records that the claims name.
    pub devices: Vec<Device>,
    /// Which MPS control daemons serve.
    pub daemons: Vec<Daemon>,
    /// What each process uses of a GPU, by the GPU's UUID; a GPU whose driver doesn't measure isn't there.
    pub utilization: BTreeMap<String, Vec<Utilization>>,
    /// Where the processes on GPUs live, by pid; one outside every cgroup isn't there.
    pub cgroups: BTreeMap<u32, Cgroup>,
    /// What was counted since boot.
    pub history: History,
    /// How many refusals are kept for people.
    pub refusals_kept: usize,
    /// Milliseconds since boot.
    pub uptime_ms: u64,
}

/// The MPS control daemon of a device record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// The record.
    pub device: DeviceId,
    /// The pids of its clients; `None` where it doesn't serve.
    pub clients: Option<Vec<u32>>,
    /// The pids of its servers.
    pub servers: Vec<u32>,
}

/// One line: a value of a family, with its labels' values in the family's order.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    labels: Vec<String>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Whole(u64),
    Real(f64),
    Histogram(Durations),
}

/// The metrics of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    samples: BTreeMap<&'static str, Vec<Sample>>,
}

impl Metrics {
    /// What was seen, as numbers.
    #[must_use]
    pub fn of(seen: &Seen) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.whole(&family::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
        metrics.whole(&family::DRIVER_UP, &[], u64::from(seen.inventory.is_some()));
        if let Some(inventory) = &seen.inventory {
            instances::put(&mut metrics, inventory, seen);
            usage::put(&mut metrics, inventory, seen);
        }
        put_claims(&mut metrics, seen);
        put_daemons(&mut metrics, seen);
        put_history(&mut metrics, seen);
        metrics
    }

    /// The metrics as text.
    #[must_use]
    pub fn text(&self, format: Format) -> String {
        text::write(self, format)
    }

    fn whole(&mut self, family: &'static Family, labels: &[&str], value: u64) {
        self.put(family, labels, Value::Whole(value));
    }

    fn put(&mut self, family: &'static Family, labels: &[&str], value: Value) {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.samples.entry(family.name).or_default().push(Sample { labels, value });
    }
}

fn put_claims(metrics: &mut Metrics, seen: &Seen) {
    for mode in SharingMode::ALL {
        for (phase, word) in PHASES {
            let here =
                |claim: &&Claim| claim.phase == phase && claim.requests.sharing_mode() == mode;
            let count = seen.claims.iter().filter(here).count();
            metrics.whole(&family::CLAIMS, &[mode.word(), word], count as u64);
        }
    }
    for claim in &seen.claims {
        let age = seen.uptime_ms.saturating_sub(claim.created_uptime_ms);
        let container = match &claim.owner {
            Owner::Container { container, .. } => container.id.as_str(),
            Owner::Caller | Owner::Start { .. } => "",
        };
        let mode = claim.requests.sharing_mode();
        let labels = [claim.id.as_str(), mode.word(), container];
        let seconds = age as f64 / 1000.0;
        metrics.put(&family::CLAIM_AGE, &labels, Value::Real(seconds));
    }
}

const PHASES: [(Phase, &str); 4] = [
    (Phase::Intent, "intent"),
    (Phase::Granted, "granted"),
    (Phase::Bound, "bound"),
    (Phase::Releasing, "releasing"),
];

fn put_daemons(metrics: &mut Metrics, seen: &Seen) {
    for device in seen.devices.iter().filter(|device| device.purpose == Purpose::Mps) {
        let daemon = seen.daemons.iter().find(|daemon| daemon.device == device.id);
        let clients = daemon.and_then(|daemon| daemon.clients.as_ref());
        for target in &device.targets {
            let labels = [device.id.as_str(), target.gpu.as_str()];
            metrics.whole(&family::MPS_UP, &labels, u64::from(clients.is_some()));
            if let Some(clients) = clients {
                metrics.whole(&family::MPS_CLIENTS, &labels, clients.len() as u64);
            }
        }
    }
}

fn put_history(metrics: &mut Metrics, seen: &Seen) {
    let history = &seen.history;
    for (reason, count) in &history.refusals {
        metrics.whole(&family::REFUSALS, &[reason], *count);
    }
    metrics.whole(&family::REFUSALS_KEPT, &[], seen.refusals_kept as u64);
    metrics.whole(&family::FAILURES, &[], history.failures);
    let durations = [
        (&family::PREPARE_DURATION, &history.prepares),
        (&family::RELEASE_DURATION, &history.releases),
    ];
    for (family, durations) in durations {
        // A series that begins with its first event has no increase that a query could see: each begins with nothing.
        for mode in SharingMode::ALL {
            let durations = durations.get(mode.word()).cloned().unwrap_or_default();
            metrics.put(family, &[mode.word()], Value::Histogram(durations));
        }
    }
}

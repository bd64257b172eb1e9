//! Claims: requests with a life. A claim holds devices until it is released.
//!
//! ```text
//! Intent ──▶ Granted ──▶ Bound ──▶ Releasing ──▶ (gone)
//! ```
//!
//! A claim is one file, and the claims are the only truth about who holds what: counts are derived from them.
//! What was done to the node for a device stands in a [`Device`] record of its own, which claims name;
//! the last claim that leaves a device undoes it.

mod device;
mod id;
mod lost;
mod owner;
pub mod repair;
mod step;
pub mod store;
#[cfg(test)]
pub(crate) mod tests;

pub use device::{Device, MigTarget, Purpose, Target};
pub use id::{ClaimId, DeviceId, InvalidClaimId};
pub use lost::lost_devices;
pub use owner::{ContainerRef, Owner};
pub use step::{Before, Entry, Outcome, Step};

use crate::config::Enforced;
use crate::host::{NodeIdentity, ProcessRef};
use crate::request::{MpsLimits, Requests};
use serde::{Deserialize, Serialize};

/// A request with a life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Its name, chosen by who prepares it or made up.
    pub id: ClaimId,
    /// How far its life is.
    pub phase: Phase,
    /// What was asked for, in one go.
    pub requests: Requests,
    /// The uid whose processes will be MPS clients.
    pub uid: u32,
    /// Whose it is.
    pub owner: Owner,
    /// The process that carries out the present phase, where one is at work: Intent and Releasing.
    pub worker: ProcessRef,
    /// The boot and driver load it belongs to.
    pub identity: NodeIdentity,
    /// When it was made, in seconds of Unix time; for people.
    pub created: u64,
    /// When it was made, in milliseconds since boot; for deadlines.
    pub created_uptime_ms: u64,
    /// What it holds, in the order of the requests.
    pub parts: Vec<Part>,
    /// Device records that its parts stand on, and that it keeps alive as well: MIG mode.
    pub foundations: Vec<DeviceId>,
}

impl Claim {
    /// Every device record that the claim keeps alive.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceId> {
        self.parts.iter().map(|part| &part.device).chain(&self.foundations)
    }

    /// Whether the claim keeps that device record alive.
    pub fn holds(&self, device: &DeviceId) -> bool {
        self.devices().any(|held| held == device)
    }
}

/// How far a claim's life is. All phases hold their devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The plan is written, its steps are under way.
    Intent,
    /// The devices are ready.
    Granted,
    /// A container has them.
    Bound,
    /// The undo is under way.
    Releasing,
}

/// One device of a claim, with the limits that hold for this claim on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which of the claim's requests it serves.
    pub request: usize,
    /// The device record.
    pub device: DeviceId,
    /// What this claim's processes may use of it, under MPS.
    #[serde(default)]
    pub limits: MpsLimits,
    /// Who sees to it that the claim gets no more.
    pub enforced: Enforced,
}

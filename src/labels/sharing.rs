//! How a GPU, or a MIG device of it, is offered to several at once.

use crate::config::Config;
use crate::inventory::Gpu;
use crate::request::Mode;

/// The words of `sharing-strategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// By turns.
    TimeSlicing,
    /// At once.
    Mps,
}

impl Strategy {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Strategy::TimeSlicing => "time-slicing",
            Strategy::Mps => "mps",
        }
    }
}

/// How many may share a device, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How.
    pub strategy: Strategy,
    /// How many, at least 2.
    pub replicas: u32,
}

/// How a GPU, or each MIG device of it, is shared: by turns, where the configuration lets it be used by
/// turns and not whole. A GPU that may be used either way is offered whole, since nobody can count on
/// its replicas.
pub(super) fn share(config: &Config, gpu: &Gpu) -> Option<Share> {
    let policy = config.policy(gpu);
    let by_turns =
        policy.modes.contains(&Mode::TimeSlicing) && !policy.modes.contains(&Mode::Exclusive);
    (by_turns && policy.replicas > 1)
        .then_some(Share { strategy: Strategy::TimeSlicing, replicas: policy.replicas })
}

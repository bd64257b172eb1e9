//! How a resource is offered to several at once.

use crate::compat::device_plugin::Strategy;
use crate::config::Config;
use crate::inventory::Gpu;
use crate::request::Mode;

/// How many may share each device of a resource, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// How.
    pub(super) strategy: Strategy,
    /// How many, at least 2.
    pub(super) replicas: u32,
    /// Whether the replicas go by a name of their own, which tells that they are shared.
    pub(super) renamed: bool,
}

/// How a resource of a GPU is shared, `gpu` or `mig-1g.10gb`: as `resources` of the configuration say, where they name
/// it. Else by turns, where the GPU may be used by turns and not whole. One that may be used either way is offered
/// whole, since nobody can count on its replicas.
pub(super) fn share(config: &Config, gpu: &Gpu, resource: &str) -> Option<Share> {
    if let Some(named) = config.resources.iter().find(|one| one.name.class() == resource) {
        let renamed = named.kind.as_ref().is_some_and(|kind| *kind != named.name);
        return Some(Share { strategy: named.mode, replicas: named.replicas, renamed });
    }
    let policy = config.policy(gpu);
    let by_turns =
        policy.modes.contains(&Mode::TimeSlicing) && !policy.modes.contains(&Mode::Exclusive);
    let strategy = Strategy::TimeSlicing;
    (by_turns && policy.replicas > 1).then_some(Share {
        strategy,
        replicas: policy.replicas,
        renamed: false,
    })
}

//! What must be mended, from the records and from what was seen of their people. Pure: looks at nothing itself.

use super::{Claim, ClaimId, Device, DeviceId, Owner, Phase};
use crate::host::{Liveness, NodeIdentity};
use std::collections::BTreeSet;

/// What was seen of the processes that a claim names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signs {
    /// The process that carried out the phase.
    pub worker: Liveness,
    /// The owner's process; for a claim without one, [`Liveness::Unknown`].
    pub owner: Liveness,
    /// Whether the container's cgroup holds a process.
    pub cgroup_populated: bool,
}

/// The moment that claims are judged at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// This boot and driver load.
    pub identity: NodeIdentity,
    /// Milliseconds since boot.
    pub uptime_ms: u64,
}

/// Whether a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stands.
    Stands,
    /// It is of an older boot or driver load: its devices went with that, its records have to follow.
    Outlived,
    /// Its plan or its undo was left half done.
    Abandoned,
    /// Its owner is dead.
    OwnerDead,
}

/// Judges one claim.
pub fn judge(claim: &Claim, signs: Signs, now: &Now) -> Verdict {
    if claim.identity != now.identity {
        return Verdict::Outlived;
    }
    match claim.phase {
        Phase::Intent | Phase::Releasing if signs.worker == Liveness::Dead => Verdict::Abandoned,
        Phase::Intent | Phase::Releasing => Verdict::Stands,
        Phase::Granted | Phase::Bound => judge_owner(claim, signs, now),
    }
}

fn judge_owner(claim: &Claim, signs: Signs, now: &Now) -> Verdict {
    let dead = match &claim.owner {
        Owner::Caller => false,
        Owner::Start { .. } => {
            let late =
                now.uptime_ms.saturating_sub(claim.created_uptime_ms) > Owner::START_LIMIT_MS;
            signs.owner == Liveness::Dead || (late && signs.owner == Liveness::Alive)
        }
        Owner::Container { .. } => signs.owner == Liveness::Dead && !signs.cgroup_populated,
    };
    if dead { Verdict::OwnerDead } else { Verdict::Stands }
}

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Take the claim back, or finish taking it back.
    Release(ClaimId),
    /// Undo a device record that no claim names: its first claim was never written, or its last one is gone.
    Retire(DeviceId),
}

/// What has to be done to bring records and node to agree. Nothing, where they do: the result of its own work is stable.
pub fn repairs<'a>(
    claims: impl IntoIterator<Item = (&'a Claim, Signs)>,
    devices: &[Device],
    now: &Now,
) -> Vec<Repair> {
    let mut named = BTreeSet::new();
    let mut repairs = Vec::new();
    for (claim, signs) in claims {
        named.extend(claim.devices());
        if judge(claim, signs, now) != Verdict::Stands {
            repairs.push(Repair::Release(claim.id.clone()));
        }
    }
    let orphans = devices.iter().filter(|device| !named.contains(&device.id));
    repairs.extend(orphans.map(|device| Repair::Retire(device.id.clone())));
    repairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::tests::{claim, container, device, identity};
    use crate::host::Host;
    use Liveness::{Alive, Dead, Unknown};

    fn now(uptime_ms: u64) -> Now {
        Now { identity: identity(), uptime_ms }
    }

    fn signs(worker: Liveness, owner: Liveness, cgroup_populated: bool) -> Signs {
        Signs { worker, owner, cgroup_populated }
    }

    #[test]
    fn a_callers_claim_ends_by_no_age() {
        let claim = claim("a", Phase::Granted, Owner::Caller);
        assert_eq!(judge(&claim, signs(Dead, Unknown, false), &now(u64::MAX)), Verdict::Stands);
    }

    #[test]
    fn another_boot_or_driver_load_ends_every_claim() {
        let claim = claim("a", Phase::Bound, Owner::Caller);
        for identity in [
            NodeIdentity { boot_id: "another".into(), ..identity() },
            NodeIdentity { driver_load: Some(8), ..identity() },
            NodeIdentity { driver_load: None, ..identity() },
        ] {
            let now = Now { identity, uptime_ms: 0 };
            assert_eq!(judge(&claim, signs(Alive, Alive, true), &now), Verdict::Outlived);
        }
    }

    #[test]
    fn half_done_work_is_abandoned_when_its_worker_is_dead() {
        for phase in [Phase::Intent, Phase::Releasing] {
            let claim = claim("a", phase, Owner::Caller);
            for (worker, verdict) in
                [(Dead, Verdict::Abandoned), (Alive, Verdict::Stands), (Unknown, Verdict::Stands)]
            {
                assert_eq!(judge(&claim, signs(worker, Unknown, false), &now(0)), verdict);
            }
        }
    }

    #[test]
    fn a_start_is_dead_with_its_process_or_after_its_time() {
        let process = Host::default().this_process().unwrap();
        let claim = claim("a", Phase::Granted, Owner::Start { process });
        let judged = |owner, uptime_ms| judge(&claim, signs(Dead, owner, false), &now(uptime_ms));
        assert_eq!(judged(Alive, 121_000), Verdict::Stands);
        assert_eq!(judged(Alive, 121_001), Verdict::OwnerDead);
        assert_eq!(judged(Dead, 1000), Verdict::OwnerDead);
        assert_eq!(judged(Unknown, 900_000), Verdict::Stands);
    }

    #[test]
    fn a_container_is_dead_with_its_process_and_its_cgroup() {
        let process = Host::default().this_process().unwrap();
        let claim = claim("a", Phase::Bound, container(process));
        let judged =
            |owner, populated| judge(&claim, signs(Dead, owner, populated), &now(u64::MAX));
        assert_eq!(judged(Dead, false), Verdict::OwnerDead);
        assert_eq!(judged(Dead, true), Verdict::Stands);
        assert_eq!(judged(Alive, false), Verdict::Stands);
        assert_eq!(judged(Unknown, false), Verdict::Stands);
    }

    #[test]
    fn a_device_that_no_claim_names_is_retired_and_nothing_else() {
        let stands = claim("a", Phase::Granted, Owner::Caller);
        let devices = [device("a"), device("b")];
        let found = repairs([(&stands, signs(Dead, Unknown, false))], &devices, &now(0));
        assert_eq!(found, [Repair::Retire(device("b").id)]);
        assert_eq!(repairs([(&stands, signs(Dead, Unknown, false))], &devices[..1], &now(0)), []);
    }
}

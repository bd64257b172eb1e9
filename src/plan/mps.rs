//! What MPS shares need beyond the matrix: sums of limits, clients, the daemon's own limits.

use super::fit::{Choice, Take};
use super::reason::Reason;
use super::table::{GpuFacts, Held, Mode, Table, Unit};
use crate::claim::Purpose;
use crate::config::{Enforced, Level};
use crate::request::MpsLimits;

/// Who enforces a claim's limits on a daemon with these limits of its own.
///
/// A daemon enforces what is its own default for every client; a lower limit stands in the client's
/// environment only. Where the compute mode doesn't keep clients from by-passing the daemon, the
/// environment is all there is.
pub(super) fn enforced(limits: MpsLimits, daemon: MpsLimits, exclusive_process: bool) -> Enforced {
    let level = |set: bool, by_daemon: bool| match (set, by_daemon && exclusive_process) {
        (false, _) => Level::No,
        (true, true) => Level::Daemon,
        (true, false) => Level::Client,
    };
    Enforced {
        memory: level(limits.memory.is_some(), daemon.memory == limits.memory),
        compute: level(limits.threads.is_some(), daemon.threads == limits.threads),
    }
}

/// The limits that a daemon may have of its own: the largest of its claims', none where one has none.
pub(super) fn daemon_limits<'a>(claims: impl Iterator<Item = &'a MpsLimits>) -> MpsLimits {
    let claims: Vec<&MpsLimits> = claims.collect();
    let threads: Option<Vec<_>> = claims.iter().map(|limits| limits.threads).collect();
    let memory: Option<Vec<_>> = claims.iter().map(|limits| limits.memory).collect();
    MpsLimits {
        threads: threads.and_then(|set| set.into_iter().max()),
        memory: memory.and_then(|set| set.into_iter().max()),
    }
}

/// How many clients MPS serves on a device: 16 before Volta, 48 since, 60 since CUDA 13.1; of a MIG
/// device by its share of the compute slices (MIG user guide, "Deployment considerations").
fn most_clients(table: &Table<'_>, facts: &GpuFacts<'_>, held: &Held) -> u32 {
    let whole = match facts.gpu.compute_capability {
        (..=6, _) => 16,
        _ if table.cuda_version >= (13, 1) => 60,
        _ => 48,
    };
    let Some((mig, inside)) = facts.gpu.mig.as_ref().zip(held.mig.as_ref()) else { return whole };
    let all = mig.profiles.iter().map(|profile| profile.name.slices).max().unwrap_or(1).max(1);
    let profile = mig.profiles.iter().find(|profile| profile.id == inside.profile_id);
    let compute = profile.and_then(|profile| {
        let own = |c: &&crate::inventory::ComputeProfile| Some(c.id) == inside.compute_profile;
        profile.compute_profiles.iter().find(own)
    });
    let slices = compute.map_or(inside.profile.slices, |compute| compute.slices);
    (whole * slices / all).max(1)
}

/// Memory of a record's device, in MiB.
fn memory_mib(facts: &GpuFacts<'_>, held: &Held) -> u64 {
    let Some((mig, inside)) = facts.gpu.mig.as_ref().zip(held.mig.as_ref()) else {
        return facts.gpu.memory_mib;
    };
    let profile = mig.profiles.iter().find(|profile| profile.name == inside.profile);
    profile.map_or(0, |profile| profile.memory_mib)
}

/// Checks that a daemon has room for one more claim with these limits.
pub(super) fn room(
    table: &Table<'_>,
    facts: &GpuFacts<'_>,
    held: &Held,
    limits: MpsLimits,
) -> Result<(), Reason> {
    let by = || held.by();
    if held.targets != 1 {
        return Err(Reason::DaemonOfSeveral { by: by() });
    }
    daemon_has_room(table, facts, held, limits)
}

/// The same, whatever number of GPUs the daemon serves.
fn daemon_has_room(
    table: &Table<'_>,
    facts: &GpuFacts<'_>,
    held: &Held,
    limits: MpsLimits,
) -> Result<(), Reason> {
    let by = || held.by();
    if !table.daemon_is_shared {
        return Err(Reason::OneClaimPerDaemon { by: by() });
    }
    if held.uid != table.uid {
        return Err(Reason::OtherUid { uid: held.uid, by: by() });
    }
    let most = most_clients(table, facts, held);
    if held.holders.len() >= most as usize {
        return Err(Reason::Clients { most, by: by() });
    }
    sums_fit(facts, held, limits)?;
    let after = daemon_limits(held.limits().chain([&limits]));
    let demanded = facts.policy.require;
    for claim in held.limits().chain([&limits]) {
        let possible = enforced(*claim, after, held.exclusive_process);
        if !possible.reaches(demanded) {
            return Err(Reason::Enforcement { demanded, possible });
        }
    }
    Ok(())
}

/// Checks that the limits that are set sum to no more than there is.
fn sums_fit(facts: &GpuFacts<'_>, held: &Held, limits: MpsLimits) -> Result<(), Reason> {
    let there = memory_mib(facts, held);
    if let Some(memory) = limits.memory {
        let set: u64 = held.limits().filter_map(|own| own.memory).map(|own| own.mib()).sum();
        let left_mib = there.saturating_sub(set);
        let fits = memory.mib() <= left_mib;
        if !fits && (memory.mib() > there || !facts.policy.oversubscribe) {
            return Err(Reason::Memory { left_mib, by: held.by() });
        }
    }
    if let Some(threads) = limits.threads {
        let set: u32 =
            held.limits().filter_map(|own| own.threads).map(|t| u32::from(t.get())).sum();
        let left = 100u32.saturating_sub(set);
        if u32::from(threads.get()) > left && !facts.policy.oversubscribe {
            return Err(Reason::Threads { left_percent: left, by: held.by() });
        }
    }
    Ok(())
}

/// The share of one daemon over several GPUs, where one that there is serves just as many and has room.
/// `None` where the claim wants no such thing, or a daemon must be started.
pub(super) fn join_several(units: &[Unit<'_>], table: &Table<'_>) -> Option<Vec<Choice>> {
    let Some(Unit { mode: Mode::Mps { limits }, .. }) = units.first() else { return None };
    if units.len() < 2 {
        return None;
    }
    let firsts = table.held.iter().flatten().filter(|held| {
        held.purpose == Purpose::Mps && held.targets == units.len() && held.mig.is_none()
    });
    firsts.into_iter().find_map(|first| {
        let members: Vec<Choice> = members(table, first).collect();
        let joins = |choice: &Choice| {
            let held = table.held_on(choice.gpu).get(join_index(choice)?)?;
            let facts = table.gpus.get(choice.gpu)?;
            let stands = !held.retiring && !held.gone;
            let room = stands && daemon_has_room(table, facts, held, *limits).is_ok();
            let allowed = facts.policy.modes.contains(&crate::request::Mode::Mps);
            (room && allowed).then_some(())
        };
        let all = members.len() == units.len() && members.iter().all(|m| joins(m).is_some());
        if !all { None } else { assign(units, table, members) }
    })
}

fn join_index(choice: &Choice) -> Option<usize> {
    match choice.take {
        Take::Join(index) => Some(index),
        Take::New { .. } => None,
    }
}

/// The GPUs of a record, as choices to join.
fn members<'t>(table: &'t Table<'_>, record: &'t Held) -> impl Iterator<Item = Choice> + 't {
    table.held.iter().enumerate().flat_map(move |(gpu, held)| {
        let own = held.iter().enumerate().filter(|(_, held)| held.device == record.device);
        own.map(move |(index, _)| Choice { cost: (0, 0, gpu, 0), gpu, take: Take::Join(index) })
    })
}

/// Gives each unit a GPU that it may be on; the most particular units choose first.
fn assign(units: &[Unit<'_>], table: &Table<'_>, mut members: Vec<Choice>) -> Option<Vec<Choice>> {
    let fits = |unit: &Unit<'_>, choice: &Choice| {
        let facts = table.gpus.get(choice.gpu);
        facts.is_some_and(|facts| unit.pin.is_none_or(|pin| pin.matches(facts.gpu)))
    };
    let mut order: Vec<usize> = (0..units.len()).collect();
    let ways = |n: &usize| {
        units.get(*n).map(|unit| members.iter().filter(|member| fits(unit, member)).count())
    };
    order.sort_by_key(ways);
    let mut chosen: Vec<(usize, Choice)> = Vec::new();
    for n in order {
        let unit = units.get(n)?;
        let at = members.iter().position(|member| fits(unit, member))?;
        chosen.push((n, members.remove(at)));
    }
    chosen.sort_by_key(|(n, _)| *n);
    Some(chosen.into_iter().map(|(_, choice)| choice).collect())
}

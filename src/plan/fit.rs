//! Whether one device that is wanted fits on one GPU, how, and if not, why.

use super::capacity;
use super::matrix::{Answer, Condition, State, Want, answer};
use super::mps;
use super::placement::slices;
use super::reason::Reason;
use super::refusal::Obstacle;
use super::table::{GpuFacts, Held, HeldMig, MigWant, Mode, Table, Unit, mig_device};
use crate::claim::Purpose;
use crate::compat::device_plugin::Strategy;
use crate::config::{Enforced, Level};
use crate::inventory::{ComputeMode, ComputeProfile, Mig, Placement, Profile};
use crate::request::{ComputeSlices, Mode as ModeName, Pin};
use std::collections::BTreeSet;

/// One way to serve a unit.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    /// The smaller the better: kind of choice, what it costs, GPU, first slice.
    pub(super) cost: (u8, u64, usize, u32),
    /// Index of the GPU in the table.
    pub(super) gpu: usize,
    pub(super) take: Take,
}

/// What is taken.
#[derive(Clone, Debug)]
pub(super) enum Take {
    /// A share of a record: its index on the GPU.
    Join(usize),
    /// Something new: the whole GPU, or a MIG device of it.
    New {
        mig: Option<HeldMig>,
        enable_mig: bool,
        /// Processes that nobody claims and that stay there.
        beside: Vec<u32>,
    },
}

/// Kinds of choices, best first.
const JOIN: u8 = 0;
const MAKE: u8 = 1;
const MAKE_BESIDE_OTHERS: u8 = 2;
const ENABLE_MIG: u8 = 3;

/// Every way to serve a unit, best first, and what stands in the way on the GPUs that offer none.
pub(super) fn choices(table: &Table<'_>, unit: &Unit<'_>) -> (Vec<Choice>, Vec<Obstacle>) {
    let (mut choices, mut obstacles) = (Vec::new(), Vec::new());
    for (n, facts) in table.gpus.iter().enumerate() {
        if unit.pin.is_some_and(|pin| !pin.matches(facts.gpu)) {
            continue;
        }
        let found = choices.len();
        let reason = match on_gpu(table, n, unit, &mut choices) {
            Ok(()) => continue,
            Err(_) if choices.len() > found => continue,
            Err(reason) => reason,
        };
        let gpu = facts.gpu;
        let (uuid, name) = (gpu.uuid.clone(), gpu.name.clone());
        obstacles.push(Obstacle { index: gpu.index, uuid, name, reason });
    }
    choices.sort_by_key(|choice| choice.cost);
    obstacles.sort_by_key(|obstacle| obstacle.reason.rank());
    (choices, obstacles)
}

/// Adds the ways on one GPU; the reason is why there is not one more.
fn on_gpu(
    table: &Table<'_>,
    n: usize,
    unit: &Unit<'_>,
    choices: &mut Vec<Choice>,
) -> Result<(), Reason> {
    let Some(facts) = table.gpus.get(n) else { return Ok(()) };
    allowed(facts, unit)?;
    room_for_claim(table, n, facts)?;
    if let Some(want) = unit.mig {
        return new_mig(&Place { table, n, facts, unit }, want, choices);
    }
    let place = Place { table, n, facts, unit };
    let choice = match unit.pin {
        Some(pin @ Pin::MigDevice(_)) => existing_mig(&place, pin)?,
        _ => whole(&place)?,
    };
    choices.push(choice);
    Ok(())
}

/// Refuses modes that policy keeps away from a GPU.
fn allowed(facts: &GpuFacts<'_>, unit: &Unit<'_>) -> Result<(), Reason> {
    let sharing = match unit.mode {
        Mode::Exclusive if unit.mig.is_some() => None,
        Mode::Exclusive => Some(ModeName::Exclusive),
        Mode::TimeSlicing { .. } => Some(ModeName::TimeSlicing),
        Mode::Mps { .. } => Some(ModeName::Mps),
    };
    let existing = match unit.pin {
        Some(pin @ Pin::MigDevice(_)) => Some(pin.to_string()),
        _ => None,
    };
    let needed = unit.mig.map(|_| ModeName::Mig).into_iter().chain(sharing);
    let shared = facts.shared(existing.as_deref());
    if facts.policy.only_shares && !unit.named && shared.is_none() {
        return Err(Reason::OnlyShares);
    }
    if let Some(shared) = shared {
        let only = match shared.resource.mode {
            Strategy::TimeSlicing => ModeName::TimeSlicing,
            Strategy::Mps => ModeName::Mps,
        };
        if let Some(mode) = needed.clone().find(|mode| *mode != only) {
            return Err(Reason::ModeNotAllowed { mode });
        }
    }
    match needed.into_iter().find(|mode| !facts.policy.modes.contains(mode)) {
        Some(mode) => Err(Reason::ModeNotAllowed { mode }),
        None => Ok(()),
    }
}

/// Refuses one more claim than policy lets onto a GPU.
fn room_for_claim(table: &Table<'_>, n: usize, facts: &GpuFacts<'_>) -> Result<(), Reason> {
    let Some(most) = facts.policy.claims else { return Ok(()) };
    let by: BTreeSet<super::Holder> = table.held_on(n).iter().flat_map(Held::by).collect();
    let claims: BTreeSet<&str> = by
        .iter()
        .map(|one| one.claim.as_str())
        .filter(|claim| *claim != super::Holder::OWN)
        .collect();
    match claims.len() >= most as usize {
        true => Err(Reason::MostClaims { most, by: by.into_iter().collect() }),
        false => Ok(()),
    }
}

/// A unit and the GPU that it is tried on.
struct Place<'a> {
    table: &'a Table<'a>,
    n: usize,
    facts: &'a GpuFacts<'a>,
    unit: &'a Unit<'a>,
}

impl Mode {
    pub(super) fn want(self) -> Want {
        match self {
            Mode::Exclusive => Want::Exclusive,
            Mode::TimeSlicing { .. } => Want::TimeSlicing,
            Mode::Mps { .. } => Want::Mps,
        }
    }
}

/// The state that a record puts its device in.
fn state_of(held: &Held) -> Option<State> {
    match held.purpose {
        Purpose::MigMode => None,
        Purpose::Exclusive => Some(State::Exclusive),
        Purpose::TimeSlicing { .. } => Some(State::TimeSlicing),
        Purpose::Mps => Some(State::Mps),
    }
}

impl Place<'_> {
    fn held(&self) -> impl Iterator<Item = (usize, &Held)> {
        self.table.held_on(self.n).iter().enumerate()
    }

    /// The record that has the whole GPU.
    fn whole_held(&self) -> Option<(usize, &Held)> {
        self.held().find(|(_, held)| held.mig.is_none() && held.purpose != Purpose::MigMode)
    }

    /// The claims on MIG devices of the GPU.
    /// In the order of their places: that of records means nothing.
    fn mig_holders(&self) -> Vec<super::Holder> {
        let start = |held: &Held| held.mig.as_ref().map(|mig| mig.placement.start);
        let on_mig = self.held().filter_map(|(_, held)| Some((start(held)?, held.by())));
        let mut holders: Vec<(u32, Vec<super::Holder>)> = on_mig.collect();
        holders.sort_by_key(|(start, _)| *start);
        holders.into_iter().flat_map(|(_, by)| by).collect()
    }

    /// What is on the GPU besides records of whole GPUs.
    fn states(&self) -> Vec<State> {
        let gpu = self.facts.gpu;
        let mig_on = self.table.mig_on(self.n);
        let whole = self.whole_held().map(|(_, held)| held);
        let mut states = Vec::new();
        if mig_on && self.table.occupied(self.n) != 0 {
            states.push(State::MigInUse);
        } else if mig_on {
            states.push(State::MigIdle);
        }
        if gpu.compute_mode != ComputeMode::Default
            && !whole.is_some_and(|held| held.exclusive_process)
        {
            states.push(State::ForeignComputeMode);
        }
        // What runs on a claimed GPU is taken to be the claims'.
        if !mig_on && whole.is_none() && !gpu.processes.is_empty() {
            states.push(State::ForeignProcesses);
        }
        if states.is_empty() && whole.is_none() {
            states.push(State::Nothing);
        }
        states
    }

    /// The reason that a state is, when the matrix says no to it.
    fn reason(&self, state: State) -> Reason {
        match state {
            State::ForeignComputeMode => {
                Reason::ComputeModeSet { mode: self.facts.gpu.compute_mode }
            }
            State::ForeignProcesses => Reason::Processes { pids: self.pids(None) },
            State::MigIdle | State::MigInUse => Reason::MigOn { by: self.mig_holders() },
            State::Nothing | State::Exclusive | State::TimeSlicing | State::Mps => {
                let by = self.whole_held().map(|(_, held)| held.by()).unwrap_or_default();
                Reason::Held { state, by }
            }
        }
    }

    /// The processes on the GPU, or in one compute instance, given as (GPU instance, compute instance).
    fn pids(&self, instance: Option<(u32, u32)>) -> Vec<u32> {
        let inside = |process: &&crate::inventory::Process| {
            instance.is_none_or(|(gi, ci)| {
                process.gpu_instance == Some(gi)
                    && process.compute_instance.is_none_or(|own| own == ci)
            })
        };
        self.facts.gpu.processes.iter().filter(inside).map(|process| process.pid).collect()
    }

    /// A share of a record, where the matrix and its conditions allow one.
    fn join(&self, index: usize, held: &Held) -> Result<Choice, Reason> {
        if held.own > 0 {
            return Err(Reason::SameClaim);
        }
        if held.retiring {
            return Err(Reason::Retiring { by: held.by() });
        }
        if held.gone {
            return Err(Reason::Gone { by: held.by() });
        }
        let state = state_of(held).unwrap_or(State::Nothing);
        let by = || held.by();
        match (answer(state, self.unit.mode.want()), self.unit.mode, held.purpose) {
            (
                Answer::If(Condition::IntervalAndReplicas),
                Mode::TimeSlicing { interval },
                Purpose::TimeSlicing { interval: has },
            ) => {
                if interval.is_some() && interval != has {
                    return Err(Reason::OtherInterval { has, by: by() });
                }
                let mig = held.mig.as_ref().and_then(|mig| mig.existing.as_deref());
                let replicas = self.facts.replicas(mig);
                if held.holders.len() + self.unit.more.len() >= replicas as usize {
                    return Err(Reason::NoReplica { replicas, by: by() });
                }
            }
            (Answer::If(Condition::LimitsAndClients), Mode::Mps { limits }, Purpose::Mps)
                if self.unit.joins =>
            {
                mps::room(self.table, self.facts, held, limits)?;
            }
            _ => return Err(Reason::Held { state, by: by() }),
        }
        // The fuller one first, so that emptier ones can end.
        let room = u64::MAX - u64::try_from(held.holders.len()).unwrap_or(u64::MAX);
        let cost = (JOIN, room, self.n, 0);
        Ok(Choice { cost, gpu: self.n, take: Take::Join(index) })
    }

    /// Checks that what would be made is enforced as policy demands, and that MPS limits can be met at all.
    fn new_is_enough(&self, memory_mib: u64) -> Result<(), Reason> {
        let demanded = self.facts.policy.require;
        let possible = match self.unit.mode {
            Mode::Exclusive => Enforced { memory: Level::Hardware, compute: Level::Hardware },
            Mode::TimeSlicing { .. } => {
                let existing = self.unit.pin.filter(|pin| matches!(pin, Pin::MigDevice(_)));
                let replicas = self.facts.replicas(existing.map(Pin::to_string).as_deref());
                if self.unit.more.len() >= replicas as usize {
                    return Err(Reason::NoReplica { replicas, by: Vec::new() });
                }
                Enforced { memory: Level::No, compute: Level::No }
            }
            Mode::Mps { limits } => {
                if limits.memory.is_some_and(|memory| memory.mib() > memory_mib) {
                    return Err(Reason::Memory { left_mib: memory_mib, by: Vec::new() });
                }
                mps::enforced(limits, limits, self.facts.policy.exclusive_process)
            }
        };
        if !possible.reaches(demanded) {
            return Err(Reason::Enforcement { demanded, possible });
        }
        Ok(())
    }
}

/// A whole GPU, or a share of one.
fn whole(place: &Place<'_>) -> Result<Choice, Reason> {
    let gpu = place.facts.gpu;
    let want = place.unit.mode.want();
    let mut beside = Vec::new();
    for state in place.states() {
        match answer(state, want) {
            Answer::Yes => {}
            Answer::If(Condition::ProcessesNamed) => beside = place.pids(None),
            Answer::If(_) | Answer::No(_) => return Err(place.reason(state)),
        }
    }
    if let Some((index, held)) = place.whole_held() {
        return place.join(index, held);
    }
    place.new_is_enough(gpu.memory_mib)?;
    let kind = if beside.is_empty() { MAKE } else { MAKE_BESIDE_OTHERS };
    // A GPU that could be cut into MIG devices is worth more: others go first.
    let cost = (kind, u64::from(gpu.mig.is_some()), place.n, 0);
    let take = Take::New { mig: None, enable_mig: false, beside };
    Ok(Choice { cost, gpu: place.n, take })
}

/// A MIG device that exists, or a share of it.
fn existing_mig(place: &Place<'_>, pin: &Pin) -> Result<Choice, Reason> {
    let Some((instance, device)) = mig_device(place.facts.gpu, pin) else {
        return Err(Reason::NoMig);
    };
    for (index, held) in place.held() {
        let Some(mig) = &held.mig else { continue };
        match &mig.existing {
            Some(uuid) if *uuid == device.uuid => return place.join(index, held),
            None if mig.placement == instance.placement => {
                return Err(Reason::MadeForClaim { by: held.by() });
            }
            _ => {}
        }
    }
    let pids = place.pids(Some((instance.id, device.id)));
    let state = if pids.is_empty() { State::Nothing } else { State::ForeignProcesses };
    match answer(state, place.unit.mode.want()) {
        Answer::Yes | Answer::If(Condition::ProcessesNamed) => {}
        Answer::If(_) | Answer::No(_) => return Err(Reason::Processes { pids }),
    }
    let profiles = place.facts.gpu.mig.iter().flat_map(|mig| &mig.profiles);
    let profile = profiles.into_iter().find(|profile| profile.id == instance.profile_id);
    place.new_is_enough(profile.map_or(0, |profile| profile.memory_mib))?;
    let Some(profile) = profile else { return Err(Reason::NoProfile { has: Vec::new() }) };
    let mig = HeldMig {
        profile: profile.name.clone(),
        profile_id: profile.id,
        placement: instance.placement,
        compute_profile: Some(device.profile_id),
        existing: Some(device.uuid.clone()),
    };
    let take = Take::New { mig: Some(mig), enable_mig: false, beside: pids };
    Ok(Choice { cost: (MAKE, 0, place.n, 0), gpu: place.n, take })
}

/// A MIG device to be made, or a share of one that divvy made.
fn new_mig(place: &Place<'_>, want: MigWant<'_>, choices: &mut Vec<Choice>) -> Result<(), Reason> {
    let mig = place.facts.gpu.mig.as_ref().ok_or(Reason::NoMig)?;
    let names = || mig.profiles.iter().map(|profile| profile.name.clone()).collect();
    let profile = mig.profiles.iter().find(|profile| profile.name == *want.profile);
    let profile = profile.ok_or_else(|| Reason::NoProfile { has: names() })?;
    let compute = compute_profile(profile, want.compute).ok_or_else(|| {
        let has = profile.compute_profiles.iter().map(|compute| compute.slices).collect();
        Reason::NoComputeProfile { has }
    })?;
    if place.unit.mode != Mode::Exclusive {
        for (index, held) in place.held() {
            let alike = |mig: &HeldMig| {
                mig.existing.is_none()
                    && mig.profile_id == profile.id
                    && mig.compute_profile == Some(compute.id)
            };
            if held.mig.as_ref().is_some_and(alike) {
                choices.extend(place.join(index, held).ok());
            }
        }
    }
    let enable_mig = mig_may_be_made(place, mig)?;
    place.new_is_enough(profile.memory_mib)?;
    let free = free_placements(place, mig, profile);
    if free.is_empty() {
        return Err(no_placement(place, mig));
    }
    let take = |placement| {
        let mig = HeldMig {
            profile: profile.name.clone(),
            profile_id: profile.id,
            placement,
            compute_profile: Some(compute.id),
            existing: None,
        };
        Take::New { mig: Some(mig), enable_mig, beside: Vec::new() }
    };
    let kind = if enable_mig { ENABLE_MIG } else { MAKE };
    choices.extend(free.into_iter().map(|(placement, loss)| Choice {
        cost: (kind, loss, place.n, placement.start),
        gpu: place.n,
        take: take(placement),
    }));
    Ok(())
}

/// The compute profile with so many slices; with all of them, if it isn't said. Several have the same
/// number on some boards: the lowest id is the plain one.
pub(super) fn compute_profile(
    profile: &Profile,
    slices: Option<ComputeSlices>,
) -> Option<&ComputeProfile> {
    let all = profile.compute_profiles.iter().map(|compute| compute.slices).max();
    let slices = slices.map(ComputeSlices::get).or(all)?;
    let alike = profile.compute_profiles.iter().filter(|compute| compute.slices == slices);
    alike.min_by_key(|compute| compute.id)
}

/// Whether MIG devices may be made on the GPU: `true` where the mode must be turned on for it.
fn mig_may_be_made(place: &Place<'_>, mig: &Mig) -> Result<bool, Reason> {
    if let Some((_, held)) = place.whole_held() {
        let state = state_of(held).unwrap_or(State::Nothing);
        return Err(Reason::Held { state, by: held.by() });
    }
    let retiring = place.held().find(|(_, h)| h.purpose == Purpose::MigMode && h.retiring);
    if let Some((_, held)) = retiring {
        return Err(Reason::Retiring { by: held.by() });
    }
    let on = place.table.mig_on(place.n);
    for state in place.states() {
        match answer(state, Want::MigDevice) {
            Answer::If(Condition::MigOn) if !on => return Err(place.reason(state)),
            Answer::No(_) => return Err(place.reason(state)),
            Answer::Yes | Answer::If(_) => {}
        }
    }
    if on {
        return Ok(false);
    }
    if mig.pending != mig.enabled {
        return Err(Reason::MigPending);
    }
    if !place.facts.policy.enable_mig {
        return Err(Reason::MigOff);
    }
    // Ampere changes the mode with a reset only, and divvy never resets a GPU.
    if place.facts.gpu.compute_capability.0 < 9 {
        return Err(Reason::MigNeedsReset);
    }
    Ok(true)
}

/// The free placements of a profile and what each takes away.
fn free_placements(place: &Place<'_>, mig: &Mig, profile: &Profile) -> Vec<(Placement, u64)> {
    let (table, n) = (place.table, place.n);
    let Some(memo) = place.facts.geometry.and_then(|index| table.geometries.get(index)) else {
        return Vec::new();
    };
    let taken = table.standing(n);
    if !capacity::one_more(mig, &taken, profile) {
        return Vec::new();
    }
    let occupied = table.occupied(n);
    let before = memo.worth(occupied);
    let placements = profile.placements.iter().filter_map(|placement| {
        let place = slices(*placement)?;
        (occupied & place == 0)
            .then(|| (*placement, before.saturating_sub(memo.worth(occupied | place))))
    });
    placements.collect()
}

fn no_placement(place: &Place<'_>, mig: &Mig) -> Reason {
    let occupied = place.table.occupied(place.n).count_ones();
    Reason::NoPlacement {
        free_slices: mig.slices.saturating_sub(occupied),
        memory_slices: mig.slices,
        by: place.mig_holders(),
        unclaimed: place.table.unclaimed(place.n).count(),
    }
}

/// MIG profiles that could be made somewhere now, the largest first.
pub(super) fn fitting_profiles(
    table: &Table<'_>,
    unit: &Unit<'_>,
) -> Vec<crate::inventory::ProfileName> {
    let mut fits: Vec<&Profile> = Vec::new();
    for (n, facts) in table.gpus.iter().enumerate() {
        let Some(mig) = &facts.gpu.mig else { continue };
        let place = Place { table, n, facts, unit };
        let pinned = unit.pin.is_none_or(|pin| pin.matches(facts.gpu));
        if !pinned || allowed(facts, unit).is_err() || mig_may_be_made(&place, mig).is_err() {
            continue;
        }
        fits.extend(mig.profiles.iter().filter(|p| !free_placements(&place, mig, p).is_empty()));
    }
    fits.sort_by_key(|p| {
        (std::cmp::Reverse((p.memory_mib, p.name.slices)), p.name.attribute.len())
    });
    let mut names: Vec<_> = fits.into_iter().map(|profile| profile.name.clone()).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

//! Serves all devices of a claim together: the best choice for each, and back where that leads nowhere.

use super::DeviceRef;
use super::fit::{self, Choice, Take};
use super::meant;
use super::placement::Slices;
use super::reason::{Holder, Reason};
use super::refusal::{Cause, Obstacle, Refusal};
use super::table::{Held, Mode, Room, Table, Unit};
use crate::claim::Purpose;
use crate::request::{MpsLimits, Pin, Request, Requests, Share};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Choices tried before a claim is refused. A claim on one GPU needs a few hundred at most; only claims
/// of dozens of different MIG devices over many GPUs come near it.
const MOST_STEPS: u32 = 5_000;

/// Chooses for each unit, in their order.
///
/// # Errors
/// What stops the first unit that gets nothing.
pub(super) fn search(
    units: &[Unit<'_>],
    table: &mut Table<'_>,
    requests: &Requests,
) -> Result<Vec<Choice>, Box<Refusal>> {
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by_key(|n| units.get(*n).map(|unit| difficulty(unit, table)));
    let mut search =
        Search { units, order: &order, chosen: Vec::new(), dead: BTreeSet::new(), steps: 0 };
    if search.from(0, table) {
        let mut chosen: Vec<(usize, Choice)> = order.iter().copied().zip(search.chosen).collect();
        chosen.sort_by_key(|(n, _)| *n);
        return Ok(chosen.into_iter().map(|(_, choice)| choice).collect());
    }
    // The search tries first what the explanation tries, so that one ends where the other does.
    let refusal = explain(units, &order, table, requests).unwrap_or_else(|| {
        let request = units.first().and_then(|unit| requests.iter().nth(unit.request));
        let request = request.cloned().unwrap_or_else(|| Request::new(Share::Exclusive));
        Refusal { request, served: 0, cause: Cause::NoGpu, fits: Vec::new() }
    });
    Err(Box::new(refusal))
}

/// The most particular first: pinned ones, whole GPUs, large MIG devices, those with few places.
fn difficulty(unit: &Unit<'_>, table: &Table<'_>) -> (bool, bool, Reverse<u32>, usize) {
    let profiles = table.gpus.iter().flat_map(|facts| &facts.gpu.mig).flat_map(|mig| &mig.profiles);
    let profile = unit.mig.and_then(|want| {
        let mut alike = profiles.into_iter().filter(|profile| profile.name == *want.profile);
        alike.next()
    });
    let size = profile.and_then(|profile| profile.placements.first()).map_or(0, |p| p.size);
    let places = profile.map_or(0, |profile| profile.placements.len());
    (unit.pin.is_none(), unit.mig.is_some(), Reverse(size), places)
}

struct Search<'a> {
    units: &'a [Unit<'a>],
    order: &'a [usize],
    chosen: Vec<Choice>,
    /// Depths and tables that lead nowhere.
    dead: BTreeSet<(usize, Vec<(Slices, usize)>)>,
    steps: u32,
}

impl Search<'_> {
    fn from(&mut self, depth: usize, table: &mut Table<'_>) -> bool {
        let Some(unit) = self.order.get(depth).and_then(|n| self.units.get(*n)) else {
            return true;
        };
        self.steps += 1;
        if self.steps > MOST_STEPS || self.hopeless(depth, unit, table) {
            return false;
        }
        let place = (depth, signature(table));
        if self.dead.contains(&place) {
            return false;
        }
        let (choices, _) = fit::choices(table, unit);
        for choice in choices {
            let undo = apply(table, unit, &choice);
            self.chosen.push(choice);
            if self.from(depth + 1, table) {
                return true;
            }
            self.chosen.pop();
            take_back(table, undo);
        }
        self.dead.insert(place);
        false
    }

    /// Whether the MIG devices that are still wanted are too many, whatever stands where: of this profile,
    /// in memory slices, or in compute slices.
    fn hopeless(&self, depth: usize, unit: &Unit<'_>, table: &Table<'_>) -> bool {
        let behind = || self.order.iter().skip(depth).filter_map(|n| self.units.get(*n));
        let gpus = 0..table.gpus.len();
        if let (Some(want), Mode::Exclusive) = (unit.mig, unit.mode) {
            let alike = behind().take_while(|other| other.request == unit.request).count();
            if alike > gpus.clone().map(|n| table.room_for(n, want.profile)).sum() {
                return true;
            }
        }
        let made = behind().filter(|unit| unit.mode == Mode::Exclusive).filter_map(|unit| unit.mig);
        let wanted =
            made.fold(Room::default(), |sum, want| sum.and(table.least_room(want.profile)));
        let left = gpus.fold(Room::default(), |sum, n| sum.and(table.room_left(n)));
        wanted.memory > left.memory || wanted.compute > left.compute
    }
}

/// What of a table decides how the search goes on.
fn signature(table: &Table<'_>) -> Vec<(Slices, usize)> {
    let one = |(n, held): (usize, &Vec<Held>)| {
        (table.occupied(n), held.iter().map(|held| 1 + (held.own << 8)).sum())
    };
    table.held.iter().enumerate().map(one).collect()
}

/// What a choice added to a GPU's records.
enum Undo {
    Holder { gpu: usize, index: usize, shares: usize },
    Records { gpu: usize, added: usize },
}

/// Adds a choice to the table, as the units after it must see it.
fn apply(table: &mut Table<'_>, unit: &Unit<'_>, choice: &Choice) -> Undo {
    let holds = match &choice.take {
        Take::New { mig: Some(mig), .. } => mig.profile.to_string(),
        Take::New { .. } | Take::Join(_) => unit.mode.want().words().to_owned(),
    };
    let holder = Holder { claim: Holder::OWN.to_owned(), container: None, holds };
    let limits = match unit.mode {
        Mode::Mps { limits } => limits,
        Mode::Exclusive | Mode::TimeSlicing { .. } => MpsLimits::default(),
    };
    let gpu = choice.gpu;
    let shares = 1 + unit.more.len();
    let Some(records) = table.held.get_mut(gpu) else { return Undo::Records { gpu, added: 0 } };
    match &choice.take {
        Take::Join(index) => {
            if let Some(held) = records.get_mut(*index) {
                held.holders.extend(std::iter::repeat_n((holder, limits), shares));
                held.own += shares;
            }
            Undo::Holder { gpu, index: *index, shares }
        }
        Take::New { mig, enable_mig, .. } => {
            let record = |purpose, mig| Held {
                device: DeviceRef::New(0),
                purpose,
                mig,
                targets: 1,
                uid: table.uid,
                exclusive_process: false,
                retiring: false,
                gone: false,
                holders: vec![(holder.clone(), limits); shares],
                own: shares,
            };
            if *enable_mig {
                records.push(record(Purpose::MigMode, None));
            }
            let purpose = match unit.mode {
                Mode::Exclusive => Purpose::Exclusive,
                Mode::TimeSlicing { interval } => Purpose::TimeSlicing { interval },
                Mode::Mps { .. } => Purpose::Mps,
            };
            records.push(record(purpose, mig.clone()));
            Undo::Records { gpu, added: 1 + usize::from(*enable_mig) }
        }
    }
}

fn take_back(table: &mut Table<'_>, undo: Undo) {
    match undo {
        Undo::Holder { gpu, index, shares } => {
            if let Some(held) = table.held.get_mut(gpu).and_then(|held| held.get_mut(index)) {
                held.holders.truncate(held.holders.len().saturating_sub(shares));
                held.own = held.own.saturating_sub(shares);
            }
        }
        Undo::Records { gpu, added } => {
            if let Some(held) = table.held.get_mut(gpu) {
                held.truncate(held.len().saturating_sub(added));
            }
        }
    }
}

/// Serves the units as far as it goes without going back, and says what stops it there.
fn explain(
    units: &[Unit<'_>],
    order: &[usize],
    table: &mut Table<'_>,
    requests: &Requests,
) -> Option<Refusal> {
    let mut served = Vec::new();
    for unit in order.iter().filter_map(|n| units.get(*n)) {
        let (choices, obstacles) = fit::choices(table, unit);
        match choices.first() {
            Some(choice) => drop(apply(table, unit, choice)),
            None => {
                let served = served.iter().filter(|request| **request == unit.request).count();
                let request = requests.iter().nth(unit.request)?.clone();
                let cause = cause(unit, obstacles, table);
                let fits = match unit.mig {
                    Some(_) => fit::fitting_profiles(table, unit),
                    None => Vec::new(),
                };
                return Some(Refusal { request, served, cause, fits });
            }
        }
        served.push(unit.request);
    }
    None
}

fn cause(unit: &Unit<'_>, mut obstacles: Vec<Obstacle>, table: &Table<'_>) -> Cause {
    let lost = table.unusable.iter().filter(|gpu| match unit.pin {
        Some(Pin::Index(index)) => *index == gpu.index,
        Some(_) => false,
        None => true,
    });
    obstacles.extend(lost.map(|gpu| Obstacle {
        index: gpu.index,
        uuid: String::new(),
        name: "lost".to_owned(),
        reason: Reason::Lost { says: gpu.says.clone() },
    }));
    match unit.pin {
        _ if !obstacles.is_empty() => Cause::Gpus(obstacles),
        Some(pin) => {
            let products = table.gpus.iter().map(|facts| facts.gpu.name.as_str());
            let meant = meant::product(pin, products);
            Cause::NoMatch { pin: pin.clone(), gpus: names(pin, table), meant }
        }
        None => Cause::NoGpu,
    }
}

/// What a pin could name instead.
fn names(pin: &Pin, table: &Table<'_>) -> Vec<String> {
    let gpus = table.gpus.iter().map(|facts| facts.gpu);
    match pin {
        Pin::Index(_) | Pin::Product(_) => {
            gpus.map(|gpu| format!("{} ({})", gpu.index, gpu.name)).collect()
        }
        Pin::Gpu(_) => gpus.map(|gpu| gpu.uuid.clone()).collect(),
        Pin::MigDevice(_) => gpus
            .flat_map(|gpu| &gpu.mig)
            .flat_map(|mig| &mig.instances)
            .flat_map(|instance| &instance.compute_instances)
            .map(|device| device.uuid.clone())
            .collect(),
    }
}

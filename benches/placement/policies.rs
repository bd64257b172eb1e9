//! Policies to choose a place by, and what none of them can beat.

use crate::chain::{Board, Chain, Layout};
use divvy::inventory::Mig;
use divvy::plan::placement::{Geometry, Slices};
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;

/// How a place is chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Policy {
    Divvy,
    FirstFit,
    HighestStart,
    MostPlacements,
}

/// A board, and what divvy's score says of its free slices.
pub(crate) struct Field {
    pub(crate) board: Board,
    geometry: Geometry,
    worth: RefCell<HashMap<Slices, i64>>,
}

impl Field {
    pub(crate) fn of(mig: &Mig) -> Field {
        let (board, geometry) = (Board::of(mig), Geometry::of(mig));
        Field { board, geometry, worth: RefCell::default() }
    }

    fn worth(&self, occupied: Slices) -> i64 {
        let count = || i64::try_from(self.geometry.worth(occupied)).unwrap_or(i64::MAX);
        *self.worth.borrow_mut().entry(occupied).or_insert_with(count)
    }

    fn placements(&self, occupied: Slices) -> i64 {
        let free = self.board.places.iter().filter(|place| place.2 & occupied == 0);
        i64::try_from(free.count()).unwrap_or(i64::MAX)
    }
}

impl Policy {
    pub(crate) const ALL: [Policy; 4] =
        [Policy::Divvy, Policy::FirstFit, Policy::HighestStart, Policy::MostPlacements];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Policy::Divvy => "divvy: fewest mixes lost",
            Policy::FirstFit => "first fit",
            Policy::HighestStart => "highest start first",
            Policy::MostPlacements => "fewest placements lost",
        }
    }

    /// The smallest is chosen. All fill a GPU before the next, the counting ones by what is lost.
    fn cost(self, field: &Field, (gpu, occupied): (i64, Slices), place: usize) -> (i64, i64, i64) {
        let (_, placement, slices) = field.board.places[place];
        let start = i64::from(placement.start);
        let after = occupied | slices;
        match self {
            Policy::Divvy => (field.worth(occupied) - field.worth(after), gpu, start),
            Policy::FirstFit => (0, gpu, start),
            Policy::HighestStart => (0, gpu, -start),
            Policy::MostPlacements => {
                (field.placements(occupied) - field.placements(after), gpu, start)
            }
        }
    }

    /// The GPU and the place on it, among GPUs occupied like that.
    pub(crate) fn choose(
        self,
        field: &Field,
        occupied: &[Slices],
        profile: usize,
    ) -> Option<(usize, usize)> {
        let gpus = occupied.iter().enumerate();
        let all = gpus.flat_map(|(gpu, occupied)| {
            field.board.free(profile, *occupied).map(move |(place, _)| (gpu, *occupied, place))
        });
        let best = all.min_by_key(|(gpu, occupied, place)| {
            self.cost(field, (i64::try_from(*gpu).unwrap_or(0), *occupied), *place)
        });
        best.map(|(gpu, _, place)| (gpu, place))
    }
}

/// Whether mixes of profiles fit when everything may be moved: what no policy without moving can beat.
pub(crate) struct Oracle {
    /// The mixes that one empty GPU holds, as counts by profile.
    mixes: Vec<Vec<u8>>,
    /// Those that lie within no other, the fullest first.
    full: Vec<Vec<u8>>,
    known: HashMap<(usize, Vec<u8>), bool>,
}

impl Oracle {
    pub(crate) fn of(chain: &Chain, board: &Board) -> Oracle {
        let mix = |layout: &Layout| {
            let mut mix = vec![0u8; board.profiles.len()];
            layout.departures.iter().for_each(|(place, _)| mix[board.places[*place].0] += 1);
            mix
        };
        let mut mixes: Vec<Vec<u8>> = chain.layouts.iter().map(mix).collect();
        mixes.sort();
        mixes.dedup();
        let within = |a: &Vec<u8>, b: &Vec<u8>| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
        let outermost = |mix: &&Vec<u8>| !mixes.iter().any(|other| within(mix, other));
        let mut full: Vec<Vec<u8>> = mixes.iter().filter(outermost).cloned().collect();
        let size = |mix: &Vec<u8>| {
            let sizes = mix.iter().zip(&board.profiles);
            sizes.map(|(n, profile)| u32::from(*n) * profile.placements[0].size).sum::<u32>()
        };
        full.sort_by_key(|mix| (Reverse(size(mix)), mix.clone()));
        Oracle { mixes, full, known: HashMap::new() }
    }

    /// One GPU under the oracle, as a chain: where things stand doesn't matter, so mixes are its layouts.
    pub(crate) fn chain(&self) -> Chain {
        let index: HashMap<&Vec<u8>, usize> =
            self.mixes.iter().enumerate().map(|(n, mix)| (mix, n)).collect();
        let changed = |mix: &[u8], profile: usize, by: i8| {
            let mut changed = mix.to_vec();
            changed[profile] = changed[profile].checked_add_signed(by)?;
            index.get(&changed).copied()
        };
        let layout = |mix: &Vec<u8>| Layout {
            occupied: 0,
            arrivals: (0..mix.len())
                .map(|profile| changed(mix, profile, 1).map(|to| (0, to)).into_iter().collect())
                .collect(),
            departures: (0..mix.len())
                .flat_map(|profile| {
                    let to = changed(mix, profile, -1).map(|to| (0, to));
                    std::iter::repeat_n(to, usize::from(mix[profile])).flatten()
                })
                .collect(),
        };
        // The empty mix is the first.
        Chain::new(self.mixes.iter().map(layout).collect())
    }

    /// Whether so many GPUs hold so many of each profile.
    pub(crate) fn fits(&mut self, gpus: usize, wanted: &[u8]) -> bool {
        if wanted.iter().all(|count| *count == 0) {
            return true;
        }
        let Some(fewer) = gpus.checked_sub(1) else { return false };
        let key = (gpus, wanted.to_vec());
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let fits = (0..self.full.len()).any(|n| {
            let pairs = wanted.iter().zip(&self.full[n]);
            let rest: Vec<u8> = pairs.map(|(want, has)| want.saturating_sub(*has)).collect();
            rest != wanted && self.fits(fewer, &rest)
        });
        self.known.insert(key, fits);
        fits
    }
}

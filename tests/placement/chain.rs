//! One GPU as a Markov chain: Poisson arrivals of MIG requests, exponential holding times, and what share
//! of the arrivals a policy places. A request that fits nowhere is lost; one that fits is never refused.

use divvy::inventory::{Mig, Placement, Profile};
use divvy::plan::placement::{Slices, slices};
use std::collections::HashMap;

/// The profiles that arrive on a board, and where they can stand.
pub(crate) struct Board {
    /// The profiles without attributes, in the driver's order.
    pub(crate) profiles: Vec<Profile>,
    /// Every place of every profile: (profile, placement, slices).
    pub(crate) places: Vec<(usize, Placement, Slices)>,
}

impl Board {
    pub(crate) fn of(mig: &Mig) -> Board {
        let plain = mig.profiles.iter().filter(|profile| profile.name.attribute.is_empty());
        let profiles: Vec<Profile> = plain.cloned().collect();
        let places = profiles.iter().enumerate().flat_map(|(n, profile)| {
            let placements = profile.placements.iter();
            placements.filter_map(move |place| Some((n, *place, slices(*place)?)))
        });
        let places = places.collect();
        Board { places, profiles }
    }

    /// How often each profile arrives: all alike, or the smaller the oftener (by memory slices).
    pub(crate) fn weights(&self, by_size: bool) -> Vec<f64> {
        let size = |profile: &Profile| profile.placements.first().map_or(1, |place| place.size);
        let weight = |profile| if by_size { 1.0 / f64::from(size(profile)) } else { 1.0 };
        let sum: f64 = self.profiles.iter().map(weight).sum();
        self.profiles.iter().map(|profile| weight(profile) / sum).collect()
    }

    /// The free places of a profile, as (index into `places`, slices).
    pub(crate) fn free(
        &self,
        profile: usize,
        occupied: Slices,
    ) -> impl Iterator<Item = (usize, Slices)> + '_ {
        let places = self.places.iter().enumerate();
        let free = places.filter(move |(_, place)| place.0 == profile && place.2 & occupied == 0);
        free.map(|(n, place)| (n, place.2))
    }
}

/// Every layout of one GPU, and what leads from one to another.
pub(crate) struct Chain {
    pub(crate) layouts: Vec<Layout>,
    most: f64,
}

pub(crate) struct Layout {
    pub(crate) occupied: Slices,
    /// By profile: the places that are free, and the layouts with them taken.
    pub(crate) arrivals: Vec<Vec<(usize, usize)>>,
    /// The layouts with one instance gone, and that instance's place.
    pub(crate) departures: Vec<(usize, usize)>,
}

impl Chain {
    pub(crate) fn of(board: &Board) -> Chain {
        assert!(board.places.len() <= 64, "a layout is a set of places in one word");
        let mut index = HashMap::from([(0u64, 0usize)]);
        let mut sets = vec![0u64];
        let mut layouts: Vec<Layout> = Vec::new();
        while layouts.len() < sets.len() {
            let set = sets[layouts.len()];
            let standing = (0..board.places.len()).filter(|place| set >> place & 1 == 1);
            let standing: Vec<usize> = standing.collect();
            let occupied = standing.iter().fold(0, |all, place| all | board.places[*place].2);
            let mut layout_with = |place: usize| {
                let with = set | 1 << place;
                *index.entry(with).or_insert_with(|| {
                    sets.push(with);
                    sets.len() - 1
                })
            };
            let arrivals = board.profiles.iter().enumerate().map(|(profile, facts)| {
                let alike = standing.iter().filter(|place| board.places[**place].0 == profile);
                let room = alike.count() < facts.max_instances as usize;
                let free = board.free(profile, occupied).filter(|_| room);
                free.map(|(place, _)| (place, layout_with(place))).collect()
            });
            let arrivals = arrivals.collect();
            // A layout is found after those with one instance less.
            let departures =
                standing.iter().map(|place| (*place, index[&(set & !(1 << place))])).collect();
            layouts.push(Layout { occupied, arrivals, departures });
        }
        Chain::new(layouts)
    }

    pub(crate) fn new(layouts: Vec<Layout>) -> Chain {
        let most = layouts.iter().map(|layout| layout.departures.len()).max().unwrap_or(0) as f64;
        Chain { layouts, most }
    }

    /// The choice of a policy for every layout and profile, as an index into the layout's arrivals.
    pub(crate) fn choices(
        &self,
        mut choose: impl FnMut(usize, usize) -> Option<usize>,
    ) -> Vec<Vec<usize>> {
        let one = |(n, layout): (usize, &Layout)| {
            let by_profile = layout.arrivals.iter().enumerate().map(|(profile, ways)| {
                let Some(place) = (!ways.is_empty()).then(|| choose(n, profile)).flatten() else {
                    assert!(ways.is_empty(), "what fits is never refused");
                    return 0;
                };
                ways.iter().position(|way| way.0 == place).expect("a place that is free")
            });
            by_profile.collect()
        };
        self.layouts.iter().enumerate().map(one).collect()
    }

    /// The share of arrivals that are placed in the long run, by relative value iteration: of a policy,
    /// or the best that any can reach. `holding` is the mean holding time, in arrivals.
    pub(crate) fn placed(
        &self,
        weights: &[f64],
        holding: f64,
        choices: Option<&[Vec<usize>]>,
    ) -> f64 {
        let rate = 1.0 + self.most / holding;
        let mut values = vec![0.0; self.layouts.len()];
        loop {
            let next: Vec<f64> = (self.layouts.iter().enumerate())
                .map(|(n, layout)| {
                    let arrivals = layout.arrivals.iter().zip(weights).enumerate();
                    let arrived = arrivals.map(|(profile, (ways, weight))| {
                        let value = |way: &(usize, usize)| 1.0 + values[way.1];
                        let chosen = choices.map(|choices| choices[n][profile]);
                        weight
                            * match (ways.is_empty(), chosen) {
                                (true, _) => values[n],
                                (false, Some(chosen)) => value(&ways[chosen]),
                                (false, None) => ways.iter().map(value).fold(f64::MIN, f64::max),
                            }
                    });
                    let left: f64 = layout.departures.iter().map(|(_, to)| values[*to]).sum();
                    let stays = (self.most - layout.departures.len() as f64) * values[n];
                    (arrived.sum::<f64>() + (left + stays) / holding) / rate
                })
                .collect();
            let change = || next.iter().zip(&values).map(|(new, old)| new - old);
            let (low, high) =
                (change().fold(f64::MAX, f64::min), change().fold(f64::MIN, f64::max));
            if high - low < 1e-6 {
                return (high + low) / 2.0 * rate;
            }
            values = next.iter().map(|value| value - next[0]).collect();
        }
    }
}

//! Where on a GPU a MIG device is best placed.
//!
//! The score of a GPU is the number of different *mixes* of profiles that its free slices still hold,
//! the empty mix included. A placement is better the fewer mixes it takes away, over all GPUs; on a tie
//! the one that leaves more room for profiles of half the GPU or more, then the lower start. (To do so for
//! smaller ones too places less under load.) That keeps large profiles possible as long as can be, and fills
//! a GPU that is in use before it breaks an empty one. `make bench` compares it with other policies, and with the
//! best that any policy can do.

use crate::inventory::{Mig, Placement};
use std::cmp::Reverse;

/// Memory slices as bits: bit 0 is slice 0.
pub type Slices = u64;

/// Classes that can break a tie, and the bits that the count of each has in a worth: no board has more of either.
const TIES: usize = 8;
const TIE_BITS: usize = 4;

/// The slices of a placement. `None` where they are beyond what any board has.
pub fn slices(placement: Placement) -> Option<Slices> {
    let end = placement.start.checked_add(placement.size)?;
    let known = placement.size > 0 && end <= Slices::BITS;
    known.then(|| (Slices::MAX >> (Slices::BITS - placement.size)) << placement.start)
}

/// Where profiles can stand on a board, profiles that stand in the same places counted once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// The places of each class of profiles, by their ends; the largest class first.
    classes: Vec<Vec<Slices>>,
}

impl Geometry {
    /// The geometry of a GPU, by the driver's own possible placements.
    pub fn of(mig: &Mig) -> Geometry {
        let profiles = mig.profiles.iter();
        Geometry::new(profiles.map(|p| p.placements.iter().copied().filter_map(slices).collect()))
    }

    fn new(profiles: impl Iterator<Item = Vec<Slices>>) -> Geometry {
        let mut classes: Vec<Vec<Slices>> = profiles.filter(|places| !places.is_empty()).collect();
        for places in &mut classes {
            by_end(places);
        }
        classes.sort_by_key(|places| (Reverse(size(places)), places.len(), places.clone()));
        classes.dedup();
        Geometry { classes }
    }

    /// What the free slices are worth: the number of different mixes of profiles that fit beside what is
    /// occupied; among equal ones, how often the largest class fits, then the next, down to halves of the GPU.
    pub fn worth(&self, occupied: Slices) -> u64 {
        let half = self.classes.first().map_or(0, |places| size(places).div_ceil(2));
        let halves = self.classes.iter().take_while(|places| size(places) >= half).take(TIES);
        let ties = halves.fold(0, |sum, places| {
            (sum << TIE_BITS) | u64::from(most(places, occupied).min((1 << TIE_BITS) - 1))
        });
        (u64::from(self.mixes(occupied)) << (TIE_BITS * TIES)) | ties
    }

    fn mixes(&self, occupied: Slices) -> u32 {
        mixes(&self.classes, vec![occupied])
    }
}

/// The slices that a class takes at most.
fn size(places: &[Slices]) -> u32 {
    places.iter().map(|place| place.count_ones()).max().unwrap_or(0)
}

/// The mixes that fit in at least one of several arrangements of the larger classes.
fn mixes(classes: &[Vec<Slices>], mut arrangements: Vec<Slices>) -> u32 {
    let Some((places, smaller)) = classes.split_first() else { return 1 };
    if smaller.is_empty() {
        let most = arrangements.iter().map(|occupied| most(places, *occupied)).max();
        return 1 + most.unwrap_or(0);
    }
    let mut total = 0;
    while !arrangements.is_empty() {
        let with_one_more = one_more(places, &arrangements);
        total += mixes(smaller, arrangements);
        arrangements = with_one_more;
    }
    total
}

/// Every arrangement with one more instance.
fn one_more(places: &[Slices], arrangements: &[Slices]) -> Vec<Slices> {
    let with = |occupied: &Slices| {
        let occupied = *occupied;
        places.iter().filter(move |place| occupied & **place == 0).map(move |p| occupied | p)
    };
    let mut more: Vec<Slices> = arrangements.iter().flat_map(with).collect();
    more.sort_unstable();
    more.dedup();
    more
}

pub(super) fn by_end(places: &mut [Slices]) {
    places.sort_unstable_by_key(|place| (Slices::BITS - place.leading_zeros(), *place));
}

/// How many of a class fit: taking places by their ends is best for intervals on a line.
pub(super) fn most(places: &[Slices], mut occupied: Slices) -> u32 {
    let mut count = 0;
    for place in places {
        if occupied & place == 0 {
            occupied |= place;
            count += 1;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::boards;
    use std::collections::BTreeSet;

    /// Every occupancy that placing profiles one after the other can lead to.
    fn reachable(geometry: &Geometry) -> BTreeSet<Slices> {
        let mut seen = BTreeSet::from([0]);
        let mut fresh = vec![0];
        while let Some(occupied) = fresh.pop() {
            for place in geometry.classes.iter().flatten() {
                if occupied & place == 0 && seen.insert(occupied | place) {
                    fresh.push(occupied | place);
                }
            }
        }
        seen
    }

    /// Counts mixes by trying every set of places.
    fn mixes_by_hand(geometry: &Geometry, occupied: Slices) -> usize {
        let mut seen = BTreeSet::new();
        let mut fresh = vec![(occupied, vec![0u8; geometry.classes.len()])];
        while let Some((occupied, mix)) = fresh.pop() {
            for (class, places) in geometry.classes.iter().enumerate() {
                for place in places.iter().filter(|place| occupied & **place == 0) {
                    let mut more = mix.clone();
                    more[class] += 1;
                    fresh.push((occupied | place, more));
                }
            }
            seen.insert(mix);
        }
        seen.len()
    }

    #[test]
    fn slices_are_bits() {
        assert_eq!(slices(Placement { start: 4, size: 4 }), Some(0xf0));
        assert_eq!(slices(Placement { start: 0, size: 64 }), Some(u64::MAX));
        for (start, size) in [(0, 0), (0, 65), (64, 1), (u32::MAX, 1), (1, u32::MAX)] {
            assert_eq!(slices(Placement { start, size }), None);
        }
    }

    #[test]
    fn an_a100_holds_78_mixes_and_an_a30_ten() {
        let mixes = boards::geometries().map(|mig| Geometry::of(&mig).mixes(0));
        assert_eq!(mixes, [78, 10, 10]);
        assert_eq!(Geometry::new(std::iter::empty()).mixes(0), 1);
    }

    #[test]
    fn mixes_are_what_trying_everything_finds() {
        for mig in boards::geometries() {
            let geometry = Geometry::of(&mig);
            for occupied in reachable(&geometry) {
                assert_eq!(
                    geometry.mixes(occupied) as usize,
                    mixes_by_hand(&geometry, occupied),
                    "{occupied:b}"
                );
            }
        }
    }

    #[test]
    fn a_gpu_in_use_is_filled_before_an_empty_one_is_broken() {
        for mig in boards::geometries() {
            let geometry = Geometry::of(&mig);
            let best = |places: &[Slices], occupied: Slices| {
                let free = places.iter().filter(|place| occupied & **place == 0);
                free.map(|place| geometry.mixes(occupied) - geometry.mixes(occupied | place)).min()
            };
            for places in &geometry.classes {
                let on_empty = best(places, 0).unwrap();
                for occupied in reachable(&geometry).into_iter().filter(|occupied| *occupied != 0) {
                    if let Some(in_use) = best(places, occupied) {
                        assert!(in_use < on_empty, "{occupied:b}: {in_use} >= {on_empty}");
                    }
                }
            }
        }
    }
}

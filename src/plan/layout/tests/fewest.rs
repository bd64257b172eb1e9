//! From every layout of a board to every other, no way destroys fewer GPU instances than the planned one.

use super::super::goal::Piece;
use super::super::search::way;
use super::super::standing::standing;
use super::World;
use crate::inventory::{Mig, Placement, Profile};
use crate::plan::layout::Board;
use crate::plan::table::GeometryMemo;
use crate::plan::tests::boards;
use std::collections::{BTreeMap, HashMap};

/// The places of some profiles, and every set of them that can stand together, each as bits.
struct All<'a> {
    places: Vec<(&'a Profile, Placement)>,
    layouts: Vec<u64>,
}

impl<'a> All<'a> {
    fn of(mig: &'a Mig) -> All<'a> {
        let plain = mig.profiles.iter().filter(|profile| profile.name.attribute.is_empty());
        let places: Vec<(&Profile, Placement)> =
            plain.flat_map(|p| p.placements.iter().map(move |place| (p, *place))).collect();
        assert!(places.len() <= 64);
        let mut layouts = vec![0];
        // Each place in turn joins every set that it can.
        for (n, (profile, place)) in places.iter().enumerate() {
            let stands = |set: u64| (0..n).filter(move |other| set >> other & 1 == 1);
            let joins = |set: &u64| {
                let alike = stands(*set).filter(|n| places[*n].0.id == profile.id).count();
                alike < profile.max_instances as usize
                    && stands(*set).all(|n| !places[n].1.overlaps(*place))
            };
            let more: Vec<u64> = layouts.iter().copied().filter(joins).collect();
            layouts.extend(more.iter().map(|set| set | 1 << n));
        }
        All { places, layouts }
    }

    fn stands(&self, set: u64) -> impl Iterator<Item = &(&'a Profile, Placement)> {
        self.places.iter().enumerate().filter(move |(n, _)| set >> n & 1 == 1).map(|(_, p)| p)
    }

    /// How many of which profile.
    fn mix(&self, set: u64) -> BTreeMap<u32, usize> {
        let mut mix = BTreeMap::new();
        for (profile, _) in self.stands(set) {
            *mix.entry(profile.id).or_default() += 1;
        }
        mix
    }
}

/// Plans from every layout to every mix, which is what a file can ask for, and compares with the layouts of
/// that mix themselves: whatever way is gone ends in one of them, and destroys what that one lacks.
fn no_way_is_better(mig: &Mig, count: usize) {
    let all = All::of(mig);
    assert_eq!(all.layouts.len(), count);
    let mut by_mix: HashMap<BTreeMap<u32, usize>, Vec<u64>> = HashMap::new();
    for set in &all.layouts {
        by_mix.entry(all.mix(*set)).or_default().push(*set);
    }
    let memo = || GeometryMemo::of(mig);
    let mut world = World::new(boards::a100s(1));
    let mut board = memo();
    for from in &all.layouts {
        let mut now = mig.clone();
        now.instances.clear();
        world.inventory.gpus[0].mig = Some(now);
        for (profile, place) in all.stands(*from) {
            world.add(&format!("{}@{}", profile.name, place.start), &[]);
        }
        let gpu = &world.inventory.gpus[0];
        let mig = gpu.mig.as_ref().unwrap();
        let there = standing(gpu, mig, world.node());
        let cut = Board { gpu, mig, memo: board };
        for (mix, targets) in &by_mix {
            let best = targets.iter().map(|to| (from & to).count_ones()).max().unwrap();
            let pieces = pieces(mig, mix);
            let way = way(&cut, &there, &pieces).unwrap();
            assert_eq!(way.kept(), best as usize, "{from:b} to {mix:?}");
            // And the way ends in one of them.
            let kept = there.iter().zip(&way.keep).filter(|(_, keep)| keep.is_some());
            let kept = kept.map(|(instance, _)| (instance.profile.unwrap().id, instance.placement));
            let made = way.make.iter().map(|(n, place)| (pieces[*n].profile.id, *place));
            let ends = kept.chain(made).fold(0, |set: u64, (id, place)| {
                let n = all.places.iter().position(|(p, at)| (p.id, *at) == (id, place));
                set | 1 << n.unwrap()
            });
            assert!(targets.contains(&ends), "{from:b} to {mix:?}: {ends:b}");
        }
        board = cut.memo;
    }
}

fn pieces<'a>(mig: &'a Mig, mix: &BTreeMap<u32, usize>) -> Vec<Piece<'a>> {
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    for (id, count) in mix {
        let profile = mig.profiles.iter().find(|profile| profile.id == *id).unwrap();
        let piece = Piece { profile, compute: vec![profile.name.slices] };
        pieces.extend(std::iter::repeat_n(piece, *count));
    }
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.size()));
    pieces
}

#[test]
fn no_way_between_layouts_of_an_a100_destroys_fewer() {
    no_way_is_better(&boards::geometries()[0], 723);
}

#[test]
fn no_way_between_layouts_of_other_boards_destroys_fewer() {
    let [_, a30, rtx_pro_6000] = boards::geometries();
    no_way_is_better(&a30, 26);
    no_way_is_better(&rtx_pro_6000, 26);
}

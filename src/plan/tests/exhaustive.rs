//! Every mix of profiles that fits an empty GPU is placed when it is asked for at once.

use super::{World, boards};
use crate::inventory::{Mig, Placement};
use std::collections::BTreeSet;

/// Every mix that stands on an empty GPU in some way, as counts by profile.
fn mixes(mig: &Mig, names: &[&str]) -> BTreeSet<Vec<usize>> {
    let profiles: Vec<_> = names
        .iter()
        .map(|name| mig.profiles.iter().find(|p| p.name.to_string() == *name).unwrap())
        .collect();
    let mut seen = BTreeSet::new();
    let mut fresh: Vec<(Vec<Placement>, Vec<usize>)> = vec![(vec![], vec![0; names.len()])];
    while let Some((taken, mix)) = fresh.pop() {
        for (n, profile) in profiles.iter().enumerate() {
            for place in &profile.placements {
                // In one order only: by start.
                let behind = taken.last().is_none_or(|last| place.start >= last.start + last.size);
                if behind && mix[n] < profile.max_instances as usize {
                    let mut more = mix.clone();
                    more[n] += 1;
                    fresh.push(([&taken[..], &[*place]].concat(), more));
                }
            }
        }
        seen.insert(mix);
    }
    seen
}

fn request(names: &[&str], mix: &[usize]) -> String {
    let counted = names.iter().zip(mix).filter(|(_, count)| **count > 0);
    counted.map(|(name, count)| format!("{count}x mig:{name}")).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_mix_of_an_a100_is_placed_at_once() {
    let world = World::managed(boards::a100s(1));
    let mig = world.inventory.gpus[0].mig.clone().unwrap();
    let names = ["1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"];
    let mixes = mixes(&mig, &names);
    assert_eq!(mixes.len(), 78);
    for mix in mixes.iter().filter(|mix| mix.iter().sum::<usize>() > 0) {
        let plan = world.plan(&request(&names, mix)).unwrap_or_else(|refusal| panic!("{refusal}"));
        assert_eq!(plan.parts.len(), mix.iter().sum::<usize>());
        // In the order of asking, too: the smallest first is the hardest.
        let mut reversed: Vec<&str> = names.to_vec();
        reversed.reverse();
        let mix: Vec<usize> = mix.iter().rev().copied().collect();
        assert!(world.plan(&request(&reversed, &mix)).is_ok(), "{mix:?}");
    }
}

/// One more of anything than any mix has is refused.
#[test]
fn what_fits_in_no_way_is_refused() {
    let world = World::managed(boards::a100s(1));
    let mig = world.inventory.gpus[0].mig.clone().unwrap();
    let names = ["1g.5gb", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"];
    let mixes = mixes(&mig, &names);
    for mix in &mixes {
        for n in 0..names.len() {
            let mut more = mix.clone();
            more[n] += 1;
            let fits = world.plan(&request(&names, &more)).is_ok();
            assert_eq!(fits, mixes.contains(&more), "{more:?}");
        }
    }
}

/// Two GPUs hold what two empty GPUs hold, whichever way it is asked for.
#[test]
fn mixes_spread_over_two_gpus() {
    let world = World::managed(boards::a100s(2));
    for request in [
        "2x mig:4g.20gb; 2x mig:3g.20gb",
        "14x mig:1g.5gb",
        "6x mig:2g.10gb; 2x mig:1g.5gb",
        "mig:7g.40gb; mig:4g.20gb; mig:3g.20gb",
        "8x mig:1g.10gb",
        "7x mig:1g.5gb; mig:3g.20gb; mig:4g.20gb",
    ] {
        assert!(world.plan(request).is_ok(), "{request}");
    }
    for request in
        ["15x mig:1g.5gb", "3x mig:4g.20gb", "2x mig:7g.40gb; mig:1g.5gb", "9x mig:1g.10gb"]
    {
        assert!(world.plan(request).is_err(), "{request}");
    }
}

/// The most that a claim may want, on the largest node: refused or not, it is answered at once.
#[test]
fn the_largest_claims_are_answered() {
    let world = World::managed(boards::a100s(8));
    assert!(world.plan("56x mig:1g.5gb").is_ok());
    assert!(world.plan("57x mig:1g.5gb").is_err());
    assert!(world.plan("8x mig:4g.20gb; 8x mig:2g.10gb; 8x mig:1g.5gb").is_ok());
    assert!(world.plan("8x mig:4g.20gb; 8x mig:2g.10gb; 9x mig:1g.5gb").is_err());
    assert!(world.plan("20x mig:3g.20gb; 20x mig:2g.10gb; 20x mig:1g.5gb").is_err());
    assert!(world.plan("16x mig:3g.20gb").is_ok());
    assert!(world.plan("16x mig:3g.20gb; mig:1g.5gb").is_err());
    assert!(world.plan("4x mig:3g.20gb; 10x mig:1g.10gb; 10x mig:2g.10gb; 9x mig:1g.5gb").is_err());
}

//! Refusals as people and programs see them.

use super::{World, boards};
use crate::inventory::{ComputeMode, Unusable};

/// Worlds that refuse, each with what is asked for.
fn refused() -> Vec<(World, &'static str)> {
    let mut cases = Vec::new();
    let mut full = World::managed(boards::h100s(1));
    full.prepare("prod", "mig:3g.40gb").unwrap();
    full.prepare("dev", "mig:2g.20gb").unwrap();
    full.bind("prod", "5f2c");
    full.foreign(0, 19, 2);
    cases.push((full.clone(), "mig:3g.40gb"));
    cases.push((full.clone(), "2x mig:1g.10gb"));
    cases.push((full.clone(), "exclusive"));
    cases.push((full.clone(), "mig:5g.60gb"));
    cases.push((full.clone(), "mig:1g.10gb,compute=2c"));
    cases.push((full.clone(), "mig:3g.30gb"));
    cases.push((full.clone(), "exclusive @7"));
    cases.push((full, "exclusive @H10O"));
    let mut turns = World::managed(boards::h100s_without_mig(1));
    for n in 0..4 {
        turns.prepare(&format!("t{n}"), "time-slicing:interval=short").unwrap();
    }
    cases.push((turns.clone(), "time-slicing"));
    cases.push((turns.clone(), "time-slicing:interval=long"));
    cases.push((turns, "mps"));
    let mut mps = World::managed(boards::h100s_without_mig(1));
    for n in 0..6 {
        mps.prepare(&format!("m{n}"), "mps:threads=15,memory=12Gi").unwrap();
    }
    cases.push((mps.clone(), "mps:threads=15"));
    cases.push((mps, "mps:memory=12Gi"));
    cases.push((World::new(boards::h100s_without_mig(1), ""), "mig:1g.10gb"));
    cases.push((World::managed(boards::without_mig(boards::a100s(1))), "mig:1g.5gb"));
    let allowed = World::new(boards::h100s_without_mig(1), "gpus: [{match: '*', modes: [mps]}]");
    cases.push((allowed, "exclusive"));
    let mut foreign = World::managed(boards::h100s_without_mig(2));
    foreign.process(0, 4711, None);
    foreign.process(0, 4712, None);
    foreign.compute_mode(1, ComputeMode::Prohibited);
    cases.push((foreign, "exclusive"));
    let mut lost = World::managed(boards::h100s_without_mig(0));
    cases.push((lost.clone(), "mps"));
    lost.inventory.unusable.push(Unusable { index: 0, says: "GPU is lost".to_owned() });
    cases.push((lost, "mps"));
    let mut mixed = World::managed(boards::mixed());
    mixed.prepare("a", "exclusive @0").unwrap_err();
    mixed.prepare("b", "mig:7g.80gb").unwrap();
    mixed.prepare("c", "mig:7g.80gb").unwrap();
    cases.push((mixed, "mig:7g.80gb"));
    let mut laid_out = World::managed(boards::h100s(1));
    for start in 0..7 {
        laid_out.foreign(0, 19, start);
    }
    cases.push((laid_out.clone(), "mig:1g.10gb"));
    cases.push((laid_out, "mig:3g.40gb"));
    cases.push((World::managed(boards::h100s_without_mig(1)), "mps:memory=100Gi"));
    cases.extend(refused_by_daemons());
    let plain = World::managed(boards::h100s(2));
    cases.push((plain.clone(), "mps; exclusive"));
    cases.push((plain.clone(), "2x mig:1g.10gb/mps"));
    cases.push((plain, "exclusive @MIG-00000000-0000-0000-0000-000000000000"));
    cases
}

/// Devices that are shared, and not to be joined.
fn refused_by_daemons() -> Vec<(World, &'static str)> {
    let mut cases = Vec::new();
    let mut old = World::managed(boards::h100s_without_mig(1));
    old.inventory.driver_version = "535.288.01".to_owned();
    old.prepare("first", "mps:threads=25").unwrap();
    cases.push((old, "mps:threads=25"));
    let mut crowded = World::managed(boards::h100s_without_mig(1));
    for n in 0..48 {
        crowded.prepare(&format!("c{n}"), "mps").unwrap();
    }
    cases.push((crowded, "mps"));
    let mut several = World::managed(boards::h100s_without_mig(2));
    several.prepare("both", "2x mps:threads=25").unwrap();
    cases.push((several.clone(), "mps"));
    several.inventory.gpus.pop();
    cases.push((several, "mps"));
    let mut leaving = World::managed(boards::h100s_without_mig(1));
    leaving.prepare("left", "time-slicing").unwrap();
    leaving.devices[0].retiring = true;
    cases.push((leaving.clone(), "time-slicing"));
    leaving.claims.clear();
    cases.push((leaving, "exclusive"));
    cases
}

#[test]
fn refusals_say_what_stands_in_the_way_and_what_helps() {
    let mut shown: Vec<String> =
        refused().iter().map(|(world, asked)| world.plan(asked).unwrap_err().to_string()).collect();
    let mut served = World::managed(boards::h100s_without_mig(1));
    served.prepare("root", "mps").unwrap();
    shown.push(served.plan_as("mps", 1000).unwrap_err().to_string());
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn programs_read_refusals_as_json() {
    let (world, asked) = &refused()[0];
    insta::assert_json_snapshot!(world.plan(asked).unwrap_err());
}

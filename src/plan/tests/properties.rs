//! What holds for every plan, whatever was asked for and held before.

use super::{World, boards};
use crate::claim::{Purpose, Step};
use crate::inventory::Inventory;
use crate::plan::Plan;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn nodes() -> impl Strategy<Value = Inventory> {
    prop_oneof![
        Just(boards::h100s(1)),
        Just(boards::h100s_without_mig(2)),
        Just(boards::a100s(2)),
        Just(boards::mixed()),
    ]
}

/// What is asked for in these tests.
const ASKED: [&str; 21] = [
    "exclusive",
    "time-slicing",
    "time-slicing:interval=short",
    "mps",
    "mps:threads=25",
    "mps:threads=50,memory=20Gi",
    "2x mps:threads=10",
    "mig:1g.10gb",
    "mig:1g.10gb+me",
    "mig:1g.20gb/time-slicing",
    "mig:2g.20gb/mps:threads=50",
    "mig:3g.40gb",
    "mig:3g.40gb,compute=1c/mps",
    "mig:4g.40gb; mig:1g.10gb",
    "3x mig:1g.5gb",
    "mig:2g.10gb; 2x mig:1g.10gb",
    "mig:3g.20gb/time-slicing; mig:1g.5gb",
    "mig:1g.6gb+me; mig:2g.12gb+me",
    "2x mig:2g.12gb",
    "2x time-slicing",
    "2x exclusive",
];

fn requests() -> impl Strategy<Value = String> {
    (prop::sample::select(&ASKED[..]), prop::option::of(0..5u32)).prop_map(|(share, gpu)| match gpu
    {
        Some(gpu) if !share.contains(';') => format!("{share} @{gpu}"),
        _ => share.to_owned(),
    })
}

#[derive(Clone, Debug)]
enum Act {
    Prepare(String),
    Release(prop::sample::Index),
    Foreign(usize, prop::sample::Index),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => requests().prop_map(Act::Prepare),
        3 => any::<prop::sample::Index>().prop_map(Act::Release),
        1 => (0..5usize, any::<prop::sample::Index>()).prop_map(|(gpu, at)| Act::Foreign(gpu, at)),
    ];
    prop::collection::vec(act, 1..40)
}

/// Makes a MIG device behind divvy's back, where one can stand.
fn make_foreign(world: &mut World, gpu: usize, at: prop::sample::Index) {
    let gpu = gpu % world.inventory.gpus.len();
    let held = world.devices.iter().any(|device| {
        let whole = device.targets.iter().any(|target| target.mig.is_none());
        whole && device.on_gpu(&world.inventory.gpus[gpu].uuid)
    });
    let Some(mig) = world.inventory.gpus[gpu].mig.clone().filter(|mig| mig.enabled) else { return };
    let profile = at.get(&mig.profiles);
    let place = *at.get(&profile.placements);
    let uuid = &world.inventory.gpus[gpu].uuid;
    let taken = world.places().iter().any(|(on, other)| on == uuid && place.overlaps(*other));
    if !taken && !held {
        world.foreign(gpu, profile.id, place.start);
    }
}

/// Placements are the driver's own, and nothing stands on anything else.
fn check_places(world: &World) {
    let places = world.places();
    for (n, (gpu, place)) in places.iter().enumerate() {
        let overlaps = |other: &(String, _)| other.0 == *gpu && place.overlaps(other.1);
        assert_eq!(places.iter().skip(n + 1).filter(|other| overlaps(other)).count(), 0);
    }
    for device in &world.devices {
        for step in device.steps.iter().map(|entry| &entry.step) {
            let Step::CreateGpuInstance { gpu, profile_id, profile, placement } = step else {
                continue;
            };
            let gpu = world.inventory.gpus.iter().find(|other| other.uuid == *gpu).unwrap();
            let mig = gpu.mig.as_ref().unwrap();
            let known = mig.profiles.iter().find(|known| known.id == *profile_id).unwrap();
            assert!(known.placements.contains(placement) && known.name == *profile);
        }
    }
}

/// No GPU is whole for one record and cut, or whole, for another.
fn check_whole_gpus(world: &World) {
    for gpu in &world.inventory.gpus {
        let on_it: Vec<_> =
            world.devices.iter().filter(|device| device.on_gpu(&gpu.uuid)).collect();
        let whole = on_it.iter().filter(|device| {
            device.purpose != Purpose::MigMode && device.targets.iter().any(|t| t.mig.is_none())
        });
        let whole = whole.count();
        assert!(whole == 0 || on_it.len() == 1, "{on_it:#?}");
    }
}

/// A claim has each of its devices once, and as many as it asked for.
fn check_plan(plan: &Plan, requests: &str) {
    let wanted: usize =
        requests.parse::<crate::request::Requests>().unwrap().iter().map(|r| r.count().get()).sum();
    assert_eq!(plan.parts.len(), wanted);
    let distinct: BTreeSet<String> =
        plan.parts.iter().map(|part| format!("{:?}", part.device)).collect();
    let one_daemon = requests.starts_with("2x mps");
    assert_eq!(distinct.len(), if one_daemon { 1 } else { wanted });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn plans_keep_out_of_each_others_way(node in nodes(), acts in acts()) {
        let mut world = World::managed(node);
        for (n, act) in acts.into_iter().enumerate() {
            match act {
                Act::Prepare(requests) => {
                    let again = world.plan(&requests);
                    let plan = world.prepare(&format!("c{n}"), &requests);
                    prop_assert_eq!(&again, &plan, "the same inputs give the same plan");
                    match plan {
                        Ok(plan) => check_plan(&plan, &requests),
                        Err(refusal) => {
                            prop_assert!(refusal.to_string().contains("What helps"));
                            prop_assert!(serde_json::to_value(&refusal).is_ok());
                        }
                    }
                }
                Act::Release(at) if !world.claims.is_empty() => {
                    let id = at.get(&world.claims).id.to_string();
                    world.release(&id);
                }
                Act::Release(_) => {}
                Act::Foreign(gpu, at) => make_foreign(&mut world, gpu, at),
            }
            check_places(&world);
            check_whole_gpus(&world);
        }
    }

    /// What fits an empty node in a plan fits it again when all of it was released.
    #[test]
    fn release_gives_everything_back(node in nodes(), asked in prop::collection::vec(requests(), 1..12)) {
        let empty = World::managed(node);
        let mut world = empty.clone();
        for (n, requests) in asked.iter().enumerate() {
            drop(world.prepare(&format!("c{n}"), requests));
        }
        for n in 0..asked.len() {
            world.release(&format!("c{n}"));
        }
        for requests in &asked {
            prop_assert_eq!(world.plan(requests), empty.plan(requests));
        }
    }
}

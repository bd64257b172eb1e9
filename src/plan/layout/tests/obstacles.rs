//! What is in use is never destroyed, and is named.

use super::{World, all, entries};
use crate::claim::tests::{claim, device};
use crate::claim::{Claim, Device, MigTarget, Owner, Part, Phase, Purpose, Target};
use crate::config::{Config, Enforced, Level};
use crate::plan::layout::{ModeChange, Permission};
use crate::plan::tests::boards;

/// Gives what stands at a place of GPU 0 to a claim.
fn held(world: &mut World, id: &str, profile: &str, start: u32, existing: Option<&str>) {
    let gpu = &world.inventory.gpus[0];
    let profile = gpu.mig.as_ref().unwrap().profiles.iter().find(|p| p.name.to_string() == profile);
    let profile = profile.unwrap();
    let placement = *profile.placements.iter().find(|place| place.start == start).unwrap();
    let mig = MigTarget {
        profile: profile.name.clone(),
        placement,
        existing: existing.map(str::to_owned),
    };
    let target = Target { gpu: gpu.uuid.clone(), mig: Some(mig) };
    give(world, id, target);
}

fn give(world: &mut World, id: &str, target: Target) {
    let record = Device { purpose: Purpose::Exclusive, targets: vec![target], ..device(id) };
    let enforced = Enforced { memory: Level::Hardware, compute: Level::Hardware };
    let limits = Default::default();
    let part = Part { request: 0, device: record.id.clone(), limits, enforced };
    let claim = claim(id, Phase::Granted, Owner::Caller);
    world.claims.push(Claim { parts: vec![part], foundations: Vec::new(), ..claim });
    world.devices.push(record);
}

fn a100(instances: &[&str]) -> World {
    World::new(boards::a100s(1)).stand(instances)
}

#[test]
fn what_a_claim_holds_stays_where_it_is() {
    let mut world = a100(&["1g.5gb@0", "1g.5gb@1", "1g.5gb@4"]);
    held(&mut world, "job", "1g.5gb", 4, None);
    // The idle ones go, though two could stay if this one went.
    let plan = world.plan(&all("1g.5gb: 1, 4g.20gb: 1")).unwrap();
    assert_eq!(plan.kept, 1);
    assert_eq!(plan.of_claims, ["1g.5gb at 4"]);
    let said = world.plan(&all("3g.20gb: 2")).unwrap_err();
    assert!(said.contains("1g.5gb at 4 is held by claim job (1g.5gb): release it first"), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
}

#[test]
fn a_mig_device_that_was_there_is_held_too() {
    let mut world = a100(&["1g.5gb@4", "1g.5gb@0"]);
    held(&mut world, "job", "1g.5gb", 4, Some("MIG-1-0"));
    let plan = world.plan(&all("1g.5gb: 1")).unwrap();
    assert_eq!(plan.steps.last().unwrap().to_string(), "destroy 1g.5gb at 0");
    // It was not made for the claim, and doesn't go with it.
    assert!(plan.of_claims.is_empty());
    assert!(world.plan(&all("7g.40gb: 1")).is_err());
}

#[test]
fn what_a_claim_is_about_to_make_has_its_place() {
    let mut world = a100(&[]);
    held(&mut world, "job", "3g.20gb", 4, None);
    let steps = world.steps("3g.20gb: 2");
    assert_eq!(steps[0], "create 3g.20gb at 0");
    assert_eq!(steps.len(), 2);
    let said = world.plan(&all("7g.40gb: 1")).unwrap_err();
    assert!(said.contains("3g.20gb at 4 is held by claim job"), "{said}");
}

#[test]
fn processes_are_named() {
    let mut world = a100(&["2g.10gb@0", "2g.10gb@2"]);
    world.run(4711, Some(2), Some(0));
    let steps = world.steps("2g.10gb: 1");
    assert_eq!(steps[1], "destroy 2g.10gb at 0");
    let said = world.plan(&all("3g.20gb: 2")).unwrap_err();
    assert!(said.contains("2g.10gb at 2 is in use by process 4711: end them first"), "{said}");
    // One that could be anywhere holds everything.
    world.run(4712, None, None);
    assert!(world.plan(&all("2g.10gb: 1")).is_err());
}

#[test]
fn a_part_in_use_keeps_its_gpu_instance_and_idle_parts_go() {
    let mut world = a100(&[]);
    let id = world.add("3g.20gb@0", &[1, 1, 1]);
    world.run(4711, Some(id), Some(2));
    let steps = world.steps("2c.3g.20gb: 1, 1c.3g.20gb: 1");
    assert_eq!(
        steps,
        [
            "destroy the compute instance 1 (1c) of 3g.20gb at 0",
            "destroy the compute instance 0 (1c) of 3g.20gb at 0",
            "create a compute instance (2c) in 3g.20gb at 0",
        ]
    );
    let said = world.plan(&all("3g.20gb: 1")).unwrap_err();
    assert!(said.contains("process 4711"), "{said}");
}

#[test]
fn a_whole_gpu_in_use_keeps_its_mode() {
    let mut world = World::new(boards::h100s_without_mig(1));
    let wanted = all("1g.10gb: 7");
    world.run(4711, None, None);
    let said = world.plan(&wanted).unwrap_err();
    assert!(said.contains("it is in use by process 4711"), "{said}");
    world.inventory.gpus[0].processes.clear();
    let gpu = world.inventory.gpus[0].uuid.clone();
    give(&mut world, "job", Target { gpu, mig: None });
    let said = world.plan(&wanted).unwrap_err();
    assert!(said.contains("it is held by claim job (exclusive)"), "{said}");
}

#[test]
fn mig_mode_stays_on_while_an_instance_is_held() {
    let off = entries("[{devices: all, mig-enabled: false}]");
    let mut world = a100(&["1g.5gb@0", "1g.5gb@1"]);
    held(&mut world, "job", "1g.5gb", 0, None);
    let said = world.plan(&off).unwrap_err();
    assert!(said.contains("1g.5gb at 0 is held by claim job"), "{said}");
    assert!(!said.contains("1g.5gb at 1"), "{said}");
}

#[test]
fn the_mode_of_a_gpu_that_isnt_managed_is_changed_only_by_order() {
    let mut world = World::new(boards::h100s_without_mig(1));
    world.config = Config::default();
    let wanted = all("1g.10gb: 7");
    let said = world.plan(&wanted).unwrap_err();
    assert!(said.contains("--unmanaged"), "{said}");
    let permission = Permission { unmanaged: true, ..Permission::default() };
    assert!(world.plan_with(&wanted, ModeChange::AtOnce, permission).is_ok());
    // Instances are made on any GPU whose mode is on.
    let mut world = a100(&[]);
    world.config = Config::default();
    assert!(world.plan(&all("1g.5gb: 1")).is_ok());
}

#[test]
fn what_nobody_here_knows_is_left_alone() {
    let mut world = a100(&["1g.5gb@0"]);
    world.inventory.gpus[0].mig.as_mut().unwrap().instances[0].profile_id = 99;
    let said = world.plan(&all("7g.40gb: 1")).unwrap_err();
    assert!(said.contains("GPU instance 1 at 0 is of a profile that this version"), "{said}");
}

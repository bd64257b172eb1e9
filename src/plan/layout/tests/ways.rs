//! What ways look like.

use super::{World, after, all, entries};
use crate::plan::layout::{ModeChange, Permission, Waits};
use crate::plan::tests::boards;

fn a100(instances: &[&str]) -> World {
    World::new(boards::a100s(1)).stand(instances)
}

#[test]
fn what_is_right_stays_and_nothing_is_done() {
    let world = a100(&["3g.20gb@4", "2g.10gb@0", "1g.5gb@2", "1g.5gb@3"]);
    let plan = world.plan(&all("1g.5gb: 2, 2g.10gb: 1, 3g.20gb: 1")).unwrap();
    assert!(plan.is_right());
    assert_eq!(plan.kept, 4);
}

#[test]
fn an_empty_gpu_is_cut() {
    let steps = a100(&[]).steps("1g.5gb: 1, 3g.20gb: 1");
    assert_eq!(
        steps,
        [
            "create 3g.20gb at 4",
            "create a compute instance (3c) in 3g.20gb at 4",
            "create 1g.5gb at 0",
            "create a compute instance (1c) in 1g.5gb at 0",
        ]
    );
}

#[test]
fn only_what_is_in_the_way_goes() {
    // One of the two small ones must make room for the large one.
    let steps = a100(&["1g.5gb@0", "1g.5gb@4"]).steps("1g.5gb: 1, 4g.20gb: 1");
    assert_eq!(
        steps[..2],
        ["destroy the compute instance 0 (1c) of 1g.5gb at 0", "destroy 1g.5gb at 0"]
    );
    assert_eq!(steps[2], "create 4g.20gb at 0");
    assert_eq!(steps.len(), 4);
}

#[test]
fn parts_fill_gpu_instances() {
    let world = a100(&[]);
    let plan = world.plan(&all("1c.3g.20gb: 4, 2c.3g.20gb: 1")).unwrap();
    let mut made: Vec<Vec<u32>> = after(world.inventory.gpus[0].mig.as_ref().unwrap(), &plan)
        .into_iter()
        .map(|i| i.2)
        .collect();
    made.sort();
    assert_eq!(made, [vec![1, 1, 1], vec![2, 1]]);
}

#[test]
fn a_gpu_instance_that_is_right_is_parted_anew_without_being_destroyed() {
    let mut world = a100(&[]);
    world.add("3g.20gb@0", &[3]);
    world.add("3g.20gb@4", &[1, 1]);
    let steps = world.steps("1c.3g.20gb: 6");
    assert_eq!(steps.iter().filter(|step| step.starts_with("destroy")).count(), 1, "{steps:?}");
    assert_eq!(steps[0], "destroy the compute instance 0 (3c) of 3g.20gb at 0");
    assert_eq!(steps.len(), 5, "{steps:?}");
    // Of two ways to match them, the one that destroys less.
    let mut world = a100(&[]);
    world.add("3g.20gb@0", &[1, 1, 1]);
    world.add("3g.20gb@4", &[3]);
    assert_eq!(world.steps("1c.3g.20gb: 3, 3g.20gb: 1"), [""; 0]);
}

/// Two slices side by side are free for sure only where all parts are made anew.
#[test]
fn idle_parts_make_room_for_a_larger_one() {
    let mut world = a100(&[]);
    world.add("3g.20gb@0", &[1, 1]);
    let steps = world.steps("2c.3g.20gb: 1, 1c.3g.20gb: 1");
    assert_eq!(steps.len(), 4, "{steps:?}");
    assert_eq!(steps[2], "create a compute instance (2c) in 3g.20gb at 0");
}

#[test]
fn a_gpu_instance_without_compute_instances_gets_its_own() {
    let mut world = a100(&[]);
    world.add("2g.10gb@0", &[2]);
    world.inventory.gpus[0].mig.as_mut().unwrap().instances[0].compute_instances.clear();
    assert_eq!(world.steps("2g.10gb: 1"), ["create a compute instance (2c) in 2g.10gb at 0"]);
}

#[test]
fn what_is_left_free_keeps_large_profiles_possible() {
    let world = a100(&["1g.5gb@0", "1g.5gb@1", "1g.5gb@4", "1g.5gb@6"]);
    let gone = world.steps("1g.5gb: 2");
    // Both that stay are on one half.
    assert!(
        gone.contains(&"destroy 1g.5gb at 0".into())
            == gone.contains(&"destroy 1g.5gb at 1".into())
    );
}

#[test]
fn engines_are_counted() {
    let mut inventory = boards::a100s(1);
    inventory.gpus[0].mig = Some(boards::geometries()[2].clone());
    let world = World::new(inventory);
    assert!(world.plan(&all("1g.24gb+me.all: 1, 1g.24gb-me: 3")).is_ok());
    let said = world.plan(&all("1g.24gb+me.all: 1, 1g.24gb: 1")).unwrap_err();
    assert!(said.contains("too few video decoders"), "{said}");
}

#[test]
fn what_no_gpu_holds_is_an_error() {
    let world = a100(&["7g.40gb@0"]);
    for (devices, part) in [
        ("1g.5gb: 8", "8x 1g.5gb, of at most 7"),
        ("4g.20gb: 1, 3g.20gb: 2", "no room for them in its 8 slices"),
        ("1g.99gb: 7", "has no profile 1g.99gb"),
        ("1g.5gb+gfx: 1", "is 1g.5gb+me meant?"),
    ] {
        let said = world.plan(&all(devices)).unwrap_err();
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn mig_mode_changes_first_and_alone_where_a_reset_brings_it() {
    let world = World::new(boards::h100s_without_mig(1));
    let wanted = all("3g.40gb: 1");
    let plan = world.plan(&wanted).unwrap();
    assert_eq!(plan.steps[0].to_string(), "turn on MIG mode");
    assert_eq!(plan.steps.len(), 3);
    let reset = ModeChange::After(Waits::Reset);
    let plan = world.plan_with(&wanted, reset, Permission::default()).unwrap();
    assert_eq!((plan.steps.len(), plan.waits), (1, Some(Waits::Reset)));
    let only = Permission { mode_only: true, ..Permission::default() };
    assert_eq!(world.plan_with(&wanted, ModeChange::AtOnce, only).unwrap().steps.len(), 1);
    // Asked for already, it only has to come.
    let mut world = world;
    world.inventory.gpus[0].mig.as_mut().unwrap().pending = true;
    let plan = world.plan_with(&wanted, reset, Permission::default()).unwrap();
    assert_eq!((plan.steps.len(), plan.waits), (0, Some(Waits::Reset)));
    assert_eq!(world.plan(&wanted).unwrap().steps.len(), 3);
    // And what was asked for can be taken back.
    let off = world.plan(&entries("[{devices: all, mig-enabled: false}]")).unwrap();
    assert_eq!(off.steps.len(), 1);
    assert_eq!(off.waits, None);
}

#[test]
fn everything_goes_before_mig_mode_is_off() {
    let off = entries("[{devices: all, mig-enabled: false}]");
    let world = a100(&["3g.20gb@4", "1g.5gb@0"]);
    let plan = world.plan(&off).unwrap();
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps.len(), 5);
    assert_eq!(steps[4], "turn off MIG mode");
}

//! What a plan has done, in which order.

use super::world::{purposes, steps};
use super::{World, boards};
use crate::claim::Purpose;
use crate::config::{Enforced, Level};
use crate::plan::{DeviceRef, Note};
use crate::request::Interval;

#[test]
fn a_mig_device_is_made_in_order() {
    let plan = World::managed(boards::h100s(1)).plan("mig:3g.40gb").unwrap();
    assert_eq!(steps(&plan), ["make 3g.40gb at 4", "cut 2", "nodes"]);
    assert_eq!(purposes(&plan), [Purpose::Exclusive]);
    assert_eq!(plan.parts[0].device, DeviceRef::New(0));
    assert_eq!(plan.foundations, []);
    let hardware = Enforced { memory: Level::Hardware, compute: Level::Hardware };
    assert_eq!(plan.parts[0].enforced, hardware);
}

#[test]
fn mig_mode_is_turned_on_once_and_kept_by_every_claim_on_it() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    let plan = world.prepare("a", "2x mig:1g.10gb").unwrap();
    assert_eq!(purposes(&plan), [Purpose::MigMode, Purpose::Exclusive, Purpose::Exclusive]);
    assert_eq!(steps(&plan)[0], "enable MIG");
    assert_eq!(plan.foundations, [DeviceRef::New(0)]);
    let second = world.prepare("b", "mig:1g.20gb/time-slicing").unwrap();
    assert_eq!(purposes(&second), [Purpose::TimeSlicing { interval: None }]);
    let record = DeviceRef::Join(world.devices[0].id.clone());
    assert_eq!(second.foundations, std::slice::from_ref(&record));
    let joined = world.prepare("c", "mig:1g.20gb/time-slicing").unwrap();
    assert_eq!((joined.new.len(), joined.foundations), (0, vec![record]));
}

#[test]
fn a_gpu_whose_mig_mode_is_on_is_taken_before_one_where_it_is_off() {
    let plan = World::managed(boards::mixed()).plan("7x mig:1g.10gb; mig:1g.10gb").unwrap();
    assert_eq!(purposes(&plan).iter().filter(|p| **p == Purpose::MigMode).count(), 1);
}

#[test]
fn shares_of_mig_devices_are_longer_step_lists() {
    let world = World::managed(boards::h100s(1));
    let sliced = world.plan("mig:3g.40gb/time-slicing").unwrap();
    assert_eq!(steps(&sliced), ["make 3g.40gb at 4", "cut 2", "nodes"]);
    let mps = world.plan("mig:3g.40gb,compute=1c/mps:threads=50").unwrap();
    let expected =
        ["make 3g.40gb at 4", "cut 0", "nodes", "exclusive process", "start mps:threads=50 for 0"];
    assert_eq!(steps(&mps), expected);
}

#[test]
fn the_plain_one_of_two_compute_profiles_is_taken() {
    let plan = World::managed(boards::h100s(1)).plan("mig:7g.80gb").unwrap();
    assert_eq!(steps(&plan), ["make 7g.80gb at 0", "cut 4", "nodes"]);
}

#[test]
fn whole_gpus_need_few_steps() {
    let world = World::managed(boards::h100s_without_mig(1));
    assert_eq!(steps(&world.plan("exclusive").unwrap()), [""; 0]);
    assert_eq!(steps(&world.plan("time-slicing").unwrap()), [""; 0]);
    let short = world.plan("time-slicing:interval=short").unwrap();
    assert_eq!(steps(&short), ["interval short"]);
    assert_eq!(purposes(&short), [Purpose::TimeSlicing { interval: Some(Interval::Short) }]);
    let mps = world.plan_as("mps:threads=25,memory=10Gi", 1000).unwrap();
    assert_eq!(steps(&mps), ["exclusive process", "start mps:threads=25,memory=10Gi for 1000"]);
    let daemon = Enforced { memory: Level::Daemon, compute: Level::Daemon };
    assert_eq!((mps.parts[0].enforced, &mps.notes[..]), (daemon, &[][..]));
}

#[test]
fn several_mps_devices_share_one_daemon() {
    let mut world = World::managed(boards::h100s_without_mig(3));
    let plan = world.prepare("a", "2x mps:threads=50").unwrap();
    assert_eq!(
        steps(&plan),
        ["exclusive process", "exclusive process", "start mps:threads=50 for 0"]
    );
    assert_eq!((plan.new.len(), plan.new[0].targets.len(), plan.parts.len()), (1, 2, 2));
    assert!(plan.parts.iter().all(|part| part.device == DeviceRef::New(0)));
    // Two more join it, one alone takes the third GPU, three at once find no daemon and no GPU.
    let joined = world.prepare("b", "2x mps:threads=50").unwrap();
    assert_eq!((joined.new.len(), joined.parts.len()), (0, 2));
    let third = world.prepare("c", "mps").unwrap();
    assert_eq!(third.new[0].targets[0].gpu, world.inventory.gpus[2].uuid);
    assert!(world.plan("3x mps").is_err());
}

#[test]
fn what_policy_leaves_is_left_and_said() {
    let world = World::new(boards::h100s_without_mig(1), "");
    let plan = world.plan("mps:threads=25").unwrap();
    assert_eq!(steps(&plan), ["start mps:threads=25 for 0"]);
    assert_eq!(plan.notes, [Note::ComputeModeLeft { index: 0 }]);
    assert_eq!(plan.parts[0].enforced, Enforced { memory: Level::No, compute: Level::Client });
}

#[test]
fn processes_beside_time_slicing_are_named() {
    let mut world = World::managed(boards::h100s_without_mig(2));
    world.process(0, 4711, None);
    let beside = world.plan("time-slicing @0").unwrap();
    assert_eq!(beside.notes, [Note::ForeignProcesses { index: 0, pids: vec![4711] }]);
    // A GPU without them is better.
    let alone = world.plan("time-slicing").unwrap();
    assert_eq!(alone.notes, []);
    assert_eq!(alone.new[0].targets[0].gpu, world.inventory.gpus[1].uuid);
}

#[test]
fn an_existing_mig_device_is_granted_and_not_touched() {
    let mut world = World::managed(boards::h100s(1));
    let uuid = world.foreign(0, 9, 4);
    let plan = world.prepare("a", &format!("exclusive @{uuid}")).unwrap();
    assert_eq!(steps(&plan), [""; 0]);
    assert_eq!(plan.new[0].targets[0].mig.as_ref().unwrap().existing, Some(uuid.clone()));
    assert!(world.plan(&format!("time-slicing @{uuid}")).is_err());
    world.release("a");
    assert!(world.plan(&format!("time-slicing @{uuid}")).is_ok());
}

#[test]
fn gpus_that_cannot_be_cut_are_taken_whole_first() {
    let plan = World::managed(boards::mixed()).plan("exclusive").unwrap();
    assert_eq!(plan.new[0].targets[0].gpu, boards::mixed().gpus[4].uuid);
}

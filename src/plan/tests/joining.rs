//! Who shares a device with whom, and until when.

use super::world::steps;
use super::{World, boards};
use crate::config::{Enforced, Level};
use crate::plan::{Cause, DeviceRef, Reason};
use crate::request::{MpsLimits, Percent};

fn reason(world: &World, requests: &str) -> Reason {
    match world.plan(requests).unwrap_err().cause {
        Cause::Gpus(obstacles) => obstacles.into_iter().next().unwrap().reason,
        cause => panic!("{cause:?}"),
    }
}

fn threads(percent: u64) -> Option<MpsLimits> {
    Some(MpsLimits { threads: Percent::new(percent), memory: None })
}

#[test]
fn turns_are_as_many_as_replicas() {
    let mut world = World::managed(boards::h100s_without_mig(2));
    for (n, id) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let plan = world.prepare(id, "time-slicing").unwrap();
        assert_eq!(plan.new.len(), usize::from(n == 0), "{id} fills the first GPU");
    }
    let fifth = world.prepare("e", "time-slicing").unwrap();
    assert_eq!(fifth.new[0].targets[0].gpu, world.inventory.gpus[1].uuid);
    assert!(
        matches!(reason(&world, "time-slicing @0"), Reason::NoReplica { replicas: 4, by } if by.len() == 4)
    );
}

#[test]
fn several_turns_of_one_claim_are_on_several_gpus() {
    let mut world = World::managed(boards::h100s_without_mig(2));
    let plan = world.prepare("a", "2x time-slicing").unwrap();
    assert_ne!(plan.new[0].targets, plan.new[1].targets);
    assert_eq!(world.plan("2x time-slicing").unwrap().new, []);
    assert!(matches!(reason(&world, "3x time-slicing"), Reason::SameClaim));
    assert!(matches!(reason(&world, "time-slicing @0; time-slicing @0"), Reason::SameClaim));
}

#[test]
fn an_interval_is_the_same_for_all() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    world.prepare("a", "time-slicing:interval=short").unwrap();
    assert_eq!(world.plan("time-slicing").unwrap().new, []);
    assert_eq!(world.plan("time-slicing:interval=short").unwrap().new, []);
    assert!(matches!(
        reason(&world, "time-slicing:interval=long"),
        Reason::OtherInterval { has: Some(_), .. }
    ));
    world.release("a");
    world.prepare("b", "time-slicing").unwrap();
    assert!(matches!(
        reason(&world, "time-slicing:interval=long"),
        Reason::OtherInterval { has: None, .. }
    ));
}

#[test]
fn twenty_eight_claims_share_seven_mig_devices_by_turns() {
    let mut world = World::managed(boards::a100s(1));
    for n in 0..28 {
        world.prepare(&format!("a{n}"), "mig:1g.5gb/time-slicing").unwrap();
    }
    assert_eq!(world.devices.len(), 7);
    assert!(matches!(reason(&world, "mig:1g.5gb/time-slicing"), Reason::NoPlacement { .. }));
    assert!(matches!(
        reason(&world, "mig:1g.5gb"),
        Reason::NoPlacement { free_slices: 1, memory_slices: 8, .. }
    ));
}

#[test]
fn mig_shares_join_their_own_kind_only() {
    let mut world = World::managed(boards::h100s(1));
    world.prepare("a", "mig:3g.40gb/time-slicing").unwrap();
    assert_eq!(world.plan("mig:3g.40gb/time-slicing").unwrap().new, []);
    for other in [
        "mig:3g.40gb",
        "mig:3g.40gb/mps",
        "mig:3g.40gb,compute=1c/time-slicing",
        "mig:2g.20gb/time-slicing",
    ] {
        assert_eq!(world.plan(other).unwrap().new.len(), 1, "{other}");
    }
    // Two of one claim are two devices.
    assert_eq!(world.plan("2x mig:3g.40gb/time-slicing").unwrap().new.len(), 1);
}

#[test]
fn ten_equal_shares_fill_a_gpu_and_the_eleventh_is_refused() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    for n in 0..10 {
        let plan = world.prepare(&format!("a{n}"), "mps:threads=10").unwrap();
        assert_eq!(plan.parts[0].enforced.compute, Level::Daemon);
        assert_eq!(plan.parts[0].raise_daemon, None);
    }
    assert!(
        matches!(reason(&world, "mps:threads=10"), Reason::Threads { left_percent: 0, by } if by.len() == 10)
    );
    // Without limits there is nothing to sum.
    assert_eq!(world.plan("mps").unwrap().new, []);
}

#[test]
fn unequal_shares_raise_the_daemons_own_limit() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    world.prepare("a", "mps:threads=25").unwrap();
    let larger = world.prepare("b", "mps:threads=50").unwrap();
    assert_eq!((larger.new.len(), larger.parts[0].raise_daemon), (0, threads(50)));
    assert_eq!(larger.parts[0].enforced.compute, Level::Daemon);
    let smaller = world.prepare("c", "mps:threads=25").unwrap();
    assert_eq!(smaller.parts[0].raise_daemon, None);
    assert_eq!(smaller.parts[0].enforced.compute, Level::Client);
    let bare = world.plan("mps").unwrap();
    assert_eq!(bare.parts[0].raise_daemon, Some(MpsLimits::default()));
}

#[test]
fn memory_limits_sum_to_the_devices_memory() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    world.prepare("a", "mps:memory=60Gi").unwrap();
    assert!(matches!(reason(&world, "mps:memory=20Gi"), Reason::Memory { .. }));
    assert!(world.plan("mps:memory=10Gi").is_ok());
    assert!(matches!(reason(&world, "mig:1g.10gb/mps:memory=11Gi"), Reason::Held { .. }));
    let mig = World::managed(boards::h100s(1));
    assert!(mig.plan("mig:1g.10gb/mps:memory=9Gi").is_ok());
    assert!(matches!(reason(&mig, "mig:1g.10gb/mps:memory=11Gi"), Reason::Memory { .. }));
}

#[test]
fn policy_may_oversubscribe() {
    let config =
        "gpus: [{match: '*', managed: true, compute-mode: exclusive, oversubscribe: true}]";
    let mut world = World::new(boards::h100s_without_mig(1), config);
    world.prepare("a", "mps:threads=80,memory=60Gi").unwrap();
    world.prepare("b", "mps:threads=80,memory=60Gi").unwrap();
    assert!(matches!(reason(&world, "mps:memory=100Gi"), Reason::Memory { .. }));
}

#[test]
fn an_old_driver_gets_one_claim_per_daemon() {
    let mut world = World::managed(boards::h100s_without_mig(2));
    world.inventory.driver_version = "535.288.01".to_owned();
    world.prepare("a", "mps:threads=25").unwrap();
    assert_eq!(world.prepare("b", "mps:threads=25").unwrap().new.len(), 1);
    assert!(matches!(reason(&world, "mps:threads=25"), Reason::OneClaimPerDaemon { .. }));
}

#[test]
fn a_daemon_serves_one_uid() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    world.prepare("a", "mps").unwrap();
    let refusal = world.plan_as("mps", 1000).unwrap_err();
    let Cause::Gpus(obstacles) = &refusal.cause else { panic!("{refusal}") };
    assert!(matches!(obstacles[0].reason, Reason::OtherUid { uid: 0, .. }));
}

#[test]
fn clients_are_as_many_as_mps_serves() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    for n in 0..48 {
        world.prepare(&format!("a{n}"), "mps").unwrap();
    }
    assert!(matches!(reason(&world, "mps"), Reason::Clients { most: 48, .. }));
    world.inventory.cuda_version = (13, 1);
    assert!(world.plan("mps").is_ok());
    let mut mig = World::managed(boards::h100s(1));
    for n in 0..6 {
        mig.prepare(&format!("a{n}"), "mig:1g.10gb/mps @0").unwrap();
    }
    assert_eq!(mig.devices.len(), 1, "48 clients of 7 slices are 6 of one");
    assert_eq!(mig.plan("mig:1g.10gb/mps").unwrap().new.len(), 1);
}

#[test]
fn mps_stands_alone_in_a_claim() {
    let world = World::managed(boards::h100s_without_mig(4));
    for mixed in [
        "mps; exclusive",
        "exclusive; mps",
        "mps:threads=25; mps:threads=50",
        "mps; mps:memory=1Gi",
    ] {
        assert_eq!(world.plan(mixed).unwrap_err().cause, Cause::MixedMps, "{mixed}");
    }
    for several in
        ["2x mig:1g.10gb/mps", "mig:1g.10gb/mps; mig:2g.20gb/mps", "mps; mig:1g.10gb/mps"]
    {
        assert_eq!(world.plan(several).unwrap_err().cause, Cause::SeveralMpsOnMig, "{several}");
    }
    assert_eq!(world.plan("mps @1; mps @2").unwrap().new[0].targets.len(), 2);
}

#[test]
fn a_daemon_of_several_gpus_serves_claims_of_as_many() {
    let mut world = World::managed(boards::h100s_without_mig(2));
    world.prepare("a", "2x mps:threads=25").unwrap();
    assert!(matches!(reason(&world, "mps"), Reason::DaemonOfSeveral { .. }));
    let joined = world.plan("mps:threads=50 @1; mps:threads=50 @0").unwrap();
    assert_eq!(joined.new, []);
    assert!(joined.parts.iter().all(|part| part.raise_daemon == threads(50)));
    assert!(world.plan("2x mps:threads=80").is_err());
}

#[test]
fn what_is_being_taken_back_is_not_joined() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    world.prepare("a", "time-slicing").unwrap();
    world.devices[0].retiring = true;
    assert!(matches!(reason(&world, "time-slicing"), Reason::Retiring { .. }));
}

#[test]
fn a_record_without_a_claim_holds_its_device_all_the_same() {
    let mut world = World::managed(boards::h100s(1));
    world.prepare("a", "mig:7g.80gb").unwrap();
    world.claims.clear();
    assert!(matches!(reason(&world, "mig:1g.10gb"), Reason::NoPlacement { free_slices: 0, .. }));
}

#[test]
fn demanded_levels_hold_for_every_claim_on_a_device() {
    let config = |require: &str| {
        let entry = "match: '*', managed: true, compute-mode: exclusive, mig-mode: enable";
        format!("gpus: [{{{entry}, require: {{{require}}}}}]")
    };
    let mut world = World::new(boards::h100s_without_mig(1), &config("compute: daemon"));
    assert!(matches!(reason(&world, "time-slicing"), Reason::Enforcement { .. }));
    assert!(matches!(reason(&world, "mps"), Reason::Enforcement { .. }));
    assert!(world.plan("exclusive").is_ok() && world.plan("mig:1g.10gb").is_ok());
    world.prepare("a", "mps:threads=25").unwrap();
    assert!(world.plan("mps:threads=25").is_ok());
    // It would loosen what the first claim was granted.
    let demanded = Enforced { memory: Level::No, compute: Level::Daemon };
    let possible = Enforced { memory: Level::No, compute: Level::Client };
    assert_eq!(reason(&world, "mps:threads=50"), Reason::Enforcement { demanded, possible });
    let strict = World::new(boards::h100s(1), &config("memory: hardware"));
    assert!(strict.plan("mig:1g.10gb").is_ok());
    assert!(matches!(reason(&strict, "mig:1g.10gb/mps:memory=1Gi"), Reason::Enforcement { .. }));
}

#[test]
fn joining_a_record_names_it() {
    let mut world = World::managed(boards::h100s_without_mig(1));
    let first = world.prepare("a", "mps:threads=25").unwrap();
    assert_eq!(steps(&first).len(), 2);
    let second = world.plan("mps:threads=25").unwrap();
    assert_eq!(second.parts[0].device, DeviceRef::Join(world.devices[0].id.clone()));
}

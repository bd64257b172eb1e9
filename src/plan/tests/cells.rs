//! One test for each cell of the conflict matrix: what the function says, and what a plan does.

use super::{World, boards};
use crate::inventory::ComputeMode;
use crate::plan::matrix::{Answer, Condition, State, Want, Why, answer, markdown};
use crate::plan::{Cause, Reason};

/// A GPU in a state; the requests that put it there are claims of its own.
fn gpu(state: State) -> World {
    let mut world = World::managed(match state {
        State::MigIdle | State::MigInUse => boards::h100s(1),
        _ => boards::h100s_without_mig(1),
    });
    let held = match state {
        State::Exclusive => "exclusive",
        State::TimeSlicing => "time-slicing",
        State::Mps => "mps:threads=25",
        State::MigInUse => "mig:1g.10gb",
        State::Nothing | State::MigIdle => return world,
        State::ForeignComputeMode => {
            world.compute_mode(0, ComputeMode::ExclusiveProcess);
            return world;
        }
        State::ForeignProcesses => {
            world.process(0, 4711, None);
            return world;
        }
    };
    world.prepare("a", held).unwrap();
    world
}

/// A MIG device that exists, in a state.
fn mig_device(state: State) -> (World, String) {
    let mut world = World::managed(boards::h100s(1));
    let uuid = world.foreign(0, 9, 4);
    let held = match state {
        State::Exclusive => "exclusive",
        State::TimeSlicing => "time-slicing",
        State::Mps => "mps:threads=25",
        State::ForeignProcesses => {
            world.process(0, 4711, Some(5));
            return (world, uuid);
        }
        _ => return (world, uuid),
    };
    world.prepare("a", &format!("{held} @{uuid}")).unwrap();
    (world, uuid)
}

fn words(want: Want) -> &'static str {
    match want {
        Want::Exclusive => "exclusive",
        Want::TimeSlicing => "time-slicing",
        Want::Mps => "mps:threads=25",
        Want::MigDevice => "mig:1g.10gb",
    }
}

fn reason(world: &World, requests: &str) -> Reason {
    match world.plan(requests).unwrap_err().cause {
        Cause::Gpus(obstacles) => obstacles.into_iter().next().unwrap().reason,
        cause => panic!("{cause:?}"),
    }
}

/// The claim in the way, by the reason.
fn names_the_claim(reason: &Reason) -> bool {
    let (Reason::Held { by, .. } | Reason::MigOn { by }) = reason else { return false };
    by.len() == 1 && by[0].claim == "a"
}

/// `name: state × want = answer => what the plan's refusal is, where it is one`
macro_rules! cells {
    ($($name:ident: $state:ident, $want:ident = $answer:expr $(, $refused:expr)?;)*) => {$(
        #[test]
        fn $name() {
            assert_eq!(answer(State::$state, Want::$want), $answer);
            let world = gpu(State::$state);
            #[allow(unused_mut, unused_assignments, reason = "cells that say yes have no refusal")]
            let mut refused: Option<fn(&Reason) -> bool> = None;
            $(refused = Some($refused);)?
            match refused {
                None => drop(world.plan(words(Want::$want)).unwrap()),
                Some(refused) => {
                    let reason = reason(&world, words(Want::$want));
                    assert!(refused(&reason), "{reason:?}");
                }
            }
        }
    )*};
}

cells! {
    nothing_and_exclusive: Nothing, Exclusive = Answer::Yes;
    nothing_and_time_slicing: Nothing, TimeSlicing = Answer::Yes;
    nothing_and_mps: Nothing, Mps = Answer::Yes;
    nothing_and_mig: Nothing, MigDevice = Answer::If(Condition::MigOnOrMayBe);

    exclusive_and_exclusive: Exclusive, Exclusive = Answer::No(Why::Taken), names_the_claim;
    exclusive_and_time_slicing: Exclusive, TimeSlicing = Answer::No(Why::Taken), names_the_claim;
    exclusive_and_mps: Exclusive, Mps = Answer::No(Why::Taken), names_the_claim;
    exclusive_and_mig: Exclusive, MigDevice = Answer::No(Why::Taken), names_the_claim;

    time_slicing_and_exclusive: TimeSlicing, Exclusive = Answer::No(Why::Taken), names_the_claim;
    time_slicing_and_time_slicing: TimeSlicing, TimeSlicing = Answer::If(Condition::IntervalAndReplicas);
    time_slicing_and_mps: TimeSlicing, Mps = Answer::No(Why::Taken), names_the_claim;
    time_slicing_and_mig: TimeSlicing, MigDevice = Answer::No(Why::Taken), names_the_claim;

    mps_and_exclusive: Mps, Exclusive = Answer::No(Why::Taken), names_the_claim;
    mps_and_time_slicing: Mps, TimeSlicing = Answer::No(Why::Taken), names_the_claim;
    mps_and_mps: Mps, Mps = Answer::If(Condition::LimitsAndClients);
    mps_and_mig: Mps, MigDevice = Answer::No(Why::Taken), names_the_claim;

    foreign_mode_and_exclusive: ForeignComputeMode, Exclusive = Answer::No(Why::Taken),
        |reason| matches!(reason, Reason::ComputeModeSet { mode: ComputeMode::ExclusiveProcess });
    foreign_mode_and_time_slicing: ForeignComputeMode, TimeSlicing = Answer::No(Why::Taken),
        |reason| matches!(reason, Reason::ComputeModeSet { .. });
    foreign_mode_and_mps: ForeignComputeMode, Mps = Answer::No(Why::Taken),
        |reason| matches!(reason, Reason::ComputeModeSet { .. });
    foreign_mode_and_mig: ForeignComputeMode, MigDevice = Answer::If(Condition::MigOn),
        |reason| matches!(reason, Reason::ComputeModeSet { .. });

    mig_idle_and_exclusive: MigIdle, Exclusive = Answer::No(Why::MigIsOn),
        |reason| matches!(reason, Reason::MigOn { by } if by.is_empty()) && reason.remedy().contains("-mig 0");
    mig_idle_and_time_slicing: MigIdle, TimeSlicing = Answer::No(Why::MigIsOn),
        |reason| matches!(reason, Reason::MigOn { by } if by.is_empty());
    mig_idle_and_mps: MigIdle, Mps = Answer::No(Why::MigIsOn),
        |reason| matches!(reason, Reason::MigOn { by } if by.is_empty());
    mig_idle_and_mig: MigIdle, MigDevice = Answer::Yes;

    mig_in_use_and_exclusive: MigInUse, Exclusive = Answer::No(Why::Taken), names_the_claim;
    mig_in_use_and_time_slicing: MigInUse, TimeSlicing = Answer::No(Why::Taken), names_the_claim;
    mig_in_use_and_mps: MigInUse, Mps = Answer::No(Why::Taken), names_the_claim;
    mig_in_use_and_mig: MigInUse, MigDevice = Answer::If(Condition::PlacementFree);

    processes_and_exclusive: ForeignProcesses, Exclusive = Answer::No(Why::Taken),
        |reason| matches!(reason, Reason::Processes { pids } if pids[..] == [4711]);
    processes_and_time_slicing: ForeignProcesses, TimeSlicing = Answer::If(Condition::ProcessesNamed);
    processes_and_mps: ForeignProcesses, Mps = Answer::No(Why::WouldBreak),
        |reason| matches!(reason, Reason::Processes { pids } if pids[..] == [4711]);
    processes_and_mig: ForeignProcesses, MigDevice = Answer::If(Condition::MigOn),
        |reason| matches!(reason, Reason::Processes { pids } if pids[..] == [4711]);
}

/// Inside one MIG device the same function decides.
macro_rules! inside_mig {
    ($($name:ident: $state:ident, $want:ident;)*) => {$(
        #[test]
        fn $name() {
            let (world, uuid) = mig_device(State::$state);
            let request = format!("{} @{uuid}", words(Want::$want));
            match answer(State::$state, Want::$want) {
                Answer::Yes | Answer::If(_) => drop(world.plan(&request).unwrap()),
                Answer::No(_) => {
                    let reason = reason(&world, &request);
                    let processes = matches!(&reason, Reason::Processes { pids } if pids[..] == [4711]);
                    assert!(names_the_claim(&reason) || processes, "{reason:?}");
                }
            }
        }
    )*};
}

inside_mig! {
    inside_nothing_and_exclusive: Nothing, Exclusive;
    inside_nothing_and_time_slicing: Nothing, TimeSlicing;
    inside_nothing_and_mps: Nothing, Mps;
    inside_exclusive_and_exclusive: Exclusive, Exclusive;
    inside_exclusive_and_time_slicing: Exclusive, TimeSlicing;
    inside_exclusive_and_mps: Exclusive, Mps;
    inside_time_slicing_and_exclusive: TimeSlicing, Exclusive;
    inside_time_slicing_and_time_slicing: TimeSlicing, TimeSlicing;
    inside_time_slicing_and_mps: TimeSlicing, Mps;
    inside_mps_and_exclusive: Mps, Exclusive;
    inside_mps_and_time_slicing: Mps, TimeSlicing;
    inside_mps_and_mps: Mps, Mps;
    inside_processes_and_exclusive: ForeignProcesses, Exclusive;
    inside_processes_and_time_slicing: ForeignProcesses, TimeSlicing;
    inside_processes_and_mps: ForeignProcesses, Mps;
}

/// What a condition adds where MIG mode is on: these states don't keep MIG devices away.
#[test]
fn mig_devices_stand_beside_foreign_modes_and_processes_where_mig_is_on() {
    let mut world = World::managed(boards::h100s(1));
    world.compute_mode(0, ComputeMode::Prohibited);
    world.foreign(0, 9, 4);
    world.process(0, 4711, Some(5));
    assert!(world.plan("mig:1g.10gb").is_ok());
}

#[test]
fn the_documents_show_the_matrix() {
    let between = |text: &str| {
        let (_, rest) = text.split_once("<!-- matrix -->\n").unwrap();
        rest.split_once("<!-- /matrix -->").unwrap().0.to_owned()
    };
    let files = [
        ("README.md", include_str!("../../../README.md")),
        ("docs/modes.md", include_str!("../../../docs/modes.md")),
    ];
    for (file, text) in files {
        assert_eq!(between(text), markdown(), "{file}: put this table between its matrix markers");
    }
}

//! Compute modes and time slices, set and put back.

use super::stage::Stage;
use crate::common::node;
use divvy::claim::{Before, Outcome, Step};
use divvy::inventory::ComputeMode;
use divvy::request::Interval;
use divvy::share::{ShareError, Undone};
use std::process::Command;

/// What every GPU of a description has.
const IDENTITY: &str =
    "  uuid: GPU-00000000-0000-0000-0000-000000000000\n  minor: 0\n  pci: 0000:1a:00.0\n";

/// What the node's nvidia-smi answers.
fn smi(stage: &Stage, arguments: &[&str]) -> String {
    let program = stage.host.driver_root.join("usr/bin/nvidia-smi");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

fn exclusive(gpu: String) -> Step {
    Step::SetExclusiveProcess { gpu }
}

#[test]
fn the_compute_mode_goes_back_to_what_it_was() {
    for (number, before) in [
        ("0", ComputeMode::Default),
        ("2", ComputeMode::Prohibited),
        ("3", ComputeMode::ExclusiveProcess),
    ] {
        let stage = Stage::plain("H100-80GB");
        smi(&stage, &["-i", "0", "-c", number]);
        let mut device = stage.gpu_record(exclusive);
        assert_eq!(stage.step(&mut device, 0).unwrap(), Outcome::Done);
        assert_eq!(device.steps[0].before, Some(Before::ComputeMode(before)));
        assert_eq!(stage.gpu().compute_mode, ComputeMode::ExclusiveProcess);
        device.steps[0].outcome = None;
        assert_eq!(stage.undo_step(&device, 0), Undone::Gone);
        assert_eq!(stage.gpu().compute_mode, before);
        assert_eq!(stage.undo_step(&device, 0), Undone::Gone);
        assert_eq!(stage.gpu().compute_mode, before);
    }
}

#[test]
fn a_compute_mode_that_somebody_set_since_stays() {
    let stage = Stage::plain("H100-80GB");
    let mut device = stage.gpu_record(exclusive);
    stage.step(&mut device, 0).unwrap();
    smi(&stage, &["-i", "0", "-c", "2"]);
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert_eq!(stage.gpu().compute_mode, ComputeMode::Prohibited);
}

#[test]
fn a_mig_device_without_compute_mode_is_told_in_the_outcome() {
    for (has, outcome) in [(false, Outcome::Unsupported), (true, Outcome::Done)] {
        let stage = Stage::on(node::describe(&format!(
            "nvml:\n  compute-mode-on-mig: {has}\ngpus:\n- board: H100-80GB\n  mig: true\n{IDENTITY}"
        )));
        let mut device = stage.mig_record("1g.10gb", 0);
        // Plain files stand for nodes here, and a node is no part of this.
        device.steps.pop();
        let gpu = device.targets[0].gpu.clone();
        device.steps.push(divvy::claim::Entry::planned(exclusive(gpu)));
        stage.carry_out(&mut device).unwrap();
        assert_eq!(device.steps[2].outcome, Some(outcome));
        assert_eq!(stage.undo(&mut device), Undone::Gone);
        assert_eq!(stage.instances(), []);
    }
}

fn slice(interval: Interval) -> impl Fn(String) -> Step {
    move |gpu| Step::SetTimeSlice { gpu, interval }
}

#[test]
fn the_time_slice_goes_back_to_what_it_was() {
    for before in Interval::ALL {
        let stage = Stage::plain("H100-80GB");
        let number = Interval::ALL.iter().position(|interval| *interval == before).unwrap();
        let set = format!("--set-timeslice={number}");
        smi(&stage, &["compute-policy", "-i", "0", &set]);
        let there = smi(&stage, &["compute-policy", "-l"]);
        let mut device = stage.gpu_record(slice(Interval::Long));
        stage.step(&mut device, 0).unwrap();
        assert_eq!(device.steps[0].before, Some(Before::Interval(Some(before))));
        assert!(smi(&stage, &["compute-policy", "-l"]).contains("Long"));
        device.steps[0].outcome = None;
        assert_eq!(stage.undo_step(&device, 0), Undone::Gone);
        assert_eq!(stage.undo_step(&device, 0), Undone::Gone);
        assert_eq!(smi(&stage, &["compute-policy", "-l"]), there);
    }
}

#[test]
fn a_time_slice_that_somebody_set_since_stays() {
    let stage = Stage::plain("H100-80GB");
    let mut device = stage.gpu_record(slice(Interval::Short));
    stage.step(&mut device, 0).unwrap();
    smi(&stage, &["compute-policy", "-i", "0", "--set-timeslice=2"]);
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert!(smi(&stage, &["compute-policy", "-l"]).contains("Medium"));
}

#[test]
fn a_gpu_without_time_slices_is_told_in_nvidia_smi_s_words() {
    let stage =
        Stage::on(node::describe(&format!("gpus:\n- board: T4\n  time-slice: false\n{IDENTITY}")));
    let mut device = stage.gpu_record(slice(Interval::Short));
    let error = stage.step(&mut device, 0).unwrap_err();
    assert!(matches!(error, ShareError::NoTimeSlice { .. }), "{error}");
    assert!(error.to_string().contains("without an interval"), "{error}");
}

#[test]
fn modes_of_a_lost_gpu_are_lost() {
    let stage = Stage::plain("H100-80GB");
    let mut mode = stage.gpu_record(exclusive);
    let mut interval = stage.gpu_record(slice(Interval::Short));
    stage.step(&mut mode, 0).unwrap();
    stage.step(&mut interval, 0).unwrap();
    stage.fake.change("lose", &["0"]);
    assert_eq!(stage.undo_step(&mode, 0), Undone::Lost);
    assert_eq!(stage.undo_step(&interval, 0), Undone::Lost);
}

//! MIG mode, MIG devices and their nodes.

use super::stage::Stage;
use divvy::claim::{Before, Outcome, Step};
use divvy::share::{ShareError, Undone};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

/// What lies in the node's folder of capability nodes and of links.
fn nodes(stage: &Stage) -> (Vec<String>, Vec<String>) {
    let list = |folder: &str| {
        let entries = fs::read_dir(stage.host.dev(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    (list("nvidia-caps"), list("char"))
}

#[test]
fn a_mig_device_is_made_with_its_nodes_and_goes_again() {
    let stage = Stage::with_mig("H100-80GB");
    let before = nodes(&stage);
    let mut device = stage.mig_record("3g.40gb", 4);
    stage.carry_out(&mut device).unwrap();

    let (_, _, uuid) = device.mig_device().unwrap();
    assert!(uuid.starts_with("MIG-"), "{uuid}");
    let (profile, placement) = (stage.profile("3g.40gb"), device.targets[0].mig.clone().unwrap());
    assert_eq!(stage.instances(), [(profile.id, placement.placement, 1)]);
    let made = nodes(&stage);
    assert_eq!((made.0.len(), made.1.len()), (before.0.len() + 2, before.1.len() + 2));
    for name in made.0.iter().filter(|name| !before.0.contains(name)) {
        let metadata = fs::metadata(stage.host.dev("nvidia-caps").join(name)).unwrap();
        assert!(metadata.file_type().is_char_device());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o444);
        let (major, minor) =
            (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
        assert_eq!(*name, format!("nvidia-cap{minor}"));
        let link = stage.host.dev("char").join(format!("{major}:{minor}"));
        assert_eq!(fs::metadata(link).unwrap().rdev(), metadata.rdev());
    }

    assert_eq!(stage.undo(&mut device.clone()), Undone::Gone);
    assert_eq!(stage.instances(), []);
    assert_eq!(nodes(&stage), before);
    assert_eq!(stage.undo(&mut device), Undone::Gone, "a second time");
}

#[test]
fn whatever_was_written_last_all_of_it_goes() {
    // For each step: the journal stops before it, after what was there, or after it was done but
    // before that was written.
    for stop in 0..3 {
        for done in [false, true] {
            let stage = Stage::with_mig("H100-80GB");
            stage.fake.change("mig", &["0", "create", "3g.40gb@0"]);
            let (theirs, nodes_before) = (stage.instances(), nodes(&stage));
            let mut device = stage.mig_record("3g.40gb", 4);
            for step in 0..stop {
                stage.step(&mut device, step).unwrap();
            }
            match done {
                false => drop(stage.observe(&mut device, stop).unwrap_or(Before::Nothing)),
                true => drop(stage.step(&mut device, stop)),
            }
            device.steps[stop].outcome = None;
            assert_eq!(stage.undo(&mut device), Undone::Gone, "step {stop}, done {done}");
            assert_eq!(stage.instances(), theirs, "step {stop}, done {done}");
            assert_eq!(nodes(&stage), nodes_before);
        }
    }
}

#[test]
fn a_place_that_is_taken_is_told_apart() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("3g.40gb", 4);
    stage.fake.change("mig", &["0", "create", "1g.10gb@4"]);
    let theirs = stage.instances();
    let error = stage.step(&mut device, 0).unwrap_err();
    assert!(matches!(error, ShareError::NoRoom { .. }), "{error}");
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert_eq!(stage.instances(), theirs);
}

#[test]
fn what_is_in_use_stays_and_is_named() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("1g.10gb", 0);
    stage.carry_out(&mut device).unwrap();
    let (instance, compute, _) = device.mig_device().unwrap();
    let place = format!("0:{instance}:{compute}");
    stage.fake.change("process", &[&place, "add", "4711"]);
    assert_eq!(stage.undo(&mut device), Undone::InUse { pids: vec![4711] });
    assert_eq!(stage.instances().len(), 1);
    stage.fake.change("process", &[&place, "rm", "4711"]);
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert_eq!(stage.instances(), []);
}

#[test]
fn another_instance_under_the_same_id_is_left_alone() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("3g.40gb", 4);
    stage.carry_out(&mut device).unwrap();
    let (instance, _, _) = device.mig_device().unwrap();
    stage.fake.change("mig", &["0", "destroy", &instance.to_string()]);
    stage.fake.change("mig", &["0", "create", "3g.40gb@0"]);
    let theirs = stage.instances();
    // This driver gives ids by place; others take the lowest that is free.
    let id = stage.gpu().mig.unwrap().instances[0].id;
    device.steps[0].outcome = Some(Outcome::GpuInstance(id));
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert_eq!(stage.instances(), theirs);
}

#[test]
fn an_interrupted_instance_that_somebody_built_on_is_theirs() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("1g.10gb", 0);
    stage.observe(&mut device, 0).unwrap();
    // A whole MIG device, at the place that was planned: divvy makes the instance alone first.
    stage.fake.change("mig", &["0", "create", "1g.10gb@0"]);
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert_eq!(stage.instances().len(), 1);
}

#[test]
fn a_step_on_an_instance_that_is_gone_says_so() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("1g.10gb", 0);
    stage.step(&mut device, 0).unwrap();
    let instance = stage.gpu().mig.unwrap().instances[0].id;
    stage.fake.change("mig", &["0", "destroy", &instance.to_string()]);
    let error = stage.step(&mut device, 1).unwrap_err();
    assert!(matches!(error, ShareError::InstanceGone { .. }), "{error}");
}

/// Ids of the compute profiles of seven slices, by the driver's word.
fn seven_slices(stage: &Stage, profile: &str) -> Vec<u32> {
    let mut device = stage.mig_record(profile, 0);
    stage.step(&mut device, 0).unwrap();
    let gpu = stage.nvml.get().unwrap().device(0).unwrap();
    let instance = gpu.gpu_instance(stage.gpu().mig.unwrap().instances[0].id).unwrap();
    let profiles = instance.compute_instance_profiles(16).unwrap();
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    profiles.iter().filter(|(_, found)| found.slices == 7).map(|(_, found)| found.id).collect()
}

#[test]
fn a_whole_gpu_has_two_compute_profiles_and_both_serve() {
    for model in ["A100-40GB", "H100-80GB"] {
        let stage = Stage::with_mig(model);
        let profiles = stage.gpu().mig.unwrap().profiles;
        let whole = profiles.iter().find(|profile| profile.name.slices == 7).unwrap();
        let ids = seven_slices(&stage, &whole.name.to_string());
        assert_eq!(ids.len(), 2, "{model}");
        for id in ids {
            let mut device = stage.mig_record(&whole.name.to_string(), 0);
            let gpu = stage.gpu().uuid;
            device.steps[1].step = Step::CreateComputeInstance { gpu, profile_id: id };
            stage.carry_out(&mut device).unwrap();
            assert_eq!(stage.instances()[0].2, 1);
            assert_eq!(stage.undo(&mut device), Undone::Gone);
        }
    }
}

#[test]
fn nodes_that_were_there_stay() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("1g.10gb", 0);
    stage.step(&mut device, 0).unwrap();
    stage.step(&mut device, 1).unwrap();
    stage.fake.change("caps", &[]);
    let there = nodes(&stage);
    stage.step(&mut device, 2).unwrap();
    // Whoever made the nodes may not have made links.
    assert_eq!(nodes(&stage).0, there.0);
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert_eq!(nodes(&stage), there);
}

#[test]
fn a_node_of_another_driver_load_is_not_taken_for_ours() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("1g.10gb", 0);
    stage.step(&mut device, 0).unwrap();
    stage.step(&mut device, 1).unwrap();
    let Before::Missing(paths) = stage.observe(&mut device, 2).unwrap() else { panic!() };
    let (kind, mode) =
        (rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::from_raw_mode(0o444));
    let stale = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(rustix::fs::CWD, &paths[0], kind, mode, stale).unwrap();
    let error = stage.step(&mut device, 2).unwrap_err();
    assert!(matches!(error, ShareError::StaleNode { .. }), "{error}");
    assert!(error.to_string().contains("is device 1:3"), "{error}");
    // Nor is it removed, whatever a journal says.
    assert_eq!(stage.undo_step(&device, 2), Undone::Gone);
    assert!(paths[0].exists());
}

#[test]
fn mig_mode_is_turned_on_and_off_where_no_reset_is_needed() {
    let stage = Stage::plain("H100-80GB");
    let mut device = stage.gpu_record(|gpu| Step::EnableMig { gpu });
    assert_eq!(stage.step(&mut device, 0).unwrap(), Outcome::Done);
    assert!(stage.gpu().mig_enabled());

    // It stays on for whoever uses it.
    stage.fake.change("mig", &["0", "create", "1g.10gb@0"]);
    assert_eq!(stage.undo_step(&device, 0), Undone::Gone);
    assert!(stage.gpu().mig_enabled());
    let instance = stage.gpu().mig.unwrap().instances[0].id;
    stage.fake.change("mig", &["0", "destroy", &instance.to_string()]);

    device.steps[0].outcome = None;
    assert_eq!(stage.undo_step(&device, 0), Undone::Gone, "also where it was interrupted");
    assert!(!stage.gpu().mig_enabled());
    assert_eq!(stage.undo_step(&device, 0), Undone::Gone);
}

#[test]
fn mig_mode_that_was_on_stays_on() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.gpu_record(|gpu| Step::EnableMig { gpu });
    stage.step(&mut device, 0).unwrap();
    assert_eq!(stage.undo(&mut device), Undone::Gone);
    assert!(stage.gpu().mig_enabled());
}

#[test]
fn mig_mode_that_needs_a_reset_is_left_alone() {
    let stage = Stage::plain("A100-40GB");
    let mut device = stage.gpu_record(|gpu| Step::EnableMig { gpu });
    let error = stage.step(&mut device, 0).unwrap_err();
    assert!(matches!(error, ShareError::NeedsReset { .. }), "{error}");
    let mig = stage.gpu().mig.unwrap();
    assert!(!mig.enabled && !mig.pending, "nothing waits for a reset");
    assert_eq!(stage.undo(&mut device), Undone::Gone);
}

#[test]
fn mig_mode_of_a_gpu_in_use_is_left_alone() {
    let stage = Stage::plain("H100-80GB");
    stage.fake.change("process", &["0", "add", "4711"]);
    let mut device = stage.gpu_record(|gpu| Step::EnableMig { gpu });
    let error = stage.step(&mut device, 0).unwrap_err();
    assert!(matches!(&error, ShareError::Busy { pids, .. } if *pids == [4711]), "{error}");
    assert!(!stage.gpu().mig_enabled());
}

#[test]
fn a_gpu_without_mig_says_so() {
    let stage = Stage::plain("L4");
    let mut device = stage.gpu_record(|gpu| Step::EnableMig { gpu });
    let error = stage.step(&mut device, 0).unwrap_err();
    assert!(matches!(error, ShareError::NoMig { .. }), "{error}");
}

#[test]
fn nothing_is_undone_on_a_lost_gpu() {
    let stage = Stage::with_mig("H100-80GB");
    let mut device = stage.mig_record("1g.10gb", 0);
    stage.carry_out(&mut device).unwrap();
    stage.fake.change("lose", &["0"]);
    // Nodes are this machine's, and go.
    assert_eq!(stage.undo_step(&device, 2), Undone::Gone);
    assert_eq!(stage.undo_step(&device, 1), Undone::Lost);
    assert_eq!(stage.undo_step(&device, 0), Undone::Lost);
}

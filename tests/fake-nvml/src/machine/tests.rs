use super::*;
use crate::node::NodeFile;
use std::path::PathBuf;

/// An A100 (0), an H100 (1) and a T4 (2), without files.
fn machine() -> (Node, State) {
    let gpu = |key: &str, minor: u32| {
        format!("- {{board: {key}, uuid: GPU-{minor}, minor: {minor}, pci: 0000:1{minor}:00.0}}\n")
    };
    let text = format!("gpus:\n{}{}{}", gpu("A100-40GB", 0), gpu("H100-80GB", 1), gpu("T4", 2));
    let file: NodeFile = serde_saphyr::from_str(&text).unwrap();
    let boards = file.gpus.iter().map(|gpu| Board::named(&gpu.board).unwrap()).collect();
    let node = Node { dir: PathBuf::new(), file, boards };
    let state = State::fresh(&node, "boot".into()).unwrap();
    (node, state)
}

fn process(gi: Option<u32>) -> Process {
    let kind = crate::state::ProcessKind::Compute;
    Process { pid: 1, bytes: 0, kind, gi, ci: gi.map(|_| 0) }
}

/// A 3g GPU instance with its compute instance, on the H100.
fn cut(node: &Node, state: &mut State) -> u32 {
    set_mig_mode(node, state, 1, true).unwrap();
    let (gi, _) = create_gpu_instance(node, state, (1, 9), Wish::default()).unwrap();
    create_compute_instance(node, state, (1, gi, 2), Wish::default()).unwrap();
    gi
}

#[test]
fn ampere_waits_for_a_reset_and_hopper_does_not() {
    let (node, mut state) = machine();
    assert_eq!(set_mig_mode(&node, &mut state, 0, true), Ok(Some(Code::RESET_REQUIRED)));
    assert_eq!((state.gpus[0].mig, state.gpus[0].mig_pending), (false, true));
    let early = create_gpu_instance(&node, &mut state, (0, 19), Wish::default());
    assert_eq!(early, Err(Code::NOT_SUPPORTED), "MIG mode is pending");
    reset(&mut state, 0).unwrap();
    assert!(create_gpu_instance(&node, &mut state, (0, 19), Wish::default()).is_ok());
    assert_eq!(set_mig_mode(&node, &mut state, 1, true), Ok(None));
    assert!(state.gpus[1].mig);
}

#[test]
fn a_pending_mode_can_be_taken_back() {
    let (node, mut state) = machine();
    set_mig_mode(&node, &mut state, 0, true).unwrap();
    assert_eq!(set_mig_mode(&node, &mut state, 0, false), Ok(None));
    assert!(!state.gpus[0].mig_pending);
}

#[test]
fn a_gpu_that_works_does_not_change_its_mode() {
    let (node, mut state) = machine();
    add_process(&node, &mut state, 1, process(None)).unwrap();
    assert_eq!(set_mig_mode(&node, &mut state, 1, true), Ok(Some(Code::IN_USE)));
    assert!(!state.gpus[1].mig && state.gpus[1].mig_pending);
    state.gpus[1].processes.clear();
    cut(&node, &mut state);
    assert_eq!(set_mig_mode(&node, &mut state, 1, false), Ok(Some(Code::IN_USE)));
    assert!(state.gpus[1].mig);
}

#[test]
fn a_t4_has_no_mig() {
    let (node, mut state) = machine();
    assert_eq!(set_mig_mode(&node, &mut state, 2, true), Err(Code::NOT_SUPPORTED));
}

#[test]
fn an_instance_with_a_process_is_in_use() {
    let (node, mut state) = machine();
    let gi = cut(&node, &mut state);
    add_process(&node, &mut state, 1, process(Some(gi))).unwrap();
    assert_eq!(destroy_compute_instance(&node, &mut state, (1, gi, 0)), Err(Code::IN_USE));
    assert_eq!(destroy_gpu_instance(&node, &mut state, 1, gi), Err(Code::IN_USE));
    assert_eq!(reset(&mut state, 1), Err(Code::IN_USE));
    state.gpus[1].processes.clear();
    destroy_compute_instance(&node, &mut state, (1, gi, 0)).unwrap();
    destroy_gpu_instance(&node, &mut state, 1, gi).unwrap();
}

#[test]
fn processes_run_where_they_can() {
    let (node, mut state) = machine();
    let gi = cut(&node, &mut state);
    assert_eq!(add_process(&node, &mut state, 1, process(None)), Err(Code::INVALID_ARGUMENT));
    assert_eq!(add_process(&node, &mut state, 1, process(Some(gi + 1))), Err(Code::NOT_FOUND));
    assert_eq!(add_process(&node, &mut state, 2, process(Some(0))), Err(Code::INVALID_ARGUMENT));
}

#[test]
fn a_boot_takes_everything_but_amperes_mode() {
    let (node, mut state) = machine();
    cut(&node, &mut state);
    set_mig_mode(&node, &mut state, 0, true).unwrap();
    set_compute_mode(&node, &mut state, 2, 3).unwrap();
    set_time_slice(&node, &mut state, 2, 1).unwrap();
    restart(&node, &mut state, "another".into());
    assert_eq!(state.boot_id, "another");
    let modes: Vec<_> = state.gpus.iter().map(|gpu| (gpu.mig, gpu.mig_pending)).collect();
    assert_eq!(modes, [(true, true), (false, false), (false, false)]);
    assert!(
        state
            .gpus
            .iter()
            .all(|gpu| gpu.instances.is_empty() && gpu.compute_mode == 0 && gpu.time_slice == 0)
    );
}

#[test]
fn a_lost_gpu_answers_nothing_but_that() {
    let (node, mut state) = machine();
    state.gpus[1].lost = true;
    assert_eq!(set_mig_mode(&node, &mut state, 1, true), Err(Code::GPU_IS_LOST));
    assert_eq!(set_compute_mode(&node, &mut state, 1, 0), Err(Code::GPU_IS_LOST));
    assert_eq!(set_mig_mode(&node, &mut state, 0, true), Ok(Some(Code::RESET_REQUIRED)));
    reset(&mut state, 1).unwrap();
    assert_eq!(set_compute_mode(&node, &mut state, 1, 0), Ok(()));
}

#[test]
fn modes_that_a_gpu_lacks_are_refused() {
    let (mut node, mut state) = machine();
    assert_eq!(set_compute_mode(&node, &mut state, 2, 1), Err(Code::NOT_SUPPORTED));
    assert_eq!(set_compute_mode(&node, &mut state, 2, 4), Err(Code::INVALID_ARGUMENT));
    assert_eq!(set_time_slice(&node, &mut state, 2, 4), Err(Code::INVALID_ARGUMENT));
    let gi = cut(&node, &mut state);
    assert_eq!(set_compute_mode(&node, &mut state, 1, 3), Err(Code::NOT_SUPPORTED));
    assert_eq!(set_time_slice(&node, &mut state, 1, 1), Err(Code::NOT_SUPPORTED));
    assert_eq!(set_mig_compute_mode(&node, &mut state, (1, gi, 0), 3), Err(Code::NOT_SUPPORTED));
    node.file.nvml.compute_mode_on_mig = true;
    assert_eq!(set_mig_compute_mode(&node, &mut state, (1, gi, 0), 3), Ok(()));
    assert_eq!(state.gpus[1].instances[0].compute[0].compute_mode, 3);
}

//! Several processes on one node. The test program starts itself again as each of them: the test
//! `worker` below does nothing unless it is told what to do.

use crate::common::{Node, gpu, load, nvml};
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What a worker does, in words: initialise, then the words one by one. It prints each answer.
const SCRIPT: &str = "FAKE_NVML_TEST_SCRIPT";
const LIBRARY: &str = "FAKE_NVML_TEST_LIBRARY";

#[test]
fn worker() {
    let (Ok(script), Ok(library)) = (env::var(SCRIPT), env::var(LIBRARY)) else { return };
    let library = load(&PathBuf::from(library));
    println!("answer init {}", nvml!(library, nvmlInit_v2));
    for word in script.split(' ').filter(|word| !word.is_empty()) {
        let code = match word.split_once('@').unwrap_or((word, "")) {
            ("wait", gate) => wait_for(gate),
            ("create", start) => create(&library, start.parse().unwrap()),
            ("mig-mode", _) => {
                let mut status = 0;
                nvml!(library, nvmlDeviceSetMigMode, gpu(&library, 0), 1, &raw mut status)
            }
            ("count", _) => {
                let mut count = 0;
                nvml!(library, nvmlDeviceGetCount_v2, &raw mut count)
            }
            _ => panic!("{word}"),
        };
        println!("answer {word} {code}");
    }
}

/// A 1g GPU instance on GPU 0.
fn create(library: &nvml_wrapper_sys::bindings::NvmlLib, start: u32) -> u32 {
    let place = nvml_wrapper_sys::bindings::nvmlGpuInstancePlacement_t { start, size: 1 };
    let mut instance = std::ptr::null_mut();
    let device = gpu(library, 0);
    nvml!(
        library,
        nvmlDeviceCreateGpuInstanceWithPlacement,
        device,
        19,
        &raw const place,
        &raw mut instance
    )
}

fn wait_for(gate: &str) -> u32 {
    let end = Instant::now() + Duration::from_secs(60);
    while !PathBuf::from(gate).exists() {
        assert!(Instant::now() < end, "nobody opened {gate}");
        std::thread::sleep(Duration::from_millis(1));
    }
    0
}

fn start(node: &Node, script: &str, variables: &[(&str, &str)]) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["several::worker", "--exact", "--nocapture"]);
    command.env(SCRIPT, script).env(LIBRARY, node.library_file()).envs(variables.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn run(node: &Node, script: &str, variables: &[(&str, &str)]) -> Output {
    start(node, script, variables).wait_with_output().unwrap()
}

/// The answers, `init` left out where it succeeded.
fn answers(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let lines =
        text.lines().filter_map(|line| line.split_once("answer ").map(|(_, answer)| answer));
    lines.filter(|answer| *answer != "init 0").map(str::to_owned).collect()
}

fn starts(node: &Node) -> Vec<u64> {
    let text = std::fs::read_to_string(node.file("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let instances = state["gpus"][0]["instances"].as_array().unwrap();
    let mut starts: Vec<_> =
        instances.iter().map(|instance| instance["start"].as_u64().unwrap()).collect();
    starts.sort_unstable();
    starts
}

fn cut() -> Node {
    Node::new("", &["A100-40GB, mig: true"])
}

#[test]
fn what_one_process_makes_the_next_one_sees() {
    let node = cut();
    assert_eq!(answers(&run(&node, "create@0 create@1", &[])), ["create@0 0", "create@1 0"]);
    assert_eq!(answers(&run(&node, "create@1 create@2", &[])), ["create@1 23", "create@2 0"]);
    assert_eq!(starts(&node), [0, 1, 2]);
}

#[test]
fn of_many_that_want_one_place_one_gets_it() {
    let node = cut();
    let gate = node.file("gate");
    let script = format!("wait@{} create@3", gate.display());
    let racers: Vec<_> = (0..8).map(|_| start(&node, &script, &[])).collect();
    std::fs::write(&gate, "").unwrap();
    let outputs: Vec<_> =
        racers.into_iter().map(|racer| racer.wait_with_output().unwrap()).collect();
    let answers: Vec<_> = outputs.iter().map(|output| answers(output).pop().unwrap()).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "create@3 0").count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| *answer == "create@3 23").count(), 7, "{answers:?}");
    assert_eq!(starts(&node), [3]);
}

#[test]
fn a_fault_hits_the_nth_call_alone() {
    let node = cut();
    let fault = [("FAKE_NVML_ERROR_AT", "nvmlDeviceCreateGpuInstanceWithPlacement:2:999")];
    let output = run(&node, "create@0 create@1 create@2", &fault);
    assert_eq!(answers(&output), ["create@0 0", "create@1 999", "create@2 0"]);
    assert_eq!(starts(&node), [0, 2]);
}

#[test]
fn a_process_dies_before_or_after_its_call_acts() {
    for (fault, expected) in [("*:2", vec![0]), ("*:2:after", vec![0, 1])] {
        let node = cut();
        let output =
            run(&node, "create@0 count create@1 create@2", &[("FAKE_NVML_ABORT_AT", fault)]);
        assert_eq!(output.status.signal(), Some(9), "{fault}");
        assert_eq!(starts(&node), expected, "{fault}");
        assert_eq!(answers(&run(&node, "create@6", &[])), ["create@6 0"], "no lock is left");
    }
}

#[test]
fn a_file_holds_faults_for_all() {
    let node = cut();
    std::fs::write(node.file("faults"), "nvmlDeviceGetCount_v2:1:17 # once in each process\n")
        .unwrap();
    for _ in 0..2 {
        assert_eq!(answers(&run(&node, "count count", &[])), ["count 17", "count 0"]);
    }
    std::fs::write(node.file("faults"), "nvmlDeviceGetCount_v2\n").unwrap();
    let output = run(&node, "", &[]);
    assert_eq!(answers(&output), ["init 999"]);
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("faults: \"nvmlDeviceGetCount_v2\" is no fault")
    );
}

#[test]
fn each_call_is_logged() {
    let node = cut();
    let log = node.file("log");
    let output = run(&node, "create@0 create@0", &[("FAKE_NVML_LOG", log.to_str().unwrap())]);
    assert!(output.status.success());
    let text = std::fs::read_to_string(log).unwrap();
    let calls: Vec<_> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let create = "nvmlDeviceCreateGpuInstanceWithPlacement";
    let expected = [
        "nvmlInit_v2 0".to_owned(),
        "nvmlDeviceGetHandleByIndex_v2 0".to_owned(),
        format!("{create} 0"),
        "nvmlDeviceGetHandleByIndex_v2 0".to_owned(),
        format!("{create} 23"),
    ];
    assert_eq!(calls, expected);
}

#[test]
fn a_node_file_that_is_broken_is_named_with_its_line() {
    let node = cut();
    std::fs::write(node.file("node.yaml"), "gpus:\n- board: [\n").unwrap();
    let output = run(&node, "", &[]);
    assert_eq!(answers(&output), ["init 999"]);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(why.contains("node.yaml: line "), "{why}");
}

#[test]
fn a_library_outside_a_node_finds_no_driver() {
    let node = cut();
    std::fs::remove_file(node.file("node.yaml")).unwrap();
    assert_eq!(answers(&run(&node, "", &[])), ["init 9"]);
    let other = cut();
    let there = [("FAKE_NVML_NODE", other.folder().to_str().unwrap().to_owned())];
    let there: Vec<_> = there.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(answers(&run(&node, "create@5", &there)), ["create@5 0"]);
    assert_eq!(starts(&other), [5]);
}

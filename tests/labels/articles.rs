//! Labels that articles on GPU sharing show, on nodes with the same GPUs.
//!
//! `nvidia.com/gpu.present` and `nvidia.com/mig.config…` are the GPU operator's own labels, not of GPU
//! Feature Discovery, and not here.

use super::{assert_has, configure, cut, labels};
use crate::common::node::create;

/// The configuration that the articles give NVIDIA's device plugin: four replicas of each GPU, or of what MIG devices
/// are called under the strategy single.
const FOUR_BY_TURNS: &str = "version: v1
flags: {migStrategy: single}
sharing:
  timeSlicing:
    resources:
    - name: nvidia.com/gpu
      replicas: 4
";

/// What a device plugin offers of a resource: devices times replicas.
fn offered(labels: &std::collections::BTreeMap<String, String>, resource: &str) -> u32 {
    let number = |name: &str| labels[&format!("{resource}.{name}")].parse::<u32>().unwrap();
    number("count") * number("replicas")
}

#[test]
fn one_gpu_by_turns_is_four() {
    let node = create(&["--no-nodes", "--gpu", "GTX-1080-Ti"]);
    configure(&node, FOUR_BY_TURNS);
    let found = labels(&node, &[]);
    let shown = [
        ("gpu.count", "1"),
        ("gpu.family", "pascal"),
        ("gpu.memory", "11264"),
        ("gpu.product", "NVIDIA-GeForce-GTX-1080-Ti-SHARED"),
        ("gpu.replicas", "4"),
        ("gpu.sharing-strategy", "time-slicing"),
    ];
    assert_has(&found, &shown);
    assert_eq!(offered(&found, "gpu"), 4);
}

#[test]
fn four_gpus_by_turns_are_sixteen() {
    let node = create(&["--no-nodes", "--gpu", "T4:4"]);
    configure(&node, FOUR_BY_TURNS);
    let found = labels(&node, &[]);
    let shown = [("gpu.count", "4"), ("gpu.product", "Tesla-T4-SHARED"), ("gpu.replicas", "4")];
    assert_has(&found, &shown);
    assert_eq!(offered(&found, "gpu"), 16);
}

#[test]
fn a_gpu_out_of_mig_mode_under_the_strategy_single_is_one() {
    let node = create(&["--no-nodes", "--gpu", "A100-40GB"]);
    let found = labels(&node, &["--mig-strategy", "single"]);
    let shown = [
        ("gpu.count", "1"),
        ("gpu.replicas", "1"),
        ("mig.capable", "true"),
        ("mig.strategy", "single"),
    ];
    assert_has(&found, &shown);
}

#[test]
fn seven_mig_devices_under_the_strategy_single_are_seven() {
    let node = cut("A100-40GB", &[("0", &["1g.5gb"; 7])]);
    let found = labels(&node, &["--mig-strategy", "single"]);
    let shown = [
        ("gpu.count", "7"),
        ("mig.capable", "true"),
        ("mig.strategy", "single"),
        ("gpu.product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb"),
    ];
    assert_has(&found, &shown);
    assert_eq!(offered(&found, "gpu"), 7);
}

#[test]
fn seven_mig_devices_by_turns_are_twenty_eight() {
    let node = cut("A100-40GB", &[("0", &["1g.5gb"; 7])]);
    configure(&node, FOUR_BY_TURNS);
    let found = labels(&node, &["--mig-strategy", "single"]);
    let shown = [
        ("gpu.count", "7"),
        ("gpu.replicas", "4"),
        ("gpu.product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED"),
        ("gpu.sharing-strategy", "time-slicing"),
    ];
    assert_has(&found, &shown);
    assert_eq!(offered(&found, "gpu"), 28);
}

#[test]
fn ten_replicas_under_mps() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    configure(
        &node,
        "version: v1\nsharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 10}]}}\n",
    );
    let found = labels(&node, &[]);
    let shown = [
        ("gpu.product", "Tesla-T4-SHARED"),
        ("gpu.replicas", "10"),
        ("gpu.sharing-strategy", "mps"),
        ("mps.capable", "true"),
    ];
    assert_has(&found, &shown);
    assert_eq!(offered(&found, "gpu"), 10);
}

#[test]
fn all_balanced_on_an_h100() {
    let node = cut("H100-80GB", &[("0", &["3g.40gb@4", "2g.20gb", "1g.10gb", "1g.10gb"])]);
    let shown = [
        ("gpu.product", "NVIDIA-H100-80GB-HBM3"),
        ("gpu.sharing-strategy", "none"),
        ("mig-1g.10gb.count", "2"),
        ("mig-1g.10gb.engines.copy", "1"),
        ("mig-1g.10gb.engines.decoder", "1"),
        ("mig-1g.10gb.engines.encoder", "0"),
        ("mig-1g.10gb.engines.jpeg", "1"),
        ("mig-1g.10gb.engines.ofa", "0"),
        ("mig-1g.10gb.memory", "9984"),
        ("mig-1g.10gb.multiprocessors", "16"),
        ("mig-1g.10gb.product", "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"),
        ("mig-2g.20gb.count", "1"),
        ("mig-3g.40gb.count", "1"),
        ("mig.strategy", "mixed"),
        ("mps.capable", "false"),
    ];
    assert_has(&labels(&node, &["--mig-strategy", "mixed"]), &shown);
}

#[test]
fn five_1g_and_one_2g_on_an_h100() {
    let profiles = ["2g.20gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb", "1g.10gb"];
    let node = cut("H100-80GB", &[("0", &profiles)]);
    let found = labels(&node, &["--mig-strategy", "mixed"]);
    let shown = [
        ("gpu.product", "NVIDIA-H100-80GB-HBM3"),
        ("mig-1g.10gb.count", "5"),
        ("mig-2g.20gb.count", "1"),
        ("mig.capable", "true"),
        ("mig.strategy", "mixed"),
        ("mps.capable", "false"),
    ];
    assert_has(&found, &shown);
    assert_eq!((offered(&found, "mig-1g.10gb"), offered(&found, "mig-2g.20gb")), (5, 1));
    // The article shows gpu.count=6, the number of MIG devices. Under the strategy mixed it counts GPUs
    // (GPU Feature Discovery's newGPULabelers), and this node has one.
    assert_has(&found, &[("gpu.count", "1")]);
}

#[test]
fn a_96_gb_h100_is_not_cut_into_three_of_24_gb() {
    let node = cut("H100-96GB", &[]);
    let gpu = divvy::inventory::read(&node.session(), divvy::inventory::Scope::Full).unwrap();
    let profiles = gpu.gpus[0].mig.clone().unwrap().profiles;
    // The article's example is arithmetic. The profiles of about 24 GB are 1g and 2g; 2g fits three times, and
    // leaves an eighth of the memory to nobody.
    let names: Vec<String> = profiles
        .iter()
        .filter(|profile| (23..=25).contains(&profile.name.gigabytes))
        .map(|profile| format!("{} {}", profile.max_instances, profile.name))
        .collect();
    assert_eq!(names, ["3 2g.24gb", "4 1g.24gb"]);
}

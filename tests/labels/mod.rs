//! `divvy labels` on simulated nodes: what GPU Feature Discovery would put on them.

mod articles;
mod files;
mod peer;

use crate::common::node::{Node, create, describe};
use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

/// A node whose GPUs are in MIG mode, with these devices on each: GPU, profiles.
fn cut(gpus: &str, devices: &[(&str, &[&str])]) -> Node {
    let node = create(&["--no-nodes", "--gpu", gpus, "--mig", "on"]);
    for (gpu, profiles) in devices {
        node.change("mig", &[&[*gpu, "create"], *profiles].concat());
    }
    node
}

/// `divvy labels` with these options.
fn run(node: &Node, options: &[&str]) -> Output {
    node.divvy().arg("labels").args(options).output().unwrap()
}

/// What it prints, without a timestamp.
fn text(node: &Node, options: &[&str]) -> String {
    let output = run(node, &[&["--no-timestamp"], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The labels by key, without `nvidia.com/`.
fn labels(node: &Node, options: &[&str]) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (key, value) = line.strip_prefix("nvidia.com/")?.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    text(node, options).lines().map(|line| pair(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// These labels stand among them.
fn assert_has(labels: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(labels.get(*key).map(String::as_str), Some(*value), "{key} in {labels:#?}");
    }
}

/// Writes the node's configuration.
fn configure(node: &Node, yaml: &str) {
    fs::write(node.host().config, yaml).unwrap();
}

/// GPUs are used by turns only, by four.
const FOUR_BY_TURNS: &str = "gpus:\n- {match: \"*\", modes: [time-slicing, mig], replicas: 4}\n";

#[test]
fn a_gpu_without_mig() {
    let node = create(&["--no-nodes", "--gpu", "T4:2"]);
    insta::assert_snapshot!(text(&node, &[]));
    // No GPU is in MIG mode: either strategy says its name and no more.
    for strategy in ["single", "mixed"] {
        let mut with = labels(&node, &["--mig-strategy", strategy]);
        assert_eq!(with.remove("mig.strategy").as_deref(), Some(strategy));
        assert_eq!(with, labels(&node, &[]));
    }
}

#[test]
fn a_gpu_that_could_be_cut() {
    let node = create(&["--no-nodes", "--gpu", "A100-40GB"]);
    let found = labels(&node, &[]);
    assert_has(&found, &[("mig.capable", "true"), ("gpu.family", "ampere"), ("gpu.replicas", "1")]);
    assert!(!found.contains_key("mig.strategy"));
}

#[test]
fn the_strategies_on_a_node_that_is_cut_evenly() {
    let node = cut("H100-80GB:2", &[("0", &["1g.10gb"; 7]), ("1", &["1g.10gb"; 7])]);
    insta::assert_snapshot!("even_none", text(&node, &["--mig-strategy", "none"]));
    insta::assert_snapshot!("even_single", text(&node, &["--mig-strategy", "single"]));
    insta::assert_snapshot!("even_mixed", text(&node, &["--mig-strategy", "mixed"]));
}

#[test]
fn the_strategies_on_a_node_that_is_cut_unevenly() {
    let node = cut("A100-40GB", &[("0", &["3g.20gb@4", "1g.5gb+me", "1g.5gb", "2g.10gb"])]);
    let single = run(&node, &["--mig-strategy", "single", "--no-timestamp"]);
    assert!(single.status.success());
    insta::assert_snapshot!("uneven_single", String::from_utf8(single.stdout).unwrap());
    let said = String::from_utf8_lossy(&single.stderr).into_owned();
    assert!(said.contains("of several profiles"), "{said}");
    insta::assert_snapshot!("uneven_mixed", text(&node, &["--mig-strategy", "mixed"]));
}

#[test]
fn single_fits_neither_an_empty_gpu_nor_one_out_of_mig_mode() {
    let invalid = [
        ("gpu.product", "NVIDIA-H100-80GB-HBM3-MIG-INVALID"),
        ("gpu.count", "0"),
        ("gpu.replicas", "0"),
        ("gpu.memory", "0"),
        ("gpu.sharing-strategy", ""),
        ("gpu.family", "hopper"),
        ("mig.strategy", "single"),
    ];
    let empty = cut("H100-80GB:2", &[("0", &["1g.10gb"])]);
    assert_has(&labels(&empty, &["--mig-strategy", "single"]), &invalid);
    let half = cut("H100-80GB:2", &[("0", &["1g.10gb"])]);
    half.change("mig", &["1", "off"]);
    let output = run(&half, &["--mig-strategy", "single"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("some of the GPUs are in MIG mode"), "{said}");
    assert_has(&labels(&half, &["--mig-strategy", "single"]), &invalid);
    // In mixed, an empty GPU is counted and offers nothing.
    let mixed = labels(&empty, &["--mig-strategy", "mixed"]);
    assert_has(&mixed, &[("gpu.count", "2"), ("gpu.replicas", "0"), ("mig-1g.10gb.count", "1")]);
}

#[test]
fn a_part_of_a_gpu_instance_has_a_name_of_its_own() {
    let node = create(&["--gpu", "A100-40GB", "--mig", "on", "--managed", "--no-nodes"]);
    let session = node.session();
    let gpu = session.device(0).unwrap();
    let place = divvy::nvml::Slices { start: 4, size: 4 };
    let instance = gpu.create_gpu_instance(9, place).unwrap();
    for _ in 0..2 {
        instance.create_compute_instance(0).unwrap();
    }
    let found = labels(&node, &["--mig-strategy", "mixed"]);
    let part = [
        ("mig-1c.3g.20gb.count", "2"),
        ("mig-1c.3g.20gb.product", "NVIDIA-A100-SXM4-40GB-MIG-1c.3g.20gb"),
        ("mig-1c.3g.20gb.slices.gi", "3"),
        ("mig-1c.3g.20gb.slices.ci", "1"),
        ("mig-1c.3g.20gb.multiprocessors", "14"),
        ("mig-1c.3g.20gb.memory", "20091"),
    ];
    assert_has(&found, &part);
}

#[test]
fn gpus_of_several_products_are_labelled_by_the_first_that_is_whole() {
    let node = describe(
        "gpus:
- {board: H100-80GB, uuid: GPU-a, minor: 0, pci: '0000:01:00.0', mig: true, mig-devices: [{profile: 1g.10gb}]}
- {board: T4, uuid: GPU-b, minor: 1, pci: '0000:02:00.0'}
- {board: L4, uuid: GPU-c, minor: 2, pci: '0000:03:00.0'}
- {board: T4, uuid: GPU-d, minor: 3, pci: '0000:04:00.0'}
",
    );
    let output = run(&node, &["--mig-strategy", "mixed", "--no-timestamp"]);
    insta::assert_snapshot!("several_products", String::from_utf8(output.stdout).unwrap());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("the labels are of Tesla T4, GPU 1"), "{said}");
}

#[test]
fn gpus_of_an_nvlink_fabric_name_their_clique() {
    const CLUSTER: &str =
        "[1, 35, 69, 103, 137, 171, 205, 239, 16, 50, 84, 118, 152, 186, 220, 254]";
    let node = |fabrics: [(&str, u32); 2]| {
        let [first, second] = fabrics.map(|(clique, state)| {
            format!("{{cluster: {CLUSTER}, clique: {clique}, state: {state}}}")
        });
        describe(&format!(
            "gpus:
- {{board: GB200-186GB, uuid: GPU-a, minor: 0, pci: '0000:01:00.0', fabric: {first}}}
- {{board: GB200-186GB, uuid: GPU-b, minor: 1, pci: '0000:02:00.0', fabric: {second}}}
"
        ))
    };
    let clique = |node: &Node| labels(node, &[]).remove("gpu.clique");
    let joined = node([("7", 3), ("7", 3)]);
    assert_eq!(clique(&joined).as_deref(), Some("01234567-89ab-cdef-1032-547698badcfe.7"));
    // One that is still joining says nothing yet; two cliques are none.
    let joining = node([("7", 3), ("8", 2)]);
    assert_eq!(clique(&joining).as_deref(), Some("01234567-89ab-cdef-1032-547698badcfe.7"));
    let several = node([("7", 3), ("8", 3)]);
    assert_eq!(clique(&several), None);
    let said = String::from_utf8(run(&several, &[]).stderr).unwrap();
    assert!(said.contains("2 NVLink cliques"), "{said}");
}

#[test]
fn gpus_that_are_used_by_turns_alone_are_shared() {
    let node = create(&["--no-nodes", "--gpu", "T4:2"]);
    let shared = [
        ("gpu.product", "Tesla-T4-SHARED"),
        ("gpu.replicas", "4"),
        ("gpu.count", "2"),
        ("gpu.sharing-strategy", "time-slicing"),
        ("mps.capable", "false"),
    ];
    configure(&node, FOUR_BY_TURNS);
    assert_has(&labels(&node, &[]), &shared);
    // A GPU that may be used whole is offered whole, and one replica is none.
    let whole = [("gpu.product", "Tesla-T4"), ("gpu.replicas", "1")];
    for other in [
        "gpus: [{match: \"*\", replicas: 4}]",
        "gpus: [{match: \"*\", modes: [time-slicing], replicas: 1}]",
    ] {
        configure(&node, other);
        assert_has(&labels(&node, &[]), &whole);
    }
}

#[test]
fn the_device_plugins_configuration_is_heard() {
    let node = cut("A100-40GB", &[("0", &["3g.20gb@4", "1g.5gb", "1g.5gb"])]);
    let resource = |name: &str| format!("    - {{name: nvidia.com/{name}, replicas: 3}}\n");
    let plugin = |flags: &str, resources: &str| {
        let sharing = format!("sharing:\n  timeSlicing:\n    {flags}\n    resources:\n{resources}");
        configure(&node, &format!("version: v1\nflags: {{migStrategy: mixed}}\n{sharing}"));
    };
    // Its strategy holds where the command line says none, and each resource is shared by its own name.
    plugin("failRequestsGreaterThanOne: false", &resource("mig-1g.5gb"));
    let shared = [
        ("mig.strategy", "mixed"),
        ("mig-1g.5gb.replicas", "3"),
        ("mig-1g.5gb.sharing-strategy", "time-slicing"),
        ("mig-1g.5gb.product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED"),
        ("mig-3g.20gb.replicas", "1"),
        ("mig-3g.20gb.sharing-strategy", "none"),
        ("mig-3g.20gb.product", "NVIDIA-A100-SXM4-40GB-MIG-3g.20gb"),
        ("gpu.replicas", "0"),
    ];
    assert_has(&labels(&node, &[]), &shared);
    let none = labels(&node, &["--mig-strategy", "none"]);
    assert!(!none.contains_key("mig.strategy"), "{none:?}");
    // A resource under another name is known by it, and its product stays as it is.
    plugin("renameByDefault: true", &resource("mig-1g.5gb"));
    let renamed =
        [("mig-1g.5gb.replicas", "3"), ("mig-1g.5gb.product", "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb")];
    assert_has(&labels(&node, &[]), &renamed);
    plugin("", "    - {name: nvidia.com/mig-1g.5gb, replicas: 3, devices: [\"0:0\"]}\n");
    let said = String::from_utf8(run(&node, &[]).stderr).unwrap();
    assert!(said.contains("only some devices of nvidia.com/mig-1g.5gb are shared"), "{said}");
}

#[test]
fn a_gpu_that_is_lost_is_left_out_and_told() {
    let node = create(&["--no-nodes", "--gpu", "T4:2"]);
    node.change("lose", &["0"]);
    let output = run(&node, &["--no-timestamp"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("GPU 0 is in no label"));
    assert_has(&labels(&node, &[]), &[("gpu.count", "1")]);
    node.change("lose", &["1"]);
    assert_eq!(text(&node, &[]), "");
}

#[test]
fn every_board_has_the_values_that_its_driver_gives() {
    for key in ["A30-24GB", "B200-180GB", "RTX-PRO-6000-96GB"] {
        let node = create(&["--no-nodes", "--gpu", key, "--mig", "on"]);
        let gpu = divvy::inventory::read(&node.session(), divvy::inventory::Scope::Full).unwrap();
        let mig = gpu.gpus[0].mig.clone().unwrap();
        for profile in &mig.profiles {
            node.change("mig", &["0", "create", &profile.name.to_string()]);
            let found = labels(&node, &["--mig-strategy", "mixed"]);
            let resource = format!("mig-{}", profile.name.to_string().replace('+', "."));
            let value = |name: &str| found[&format!("{resource}.{name}")].clone();
            assert_eq!(value("count"), "1", "{key} {resource}");
            assert_eq!(value("memory"), profile.memory_mib.to_string(), "{key} {resource}");
            assert_eq!(value("multiprocessors"), profile.multiprocessors.to_string());
            let engines = profile.engines;
            let numbers = [
                ("copy", engines.copy),
                ("decoder", engines.decoder),
                ("encoder", engines.encoder),
                ("jpeg", engines.jpeg),
                ("ofa", engines.ofa),
            ];
            for (name, number) in numbers {
                assert_eq!(value(&format!("engines.{name}")), number.to_string(), "{key} {name}");
            }
            let made = divvy::inventory::read(&node.session(), divvy::inventory::Scope::Full);
            let id = made.unwrap().gpus[0].mig.clone().unwrap().instances[0].id;
            node.change("mig", &["0", "destroy", &id.to_string()]);
        }
    }
}

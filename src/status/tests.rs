use super::*;
use crate::claim::tests::{claim, device};
use crate::claim::{MigTarget, Part};
use crate::config::{Enforced, Level};
use crate::inventory::{ComputeInstance, Mig, Process, Profile, ProfileName};
use crate::request::{Memory, Percent};

const PLAIN: Style = Style { width: 90, colour: false };

fn profile(id: u32, name: &str) -> Profile {
    Profile {
        id,
        name: ProfileName::parse(name).unwrap(),
        memory_mib: 0,
        multiprocessors: 0,
        engines: Default::default(),
        max_instances: 1,
        placements: Vec::new(),
        compute_profiles: Vec::new(),
    }
}

fn gpu(index: u32, mig: Option<Mig>) -> Gpu {
    Gpu {
        index,
        minor: index,
        uuid: format!("GPU-{index}"),
        pci: Default::default(),
        pci_ids: Default::default(),
        name: "NVIDIA H100 80GB HBM3".into(),
        memory_mib: 81_559,
        compute_capability: (9, 0),
        compute_mode: Default::default(),
        mig,
        processes: Vec::new(),
    }
}

fn instance(id: u32, profile_id: u32, start: u32, size: u32) -> GpuInstance {
    let compute =
        ComputeInstance { id: 0, profile_id: 0, uuid: format!("MIG-{id}"), mig_index: id };
    GpuInstance {
        id,
        profile_id,
        placement: Placement { start, size },
        compute_instances: vec![compute],
    }
}

fn held(id: &str, purpose: Purpose, gpu: &str, mig: Option<(&str, u32, u32)>) -> (Claim, Device) {
    let mig = mig.map(|(profile, start, size)| MigTarget {
        profile: ProfileName::parse(profile).unwrap(),
        placement: Placement { start, size },
        existing: None,
    });
    let targets = vec![Target { gpu: gpu.into(), mig }];
    let device = Device { purpose, targets, steps: Vec::new(), ..device(id) };
    (claim(id, Phase::Granted, Owner::Caller), device)
}

/// A node with one of everything.
fn node() -> Status {
    let profiles = vec![profile(19, "1g.10gb"), profile(9, "3g.40gb")];
    let instances = vec![instance(1, 9, 4, 4), instance(9, 19, 0, 1), instance(10, 19, 2, 1)];
    let mig = Mig { enabled: true, pending: true, slices: 8, profiles, instances };
    let mut busy = gpu(3, None);
    busy.processes.push(Process {
        pid: 4711,
        used_bytes: None,
        gpu_instance: None,
        compute_instance: None,
    });
    let inventory = Inventory {
        driver_version: "550.163.01".into(),
        gpus: vec![gpu(0, Some(mig)), gpu(1, None), gpu(2, None), busy, gpu(4, None)],
        unusable: vec![Unusable { index: 5, says: "it has fallen off the bus".into() }],
        ..Inventory::default()
    };
    let (prod, big) = held("prod", Purpose::Exclusive, "GPU-0", Some(("3g.40gb", 4, 4)));
    let (mut train, mps) = held("train", Purpose::Mps, "GPU-1", None);
    let limits = MpsLimits { threads: Percent::new(25), memory: Memory::from_mib(10 << 10) };
    let enforced = Enforced { memory: Level::Daemon, compute: Level::Daemon };
    train.parts = vec![Part { request: 0, device: mps.id.clone(), limits, enforced }];
    let (dev, small) =
        held("dev", Purpose::TimeSlicing { interval: None }, "GPU-0", Some(("1g.10gb", 0, 1)));
    let (lab, slices) = held(
        "lab",
        Purpose::TimeSlicing { interval: Some(crate::request::Interval::Short) },
        "GPU-2",
        None,
    );
    Status::of(&inventory, &[dev, lab, prod, train], &[big, mps, small, slices])
}

#[test]
fn a_node_with_one_of_everything_is_drawn() {
    insta::assert_snapshot!(draw(&node(), PLAIN));
}

#[test]
fn the_picture_fits_a_narrow_terminal() {
    let text = draw(&node(), Style { width: 40, ..PLAIN });
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(40), "{widest:?}\n{text}");
}

#[test]
fn colours_change_no_letter() {
    let coloured = draw(&node(), Style { colour: true, ..PLAIN });
    assert!(coloured.contains("\u{1b}[32m"));
    let mut plain = String::new();
    for (n, part) in coloured.split('\u{1b}').enumerate() {
        plain.push_str(if n == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(plain, draw(&node(), PLAIN));
}

#[test]
fn programs_get_who_holds_what() {
    let json = serde_json::to_value(node()).unwrap();
    assert_eq!(json["gpus"][0]["instances"][2]["sharing"]["holders"][0]["claim"], "prod");
    assert_eq!(json["gpus"][0]["instances"][1].get("sharing"), None);
    assert_eq!(json["gpus"][1]["sharing"]["mode"], "mps");
    assert_eq!(json["gpus"][1]["sharing"]["holders"][0]["threads"], 25);
    assert_eq!(json["gpus"][3]["unclaimed_processes"][0], 4711);
    assert_eq!(json["unusable"][0]["index"], 5);
}

#[test]
fn a_node_without_gpus_says_so() {
    let none = Status::of(&Inventory::default(), &[], &[]);
    assert_eq!(draw(&none, PLAIN), "The driver sees no GPU.\n");
}

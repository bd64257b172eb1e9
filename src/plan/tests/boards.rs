//! GPUs to plan on: the boards that simulated nodes are made of.

use crate::inventory::{
    ComputeMode, ComputeProfile, Engines, Gpu, Inventory, Mig, PciAddress, Placement, Profile,
    ProfileName,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Board {
    product: String,
    compute_capability: (u32, u32),
    memory_mib: u64,
    slices: u32,
    profiles: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    name: ProfileName,
    id: u32,
    max: u32,
    memory_mib: u64,
    multiprocessors: u32,
    engines: [u32; 5],
    placements: Places,
}

#[derive(Deserialize)]
struct Places {
    starts: Vec<u32>,
    size: u32,
}

const A100: &str = include_str!("../../../tests/fake-nvml/boards/A100-40GB.yaml");
const H100: &str = include_str!("../../../tests/fake-nvml/boards/H100-80GB.yaml");
const A30: &str = include_str!("../../../tests/fake-nvml/boards/A30-24GB.yaml");
const RTX_PRO_6000: &str = include_str!("../../../tests/fake-nvml/boards/RTX-PRO-6000-96GB.yaml");
const L4: &str = include_str!("../../../tests/fake-nvml/boards/L4.yaml");

fn gpu(index: u32, board: &str) -> Gpu {
    let board: Board = serde_saphyr::from_str(board).unwrap();
    let profiles: Vec<Profile> = board.profiles.into_iter().map(profile).collect();
    let mig =
        Mig { enabled: true, pending: true, slices: board.slices, profiles, instances: vec![] };
    Gpu {
        index,
        minor: index,
        uuid: format!("GPU-00000000-0000-0000-0000-{index:012}"),
        pci: PciAddress { domain: 0, bus: 0x1a, device: 0 },
        pci_ids: Default::default(),
        name: board.product,
        memory_mib: board.memory_mib,
        compute_capability: board.compute_capability,
        compute_mode: ComputeMode::Default,
        mig: Some(mig).filter(|mig| mig.slices > 0),
        processes: Vec::new(),
    }
}

fn profile(row: Row) -> Profile {
    let [copy, decoder, encoder, jpeg, ofa] = row.engines;
    // Ids of compute profiles by slices; a 7g has a second one with all of them.
    let compute = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 7), (8, 7)];
    let compute = compute.into_iter().filter(|(_, slices)| *slices <= row.name.slices);
    let size = row.placements.size;
    Profile {
        id: row.id,
        memory_mib: row.memory_mib,
        multiprocessors: row.multiprocessors,
        engines: Engines { copy, decoder, encoder, jpeg, ofa },
        max_instances: row.max,
        placements: row.placements.starts.iter().map(|&start| Placement { start, size }).collect(),
        compute_profiles: compute
            .map(|(id, slices)| ComputeProfile {
                id,
                slices,
                multiprocessors: row.multiprocessors * slices / row.name.slices,
                max_instances: row.name.slices / slices,
            })
            .collect(),
        name: row.name,
    }
}

fn node(count: u32, board: &str) -> Inventory {
    Inventory {
        driver_version: "550.163.01".to_owned(),
        cuda_version: (12, 4),
        gpus: (0..count).map(|n| gpu(n, board)).collect(),
        unusable: Vec::new(),
    }
}

/// So many H100s with MIG mode on.
pub(crate) fn h100s(count: u32) -> Inventory {
    node(count, H100)
}

/// So many H100s with MIG mode off.
pub(crate) fn h100s_without_mig(count: u32) -> Inventory {
    without_mig(node(count, H100))
}

/// So many A100s with MIG mode on.
pub(crate) fn a100s(count: u32) -> Inventory {
    node(count, A100)
}

/// An H100 with MIG mode on, one with it off, an A100 with it off, an A30 with it on, an L4.
pub(crate) fn mixed() -> Inventory {
    let mut node = node(0, H100);
    let boards = [H100, H100, A100, A30, L4];
    node.gpus = (0..).zip(boards).map(|(n, board)| gpu(n, board)).collect();
    for n in [1, 2] {
        set_mig(&mut node.gpus[n], false);
    }
    node
}

/// The same node with MIG mode off.
pub(crate) fn without_mig(mut node: Inventory) -> Inventory {
    node.gpus.iter_mut().for_each(|gpu| set_mig(gpu, false));
    node
}

fn set_mig(gpu: &mut Gpu, on: bool) {
    if let Some(mig) = &mut gpu.mig {
        (mig.enabled, mig.pending) = (on, on);
    }
}

/// MIG of each kind of geometry: eight slices, four, and twelve.
pub(crate) fn geometries() -> [Mig; 3] {
    [A100, A30, RTX_PRO_6000].map(|board| gpu(0, board).mig.unwrap())
}

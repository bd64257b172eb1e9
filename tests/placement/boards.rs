//! The geometries of the boards that simulated nodes are made of.

use divvy::inventory::{Engines, Mig, Placement, Profile, ProfileName};
use serde::Deserialize;

#[derive(Deserialize)]
struct Board {
    slices: u32,
    profiles: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: ProfileName,
    id: u32,
    max: u32,
    placements: Places,
}

#[derive(Deserialize)]
struct Places {
    starts: Vec<u32>,
    size: u32,
}

/// MIG of a board, by its file's text.
pub(crate) fn mig(board: &str) -> Mig {
    let board: Board = serde_saphyr::from_str(board).expect("a board's file");
    let profiles = board.profiles.into_iter().map(|row| Profile {
        id: row.id,
        name: row.name,
        memory_mib: 0,
        multiprocessors: 0,
        engines: Engines::default(),
        max_instances: row.max,
        placements: (row.placements.starts.iter())
            .map(|&start| Placement { start, size: row.placements.size })
            .collect(),
        compute_profiles: Vec::new(),
    });
    let profiles = profiles.collect();
    Mig { enabled: true, pending: true, slices: board.slices, profiles, instances: Vec::new() }
}

/// A board's file, by its key.
pub(crate) fn file(key: &str) -> String {
    let path = format!("{}/tests/fake-nvml/boards/{key}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("a board's file")
}

//! Placement against the best that any policy can do, on every board.

pub(crate) mod boards;
pub(crate) mod chain;

use chain::{Board, Chain};
use divvy::claim::Step;
use divvy::config::Config;
use divvy::inventory::{
    ComputeInstance, ComputeProfile, Gpu, GpuInstance, Inventory, Mig, PciAddress,
};
use divvy::plan::{Node, plan};

/// The keys of all boards that can do MIG.
fn keys() -> Vec<String> {
    let folder = format!("{}/tests/fake-nvml/boards", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("the boards").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut keys: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".yaml")?.to_owned())).collect();
    keys.retain(|key| !boards::mig(&boards::file(key)).profiles.is_empty());
    keys.sort();
    keys
}

/// The distinct geometries of all boards, each with the first board that has it.
fn geometries() -> Vec<(String, Mig)> {
    let mut found: Vec<(String, Mig)> = Vec::new();
    for key in keys() {
        let mig = boards::mig(&boards::file(&key));
        let places = |mig: &Mig| Board::of(mig).places;
        if !found.iter().any(|(_, known)| places(known) == places(&mig)) {
            found.push((key, mig));
        }
    }
    found
}

/// A node with one GPU in a layout.
fn node(mig: &Mig, board: &Board, standing: &[usize]) -> Inventory {
    let mut mig = mig.clone();
    for profile in &mut mig.profiles {
        let slices = profile.name.slices;
        let whole = ComputeProfile { id: 0, slices, multiprocessors: 1, max_instances: 1 };
        profile.compute_profiles = vec![whole];
    }
    mig.instances = (0..)
        .zip(standing)
        .map(|(id, place)| {
            let (profile, placement, _) = board.places[*place];
            let uuid = format!("MIG-{id}");
            GpuInstance {
                id,
                profile_id: board.profiles[profile].id,
                placement,
                compute_instances: vec![ComputeInstance {
                    id: 0,
                    profile_id: 0,
                    uuid,
                    mig_index: id,
                }],
            }
        })
        .collect();
    let gpu = Gpu {
        index: 0,
        minor: 0,
        uuid: "GPU-0".into(),
        pci: PciAddress { domain: 0, bus: 0, device: 0 },
        pci_ids: Default::default(),
        name: "NVIDIA".into(),
        memory_mib: 0,
        compute_capability: (9, 0),
        compute_mode: divvy::inventory::ComputeMode::Default,
        mig: Some(mig),
        processes: Vec::new(),
    };
    let driver_version = "550.163.01".into();
    Inventory { driver_version, cuda_version: (12, 4), gpus: vec![gpu], unusable: Vec::new() }
}

/// Where a plan puts a profile on a GPU in that layout.
fn planned(mig: &Mig, board: &Board, standing: &[usize], profile: usize) -> Option<usize> {
    let inventory = node(mig, board, standing);
    let config = Config::default();
    let node = Node { inventory: &inventory, claims: &[], devices: &[], config: &config };
    let request = format!("mig:{}", board.profiles[profile].name).parse().expect("a request");
    let plan = plan(&request, 0, node).ok()?;
    let placement = plan.new.iter().flat_map(|new| &new.steps).find_map(|step| match step {
        Step::CreateGpuInstance { placement, .. } => Some(*placement),
        _ => None,
    })?;
    board.places.iter().position(|place| place.0 == profile && place.1 == placement)
}

/// Plans themselves are asked in every layout, and what they choose is judged exactly: no simulation.
#[test]
fn plans_place_almost_as_much_as_any_policy_can() {
    let geometries = geometries();
    assert_eq!(geometries.len(), 3, "eight slices, four and twelve");
    for (key, mig) in geometries {
        let board = Board::of(&mig);
        let chain = Chain::of(&board);
        let choices = chain.choices(|layout, profile| {
            let standing: Vec<usize> =
                chain.layouts[layout].departures.iter().map(|(place, _)| *place).collect();
            planned(&mig, &board, &standing, profile)
        });
        let mut ratios = Vec::new();
        for by_size in [true, false] {
            for holding in [1.0, 2.0, 4.0, 6.0] {
                let weights = board.weights(by_size);
                let best = chain.placed(&weights, holding, None);
                ratios.push(chain.placed(&weights, holding, Some(&choices)) / best);
            }
        }
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let least = ratios.iter().copied().fold(f64::MAX, f64::min);
        assert!(mean >= 0.993 && least >= 0.985, "{key}: mean {mean}, least {least}: {ratios:?}");
    }
}

/// The solver against figures that were found by another program: the optimum on an A100, arrivals by size.
#[test]
fn the_solver_finds_known_optima() {
    let board = Board::of(&boards::mig(&boards::file("A100-40GB")));
    let chain = Chain::of(&board);
    assert_eq!(chain.layouts.len(), 723);
    let weights = board.weights(true);
    for (holding, optimum, first_fit) in [(2.0, 0.806, 0.978), (4.0, 0.666, 0.981)] {
        let best = chain.placed(&weights, holding, None);
        assert!((best - optimum).abs() < 6e-4, "{best}");
        let choices = chain.choices(|layout, profile| {
            let free = board.free(profile, chain.layouts[layout].occupied);
            free.map(|(place, _)| place).min_by_key(|place| board.places[*place].1.start)
        });
        let ratio = chain.placed(&weights, holding, Some(&choices)) / best;
        assert!((ratio - first_fit).abs() < 6e-4, "{ratio}");
    }
}

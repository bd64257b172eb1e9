//! What GPUs can be cut into, and how much of it is left.

use crate::inventory::{Engines, Inventory, Placement, ProfileName};
use crate::plan::capacity::{self, Taken};
use serde::Serialize;

/// The profiles of one GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct GpuProfiles {
    /// NVML's index.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// Whether MIG mode is on; absent where the GPU can't do MIG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig_enabled: Option<bool>,
    /// Memory slices that placements are counted in.
    pub memory_slices: u32,
    /// What it can be cut into.
    pub profiles: Vec<ProfileRow>,
}

/// One profile on one GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct ProfileRow {
    /// As requests and layouts name it.
    pub name: ProfileName,
    /// The driver's id.
    pub id: u32,
    /// Compute slices.
    pub compute_slices: u32,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Media and copy engines.
    pub engines: Engines,
    /// How many an empty GPU holds.
    pub most: u32,
    /// How many could still be made beside what stands; none while MIG mode is off.
    pub free: u32,
    /// Where it can stand on an empty GPU.
    pub placements: Vec<Placement>,
    /// Compute slices of the parts that it can be cut into.
    pub parts: Vec<u32>,
}

/// The profiles of all GPUs.
pub fn profiles(inventory: &Inventory) -> Vec<GpuProfiles> {
    let of_gpu = |gpu: &crate::inventory::Gpu| {
        let mig = gpu.mig.as_ref();
        let rows = mig.into_iter().flat_map(|mig| {
            let instances = mig.instances.iter();
            let taken: Vec<Taken> =
                instances.map(|instance| (instance.placement, instance.profile_id)).collect();
            mig.profiles.iter().map(move |profile| ProfileRow {
                name: profile.name.clone(),
                id: profile.id,
                compute_slices: profile.name.slices,
                memory_mib: profile.memory_mib,
                multiprocessors: profile.multiprocessors,
                engines: profile.engines,
                most: profile.max_instances,
                free: if mig.enabled { capacity::room(mig, &taken, profile) } else { 0 },
                placements: profile.placements.clone(),
                parts: profile.compute_profiles.iter().map(|part| part.slices).collect(),
            })
        });
        GpuProfiles {
            index: gpu.index,
            uuid: gpu.uuid.clone(),
            name: gpu.name.clone(),
            mig_enabled: mig.map(|mig| mig.enabled),
            memory_slices: mig.map_or(0, |mig| mig.slices),
            profiles: rows.collect(),
        }
    };
    inventory.gpus.iter().map(of_gpu).collect()
}

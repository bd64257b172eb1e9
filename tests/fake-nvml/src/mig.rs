//! The MIG model: which instances can stand on a GPU together, and the ids they get. Pure.
//!
//! It refuses at least what hardware refuses: a taken slice, a profile's limit, an engine that
//! is not left, an instance that still holds something.

use crate::board::{Board, ComputeProfile, Profile};
use crate::code::Code;
use serde::{Deserialize, Serialize};

/// A GPU instance that exists.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct GpuInstance {
    /// Its id: a function of its place, so a place taken again has the same id again.
    pub id: u32,
    /// The id of its profile.
    pub profile: u32,
    /// First memory slice.
    pub start: u32,
    /// Memory slices.
    pub size: u32,
    /// Counts creations, so that a handle of an instance that is gone is told apart.
    pub serial: u32,
    /// The compute instances in it.
    pub compute: Vec<ComputeInstance>,
}

/// A compute instance that exists: with its GPU instance, a MIG device.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct ComputeInstance {
    /// Its id inside the GPU instance: the lowest that was free.
    pub id: u32,
    /// The id of its profile.
    pub profile: u32,
    /// First compute slice inside the GPU instance.
    pub start: u32,
    /// Compute slices.
    pub size: u32,
    /// Counts creations.
    pub serial: u32,
    /// The index of the MIG device: the lowest that was free on the GPU, so indices have gaps.
    pub index: u32,
    /// `nvmlComputeMode_t` of the MIG device.
    #[serde(default)]
    pub compute_mode: u32,
}

/// Where a new instance goes, and under which id. What is `None` the model chooses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// First slice.
    pub start: Option<u32>,
    /// Slices from there; any other number than the profile's is refused.
    pub size: Option<u32>,
    /// The instance's id, for nodes that must reproduce a recorded one.
    pub id: Option<u32>,
}

/// Makes a GPU instance of the profile and returns its id.
pub fn create_gpu_instance(
    board: &Board,
    instances: &mut Vec<GpuInstance>,
    profile: u32,
    wish: Wish,
    serial: u32,
) -> Result<u32, Code> {
    let profile = board.profile(profile).ok_or(Code::INVALID_ARGUMENT)?;
    let places = &profile.placements;
    let possible = wish.start.is_none_or(|start| places.starts.contains(&start))
        && wish.size.is_none_or(|size| size == places.size);
    if !possible {
        return Err(Code::INVALID_ARGUMENT);
    }
    if !room_beside(board, instances, profile) {
        return Err(Code::INSUFFICIENT_RESOURCES);
    }
    let wished = |start: &u32| wish.start.is_none_or(|wanted| wanted == *start);
    let start = free_starts(instances, profile).find(wished);
    let start = start.ok_or(Code::INSUFFICIENT_RESOURCES)?;
    let id = match wish.id {
        Some(id) => id,
        None => gpu_instance_id(board, instances, start, places.size),
    };
    if instances.iter().any(|instance| instance.id == id) {
        return Err(Code::INSUFFICIENT_RESOURCES);
    }
    let size = places.size;
    instances.push(GpuInstance { id, profile: profile.id, start, size, serial, compute: vec![] });
    instances.sort_by_key(|instance| instance.id);
    Ok(id)
}

/// How many more GPU instances of the profile fit beside those that exist.
pub fn remaining(board: &Board, instances: &[GpuInstance], profile: &Profile) -> u32 {
    let free = free_starts(instances, profile).count();
    let of_it = instances.iter().filter(|instance| instance.profile == profile.id).count();
    let spare = spare_engines(board, instances);
    let by_engines = spare.iter().zip(profile.engines).filter(|(_, each)| *each > 0);
    let by_engines = by_engines.map(|(spare, each)| spare / each).min();
    let of_it = u32::try_from(of_it).unwrap_or(u32::MAX);
    let free = u32::try_from(free).unwrap_or(u32::MAX);
    free.min(profile.max.saturating_sub(of_it)).min(by_engines.unwrap_or(u32::MAX))
}

fn room_beside(board: &Board, instances: &[GpuInstance], profile: &Profile) -> bool {
    remaining(board, instances, profile) > 0
}

fn free_starts<'a>(
    instances: &'a [GpuInstance],
    profile: &'a Profile,
) -> impl Iterator<Item = u32> + 'a {
    let size = profile.placements.size;
    let free = move |start: &u32| {
        instances
            .iter()
            .all(|other| *start + size <= other.start || other.start + other.size <= *start)
    };
    profile.placements.starts.iter().copied().filter(free)
}

/// Engines that no instance has. `+me` is scarce for this reason alone.
fn spare_engines(board: &Board, instances: &[GpuInstance]) -> [u32; 5] {
    let mut spare = board.engines();
    for profile in instances.iter().filter_map(|instance| board.profile(instance.profile)) {
        for (left, taken) in spare.iter_mut().zip(profile.engines) {
            *left = left.saturating_sub(taken);
        }
    }
    spare
}

/// The ids are the nodes of a tree: 0 is the whole GPU, 1 and 2 its halves, 3 to 6 its quarters,
/// 7 to 14 its eighths, and in each row the second half of the GPU comes first. Seen on A100:
/// 3g at 0 is 2, 3g at 4 is 1, 2g at 4 is 3, 1g at 6 is 9.
fn gpu_instance_id(board: &Board, instances: &[GpuInstance], start: u32, size: u32) -> u32 {
    let row = board.slices / size.max(1);
    let first = row - 1;
    let natural = first + (start / size.max(1) + row / 2) % row.max(1);
    let taken = |id: &u32| instances.iter().any(|instance| instance.id == *id);
    // Only an id that the node's file gave to another place can be in the way.
    (natural..first + row).chain(first..).find(|id| !taken(id)).unwrap_or(natural)
}

/// Removes a GPU instance. One that holds compute instances is in use.
pub fn destroy_gpu_instance(instances: &mut Vec<GpuInstance>, id: u32) -> Result<(), Code> {
    let place = instances.iter().position(|instance| instance.id == id).ok_or(Code::NOT_FOUND)?;
    if instances.get(place).is_some_and(|instance| !instance.compute.is_empty()) {
        return Err(Code::IN_USE);
    }
    instances.remove(place);
    Ok(())
}

/// Makes a compute instance in the GPU instance and returns its id.
pub fn create_compute_instance(
    board: &Board,
    instances: &mut [GpuInstance],
    (gpu_instance, profile): (u32, u32),
    wish: Wish,
    serial: u32,
) -> Result<u32, Code> {
    let index = free_mig_index(instances);
    let instance = instances.iter_mut().find(|instance| instance.id == gpu_instance);
    let instance = instance.ok_or(Code::NOT_FOUND)?;
    let profile = compute_profile(board, instance, profile).ok_or(Code::INVALID_ARGUMENT)?;
    let places = compute_starts(board, instance, &profile);
    let possible = wish.start.is_none_or(|start| places.contains(&start))
        && wish.size.is_none_or(|size| size == profile.slices);
    if !possible {
        return Err(Code::INVALID_ARGUMENT);
    }
    let size = profile.slices;
    let mut free = places.into_iter().filter(|start| compute_free(instance, *start, size));
    let start = free.find(|start| wish.start.is_none_or(|wanted| wanted == *start));
    let start = start.ok_or(Code::INSUFFICIENT_RESOURCES)?;
    let taken = |id: &u32| instance.compute.iter().any(|compute| compute.id == *id);
    let id = wish.id.or_else(|| (0..).find(|id| !taken(id))).unwrap_or(0);
    if taken(&id) {
        return Err(Code::INSUFFICIENT_RESOURCES);
    }
    let profile = profile.id;
    let compute = ComputeInstance { id, profile, start, size, serial, index, compute_mode: 0 };
    instance.compute.push(compute);
    instance.compute.sort_by_key(|compute| compute.id);
    Ok(id)
}

/// How many more compute instances of the profile fit in the GPU instance.
pub fn compute_remaining(board: &Board, instance: &GpuInstance, profile: &ComputeProfile) -> u32 {
    let starts = compute_starts(board, instance, profile);
    let free = starts.into_iter().filter(|start| compute_free(instance, *start, profile.slices));
    u32::try_from(free.count()).unwrap_or(u32::MAX)
}

/// Where a compute instance of the profile can stand in an empty GPU instance.
pub fn compute_starts(board: &Board, instance: &GpuInstance, profile: &ComputeProfile) -> Vec<u32> {
    let slices = board.profile(instance.profile).map_or(0, |profile| profile.slices);
    let step = usize::try_from(profile.slices.max(1)).unwrap_or(1);
    let last = (slices + 1).saturating_sub(profile.slices);
    (0..last).step_by(step).collect()
}

fn compute_free(instance: &GpuInstance, start: u32, size: u32) -> bool {
    let apart =
        |other: &ComputeInstance| start + size <= other.start || other.start + other.size <= start;
    instance.compute.iter().all(apart)
}

/// The compute profile with that id in the GPU instance's profile.
pub fn compute_profile(board: &Board, instance: &GpuInstance, id: u32) -> Option<ComputeProfile> {
    let profile = board.profile(instance.profile)?;
    profile.compute_profiles().into_iter().find(|compute| compute.id == id)
}

/// Removes a compute instance.
pub fn destroy_compute_instance(
    instances: &mut [GpuInstance],
    gpu_instance: u32,
    id: u32,
) -> Result<(), Code> {
    let instance = instances.iter_mut().find(|instance| instance.id == gpu_instance);
    let compute = &mut instance.ok_or(Code::NOT_FOUND)?.compute;
    let place = compute.iter().position(|compute| compute.id == id).ok_or(Code::NOT_FOUND)?;
    compute.remove(place);
    Ok(())
}

fn free_mig_index(instances: &[GpuInstance]) -> u32 {
    let taken = |index: &u32| {
        instances
            .iter()
            .flat_map(|instance| &instance.compute)
            .any(|compute| compute.index == *index)
    };
    (0..).find(|index| !taken(index)).unwrap_or(0)
}

/// The UUID of a MIG device: a function of the GPU and both ids, as the driver's is. An instance
/// made again under the same ids has the same UUID.
pub fn uuid(gpu: &str, gpu_instance: u32, compute_instance: u32) -> String {
    format!("MIG-{}", name_uuid(&format!("{gpu}/{gpu_instance}/{compute_instance}")))
}

/// The UUID of the nth GPU of a node, in the driver's form.
pub fn gpu_uuid(node: &str, index: usize) -> String {
    format!("GPU-{}", name_uuid(&format!("{node}/{index}")))
}

/// A UUID of version 5 in form; the digits are FNV-1a over the name in two lanes, well mixed.
fn name_uuid(name: &str) -> String {
    let [high, low] =
        [0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142].map(|lane| lane_of(lane, name));
    let high = high & !0xf000 | 0x5000;
    let low = low & !(0x3 << 62) | 0x2 << 62;
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xffff);
    format!(
        "{first:08x}-{second:04x}-{third:04x}-{:04x}-{:012x}",
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

fn lane_of(basis: u64, name: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(basis, step);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests;

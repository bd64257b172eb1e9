//! GPUs, and what those in MIG mode are cut into.

use super::family;
use super::{Metrics, Seen};
use crate::inventory::{Gpu, GpuInstance, Inventory, Mig, Profile};
use crate::plan::capacity::{self, Taken};
use crate::plan::placement;
use std::collections::BTreeMap;

pub(super) fn put(metrics: &mut Metrics, inventory: &Inventory, seen: &Seen) {
    let (major, minor) = inventory.cuda_version;
    let cuda = format!("{major}.{minor}");
    metrics.whole(&family::DRIVER, &[&inventory.driver_version, &cuda], 1);
    metrics.whole(&family::GPUS_UNUSABLE, &[], inventory.unusable.len() as u64);
    for gpu in &inventory.gpus {
        let (index, pci) = (gpu.index.to_string(), gpu.pci.to_string());
        metrics.whole(&family::GPU, &[&gpu.uuid, &index, &gpu.name, &pci], 1);
        if gpu.memory_mib != 0 {
            metrics.whole(&family::GPU_MEMORY, &[&gpu.uuid], gpu.memory_mib << 20);
        }
        let Some(mig) = &gpu.mig else { continue };
        metrics.whole(&family::MIG_ENABLED, &[&gpu.uuid], u64::from(mig.enabled));
        if mig.enabled {
            put_mig(metrics, gpu, mig, seen);
        }
    }
}

fn put_mig(metrics: &mut Metrics, gpu: &Gpu, mig: &Mig, seen: &Seen) {
    let taken = taken(gpu, mig, seen);
    let slices = taken.iter().filter_map(|(place, _)| placement::slices(*place));
    let used = slices.fold(0, |all, slices| all | slices).count_ones();
    let free = mig.slices.saturating_sub(used);
    for (state, slices) in [("used", used), ("free", free)] {
        metrics.whole(&family::MIG_SLICES, &[&gpu.uuid, state], u64::from(slices));
    }
    let mut instances: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for instance in &mig.instances {
        let claimed = if is_claimed(gpu, instance, seen) { "true" } else { "false" };
        *instances.entry((profile_of(mig, instance), claimed)).or_default() += 1;
    }
    for ((profile, claimed), count) in instances {
        metrics.whole(&family::MIG_INSTANCES, &[&gpu.uuid, &profile, claimed], count);
    }
    put_placeable(metrics, gpu, mig, &taken);
}

fn put_placeable(metrics: &mut Metrics, gpu: &Gpu, mig: &Mig, taken: &[Taken]) {
    let fit = |profile: &Profile| capacity::room(mig, taken, profile);
    let largest = mig.profiles.iter().filter(|profile| fit(profile) > 0);
    let size = |profile: &&Profile| (profile.memory_mib, profile.multiprocessors);
    let largest = largest.max_by_key(size);
    let name = largest.map(|profile| profile.name.to_string()).unwrap_or_default();
    let bytes = largest.map_or(0, |profile| profile.memory_mib << 20);
    metrics.whole(&family::MIG_LARGEST, &[&gpu.uuid, &name], bytes);
    for profile in &mig.profiles {
        let labels = [gpu.uuid.as_str(), &profile.name.to_string()];
        metrics.whole(&family::MIG_PLACEABLE, &labels, u64::from(fit(profile)));
    }
}

/// The instances that stand, and those that claims are about to make.
fn taken(gpu: &Gpu, mig: &Mig, seen: &Seen) -> Vec<Taken> {
    let standing = mig.instances.iter().map(|one| (one.placement, one.profile_id));
    let mut taken: Vec<Taken> = standing.collect();
    let targets = seen.devices.iter().flat_map(|device| &device.targets);
    for planned in targets.filter(|target| target.gpu == gpu.uuid).filter_map(|t| t.mig.as_ref()) {
        let profile = mig.profiles.iter().find(|profile| profile.name == planned.profile);
        let free = !taken.iter().any(|(place, _)| place.overlaps(planned.placement));
        taken.extend(profile.filter(|_| free).map(|profile| (planned.placement, profile.id)));
    }
    taken
}

fn profile_of(mig: &Mig, instance: &GpuInstance) -> String {
    let profile = mig.profiles.iter().find(|profile| profile.id == instance.profile_id);
    profile.map_or_else(
        || format!("profile {}", instance.profile_id),
        |profile| profile.name.to_string(),
    )
}

/// Whether a device record of a claim stands where the instance stands.
fn is_claimed(gpu: &Gpu, instance: &GpuInstance, seen: &Seen) -> bool {
    let targets = seen.devices.iter().flat_map(|device| &device.targets);
    targets.into_iter().any(|target| {
        let there = |mig: &crate::claim::MigTarget| mig.placement == instance.placement;
        target.gpu == gpu.uuid && target.mig.as_ref().is_some_and(there)
    })
}

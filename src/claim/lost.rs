//! Which devices of a claim are gone: a GPU that fell off the bus, a MIG device that somebody else destroyed.

use super::{Claim, Device, MigTarget, Target};
use crate::inventory::{Gpu, GpuInstance, Inventory, UNKNOWN_PROFILE};
use std::collections::BTreeSet;

/// The UUIDs of what a claim holds and the driver doesn't have any more, each once.
pub fn lost_devices<'a>(
    claim: &Claim,
    devices: &'a [Device],
    inventory: &Inventory,
) -> Vec<&'a str> {
    let held = devices.iter().filter(|device| claim.holds(&device.id));
    let lost: BTreeSet<&str> = held.flat_map(|device| device.lost(inventory)).collect();
    lost.into_iter().collect()
}

impl Device {
    /// The UUIDs of its targets that the driver doesn't have any more. What isn't made yet, or is being undone, is
    /// not lost.
    pub fn lost(&self, inventory: &Inventory) -> Vec<&str> {
        self.targets.iter().filter_map(|target| self.lost_target(target, inventory)).collect()
    }

    fn lost_target<'a>(&'a self, target: &'a Target, inventory: &Inventory) -> Option<&'a str> {
        let Some(gpu) = inventory.gpus.iter().find(|gpu| gpu.uuid == target.gpu) else {
            return Some(&target.gpu);
        };
        let mig = target.mig.as_ref().filter(|_| !self.retiring)?;
        let uuid = match (&mig.existing, self.mig_device()) {
            (Some(uuid), _) => uuid.as_str(),
            (None, Some((_, _, uuid))) => uuid,
            (None, None) => return None,
        };
        let ids = self.mig_device().map(|(instance, compute, _)| (instance, compute));
        let instances = gpu.mig.iter().flat_map(|mig| &mig.instances);
        let stands = instances.into_iter().any(|one| is_it(gpu, one, mig, ids, uuid));
        (!stands).then_some(uuid)
    }
}

/// Whether an instance is the one of a record. Its UUID alone doesn't tell: the driver derives it from ids, which it
/// uses again.
fn is_it(
    gpu: &Gpu,
    instance: &GpuInstance,
    target: &MigTarget,
    ids: Option<(u32, u32)>,
    uuid: &str,
) -> bool {
    // What the driver doesn't tell this user is no sign that it is another.
    let placed = instance.placement.size == 0 || instance.placement == target.placement;
    let mut profiles = gpu.mig.iter().flat_map(|mig| &mig.profiles);
    let profile = profiles.find(|profile| profile.id == instance.profile_id);
    let of_profile = instance.profile_id == UNKNOWN_PROFILE
        || profile.is_none_or(|profile| profile.name == target.profile);
    placed
        && of_profile
        && ids.is_none_or(|(id, _)| instance.id == id)
        && instance
            .compute_instances
            .iter()
            .any(|compute| compute.uuid == uuid && ids.is_none_or(|(_, id)| compute.id == id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::tests::device;
    use crate::claim::{Entry, Outcome, Step};
    use crate::inventory::{ComputeInstance, Mig, Placement, ProfileName};

    const PLACE: Placement = Placement { start: 4, size: 4 };

    /// A record of a 3g.40gb that divvy made, and a node that has it.
    fn made() -> (Device, Inventory) {
        let profile = ProfileName::parse("3g.40gb").unwrap();
        let done = |step, outcome| Entry { outcome: Some(outcome), ..Entry::planned(step) };
        let gpu = || "GPU-1".to_owned();
        let device = Device {
            targets: vec![Target {
                gpu: gpu(),
                mig: Some(MigTarget { profile: profile.clone(), placement: PLACE, existing: None }),
            }],
            steps: vec![
                done(
                    Step::CreateGpuInstance {
                        gpu: gpu(),
                        profile_id: 9,
                        profile,
                        placement: PLACE,
                    },
                    Outcome::GpuInstance(2),
                ),
                done(
                    Step::CreateComputeInstance { gpu: gpu(), profile_id: 0 },
                    Outcome::ComputeInstance { id: 0, uuid: "MIG-1".into() },
                ),
            ],
            ..device("a")
        };
        let compute = ComputeInstance { id: 0, profile_id: 0, uuid: "MIG-1".into(), mig_index: 0 };
        let instance = GpuInstance {
            id: 2,
            profile_id: 9,
            placement: PLACE,
            compute_instances: vec![compute],
        };
        let mig = Mig { enabled: true, pending: true, instances: vec![instance], ..Mig::default() };
        (device, Inventory { gpus: vec![gpu_with(mig)], ..Inventory::default() })
    }

    fn gpu_with(mig: Mig) -> Gpu {
        Gpu {
            index: 0,
            minor: 0,
            uuid: "GPU-1".into(),
            pci: Default::default(),
            pci_ids: Default::default(),
            name: String::new(),
            memory_mib: 0,
            compute_capability: (9, 0),
            compute_mode: Default::default(),
            mig: Some(mig),
            processes: Vec::new(),
        }
    }

    fn changed(change: impl FnOnce(&mut Device, &mut GpuInstance)) -> Vec<String> {
        let (mut device, mut inventory) = made();
        let mig = inventory.gpus[0].mig.as_mut().unwrap();
        change(&mut device, &mut mig.instances[0]);
        device.lost(&inventory).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn a_device_is_lost_where_another_stands_in_its_place() {
        let lost = ["MIG-1"];
        assert_eq!(changed(|_, _| ()), [""; 0]);
        assert_eq!(changed(|_, one| one.id = 3), lost);
        assert_eq!(changed(|_, one| one.placement.start = 0), lost);
        assert_eq!(changed(|_, one| one.compute_instances.clear()), lost);
        assert_eq!(changed(|_, one| one.compute_instances[0].id = 1), lost);
        assert_eq!(changed(|_, one| one.compute_instances[0].uuid = "MIG-2".into()), lost);
        assert_eq!(changed(|device, _| device.targets[0].gpu = "GPU-2".into()), ["GPU-2"]);
        let existing = |device: &mut Device, uuid: &str| {
            device.steps.clear();
            device.targets[0].mig.as_mut().unwrap().existing = Some(uuid.into());
        };
        assert_eq!(changed(|device, _| existing(device, "MIG-1")), [""; 0]);
        assert_eq!(changed(|device, _| existing(device, "MIG-2")), ["MIG-2"]);
    }

    #[test]
    fn what_isn_t_known_or_isn_t_there_yet_is_not_lost() {
        let none = [""; 0];
        let unknown = |_: &mut Device, one: &mut GpuInstance| {
            (one.profile_id, one.placement.size) = (UNKNOWN_PROFILE, 0);
        };
        assert_eq!(changed(unknown), none);
        let half = |device: &mut Device, one: &mut GpuInstance| {
            device.steps[1].outcome = None;
            one.compute_instances.clear();
        };
        assert_eq!(changed(half), none);
        let undone = |device: &mut Device, one: &mut GpuInstance| {
            device.retiring = true;
            one.compute_instances.clear();
        };
        assert_eq!(changed(undone), none);
    }
}

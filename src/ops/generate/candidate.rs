//! Devices that a spec can offer.

use super::{Error, NameStrategy};
use crate::driver_files::node_exists;
use crate::edits::Target;
use crate::host::Host;
use crate::inventory::{Capabilities, ComputeInstance, Gpu, GpuInstance, Inventory, Mig};
use std::path::PathBuf;

/// A GPU with MIG mode off, or a MIG device.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// `0` or `0:1`.
    pub(super) index: String,
    pub(super) uuid: String,
    pub(super) target: Target,
    remedy: String,
}

/// Every device that there is, by GPU and MIG index.
pub(super) fn all(host: &Host, inventory: &Inventory) -> Result<Vec<Candidate>, Error> {
    let capabilities = Capabilities::new(host);
    let mut candidates = Vec::new();
    for gpu in &inventory.gpus {
        match gpu.mig.as_ref().filter(|mig| mig.enabled) {
            None => candidates.push(whole(gpu)),
            Some(mig) => candidates.extend(mig_devices(gpu, mig, &capabilities)?),
        }
    }
    Ok(candidates)
}

fn whole(gpu: &Gpu) -> Candidate {
    Candidate {
        index: gpu.index.to_string(),
        uuid: gpu.uuid.clone(),
        target: Target::Gpu { minor: gpu.minor, pci: gpu.pci },
        remedy: remedy(&format!("`nvidia-modprobe -c {}`", gpu.minor)),
    }
}

fn remedy(command: &str) -> String {
    format!("make what is missing with {command}, or name the place of the nodes with --dev-root")
}

fn mig_devices(gpu: &Gpu, mig: &Mig, capabilities: &Capabilities) -> Result<Vec<Candidate>, Error> {
    let mut devices: Vec<(&GpuInstance, &ComputeInstance)> = mig
        .instances
        .iter()
        .flat_map(|instance| {
            instance.compute_instances.iter().map(move |compute| (instance, compute))
        })
        .collect();
    devices.sort_by_key(|(_, compute)| compute.mig_index);
    let candidate = |(instance, compute): (&GpuInstance, &ComputeInstance)| {
        let index = format!("{}:{}", gpu.index, compute.mig_index);
        let failed =
            |source| Error::Capability { name: index.clone(), uuid: compute.uuid.clone(), source };
        let minors = capabilities.minors(gpu.minor, instance.id, compute.id).map_err(failed)?;
        // A profile that is not known is no reason to fail: it has no graphics then.
        let profile = mig.profiles.iter().find(|profile| profile.id == instance.profile_id);
        let graphics = profile.is_some_and(|profile| profile.name.attribute == "+gfx");
        Ok(Candidate {
            uuid: compute.uuid.clone(),
            target: Target::Mig {
                minor: gpu.minor,
                capabilities: minors,
                graphics: graphics.then_some(gpu.pci),
            },
            remedy: remedy(&modprobe(gpu.minor, instance.id, compute.id)),
            index,
        })
    };
    devices.into_iter().map(candidate).collect()
}

/// Makes the nodes that a MIG device's capability files tell of.
fn modprobe(gpu_minor: u32, instance: u32, compute: u32) -> String {
    let folder = format!("/proc/driver/nvidia/capabilities/gpu{gpu_minor}/mig/gi{instance}");
    format!("`nvidia-modprobe -f {folder}/access -f {folder}/ci{compute}/access`")
}

impl Candidate {
    pub(super) fn name(&self, strategy: NameStrategy) -> String {
        match (strategy, self.target) {
            (NameStrategy::Index, _) => self.index.clone(),
            (NameStrategy::Uuid, _) => self.uuid.clone(),
            (NameStrategy::TypeIndex, Target::Gpu { .. }) => format!("gpu{}", self.index),
            (NameStrategy::TypeIndex, Target::Mig { .. }) => format!("mig{}", self.index),
        }
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        NameStrategy::ALL.into_iter().any(|strategy| self.name(strategy) == name)
    }

    /// A device with some of its nodes is none: without its capability nodes, every MIG device of a GPU
    /// would be the same useless node.
    pub(super) fn check_nodes(&self, host: &Host) -> Result<(), Error> {
        let names = self.target.node_names();
        let missing = names.iter().filter(|name| !node_exists(host, name));
        let missing: Vec<PathBuf> = missing.map(|name| host.dev(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let kind = match self.target {
            Target::Gpu { .. } => "GPU",
            Target::Mig { .. } => "MIG device",
        };
        Err(Error::MissingNodes {
            name: format!("{kind} {}", self.index),
            uuid: self.uuid.clone(),
            missing,
            remedy: self.remedy.clone(),
        })
    }
}

//! Devices that a spec can offer.

use super::{Error, NameStrategy};
use crate::driver_files::{capability_file, capability_minor, node_exists};
use crate::edits::Target;
use crate::host::Host;
use crate::inventory::{CapabilityMinors, ComputeInstance, Gpu, GpuInstance, Inventory, Mig};
use std::collections::BTreeMap;
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
    check_minors(&inventory.gpus)?;
    let mut candidates = Vec::new();
    for gpu in &inventory.gpus {
        match gpu.mig.as_ref().filter(|mig| mig.enabled) {
            None => candidates.push(whole(gpu)),
            Some(mig) => candidates.extend(mig_devices(host, gpu, mig)?),
        }
    }
    Ok(candidates)
}

fn check_minors(gpus: &[Gpu]) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for gpu in gpus {
        if let Some(first) = seen.insert(gpu.minor, gpu.index) {
            return Err(Error::SameMinor { first, second: gpu.index, minor: gpu.minor });
        }
    }
    Ok(())
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

fn mig_devices(host: &Host, gpu: &Gpu, mig: &Mig) -> Result<Vec<Candidate>, Error> {
    let mut devices: Vec<(&GpuInstance, &ComputeInstance)> = mig
        .instances
        .iter()
        .flat_map(|instance| {
            instance.compute_instances.iter().map(move |compute| (instance, compute))
        })
        .collect();
    devices.sort_by_key(|(_, compute)| compute.mig_index);
    let devices = devices.into_iter();
    devices.map(|(instance, compute)| mig_device(host, gpu, mig, (instance, compute))).collect()
}

fn mig_device(
    host: &Host,
    gpu: &Gpu,
    mig: &Mig,
    (instance, compute): (&GpuInstance, &ComputeInstance),
) -> Result<Candidate, Error> {
    let index = format!("{}:{}", gpu.index, compute.mig_index);
    let files =
        [None, Some(compute.id)].map(|id| capability_file(host, gpu.minor, instance.id, id));
    let minor = |file: &PathBuf| {
        let failed =
            |source| Error::Capability { name: index.clone(), uuid: compute.uuid.clone(), source };
        capability_minor(file.clone()).map_err(failed)
    };
    let [of_gpu_instance, of_compute_instance] = &files;
    let capabilities = CapabilityMinors {
        gpu_instance: minor(of_gpu_instance)?,
        compute_instance: minor(of_compute_instance)?,
    };
    // A profile that this version doesn't know is no reason to fail: it has no graphics then.
    let profile = mig.profiles.iter().find(|profile| profile.id == instance.profile_id);
    let graphics = profile.is_some_and(|profile| profile.name.attribute == "+gfx");
    let command = format!(
        "`nvidia-modprobe -f {} -f {}`",
        of_gpu_instance.display(),
        of_compute_instance.display()
    );
    Ok(Candidate {
        uuid: compute.uuid.clone(),
        target: Target::Mig {
            minor: gpu.minor,
            capabilities,
            graphics: graphics.then_some(gpu.pci),
        },
        remedy: remedy(&command),
        index,
    })
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

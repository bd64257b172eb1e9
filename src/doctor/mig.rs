//! MIG modes and devices.

use super::claims::Claims;
use super::finding::{Finding, Name};
use super::mend::{advice, run};
use super::{Judged, Looked};
use crate::claim::Outcome;
use crate::inventory::{Gpu, GpuInstance, Inventory};

pub(super) fn judge(inventory: &Inventory, claims: &Looked<Claims>) -> Judged {
    let mut findings = Vec::new();
    let (mut on, mut made) = (0, 0);
    for gpu in &inventory.gpus {
        let Some(mig) = &gpu.mig else { continue };
        on += usize::from(mig.enabled);
        made += mig.instances.len();
        if mig.enabled != mig.pending {
            let to = if mig.pending { "on" } else { "off" };
            findings.push(Finding::new(
                Name::MigPending,
                format!("MIG mode of GPU {} turns {to} with the next GPU reset, and divvy plans nothing on it until then", gpu.index),
                "NVML has another pending mode than the current one",
                run(format!("nvidia-smi --gpu-reset -i {}", gpu.index)).but("with no process on it"),
            ));
        }
        // Whose a device is can't be told without the records.
        if let Ok(claims) = claims {
            let nobodys = mig.instances.iter().filter(|one| !claimed(inventory, gpu, one, claims));
            findings.extend(nobodys.map(|one| unclaimed(gpu, one)));
        }
    }
    let plural = |n| if n == 1 { "" } else { "s" };
    let says = format!("on for {on} GPU{}, {made} GPU instance{}", plural(on), plural(made));
    Judged { says, findings }
}

fn claimed(inventory: &Inventory, gpu: &Gpu, instance: &GpuInstance, claims: &Claims) -> bool {
    let here = claims.devices.iter().filter(|device| device.on_gpu(&gpu.uuid));
    // Ids are used again: one that another tool's instance has by now is no device of the claim's.
    here.filter(|device| device.lost(inventory).is_empty()).any(|device| {
        let made = device
            .steps
            .iter()
            .any(|entry| entry.outcome == Some(Outcome::GpuInstance(instance.id)));
        let taken =
            device.targets.iter().filter_map(|target| target.mig.as_ref()?.existing.as_ref());
        made || taken
            .into_iter()
            .any(|uuid| instance.compute_instances.iter().any(|compute| compute.uuid == *uuid))
    })
}

fn unclaimed(gpu: &Gpu, instance: &GpuInstance) -> Finding {
    let (index, id) = (gpu.index, instance.id);
    let profiles = gpu.mig.iter().flat_map(|mig| &mig.profiles);
    let profile = profiles.filter(|profile| profile.id == instance.profile_id);
    let name = profile.map(|profile| profile.name.to_string()).next();
    let name = name.unwrap_or_else(|| "an unknown profile".to_owned());
    let how = "NVML lists it, and no claim of divvy's made or holds it";
    if instance.compute_instances.is_empty() {
        return Finding::new(
            Name::MigHollow,
            format!(
                "GPU instance {id} ({name}) of GPU {index} has no compute instance: it holds slices, and nobody can use it"
            ),
            how,
            advice(format!(
                "where no tool is about to use it: nvidia-smi mig -i {index} -gi {id} -dgi"
            )),
        );
    }
    let uuids: Vec<&str> = instance.compute_instances.iter().map(|one| one.uuid.as_str()).collect();
    Finding::new(
        Name::MigUnclaimed,
        format!(
            "the MIG device {} ({name}) of GPU {index} is nobody's: divvy leaves it alone",
            uuids.join(", ")
        ),
        how,
        advice(format!(
            "to use it, divvy prepare exclusive @{}; to destroy it, nvidia-smi mig -i {index} -gi {id} -dci && nvidia-smi mig -i {index} -gi {id} -dgi",
            uuids.first().copied().unwrap_or_default()
        )),
    )
}

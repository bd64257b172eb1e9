//! The node at a glance: what each GPU is, how it is shared, and who holds what.

mod picture;
#[cfg(test)]
mod tests;

pub use picture::{Style, draw};

use crate::claim::{Claim, Device, Owner, Phase, Purpose, Target, lost_devices};
use crate::inventory::{Gpu, GpuInstance, Inventory, Placement, Unusable};
use crate::request::MpsLimits;
use serde::Serialize;

/// The node at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Status {
    /// The driver's version.
    pub driver_version: String,
    /// The GPUs that answer, by index.
    pub gpus: Vec<GpuStatus>,
    /// The GPUs that don't.
    pub unusable: Vec<Unusable>,
    /// The claims whose GPU or MIG device is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<LostClaim>,
}

/// A claim that holds what isn't there any more, until its owner ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct LostClaim {
    /// The claim.
    pub claim: String,
    /// What was asked for.
    pub requests: String,
    /// The container that has it, where one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// What is gone: `GPU-…`, `MIG-…`.
    pub devices: Vec<String>,
}

/// A GPU and what it is used for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct GpuStatus {
    /// NVML's index.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// The product name.
    pub name: String,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Memory slices, where MIG mode is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_slices: Option<u32>,
    /// How the whole GPU is shared; absent where it isn't used as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// Its GPU instances, by start.
    pub instances: Vec<InstanceStatus>,
    /// Pids of processes that compute on it, where no claim is on it.
    pub unclaimed_processes: Vec<u32>,
}

/// A GPU instance and what it is used for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct InstanceStatus {
    /// The profile, `3g.40gb`.
    pub profile: String,
    /// Where it stands.
    pub placement: Placement,
    /// `MIG-…`, of each compute instance in it.
    pub mig_devices: Vec<String>,
    /// How it is shared; absent where it isn't divvy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
}

/// A device and the claims on it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Sharing {
    /// What for.
    #[serde(flatten)]
    pub purpose: Purpose,
    /// Who.
    pub holders: Vec<Holder>,
    /// The device is being made or undone.
    pub in_transition: bool,
}

/// A claim on a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Holder {
    /// The claim.
    pub claim: String,
    /// How far it is.
    pub phase: Phase,
    /// The container that has it, where one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Its limits, under MPS.
    #[serde(flatten)]
    pub limits: MpsLimits,
}

impl Status {
    /// Puts together what was read.
    pub fn of(inventory: &Inventory, claims: &[Claim], devices: &[Device]) -> Status {
        let gpus = inventory.gpus.iter().map(|gpu| gpu_status(gpu, inventory, claims, devices));
        Status {
            driver_version: inventory.driver_version.clone(),
            gpus: gpus.collect(),
            unusable: inventory.unusable.clone(),
            lost: claims.iter().filter_map(|claim| lost(claim, devices, inventory)).collect(),
        }
    }
}

fn lost(claim: &Claim, devices: &[Device], inventory: &Inventory) -> Option<LostClaim> {
    let lost = lost_devices(claim, devices, inventory);
    (!lost.is_empty()).then(|| LostClaim {
        claim: claim.id.to_string(),
        requests: claim.requests.to_string(),
        container: container(claim),
        devices: lost.into_iter().map(str::to_owned).collect(),
    })
}

fn container(claim: &Claim) -> Option<String> {
    match &claim.owner {
        Owner::Container { container, .. } => Some(container.id.clone()),
        Owner::Caller | Owner::Start { .. } => None,
    }
}

fn gpu_status(gpu: &Gpu, inventory: &Inventory, claims: &[Claim], devices: &[Device]) -> GpuStatus {
    // What is lost stands in a list of its own: another tool's instance may have its place by now.
    let stands = |device: &&Device| device.on_gpu(&gpu.uuid) && device.lost(inventory).is_empty();
    let here: Vec<&Device> = devices.iter().filter(stands).collect();
    let whole = |target: &Target| target.gpu == gpu.uuid && target.mig.is_none();
    let whole = here
        .iter()
        .find(|device| device.purpose != Purpose::MigMode && device.targets.iter().any(whole));
    let mut instances: Vec<InstanceStatus> = gpu
        .mig
        .iter()
        .flat_map(|mig| &mig.instances)
        .map(|one| instance(gpu, one, claims, &here))
        .collect();
    instances.sort_by_key(|one| one.placement);
    let claimed = !here.is_empty();
    GpuStatus {
        index: gpu.index,
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone(),
        memory_mib: gpu.memory_mib,
        memory_slices: gpu.mig.as_ref().filter(|mig| mig.enabled).map(|mig| mig.slices),
        sharing: whole.map(|device| sharing(device, claims)),
        instances,
        unclaimed_processes: gpu
            .processes
            .iter()
            .filter(|_| !claimed)
            .map(|process| process.pid)
            .collect(),
    }
}

fn instance(gpu: &Gpu, one: &GpuInstance, claims: &[Claim], devices: &[&Device]) -> InstanceStatus {
    let stands_there =
        |target: &Target| target.mig.as_ref().is_some_and(|mig| mig.placement == one.placement);
    let device = devices.iter().find(|device| device.targets.iter().any(stands_there));
    let profiles = gpu.mig.iter().flat_map(|mig| &mig.profiles);
    let profile = profiles.into_iter().find(|profile| profile.id == one.profile_id);
    InstanceStatus {
        profile: profile.map_or_else(
            || format!("profile {}", one.profile_id),
            |profile| profile.name.to_string(),
        ),
        placement: one.placement,
        mig_devices: one.compute_instances.iter().map(|compute| compute.uuid.clone()).collect(),
        sharing: device.map(|device| sharing(device, claims)),
    }
}

fn sharing(device: &Device, claims: &[Claim]) -> Sharing {
    let holders = claims.iter().flat_map(|claim| {
        let parts = claim.parts.iter().filter(|part| part.device == device.id);
        parts.map(|part| Holder {
            claim: claim.id.to_string(),
            phase: claim.phase,
            container: container(claim),
            limits: part.limits,
        })
    });
    Sharing { purpose: device.purpose, holders: holders.collect(), in_transition: !device.ready() }
}

//! What a claim got: its devices for people and programs, and the edits for its container.

use super::spec_file;
use crate::claim::store::{Store, StoreError};
use crate::claim::{Claim, ClaimId, Device, Part, Purpose, Target};
use crate::config::Enforced;
use crate::driver_files::{self, DriverFiles, Nodes, NodesError, Search};
use crate::edits;
use crate::inventory::{Capabilities, CapabilityError, PciAddress};
use crate::nvml::NvmlError;
use crate::request::MpsLimits;
use crate::share::{Node, ShareError, mps};
use cdi::{ContainerEdits, Mount};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// What a claim got.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Grant {
    /// The claim.
    pub claim: ClaimId,
    /// The CDI device that stands for all of it, `divvy/claim=job-1`.
    pub cdi: String,
    /// Device by device, in the order of the requests.
    pub devices: Vec<Granted>,
    /// Variables for programs outside containers.
    pub env: Vec<String>,
    /// What a container gets.
    pub edits: ContainerEdits,
}

/// One device of a claim.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Granted {
    /// The request that it serves.
    pub request: String,
    /// How it is shared.
    #[serde(flatten)]
    pub purpose: Purpose,
    /// The GPU, `GPU-…`.
    pub gpu: String,
    /// The MIG device, `MIG-…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mig: Option<String>,
    /// The MIG device's profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Limits under MPS.
    #[serde(flatten)]
    pub limits: MpsLimits,
    /// Who sees to it that the claim gets no more.
    pub enforced: Enforced,
}

/// Why a grant can't be worked out.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// A device of the claim is gone.
    #[error("claim {claim} has lost its device {device}: release the claim and prepare it again")]
    Lost {
        /// The claim.
        claim: ClaimId,
        /// What is gone.
        device: String,
    },
    /// The driver.
    #[error(transparent)]
    Nvml(#[from] NvmlError),
    /// The minors of capability nodes.
    #[error(transparent)]
    Capability(#[from] CapabilityError),
    /// The driver's files.
    #[error(transparent)]
    DriverFiles(#[from] driver_files::Error),
    /// Device nodes.
    #[error(transparent)]
    Nodes(#[from] NodesError),
    /// The control daemon.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Works out what a claim got, from its records and the driver.
///
/// # Errors
/// A device is gone, or what a container needs of the driver can't be found.
pub(super) fn of(
    node: &Node,
    store: &Store,
    hook: Option<&edits::HookEntry>,
    claim: &Claim,
) -> Result<Grant, GrantError> {
    let lost = |device: String| GrantError::Lost { claim: claim.id.clone(), device };
    let mut devices = Vec::new();
    let mut targets = Vec::new();
    let mut daemons = Vec::new();
    let mut seen = BTreeSet::new();
    for part in &claim.parts {
        let first = seen.insert(&part.device);
        let device = store.device(&part.device)?.ok_or_else(|| lost(part.device.to_string()))?;
        for target in &device.targets {
            let found = find(node, &device, target)?.ok_or_else(|| lost(target.gpu.clone()))?;
            devices.push(granted(claim, part, &device, target, found.mig.clone()));
            targets.extend(first.then_some(found));
        }
        daemons.extend(
            device
                .daemon_folder()
                .map(|folder| (folder.to_owned(), part.limits, device.targets.len())),
        );
    }
    let options = edits::Options { hook: hook.cloned(), additional_gids: false, sockets: true };
    let pci: BTreeSet<String> = targets.iter().map(|found| found.pci.to_string()).collect();
    let nodes = Nodes::find(node.host, pci)?;
    let files =
        DriverFiles::find(node.host, &node.nvml.get()?.driver_version()?, &Search::default())?;
    let mut all = edits::common(&files, &nodes, &options);
    let nodes_of: Vec<edits::Target> = targets.iter().map(|found| found.edits).collect();
    all.append(edits::device(&nodes_of, &nodes, &options));
    let mut env = vec![visible(&devices)];
    for (folder, limits, count) in daemons {
        let client = mps::client_folder(node.host, &folder).map_err(ShareError::from)?;
        all.append(mps_edits(&client, &limits, count));
        env.extend(mps::client_environment(&client, &limits, count));
    }
    Ok(Grant { claim: claim.id.clone(), cdi: spec_file::name(&claim.id), devices, env, edits: all })
}

/// A target as the driver has it now.
struct Found {
    edits: edits::Target,
    pci: PciAddress,
    mig: Option<String>,
}

/// `None` where the record has no MIG device to show for its steps.
fn find(node: &Node, device: &Device, target: &Target) -> Result<Option<Found>, GrantError> {
    let gpu = node.nvml.device_by_uuid(&target.gpu)?;
    let (minor, pci) = (gpu.minor()?, PciAddress::of(&gpu.pci()?).unwrap_or_default());
    let Some(mig) = &target.mig else {
        return Ok(Some(Found { edits: edits::Target::Gpu { minor, pci }, pci, mig: None }));
    };
    let (gpu_instance, compute_instance, uuid) = match (&mig.existing, device.mig_device()) {
        (Some(uuid), _) => {
            let mig = node.nvml.device_by_uuid(uuid)?;
            (mig.gpu_instance_id()?, mig.compute_instance_id()?, uuid.clone())
        }
        (None, Some((instance, compute, uuid))) => (instance, compute, uuid.to_owned()),
        (None, None) => return Ok(None),
    };
    let capabilities =
        Capabilities::new(node.host).minors(minor, gpu_instance, compute_instance)?;
    let graphics = (mig.profile.attribute == "+gfx").then_some(pci);
    let edits = edits::Target::Mig { minor, capabilities, graphics };
    Ok(Some(Found { edits, pci, mig: Some(uuid) }))
}

fn granted(
    claim: &Claim,
    part: &Part,
    device: &Device,
    target: &Target,
    mig: Option<String>,
) -> Granted {
    Granted {
        request: claim
            .requests
            .iter()
            .nth(part.request)
            .map(ToString::to_string)
            .unwrap_or_default(),
        purpose: device.purpose,
        gpu: target.gpu.clone(),
        profile: target.mig.as_ref().map(|mig| mig.profile.to_string()),
        mig,
        limits: part.limits,
        enforced: part.enforced,
    }
}

/// CUDA's choice of devices, for programs outside containers.
fn visible(devices: &[Granted]) -> String {
    let uuids: Vec<&str> =
        devices.iter().map(|device| device.mig.as_ref().unwrap_or(&device.gpu).as_str()).collect();
    format!("CUDA_VISIBLE_DEVICES={}", uuids.join(","))
}

/// What a container needs to be a client of its daemon, and nothing that could command the daemon.
fn mps_edits(client: &Path, limits: &MpsLimits, devices: usize) -> ContainerEdits {
    let options = ["ro", "nosuid", "nodev", "noexec", "rbind", "rprivate"];
    ContainerEdits {
        env: mps::client_environment(Path::new(mps::CONTAINER_FOLDER), limits, devices),
        mounts: vec![Mount {
            host_path: client.to_string_lossy().into_owned(),
            container_path: mps::CONTAINER_FOLDER.to_owned(),
            options: options.map(str::to_owned).to_vec(),
            ..Mount::default()
        }],
        ..ContainerEdits::default()
    }
}

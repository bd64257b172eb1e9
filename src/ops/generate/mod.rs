//! `divvy cdi generate`: a CDI spec of the devices that exist now.

mod candidate;
mod names;
#[cfg(feature = "nvml")]
pub mod requests;
#[cfg(feature = "nvml")]
pub mod resources;
#[cfg(test)]
mod tests;

pub use names::{NameStrategy, UnknownStrategy};

use crate::driver_files::{self, DriverFiles, Nodes, NodesError, Search};
use crate::edits;
use crate::host::Host;
use crate::inventory::{CapabilityError, Inventory, Mig, Unusable};
use crate::request::ListError;
use candidate::Candidate;
use cdi::{ContainerEdits, Device, DeviceName, Finding, Kind, NameError, Severity, Spec};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What to generate.
#[derive(Clone, Debug)]
pub struct Options {
    /// The devices' kind, `nvidia.com/gpu`.
    pub kind: Kind,
    /// How devices are named; each has a name of every strategy.
    pub strategies: Vec<NameStrategy>,
    /// The devices wanted, by any of their names; empty means every one.
    pub wanted: Vec<String>,
    /// Whether there is a device `all` with every one's nodes.
    pub all_device: bool,
    /// What every container gets.
    pub edits: edits::Options,
    /// Folders to look for driver files in, in place of the usual ones.
    pub search: Search,
    /// What the configuration's resources add and take away.
    pub shared: Shared,
}

/// What the configuration's resources add to the spec of one kind, and take away from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shared {
    /// UUIDs of devices that are not offered as they are.
    hidden: BTreeSet<String>,
    /// Replicas.
    replicas: Vec<Device>,
    /// What should be known, a sentence each.
    notes: Vec<String>,
}

/// A spec, and what is not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The spec, with the lowest version that its content needs.
    pub spec: Spec,
    /// GPUs that were left out, a sentence each.
    pub left_out: Vec<String>,
}

/// Why no spec can be generated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The driver's files.
    #[error(transparent)]
    DriverFiles(#[from] driver_files::Error),
    /// The nodes that all GPUs share.
    #[error(transparent)]
    Nodes(#[from] NodesError),
    /// Which nodes guard a MIG device.
    #[error("MIG device {name} ({uuid}): {source}")]
    Capability {
        /// Its name by index, `0:1`.
        name: String,
        /// `MIG-…`.
        uuid: String,
        /// Why its nodes are not known.
        source: CapabilityError,
    },
    /// A device's own nodes.
    #[error("{name} ({uuid}) lacks {}: {remedy}", list(missing))]
    MissingNodes {
        /// `GPU 0` or `MIG device 0:1`.
        name: String,
        /// `GPU-…` or `MIG-…`.
        uuid: String,
        /// The nodes.
        missing: Vec<PathBuf>,
        /// How to make them.
        remedy: String,
    },
    /// Two devices would have one name.
    #[error(
        "two devices are called {name}: NVML's answers can't be trusted; restart the machine or replace the driver"
    )]
    SameName {
        /// The name.
        name: String,
    },
    /// A name that CDI can't carry.
    #[error(
        "a device can't be named as the driver calls it: {0}; choose another --device-name-strategy"
    )]
    Name(#[from] NameError),
    /// No such device.
    #[error("there is no device {wanted} to generate{why}; those that there are: {available}")]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// More about it, where something is known.
        why: String,
        /// The names of those that there are.
        available: String,
    },
    /// Engines would refuse the spec.
    #[error("the spec would not be valid CDI, so it is not written: {finding}")]
    Invalid {
        /// The first thing that is wrong.
        finding: Finding,
    },
    /// Requests are served by the hook.
    #[error(
        "a request is served by divvy-hook when a container starts: don't leave it out with --disable-hook all"
    )]
    NoHook,
    /// More names than engines should read at each start.
    #[error(
        "the configuration names {asked} requests under shares: and cdi-names:, and a spec has at most {max}: leave out those that nobody uses"
    )]
    TooManyNames {
        /// How many.
        asked: usize,
        /// The most.
        max: usize,
    },
    /// A share that is no list of requests for one claim.
    #[error(transparent)]
    Requests(#[from] ListError),
    /// Resources of the configuration that this node can't have.
    #[error("the configuration's resources can't be had here: {fault}")]
    Resources {
        /// What is wrong, and what would help.
        fault: String,
    },
    /// Nothing that a container could be given.
    #[error("there is no device to generate: {reason}")]
    NoDevices {
        /// Why, and what to do.
        reason: String,
    },
}

/// Generates a spec of the inventory's devices, with the driver's files and nodes of this host.
///
/// # Errors
/// Where there is no device, one lacks its nodes, or the driver's files are missing. A GPU that doesn't
/// answer is left out and costs the others nothing.
pub fn generate(host: &Host, inventory: &Inventory, options: &Options) -> Result<Generated, Error> {
    let candidates = candidate::all(host, inventory)?;
    if candidates.is_empty() {
        return Err(Error::NoDevices { reason: why_none(inventory) });
    }
    let chosen = choose(&candidates, inventory, options)?;
    for candidate in &chosen {
        candidate.check_nodes(host)?;
    }
    let pci = inventory.gpus.iter().map(|gpu| gpu.pci.to_string());
    let nodes = Nodes::find(host, pci)?;
    let files = DriverFiles::find(host, &inventory.driver_version, &options.search)?;
    let devices = devices(&chosen, &nodes, options)?;
    let common = edits::common(&files, &nodes, &options.edits);
    let mut left_out = left_out(inventory);
    left_out.extend(options.shared.notes.iter().cloned());
    checked(Spec::new(options.kind.clone(), devices, common), left_out)
}

/// A spec that an engine refuses looks to people like a device that isn't there: it is not handed out.
fn checked(spec: Spec, left_out: Vec<String>) -> Result<Generated, Error> {
    let wrong =
        cdi::validate(&spec).into_iter().find(|finding| finding.severity == Severity::Error);
    match wrong {
        Some(finding) => Err(Error::Invalid { finding }),
        None => Ok(Generated { spec, left_out }),
    }
}

/// The GPUs that no device of the spec stands for.
fn left_out(inventory: &Inventory) -> Vec<String> {
    let empty = empty_mig(inventory).into_iter().map(|gpu| {
        format!("GPU {gpu} is left out: MIG mode is on, and there is no MIG device on it")
    });
    let unusable = inventory.unusable.iter().map(|gpu| format!("left out: {}", reason(gpu)));
    unusable.chain(empty).collect()
}

/// Indexes of GPUs with MIG mode on and nothing made.
fn empty_mig(inventory: &Inventory) -> Vec<u32> {
    let is_empty = |mig: &Mig| {
        mig.enabled && mig.instances.iter().all(|instance| instance.compute_instances.is_empty())
    };
    let gpus = inventory.gpus.iter().filter(|gpu| gpu.mig.as_ref().is_some_and(is_empty));
    gpus.map(|gpu| gpu.index).collect()
}

/// Why a GPU can't be served, with its index in front.
fn reason(gpu: &Unusable) -> String {
    let subject = format!("GPU {}", gpu.index);
    match gpu.says.starts_with(&subject) {
        true => gpu.says.clone(),
        false => format!("{subject}: {}", gpu.says),
    }
}

fn why_none(inventory: &Inventory) -> String {
    let empty: Vec<String> = empty_mig(inventory).iter().map(u32::to_string).collect();
    let unusable: Vec<String> = inventory.unusable.iter().map(reason).collect();
    match (empty.as_slice(), unusable.as_slice()) {
        ([], []) => "the driver sees no GPU; check `nvidia-smi -L`".to_owned(),
        ([], unusable) => format!("no GPU answers ({})", unusable.join("; ")),
        (empty, _) => format!(
            "MIG mode is on, and there is no MIG device, on GPU {}; make one (`nvidia-smi mig -cgi PROFILE -C`) or turn the mode off",
            empty.join(", ")
        ),
    }
}

fn choose<'a>(
    candidates: &'a [Candidate],
    inventory: &Inventory,
    options: &Options,
) -> Result<Vec<&'a Candidate>, Error> {
    let wanted = &options.wanted;
    let candidates: Vec<&Candidate> =
        candidates.iter().filter(|one| !options.shared.hidden.contains(&one.uuid)).collect();
    if wanted.is_empty() || wanted.iter().any(|name| name == "all") {
        return Ok(candidates);
    }
    if let Some(name) = wanted.iter().find(|name| !candidates.iter().any(|one| one.is_called(name)))
    {
        let available: Vec<&str> = candidates.iter().map(|one| one.index.as_str()).collect();
        return Err(Error::Unknown {
            wanted: name.clone(),
            why: why_unknown(inventory, name),
            available: available.join(", "),
        });
    }
    let chosen = candidates.into_iter().filter(|one| wanted.iter().any(|name| one.is_called(name)));
    Ok(chosen.collect())
}

fn why_unknown(inventory: &Inventory, name: &str) -> String {
    let lost = inventory.unusable.iter().find(|gpu| gpu.index.to_string() == name);
    if let Some(gpu) = lost {
        return format!(" ({})", gpu.says);
    }
    let is_called = |index: u32, uuid: &str| index.to_string() == name || uuid == name;
    match inventory.gpus.iter().find(|gpu| is_called(gpu.index, &gpu.uuid)) {
        Some(_) => " (MIG mode is on: its MIG devices can be named, the GPU can't)".to_owned(),
        None => String::new(),
    }
}

/// Every chosen device under every name, strategy by strategy, and `all`.
fn devices(chosen: &[&Candidate], nodes: &Nodes, options: &Options) -> Result<Vec<Device>, Error> {
    let edits: Vec<ContainerEdits> =
        chosen.iter().map(|one| edits::device(&[one.target], nodes, &options.edits)).collect();
    let mut devices: Vec<Device> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    let mut add = |name: String, edits: ContainerEdits| -> Result<(), Error> {
        if !names.insert(name.clone()) {
            return Err(Error::SameName { name });
        }
        devices.push(Device::new(DeviceName::try_from(name)?, edits));
        Ok(())
    };
    for strategy in names::distinct(&options.strategies) {
        for (one, edits) in chosen.iter().zip(&edits) {
            add(one.name(strategy), edits.clone())?;
        }
    }
    if options.wanted.is_empty() {
        for replica in &options.shared.replicas {
            add(replica.name.to_string(), replica.container_edits.clone())?;
        }
    }
    if options.all_device && !chosen.is_empty() {
        let targets: Vec<edits::Target> = chosen.iter().map(|one| one.target).collect();
        add("all".to_owned(), edits::device(&targets, nodes, &options.edits))?;
    }
    Ok(devices)
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    paths.join(" and ")
}

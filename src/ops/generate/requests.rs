//! `divvy cdi generate --requests`: a CDI spec whose devices are requests, served when a container starts.
//!
//! Such a device brings along all that doesn't depend on which GPU will be chosen: the driver's files, the
//! control nodes, the static work, and what a client of MPS needs to know.

use super::{Error, Generated, Options, checked, reason, why_none};
use crate::config::Config;
use crate::driver_files::{DriverFiles, Nodes};
use crate::edits::{self, HookEntry};
use crate::hook_args::{self, CreateRuntime};
use crate::host::Host;
use crate::inventory::{Inventory, ProfileName};
use crate::request::{
    Interval, MigShare, MigSharing, MpsLimits, Percent, Request, Requests, Share,
};
use crate::share::mps;
use cdi::{ContainerEdits, Device, DeviceName, Spec};
use std::collections::BTreeSet;
use std::path::Path;

/// The kind of requests' devices.
pub const KIND: &str = "divvy/gpu";
/// The most devices: engines read the whole file at each start of a container.
pub const MAX_DEVICES: usize = 200;
/// Thread percentages that have names unasked.
const PERCENTAGES: [u64; 4] = [10, 20, 25, 50];

/// Generates the spec of this node's requests.
///
/// # Errors
/// There is no GPU or no hook, the driver's files are missing, or the configuration names too many.
pub fn generate(
    host: &Host,
    inventory: &Inventory,
    config: &Config,
    options: &Options,
) -> Result<Generated, Error> {
    let hook = options.edits.hook.as_ref().ok_or(Error::NoHook)?;
    if inventory.gpus.is_empty() {
        return Err(Error::NoDevices { reason: why_none(inventory) });
    }
    let pci = inventory.gpus.iter().map(|gpu| gpu.pci.to_string());
    let nodes = Nodes::find(host, pci)?;
    let files = DriverFiles::find(host, &inventory.driver_version, &options.search)?;
    // Groups would raise the CDI version, and which DRM nodes a container gets isn't known yet.
    let common = edits::Options { additional_gids: false, ..options.edits.clone() };
    let (named, unnamed) = named(inventory, config)?;
    let devices: Result<Vec<Device>, Error> = named
        .into_iter()
        .map(|(name, request)| {
            Ok(Device::new(DeviceName::try_from(name)?, device(&request, hook)?))
        })
        .collect();
    let spec = Spec::new(options.kind.clone(), devices?, edits::common(&files, &nodes, &common));
    let unusable = inventory.unusable.iter().map(|gpu| format!("left out: {}", reason(gpu)));
    let mut generated = checked(spec, unusable.collect())?;
    if unnamed > 0 {
        generated.left_out.push(format!(
            "{unnamed} combined requests have no name, since a spec has at most {MAX_DEVICES}: name those that are used with cdi-names: in the configuration"
        ));
    }
    Ok(generated)
}

pub(super) fn device(request: &Request, hook: &HookEntry) -> Result<ContainerEdits, Error> {
    let requests = Requests::new(vec![request.clone()])?;
    let limits = match request.share() {
        Share::Mps(limits) | Share::Mig(MigShare { sharing: MigSharing::Mps(limits), .. }) => {
            Some(limits)
        }
        _ => None,
    };
    let environment = limits.map(|limits| {
        mps::client_environment(Path::new(mps::CONTAINER_FOLDER), limits, request.count().get())
    });
    Ok(ContainerEdits {
        env: environment.unwrap_or_default(),
        hooks: vec![
            CreateRuntime::Request(requests).hook(&hook.path),
            hook_args::poststop(&hook.path),
        ],
        ..ContainerEdits::default()
    })
}

/// The requests that have a name here, what the configuration asks for first, and how many were left out.
fn named(inventory: &Inventory, config: &Config) -> Result<(Vec<(String, Request)>, usize), Error> {
    let shares = config.shares.iter().map(|(name, share)| (name.to_string(), share.named(name)));
    let mut all: Vec<(String, Request)> = shares.collect();
    // A request without a name doesn't get into the configuration.
    let by_name = |request: Request| Some((request.cdi_name().ok()?, request));
    all.extend(config.cdi_names.iter().cloned().filter_map(by_name));
    let asked = all.len();
    if asked > MAX_DEVICES {
        return Err(Error::TooManyNames { asked, max: MAX_DEVICES });
    }
    all.extend(usual(inventory).into_iter().filter_map(by_name));
    let mut seen = BTreeSet::new();
    all.retain(|(name, _)| seen.insert(name.clone()));
    let unnamed = all.len().saturating_sub(MAX_DEVICES);
    all.truncate(MAX_DEVICES);
    Ok((all, unnamed))
}

/// The requests that have names unasked, the most usual first.
fn usual(inventory: &Inventory) -> Vec<Request> {
    let slicing = |interval| Share::TimeSlicing { interval };
    let intervals = [Interval::Short, Interval::Medium, Interval::Long].map(Some);
    let limits = mps_limits();
    let mut shares = vec![Share::Exclusive, slicing(None)];
    shares.extend(intervals.map(slicing));
    shares.extend(limits.iter().copied().map(Share::Mps));
    let profiles = profiles(inventory);
    let mut mig = |sharing: MigSharing| {
        let share = |profile: &ProfileName| {
            Share::Mig(MigShare { profile: profile.clone(), compute: None, sharing })
        };
        shares.extend(profiles.iter().map(share));
    };
    mig(MigSharing::Exclusive);
    mig(MigSharing::TimeSlicing);
    limits.into_iter().for_each(|limits| mig(MigSharing::Mps(limits)));
    shares.into_iter().map(Request::new).collect()
}

/// Without limits, and with each of the usual ones.
fn mps_limits() -> Vec<MpsLimits> {
    let percent = PERCENTAGES.into_iter().map(Percent::new);
    let all = std::iter::once(None).chain(percent);
    all.map(|threads| MpsLimits { threads, memory: None }).collect()
}

/// The MIG profiles of all GPUs, each name once.
fn profiles(inventory: &Inventory) -> Vec<ProfileName> {
    let of_gpus = inventory.gpus.iter().filter_map(|gpu| gpu.mig.as_ref());
    let names: BTreeSet<ProfileName> =
        of_gpus.flat_map(|mig| &mig.profiles).map(|profile| profile.name.clone()).collect();
    names.into_iter().collect()
}

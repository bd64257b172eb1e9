//! Carries a step out and undoes it: the only room that changes GPUs.
//!
//! A step is journalled in two writes, and this room has a function for each: what [`observe`] tells is
//! on disk before [`carry_out`] begins, and what that tells before the next step. [`undo`] needs nothing
//! but the journal, whichever of the two writes was the last.

pub(crate) mod bounded;
mod compute_mode;
mod error;
pub mod layout;
mod mig;
mod mig_mode;
pub mod mps;
mod nodes;
mod programs;
mod progress;
mod time_slicing;

pub use error::ShareError;
pub(crate) use progress::Running;
pub use progress::{End, Progress, Work};

use crate::claim::{Before, Device, Entry, Outcome, Purpose, Step, Target};
use crate::host::Host;
use crate::inventory::Nvml;
use crate::nvml::{self, Code, NvmlError};
use mig::{Begun, Wanted, WantedCompute};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How steps are carried out on this machine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program `divvy`, which starts control daemons as `divvy mps-launch`.
    pub launcher: PathBuf,
    /// How a control daemon gets a place of its own.
    pub place: mps::Place,
    /// How long one command to a control daemon, or one run of nvidia-smi, may take.
    pub command_timeout: Duration,
    /// How long a control daemon and its server may take to get ready.
    pub ready_timeout: Duration,
    /// How long they may take to end, by `quit` and by each signal.
    pub stop_timeout: Duration,
    /// Who is told which step runs, where somebody watches.
    pub watch: Option<fn(Progress<'_>)>,
}

impl Settings {
    /// The defaults, with `launcher` as the program `divvy`.
    pub fn new(launcher: PathBuf) -> Settings {
        Settings {
            launcher,
            place: mps::Place::of_machine(),
            command_timeout: Duration::from_secs(3),
            ready_timeout: Duration::from_secs(15),
            stop_timeout: Duration::from_secs(3),
            watch: None,
        }
    }
}

/// What acting needs.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    /// The machine.
    pub host: &'a Host,
    /// Its driver.
    pub nvml: &'a Nvml,
    /// How to act on it.
    pub settings: &'a Settings,
}

/// What became of an undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// What the step did is gone, or never was, or is no longer divvy's.
    Gone,
    /// Somebody uses it: it stays, and may be undone later.
    InUse {
        /// Who, as far as the driver says.
        pids: Vec<u32>,
    },
    /// The GPU doesn't answer any more: nothing is left to undo on it.
    Lost,
}

/// What the undo of a step has to know of the time before it. Changes nothing. Its answer must be on disk
/// before the step is carried out.
///
/// # Errors
/// The step can't be carried out here, or the driver doesn't say.
pub fn observe(node: &Node<'_>, device: &Device, step: &Step) -> Result<Before, ShareError> {
    match step {
        Step::EnableMig { gpu } => mig_mode::observe(node, gpu),
        Step::CreateGpuInstance { gpu, profile_id, .. } => {
            mig::gpu_instances(node, gpu, *profile_id).map(Before::Instances)
        }
        Step::CreateComputeInstance { gpu, profile_id } => {
            let wanted = WantedCompute { record: device, gpu, profile_id: *profile_id };
            mig::compute_instances(node, &wanted).map(Before::Instances)
        }
        Step::MakeCapabilityNodes { gpu } => nodes::missing(node, device, gpu).map(Before::Missing),
        Step::SetTimeSlice { gpu, .. } => time_slicing::get(node, gpu).map(Before::Interval),
        Step::SetExclusiveProcess { gpu } => compute_mode::observe(node, device, gpu),
        Step::StartMps { .. } => Ok(Before::Folder(mps::choose_folder(node.host)?)),
    }
}

/// Does what a step says. Where this fails, or is interrupted, [`undo`] of the entry with `before` alone
/// clears up.
///
/// # Errors
/// It can't be done; [`ShareError::NoRoom`] is one that another plan may avoid.
pub fn carry_out(
    node: &Node<'_>,
    device: &Device,
    step: &Step,
    before: &Before,
) -> Result<Outcome, ShareError> {
    match (step, before) {
        (Step::EnableMig { gpu }, _) => mig_mode::enable(node, gpu),
        (Step::CreateGpuInstance { gpu, profile_id, profile, placement }, _) => {
            let wanted = Wanted { gpu, profile_id: *profile_id, profile, place: *placement };
            mig::create_gpu_instance(node, &wanted).map(Outcome::GpuInstance)
        }
        (Step::CreateComputeInstance { gpu, profile_id }, _) => {
            let wanted = WantedCompute { record: device, gpu, profile_id: *profile_id };
            mig::create_compute_instance(node, &wanted)
        }
        (Step::MakeCapabilityNodes { gpu }, Before::Missing(paths)) => {
            nodes::make(node, device, gpu, paths)
        }
        (Step::SetTimeSlice { gpu, interval }, _) => time_slicing::set(node, gpu, *interval),
        (Step::SetExclusiveProcess { .. }, Before::Nothing) => Ok(Outcome::Unsupported),
        (Step::SetExclusiveProcess { gpu }, _) => compute_mode::set_exclusive(node, device, gpu),
        (Step::StartMps { limits, uid }, Before::Folder(folder)) => {
            let daemon = mps::Daemon {
                folder: folder.clone(),
                devices: visible_devices(device)?,
                limits: *limits,
                uid: *uid,
                library_folders: programs::library_folders(node)?,
            };
            Ok(Outcome::Daemon(mps::start(node.host, node.settings, &daemon)?))
        }
        _ => Err(record(device, "state before it")),
    }
}

/// Undoes a step, wherever it stopped: before it began, half-way, or done. What isn't as the journal says
/// any more is somebody else's, and stays. Done twice, it does nothing the second time.
///
/// # Errors
/// It can't be undone now; it may be tried again.
pub fn undo(node: &Node<'_>, device: &Device, entry: &Entry) -> Result<Undone, ShareError> {
    let Some(before) = &entry.before else { return Ok(Undone::Gone) };
    let begun = Begun { before, outcome: entry.outcome.as_ref() };
    let undone = match (&entry.step, before) {
        (Step::EnableMig { gpu }, before) => mig_mode::undo(node, gpu, before),
        (Step::CreateGpuInstance { gpu, profile_id, profile, placement }, _) => {
            let wanted = Wanted { gpu, profile_id: *profile_id, profile, place: *placement };
            mig::destroy_gpu_instance(node, &wanted, &begun)
        }
        (Step::CreateComputeInstance { gpu, profile_id }, _) => {
            let wanted = WantedCompute { record: device, gpu, profile_id: *profile_id };
            mig::destroy_compute_instance(node, &wanted, &begun)
        }
        (Step::MakeCapabilityNodes { .. }, Before::Missing(paths)) => {
            nodes::remove(node.host, paths)
        }
        (Step::SetTimeSlice { gpu, interval }, Before::Interval(before)) => {
            time_slicing::restore(node, gpu, *interval, *before)
        }
        (Step::SetExclusiveProcess { gpu }, Before::ComputeMode(mode)) => {
            compute_mode::restore(node, device, gpu, *mode)
        }
        (Step::SetExclusiveProcess { .. }, Before::Nothing) => Ok(Undone::Gone),
        (Step::StartMps { .. }, Before::Folder(folder)) => stop_mps(node, device, folder),
        _ => Err(record(device, "state before it")),
    };
    match undone {
        Err(error) if error.is(Code::GpuIsLost) && is_lost(node, &entry.step)? => Ok(Undone::Lost),
        undone => undone,
    }
}

/// Undoes what can be left of a step of an older boot or driver load: nothing that was the driver's.
///
/// # Errors
/// It can't be undone now; it may be tried again.
pub fn undo_outlived(host: &Host, settings: &Settings, entry: &Entry) -> Result<(), ShareError> {
    match (&entry.step, &entry.before) {
        (Step::StartMps { .. }, Some(Before::Folder(folder))) => {
            Ok(mps::stop(host, settings, folder)?)
        }
        (Step::MakeCapabilityNodes { .. }, Some(Before::Missing(paths))) => {
            nodes::remove(host, paths).map(drop)
        }
        _ => Ok(()),
    }
}

/// A daemon's end doesn't wait for its GPU: its processes are this machine's, lost GPU or not.
fn stop_mps(node: &Node<'_>, device: &Device, folder: &Path) -> Result<Undone, ShareError> {
    let pids = match mps::clients(node.host, node.settings, folder)? {
        mps::Clients::Known(pids) => pids,
        mps::Clients::Unknown => clients_by_driver(node, device)?,
    };
    if !pids.is_empty() {
        return Ok(Undone::InUse { pids });
    }
    mps::stop(node.host, node.settings, folder)?;
    Ok(Undone::Gone)
}

/// MPS clients by the driver's word, where the control daemon has none.
fn clients_by_driver(node: &Node<'_>, device: &Device) -> Result<Vec<u32>, NvmlError> {
    let mut pids = Vec::new();
    for target in &device.targets {
        let Some(gpu) = present(node, &target.gpu)? else { continue };
        let uuid = uuid_of(device, target).unwrap_or(&target.gpu);
        let Some(handle) = present_on(node, gpu, &target.gpu, uuid)? else { continue };
        match handle.mps_processes() {
            Err(error) if error.is_unsupported() => {}
            processes => pids.extend(processes?.iter().map(|process| process.pid)),
        }
    }
    Ok(pids)
}

/// The UUIDs of a record's targets.
fn visible_devices(device: &Device) -> Result<Vec<String>, ShareError> {
    let uuid = |target| uuid_of(device, target).map(str::to_owned);
    let uuids: Option<Vec<String>> = device.targets.iter().map(uuid).collect();
    uuids.ok_or_else(|| record(device, "MIG device"))
}

/// The UUID of a target: of the GPU, of the MIG device that was there, or of the one that was made.
fn uuid_of<'d>(device: &'d Device, target: &'d Target) -> Option<&'d str> {
    match &target.mig {
        None => Some(&target.gpu),
        Some(mig) => {
            let made = || device.mig_device().map(|(_, _, uuid)| uuid);
            mig.existing.as_deref().or_else(made)
        }
    }
}

/// Sees that the whole GPUs of a record are whole: another program may have turned MIG mode on since they
/// were planned with.
///
/// # Errors
/// [`ShareError::MigOn`] is one that another plan may avoid.
pub fn check_whole(node: &Node<'_>, device: &Device) -> Result<(), ShareError> {
    if device.purpose == Purpose::MigMode {
        return Ok(());
    }
    for target in device.targets.iter().filter(|target| target.mig.is_none()) {
        let mode = node.nvml.device_by_uuid(&target.gpu)?.mig_mode()?;
        if mode.is_some_and(|mode| mode.current) {
            return Err(ShareError::MigOn { gpu: target.gpu.clone() });
        }
    }
    Ok(())
}

/// The target of a record that is on that GPU.
fn target_on<'d>(device: &'d Device, gpu: &str) -> Result<&'d Target, ShareError> {
    let target = device.targets.iter().find(|target| target.gpu == gpu);
    target.ok_or_else(|| record(device, "target on its GPU"))
}

/// The GPU to undo something on; `None` where it is lost or gone. One answer that says so isn't believed:
/// what was made on a GPU that is there would be forgotten. The list of GPUs must agree.
fn present<'n>(node: &Node<'n>, gpu: &str) -> Result<Option<nvml::Device<'n>>, NvmlError> {
    match node.nvml.device_by_uuid(gpu) {
        Ok(device) => Ok(Some(device)),
        Err(error) if is_gone(&error) && !is_listed(node, gpu)? => Ok(None),
        Err(error) => Err(error),
    }
}

/// The device with that UUID: the GPU itself, or a MIG device on it; `None` for a MIG device that is gone,
/// as the GPU's list of them must agree.
fn present_on<'n>(
    node: &Node<'n>,
    gpu: nvml::Device<'n>,
    gpu_uuid: &str,
    uuid: &str,
) -> Result<Option<nvml::Device<'n>>, NvmlError> {
    if uuid == gpu_uuid {
        return Ok(Some(gpu));
    }
    match node.nvml.device_by_uuid(uuid) {
        Ok(device) => Ok(Some(device)),
        Err(error) if error.is(Code::NotFound) && !mig::has_device(&gpu, uuid)? => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &NvmlError) -> bool {
    error.is(Code::NotFound) || error.is(Code::GpuIsLost)
}

/// Whether the GPU of a step is lost, which one answer alone doesn't prove.
fn is_lost(node: &Node<'_>, step: &Step) -> Result<bool, NvmlError> {
    step.gpu().map_or(Ok(false), |gpu| is_listed(node, gpu).map(|listed| !listed))
}

/// Whether the driver lists the GPU as one that answers.
fn is_listed(node: &Node<'_>, gpu: &str) -> Result<bool, NvmlError> {
    let nvml = node.nvml.get()?;
    for index in 0..nvml.device_count()? {
        match nvml.device(index).and_then(|device| device.uuid()) {
            Ok(uuid) if uuid == gpu => return Ok(true),
            Err(error) if !is_gone(&error) => return Err(error),
            // Another, or a lost one, which may be this.
            _ => {}
        }
    }
    Ok(false)
}

fn record(device: &Device, what: &'static str) -> ShareError {
    ShareError::Record { device: device.id.to_string(), what }
}

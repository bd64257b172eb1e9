//! Takes claims back: the CDI file first, then, where the last claim leaves a device, its steps backwards.

use super::journal::{self, InUse, StepError};
use super::spec_file;
use crate::claim::repair::{self, Now, Signs, Verdict};
use crate::claim::store::{DirectoryLock, Store, StoreError};
use crate::claim::{Claim, ClaimId, Device, DeviceId, Owner, Phase};
use crate::history::{self, Event};
use crate::host::{Host, Liveness};
use crate::share::{self, Node};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How a release ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// The claim is gone and its devices are as they were.
    Done,
    /// There was no such claim.
    Absent,
    /// Somebody still uses a device: the claim stays, releasing, and `divvy reconcile` tries again.
    InUse {
        /// The step whose undo has to wait.
        what: String,
        /// Who uses it, where the driver says.
        pids: Vec<u32>,
    },
}

/// When a claim may be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Unless a container that lives has it.
    Unbound,
    /// Only if it does not stand: its owner is dead, or its work was left half done.
    Dead,
    /// Whatever is true of it.
    Always,
}

/// Why a claim was not taken back.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A living container has it.
    #[error(
        "claim {id} is held by the running container {container} (process {pid}): stop it first, or use --force"
    )]
    Held {
        /// The claim.
        id: ClaimId,
        /// The container's id.
        container: String,
        /// Its first process.
        pid: u32,
    },
    /// Another process is preparing or releasing it.
    #[error("busy: process {pid} is {doing} claim {id}; try again")]
    Working {
        /// The claim.
        id: ClaimId,
        /// The process.
        pid: u32,
        /// `preparing` or `releasing`.
        doing: &'static str,
    },
    /// The CDI file can't be removed: the devices must not go while an engine can still name them.
    #[error(transparent)]
    SpecFile(#[from] spec_file::SpecFileError),
    /// A step can't be undone.
    #[error("claim {id} is not released yet, `divvy reconcile` will try again: {error}")]
    Step {
        /// The claim.
        id: ClaimId,
        /// What failed.
        error: Box<StepError>,
    },
    /// A step of a device that no claim names can't be undone.
    #[error(
        "device record {id} of no claim is not undone yet, `divvy reconcile` will try again: {error}"
    )]
    Orphan {
        /// The device record.
        id: DeviceId,
        /// What failed.
        error: Box<StepError>,
    },
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine.
    #[error(transparent)]
    Host(#[from] std::io::Error),
}

/// Takes one claim back. Doing it again, or after a crash, goes on where it stopped.
///
/// # Errors
/// Where the claim is held or worked on, and where the undo fails; the claim then stays, releasing.
pub fn release(
    node: &Node,
    store: &Store,
    id: &ClaimId,
    when: When,
    patience: Duration,
) -> Result<Released, ReleaseError> {
    let start = Instant::now();
    let Some((claim, was)) = begin(node.host, store, id, when, patience)? else {
        return Ok(Released::Absent);
    };
    spec_file::remove(node.host, id)?;
    let gpus = gpus_of(&store.devices_of(std::slice::from_ref(&claim))?);
    let _gpus = store.lock_gpus(&gpus.iter().map(String::as_str).collect(), patience)?;
    let mut last = retire(store, &claim, patience)?;
    for device in &mut last {
        let undone = undo(node, store, device);
        let step = |error: StepError| ReleaseError::Step { id: id.clone(), error: error.into() };
        if let Some(InUse { what, pids }) = undone.map_err(step)? {
            return Ok(Released::InUse { what, pids });
        }
    }
    store.remove_claim(&store.lock(patience)?, id)?;
    // What was never granted is cleared up, not released.
    if was != Phase::Intent {
        let mode = claim.requests.sharing_mode();
        history::count(node.host, Event::Released { mode, took: start.elapsed() });
    }
    Ok(Released::Done)
}

/// What a release would undo, and nothing is changed: the device records that no other claim holds, last made first.
/// `None` where there is no such claim.
///
/// # Errors
/// As for [`release`], where it would not begin.
pub fn look(
    host: &Host,
    store: &Store,
    id: &ClaimId,
    when: When,
) -> Result<Option<Vec<Device>>, ReleaseError> {
    let Some(claim) = store.claim(id)? else { return Ok(None) };
    if !may_release(host, &claim, when)? {
        return Ok(None);
    }
    let others = store.claims()?;
    let held = |device: &Device| {
        others.iter().any(|other| other.id != claim.id && other.holds(&device.id))
    };
    let mut last = store.devices_of(std::slice::from_ref(&claim))?;
    last.retain(|device| !held(device));
    last.sort_by_key(|device| claim.foundations.contains(&device.id));
    Ok(Some(last))
}

/// The GPUs that device records are on.
pub(super) fn gpus_of(devices: &[Device]) -> BTreeSet<String> {
    devices.iter().flat_map(|device| &device.targets).map(|target| target.gpu.clone()).collect()
}

/// Writes down that the claim is being released by this process, and tells how far it was before.
fn begin(
    host: &Host,
    store: &Store,
    id: &ClaimId,
    when: When,
    patience: Duration,
) -> Result<Option<(Claim, Phase)>, ReleaseError> {
    let lock = store.lock(patience)?;
    let Some(mut claim) = store.claim(id)? else { return Ok(None) };
    if !may_release(host, &claim, when)? {
        return Ok(None);
    }
    let was = std::mem::replace(&mut claim.phase, Phase::Releasing);
    claim.worker = host.this_process()?;
    save(store, &lock, &claim)?;
    Ok(Some((claim, was)))
}

fn may_release(host: &Host, claim: &Claim, when: When) -> Result<bool, ReleaseError> {
    let now = Now { identity: host.identity()?, uptime_ms: host.uptime_ms() };
    let signs = signs(host, claim);
    let verdict = repair::judge(claim, signs, &now);
    if when == When::Dead {
        return Ok(verdict != Verdict::Stands);
    }
    let me = claim.worker == host.this_process()?;
    let doing = match claim.phase {
        Phase::Intent => Some("preparing"),
        Phase::Releasing => Some("releasing"),
        Phase::Granted | Phase::Bound => None,
    };
    match (doing, &claim.owner) {
        (Some(doing), _) if !me && signs.worker == Liveness::Alive => {
            Err(ReleaseError::Working { id: claim.id.clone(), pid: claim.worker.pid, doing })
        }
        (None, Owner::Container { container, process, .. })
            if when == When::Unbound && verdict == Verdict::Stands =>
        {
            let container = container.id.clone();
            Err(ReleaseError::Held { id: claim.id.clone(), container, pid: process.pid })
        }
        _ => Ok(true),
    }
}

/// Looks at the processes that a claim names.
pub(super) fn signs(host: &Host, claim: &Claim) -> Signs {
    let (owner, cgroup_populated) = match &claim.owner {
        Owner::Caller => (Liveness::Unknown, false),
        Owner::Start { process } => (host.liveness(process), false),
        Owner::Container { process, cgroup, .. } => {
            (host.liveness(process), cgroup.as_ref().is_some_and(|cgroup| host.populated(cgroup)))
        }
    };
    // Who prepared a claim that is ready may be gone; nobody asks.
    let worker = match claim.phase {
        Phase::Intent | Phase::Releasing => host.liveness(&claim.worker),
        Phase::Granted | Phase::Bound => Liveness::Unknown,
    };
    Signs { worker, owner, cgroup_populated }
}

/// Writes a claim with the GPUs that it is on.
pub(super) fn save(store: &Store, lock: &DirectoryLock, claim: &Claim) -> Result<(), StoreError> {
    let gpus = gpus_of(&store.devices_of(std::slice::from_ref(claim))?);
    store.save_claim(lock, claim, &gpus.iter().map(String::as_str).collect())
}

/// Closes to others the devices that no other claim names, and gives them, last made first.
fn retire(store: &Store, claim: &Claim, patience: Duration) -> Result<Vec<Device>, StoreError> {
    let _lock = store.lock(patience)?;
    let mut last = store.devices_of(std::slice::from_ref(claim))?;
    let gpus = gpus_of(&last);
    let others = store.claims_on(&gpus.iter().map(String::as_str).collect())?;
    last.retain(|device| {
        !others.iter().any(|other| other.id != claim.id && other.holds(&device.id))
    });
    for device in &mut last {
        device.retiring = true;
        store.save_device(device)?;
    }
    // What others stand on goes after them.
    last.sort_by_key(|device| claim.foundations.contains(&device.id));
    Ok(last)
}

/// Undoes a device record. One of an older boot or driver load has little left to undo.
pub(super) fn undo(
    node: &Node,
    store: &Store,
    device: &mut Device,
) -> Result<Option<InUse>, StepError> {
    if node.host.identity()? == device.identity {
        return journal::unmake(node, store, device);
    }
    for entry in device.steps.iter().rev() {
        share::undo_outlived(node.host, node.settings, entry)?;
    }
    store.remove_device(&device.id)?;
    Ok(None)
}

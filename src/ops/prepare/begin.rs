//! The first half: under the directory lock, from the records to a plan that is written down.

use super::{Ask, Attempt, PrepareError};
use crate::claim::repair::{self, Now, Verdict};
use crate::claim::store::{DirectoryLock, Store};
use crate::claim::{Claim, ClaimId, Device, DeviceId, Entry, Part, Phase, lost_devices};
use crate::config::{Config, Enforced};
use crate::host::{Host, ProcessRef};
use crate::inventory::{Gpu, Inventory, Scope};
use crate::ops::grant::GrantError;
use crate::ops::release;
use crate::plan::{self, DeviceRef, Plan, PlannedPart, Refusal};
use crate::request::{MpsLimits, Requests};
use crate::share::Node;
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far the first half came.
pub(super) enum Begun {
    /// The claim was there, and is ready.
    Ready(Claim),
    /// The claim is there, and another process works on it.
    Worked(Claim),
    /// Another process takes this claim back, which is in the way.
    Leaving(Claim),
    /// These claims are dead, or half made, and have to go first.
    Dead(Vec<ClaimId>),
    /// Nothing fits; but the node was looked at before the lock was taken, and may be another by now.
    Stale,
    /// The plan is written down.
    Intent(Box<Intent>),
}

/// A plan that is written down.
pub(super) struct Intent {
    pub(super) claim: Claim,
    /// Control daemons that the claim joins, and what their limits must be at least.
    pub(super) raise: Vec<(DeviceId, MpsLimits)>,
    /// Who must see to it, for each part, that the claim gets no more.
    pub(super) required: Vec<Enforced>,
}

pub(super) fn begin(
    node: &Node,
    store: &Store,
    config: &Config,
    ask: &Ask,
    attempt: &mut Attempt,
) -> Result<Begun, PrepareError> {
    let early = (!attempt.locked).then(|| node.nvml.inventory(Scope::Full)).transpose()?;
    let lock = store.lock(attempt.left())?;
    let now = Now { identity: node.host.identity()?, uptime_ms: node.host.uptime_ms() };
    let dead = |claim: &Claim| {
        repair::judge(claim, release::signs(node.host, claim), &now) != Verdict::Stands
    };
    let inventory = early.map_or_else(|| node.nvml.inventory(Scope::Full), Ok)?;
    if let Some(there) = store.claim(&ask.id)? {
        if dead(&there) {
            return Ok(Begun::Dead(vec![there.id]));
        }
        let devices = store.devices_of(std::slice::from_ref(&there))?;
        let lost =
            lost_devices(&there, &devices, &inventory).first().map(|uuid| (*uuid).to_owned());
        return existing(ask, there, lost);
    }
    let claims = store.claims_on(&considered(&inventory, &ask.requests))?;
    let gone = claims.iter().filter(|claim| dead(claim)).map(|claim| claim.id.clone());
    let gone: Vec<ClaimId> = gone.filter(|id| attempt.tried.insert(id.clone())).collect();
    if !gone.is_empty() {
        return Ok(Begun::Dead(gone));
    }
    let devices = store.devices_of(&claims)?;
    let situation =
        plan::Node { inventory: &inventory, claims: &claims, devices: &devices, config };
    match plan::plan(&ask.requests, ask.uid, situation) {
        Ok(plan) => Ok(Begun::Intent(Box::new(write(node.host, store, &lock, ask, plan)?))),
        Err(refusal) => match leaving(&claims, &refusal, &node.host.this_process()?, attempt) {
            Some(claim) => Ok(Begun::Leaving(claim)),
            None if attempt.locked => Err(PrepareError::Refused(refusal)),
            None => Ok(Begun::Stale),
        },
    }
}

/// A claim that is in the way and on its way out, by another process: one container's end is often the next one's
/// start. Each is waited for once.
fn leaving(
    claims: &[Claim],
    refusal: &Refusal,
    own: &ProcessRef,
    attempt: &mut Attempt,
) -> Option<Claim> {
    let leaves = |claim: &&Claim| {
        claim.phase == Phase::Releasing && claim.worker != *own && refusal.names(claim.id.as_str())
    };
    let claim = claims.iter().filter(leaves).find(|claim| !attempt.awaited.contains(&claim.id))?;
    attempt.awaited.insert(claim.id.clone());
    Some(claim.clone())
}

/// A claim of this id stands already, and may have lost a device.
fn existing(ask: &Ask, there: Claim, lost: Option<String>) -> Result<Begun, PrepareError> {
    if there.requests != ask.requests || there.uid != ask.uid {
        return Err(PrepareError::Different { there: there.requests.to_string(), id: there.id });
    }
    match (there.phase, lost) {
        (Phase::Granted | Phase::Bound, Some(device)) => {
            Err(GrantError::Lost { claim: there.id, device }.into())
        }
        (Phase::Granted | Phase::Bound, None) => Ok(Begun::Ready(there)),
        (Phase::Intent | Phase::Releasing, _) => Ok(Begun::Worked(there)),
    }
}

/// The GPUs that the requests could land on, by UUID.
fn considered<'a>(inventory: &'a Inventory, requests: &Requests) -> BTreeSet<&'a str> {
    let could = |gpu: &&Gpu| {
        requests.iter().any(|request| request.pin().is_none_or(|pin| pin.matches(gpu)))
    };
    inventory.gpus.iter().filter(could).map(|gpu| gpu.uuid.as_str()).collect()
}

/// Writes the plan down, device records first: a claim never names one that isn't there.
fn write(
    host: &Host,
    store: &Store,
    lock: &DirectoryLock,
    ask: &Ask,
    plan: Plan,
) -> Result<Intent, PrepareError> {
    let identity = host.identity()?;
    let mut made = Vec::new();
    for new in plan.new {
        let device = Device {
            id: DeviceId::random(host.random()?),
            purpose: new.purpose,
            targets: new.targets,
            steps: new.steps.into_iter().map(Entry::planned).collect(),
            identity: identity.clone(),
            retiring: false,
        };
        store.save_device(&device)?;
        made.push(device.id);
    }
    let id_of = |device: &DeviceRef| match device {
        DeviceRef::Join(id) => Some(id.clone()),
        DeviceRef::New(index) => made.get(*index).cloned(),
    };
    let part = |part: &PlannedPart| {
        let device = id_of(&part.device)?;
        Some(Part { request: part.request, device, limits: part.limits, enforced: part.enforced })
    };
    let raise = |part: &PlannedPart| Some((id_of(&part.device)?, part.raise_daemon?));
    let claim = Claim {
        id: ask.id.clone(),
        phase: Phase::Intent,
        requests: ask.requests.clone(),
        uid: ask.uid,
        owner: ask.owner.clone(),
        worker: host.this_process()?,
        identity,
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs()),
        created_uptime_ms: host.uptime_ms(),
        parts: plan.parts.iter().filter_map(part).collect(),
        foundations: plan.foundations.iter().filter_map(id_of).collect(),
    };
    release::save(store, lock, &claim)?;
    let raise = plan.parts.iter().filter_map(raise).collect();
    Ok(Intent { claim, raise, required: plan.parts.iter().map(|part| part.required).collect() })
}

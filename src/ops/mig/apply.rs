//! Brings GPUs to a layout.

use super::act::Work;
use super::{MigError, mode_change};
use crate::claim::repair::{self, Now, Verdict};
use crate::claim::store::{Store, StoreError};
use crate::claim::{Before, Purpose};
use crate::compat::mig_parted::{Entry, Want};
use crate::config::Config;
use crate::inventory::{Inventory, Scope};
use crate::ops::release::{self, When};
use crate::plan;
use crate::plan::layout::{
    self, GpuPlan, Note, Permission, Refusal, Refused, Selection, Waits, select,
};
use crate::share::Node;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What is to be applied, and how.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The layout.
    pub entries: &'a [Entry],
    /// What is allowed.
    pub permission: Permission,
    /// Whether nothing is to be done but said.
    pub dry_run: bool,
    /// How long other processes may keep this one waiting, in all.
    pub patience: Duration,
}

/// How far a node or a GPU is, in mig-manager's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It is what it should be.
    Success,
    /// It waits for a reset of the GPU.
    Pending,
    /// It waits for a reboot.
    Rebooting,
    /// A step failed, and what was done is undone.
    Failed,
}

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Report {
    /// The state of the GPU that is least far; absent where nothing was to be done but said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The GPUs that the layout is for.
    pub gpus: Vec<GpuPlan>,
    /// What whoever asked should know.
    pub notes: Vec<Note>,
}

/// Brings the GPUs of a layout to it, or nothing is changed.
///
/// # Errors
/// The layout is none for this node, something is in the way, or a step fails; then what was done is undone.
pub fn apply(
    node: &Node<'_>,
    store: &Store,
    config: &Config,
    ask: &Ask<'_>,
) -> Result<Report, MigError> {
    let deadline = Instant::now() + ask.patience;
    let left = || deadline.saturating_duration_since(Instant::now());
    let early = node.nvml.inventory(Scope::Full)?;
    let gpus = uuids(&select(ask.entries, &early)?);
    let gpus: BTreeSet<&str> = gpus.iter().map(String::as_str).collect();
    if ask.dry_run {
        let (gpus, notes) = allowed(planned(node, store, config, ask, &early)?)?;
        return Ok(Report { state: None, gpus, notes });
    }
    take_back_dead(node, store, &gpus, &left)?;
    let _gpus = store.lock_gpus(&gpus, left())?;
    // Whoever plans meanwhile sees what is, and waits for the GPUs.
    let lock = store.lock(left())?;
    let inventory = node.nvml.inventory(Scope::Full)?;
    let (plans, notes) = allowed(planned(node, store, config, ask, &inventory)?)?;
    drop(lock);
    let mut work = Work::new(node, store);
    for plan in &plans {
        if let Err(cause) = work.gpu(plan, &inventory) {
            return Err(MigError::Act(Box::new(work.undo(plan, cause))));
        }
    }
    for target in select(ask.entries, &inventory)?.targets {
        if matches!(target.entry.want, Want::On(_)) {
            keep_mode(store, &target.gpu.uuid)?;
        }
    }
    let state = plans.iter().map(state_of).max();
    Ok(Report { state: Some(state.unwrap_or(State::Success)), gpus: plans, notes })
}

/// MIG mode that was turned on for claims would go off with the last of them. The layout wants it on: it is
/// no longer theirs to undo.
fn keep_mode(store: &Store, gpu: &str) -> Result<(), StoreError> {
    for mut device in store.devices()? {
        if device.purpose == Purpose::MigMode && device.on_gpu(gpu) {
            for entry in device.steps.iter_mut().filter(|entry| entry.outcome.is_some()) {
                entry.before = Some(Before::MigMode(true));
            }
            store.save_device(&device)?;
        }
    }
    Ok(())
}

fn state_of(plan: &GpuPlan) -> State {
    match plan.waits {
        None => State::Success,
        Some(Waits::Reset) => State::Pending,
        Some(Waits::Reboot) => State::Rebooting,
    }
}

fn uuids(selection: &Selection<'_>) -> Vec<String> {
    selection.targets.iter().map(|target| target.gpu.uuid.clone()).collect()
}

/// Plans, refusals and notes.
type Planned = (Vec<GpuPlan>, Vec<Refusal>, Vec<Note>);

/// Plans all GPUs, before any is touched.
pub(super) fn planned(
    node: &Node<'_>,
    store: &Store,
    config: &Config,
    ask: &Ask<'_>,
    inventory: &Inventory,
) -> Result<Planned, MigError> {
    let Selection { targets, notes } = select(ask.entries, inventory)?;
    let claims = store.claims()?;
    // A record that no claim names yet, or no longer, stands for a device all the same.
    let devices = store.devices()?;
    let situation = plan::Node { inventory, claims: &claims, devices: &devices, config };
    let (mut plans, mut refused) = (Vec::new(), Vec::new());
    for target in &targets {
        let change = mode_change(node, target)?;
        match layout::plan(target, situation, change, ask.permission)? {
            Ok(plan) => plans.push(plan),
            Err(refusal) => refused.push(refusal),
        }
    }
    Ok((plans, refused, notes))
}

fn allowed((plans, refused, notes): Planned) -> Result<(Vec<GpuPlan>, Vec<Note>), Refused> {
    if refused.is_empty() { Ok((plans, notes)) } else { Err(Refused { gpus: refused }) }
}

/// Takes back what dead claims hold on the GPUs: it is in nobody's use.
fn take_back_dead(
    node: &Node<'_>,
    store: &Store,
    gpus: &BTreeSet<&str>,
    left: &dyn Fn() -> Duration,
) -> Result<(), MigError> {
    let now = Now { identity: node.host.identity()?, uptime_ms: node.host.uptime_ms() };
    for claim in store.claims_on(gpus)? {
        let signs = release::signs(node.host, &claim);
        if repair::judge(&claim, signs, &now) != Verdict::Stands {
            release::release(node, store, &claim.id, When::Dead, left())?;
        }
    }
    Ok(())
}

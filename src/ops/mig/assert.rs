//! Whether GPUs are what a layout says.

use super::MigError;
use super::apply::{Ask, planned};
use crate::claim::store::Store;
use crate::compat::mig_parted::Entry;
use crate::config::Config;
use crate::inventory::Scope;
use crate::plan::layout::{GpuPlan, Note, Permission, Refusal};
use crate::share::Node;
use serde::Serialize;
use std::time::Duration;

/// What lies between GPUs and a layout.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct Differences {
    /// Whether there is nothing.
    pub is_right: bool,
    /// What would have to be done, on each GPU that the layout is for.
    pub gpus: Vec<GpuPlan>,
    /// GPUs that are not right, and that something keeps from becoming so.
    pub refused: Vec<Refusal>,
    /// What whoever asked should know.
    pub notes: Vec<Note>,
}

/// Compares the GPUs that a layout is for with it. Other GPUs don't count: a layout that is for some of them
/// can hold.
///
/// # Errors
/// The layout is none for this node, or the node can't be read.
pub fn assert(
    node: &Node<'_>,
    store: &Store,
    config: &Config,
    entries: &[Entry],
    mode_only: bool,
) -> Result<Differences, MigError> {
    // Whose GPU it is doesn't matter, where nothing is changed.
    let permission = Permission { mode_only, unmanaged: true };
    let ask = Ask { entries, permission, dry_run: true, patience: Duration::ZERO };
    let inventory = node.nvml.inventory(Scope::Full)?;
    let (plans, refused, notes) = planned(node, store, config, &ask, &inventory)?;
    let is_right = refused.is_empty() && plans.iter().all(GpuPlan::is_right);
    Ok(Differences { is_right, gpus: plans, refused, notes })
}

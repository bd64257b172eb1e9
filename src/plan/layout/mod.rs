//! From what GPUs should be cut into to the shortest way there, or to why it can't be gone.
//!
//! What stands and is wanted stays where it is. Of the ways that destroy the fewest GPU instances, the one
//! that destroys the fewest compute instances is taken, then the one that leaves the most profiles
//! possible in what stays free. What is in use is never destroyed: a way that would have to is refused.

mod error;
mod goal;
mod obstacle;
mod search;
mod select;
mod standing;
mod steps;
#[cfg(test)]
mod tests;

pub use error::LayoutError;
pub use obstacle::{Obstacle, Refusal, Refused};
pub use select::{Note, Selection, Target, select};
pub use steps::{Instance, Step};

use super::Node;
use super::table::GeometryMemo;
use crate::compat::mig_parted::Want;
use crate::inventory::{Gpu, Mig};
use goal::Piece;
use serde::Serialize;
use standing::Standing;

/// What the administrator allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// MIG modes alone are changed, and no instances made.
    pub mode_only: bool,
    /// MIG mode may change on GPUs that divvy doesn't manage, too.
    pub unmanaged: bool,
}

/// What would be done to a GPU.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
pub struct GpuPlan {
    /// NVML's index.
    pub index: u32,
    /// `GPU-…`.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// What has to be done, in order.
    pub steps: Vec<Step>,
    /// GPU instances that stand already and stay.
    pub kept: usize,
    /// What comes with a reset of the GPU, or with a reboot, and not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// GPU instances that stay and were made for claims: they go with them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of_claims: Vec<String>,
}

/// What a change of MIG mode waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// A reset of the GPU.
    Reset,
    /// A reboot: the GPU can't be reset alone.
    Reboot,
}

/// How a GPU's MIG mode changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeChange {
    /// At once.
    AtOnce,
    /// When something else happens.
    After(Waits),
}

impl GpuPlan {
    /// Whether the GPU is what it should be.
    pub fn is_right(&self) -> bool {
        self.steps.is_empty() && self.waits.is_none()
    }
}

/// Plans one GPU. `change` is how its MIG mode would change.
///
/// # Errors
/// The GPU can't be what is wanted, whatever stands there.
pub fn plan(
    target: &Target<'_>,
    node: Node<'_>,
    change: ModeChange,
    permission: Permission,
) -> Result<Result<GpuPlan, Refusal>, LayoutError> {
    let gpu = target.gpu;
    let mut plan = GpuPlan {
        index: gpu.index,
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone(),
        steps: Vec::new(),
        kept: 0,
        waits: None,
        of_claims: Vec::new(),
    };
    let Some(mig) = &gpu.mig else { return Ok(Ok(plan)) };
    let pieces = goal::pieces(gpu, mig, target.entry)?;
    let board = Board { gpu, mig, memo: GeometryMemo::of(mig) };
    search::fits_at_all(&board, &pieces, target.entry)?;
    let on = matches!(target.entry.want, Want::On(_));
    let standing = standing::standing(gpu, mig, node);
    let terms = Terms { node, change, permission };
    let planned = match mode(&board, on, terms, &mut plan) {
        Err(obstacle) => Err(vec![obstacle]),
        Ok(()) if !on => off(&board, &standing, &mut plan),
        // With the reset, or where the mode is all that is wanted.
        Ok(()) if plan.waits.is_some() || permission.mode_only => Ok(()),
        Ok(()) => cut(&board, &standing, &pieces, &mut plan),
    };
    let refusal = |obstacles| Refusal {
        index: gpu.index,
        uuid: gpu.uuid.clone(),
        name: gpu.name.clone(),
        obstacles,
    };
    Ok(planned.map(|()| plan).map_err(refusal))
}

/// A GPU that can do MIG.
struct Board<'a> {
    gpu: &'a Gpu,
    mig: &'a Mig,
    memo: GeometryMemo,
}

/// What a change of MIG mode depends on.
#[derive(Clone, Copy)]
struct Terms<'a> {
    node: Node<'a>,
    change: ModeChange,
    permission: Permission,
}

/// Adds the change of MIG mode, where there is one.
fn mode(board: &Board<'_>, on: bool, terms: Terms<'_>, plan: &mut GpuPlan) -> Result<(), Obstacle> {
    let Terms { node, change, permission } = terms;
    let Mig { enabled, pending, .. } = *board.mig;
    if enabled == on && pending == on {
        return Ok(());
    }
    if enabled != on {
        obstacle::to_mode_change(board.gpu, node)?;
        plan.waits = match change {
            ModeChange::AtOnce => None,
            ModeChange::After(waits) => Some(waits),
        };
    }
    // A change that was asked for already has only to come.
    if pending != on || plan.waits.is_none() {
        if !node.config.policy(board.gpu).managed && !permission.unmanaged {
            return Err(Obstacle::Unmanaged { on });
        }
        plan.steps.push(Step::SetMigMode { on });
    }
    Ok(())
}

/// Adds what has to go before MIG mode can be off.
fn off(
    board: &Board<'_>,
    standing: &[Standing<'_>],
    plan: &mut GpuPlan,
) -> Result<(), Vec<Obstacle>> {
    let held: Vec<Obstacle> = standing.iter().filter_map(Standing::obstacle).collect();
    if !held.is_empty() {
        return Err(held);
    }
    if board.mig.enabled {
        let mode = std::mem::take(&mut plan.steps);
        plan.steps = standing.iter().flat_map(|instance| steps::destroy(instance, &[])).collect();
        plan.steps.extend(mode);
    }
    Ok(())
}

/// Adds the way from the instances that stand to those that are wanted.
fn cut(
    board: &Board<'_>,
    standing: &[Standing<'_>],
    pieces: &[Piece<'_>],
    plan: &mut GpuPlan,
) -> Result<(), Vec<Obstacle>> {
    let way = search::way(board, standing, pieces)
        .ok_or_else(|| obstacle::in_the_way(standing, pieces))?;
    plan.kept = way.kept();
    let kept = standing.iter().zip(&way.keep).filter(|(_, piece)| piece.is_some());
    plan.of_claims = kept.filter_map(|(instance, _)| instance.goes_with_claims()).collect();
    plan.steps.extend(steps::steps(standing, pieces, &way));
    Ok(())
}

//! Puts back what was there before a step failed.

use super::act::{ActError, Cause, Done, Failed, Work, gone};
use crate::plan::layout::GpuPlan;
use crate::share::{self, End, Running, layout as instances};
use std::fmt;

impl Work<'_> {
    /// Undoes everything that was done, on all GPUs, and tells what failed and what is left.
    pub(super) fn undo(mut self, plan: &GpuPlan, failed: Failed) -> ActError {
        let mut undone = Vec::new();
        for done in std::mem::take(&mut self.done).into_iter().rev() {
            let (words, gpu) = done.undoing();
            let running = Running::begin(self.node, share::Work::LayoutUndo(&words), gpu);
            match self.undo_one(&done) {
                Ok(()) => running.over(End::Done),
                Err(cause) => undone.push(format!("{done}, and that stays ({cause})")),
            }
        }
        ActError { gpu: plan.index, what: failed.what, cause: failed.cause, undone }
    }

    fn undo_one(&mut self, done: &Done) -> Result<(), Cause> {
        match done {
            Done::Mode { gpu, on } => {
                instances::set_mig_mode(self.node, gpu, !on)?;
            }
            Done::DestroyedCompute { gpu, at, profile_id, nodes } => {
                let standing = self.at(gpu, *at)?;
                let made = instances::create_compute_instance(self.node, standing, *profile_id);
                let (id, _) = made?;
                if !nodes.is_empty() {
                    let mut more = instances::make_nodes(self.node, gpu, standing.id, id)?;
                    more.retain(|node| !nodes.contains(node));
                    instances::remove_nodes(self.node, &more)?;
                }
            }
            Done::DestroyedInstance { gpu, profile_id, profile, placement } => {
                self.create_instance(gpu, (*profile_id, profile), *placement)?;
            }
            Done::CreatedInstance { gpu, at } => {
                let standing = self.at(gpu, *at)?;
                gone(instances::destroy_gpu_instance(self.node, standing)?, standing)?;
                self.standing.remove(&(gpu.clone(), *at));
            }
            Done::CreatedCompute { gpu, at, ids, uuid } => {
                let standing = self.at(gpu, *at)?;
                let undone = instances::destroy_compute_instance(self.node, standing, *ids, uuid)?;
                gone(undone, standing)?;
            }
            Done::MadeNodes { nodes } => instances::remove_nodes(self.node, nodes)?,
        }
        Ok(())
    }
}

impl Done {
    /// What its undo does, and on which GPU.
    fn undoing(&self) -> (String, Option<&str>) {
        let (words, gpu) = match self {
            Done::Mode { gpu, .. } => ("restoring MIG mode".to_owned(), Some(gpu)),
            Done::DestroyedCompute { gpu, .. } => {
                ("creating the compute instance again".to_owned(), Some(gpu))
            }
            Done::DestroyedInstance { gpu, profile, .. } => {
                (format!("creating GPU instance {profile} again"), Some(gpu))
            }
            Done::CreatedInstance { gpu, .. } => {
                ("destroying the new GPU instance".to_owned(), Some(gpu))
            }
            Done::CreatedCompute { gpu, .. } => {
                ("destroying the new compute instance".to_owned(), Some(gpu))
            }
            Done::MadeNodes { .. } => ("removing new capability nodes".to_owned(), None),
        };
        (words, gpu.map(String::as_str))
    }
}

/// What is left, where it can't be undone.
impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Done::Mode { gpu, on } => {
                write!(f, "MIG mode of {gpu} was turned {}", if *on { "on" } else { "off" })
            }
            Done::DestroyedCompute { gpu, at, .. } => {
                write!(f, "a compute instance at {} of {gpu} was destroyed", at.start)
            }
            Done::DestroyedInstance { gpu, profile, placement, .. } => {
                write!(f, "{profile} at {} of {gpu} was destroyed", placement.start)
            }
            Done::CreatedInstance { gpu, at } => {
                write!(f, "a GPU instance was made at {} of {gpu}", at.start)
            }
            Done::CreatedCompute { gpu, at, .. } => {
                write!(f, "a compute instance was made at {} of {gpu}", at.start)
            }
            Done::MadeNodes { .. } => f.write_str("capability nodes were made"),
        }
    }
}

//! Carries plans out, and remembers what it did.

use crate::claim::store::{Store, StoreError};
use crate::claim::{Device, MigTarget, Purpose, Target};
use crate::inventory::{Gpu, Inventory, Placement, ProfileName};
use crate::plan::layout::{GpuPlan, Instance, Step};
use crate::share::layout::{self as instances, ModeSet, Nodes, Standing};
use crate::share::{self, End, Node, Running, ShareError, Undone};
use std::collections::{BTreeMap, BTreeSet};

/// Why a layout was not applied.
#[derive(Debug, thiserror::Error)]
#[error("GPU {gpu}: can't {what}: {cause}; {}", self.left())]
pub struct ActError {
    /// NVML's index.
    pub gpu: u32,
    /// The step.
    pub what: String,
    /// Why it failed.
    pub cause: Cause,
    /// What couldn't be undone of what was done before.
    pub undone: Vec<String>,
}

impl ActError {
    fn left(&self) -> String {
        match self.undone.is_empty() {
            true => "everything is as it was before".to_owned(),
            false => format!("not everything is as it was before: {}", self.undone.join("; ")),
        }
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The node.
    #[error(transparent)]
    Share(Box<ShareError>),
    /// Somebody uses by now what was idle.
    #[error("it is in use{}", by(pids))]
    InUse {
        /// Who, as far as the driver says.
        pids: Vec<u32>,
    },
    /// A claim has by now what was idle.
    #[error("claim {0} has it by now")]
    Claimed(String),
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn by(pids: &[u32]) -> String {
    match pids {
        [] => String::new(),
        pids => format!(" by the processes {pids:?}"),
    }
}

impl From<ShareError> for Cause {
    fn from(error: ShareError) -> Cause {
        Cause::Share(Box::new(error))
    }
}

/// A step that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) what: String,
    pub(super) cause: Cause,
}

/// Something that was done, with what its undo needs.
#[derive(Clone, Debug)]
pub(super) enum Done {
    Mode { gpu: String, on: bool },
    DestroyedCompute { gpu: String, at: Placement, profile_id: u32, nodes: Nodes },
    DestroyedInstance { gpu: String, profile_id: u32, profile: ProfileName, placement: Placement },
    CreatedInstance { gpu: String, at: Placement },
    CreatedCompute { gpu: String, at: Placement, ids: (u32, u32), uuid: String },
    MadeNodes { nodes: Nodes },
}

/// A GPU instance's place: the GPU's UUID, and where it stands.
type Place = (String, Placement);

/// What is being done to the node.
pub(super) struct Work<'a> {
    pub(super) node: &'a Node<'a>,
    store: &'a Store,
    /// Driver and profile ids of the GPU instances that stand now.
    pub(super) standing: BTreeMap<Place, (u32, u32)>,
    pub(super) done: Vec<Done>,
}

impl<'a> Work<'a> {
    pub(super) fn new(node: &'a Node<'a>, store: &'a Store) -> Work<'a> {
        Work { node, store, standing: BTreeMap::new(), done: Vec::new() }
    }

    /// Does what is planned for one GPU.
    pub(super) fn gpu(&mut self, plan: &GpuPlan, inventory: &Inventory) -> Result<(), Failed> {
        let gpu = inventory.gpus.iter().find(|gpu| gpu.uuid == plan.uuid);
        for instance in gpu.iter().flat_map(|gpu| &gpu.mig).flat_map(|mig| &mig.instances) {
            let ids = (instance.id, instance.profile_id);
            self.standing.insert((plan.uuid.clone(), instance.placement), ids);
        }
        for step in &plan.steps {
            let failed = |cause| Failed { what: step.to_string(), cause };
            let running = Running::begin(self.node, share::Work::Layout(step), Some(&plan.uuid));
            self.step(&plan.uuid, step).map_err(failed)?;
            running.over(End::Done);
        }
        let failed = |cause| Failed { what: "make the nodes of what stays".to_owned(), cause };
        gpu.map_or(Ok(()), |gpu| self.nodes_of_what_stays(gpu, plan).map_err(failed))
    }

    /// MIG devices that stay may lack nodes: who made them may have made none, or a crash came before.
    fn nodes_of_what_stays(&mut self, gpu: &Gpu, plan: &GpuPlan) -> Result<(), Cause> {
        let gone: BTreeSet<&str> = (plan.steps.iter())
            .filter_map(|step| match step {
                Step::DestroyComputeInstance { uuid, .. } => Some(uuid.as_str()),
                _ => None,
            })
            .collect();
        for instance in gpu.mig.iter().flat_map(|mig| &mig.instances) {
            let stay = instance.compute_instances.iter();
            for compute in stay.filter(|compute| !gone.contains(compute.uuid.as_str())) {
                let nodes = instances::make_nodes(self.node, &gpu.uuid, instance.id, compute.id)?;
                self.done.extend((!nodes.is_empty()).then_some(Done::MadeNodes { nodes }));
            }
        }
        Ok(())
    }

    fn step(&mut self, gpu: &str, step: &Step) -> Result<(), Cause> {
        match step {
            Step::SetMigMode { on } => {
                self.nobody_claims(gpu, |device, _| device.purpose != Purpose::MigMode)?;
                // Whether it comes at once or with a reset, the plan knows.
                let (ModeSet::Now | ModeSet::AfterReset) =
                    instances::set_mig_mode(self.node, gpu, *on)?;
                self.done.push(Done::Mode { gpu: gpu.to_owned(), on: *on });
                Ok(())
            }
            Step::DestroyComputeInstance { instance, id, profile_id, uuid, .. } => {
                let there = |mig: &MigTarget| {
                    mig.placement == instance.placement
                        && mig.existing.as_ref().is_none_or(|there| there == uuid)
                };
                self.nobody_claims(gpu, |_, target| target.mig.as_ref().is_some_and(there))?;
                self.destroy_compute(gpu, instance, (*id, *profile_id, uuid))
            }
            Step::DestroyGpuInstance { instance } => self.destroy_instance(gpu, instance),
            Step::CreateGpuInstance { profile_id, profile, placement } => {
                self.create_instance(gpu, (*profile_id, profile), *placement)
            }
            Step::CreateComputeInstance { placement, profile_id, .. } => {
                self.create_compute(gpu, *placement, *profile_id)
            }
        }
    }

    /// A claim that was made between the plan and now, and waits for the GPU's lock, is respected.
    fn nobody_claims(
        &self,
        gpu: &str,
        stands_on: impl Fn(&Device, &Target) -> bool,
    ) -> Result<(), Cause> {
        for claim in self.store.claims_on(&BTreeSet::from([gpu]))? {
            let devices = self.store.devices_of(std::slice::from_ref(&claim))?;
            let there = devices.iter().any(|device| {
                let mut here = device.targets.iter().filter(|target| target.gpu == gpu);
                here.any(|target| stands_on(device, target))
            });
            if there {
                return Err(Cause::Claimed(claim.id.to_string()));
            }
        }
        Ok(())
    }

    fn destroy_compute(
        &mut self,
        gpu: &str,
        instance: &Instance,
        (id, profile_id, uuid): (u32, u32, &str),
    ) -> Result<(), Cause> {
        let standing = self.at(gpu, instance.placement)?;
        let (own, of_instance) = instances::nodes_of(self.node, gpu, instance.id, id)?;
        let undone =
            instances::destroy_compute_instance(self.node, standing, (id, profile_id), uuid)?;
        gone(undone, standing)?;
        let (at, nodes) = (instance.placement, [own.clone(), of_instance.clone()].concat());
        self.done.push(Done::DestroyedCompute { gpu: gpu.to_owned(), at, profile_id, nodes });
        instances::remove_nodes(self.node, &own)?;
        // The last one out takes the GPU instance's as well.
        if instances::is_empty(self.node, standing)? {
            instances::remove_nodes(self.node, &of_instance)?;
        }
        Ok(())
    }

    fn destroy_instance(&mut self, gpu: &str, instance: &Instance) -> Result<(), Cause> {
        let standing = self.at(gpu, instance.placement)?;
        gone(instances::destroy_gpu_instance(self.node, standing)?, standing)?;
        self.standing.remove(&(gpu.to_owned(), instance.placement));
        self.done.push(Done::DestroyedInstance {
            gpu: gpu.to_owned(),
            profile_id: instance.profile_id,
            profile: instance.profile.clone(),
            placement: instance.placement,
        });
        Ok(())
    }

    pub(super) fn create_instance(
        &mut self,
        gpu: &str,
        (profile_id, profile): (u32, &ProfileName),
        at: Placement,
    ) -> Result<(), Cause> {
        let id = instances::create_gpu_instance(self.node, gpu, profile_id, profile, at)?;
        self.standing.insert((gpu.to_owned(), at), (id, profile_id));
        self.done.push(Done::CreatedInstance { gpu: gpu.to_owned(), at });
        Ok(())
    }

    pub(super) fn create_compute(
        &mut self,
        gpu: &str,
        at: Placement,
        profile_id: u32,
    ) -> Result<(), Cause> {
        let standing = self.at(gpu, at)?;
        let (id, uuid) = instances::create_compute_instance(self.node, standing, profile_id)?;
        let ids = (id, profile_id);
        self.done.push(Done::CreatedCompute { gpu: gpu.to_owned(), at, ids, uuid });
        let nodes = instances::make_nodes(self.node, gpu, standing.id, id)?;
        self.done.push(Done::MadeNodes { nodes });
        Ok(())
    }

    /// The GPU instance that stands at a place.
    pub(super) fn at<'g>(&self, gpu: &'g str, placement: Placement) -> Result<Standing<'g>, Cause> {
        let known = self.standing.get(&(gpu.to_owned(), placement));
        let (id, profile_id) = *known
            .ok_or_else(|| ShareError::Changed { gpu: gpu.to_owned(), start: placement.start })?;
        Ok(Standing { gpu, id, profile_id, placement })
    }
}

/// An error, where it isn't gone by our doing.
pub(super) fn gone(undone: Undone, standing: Standing<'_>) -> Result<(), Cause> {
    match undone {
        Undone::Gone => Ok(()),
        Undone::InUse { pids } => Err(Cause::InUse { pids }),
        Undone::Lost => Err(Cause::from(ShareError::Changed {
            gpu: standing.gpu.to_owned(),
            start: standing.placement.start,
        })),
    }
}

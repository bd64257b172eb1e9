//! Binds a claim to the container that has it, and finds the claims of a container. Needs no driver.

use crate::claim::store::{DirectoryLock, Store, StoreError};
use crate::claim::{Claim, ClaimId, ContainerRef, Owner, Phase};
use crate::host::{Cgroup, Host, Liveness, ProcessRef};
use crate::request::Requests;
use std::time::Duration;

/// A container that is about to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which one.
    pub container: ContainerRef,
    /// Its first process.
    pub process: ProcessRef,
    /// Where its processes will live; `None` where they share the root cgroup.
    pub cgroup: Option<Cgroup>,
    /// What it asks for.
    pub requests: Requests,
}

/// Whose a claim is, once it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The container's alone: it ends with it.
    Container,
    /// Still that of the caller who prepared it, for any number of containers.
    Caller,
}

/// Why a container can't have a claim, and so must not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It is not there, or of another boot or driver load.
    #[error(
        "claim {0} is gone: it was released, or taken back because the start took too long; start the container again"
    )]
    Gone(ClaimId),
    /// It is a claim for something else.
    #[error(
        "claim {id} is for {there}, and the container asks for {asked}: name the claim's own request, or release it first"
    )]
    Different {
        /// The claim.
        id: ClaimId,
        /// What it is for.
        there: String,
        /// What the container asks for.
        asked: String,
    },
    /// Its devices are not ready, or no longer.
    #[error("claim {id} is being {doing} by process {pid}; start the container again")]
    Unready {
        /// The claim.
        id: ClaimId,
        /// `prepared` or `released`.
        doing: &'static str,
        /// Who does it.
        pid: u32,
    },
    /// Another container has it.
    #[error(
        "claim {id} is held by the running container {container}: a claim of its own serves one container, one from `divvy prepare` serves several"
    )]
    Taken {
        /// The claim.
        id: ClaimId,
        /// The other container's id.
        container: String,
    },
    /// The records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The machine.
    #[error(transparent)]
    Host(#[from] std::io::Error),
}

/// Gives the claim to the container, or finds that it has it already.
///
/// # Errors
/// The container must not start: the claim is gone, not ready, for something else, or held by another one.
pub fn bind(
    host: &Host,
    store: &Store,
    id: &ClaimId,
    start: &Start,
    patience: Duration,
) -> Result<Bound, BindError> {
    let lock = store.lock(patience)?;
    let identity = host.identity()?;
    let claim = store.claim(id)?.filter(|claim| claim.identity == identity);
    let mut claim = claim.ok_or_else(|| BindError::Gone(id.clone()))?;
    check(&claim, start)?;
    match &claim.owner {
        Owner::Caller => return Ok(Bound::Caller),
        Owner::Start { .. } => {}
        Owner::Container { container, process, .. }
            if (container, process) == (&start.container, &start.process) =>
        {
            return Ok(Bound::Container);
        }
        Owner::Container { container, process, cgroup } => {
            // Where it is this very container in an earlier life, the cgroup is the new life's by now.
            let cgroup = cgroup.as_ref().filter(|_| *container != start.container);
            let populated = cgroup.is_some_and(|cgroup| host.populated(cgroup));
            if populated || host.liveness(process) != Liveness::Dead {
                return Err(BindError::Taken { id: id.clone(), container: container.id.clone() });
            }
        }
    }
    claim.phase = Phase::Bound;
    claim.owner = Owner::Container {
        container: start.container.clone(),
        process: start.process,
        cgroup: start.cgroup.clone(),
    };
    save(store, &lock, &claim)?;
    forget_earlier_lives(host, store, &lock, &claim)?;
    Ok(Bound::Container)
}

/// Whether the claim is what the container asks for, with its devices ready.
fn check(claim: &Claim, start: &Start) -> Result<(), BindError> {
    if claim.requests != start.requests {
        return Err(BindError::Different {
            id: claim.id.clone(),
            there: claim.requests.to_string(),
            asked: start.requests.to_string(),
        });
    }
    let doing = match claim.phase {
        Phase::Granted | Phase::Bound => return Ok(()),
        Phase::Intent => "prepared",
        Phase::Releasing => "released",
    };
    Err(BindError::Unready { id: claim.id.clone(), doing, pid: claim.worker.pid })
}

/// A container that is started again lives in a cgroup of the same name. Claims that it left behind must not
/// be kept alive by that.
fn forget_earlier_lives(
    host: &Host,
    store: &Store,
    lock: &DirectoryLock,
    bound: &Claim,
) -> Result<(), StoreError> {
    let Owner::Container { container: own, .. } = &bound.owner else { return Ok(()) };
    for mut claim in store.claims()? {
        let Owner::Container { container, process, cgroup } = &mut claim.owner else { continue };
        let earlier = container == own && claim.id != bound.id && cgroup.is_some();
        if earlier && host.liveness(process) == Liveness::Dead {
            *cgroup = None;
            save(store, lock, &claim)?;
        }
    }
    Ok(())
}

/// The claims that go with a container: bound to it, or made for its start and not bound.
///
/// # Errors
/// Where a claim can't be read.
pub fn claims_of(store: &Store, container: &ContainerRef) -> Result<Vec<ClaimId>, StoreError> {
    let derived = ClaimId::of_container(container);
    let its = |claim: &Claim| match &claim.owner {
        Owner::Container { container: holder, .. } => holder == container,
        Owner::Start { .. } => claim.id == derived,
        Owner::Caller => false,
    };
    Ok(store.claims()?.into_iter().filter(its).map(|claim| claim.id).collect())
}

fn save(store: &Store, lock: &DirectoryLock, claim: &Claim) -> Result<(), StoreError> {
    let devices = store.devices_of(std::slice::from_ref(claim))?;
    let targets = devices.iter().flat_map(|device| &device.targets);
    store.save_claim(lock, claim, &targets.map(|target| target.gpu.as_str()).collect())
}

#[cfg(test)]
mod tests;

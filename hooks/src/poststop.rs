//! The stage after a container's end: what it held is taken back.
//!
//! A container's removal never fails or waits long for that. What can't be taken back now is left to `divvy
//! reconcile`, which also sees to containers whose engine never ran this stage.

use divvy::claim::store::Store;
use divvy::claim::{ContainerRef, Owner};
use divvy::ops::bind;

use crate::error::Error;
use crate::state::{self, RuntimeState};
use crate::{program, tell};

/// Runs the stage with the state on stdin. It tells what went wrong, and succeeds.
pub(crate) fn run() {
    if let Err(error) = release() {
        tell(&format!(
            "{}; the container's removal goes on, and `divvy reconcile` releases what is left",
            error.line()
        ));
    }
}

fn release() -> Result<(), Error> {
    let state = state::read(std::io::stdin().lock())?;
    let (_, host) = program::configuration()?;
    // A start of `divvy` costs more than this look, and the driver has to be asked for nothing here.
    let store = Store::look(&host)?;
    for container in containers(&store, state)? {
        if !bind::claims_of(&store, &container)?.is_empty() {
            program::release_container(&container)?;
        }
    }
    Ok(())
}

/// The container that has ended. Of one with a user namespace crun says that its bundle is `/`; the claims know it
/// better, and those of a container that lives are not released in any case.
fn containers(store: &Store, state: RuntimeState) -> Result<Vec<ContainerRef>, Error> {
    if state.bundle != "/" {
        return Ok(vec![ContainerRef { id: state.id, bundle: state.bundle.into() }]);
    }
    let holders = store.claims()?.into_iter().filter_map(|claim| match claim.owner {
        Owner::Container { container, .. } if container.id == state.id => Some(container),
        _ => None,
    });
    Ok(holders.collect())
}

//! The stage after a container's end: what it held is taken back.
//!
//! A container's removal never fails or waits long for that. What can't be taken back now is left to `divvy
//! reconcile`, which also sees to containers whose engine never ran this stage.

use divvy::claim::ContainerRef;
use divvy::claim::store::Store;
use divvy::ops::bind;

use crate::error::Error;
use crate::{program, state, tell};

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
    let (state, _) = state::read(std::io::stdin().lock())?;
    let (_, host) = program::configuration()?;
    let container = ContainerRef { id: state.id, bundle: state.bundle.into() };
    // A start of `divvy` costs more than this look, and the driver has to be asked for nothing here.
    if !bind::claims_of(&Store::look(&host)?, &container)?.is_empty() {
        program::release_container(&container)?;
    }
    Ok(())
}

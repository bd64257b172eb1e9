//! The static work of a container start, in one process: links, driver parameters, application
//! profile, and last the library cache, for which the process becomes ldconfig.
//!
//! It runs as root in the container's namespaces, before the container's own root is entered.
//! Everything that can be checked beforehand is: arguments, state, the host's ldconfig. What a
//! read-only file system or a mount refuses is told and left out; the container starts all the same.

mod compat;
mod links;
mod musl;
mod params;
mod profile;
mod search_path;

use std::path::Path;

use divvy::hook_args::{CreateContainer, LDCONFIG};

use crate::container::Container;
use crate::error::Error;
use crate::{ldconfig, state, tell};

/// Does the jobs that the arguments name. `folder` is where the runtime started this process.
pub(crate) fn run(args: &[String], folder: Option<&Path>) -> Result<(), Error> {
    let parsed = CreateContainer::parse(args)?;
    for arg in &parsed.unknown {
        tell(&format!("warning: the job {arg:?} is not known to this version and is left out"));
    }
    let work = parsed.work;
    let root = state::container_root(std::io::stdin().lock(), folder)?;
    let wants_cache = !work.folders.is_empty() || work.cuda_compat.is_some();
    let ldconfig = match &work.ldconfig {
        Some(path) if wants_cache => Some(ldconfig::open(path.as_str())?),
        None if wants_cache => Some(ldconfig::open(LDCONFIG)?),
        _ => None,
    };
    let params = if work.hide_device_node_params { params::to_hide()? } else { None };
    let container = Container::open(&root)?;

    links::make(&container, &work)?;
    if let Some(content) = params {
        params::hide(&container, &content)?;
    }
    if work.application_profile {
        profile::write(&container)?;
    }
    let Some(ldconfig) = ldconfig else { return Ok(()) };
    let compat = work.cuda_compat.and_then(|host| compat::folder(&container, &host));
    if compat.is_none() && work.folders.is_empty() {
        return Ok(());
    }
    musl::add(&container, &work.folders)?;
    let folders = search_path::for_driver(&container, compat, &work.folders)?;
    ldconfig.become_it(&container, &folders)
}

/// Turns the refusal of a read-only file system, or of a mount, into a warning.
fn unless_kept(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.is_kept() => {
            tell(&format!("warning: {error}"));
            Ok(())
        }
        other => other,
    }
}

//! The stage that sees to it that a container has what it asks for: `create-runtime`, and `prestart` where a
//! runtime knows only that.
//!
//! Where the wrapper or `precreate` has edited the configuration, the claim is bound to the container, and that
//! is all. Where nothing has, the container is created already, and gets its devices alive: the claim is
//! prepared, nodes and mounts are put into the container's mount namespace, its device cgroup is opened, and the
//! claim is bound. The static work is left to the next stage, whose hook the CDI device brings along. Either all of it succeeds or the container fails, and the claim is taken back.
//!
//! It keeps to the time that its entry has ([`divvy::hook_args::TIMEOUT_SECONDS`]): the longest that `divvy
//! prepare` and a `divvy release` may take are less than that together.

mod config;
mod error;
mod inject;
mod process;

pub(crate) use error::StartError;

use std::time::Duration;

use divvy::claim::store::Store;
use divvy::claim::{ClaimId, ContainerRef, Owner};
use divvy::hook_args::CreateRuntime;
use divvy::host::Host;
use divvy::oci::{self, Rules};
use divvy::ops::bind::{self, Start};
use divvy::refused::Refused;
use serde_json::Value;

use crate::bundle::Bundle;
use crate::container::Container;
use crate::device_cgroup::{DeviceCgroups, Visit};
use crate::error::Error;
use crate::state::{self, RuntimeState};
use crate::{process as own, program, road, sys};
use config::Config;
use inject::Injection;
use process::FirstProcess;

/// How long other processes may hold the records.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the stage with the state on stdin.
pub(crate) fn run(args: &[String]) -> Result<(), Error> {
    let work = CreateRuntime::parse(args)?;
    let mut state = state::read(std::io::stdin().lock())?;
    let (settings, host) = program::configuration()?;
    let requests = match work {
        CreateRuntime::Refused(id) => {
            return Err(Error::Refused(Refused::read(&host, &id)?.message));
        }
        CreateRuntime::Request(requests) => requests,
    };
    if let Some(bundle) = process::bundle_of_runtime(&host, &state) {
        state.bundle = bundle;
    }
    let container = ContainerRef { id: state.id.clone(), bundle: state.bundle.clone().into() };
    let done = Stage { host: &host, container: &container, state: &state }.serve(settings.requests);
    if let Err(error) = &done {
        // Under crun nobody sees what a hook says.
        let kept = Refused {
            container: Some(container.id.chars().take(128).collect()),
            requests: Some(requests.to_string()),
            ..Refused::new(ClaimId::of_container(&container), &error.line())
        };
        let _ = kept.keep(&host);
    }
    done
}

/// A container that a runtime is starting.
struct Stage<'a> {
    host: &'a Host,
    container: &'a ContainerRef,
    state: &'a RuntimeState,
}

impl Stage<'_> {
    fn serve(&self, sources: divvy::config::RequestSources) -> Result<(), Error> {
        let pid = u32::try_from(self.state.pid).ok().filter(|pid| *pid > 0).ok_or_else(|| {
            StartError::NoProcess(self.state.pid, self.state.status.chars().take(40).collect())
        })?;
        host_rights()?;
        let process = FirstProcess::open(self.host, pid)?;
        let bundle = Bundle::open(&self.state.bundle, "config.json")?;
        let bundle = bundle.ok_or_else(|| StartError::NoConfig(self.state.bundle.clone()))?;
        let config = oci::parse(&bundle.config)?;
        let hook = program::hook();
        let asked = oci::find(&config, &Rules { hooks: &[&hook], sources, podman: false })?;
        let asked = asked.ok_or(StartError::NoRequest)?;
        let start = Start {
            container: self.container.clone(),
            process: process.process,
            cgroup: self.host.cgroup_of(pid),
            requests: asked.requests.clone(),
        };
        let store = Store::open(self.host)?;
        let derived = ClaimId::of_container(self.container);
        match &asked.claim {
            // A pod's author can write any name there; the one that the wrapper gives can be told.
            Some(claim) if !asked.in_pod || *claim == derived => {
                self.bind(&store, claim, &start)?;
                let served = Config(&config).has_gpu();
                if served { Ok(()) } else { Err(StartError::NotServed(claim.to_string()).into()) }
            }
            _ if is_served(&store, &derived, &start)? => Ok(()),
            _ => {
                let grant = program::prepare(&derived, &asked, pid)?;
                self.inject(&process, &config, &hook, &grant.edits)
                    .and_then(|()| self.bind(&store, &derived, &start))
                    .map_err(|error| road::undo(&derived, error))
            }
        }
    }

    fn bind(&self, store: &Store, claim: &ClaimId, start: &Start) -> Result<(), Error> {
        let bound = bind::bind(self.host, store, claim, start, LOCK_PATIENCE);
        bound.map(drop).map_err(|error| StartError::from(error).into())
    }

    /// Puts what was granted into the container that is created already.
    fn inject(
        &self,
        process: &FirstProcess,
        config: &Value,
        hook: &str,
        edits: &cdi::ContainerEdits,
    ) -> Result<(), Error> {
        let config = Config(config);
        let mut root = config.root().ok_or(StartError::NoRoot)?;
        if !root.path.starts_with('/') {
            root.path = format!("{}/{}", self.state.bundle, root.path);
        }
        let injection = Injection::plan(edits, config, hook, process.root_ids.is_some())?;
        let own_cgroup =
            std::fs::read_to_string("/proc/self/cgroup").map_err(StartError::Machine)?;
        let cgroups = DeviceCgroups::find(&self.host.cgroups, &process.cgroup, &own_cgroup)
            .map_err(StartError::from)?;
        cgroups.allow(&injection.rules()).map_err(StartError::from)?;
        own::keep_capabilities_of_injection()?;
        let nodes = process.within(|host| {
            let container = Container::open_below(host, &root)?;
            // What is made where the container's root will own all must be its own.
            let as_root = process.root_ids.map(sys::act_as);
            injection.carry_out(&container)?;
            drop(as_root);
            injection.find(&container)
        })?;
        let visit = Visit::to(&cgroups).map_err(StartError::from)?;
        for (path, node) in nodes {
            visit.may_open(node).map_err(|source| StartError::Denied { path, source })?;
        }
        Ok(())
    }
}

/// Whether another hook of this very start has served the container.
fn is_served(store: &Store, claim: &ClaimId, start: &Start) -> Result<bool, Error> {
    let claim = store.claim(claim)?;
    Ok(claim.is_some_and(|claim| {
        matches!(&claim.owner, Owner::Container { container, process, .. }
            if (container, process) == (&start.container, &start.process))
    }))
}

/// Makes sure that this is the host's root, not one of a user namespace: rootless engines run hooks as such.
fn host_rights() -> Result<(), StartError> {
    let map = std::fs::read_to_string("/proc/self/uid_map").map_err(StartError::Machine)?;
    let all = map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    if all && rustix::process::geteuid().is_root() { Ok(()) } else { Err(StartError::Rootless) }
}

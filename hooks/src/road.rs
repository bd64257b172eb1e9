//! The config edit before create, which the runtime wrapper and podman's `precreate` share: the request is
//! found in the configuration, prepared, and what was granted is put in.

use divvy::claim::ClaimId;
use divvy::config::Config;
use divvy::oci::{self, Asked, Rules};
use serde_json::Value;

use crate::error::Error;
use crate::program;

/// What the container in `config` asks for, by the administrator's rules, and no road before this has served.
pub(crate) fn find(
    config: &Value,
    settings: &Config,
    hook: &str,
    podman: bool,
) -> Result<Option<Asked>, Error> {
    let rules = Rules { hooks: &[hook], sources: settings.requests, podman };
    // In a CRI pod no road comes before the wrapper, and the claim's name would be the pod's author's.
    let served = |asked: &Asked| asked.claim.is_some() && !asked.in_pod;
    Ok(oci::find(config, &rules)?.filter(|asked| !served(asked)))
}

/// Makes the claim `id` and puts what it got into the configuration. On an error the claim is gone.
pub(crate) fn serve(
    config: &mut Value,
    id: &ClaimId,
    asked: &Asked,
    hook: &str,
    starter: u32,
) -> Result<(), Error> {
    let grant = program::prepare(id, asked, starter)?;
    oci::serve(config, (&grant.claim, grant.edits), asked, hook, cdi::host_node)
        .map_err(|error| undo(id, error.into()))
}

/// Takes the claim back after `cause`.
pub(crate) fn undo(id: &ClaimId, cause: Error) -> Error {
    match program::release(id) {
        Ok(()) => cause,
        Err(undo) => Error::Undo { cause: Box::new(cause), undo: Box::new(undo) },
    }
}

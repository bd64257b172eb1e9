//! podman's `precreate`: a filter over a container's configuration, from stdin to stdout.

use std::io::{self, Write};

use divvy::claim::ClaimId;
use divvy::host::Host;
use divvy::oci::{self, Asked, MAX_BYTES};
use divvy::refused::Refused;
use serde_json::Value;

use crate::error::Error;
use crate::state::read_limited;
use crate::{program, road};

/// Reads a configuration, and writes it: as it is, where it asks for nothing; with what was granted; or with a
/// hook that lets the container fail and says why. podman shows nothing of what a filter says itself.
pub(crate) fn run() -> Result<(), Error> {
    let bytes =
        read_limited("the container's configuration on stdin", io::stdin().lock(), MAX_BYTES)?;
    if !oci::may_ask(&bytes) {
        return answer(&bytes);
    }
    let mut config = oci::parse(&bytes)?;
    let hook = program::hook();
    // The container's id is podman's alone here, and nobody needs to know the claim's.
    let id = ClaimId::random(Host::default().random().map_err(Error::Random)?);
    let asked = match find(&config, &hook) {
        Ok(None) => return answer(&bytes),
        Ok(Some(asked)) => asked,
        Err(error) => return refuse(config, Refused::new(id, &error.line()), &hook, error),
    };
    let podman = rustix::process::getppid().map_or(1, |pid| pid.as_raw_nonzero().get());
    match road::serve(&mut config, &id, &asked, &hook, podman.unsigned_abs()) {
        Ok(()) => written(&config)
            .and_then(|edited| answer(&edited))
            .map_err(|error| road::undo(&id, error)),
        Err(error) => {
            let requests = Some(asked.requests.to_string());
            let refused = Refused { requests, ..Refused::new(id, &error.line()) };
            refuse(config, refused, &hook, error)
        }
    }
}

fn find(config: &Value, hook: &str) -> Result<Option<Asked>, Error> {
    let (settings, _) = program::configuration()?;
    road::find(config, &settings, hook, true)
}

/// Keeps what is wrong, and answers a configuration with a hook that tells it.
fn refuse(mut config: Value, refused: Refused, hook: &str, error: Error) -> Result<(), Error> {
    // Without a configuration that can be read, the folder is where it is by default.
    let host = program::configuration().map_or_else(|_| Host::default(), |(_, host)| host);
    refused.keep(&host).map_err(|unkept| Error::Unkept { cause: Box::new(error), unkept })?;
    oci::refuse(&mut config, &refused.claim, hook)?;
    answer(&written(&config)?)
}

fn written(config: &Value) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(config).map_err(Error::Encode)
}

fn answer(bytes: &[u8]) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Error::Stdout)
}

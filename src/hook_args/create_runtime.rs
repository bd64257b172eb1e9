//! The arguments of `divvy-hook create-runtime`: what a CDI device of a request, the runtime wrapper and
//! `precreate` write into a container's configuration, and what the hook reads back.

use super::{ENVIRONMENT, PROGRAM, TIMEOUT_SECONDS};
use crate::claim::{ClaimId, InvalidClaimId};
use crate::request::{ListError, Requests};
use cdi::{Hook, HookName};

/// The stage that sees to it that the container has what it asks for.
pub const CREATE_RUNTIME: &str = "create-runtime";
/// The same at OCI's older stage.
pub const PRESTART: &str = "prestart";
/// The stage that takes everything back.
pub const POSTSTOP: &str = "poststop";
/// podman's filter over a container's configuration.
pub const PRECREATE: &str = "precreate";

/// What `create-runtime` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateRuntime {
    /// `--request=REQUEST[;REQUEST…]`: the container has these by the time the hook ends, or doesn't start.
    Request(Requests),
    /// `--refused-id=ID`: tell the refusal that is kept under this id, and fail.
    Refused(ClaimId),
}

/// Arguments that `create-runtime` can't have. Nothing is left out here: an argument that an older hook
/// doesn't know could be what keeps a container in its share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateRuntimeError {
    /// Not one argument.
    #[error("create-runtime has one argument, --request=REQUEST, and here are {0}")]
    Count(usize),
    /// No argument that is known.
    #[error(
        "create-runtime has no argument {0:?}; it has --request=REQUEST, as in --request=mig:1g.10gb"
    )]
    Unknown(String),
    /// Not a request.
    #[error("--request: {0}")]
    Request(#[from] ListError),
    /// Not an id.
    #[error("--refused-id: {0}")]
    Id(#[from] InvalidClaimId),
}

impl CreateRuntime {
    /// The whole `args` of a hook entry, from the program's name on.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let argument = match self {
            CreateRuntime::Request(requests) => format!("--request={requests}"),
            CreateRuntime::Refused(id) => format!("--refused-id={id}"),
        };
        vec![PROGRAM.to_owned(), CREATE_RUNTIME.to_owned(), argument]
    }

    /// Reads the arguments that follow the stage.
    ///
    /// # Errors
    /// Anything but one argument that is known and well formed.
    pub fn parse<A: AsRef<str>>(args: &[A]) -> Result<CreateRuntime, CreateRuntimeError> {
        let [argument] = args else { return Err(CreateRuntimeError::Count(args.len())) };
        let argument = argument.as_ref();
        match argument.split_once('=') {
            Some(("--request", requests)) => Ok(CreateRuntime::Request(requests.parse()?)),
            Some(("--refused-id", id)) => Ok(CreateRuntime::Refused(id.parse()?)),
            _ => Err(CreateRuntimeError::Unknown(argument.chars().take(80).collect())),
        }
    }

    /// The hook entry that a runtime runs once the container's namespaces are there.
    #[must_use]
    pub fn hook(&self, path: &str) -> Hook {
        entry(HookName::CreateRuntime, path, self.to_args())
    }
}

/// The hook entry that a runtime runs when the container is gone.
#[must_use]
pub fn poststop(path: &str) -> Hook {
    entry(HookName::Poststop, path, vec![PROGRAM.to_owned(), POSTSTOP.to_owned()])
}

fn entry(hook_name: HookName, path: &str, args: Vec<String>) -> Hook {
    Hook {
        hook_name,
        path: path.to_owned(),
        args,
        env: ENVIRONMENT.map(str::to_owned).to_vec(),
        timeout: u32::try_from(TIMEOUT_SECONDS).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let requests = "mig:1g.10gb; 2x mps:threads=25,memory=10Gi @0".parse().unwrap();
        for work in
            [CreateRuntime::Request(requests), CreateRuntime::Refused("c-1".parse().unwrap())]
        {
            let args = work.to_args();
            assert_eq!(args[..2], ["divvy-hook", "create-runtime"]);
            assert_eq!(CreateRuntime::parse(&args[2..]), Ok(work));
        }
    }

    #[test]
    fn nothing_is_skipped() {
        let cases: [&[&str]; 7] = [
            &[],
            &["--request"],
            &["--request", "mps"],
            &["--request=mps", "--request=mps"],
            &["--request=mpz"],
            &["--state-dir=/tmp"],
            &["--refused-id=../x"],
        ];
        for args in cases {
            assert!(CreateRuntime::parse(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn every_entry_has_an_environment_of_its_own() {
        let request = CreateRuntime::Request("mps".parse().unwrap());
        for hook in [request.hook("/usr/bin/divvy-hook"), poststop("/usr/bin/divvy-hook")] {
            assert!(!hook.env.is_empty() && hook.timeout.is_some(), "{hook:?}");
        }
    }
}

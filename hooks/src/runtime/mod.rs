//! `divvy-runtime`: stands in front of runc or crun with their command line, and serves a container's request
//! before it is created. Whatever else it is asked goes straight through.

pub(crate) mod args;
mod log;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use divvy::claim::store::Store;
use divvy::claim::{ClaimId, ContainerRef};
use divvy::config::Runtime;
use divvy::host::Host;
use divvy::oci;
use divvy::refused::Refused;

use crate::bundle::Bundle;
use crate::error::Error;
use crate::{program, road};
use args::{Create, Kill, Line};

/// Runs the runtime that this process stands in front of.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let line = Line::read(&args);
    let error = match (&line.create, &line.kill) {
        (Some(create), _) => start(create, &args),
        (None, Some(end)) if disconnect(&line, end) => match kill(end, &args) {
            Ok(code) => return code,
            Err(error) => error,
        },
        (None, _) => pass_on(&args),
    };
    // Only what failed comes here: the runtime has taken this process's place.
    log::tell(&line, &error.line());
    ExitCode::FAILURE
}

/// Lets a container's MPS clients leave before it is killed: killed at work, they would take those of other
/// containers with them. It is killed in any case. Answers whether there were any.
fn disconnect(line: &Line, end: &Kill) -> bool {
    // A start of `divvy` costs more than this look. Whoever may not read the records, as a user without root, has none.
    let daemons = || {
        let (_, host) = program::configuration().ok()?;
        let devices = Store::look(&host).ok()?.devices().ok()?;
        Some(devices.iter().any(|device| device.daemon_folder().is_some()))
    };
    if daemons() != Some(true) {
        return false;
    }
    program::disconnect(&end.container).unwrap_or_else(|error| {
        log::tell(line, &format!("{}; the container is killed all the same", error.line()));
        false
    })
}

/// Has the runtime kill a container whose clients have left. Its program may have ended over that: then there was
/// nothing left to kill, and the engine has what it wants.
fn kill(end: &Kill, args: &[OsString]) -> Result<ExitCode, Error> {
    let path = runtime()?;
    let run = |args: &mut dyn Iterator<Item = &OsString>| {
        Command::new(&path).args(args).stdin(Stdio::null()).output()
    };
    let failed = |source| Error::Exec { path: path.clone(), source };
    let killed = run(&mut args.iter().skip(1)).map_err(failed)?;
    let words = [OsString::from("state"), OsString::from(&end.container)];
    let is_over = || {
        let options = args.iter().take(end.at).skip(1);
        let state = run(&mut options.chain(&words)).ok()?;
        let state: serde_json::Value = serde_json::from_slice(&state.stdout).ok()?;
        Some(state.get("status")? == "stopped")
    };
    if killed.status.success() || is_over() == Some(true) {
        return Ok(ExitCode::SUCCESS);
    }
    // Where nobody listens, the exit code says it.
    let _ = std::io::stderr().write_all(&killed.stderr);
    let code = killed.status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Serves the container, where it asks for something, and becomes the runtime.
fn start(create: &Create, args: &[OsString]) -> Error {
    match serve(create) {
        Ok(None) => pass_on(args),
        Ok(Some(claim)) => road::undo(&claim, pass_on(args)),
        Err(error) => error,
    }
}

/// Edits the configuration of a container that asks. Answers the claim that was made for it.
fn serve(create: &Create) -> Result<Option<ClaimId>, Error> {
    let Some(bundle) = Bundle::open(&create.bundle, &create.config)? else { return Ok(None) };
    if !oci::may_ask(&bundle.config) {
        return Ok(None);
    }
    let mut config = oci::parse(&bundle.config)?;
    let hook = program::hook();
    let (settings, host) = program::configuration()?;
    let Some(asked) = road::find(&config, &settings, &hook, false)? else { return Ok(None) };
    let container =
        ContainerRef { id: create.container.clone(), bundle: bundle.real_path()?.into() };
    let id = ClaimId::of_container(&container);
    let served = road::serve(&mut config, &id, &asked, &hook, std::process::id()).and_then(|()| {
        let replaced = written(&config).and_then(|edited| bundle.replace(&edited));
        replaced.map_err(|error| road::undo(&id, error))
    });
    match served {
        Ok(()) => Ok(Some(id)),
        Err(error) => {
            // Best effort: the engine is told in any case.
            let kept = Refused {
                container: Some(create.container.chars().take(128).collect()),
                requests: Some(asked.requests.to_string()),
                ..Refused::new(id, &error.line())
            };
            let _ = kept.keep(&host);
            Err(error)
        }
    }
}

fn written(config: &serde_json::Value) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(config).map_err(Error::Encode)
}

/// Becomes the runtime, with the command line and the environment that this process was given. Returns only
/// where it can't.
fn pass_on(args: &[OsString]) -> Error {
    match runtime() {
        Ok(path) => {
            let mut command = Command::new(&path);
            if let Some((name, rest)) = args.split_first() {
                command.arg0(name).args(rest);
            }
            Error::Exec { path, source: command.exec() }
        }
        Err(error) => error,
    }
}

/// The first of the configured runtime's places where something is that isn't this program.
fn runtime() -> Result<PathBuf, Error> {
    let configured = Runtime::load(&Host::default().config)?;
    let own = rustix::fs::stat("/proc/self/exe").ok();
    for candidate in configured.candidates() {
        let Ok(there) = rustix::fs::stat(&candidate) else { continue };
        if own.is_some_and(|own| (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)) {
            continue;
        }
        return Ok(candidate);
    }
    Err(Error::NoRuntime(configured))
}

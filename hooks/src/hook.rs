//! `divvy-hook`: the OCI hook stages.
//!
//! A runtime starts it as root, next to a file system that the container's image made. So it first
//! lets go of what it inherited (`process`), and looks at the container only through
//! `container`.
//!
//! `create-container` runs for every container and stands alone in a small program. The other stages read
//! configuration and claims: `divvy-hook` becomes `divvy-runtime` for them, which holds that code as well.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use divvy::hook_args::{self, PROGRAM};

use crate::error::Error;
use crate::{create_container, create_runtime, poststop, precreate, process, program};

/// The stages that `divvy-runtime` has the code for.
const OTHER_STAGES: [&str; 4] =
    [hook_args::PRECREATE, hook_args::CREATE_RUNTIME, hook_args::PRESTART, hook_args::POSTSTOP];

const USAGE: &str = "\
usage: divvy-hook create-container [JOB…] < STATE
       divvy-hook precreate < CONFIG > CONFIG
       divvy-hook create-runtime --request=REQUEST[;REQUEST…] < STATE
       divvy-hook poststop < STATE

An OCI hook: a runtime starts it, with the container's state as JSON on stdin.
A CDI spec written by `divvy cdi generate` has the right arguments.

create-container: the static work of a container start, in one process
  --link=TARGET::LINK         make the symbolic link LINK
  --device-link=TARGET::LINK  the same, where TARGET is a device node there
  --folder=DIR                put the libraries of DIR into the library cache
  --ldconfig=PATH             the host's ldconfig (default /sbin/ldconfig)
  --cuda-compat=VERSION       prefer the image's CUDA compatibility libraries
                              where they suit the host's driver VERSION
  --hide-device-node-params   hide that the driver lets device nodes be made
  --application-profile       limit EGL and Vulkan to the container's GPUs
An unknown job is told on stderr and left out.

precreate: a filter of podman's, over a container's configuration
  A container that asks for GPUs, by a CDI device of kind divvy/gpu or by the
  annotation divvy.request, gets them; any other passes through as it is.

create-runtime, or prestart: the container has what it asks for when it ends
  A claim that precreate or divvy-runtime has made is bound to the container.
  Without one, the claim is made now, and nodes and mounts are put into the
  container as it is; what needs a variable that isn't set there is refused.

poststop: takes back what the container held; never fails

Exit codes: 0 done, 1 failed, 2 usage.
";

/// Runs the stage that this process was started for.
pub fn main() -> ExitCode {
    let folder = process::let_go();
    let args: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    finish(run(&args, folder.as_deref()))
}

/// Runs a stage that `divvy-hook` has handed over to the program with the code for it.
pub fn handed_over() -> ExitCode {
    process::let_go();
    let args: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    finish(run_handed_over(&args))
}

fn finish(outcome: Result<(), Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error.line());
            ExitCode::from(if matches!(error, Error::Argument(_) | Error::Stage(_)) {
                2
            } else {
                1
            })
        }
    }
}

fn run(args: &[String], folder: Option<&Path>) -> Result<(), Error> {
    match args {
        [_, stage, jobs @ ..] if stage == hook_args::CREATE_CONTAINER => {
            process::keep_needed_capabilities()?;
            create_container::run(jobs, folder)
        }
        [_, stage, rest @ ..] if OTHER_STAGES.contains(&stage.as_str()) => {
            Err(program::hand_over(PROGRAM, std::iter::once(stage).chain(rest)))
        }
        [_, option] if option == "--help" || option == "-h" => say(USAGE),
        [_, option] if option == "--version" || option == "-V" => {
            say(concat!("divvy-hook ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        // A stage may be what enforces a share: skipping one could start a container without it.
        [_, stage, ..] => Err(Error::Stage(stage.clone())),
        _ => Err(Error::Stage(String::new())),
    }
}

fn run_handed_over(args: &[String]) -> Result<(), Error> {
    match args {
        [_, stage] if stage == hook_args::PRECREATE => precreate::run(),
        [_, stage, work @ ..]
            if stage == hook_args::CREATE_RUNTIME || stage == hook_args::PRESTART =>
        {
            create_runtime::run(work)
        }
        [_, stage] if stage == hook_args::POSTSTOP => {
            poststop::run();
            Ok(())
        }
        [_, stage, ..] => Err(Error::Stage(stage.clone())),
        _ => Err(Error::Stage(String::new())),
    }
}

fn say(text: &str) -> Result<(), Error> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Error::Stdout)
}

/// Tells a person something on stderr, as one line. Where nobody listens, nothing is lost.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().write_all(format!("divvy-hook: {text}\n").as_bytes());
}

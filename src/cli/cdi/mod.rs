//! `divvy cdi`.

mod generate;
mod list;
mod refresh;
mod spec_args;
mod validate;

pub(super) use refresh::Taken;
pub(super) use spec_args::installed_entry;

use super::answer::{Answer, Failure};
use crate::host::Host;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a CDI spec of the GPUs and MIG devices that exist now
    ///
    /// Takes the place of `nvidia-ctk cdi generate` in NVML mode: the same options, device names, nodes,
    /// mounts and groups. It answers with a spec, so `--output` is a file here, and `--format` its form.
    Generate(Box<generate::Generate>),
    /// Show the devices that container engines would find, and what is wrong with their folders
    List(list::List),
    /// Check CDI specs against the format and this host
    Validate(validate::Validate),
    /// Bring the specs in the engines' folder up to date: the GPUs that there are, and the shares that can be asked for
    ///
    /// Writes divvy-gpu.json (kind nvidia.com/gpu) and divvy-requests.json (kind divvy/gpu) in the last CDI folder
    /// where they changed, and says what changed. Where there is no device it removes them. Where another file there
    /// has devices of the same kind it refuses (3), and writes the other one all the same.
    Refresh(Box<refresh::Refresh>),
}

pub(super) fn run(host: &Host, command: Command) -> Result<Answer, Failure> {
    match command {
        Command::Generate(args) => generate::run(host, &args),
        Command::List(args) => list::run(host, &args),
        Command::Validate(args) => validate::run(&args),
        Command::Refresh(args) => refresh::run(host, &args),
    }
}

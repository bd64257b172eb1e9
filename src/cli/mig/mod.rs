//! `divvy mig`.

mod apply;
mod assert;
mod export;
mod layout;
mod profiles;

pub(super) use layout::Failed;

use super::answer::{Answer, Failure};
use crate::host::Host;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what GPUs can be cut into, and how much of it is left
    Profiles(profiles::Profiles),
    /// Cut GPUs as a mig-parted configuration says, with as little destroyed as can be
    Apply(apply::Apply),
    /// See whether GPUs are as a mig-parted configuration says: exit code 0 or 1
    Assert(assert::Assert),
    /// Write down what GPUs are cut into, as a mig-parted configuration
    Export(export::Export),
}

pub(super) fn run(host: &Host, command: Command) -> Result<Answer, Failure> {
    match command {
        Command::Profiles(args) => profiles::run(host, &args),
        Command::Apply(args) => apply::run(host, &args),
        Command::Assert(args) => assert::run(host, &args),
        Command::Export(args) => export::run(host, &args),
    }
}

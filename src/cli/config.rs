//! `divvy config`.

use super::answer::{Answer, Failure};
use crate::compat::device_plugin::PluginConfig;
use crate::compat::dra;
use crate::compat::mig_parted::Layouts;
use crate::config::Config;
use crate::request::Requests;
use clap::{Subcommand, ValueEnum};
use schemars::{Schema, schema_for};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print the JSON Schema of a file that divvy reads
    ///
    /// The schema is derived from the types that read the file. Editors check and complete with it:
    /// `# yaml-language-server: $schema=FILE` in the file's first line.
    Schema {
        /// Which file
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
    },
}

/// A file that people write.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(super) enum Kind {
    /// The administrator's configuration, /etc/divvy/config.yaml
    #[default]
    Config,
    /// A list of requests, for `divvy plan -f` and `divvy prepare -f`
    Request,
    /// The configuration of NVIDIA's Kubernetes device plugin, for `divvy import`
    DevicePlugin,
    /// Layouts of MIG devices in mig-parted's form, for `divvy mig apply -f`
    MigParted,
    /// A ResourceClaim, ResourceClaimTemplate or GpuConfig, for `divvy plan -f` and `divvy prepare -f`
    ResourceClaim,
}

pub(super) fn run(command: &Command) -> Result<Answer, Failure> {
    let Command::Schema { kind } = command;
    let mut text = serde_json::to_string_pretty(&schema(*kind))?;
    text.push('\n');
    Ok(Answer::text(text))
}

fn schema(kind: Kind) -> Schema {
    match kind {
        Kind::Config => schema_for!(Config),
        Kind::Request => schema_for!(Requests),
        Kind::ResourceClaim => schema_for!(dra::Manifest),
        Kind::DevicePlugin => schema_for!(PluginConfig),
        Kind::MigParted => schema_for!(Layouts),
    }
}

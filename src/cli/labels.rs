//! `divvy labels`.

use super::answer::{Answer, AnswerArgs, Failure};
use crate::compat::device_plugin::MigStrategy;
use crate::config::Config;
use crate::host::Host;
use crate::inventory::{self, Scope};
use crate::labels::{Facts, Labels};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Args)]
pub(super) struct LabelsArgs {
    /// How MIG devices appear [default: mig-strategy of the configuration, else none]
    #[arg(long, value_enum, env = "DIVVY_LABELS_MIG_STRATEGY", hide_env_values = true)]
    mig_strategy: Option<StrategyArg>,
    /// Where to write the labels, whole or not at all [default: stdout]; node-feature-discovery reads /etc/kubernetes/node-feature-discovery/features.d
    #[arg(long, value_name = "FILE", env = "DIVVY_LABELS_OUTPUT_FILE", hide_env_values = true)]
    output_file: Option<PathBuf>,
    /// No label that says when
    #[arg(long, env = "DIVVY_LABELS_NO_TIMESTAMP", hide_env_values = true)]
    no_timestamp: bool,
    #[command(flatten)]
    answer: AnswerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StrategyArg {
    /// Not at all
    None,
    /// As the node's GPUs, where all are alike
    Single,
    /// Each profile as a resource of its own
    Mixed,
}

pub(super) fn run(host: &Host, args: &LabelsArgs) -> Result<Answer, Failure> {
    let nvml = inventory::open(host)?;
    let inventory = inventory::read(&nvml, Scope::Devices)?;
    let attributes = inventory::attributes(&nvml, &inventory)?;
    let cliques = inventory::cliques(&nvml, &inventory)?;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let config = Config::load(&host.config)?;
    let labels = Labels::of(&Facts {
        inventory: &inventory,
        attributes: &attributes,
        cliques: &cliques,
        host,
        config: &config,
        strategy: match args.mig_strategy {
            None => config.mig_strategy,
            Some(StrategyArg::None) => MigStrategy::None,
            Some(StrategyArg::Single) => MigStrategy::Single,
            Some(StrategyArg::Mixed) => MigStrategy::Mixed,
        },
        time: (!args.no_timestamp).then(now),
    });
    let notes = labels.notes.iter().map(|note| format!("divvy: {note}")).collect();
    let text = args.answer.render(&labels, || labels.text())?;
    match args.output_file.as_deref().filter(|file| *file != Path::new("-")) {
        None => Ok(Answer { text, notes }),
        Some(file) => {
            // The temporary file's name begins with a dot: node-feature-discovery passes over it.
            cdi::write_atomically(file, text.as_bytes())?;
            Ok(Answer { text: String::new(), notes })
        }
    }
}

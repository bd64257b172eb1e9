//! `divvy metrics`.

use super::answer::{Answer, Failure, write};
use crate::claim::store::Store;
use crate::host::Host;
use crate::metrics::{self, Format, Metrics};
use crate::share::Settings;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct MetricsArgs {
    /// Where to write them, whole or not at all [default: stdout]; for node exporter's textfile collector, a name that ends in .prom
    #[arg(long, value_name = "FILE", env = "DIVVY_METRICS_OUTPUT_FILE", hide_env_values = true)]
    output_file: Option<PathBuf>,
    /// How to write them
    #[arg(long, value_enum, default_value_t, env = "DIVVY_METRICS_FORMAT", hide_env_values = true)]
    format: FormatArg,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// OpenMetrics 1.0
    #[default]
    Openmetrics,
    /// Prometheus' own text format, which node exporter's textfile collector reads
    Prometheus,
}

pub(super) fn run(host: &Host, args: &MetricsArgs) -> Result<Answer, Failure> {
    let settings = Settings::new(std::env::current_exe()?);
    let (seen, notes) = metrics::look(host, &Store::look(host)?, &settings)?;
    let notes = notes.iter().map(|note| format!("divvy: {note}")).collect();
    let text = Metrics::of(&seen).text(match args.format {
        FormatArg::Openmetrics => Format::OpenMetrics,
        FormatArg::Prometheus => Format::Prometheus,
    });
    match args.output_file.as_deref().filter(|file| *file != Path::new("-")) {
        None => Ok(Answer { text, notes }),
        Some(file) => {
            // The temporary file's name doesn't end in .prom: the collector passes over it.
            write(file, &text)?;
            Ok(Answer { text: String::new(), notes })
        }
    }
}

//! A layout of a file, as `apply` and `assert` take it.

use crate::cli::answer::{AnswerArgs, Exit, Failure};
use crate::cli::machine::store_exit;
use crate::compat::mig_parted::{Entry, Layouts};
use crate::document::FileError;
use crate::ops::mig::{MigError, State};
use crate::plan::layout::{GpuPlan, Refusal, Waits};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct LayoutArgs {
    /// The mig-parted configuration, or a ConfigMap with it; - is stdin
    #[arg(long, short, value_name = "FILE", visible_alias = "config-file")]
    file: PathBuf,
    /// Which layout of the file; not needed where there is one only
    #[arg(long, short = 'c', value_name = "LABEL", visible_alias = "selected-config")]
    label: Option<String>,
    /// Look at MIG modes alone, not at what GPUs are cut into
    #[arg(long, short)]
    pub(super) mode_only: bool,
}

impl LayoutArgs {
    fn file(&self) -> &Path {
        if self.file == Path::new("-") { Path::new("/dev/stdin") } else { &self.file }
    }

    pub(super) fn entries(&self) -> Result<Vec<Entry>, Failure> {
        let layouts = Layouts::load(self.file()).map_err(|error| match error {
            FileError::Read { .. } => Failure::from(error),
            _ => Failure::new(Exit::Usage, error),
        })?;
        let entries = layouts.select(self.label.as_deref()).map_err(|error| {
            Failure::new(Exit::Usage, format!("{}: {error}", self.file.display()))
        })?;
        Ok(entries.to_vec())
    }

    /// What went wrong, in words, and where in the file if it is there.
    pub(super) fn failure(&self, answer: &AnswerArgs, error: &MigError) -> Failure {
        let exit = match error {
            MigError::Layout(_) => Exit::Usage,
            MigError::Refused(_) => Exit::Refused,
            MigError::Store(error) => store_exit(error),
            _ => Exit::Failed,
        };
        let message = match error {
            MigError::Layout(error) => match error.at() {
                Some(at) => format!("{}:{}:{}: {error}", self.file.display(), at.line, at.column),
                None => format!("{}: {error}", self.file.display()),
            },
            error => error.to_string(),
        };
        let gpus = match error {
            MigError::Refused(refused) => &refused.gpus[..],
            _ => &[],
        };
        let failed = Failed { state: State::Failed, message: &message, gpus };
        let text = answer.render(&failed, String::new).ok().filter(|text| !text.is_empty());
        Failure { answer: text, ..Failure::new(exit, &message) }
    }
}

/// A failure for programs.
#[derive(Serialize, JsonSchema)]
pub(in crate::cli) struct Failed<'a> {
    /// `failed`.
    state: State,
    /// One sentence: what failed, on what, why, what to do.
    message: &'a str,
    /// GPUs that something keeps from becoming what they should be.
    gpus: &'a [Refusal],
}

/// What is done to each GPU, for people.
pub(super) fn tell(plans: &[GpuPlan]) -> String {
    let mut text = String::new();
    for plan in plans {
        text.push_str(&format!("GPU {}: {}\n", plan.index, plan.name));
        if plan.is_right() {
            text.push_str("  is right\n");
            continue;
        }
        if plan.kept > 0 {
            let plural = if plan.kept == 1 { " stays" } else { "s stay" };
            text.push_str(&format!("  {} GPU instance{plural}\n", plan.kept));
        }
        for (n, step) in plan.steps.iter().enumerate() {
            text.push_str(&format!("  {}. {step}\n", n + 1));
        }
        match plan.waits {
            None => {}
            Some(Waits::Reset) => text.push_str("  MIG mode waits for a reset of the GPU\n"),
            Some(Waits::Reboot) => text.push_str("  MIG mode waits for a reboot\n"),
        }
    }
    text
}

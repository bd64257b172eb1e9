//! `divvy mig apply`.

use super::layout::{LayoutArgs, tell};
use crate::cli::answer::{Answer, AnswerArgs, Exit, Failure};
use crate::cli::machine::{Machine, WaitArgs};
use crate::host::Host;
use crate::ops::mig::{self, Ask, Report, State};
use crate::plan::layout::{GpuPlan, Permission, Waits};
use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct Apply {
    #[command(flatten)]
    layout: LayoutArgs,
    /// Change MIG mode on GPUs that the configuration doesn't manage, too
    #[arg(long)]
    unmanaged: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Apply) -> Result<Answer, Failure> {
    let entries = args.layout.entries()?;
    let machine = Machine::open(host)?;
    let config = machine.config()?;
    let ask = Ask {
        entries: &entries,
        permission: Permission { mode_only: args.layout.mode_only, unmanaged: args.unmanaged },
        dry_run: args.dry_run,
        patience: args.wait.patience(),
    };
    let report = mig::apply(&machine.node(), &machine.store, &config, &ask)
        .map_err(|error| args.layout.failure(&args.answer, &error))?;
    let text = args.answer.render(&report, || shown(&report))?;
    match report.state {
        Some(State::Pending | State::Rebooting) => {
            Err(Failure { answer: Some(text), ..Failure::new(Exit::Busy, waits(&report.gpus)) })
        }
        _ => Ok(Answer { text, notes: notes(&report) }),
    }
}

fn shown(report: &Report) -> String {
    let mut text = tell(&report.gpus);
    let state = report.state.and_then(|state| serde_json::to_value(state).ok());
    if let Some(state) = state.as_ref().and_then(serde_json::Value::as_str) {
        text.push_str(&format!("state: {state}\n"));
    }
    text
}

fn notes(report: &Report) -> Vec<String> {
    let notes = report.notes.iter().map(|note| format!("divvy: {note}"));
    let claims = report.gpus.iter().filter(|gpu| !gpu.of_claims.is_empty()).map(|gpu| {
        let which = gpu.of_claims.join(", ");
        format!("divvy: GPU {}: {which} was made for claims, and goes with them", gpu.index)
    });
    notes.chain(claims).collect()
}

/// What the GPUs that are not there yet wait for.
fn waits(gpus: &[GpuPlan]) -> String {
    let waiting = |wait| {
        let gpus = gpus.iter().filter(|gpu| gpu.waits == Some(wait));
        gpus.map(|gpu| gpu.index.to_string()).collect::<Vec<_>>().join(",")
    };
    let (reset, reboot) = (waiting(Waits::Reset), waiting(Waits::Reboot));
    let mut text = String::from("divvy resets nothing by itself, and MIG mode");
    if !reset.is_empty() {
        text.push_str(&format!(
            " of GPU {reset} needs a reset (`nvidia-smi --gpu-reset -i {reset}`, with nothing running there)"
        ));
    }
    if !reboot.is_empty() {
        let and = if reset.is_empty() { "" } else { ", and" };
        text.push_str(&format!("{and} of GPU {reboot} needs a reboot"));
    }
    text + ": then apply the layout again"
}

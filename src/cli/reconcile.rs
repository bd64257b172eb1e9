//! `divvy reconcile`.

use super::answer::{Answer, Exit, Failure};
use super::machine::{Machine, WaitArgs};
use super::release::in_use;
use crate::claim::repair::Repair;
use crate::claim::store::Store;
use crate::host::Host;
use crate::ops::reconcile::{self, Report};
use crate::ops::release::Released;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

pub(super) fn run(host: &Host, args: &Reconcile) -> Result<Answer, Failure> {
    if args.dry_run {
        let repairs = reconcile::look(host, &Store::look(host)?)?;
        return Ok(Answer::text(would(&repairs)));
    }
    let machine = Machine::open(host)?;
    let report = reconcile::reconcile(&machine.node(), &machine.store, args.wait.patience())?;
    let text = tell(&report);
    if report.failed.is_empty() {
        return Ok(Answer::text(text));
    }
    let failed: Vec<String> = report.failed.iter().map(ToString::to_string).collect();
    Err(Failure { answer: Some(text), ..Failure::new(Exit::Failed, failed.join("\n")) })
}

fn would(repairs: &[Repair]) -> String {
    let lines: String = repairs
        .iter()
        .map(|repair| match repair {
            Repair::Release(id) => format!("would release claim {id}\n"),
            Repair::Retire(id) => format!("would undo device {id}, which no claim names\n"),
        })
        .collect();
    if lines.is_empty() { "nothing to mend\n".to_owned() } else { lines }
}

fn tell(report: &Report) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(report.released.iter().map(|id| format!("released claim {id}")));
    lines
        .extend(report.retired.iter().map(|id| format!("undid device {id}, which no claim named")));
    lines.extend(report.in_use.iter().filter_map(|(id, released)| match released {
        Released::InUse { what, pids } => Some(in_use(id, what, pids)),
        Released::Done | Released::Absent => None,
    }));
    if lines.is_empty() {
        lines.push("nothing to mend".to_owned());
    }
    lines.join("\n") + "\n"
}

//! `divvy reconcile`.

use super::answer::{Answer, AnswerArgs, Exit, Failure};
use super::machine::{Machine, WaitArgs};
use super::taken_back::{InUse, TakenBack};
use crate::claim::repair::Repair;
use crate::claim::store::Store;
use crate::claim::{ClaimId, DeviceId};
use crate::host::Host;
use crate::ops::reconcile;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    answer: AnswerArgs,
}

/// What would be taken back.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ReconcilePlan")]
pub(super) struct Would {
    /// Claims.
    release: Vec<ClaimId>,
    /// Device records that no claim names.
    retire: Vec<DeviceId>,
}

pub(super) fn run(host: &Host, args: &Reconcile) -> Result<Answer, Failure> {
    if args.dry_run {
        let would = would(reconcile::look(host, &Store::look(host)?)?);
        return Ok(Answer::text(args.answer.render(&would, || tell_would(&would))?));
    }
    let machine = Machine::open(host)?;
    let report = reconcile::reconcile(&machine.node(), &machine.store, args.wait.patience())?;
    let taken = TakenBack::from(report);
    let text = args.answer.render(&taken, || tell(&taken))?;
    if taken.failed.is_empty() {
        return Ok(Answer::text(text));
    }
    Err(Failure { answer: Some(text), ..Failure::new(Exit::Failed, taken.failed.join("\n")) })
}

fn would(repairs: Vec<Repair>) -> Would {
    let mut would = Would { release: Vec::new(), retire: Vec::new() };
    for repair in repairs {
        match repair {
            Repair::Release(id) => would.release.push(id),
            Repair::Retire(id) => would.retire.push(id),
        }
    }
    would
}

fn tell_would(would: &Would) -> String {
    let release = would.release.iter().map(|id| format!("would release claim {id}"));
    let retire = would.retire.iter();
    let retire = retire.map(|id| format!("would undo device {id}, which no claim names"));
    lines(release.chain(retire).collect(), true)
}

fn tell(taken: &TakenBack) -> String {
    let released = taken.released.iter().map(|id| format!("released claim {id}"));
    let retired = taken.retired.iter();
    let retired = retired.map(|id| format!("undid device {id}, which no claim named"));
    let stay = taken.in_use.iter().map(InUse::tell);
    lines(released.chain(retired).chain(stay).collect(), taken.failed.is_empty())
}

fn lines(mut lines: Vec<String>, all_well: bool) -> String {
    if lines.is_empty() && all_well {
        lines.push("nothing to mend".to_owned());
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

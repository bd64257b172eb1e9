//! `divvy release`.

use super::answer::{Answer, AnswerArgs, Exit, Failure};
use super::machine::{self, Machine, WaitArgs};
use super::progress::undo;
use super::taken_back::{InUse, TakenBack};
use crate::claim::{ClaimId, ContainerRef, InvalidClaimId};
use crate::host::Host;
use crate::ops::bind::claims_of;
use crate::ops::release::{ReleaseError, When, look, release};
use crate::suggest::nearest;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    override_usage = "divvy release [OPTIONS] <ID>...\n       divvy release [OPTIONS] --container <ID> --bundle <DIR>"
)]
pub(super) struct Release {
    /// The claims
    #[arg(value_name = "ID", required_unless_present = "container", value_parser = claim_id)]
    claims: Vec<ClaimId>,
    /// What a container holds, unless it lives
    #[arg(long, value_name = "ID", conflicts_with = "claims", requires = "bundle")]
    container: Option<String>,
    /// The container's bundle
    #[arg(long, value_name = "DIR", requires = "container")]
    bundle: Option<PathBuf>,
    /// Also a claim that a running container holds
    #[arg(long, conflicts_with = "container")]
    force: bool,
    /// Say what would be undone, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    answer: AnswerArgs,
}

/// What a release would do to one claim.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WouldRelease")]
pub(super) struct Would {
    /// The claim.
    claim: ClaimId,
    /// What would be undone, in this order; nothing, where others hold its devices as well.
    undo: Vec<String>,
}

/// What a release would do.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "ReleasePlan")]
pub(super) struct Plan {
    /// The claims that would go.
    release: Vec<Would>,
    /// Claims that there are none of.
    absent: Vec<ClaimId>,
}

/// A claim's id, or the name of its CDI device.
fn claim_id(text: &str) -> Result<ClaimId, InvalidClaimId> {
    text.strip_prefix("divvy/claim=").unwrap_or(text).parse()
}

pub(super) fn run(host: &Host, args: &Release) -> Result<Answer, Failure> {
    let machine = if args.dry_run { Machine::look(host)? } else { Machine::open(host)? };
    let patience = args.wait.patience();
    let (claims, when) = match (&args.container, &args.bundle) {
        (Some(id), Some(bundle)) => {
            let container = ContainerRef { id: id.clone(), bundle: bundle.clone() };
            (claims_of(&machine.store, &container)?, When::Dead)
        }
        _ if args.force => (args.claims.clone(), When::Always),
        _ => (args.claims.clone(), When::Unbound),
    };
    if args.dry_run {
        return would(host, &machine, &claims, (when, &args.answer));
    }
    let mut taken = TakenBack::default();
    let mut exit = Exit::Done;
    for id in claims {
        match release(&machine.node(), &machine.store, &id, when, patience) {
            Ok(released) => taken.push(id, released),
            Err(error) => {
                exit = release_exit(&error);
                taken.failed.push(error.to_string());
            }
        }
    }
    let text = args.answer.render(&taken, String::new)?;
    let mut notes: Vec<String> = taken.in_use.iter().map(InUse::tell).collect();
    notes.extend(absent(&machine, &taken.absent)?);
    if exit == Exit::Done {
        let notes = notes.into_iter().map(|note| format!("divvy: {note}")).collect();
        return Ok(Answer { text, notes });
    }
    notes.extend(taken.failed);
    Err(Failure { answer: Some(text), ..Failure::new(exit, notes.join("\ndivvy: ")) })
}

/// What a release of these would do.
fn would(
    host: &Host,
    machine: &Machine<'_>,
    claims: &[ClaimId],
    (when, answer): (When, &AnswerArgs),
) -> Result<Answer, Failure> {
    let mut plan = Plan::default();
    for id in claims {
        let devices = look(host, &machine.store, id, when)
            .map_err(|error| Failure::new(release_exit(&error), error))?;
        let Some(devices) = devices else {
            plan.absent.push(id.clone());
            continue;
        };
        let entries = devices.iter().flat_map(|device| device.steps.iter().rev());
        let done = entries.filter(|entry| entry.before.is_some());
        let undo = done.map(|entry| undo(&entry.step)).collect();
        plan.release.push(Would { claim: id.clone(), undo });
    }
    let text = answer.render(&plan, || plan.release.iter().map(tell).collect())?;
    let notes = absent(machine, &plan.absent)?;
    Ok(Answer { text, notes: notes.iter().map(|note| format!("divvy: {note}")).collect() })
}

fn tell(would: &Would) -> String {
    let id = &would.claim;
    let undo = would.undo.iter().map(|undo| format!("claim {id}: would {undo}\n"));
    std::iter::once(format!("claim {id}: would remove its CDI device\n")).chain(undo).collect()
}

/// Nothing to do, and so no mistake; but a mistyped id leaves a claim where somebody wanted none.
fn absent(machine: &Machine<'_>, absent: &[ClaimId]) -> Result<Vec<String>, Failure> {
    if absent.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> =
        machine.store.claims()?.iter().map(|claim| claim.id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let tell = |id: &ClaimId| {
        let meant = nearest(&id.to_string(), &ids).map(|meant| format!(": is {meant} meant?"));
        format!("there is no claim {id} to release{}", meant.unwrap_or_default())
    };
    Ok(absent.iter().map(tell).collect())
}

/// Whether waiting or stopping something would have helped.
pub(super) fn release_exit(error: &ReleaseError) -> Exit {
    match error {
        ReleaseError::Held { .. } | ReleaseError::Working { .. } => Exit::Busy,
        ReleaseError::Store(error) => machine::store_exit(error),
        _ => Exit::Failed,
    }
}

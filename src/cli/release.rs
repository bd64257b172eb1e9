//! `divvy release`.

use super::answer::{Answer, Exit, Failure};
use super::machine::{self, Machine, WaitArgs};
use crate::claim::{ClaimId, ContainerRef};
use crate::host::Host;
use crate::ops::bind::claims_of;
use crate::ops::release::{ReleaseError, Released, When, look, release};
use crate::suggest::nearest;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    override_usage = "divvy release [OPTIONS] <ID>...\n       divvy release [OPTIONS] --container <ID> --bundle <DIR>"
)]
pub(super) struct Release {
    /// The claims
    #[arg(value_name = "ID", required_unless_present = "container")]
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
        return would(host, &machine, &claims, when);
    }
    let mut notes = Vec::new();
    let mut worst: Option<Failure> = None;
    for id in claims {
        match release(&machine.node(), &machine.store, &id, when, patience) {
            Ok(Released::Done) => {}
            Ok(Released::Absent) => notes.push(absent(&machine, &id)?),
            Ok(Released::InUse { what, pids }) => notes.push(in_use(&id, &what, &pids)),
            Err(error) => {
                let failure = Failure::new(release_exit(&error), error);
                notes.extend(
                    worst.replace(failure).map(|failure| format!("divvy: {}", failure.message)),
                );
            }
        }
    }
    match worst {
        None => Ok(Answer { text: String::new(), notes }),
        Some(failure) => {
            let message = notes.into_iter().map(|note| format!("{note}\n")).collect::<String>();
            Err(Failure {
                message: format!("{}{}", message.trim_start_matches("divvy: "), failure.message),
                ..failure
            })
        }
    }
}

/// What a release of these would do.
fn would(
    host: &Host,
    machine: &Machine<'_>,
    claims: &[ClaimId],
    when: When,
) -> Result<Answer, Failure> {
    let mut answer = Answer::default();
    for id in claims {
        let devices = look(host, &machine.store, id, when)
            .map_err(|error| Failure::new(release_exit(&error), error))?;
        let Some(devices) = devices else {
            answer.notes.push(absent(machine, id)?);
            continue;
        };
        answer.text.push_str(&format!("claim {id}: would remove its CDI device\n"));
        for device in devices {
            let done = device.steps.iter().rev().filter(|entry| entry.before.is_some());
            for entry in done {
                answer.text.push_str(&format!("claim {id}: would undo: {}\n", entry.step));
            }
        }
    }
    Ok(answer)
}

/// Nothing to do, and so no mistake; but a mistyped id leaves a claim where somebody wanted none.
fn absent(machine: &Machine<'_>, id: &ClaimId) -> Result<String, Failure> {
    let ids: Vec<String> =
        machine.store.claims()?.iter().map(|claim| claim.id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let meant = nearest(&id.to_string(), &ids).map(|meant| format!(": is {meant} meant?"));
    Ok(format!("divvy: there is no claim {id} to release{}", meant.unwrap_or_default()))
}

pub(super) fn in_use(id: &ClaimId, what: &str, pids: &[u32]) -> String {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let by = if pids.is_empty() { String::new() } else { format!(" by {}", pids.join(", ")) };
    format!(
        "divvy: claim {id} stays: what it made ({what}) is still in use{by}; divvy reconcile takes it back when it isn't"
    )
}

/// Whether waiting or stopping something would have helped.
pub(super) fn release_exit(error: &ReleaseError) -> Exit {
    match error {
        ReleaseError::Held { .. } | ReleaseError::Working { .. } => Exit::Busy,
        ReleaseError::Store(error) => machine::store_exit(error),
        _ => Exit::Failed,
    }
}

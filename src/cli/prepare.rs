//! `divvy prepare`.

use super::answer::{Answer, AnswerArgs, Exit, Failure, PlainRefusal, table_with_spare};
use super::cdi;
use super::machine::{self, Machine, RequestArgs, WaitArgs};
use super::plan;
use super::print;
use super::release::release_exit;
use crate::claim::{ClaimId, Owner};
use crate::config::{Asker, Config, Enforced};
use crate::host::Host;
use crate::ops::grant::Grant;
use crate::ops::prepare::{Ask, PrepareError, prepare};
use clap::Args;
use std::collections::BTreeSet;
use std::io::ErrorKind;

#[derive(Debug, Args)]
#[command(
    override_usage = "divvy prepare [OPTIONS] <REQUEST>...\n       divvy prepare [OPTIONS] --file <FILE>"
)]
pub(super) struct Prepare {
    #[command(flatten)]
    requests: RequestArgs,
    /// The claim's id [default: made up]
    #[arg(long, value_name = "ID")]
    claim: Option<ClaimId>,
    /// The uid whose processes will be MPS clients
    #[arg(long, value_name = "UID", default_value_t = 0)]
    uid: u32,
    /// The process that starts a container with it; the claim ends with it unless a container is bound
    #[arg(long, value_name = "PID", hide = true)]
    start_process: Option<u32>,
    /// Say what would be done, as `divvy plan` does, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Prepare) -> Result<Answer, Failure> {
    let config = Config::load(&host.config)?;
    let requests = args.requests.requests(&config)?;
    // On a road nobody knows more of the container's user than its uid.
    let asker = match args.start_process {
        Some(_) => Asker::User { uid: args.uid, gids: BTreeSet::new() },
        None => machine::caller(args.uid),
    };
    if args.dry_run {
        return plan::show(host, &requests, (args.uid, &asker), &args.answer);
    }
    let id = match &args.claim {
        Some(id) => id.clone(),
        None => ClaimId::random(host.random()?),
    };
    let ask = Ask {
        id,
        requests,
        owner: owner(host, args.start_process)?,
        uid: args.uid,
        asker,
        hook: cdi::installed_entry(),
        patience: args.wait.patience(),
    };
    let machine = Machine::open(host)?;
    match prepare(&machine.node(), &machine.store, &config, &ask) {
        Ok(grant) => hand_over(&args.answer.render(&grant, || tell(&grant))?, &ask.id),
        Err(PrepareError::Refused(refusal)) => Err(args.answer.refused(&refusal, &refusal)),
        Err(error @ PrepareError::NotEnforced { .. }) => {
            Err(args.answer.refused(&PlainRefusal::of(&error), &error))
        }
        Err(error) => Err(Failure::new(exit(&error), error)),
    }
}

/// Only the answer names a claim whose id was made up: where it can't be written, somebody has to be told otherwise.
fn hand_over(text: &str, id: &ClaimId) -> Result<Answer, Failure> {
    let Err(error) = print(text) else { return Ok(Answer::default()) };
    let held = format!("claim {id} is held, and `divvy release {id}` takes it back");
    if error.kind() == ErrorKind::BrokenPipe {
        return Ok(Answer { text: String::new(), notes: vec![format!("divvy: {held}")] });
    }
    let message = format!("the answer can't be written to stdout ({error}): {held}");
    Err(Failure::new(Exit::Failed, message))
}

fn owner(host: &Host, start_process: Option<u32>) -> Result<Owner, Failure> {
    let Some(pid) = start_process else { return Ok(Owner::Caller) };
    let process = host.process(pid);
    let gone =
        || Failure::new(Exit::Usage, format!("--start-process {pid}: there is no such process"));
    Ok(Owner::Start { process: process.ok_or_else(gone)? })
}

fn exit(error: &PrepareError) -> Exit {
    match error {
        PrepareError::Unsettled(_) => Exit::Busy,
        PrepareError::Store(error) => machine::store_exit(error),
        PrepareError::Release(error) => release_exit(error),
        // What could not be undone is undone by the next try, as what failed was to be.
        PrepareError::Undo { cause, .. } => exit(cause),
        _ => Exit::Failed,
    }
}

fn tell(grant: &Grant) -> String {
    let mut text =
        format!("claim {}: give a container the CDI device {}\n", grant.claim, grant.cdi);
    let rows = grant.devices.iter().map(|device| {
        let share = device.profile.as_deref().unwrap_or("whole GPU");
        vec![
            device.request.clone(),
            share.to_owned(),
            device.mig.as_ref().unwrap_or(&device.gpu).clone(),
            enforced(device.enforced),
        ]
    });
    let heading = ["REQUEST", "DEVICE", "UUID", "ENFORCED BY"].map(str::to_owned).to_vec();
    text.push_str(&table_with_spare(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()));
    text
}

/// One word where it is the same for both.
fn enforced(by: Enforced) -> String {
    match by.memory == by.compute {
        true => by.memory.to_string(),
        false => format!("memory: {}, compute: {}", by.memory, by.compute),
    }
}

//! `divvy claims`.

use super::answer::{Answer, AnswerArgs, Failure, table};
use super::machine::{Together, together};
use crate::claim::store::Store;
use crate::claim::{Claim, Device, Owner, Part, Phase, Target, lost_devices};
use crate::host::Host;
use crate::inventory::{self, Gpu};
use crate::refused::Refused;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Args)]
pub(super) struct Claims {
    /// The containers that were not started, and why: the newest hundred since the machine started
    #[arg(long)]
    refused: bool,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Claims) -> Result<Answer, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if args.refused {
        let all = Refused::all(host);
        return Ok(Answer::text(args.answer.render(&all, || tell_refused(&all, now))?));
    }
    let (claims, notes) = look(host)?;
    Ok(Answer { text: args.answer.render(&claims, || tell(&claims, now))?, notes })
}

/// A claim, and what of it is gone.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ShownClaim")]
pub(super) struct Shown {
    #[serde(flatten)]
    claim: Claim,
    /// `GPU-…` and `MIG-…` that it holds and that the driver doesn't have any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<String>,
    /// `GPU 0`, `3g.40gb on GPU 0`.
    #[serde(skip)]
    held: String,
}

/// The claims are read whatever the driver does; without it, whether a device is gone can't be told.
fn look(host: &Host) -> Result<(Vec<Shown>, Vec<String>), Failure> {
    let store = Store::look(host)?;
    let claims = store.claims()?;
    if claims.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let seen = inventory::open(host).map_err(Failure::from);
    match seen.and_then(|nvml| together(&nvml, &store)) {
        Ok(seen) => Ok((marked(&seen), Vec::new())),
        Err(failure) => {
            let note = format!("divvy: lost devices aren't marked: {}", failure.message);
            let devices = store.devices_of(&claims)?;
            let unmarked = |claim| {
                let held = held(&claim, &devices, &[]);
                Shown { claim, lost: Vec::new(), held }
            };
            Ok((claims.into_iter().map(unmarked).collect(), vec![note]))
        }
    }
}

fn marked(seen: &Together) -> Vec<Shown> {
    let shown = |claim: &Claim| {
        let lost = lost_devices(claim, &seen.devices, &seen.inventory);
        let lost = lost.into_iter().map(str::to_owned).collect();
        let held = held(claim, &seen.devices, &seen.inventory.gpus);
        Shown { claim: claim.clone(), lost, held }
    };
    seen.claims.iter().map(shown).collect()
}

fn held(claim: &Claim, devices: &[Device], gpus: &[Gpu]) -> String {
    let of_part = |part: &Part| devices.iter().find(|device| device.id == part.device);
    let targets = claim.parts.iter().filter_map(of_part).flat_map(|device| &device.targets);
    // A claim of several replicas names a device more than once.
    let mut held: Vec<String> = Vec::new();
    for target in targets.map(|target| name(target, gpus)) {
        match held.last() {
            Some(last) if *last == target => {}
            _ => held.push(target),
        }
    }
    if held.is_empty() { "-".to_owned() } else { held.join(", ") }
}

/// By NVML's index where the driver tells it, else by the UUID.
fn name(target: &Target, gpus: &[Gpu]) -> String {
    let gpu = match gpus.iter().find(|gpu| gpu.uuid == target.gpu) {
        Some(gpu) => format!("GPU {}", gpu.index),
        None => target.gpu.clone(),
    };
    match &target.mig {
        Some(mig) => format!("{} on {gpu}", mig.profile),
        None => gpu,
    }
}

fn tell(claims: &[Shown], now: u64) -> String {
    if claims.is_empty() {
        return "no claims\n".to_owned();
    }
    let heading =
        ["CLAIM", "PHASE", "REQUEST", "DEVICE", "AGE", "OWNER"].map(str::to_owned).to_vec();
    let rows = claims.iter().map(|Shown { claim, lost, held }| {
        let lost = if lost.is_empty() { "" } else { ", lost" };
        vec![
            claim.id.to_string(),
            format!("{}{lost}", phase(claim.phase)),
            claim.requests.to_string(),
            held.clone(),
            age(now.saturating_sub(claim.created)),
            owner(&claim.owner),
        ]
    });
    table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Intent => "intent",
        Phase::Granted => "granted",
        Phase::Bound => "bound",
        Phase::Releasing => "releasing",
    }
}

fn owner(owner: &Owner) -> String {
    match owner {
        Owner::Caller => "caller".to_owned(),
        Owner::Start { process } => format!("start of a container by process {}", process.pid),
        Owner::Container { container, process, .. } => {
            format!("container {} (process {})", container.id, process.pid)
        }
    }
}

/// Ids of containers are hex digits, as a rule; the first twelve are what engines show.
const SHOWN_OF_ID: usize = 12;

fn tell_refused(refused: &[Refused], now: u64) -> String {
    if refused.is_empty() {
        return "no refusals\n".to_owned();
    }
    let heading = ["WHEN", "CONTAINER", "REQUEST", "WHY"].map(str::to_owned).to_vec();
    let cell = |text: Option<&String>| text.map_or_else(|| "-".to_owned(), |text| printable(text));
    let rows = refused.iter().map(|one| {
        let container = cell(one.container.as_ref()).chars().take(SHOWN_OF_ID).collect();
        let when = ago(now.saturating_sub(one.time));
        vec![when, container, cell(one.requests.as_ref()), printable(&one.message)]
    });
    table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

/// Without what could move a terminal's cursor: a container's author may have written it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn ago(seconds: u64) -> String {
    format!("{} ago", age(seconds))
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_with_their_age_and_without_control_characters() {
        let refused = |time, container: Option<&str>, requests: Option<&str>| Refused {
            time,
            container: container.map(str::to_owned),
            requests: requests.map(str::to_owned),
            ..Refused::new("c".parse().unwrap(), "no GPU here is 7")
        };
        let all = [
            refused(1_000, Some("0123456789abcdef"), Some("exclusive @7")),
            refused(900, Some("\u{1b}[2J"), None),
            refused(0, None, None),
        ];
        assert_eq!(
            tell_refused(&all, 1_003),
            "WHEN        CONTAINER     REQUEST       WHY\n\
             3 s ago     0123456789ab  exclusive @7  no GPU here is 7\n\
             1 min ago    [2J          -             no GPU here is 7\n\
             16 min ago  -             -             no GPU here is 7\n"
        );
        assert_eq!(tell_refused(&[], 0), "no refusals\n");
        assert_eq!([ago(7_200), ago(200_000)], ["2 h ago", "2 d ago"]);
    }
}

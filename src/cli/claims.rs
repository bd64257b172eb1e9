//! `divvy claims`.

use super::answer::{Answer, AnswerArgs, Failure, table};
use crate::claim::store::Store;
use crate::claim::{Claim, Device, Owner, Part, Phase, Target};
use crate::host::Host;
use crate::inventory;
use crate::refused::Refused;
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
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
    let store = Store::look(host)?;
    let claims = store.claims()?;
    let devices = store.devices_of(&claims)?;
    let table = || tell(&claims, &devices, &Indices::of(host, &devices), now);
    Ok(Answer::text(args.answer.render(&claims, table)?))
}

/// NVML's indices of GPUs by UUID.
struct Indices(BTreeMap<String, u32>);

impl Indices {
    /// Of the GPUs that devices are on. A driver that doesn't answer keeps nobody from seeing who holds what.
    fn of(host: &Host, devices: &[Device]) -> Indices {
        let gpus: BTreeSet<&String> =
            devices.iter().flat_map(|device| &device.targets).map(|target| &target.gpu).collect();
        let nvml = (!gpus.is_empty()).then(|| inventory::open(host).ok()).flatten();
        let index = |uuid: &String| nvml.as_ref()?.device_by_uuid(uuid).ok()?.index().ok();
        Indices(gpus.into_iter().filter_map(|uuid| Some((uuid.clone(), index(uuid)?))).collect())
    }

    /// What a claim holds: `GPU 0`, `3g.40gb on GPU 0`.
    fn target(&self, target: &Target) -> String {
        let gpu = match self.0.get(&target.gpu) {
            Some(index) => format!("GPU {index}"),
            None => target.gpu.clone(),
        };
        match &target.mig {
            Some(mig) => format!("{} on {gpu}", mig.profile),
            None => gpu,
        }
    }

    fn held(&self, claim: &Claim, devices: &[Device]) -> String {
        let of_part = |part: &Part| devices.iter().find(|device| device.id == part.device);
        let targets = claim.parts.iter().filter_map(of_part).flat_map(|device| &device.targets);
        // A claim of several replicas names a device more than once.
        let mut held: Vec<String> = Vec::new();
        for target in targets.map(|target| self.target(target)) {
            match held.last() {
                Some(last) if *last == target => {}
                _ => held.push(target),
            }
        }
        if held.is_empty() { "-".to_owned() } else { held.join(", ") }
    }
}

fn tell(claims: &[Claim], devices: &[Device], indices: &Indices, now: u64) -> String {
    if claims.is_empty() {
        return "no claims\n".to_owned();
    }
    let heading =
        ["CLAIM", "PHASE", "REQUEST", "DEVICE", "AGE", "OWNER"].map(str::to_owned).to_vec();
    let rows = claims.iter().map(|claim| {
        vec![
            claim.id.to_string(),
            phase(claim.phase).to_owned(),
            claim.requests.to_string(),
            indices.held(claim, devices),
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
        vec![when, container, cell(one.requests.as_ref()), printable(&one.refused)]
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

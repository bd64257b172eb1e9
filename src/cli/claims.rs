//! `divvy claims`.

use super::answer::{Answer, AnswerArgs, Failure, table};
use crate::claim::store::Store;
use crate::claim::{Claim, Owner, Phase};
use crate::host::Host;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Claims {
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &Claims) -> Result<Answer, Failure> {
    let claims = Store::look(host)?.claims()?;
    Ok(Answer::text(args.answer.render(&claims, || tell(&claims))?))
}

fn tell(claims: &[Claim]) -> String {
    if claims.is_empty() {
        return "no claims\n".to_owned();
    }
    let heading = ["CLAIM", "PHASE", "REQUEST", "OWNER"].map(str::to_owned).to_vec();
    let rows = claims.iter().map(|claim| {
        vec![
            claim.id.to_string(),
            phase(claim.phase).to_owned(),
            claim.requests.to_string(),
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

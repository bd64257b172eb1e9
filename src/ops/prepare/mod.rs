//! Makes a claim: plans it, writes the plan down, carries it out, and hands over what the container gets.

mod begin;
mod error;
mod finish;
mod look;

pub use error::PrepareError;
pub use look::look;

use super::grant::{self, Grant};
use super::release::{self, When};
use crate::claim::store::Store;
use crate::claim::{ClaimId, Owner};
use crate::config::{Asker, Config};
use crate::edits::HookEntry;
use crate::history::{self, Event};
use crate::plan;
use crate::request::Requests;
use crate::share::Node;
use begin::Begun;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What is to be prepared, and for whom.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The claim's id.
    pub id: ClaimId,
    /// What it wants.
    pub requests: Requests,
    /// Whose it will be.
    pub owner: Owner,
    /// The uid whose processes will be MPS clients.
    pub uid: u32,
    /// Who asks, for shares that aren't everybody's.
    pub asker: Asker,
    /// The hook that containers run, where one is installed.
    pub hook: Option<HookEntry>,
    /// How long other processes may keep this one waiting, in all.
    pub patience: Duration,
}

/// How a call of [`prepare`] got its grant.
enum Settled {
    /// It made the claim.
    Made(Grant),
    /// The claim was there.
    Found(Grant),
}

/// Where one call of [`prepare`] is.
struct Attempt {
    deadline: Instant,
    /// Whether the node is looked at under the lock, which holds up others.
    locked: bool,
    /// Dead claims that were tried to take back; one that is still in use stays in the way.
    tried: BTreeSet<ClaimId>,
    /// Claims whose end was waited for.
    awaited: BTreeSet<ClaimId>,
}

impl Attempt {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Makes a claim, or finds the one of that id made already.
///
/// # Errors
/// A refusal, and whatever fails on the way; nothing of the claim is left then.
pub fn prepare(
    node: &Node,
    store: &Store,
    config: &Config,
    ask: &Ask,
) -> Result<Grant, PrepareError> {
    let start = Instant::now();
    let outcome = try_until_settled(node, store, config, ask);
    let event = match &outcome {
        Ok(Settled::Made(_)) => {
            let mode = ask.requests.sharing_mode();
            Some(Event::Prepared { mode, took: start.elapsed() })
        }
        Ok(Settled::Found(_)) => None,
        Err(PrepareError::Refused(refusal)) => Some(Event::Refused { reason: refusal.word() }),
        // That others were faster, or that the id is taken, says nothing of the node.
        Err(error) if error.is_busy() || matches!(error, PrepareError::Different { .. }) => None,
        Err(_) => Some(Event::Failed),
    };
    if let Some(event) = event {
        history::count(node.host, event);
    }
    outcome.map(|(Settled::Made(grant) | Settled::Found(grant))| grant)
}

fn try_until_settled(
    node: &Node,
    store: &Store,
    config: &Config,
    ask: &Ask,
) -> Result<Settled, PrepareError> {
    plan::permitted(&ask.requests, &ask.asker, config).map_err(PrepareError::Refused)?;
    let mut attempt = Attempt {
        deadline: Instant::now() + ask.patience,
        locked: false,
        tried: BTreeSet::new(),
        awaited: BTreeSet::new(),
    };
    loop {
        match begin::begin(node, store, config, ask, &mut attempt)? {
            Begun::Ready(claim) => {
                let grant = grant::of(node, store, ask.hook.as_ref(), &claim)?;
                finish::name_again(node, store, &claim, &grant, attempt.left())?;
                return Ok(Settled::Found(grant));
            }
            Begun::Worked(claim) => finish::await_worker(store, &claim, attempt.left())?,
            Begun::Leaving(claim) => {
                finish::await_end(store, &claim, attempt.left())?;
            }
            Begun::Dead(ids) => {
                for id in ids {
                    release::release(node, store, &id, When::Dead, attempt.left())?;
                }
            }
            Begun::Stale => attempt.locked = true,
            Begun::Intent(intent) => {
                match finish::finish(node, store, ask, *intent, attempt.left()) {
                    // Another program was faster on the GPU: what is free is another question now.
                    Err(error) if error.overtaken() && !attempt.locked => {
                        attempt.locked = true;
                    }
                    done => return done.map(Settled::Made),
                }
            }
        }
        if attempt.left().is_zero() {
            return Err(PrepareError::Unsettled(ask.patience));
        }
    }
}

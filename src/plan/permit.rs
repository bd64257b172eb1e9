//! Whether who asks may ask by that name.

use super::refusal::{Cause, Refusal};
use crate::config::{Asker, Config};
use crate::request::{Alias, Request, Requests};
use std::collections::BTreeMap;

/// Checks the names that requests come from: shares that are there, mean this, and are for who asks, and no
/// more replicas of a resource than one claim may have.
///
/// # Errors
/// The first name that is not to be had so.
pub fn permitted(requests: &Requests, asker: &Asker, config: &Config) -> Result<(), Box<Refusal>> {
    let mut replicas: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        let Some(alias) = request.alias() else { continue };
        let cause = match alias.resource() {
            None => share(request, alias, asker, config),
            Some(resource) => {
                let asked = replicas.entry(resource).or_default();
                *asked += 1;
                replica(resource, *asked, config)
            }
        };
        if let Some(cause) = cause {
            let request = request.clone();
            return Err(Box::new(Refusal { request, served: 0, cause, fits: Vec::new() }));
        }
    }
    Ok(())
}

fn share(request: &Request, alias: &Alias, asker: &Asker, config: &Config) -> Option<Cause> {
    let Some(share) = config.shares.get(alias.as_str()) else {
        return Some(Cause::NoShare {
            known: config.shares.keys().map(ToString::to_string).collect(),
        });
    };
    if *share.request() != request.clone().without_alias() {
        return Some(Cause::OtherShare { means: share.request().clone() });
    }
    (!share.is_for(asker)).then(|| Cause::NotForYou { asker: asker.clone() })
}

fn replica(resource: &str, asked: usize, config: &Config) -> Option<Cause> {
    let kinds = || config.resources.iter().map(|one| one.kind().as_str());
    if !kinds().any(|kind| kind == resource) {
        return Some(Cause::NoShare { known: kinds().map(str::to_owned).collect() });
    }
    let strict =
        config.resources.iter().any(|one| one.one_per_claim && one.kind().as_str() == resource);
    (strict && asked > 1).then(|| Cause::OnePerClaim { resource: resource.to_owned() })
}

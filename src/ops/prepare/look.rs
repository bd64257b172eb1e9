//! What a preparation would do, without doing it.

use super::PrepareError;
use crate::claim::store::Store;
use crate::config::{Asker, Config};
use crate::inventory::Scope;
use crate::plan::{self, Plan, Refusal};
use crate::request::Requests;
use crate::share::Node;

/// Plans a claim as things are now, and writes nothing down.
///
/// # Errors
/// The node or the records can't be read. That the plan is a refusal is an answer.
pub fn look(
    node: &Node<'_>,
    store: &Store,
    config: &Config,
    requests: &Requests,
    (uid, asker): (u32, &Asker),
) -> Result<Result<Plan, Box<Refusal>>, PrepareError> {
    if let Err(refusal) = plan::permitted(requests, asker, config) {
        return Ok(Err(refusal));
    }
    let claims = store.claims()?;
    let devices = store.devices_of(&claims)?;
    let inventory = node.nvml.inventory(Scope::Full)?;
    let situation =
        plan::Node { inventory: &inventory, claims: &claims, devices: &devices, config };
    Ok(plan::plan(requests, uid, situation))
}

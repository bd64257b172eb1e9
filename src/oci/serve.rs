//! What was granted, or refused, put into a configuration.

use super::{Asked, CLAIM};
use crate::claim::ClaimId;
use crate::hook_args::{self, CREATE_CONTAINER, CreateRuntime};
use cdi::{ApplyError, ContainerEdits, Hook, HostNode};
use serde_json::{Value, json};
use std::io;
use std::path::Path;

/// Gives a container what its claim got, and the claim's name to the hook that binds it. `hook` is the path of
/// divvy's own; `host` looks at nodes of the host.
///
/// # Errors
/// A field that is to be edited is of another type than OCI says, or a node is gone; `config` is as it was.
pub fn serve(
    config: &mut Value,
    claim: (&ClaimId, ContainerEdits),
    asked: &Asked,
    hook: &str,
    host: impl Fn(&Path) -> io::Result<HostNode>,
) -> Result<(), ApplyError> {
    let (claim, mut edits) = claim;
    // The CDI device of a request brings the static work along: once is enough.
    edits.hooks.retain(|new| !does_static_work(config, new));
    if let Some(requests) = &asked.unhooked {
        edits.hooks.push(CreateRuntime::Request(requests.clone()).hook(hook));
        edits.hooks.push(hook_args::poststop(hook));
    }
    let mut edited = config.clone();
    annotate(&mut edited, claim)?;
    cdi::apply(&edits, &mut edited, host)?;
    *config = edited;
    Ok(())
}

/// Lets a container fail as its first hook, which tells the refusal that is kept under `id`.
///
/// # Errors
/// The configuration's hooks are of another type than OCI says; `config` is as it was.
pub fn refuse(config: &mut Value, id: &ClaimId, hook: &str) -> Result<(), ApplyError> {
    let hooks = vec![CreateRuntime::Refused(id.clone()).hook(hook)];
    let edits = ContainerEdits { hooks, ..ContainerEdits::default() };
    cdi::apply(&edits, config, |_| Err(io::ErrorKind::NotFound.into()))?;
    if let Some(entries) = config.pointer_mut("/hooks/createRuntime").and_then(Value::as_array_mut)
    {
        entries.rotate_right(1);
    }
    Ok(())
}

/// Whether `new` is the hook of the static work, and one like it is there.
fn does_static_work(config: &Value, new: &Hook) -> bool {
    let is_static_work = |args: Option<&str>| args == Some(CREATE_CONTAINER);
    let there = config.pointer("/hooks/createContainer").and_then(Value::as_array);
    is_static_work(new.args.get(1).map(String::as_str))
        && there.into_iter().flatten().any(|entry| {
            entry.get("path").and_then(Value::as_str) == Some(&new.path)
                && is_static_work(entry.pointer("/args/1").and_then(Value::as_str))
        })
}

fn annotate(config: &mut Value, claim: &ClaimId) -> Result<(), ApplyError> {
    let wrong = |field: &str, found: &Value| ApplyError::WrongType {
        field: field.to_owned(),
        found: super::kind(found),
        expected: "an object",
    };
    let Value::Object(root) = config else { return Err(wrong("root", config)) };
    let annotations = root.entry("annotations").or_insert(Value::Null);
    if annotations.is_null() {
        *annotations = json!({});
    }
    match annotations {
        Value::Object(annotations) => {
            annotations.insert(CLAIM.to_owned(), json!(claim.as_str()));
            Ok(())
        }
        other => Err(wrong("annotations", other)),
    }
}

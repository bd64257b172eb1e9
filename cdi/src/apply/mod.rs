//! Container edits put into an OCI runtime configuration, as engines do it with the CDI reference library.
//!
//! The configuration stays a JSON tree: what this crate doesn't know in it is kept, in its order. One thing is left
//! out: the library's newest versions add `idmap` to bind mounts of containers with a user namespace, which makes
//! runc before 1.2 fail.

mod mounts;
mod nodes;
mod tree;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::{ContainerEdits, Hook, NodeType};
use tree::{array_in, object_in, text};

pub use nodes::{HostNode, host_node};

/// Edits that could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Something in the configuration is of another type than OCI says.
    #[error("the OCI configuration's {field} is {found}; {expected} is expected")]
    WrongType {
        /// The field, such as `linux.devices[2].path`; `root` for the configuration itself.
        field: String,
        /// What stands there.
        found: &'static str,
        /// What should.
        expected: &'static str,
    },
    /// A device node of the host that the edits name can't be looked at, or is no device.
    #[error("can't use {path}, which the container edits name: {source}")]
    HostNode {
        /// The host's path of the node.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A device node of the host is of another type than the edits say.
    #[error("{path} is of type {found}; the container edits say {expected}")]
    NodeType {
        /// The host's path of the node.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What the edits say.
        expected: &'static str,
    },
}

/// Applies `edits` to `config`, the tree of a `config.json`; on an error `config` is as it was.
///
/// `host` tells what a path of the host is where the edits leave that out: [`host_node`], or one that looks under
/// another root.
///
/// # Errors
/// When a field that is to be edited has another type than OCI says, or a device node of the host is needed and
/// can't be looked at or is another one than the edits say.
pub fn apply(
    edits: &ContainerEdits,
    config: &mut Value,
    host: impl Fn(&Path) -> io::Result<HostNode>,
) -> Result<(), ApplyError> {
    let mut edited = config.clone();
    let root = tree::as_object(&mut edited, "root")?;
    add_env(root, &edits.env)?;
    for node in &edits.device_nodes {
        nodes::add(root, node, &host)?;
    }
    for device in &edits.net_devices {
        let linux = object_in(root, "linux")?;
        let devices = object_in(linux, "linux.netDevices")?;
        devices.insert(device.host_interface_name.clone(), json!({ "name": device.name }));
    }
    mounts::add(root, &edits.mounts)?;
    for hook in &edits.hooks {
        add_hook(root, hook)?;
    }
    if let Some(rdt) = &edits.intel_rdt {
        let linux = object_in(root, "linux")?;
        // OCI has the fields of CDI, under the same names.
        linux.insert("intelRdt".into(), json!(rdt));
    }
    add_groups(root, &edits.additional_gids)?;
    *config = edited;
    Ok(())
}

/// A variable that is there is set in its place, the last one where it is there more than once; a new one comes last.
fn add_env(root: &mut Map<String, Value>, env: &[String]) -> Result<(), ApplyError> {
    if env.is_empty() {
        return Ok(());
    }
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let entries = array_in(object_in(root, "process")?, "process.env")?;
    let mut names = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        names.push(name(text(entry, || format!("process.env[{index}]"))?));
    }
    for entry in env {
        let there = names.iter().rposition(|there| *there == name(entry));
        match there.and_then(|index| entries.get_mut(index)) {
            Some(old) => *old = json!(entry),
            None => {
                entries.push(json!(entry));
                names.push(name(entry));
            }
        }
    }
    Ok(())
}

fn add_hook(root: &mut Map<String, Value>, hook: &Hook) -> Result<(), ApplyError> {
    let stage = hook.hook_name.as_str();
    let mut entry = Map::new();
    entry.insert("path".into(), json!(hook.path));
    if !hook.args.is_empty() {
        entry.insert("args".into(), json!(hook.args));
    }
    if !hook.env.is_empty() {
        entry.insert("env".into(), json!(hook.env));
    }
    if let Some(timeout) = hook.timeout {
        entry.insert("timeout".into(), json!(timeout));
    }
    let hooks = object_in(root, "hooks")?;
    array_in(hooks, &format!("hooks.{stage}"))?.push(Value::Object(entry));
    Ok(())
}

fn add_groups(root: &mut Map<String, Value>, groups: &[u32]) -> Result<(), ApplyError> {
    for group in groups.iter().filter(|group| **group != 0) {
        let user = object_in(object_in(root, "process")?, "process.user")?;
        let there = array_in(user, "process.user.additionalGids")?;
        if !there.contains(&json!(group)) {
            there.push(json!(group));
        }
    }
    Ok(())
}

/// Removes the entries of `entries` whose `key` is `value`.
fn remove_where(
    entries: &mut Vec<Value>,
    (field, key): (&str, &str),
    value: &str,
) -> Result<(), ApplyError> {
    let mut kept = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        kept.push(tree::text_in(entry, key, || format!("{field}[{index}]"))? != value);
    }
    let mut kept = kept.into_iter();
    entries.retain(|_| kept.next().unwrap_or(true));
    Ok(())
}

/// The cgroup knows character and block devices only.
fn has_cgroup_rule(node_type: NodeType) -> bool {
    matches!(node_type, NodeType::Block | NodeType::Char)
}

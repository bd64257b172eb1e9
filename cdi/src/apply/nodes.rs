//! Device nodes: what a node is, and the node and its cgroup rule in a configuration.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use rustix::fs::{major, minor};
use serde_json::{Map, Value, json};

use super::{
    ApplyError, has_cgroup_rule, remove_where,
    tree::{array_in, object_in},
};
use crate::{DeviceNode, NodeType};

/// What a device node of the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostNode {
    /// Character device, block device or FIFO.
    pub node_type: NodeType,
    /// Device major number.
    pub major: u32,
    /// Device minor number.
    pub minor: u32,
    /// Permission bits.
    pub file_mode: u32,
}

/// What `path` is on this machine. A symbolic link is not followed.
///
/// # Errors
/// When it can't be looked at, or is no device node.
pub fn host_node(path: &Path) -> io::Result<HostNode> {
    let metadata = fs::symlink_metadata(path)?;
    let file_type = metadata.file_type();
    let node_type = if file_type.is_char_device() {
        NodeType::Char
    } else if file_type.is_block_device() {
        NodeType::Block
    } else if file_type.is_fifo() {
        NodeType::Fifo
    } else {
        return Err(io::Error::other("it is no device node"));
    };
    Ok(HostNode {
        node_type,
        major: major(metadata.rdev()),
        minor: minor(metadata.rdev()),
        file_mode: metadata.mode() & 0o7777,
    })
}

/// A node with nothing left out but the mode.
struct Complete {
    node_type: NodeType,
    major: i64,
    minor: i64,
    file_mode: Option<u32>,
}

/// Adds the node in place of one with its path, and a rule that allows it.
pub(super) fn add(
    root: &mut Map<String, Value>,
    node: &DeviceNode,
    host: impl Fn(&Path) -> io::Result<HostNode>,
) -> Result<(), ApplyError> {
    let complete = complete(node, host)?;
    let entry = entry(node, &complete, root);
    let linux = object_in(root, "linux")?;
    let devices = array_in(linux, "linux.devices")?;
    remove_where(devices, ("linux.devices", "path"), &node.path)?;
    devices.push(entry);
    // Runtimes differ in what a rule without access means, and no rule means no access.
    let access = node.permissions.as_deref().unwrap_or("rwm");
    if has_cgroup_rule(complete.node_type) && access != "none" {
        let resources = object_in(linux, "linux.resources")?;
        array_in(resources, "linux.resources.devices")?.push(json!({
            "allow": true,
            "type": complete.node_type.letter(),
            "major": complete.major,
            "minor": complete.minor,
            "access": access,
        }));
    }
    Ok(())
}

/// Fills in what the spec leaves out from the host's node. A node that says its type and major number (0 counts as
/// left out) is taken at its word, and need not be on the host.
fn complete(
    node: &DeviceNode,
    host: impl Fn(&Path) -> io::Result<HostNode>,
) -> Result<Complete, ApplyError> {
    let path = Path::new(node.host_path.as_ref().unwrap_or(&node.path));
    let found = host(path);
    let file_mode = match (node.file_mode, &found) {
        (None, Ok(found)) => Some(found.file_mode),
        (stated, _) => stated,
    };
    let numbers = node.major.filter(|major| *major != 0).map(|m| (m, node.minor.unwrap_or(0)));
    match (node.node_type, numbers) {
        (Some(NodeType::Fifo), _) => {
            return Ok(Complete { node_type: NodeType::Fifo, major: 0, minor: 0, file_mode });
        }
        (Some(node_type), Some((major, minor))) => {
            return Ok(Complete { node_type, major, minor, file_mode });
        }
        _ => {}
    }
    let found = found.map_err(|source| ApplyError::HostNode { path: path.into(), source })?;
    let node_type = node.node_type.unwrap_or(found.node_type);
    if node_type != found.node_type {
        return Err(ApplyError::NodeType {
            path: path.into(),
            found: found.node_type.letter(),
            expected: node_type.letter(),
        });
    }
    let (major, minor) = numbers.unwrap_or_else(|| (found.major.into(), found.minor.into()));
    Ok(Complete { node_type, major, minor, file_mode })
}

/// The node as OCI has it. A node without an owner belongs to the container's user.
fn entry(node: &DeviceNode, complete: &Complete, root: &Map<String, Value>) -> Value {
    let user = |key: &str| {
        let id = root.get("process")?.get("user")?.get(key)?.as_u64()?;
        (id > 0).then_some(json!(id))
    };
    let mut entry = Map::new();
    entry.insert("path".into(), json!(node.path));
    entry.insert("type".into(), json!(complete.node_type.letter()));
    if complete.node_type != NodeType::Fifo {
        entry.insert("major".into(), json!(complete.major));
        entry.insert("minor".into(), json!(complete.minor));
    }
    if let Some(mode) = complete.file_mode {
        entry.insert("fileMode".into(), json!(mode));
    }
    for (key, own) in [("uid", node.uid), ("gid", node.gid)] {
        if let Some(id) = own.map(|id| json!(id)).or_else(|| user(key)) {
            entry.insert(key.into(), id);
        }
    }
    Value::Object(entry)
}

//! Device nodes below the dev root.

use crate::host::Host;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// A node of the direct rendering manager, `dri/card1` or `dri/renderD128`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DrmNode {
    /// Its name below `/dev`.
    pub name: String,
    /// The group that owns it, where the node is not open to everybody.
    pub group: Option<u32>,
}

/// Whether `/dev/<name>` is a character device.
pub fn node_exists(host: &Host, name: &str) -> bool {
    fs::metadata(host.dev(name)).is_ok_and(|metadata| metadata.file_type().is_char_device())
}

/// The DRM nodes of the GPU at a PCI address (`0000:1a:00.0`) that exist, by name.
pub fn drm_nodes(host: &Host, pci_address: &str) -> Vec<DrmNode> {
    let folder = host.sys_root.join("bus/pci/devices").join(pci_address).join("drm");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let wanted = names.filter(|name| is_numbered(name, "card") || is_numbered(name, "renderD"));
    let mut nodes: Vec<DrmNode> = wanted.filter_map(|name| drm_node(host, &name)).collect();
    nodes.sort();
    nodes
}

/// `card1`, and not its connectors, `card1-DP-1`.
fn is_numbered(name: &str, prefix: &str) -> bool {
    let number = name.strip_prefix(prefix);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

fn drm_node(host: &Host, name: &str) -> Option<DrmNode> {
    let name = format!("dri/{name}");
    let metadata = fs::metadata(host.dev(&name)).ok()?;
    if !metadata.file_type().is_char_device() {
        return None;
    }
    let open_to_all = metadata.mode() & 0o006 == 0o006;
    let group = Some(metadata.gid()).filter(|gid| *gid != 0 && !open_to_all);
    Some(DrmNode { name, group })
}

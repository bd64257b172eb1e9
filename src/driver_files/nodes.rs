//! Device nodes below the dev root.

use crate::host::Host;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Nodes that every container with a GPU needs, whichever the GPU.
const CONTROL: [&str; 3] = ["nvidia-uvm", "nvidia-uvm-tools", "nvidiactl"];
/// Needed for display; there only where its module is loaded.
const MODESET: &str = "nvidia-modeset";

/// Device nodes of the driver, besides those of the GPUs themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    /// The folder on the host that containers see as `/dev`.
    pub dev: String,
    /// Names below `/dev` that every container gets.
    pub control: Vec<String>,
    /// DRM nodes by PCI address, as sysfs writes it.
    pub drm: BTreeMap<String, Vec<DrmNode>>,
}

/// A node of the direct rendering manager, `dri/card1` or `dri/renderD128`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DrmNode {
    /// Its name below `/dev`.
    pub name: String,
    /// The group that owns it, where the node is not open to everybody.
    pub group: Option<u32>,
}

impl Nodes {
    /// Finds the nodes that all GPUs share, and the DRM nodes of the GPUs at these PCI addresses.
    ///
    /// # Errors
    /// Where a node is missing that no container can do without, or the dev root's name is not UTF-8.
    pub fn find(host: &Host, pci: impl IntoIterator<Item = String>) -> Result<Nodes, NodesError> {
        let dev = host.dev("").to_str().map(|dev| dev.trim_end_matches('/').to_owned());
        let dev = dev.ok_or_else(|| NodesError::NotText { root: host.dev_root.clone() })?;
        let mut control: Vec<String> = [MODESET].into_iter().map(str::to_owned).collect();
        control.retain(|name| node_exists(host, name));
        for name in CONTROL {
            if !node_exists(host, name) {
                return Err(NodesError::Missing { path: host.dev(name) });
            }
            control.push(name.to_owned());
        }
        let drm = pci.into_iter().map(|pci| {
            let nodes = drm_nodes(host, &pci);
            (pci, nodes)
        });
        Ok(Nodes { dev, control, drm: drm.collect() })
    }

    /// The DRM nodes of the GPU at a PCI address, by name.
    pub fn drm_of(&self, pci: &str) -> &[DrmNode] {
        self.drm.get(pci).map_or(&[], Vec::as_slice)
    }

    /// The host's path of a node that containers see as `/dev/<name>`.
    pub fn host_path(&self, name: &str) -> String {
        format!("{}/{name}", self.dev)
    }
}

/// Why the driver's nodes can't be given to containers.
#[derive(Debug, thiserror::Error)]
pub enum NodesError {
    /// A node that every container needs.
    #[error(
        "{path} is missing, and no container can use a GPU without it: run `nvidia-modprobe -u -c 0`, or name the place of the nodes with --dev-root"
    )]
    Missing {
        /// The node.
        path: std::path::PathBuf,
    },
    /// A CDI spec is UTF-8.
    #[error(
        "the dev root {root} is not UTF-8, so no CDI spec can name it: choose another --dev-root"
    )]
    NotText {
        /// The root.
        root: std::path::PathBuf,
    },
}

/// Whether `/dev/<name>` is there. What it is, is the engine's to see when a container starts.
pub fn node_exists(host: &Host, name: &str) -> bool {
    fs::metadata(host.dev(name)).is_ok_and(|metadata| !metadata.is_dir())
}

/// The DRM nodes of the GPU at a PCI address that exist, by name.
fn drm_nodes(host: &Host, pci_address: &str) -> Vec<DrmNode> {
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
    let metadata = fs::metadata(host.dev(&name)).ok().filter(|metadata| !metadata.is_dir())?;
    let open_to_all = metadata.mode() & 0o006 == 0o006;
    let group = Some(metadata.gid()).filter(|gid| *gid != 0 && !open_to_all);
    Some(DrmNode { name, group })
}

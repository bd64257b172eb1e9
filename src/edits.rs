//! What a container gets: container edits from devices and driver files. Pure.

use crate::driver_files::{DriverFile, DriverFiles, DrmNode, Nodes};
use crate::hook_args::{self, CreateContainer, Link};
use crate::inventory::{CapabilityMinors, PciAddress};
use cdi::{ContainerEdits, DeviceNode, Hook, HookName, Mount};
use std::collections::BTreeSet;

/// Files are for reading; nothing in them may act with rights of its own.
const FILE_OPTIONS: [&str; 5] = ["ro", "nosuid", "nodev", "rbind", "rprivate"];
/// Sockets are for talking through, so they are not read-only.
const SOCKET_OPTIONS: [&str; 5] = ["nosuid", "nodev", "rbind", "rprivate", "noexec"];
/// Keeps an NVIDIA hook that is also installed from adding devices of its own.
const NO_LEGACY_HOOK: &str = "NVIDIA_VISIBLE_DEVICES=void";

/// What is put into every container beside its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The hook for the static work of a container start; `None` for no hook.
    pub hook: Option<HookEntry>,
    /// Whether containers join the groups of DRM nodes that are not open to everybody. Raises the CDI
    /// version to 0.7.0.
    pub additional_gids: bool,
    /// Whether the sockets of the driver's services are mounted.
    pub sockets: bool,
}

/// The hook for the static work of a container start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookEntry {
    /// `divvy-hook`'s absolute path on the host.
    pub path: String,
    /// The host's ldconfig, where it isn't the hook's default.
    pub ldconfig: Option<hook_args::AbsolutePath>,
    /// What the hook is not to do.
    pub without: BTreeSet<Job>,
}

/// A part of the hook's static work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// Links beside libraries, and DRM nodes by path.
    Links,
    /// The container's library cache.
    LibraryCache,
    /// CUDA compatibility libraries of the image.
    CudaCompat,
    /// The driver's parameter that lets programs make device nodes.
    DeviceNodeParams,
    /// The application profile that names the container's GPUs.
    ApplicationProfile,
}

/// A device that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A GPU with MIG mode off.
    Gpu {
        /// The N of `/dev/nvidiaN`.
        minor: u32,
        /// Where its DRM nodes are found.
        pci: PciAddress,
    },
    /// A MIG device.
    Mig {
        /// The GPU's minor.
        minor: u32,
        /// Its two capabilities.
        capabilities: CapabilityMinors,
        /// The GPU's address, where the profile can do graphics: it gets the DRM nodes then.
        graphics: Option<PciAddress>,
    },
}

impl Target {
    /// The names below `/dev` of its nodes, without those of DRM.
    pub fn node_names(&self) -> Vec<String> {
        match self {
            Target::Gpu { minor, .. } => vec![format!("nvidia{minor}")],
            Target::Mig { minor, capabilities, .. } => {
                let capability = |minor: u32| format!("nvidia-caps/nvidia-cap{minor}");
                vec![
                    format!("nvidia{minor}"),
                    capability(capabilities.gpu_instance),
                    capability(capabilities.compute_instance),
                ]
            }
        }
    }

    fn drm_address(&self) -> Option<PciAddress> {
        match self {
            Target::Gpu { pci, .. } => Some(*pci),
            Target::Mig { graphics, .. } => *graphics,
        }
    }
}

/// The edits of a device that consists of these targets; of `all`, say.
pub fn device(targets: &[Target], nodes: &Nodes, options: &Options) -> ContainerEdits {
    let mut edits = ContainerEdits::default();
    let mut groups = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for target in targets {
        for name in target.node_names() {
            if seen.insert(name.clone()) {
                edits.device_nodes.push(node(&name, nodes, None));
            }
        }
        let drm = target.drm_address().map(|pci| nodes.drm_of(&pci.to_string()));
        for DrmNode { name, group } in drm.unwrap_or_default() {
            if seen.insert(name.clone()) {
                edits.device_nodes.push(node(name, nodes, *group));
                groups.extend(*group);
            }
        }
    }
    if options.additional_gids {
        edits.additional_gids = groups.into_iter().collect();
    }
    edits
}

/// The edits that every container with a device gets.
pub fn common(files: &DriverFiles, nodes: &Nodes, options: &Options) -> ContainerEdits {
    let plain = [&files.libraries, &files.binaries, &files.profiles, &files.firmware];
    let mut mounts: Vec<Mount> =
        plain.into_iter().flatten().map(|file| mount(file, &FILE_OPTIONS)).collect();
    if options.sockets {
        mounts.extend(files.sockets.iter().map(|file| mount(file, &SOCKET_OPTIONS)));
    }
    // A mount below another comes after it.
    mounts.sort_by_cached_key(|mount| {
        (mount.container_path.matches('/').count(), mount.container_path.clone())
    });
    mounts.dedup_by(|a, b| a.container_path == b.container_path);
    ContainerEdits {
        env: vec![NO_LEGACY_HOOK.to_owned()],
        device_nodes: nodes.control.iter().map(|name| node(name, nodes, None)).collect(),
        mounts,
        hooks: options.hook.iter().map(|entry| hook(entry, files, nodes)).collect(),
        ..ContainerEdits::default()
    }
}

/// A node without major, minor and mode: these change when a module is loaded again, and engines look
/// at the node itself when a container starts.
fn node(name: &str, nodes: &Nodes, group: Option<u32>) -> DeviceNode {
    let path = format!("/dev/{name}");
    let host_path = nodes.host_path(name);
    DeviceNode {
        host_path: (host_path != path).then_some(host_path),
        path,
        permissions: Some("rwm".to_owned()),
        gid: group,
        ..DeviceNode::default()
    }
}

fn mount(file: &DriverFile, options: &[&str]) -> Mount {
    Mount {
        host_path: file.host_path.clone(),
        container_path: file.container_path.clone(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    }
}

/// One hook for all of the static work of all devices.
fn hook(entry: &HookEntry, files: &DriverFiles, nodes: &Nodes) -> Hook {
    let does = |job| !entry.without.contains(&job);
    let links = files.links.iter().filter_map(|link| Link::new(&link.target, &link.path).ok());
    let folders = files.library_folders.iter().filter_map(|folder| folder.parse().ok());
    let work = CreateContainer {
        links: links.filter(|_| does(Job::Links)).collect(),
        device_links: device_links(nodes).filter(|_| does(Job::Links)).collect(),
        folders: folders.filter(|_| does(Job::LibraryCache)).collect(),
        ldconfig: entry.ldconfig.clone().filter(|_| does(Job::LibraryCache)),
        cuda_compat: files.version.parse().ok().filter(|_| does(Job::CudaCompat)),
        hide_device_node_params: does(Job::DeviceNodeParams),
        application_profile: does(Job::ApplicationProfile),
    };
    Hook {
        hook_name: HookName::CreateContainer,
        path: entry.path.clone(),
        args: work.to_args(),
        env: hook_args::ENVIRONMENT.map(str::to_owned).to_vec(),
        timeout: u32::try_from(hook_args::TIMEOUT_SECONDS).ok(),
    }
}

/// udev's names of DRM nodes by where the GPU sits.
fn device_links(nodes: &Nodes) -> impl Iterator<Item = Link> {
    nodes.drm.iter().flat_map(|(pci, of_gpu)| {
        of_gpu.iter().filter_map(move |node| {
            let name = node.name.strip_prefix("dri/")?;
            let kind = if name.starts_with("card") { "card" } else { "render" };
            Link::new(&format!("../{name}"), &format!("/dev/dri/by-path/pci-{pci}-{kind}")).ok()
        })
    })
}

#[cfg(test)]
mod tests;

//! Device nodes, in a folder of their own: never in the machine's `/dev`.

use super::files::{at, file, folder, link, mode};
use crate::capabilities;
use crate::node::Node;
use crate::state::State;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid, chownat, makedev, mknodat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Majors, as in the node's `/proc/devices`.
const NVIDIA: u32 = 195;
const UVM: u32 = 510;
const CAPS: u32 = 511;
const IMEX: u32 = 509;
const DRM: u32 = 226;
/// Groups `video` and `render` of Debian 12.
const VIDEO: u32 = 44;
const RENDER: u32 = 105;

/// A device node to make.
struct Device {
    name: String,
    number: (u32, u32),
    mode: u32,
    group: u32,
}

fn device(name: impl Into<String>, number: (u32, u32), mode: u32) -> Device {
    Device { name: name.into(), number, mode, group: 0 }
}

/// Makes the nodes of the GPUs, the driver and the MIG devices that exist.
pub(super) fn write(node: &Node, state: &State) -> Result<(), String> {
    let mut devices = vec![
        device("nvidiactl", (NVIDIA, 255), 0o666),
        device("nvidia-modeset", (NVIDIA, 254), 0o666),
        device("nvidia-uvm", (UVM, 0), 0o666),
        device("nvidia-uvm-tools", (UVM, 1), 0o666),
        device("nvidia-caps/nvidia-cap1", (CAPS, 1), 0o400),
        device("nvidia-caps/nvidia-cap2", (CAPS, 2), 0o444),
        device("nvidia-caps-imex-channels/channel0", (IMEX, 0), 0o666),
    ];
    for (index, gpu) in (0..).zip(&node.file.gpus) {
        devices.push(device(format!("nvidia{}", gpu.minor), (NVIDIA, gpu.minor), 0o666));
        let (card, render) = drm(index);
        let card_device = device(format!("dri/card{card}"), (DRM, card), 0o660);
        let render_device = device(format!("dri/renderD{render}"), (DRM, render), 0o660);
        devices.push(Device { group: VIDEO, ..card_device });
        devices.push(Device { group: RENDER, ..render_device });
        let by_path = node.path(&format!("dev/dri/by-path/pci-{}", gpu.pci));
        link(&with_suffix(&by_path, "-card"), &format!("../card{card}"))?;
        link(&with_suffix(&by_path, "-render"), &format!("../renderD{render}"))?;
    }
    devices.iter().try_for_each(|device| make(node, device))?;
    capability_nodes(node, state)
}

/// The numbers of a GPU's `cardN` and `renderDN`.
pub(super) fn drm(index: u32) -> (u32, u32) {
    (index + 1, index + 128)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Makes the capability nodes of all MIG devices that exist, those that are there already too.
pub fn capability_nodes(node: &Node, state: &State) -> Result<(), String> {
    let existing = capabilities::existing(node, state);
    existing.into_iter().try_for_each(|(_, minor)| capability_node(node, minor))
}

/// Makes one capability node and its link in `char`, as `nvidia-modprobe -f` does.
pub fn capability_node(node: &Node, minor: u32) -> Result<(), String> {
    let name = format!("nvidia-caps/nvidia-cap{minor}");
    let char = node.path(&format!("dev/char/{CAPS}:{minor}"));
    if !char.is_symlink() {
        link(&char, &format!("../{name}"))?;
    }
    make(node, &device(name, (CAPS, minor), 0o444))
}

/// Removes the capability nodes of MIG devices; a boot takes them.
pub fn remove_capability_nodes(node: &Node) -> Result<(), String> {
    for folder in ["dev/nvidia-caps", "dev/char"].map(|name| node.path(name)) {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = at(&folder, entry)?.path();
            let management = path.ends_with("nvidia-cap1") || path.ends_with("nvidia-cap2");
            if !management {
                at(&path, std::fs::remove_file(&path))?;
            }
        }
    }
    Ok(())
}

fn make(node: &Node, device: &Device) -> Result<(), String> {
    let path = node.path("dev").join(&device.name);
    folder(path.parent().unwrap_or(&path))?;
    if path.exists() {
        return Ok(());
    }
    if node.file.plain_nodes {
        file(&path, "")?;
    } else {
        let (major, minor) = device.number;
        let made = mknodat(
            CWD,
            &path,
            FileType::CharacterDevice,
            Mode::from_raw_mode(device.mode),
            makedev(major, minor),
        );
        made.map_err(|error| refused(&path, error))?;
        let group = Some(Gid::from_raw(device.group));
        at(&path, chownat(CWD, &path, Some(Uid::ROOT), group, AtFlags::SYMLINK_NOFOLLOW))?;
    }
    mode(&path, device.mode)
}

fn refused(path: &Path, error: Errno) -> String {
    let remedy = "making device nodes takes root outside a user namespace; --no-nodes writes plain files instead";
    format!("{}: {error}: {remedy}", path.display())
}

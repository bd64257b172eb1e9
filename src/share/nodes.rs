//! The capability nodes of a MIG device, and their links in `/dev/char`. The driver makes none, and
//! without them a container has a GPU that it can't use.

use super::{Node, ShareError, Undone, bounded, programs, record, target_on, uuid_of};
use crate::claim::{self, Outcome};
use crate::host::Host;
use crate::inventory::Capabilities;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The mode where the driver's file doesn't say: for all to read, as nvidia-modprobe makes them.
const MODE: u32 = 0o444;

/// One capability.
#[derive(Debug)]
struct Capability {
    /// `/dev/nvidia-caps/nvidia-cap12`.
    node: PathBuf,
    /// `/dev/char/236:12`.
    link: PathBuf,
    major: u32,
    minor: u32,
    /// The driver's file about it.
    access: PathBuf,
}

/// The nodes and links that a record's MIG device lacks.
pub(super) fn missing(
    node: &Node<'_>,
    device: &claim::Device,
    gpu: &str,
) -> Result<Vec<PathBuf>, ShareError> {
    lacking(&capabilities(node, gpu, instances(node, device, gpu)?)?)
}

/// Makes those that were missing.
pub(super) fn make(
    node: &Node<'_>,
    device: &claim::Device,
    gpu: &str,
    missing: &[PathBuf],
) -> Result<Outcome, ShareError> {
    make_lacking(node, &capabilities(node, gpu, instances(node, device, gpu)?)?, missing)?;
    Ok(Outcome::Done)
}

/// Makes what a MIG device lacks, told by its ids: those that were made. Where that fails, none is left.
pub(super) fn make_of(
    node: &Node<'_>,
    gpu: &str,
    instances: (u32, u32),
) -> Result<Vec<PathBuf>, ShareError> {
    let capabilities = capabilities(node, gpu, instances)?;
    let missing = lacking(&capabilities)?;
    match make_lacking(node, &capabilities, &missing) {
        Ok(()) => Ok(missing),
        Err(error) => {
            let _ = remove(node.host, &missing);
            Err(error)
        }
    }
}

/// The nodes and links of a MIG device that are there: those of the compute instance, and those of the
/// GPU instance.
pub(super) fn present_of(
    node: &Node<'_>,
    gpu: &str,
    instances: (u32, u32),
) -> Result<(Vec<PathBuf>, Vec<PathBuf>), ShareError> {
    let [of_gpu_instance, of_compute_instance] = capabilities(node, gpu, instances)?;
    let there = |capability: Capability| {
        let paths = [capability.node, capability.link];
        paths.into_iter().filter(|path| fs::symlink_metadata(path).is_ok()).collect()
    };
    Ok((there(of_compute_instance), there(of_gpu_instance)))
}

fn lacking(capabilities: &[Capability]) -> Result<Vec<PathBuf>, ShareError> {
    let mut missing = Vec::new();
    for capability in capabilities {
        match fs::symlink_metadata(&capability.node) {
            Ok(metadata) => capability.check(&metadata)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                missing.push(capability.node.clone());
            }
            Err(source) => return Err(ShareError::io("look at", &capability.node, source)),
        }
        if fs::symlink_metadata(&capability.link).is_err() {
            missing.push(capability.link.clone());
        }
    }
    Ok(missing)
}

fn make_lacking(
    node: &Node<'_>,
    capabilities: &[Capability],
    missing: &[PathBuf],
) -> Result<(), ShareError> {
    for capability in capabilities {
        if missing.contains(&capability.node) {
            modprobe(node, capability);
            capability.make()?;
        }
        if missing.contains(&capability.link) {
            capability.make_link()?;
        }
    }
    Ok(())
}

/// Has NVIDIA's own program make a node, where it is installed. It works on `/dev` and `/proc` alone. What
/// it doesn't make is made here, so it doesn't matter what it says.
fn modprobe(node: &Node<'_>, capability: &Capability) {
    let here = node.host.dev_root == Path::new("/") && node.host.proc_root == Path::new("/proc");
    let program = programs::find(node.host, "nvidia-modprobe").filter(|_| here);
    if let Some(program) = program {
        let mut command = Command::new(program);
        command.env_clear().current_dir("/").arg("-f").arg(&capability.access);
        let _ = bounded::run(command, None, Instant::now() + node.settings.command_timeout);
    }
}

/// Removes what was made, and nothing that has become something else.
pub(super) fn remove(host: &Host, made: &[PathBuf]) -> Result<Undone, ShareError> {
    let folder = host.dev("nvidia-caps");
    let links = host.dev("char");
    for path in made.iter().rev() {
        let ours = match path.parent() {
            Some(parent) if parent == folder => is_node(path),
            Some(parent) if parent == links => is_link(path),
            _ => false,
        };
        if ours {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(ShareError::io("remove", path, error));
                }
                _ => {}
            }
        }
    }
    Ok(Undone::Gone)
}

/// Whether it is the device that its name says.
fn is_node(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let named: Option<u32> = name.strip_prefix("nvidia-cap").and_then(|minor| minor.parse().ok());
    fs::symlink_metadata(path).is_ok_and(|metadata| {
        metadata.file_type().is_char_device() && named == Some(rustix::fs::minor(metadata.rdev()))
    })
}

/// Whether it leads to a capability node.
fn is_link(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.starts_with("../nvidia-caps"))
}

impl Capability {
    fn check(&self, metadata: &fs::Metadata) -> Result<(), ShareError> {
        let found = metadata.rdev();
        let wanted = makedev(self.major, self.minor);
        // A simulated node may have plain files in the place of devices.
        if !metadata.file_type().is_char_device() || found == wanted {
            return Ok(());
        }
        Err(ShareError::StaleNode {
            path: self.node.clone(),
            found: format!("{}:{}", rustix::fs::major(found), rustix::fs::minor(found)),
            wanted: format!("{}:{}", self.major, self.minor),
        })
    }

    fn make(&self) -> Result<(), ShareError> {
        let failed = |source: io::Error| ShareError::io("make", &self.node, source);
        if let Some(folder) = self.node.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mode = mode(&self.access);
        let device = makedev(self.major, self.minor);
        let made =
            mknodat(CWD, &self.node, FileType::CharacterDevice, Mode::from_raw_mode(mode), device);
        match made.map_err(io::Error::from) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let metadata = fs::symlink_metadata(&self.node).map_err(failed)?;
                self.check(&metadata)
            }
            made => {
                made.map_err(failed)?;
                // The caller's umask may have taken bits away.
                fs::set_permissions(&self.node, Permissions::from_mode(mode)).map_err(failed)
            }
        }
    }

    fn make_link(&self) -> Result<(), ShareError> {
        let failed = |source: io::Error| ShareError::io("make", &self.link, source);
        if let Some(folder) = self.link.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let name = self.node.file_name().unwrap_or_default();
        match symlink(Path::new("../nvidia-caps").join(name), &self.link) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Ok(()),
        }
    }
}

/// The two capabilities of a MIG device: of its GPU instance and of its compute instance.
fn capabilities(
    node: &Node<'_>,
    gpu: &str,
    (gpu_instance, compute_instance): (u32, u32),
) -> Result<[Capability; 2], ShareError> {
    let gpu_minor = node.nvml.device_by_uuid(gpu)?.minor()?;
    let minors = Capabilities::new(node.host).minors(gpu_minor, gpu_instance, compute_instance)?;
    let major = major(node.host)?;
    let folder = node.host.proc(format!("driver/nvidia/capabilities/gpu{gpu_minor}/mig"));
    let of_instance = folder.join(format!("gi{gpu_instance}"));
    let capability = |minor: u32, access: PathBuf| Capability {
        node: node.host.dev(format!("nvidia-caps/nvidia-cap{minor}")),
        link: node.host.dev(format!("char/{major}:{minor}")),
        major,
        minor,
        access: access.join("access"),
    };
    Ok([
        capability(minors.gpu_instance, of_instance.clone()),
        capability(minors.compute_instance, of_instance.join(format!("ci{compute_instance}"))),
    ])
}

/// Ids of the GPU instance and the compute instance: made by the record's steps, or there before.
fn instances(node: &Node<'_>, device: &claim::Device, gpu: &str) -> Result<(u32, u32), ShareError> {
    if let Some((gpu_instance, compute_instance, _)) = device.mig_device() {
        return Ok((gpu_instance, compute_instance));
    }
    let uuid = uuid_of(device, target_on(device, gpu)?);
    let uuid = uuid.filter(|uuid| *uuid != gpu).ok_or_else(|| record(device, "MIG device"))?;
    let mig = node.nvml.device_by_uuid(uuid)?;
    Ok((mig.gpu_instance_id()?, mig.compute_instance_id()?))
}

/// The major of capability nodes: the kernel gives it out when the driver is loaded.
fn major(host: &Host) -> Result<u32, ShareError> {
    let path = host.proc("devices");
    let text = fs::read_to_string(&path).map_err(|source| ShareError::io("read", &path, source))?;
    let major = text.lines().find_map(|line| {
        let (major, name) = line.trim().split_once(' ')?;
        (name.trim() == "nvidia-caps").then(|| major.parse().ok()).flatten()
    });
    major.ok_or(ShareError::NoMajor { devices: path })
}

/// The mode that the driver wants for a node: its line `DeviceFileMode: 292`.
fn mode(access: &Path) -> u32 {
    let text = fs::read_to_string(access).unwrap_or_default();
    let mode = text.lines().find_map(|line| line.strip_prefix("DeviceFileMode:"));
    let mode = mode.and_then(|mode| mode.trim().parse::<u32>().ok());
    mode.filter(|mode| mode & !0o777 == 0).unwrap_or(MODE)
}

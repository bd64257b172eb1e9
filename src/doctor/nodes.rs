//! Device nodes of the driver, the GPUs and the MIG devices.

use super::Judged;
use super::finding::{Finding, Name};
use super::mend::{self, run};
use crate::host::Host;
use crate::inventory::{Capabilities, Inventory};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

/// The major of `/dev/nvidiaN` and `/dev/nvidiactl` (`NV_MAJOR_DEVICE_NUMBER` in the driver's sources).
const NVIDIA: u32 = 195;
/// The minor of `/dev/nvidiactl` (`NV_CONTROL_DEVICE_MINOR`).
const CONTROL: u32 = 255;

/// The nodes that containers need.
#[derive(Debug)]
pub struct Nodes {
    /// Each with what is there.
    pub nodes: Vec<Node>,
    /// Whether nvidia-uvm is loaded, which CUDA needs and which is loaded on demand.
    pub uvm: bool,
}

/// A node that should be there.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub path: PathBuf,
    /// What device it should be: major and minor.
    pub device: (u32, u32),
    /// What is there.
    pub found: Option<FoundNode>,
    /// What makes it.
    pub maker: String,
    /// Whether it belongs to a MIG device.
    pub capability: bool,
}

/// What stands in a node's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundNode {
    /// Its major and minor; `None` where it is no character device.
    pub device: Option<(u32, u32)>,
    /// Its permission bits.
    pub mode: u32,
}

impl Nodes {
    /// Looks at the nodes that these GPUs need.
    ///
    /// # Errors
    /// Where the driver's majors, or the minors of a MIG device, aren't known.
    pub fn look(host: &Host, inventory: &Inventory) -> Result<Nodes, String> {
        let devices = host.proc("devices");
        let text =
            fs::read_to_string(&devices).map_err(|e| format!("{}: {e}", devices.display()))?;
        let majors = majors(&text);
        let mut nodes = Vec::new();
        let mut node = |name: String, device, maker: String, capability| {
            let path = host.dev(&name);
            nodes.push(Node { found: found(&path), path, device, maker, capability });
        };
        let uvm = "nvidia-modprobe -c 0 -u".to_owned();
        node("nvidiactl".into(), (NVIDIA, CONTROL), uvm.clone(), false);
        let uvm_major = majors.get("nvidia-uvm");
        if let Some(major) = uvm_major {
            node("nvidia-uvm".into(), (*major, 0), uvm.clone(), false);
            node("nvidia-uvm-tools".into(), (*major, 1), uvm, false);
        }
        for gpu in &inventory.gpus {
            let maker = format!("nvidia-modprobe -c {}", gpu.minor);
            node(format!("nvidia{}", gpu.minor), (NVIDIA, gpu.minor), maker, false);
        }
        for (minor, file) in capabilities(host, inventory)? {
            let Some(major) = majors.get("nvidia-caps") else {
                return Err(format!("{} doesn't name nvidia-caps", devices.display()));
            };
            let maker = format!("nvidia-modprobe -f {file}");
            node(format!("nvidia-caps/nvidia-cap{minor}"), (*major, minor), maker, true);
        }
        Ok(Nodes { nodes, uvm: uvm_major.is_some() })
    }
}

/// Minors of the capability nodes of all MIG devices, each with the driver's file about it.
fn capabilities(host: &Host, inventory: &Inventory) -> Result<Vec<(u32, String)>, String> {
    let known = Capabilities::new(host);
    let mut minors = BTreeMap::new();
    for gpu in &inventory.gpus {
        for instance in gpu.mig.iter().flat_map(|mig| &mig.instances) {
            let folder =
                format!("/proc/driver/nvidia/capabilities/gpu{}/mig/gi{}", gpu.minor, instance.id);
            for compute in &instance.compute_instances {
                let found = known.minors(gpu.minor, instance.id, compute.id);
                let found = found.map_err(|error| error.to_string())?;
                minors.insert(found.gpu_instance, format!("{folder}/access"));
                minors.insert(found.compute_instance, format!("{folder}/ci{}/access", compute.id));
            }
        }
    }
    Ok(minors.into_iter().collect())
}

fn majors(text: &str) -> BTreeMap<&str, u32> {
    let characters = text.split("Block devices:").next().unwrap_or_default();
    let entry = |line: &'_ str| {
        let (major, _) = line.trim().split_once(' ')?;
        major.parse().ok()
    };
    let named =
        characters.lines().filter_map(|line| Some((line.trim().split(' ').nth(1)?, entry(line)?)));
    named.collect()
}

fn found(path: &PathBuf) -> Option<FoundNode> {
    let metadata = fs::metadata(path).ok()?;
    let device = metadata.rdev();
    let numbers = (rustix::fs::major(device), rustix::fs::minor(device));
    Some(FoundNode {
        device: metadata.file_type().is_char_device().then_some(numbers),
        mode: metadata.mode() & 0o777,
    })
}

pub(super) fn judge(seen: &Nodes) -> Judged {
    let mut findings: Vec<Finding> = seen.nodes.iter().filter_map(judge_node).collect();
    if !seen.uvm {
        let what = "the kernel module nvidia-uvm isn't loaded: CUDA doesn't start in any container";
        let how = "/proc/devices doesn't name it";
        findings.push(Finding::new(Name::UvmMissing, what, how, run("nvidia-modprobe -c 0 -u")));
    }
    Judged { says: format!("{} nodes", seen.nodes.len()), findings }
}

fn judge_node(node: &Node) -> Option<Finding> {
    let path = node.path.display();
    let (major, minor) = node.device;
    let Some(found) = node.found else {
        let (name, what) = match node.capability {
            false => (Name::NodeMissing, format!("{path} is missing")),
            true => (
                Name::CapabilityMissing,
                format!(
                    "{path} is missing: no container gets the MIG device that it opens, unless divvy prepares it"
                ),
            ),
        };
        let how = format!("the driver has the device {major}:{minor}, and there is no node for it");
        return Some(Finding::new(name, what, how, run(&node.maker)));
    };
    let mend = run(format!("rm {} && {}", mend::path(&node.path), node.maker));
    if found.device != Some(node.device) {
        let is = found.device.map_or_else(
            || "no character device".to_owned(),
            |(a, b)| format!("the device {a}:{b}"),
        );
        let how = format!("it is {is}; the driver's is {major}:{minor}");
        return Some(Finding::new(
            Name::NodeWrong,
            format!("{path} is not the driver's"),
            how,
            mend,
        ));
    }
    // The driver makes capability nodes read-only, and a container's own node gets the same bits.
    let wanted = if node.capability { 0o444 } else { 0o666 };
    (found.mode & wanted != wanted).then(|| {
        Finding::new(
            Name::NodeClosed,
            format!("{path} isn't open to users other than root: containers that run as one can't use it"),
            format!("its mode is {:04o}", found.mode),
            run(format!("chmod {wanted:04o} {}", mend::path(&node.path)))
                .but("for good: NVreg_DeviceFileMode=0666 of the module nvidia"),
        )
    })
}

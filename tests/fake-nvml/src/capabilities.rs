//! The capability files that the driver keeps in `/proc`, in step with the instances.
//!
//! The nodes under `/dev/nvidia-caps` are another matter: no driver makes them.

use crate::node::Node;
use crate::state::State;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Capability minors of one GPU: 15 GPU instances, each with itself and 8 compute instances.
const PER_GPU: u32 = 135;
const PER_INSTANCE: u32 = 9;
/// GPUs that the driver's table has room for.
const TABLED_GPUS: u32 = 32;

/// The minor of a GPU instance's capability, or of a compute instance's in it.
pub fn minor(gpu_minor: u32, gpu_instance: u32, compute_instance: Option<u32>) -> u32 {
    let instance = 3 + gpu_minor * PER_GPU + gpu_instance * PER_INSTANCE;
    compute_instance.map_or(instance, |compute| instance + 1 + compute)
}

/// `/proc/driver/nvidia-caps/mig-minors`: every name that there can be, whether it exists or not.
pub fn mig_minors(node: &Node) -> String {
    let minors = node.file.gpus.iter().map(|gpu| gpu.minor + 1);
    let gpus = minors.max().unwrap_or(0).max(TABLED_GPUS);
    let mut text = String::from("config 1\nmonitor 2\n");
    for gpu in 0..gpus {
        for gi in 0..PER_GPU / PER_INSTANCE {
            text += &format!("gpu{gpu}/gi{gi}/access {}\n", minor(gpu, gi, None));
            for ci in 0..PER_INSTANCE - 1 {
                text += &format!("gpu{gpu}/gi{gi}/ci{ci}/access {}\n", minor(gpu, gi, Some(ci)));
            }
        }
    }
    text
}

/// What a capability file says.
pub fn access(minor: u32, mode: u32) -> String {
    format!("DeviceFileMinor: {minor}\nDeviceFileMode: {mode}\nDeviceFileModify: 1\n")
}

/// The capability files of the instances that exist: path below `/proc/driver/nvidia/capabilities`
/// and minor.
pub fn existing(node: &Node, state: &State) -> Vec<(PathBuf, u32)> {
    let mut files = vec![];
    for (gpu, of_gpu) in node.file.gpus.iter().zip(&state.gpus) {
        for instance in &of_gpu.instances {
            let folder = PathBuf::from(format!("gpu{}/mig/gi{}", gpu.minor, instance.id));
            files.push((folder.join("access"), minor(gpu.minor, instance.id, None)));
            for compute in &instance.compute {
                let file = folder.join(format!("ci{}/access", compute.id));
                files.push((file, minor(gpu.minor, instance.id, Some(compute.id))));
            }
        }
    }
    files
}

/// Makes the files in `/proc` agree with the state. A node without a `proc` folder has none.
pub fn publish(node: &Node, state: &State) -> Result<(), String> {
    let root = node.path("proc/driver/nvidia/capabilities");
    if !root.is_dir() {
        return Ok(());
    }
    let wanted = existing(node, state);
    let failed = |error: io::Error| format!("{}: {error}", root.display());
    for gpu in &node.file.gpus {
        let folder = root.join(format!("gpu{}/mig", gpu.minor));
        remove_others(&root, &folder, &wanted).map_err(failed)?;
    }
    for (name, minor) in &wanted {
        let path = root.join(name);
        if !path.exists() {
            write(&path, *minor).map_err(failed)?;
        }
    }
    Ok(())
}

/// Files first: whoever sees a folder without its file sees an instance that is going.
fn remove_others(root: &Path, folder: &Path, wanted: &[(PathBuf, u32)]) -> io::Result<()> {
    let wanted: BTreeSet<_> =
        wanted.iter().flat_map(|(path, _)| path.ancestors()).map(|path| root.join(path)).collect();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() && wanted.contains(&path) {
                folders.push(path);
            } else if path.is_dir() {
                fs::remove_dir_all(&path)?;
            }
        }
    }
    Ok(())
}

/// Whole or not at all, as in a real `/proc`: a reader without the lock never sees half a file.
fn write(path: &Path, minor: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = folder.join(".access");
    fs::write(&beside, access(minor, 0o444))?;
    fs::rename(beside, path)
}

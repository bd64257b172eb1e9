//! The capability files that the driver keeps in `/proc`, in step with the instances.
//!
//! The nodes under `/dev/nvidia-caps` are another matter: no driver makes them.

use crate::node::Node;
use crate::state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

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

/// The capability files of the instances that exist, by their path below
/// `/proc/driver/nvidia/capabilities`, with their minors.
pub fn existing(node: &Node, state: &State) -> BTreeMap<String, u32> {
    let mut files = BTreeMap::new();
    for (gpu, of_gpu) in node.file.gpus.iter().zip(&state.gpus) {
        for instance in &of_gpu.instances {
            let folder = format!("gpu{}/mig/gi{}", gpu.minor, instance.id);
            files.insert(format!("{folder}/access"), minor(gpu.minor, instance.id, None));
            for compute in &instance.compute {
                let minor = minor(gpu.minor, instance.id, Some(compute.id));
                files.insert(format!("{folder}/ci{}/access", compute.id), minor);
            }
        }
    }
    files
}

/// Makes the files in `/proc` agree with the state. A node without a `proc` folder has none.
///
/// `before` is a state that they agree with, so that only what changed is touched; without it
/// everything is looked at.
pub fn publish(node: &Node, state: &State, before: Option<&State>) -> Result<(), String> {
    let root = node.path("proc/driver/nvidia/capabilities");
    if !root.is_dir() {
        return Ok(());
    }
    let failed = |error: io::Error| format!("{}: {error}", root.display());
    let wanted = existing(node, state);
    let there: BTreeSet<String> = match before {
        Some(before) => existing(node, before).into_keys().collect(),
        None => found(node, &root).map_err(failed)?,
    };
    for name in there.iter().filter(|name| !wanted.contains_key(*name)) {
        remove(&root.join(name)).map_err(failed)?;
    }
    for (name, minor) in wanted.iter().filter(|(name, _)| !there.contains(*name)) {
        write(&root.join(name), *minor).map_err(failed)?;
    }
    Ok(())
}

/// The files that are there, whoever left them.
fn found(node: &Node, root: &Path) -> io::Result<BTreeSet<String>> {
    let mut files = BTreeSet::new();
    let minors = node.file.gpus.iter().map(|gpu| gpu.minor);
    let mut folders: Vec<_> = minors.map(|minor| format!("gpu{minor}/mig")).collect();
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(name);
            } else {
                files.insert(name);
            }
        }
    }
    Ok(files)
}

/// A GPU instance's folder holds those of its compute instances, so it goes with all of it.
fn remove(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Whole or not at all, as in a real `/proc`: a reader without the lock never sees half a file.
fn write(path: &Path, minor: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = folder.join(".access");
    fs::write(&beside, access(minor, 0o444))?;
    fs::rename(beside, path)
}

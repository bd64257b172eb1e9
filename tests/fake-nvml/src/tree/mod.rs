//! A node's folder: driver root, devices, and fragments of `/proc` and `/sys`.
//!
//! | path | stands for |
//! |---|---|
//! | `node.yaml`, `state.json`, `state.lock`, `faults` | the simulation itself |
//! | `driver/` | the driver root |
//! | `dev/`, `proc/`, `sys/` | the folders of that name |
//! | `state/`, `cdi/`, `config.yaml` | divvy's state, its CDI specs, its configuration |

mod devices;
mod driver;
mod elf;
mod files;
mod system;

pub use devices::{capability_node, capability_nodes, remove_capability_nodes};
pub use driver::Binaries;
pub use elf::library;
pub use system::{load_driver, write_boot_id};

use crate::node::{self, Node};
use crate::state::Store;
use files::{at, file, folder};
use std::path::Path;
use std::sync::Arc;

/// What has divvy manage every GPU of the node.
const MANAGED: &str = "\
# Every GPU of this simulated node is divvy's to set.
gpus:
  - match: \"*\"
    managed: true
    mig-mode: enable
    compute-mode: exclusive
";

/// A configuration that says nothing: divvy takes none for a mistake where one is named.
const DEFAULTS: &str = "# divvy's defaults hold on this simulated node.\n";

/// Writes the node that a `node.yaml` describes into a folder that holds none yet.
pub fn create(dir: &Path, description: &str, binaries: &Binaries) -> Result<Store, String> {
    if dir.join(node::FILE).exists() {
        return Err(format!("{}: there is a node already: remove it first", dir.display()));
    }
    folder(dir)?;
    let dir = at(dir, dir.canonicalize())?;
    if dir.parent().is_none() {
        return Err(
            "a simulated node in / would make its device nodes in the machine's /dev".into()
        );
    }
    file(&dir.join(node::FILE), description)?;
    let written = fill(&dir, binaries);
    // A folder that looks like a node but is half of one would be worse than none.
    written.inspect_err(|_| drop(std::fs::remove_file(dir.join(node::FILE))))
}

fn fill(dir: &Path, binaries: &Binaries) -> Result<Store, String> {
    let node = Arc::new(Node::read(dir)?);
    let store = Store::open(Arc::clone(&node))?;
    let state = store.now()?;
    devices::write(&node, &state)?;
    system::write_proc(&node, &state)?;
    system::write_sys(&node)?;
    folder(&dir.join("state"))?;
    folder(&dir.join("cdi"))?;
    file(&dir.join("config.yaml"), DEFAULTS)?;
    driver::write(&node, binaries)?;
    Ok(store)
}

/// Writes the configuration that has divvy manage the node's GPUs, and finds the node for whoever reads it:
/// hooks know no variables. CDI specs go where engines read them.
pub fn manage(dir: &Path) -> Result<(), String> {
    let key =
        |name: &str| name.strip_prefix("DIVVY_").map(|name| name.to_lowercase().replace('_', "-"));
    let paths = variables(dir).into_iter().filter_map(|(name, value)| {
        let key = key(name).filter(|key| !matches!(key.as_str(), "cdi-dir" | "config"))?;
        // JSON's quotes are YAML's.
        Some(format!("  {key}: {}\n", serde_json::Value::from(value)))
    });
    file(&dir.join("config.yaml"), format!("{MANAGED}host:\n{}", paths.collect::<String>()))
}

/// The variables that point divvy at a node, by name.
pub fn variables(dir: &Path) -> Vec<(&'static str, String)> {
    let at = |name: &str| dir.join(name).display().to_string();
    let library =
        if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };
    vec![
        ("DIVVY_NVML_LIBRARY", at(&format!("driver/usr/lib/{library}/libnvidia-ml.so.1"))),
        ("DIVVY_DRIVER_ROOT", at("driver")),
        ("DIVVY_DEV_ROOT", dir.display().to_string()),
        ("DIVVY_PROC_ROOT", at("proc")),
        ("DIVVY_SYS_ROOT", at("sys")),
        ("DIVVY_STATE_DIR", at("state")),
        ("DIVVY_CDI_DIR", at("cdi")),
        ("DIVVY_CONFIG", at("config.yaml")),
    ]
}

#[cfg(test)]
mod tests;

//! The stand-in for `nvidia-modprobe`: makes capability nodes.

use super::{own_node, say};
use clap::Parser;
use fake_nvml::node::Node;
use fake_nvml::tree;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Makes device nodes of the NVIDIA driver. No module is loaded on a simulated node.
#[derive(Debug, Parser)]
#[command(name = "nvidia-modprobe", version)]
struct Cli {
    /// Make the device node of the capability that this file in /proc describes
    #[arg(short = 'f', long = "nvidia-capability-device-file", value_name = "FILE")]
    capabilities: Vec<PathBuf>,
    /// Make the device node of a GPU; it is there already
    #[arg(short = 'c', long = "create-nvidia-device-file", value_name = "MINOR")]
    minors: Vec<u32>,
    /// Load the unified-memory module; its nodes are there already
    #[arg(short = 'u', long)]
    unified_memory: bool,
    /// Load the modeset module; its node is there already
    #[arg(short = 'm', long)]
    modeset: bool,
}

/// Runs `nvidia-modprobe`'s command line.
pub(crate) fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("nvidia-modprobe: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    let dir = own_node().ok_or("this program lies in no simulated node")?;
    let node = Node::read(&dir)?;
    cli.capabilities.iter().try_for_each(|file| make(&node, file))
}

/// The file is named as the driver would, below `/proc`, or by its place in the node.
fn make(node: &Node, file: &Path) -> Result<(), String> {
    let below = file.strip_prefix(node.path("proc")).or_else(|_| file.strip_prefix("/proc"));
    let below = below.map_err(|_| format!("{}: not below /proc", file.display()))?;
    let path = node.path("proc").join(below);
    let text =
        std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let minor = text.lines().find_map(|line| line.strip_prefix("DeviceFileMinor:"));
    let minor = minor.and_then(|number| number.trim().parse().ok());
    let minor = minor.ok_or_else(|| format!("{}: it names no minor", path.display()))?;
    tree::capability_node(node, minor)
}

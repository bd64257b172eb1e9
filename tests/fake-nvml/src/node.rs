//! `node.yaml`: what the simulated node has. Written once, by hand or by `fake-node create`.

use crate::board::Board;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that makes a folder a node.
pub const FILE: &str = "node.yaml";

/// A node as its file says.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct NodeFile {
    /// `550.163.01`: also the suffix of the driver's library files.
    #[serde(default = "default_driver")]
    pub driver_version: String,
    /// The newest CUDA version that the driver serves, as (major, minor).
    #[serde(default = "default_cuda")]
    pub cuda_version: (u32, u32),
    /// The node's devices are plain files: nobody had the right to make device nodes.
    #[serde(default)]
    pub plain_nodes: bool,
    /// How NVML behaves.
    #[serde(default)]
    pub nvml: Behaviour,
    /// The GPUs, by NVML index.
    pub gpus: Vec<Gpu>,
}

/// How the node's NVML behaves. Times are in milliseconds.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Behaviour {
    /// What `nvmlInit` takes.
    pub init_ms: u64,
    /// What any other call takes.
    pub call_ms: u64,
    /// What the creation of a GPU or compute instance takes on top.
    pub create_ms: u64,
    /// What their destruction takes on top.
    pub destroy_ms: u64,
    /// What `nvmlInit` answers, 18 for a library and a driver of different versions; 0 is success.
    pub init_error: u32,
    /// The version of the library, where it is another than the driver's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library_version: Option<String>,
    /// Symbols that answer FUNCTION_NOT_FOUND, as those that an old driver lacks.
    pub missing: BTreeSet<String>,
    /// Whether changes are refused (NO_PERMISSION) to a caller that isn't root.
    pub needs_root: bool,
    /// Whether the compute mode of a MIG device can be set.
    pub compute_mode_on_mig: bool,
}

/// One GPU of a node.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gpu {
    /// The key of its [`Board`].
    pub board: String,
    /// `GPU-…`.
    pub uuid: String,
    /// The N of `/dev/nvidiaN`.
    pub minor: u32,
    /// `0000:1a:00.0`.
    pub pci: String,
    /// Another product name than the board's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether MIG mode is on when the node starts.
    #[serde(default)]
    pub mig: bool,
    /// Whether it has fallen off the bus.
    #[serde(default)]
    pub lost: bool,
    /// Whether a time-slice interval can be set on it.
    #[serde(default = "yes")]
    pub time_slice: bool,
    /// MIG devices that exist when the node starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mig_devices: Vec<MigDevice>,
    /// The NVLink fabric that it has joined, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fabric: Option<Fabric>,
}

/// A place in an NVLink fabric of several nodes.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fabric {
    /// The bytes of the cluster's UUID.
    pub cluster: [u8; 16],
    /// The clique in it.
    pub clique: u32,
    /// `nvmlGpuFabricState_t`: 2 while it is joining, 3 when it has joined.
    #[serde(default = "joined")]
    pub state: u8,
}

fn joined() -> u8 {
    3
}

/// A MIG device that exists when the node starts.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MigDevice {
    /// The GPU-instance profile, `1g.10gb+me`.
    pub profile: String,
    /// First memory slice; the first free one where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u32>,
    /// The GPU instance's id, where it must be another than the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gi: Option<u32>,
    /// The UUID, where it must be another than the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

fn default_driver() -> String {
    "550.163.01".into()
}

fn default_cuda() -> (u32, u32) {
    (12, 4)
}

fn yes() -> bool {
    true
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            init_ms: 0,
            call_ms: 0,
            create_ms: 0,
            destroy_ms: 0,
            init_error: 0,
            library_version: None,
            missing: BTreeSet::new(),
            needs_root: true,
            compute_mode_on_mig: false,
        }
    }
}

/// A node in its folder, with the boards of its GPUs.
#[derive(Clone, Debug)]
pub struct Node {
    /// The folder.
    pub dir: PathBuf,
    /// What its file says.
    pub file: NodeFile,
    /// The board of each GPU, by index.
    pub boards: Vec<Board>,
}

/// The most GPUs that a node can have.
pub const MAX_GPUS: usize = 64;

impl Node {
    /// Reads the node in that folder. `Err` is a sentence that names the file and, where it is
    /// known, the line.
    pub fn read(dir: &Path) -> Result<Node, String> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        let file = parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
        let boards = boards(&file).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(Node { dir: dir.to_owned(), file, boards })
    }

    /// The GPU of that index and its board.
    pub fn gpu(&self, index: usize) -> Option<(&Gpu, &Board)> {
        self.file.gpus.get(index).zip(self.boards.get(index))
    }

    /// The name that NVML gives to the GPU.
    pub fn product(&self, index: usize) -> &str {
        let name = self.gpu(index).map(|(gpu, board)| gpu.name.as_ref().unwrap_or(&board.product));
        name.map_or("", String::as_str)
    }

    /// A folder or file of the node.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The nearest folder above that path that holds a node.
pub fn above(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|dir| dir.join(FILE).is_file())
}

fn parse(text: &str) -> Result<NodeFile, String> {
    serde_saphyr::from_str(text).map_err(|error| match error.location() {
        Some(at) => format!("line {}, column {}: {error}", at.line(), at.column()),
        None => error.to_string(),
    })
}

/// What a description must hold beyond its form.
fn boards(file: &NodeFile) -> Result<Vec<Board>, String> {
    if file.gpus.len() > MAX_GPUS {
        return Err(format!("{} GPUs: a node has {MAX_GPUS} at most", file.gpus.len()));
    }
    let mut boards: Vec<Board> = Vec::with_capacity(file.gpus.len());
    for (index, gpu) in file.gpus.iter().enumerate() {
        let known = boards.iter().find(|board| board.key == gpu.board).cloned();
        let board = known.map_or_else(|| Board::named(&gpu.board), Ok);
        let board = board.and_then(|board| fits(gpu, &board).map(|()| board));
        boards.push(board.map_err(|why| format!("GPU {index}: {why}"))?);
    }
    Ok(boards)
}

fn fits(gpu: &Gpu, board: &Board) -> Result<(), String> {
    if !gpu.uuid.starts_with("GPU-") {
        return Err(format!("uuid {:?} doesn't start with GPU-", gpu.uuid));
    }
    pci_numbers(&gpu.pci)
        .ok_or_else(|| format!("pci {:?} is not of the form 0000:1a:00.0", gpu.pci))?;
    if gpu.mig && !board.has_mig() {
        return Err(format!("a {} has no MIG: leave out `mig`", board.key));
    }
    if !gpu.mig && !gpu.mig_devices.is_empty() {
        return Err("MIG devices need `mig: true`".into());
    }
    Ok(())
}

/// Domain, bus and device of `0000:1a:00.0`.
pub fn pci_numbers(text: &str) -> Option<(u32, u32, u32)> {
    let (domain, rest) = text.split_once(':')?;
    let (bus, rest) = rest.split_once(':')?;
    let device = rest.strip_suffix(".0")?;
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    Some((
        hex(domain)?,
        hex(bus).filter(|bus| *bus < 256)?,
        hex(device).filter(|device| *device < 32)?,
    ))
}

#[cfg(test)]
mod tests;

//! `fake-node create`: a node from a list of GPUs, or from a description.

use clap::Args;
use fake_nvml::board::Board;
use fake_nvml::mig;
use fake_nvml::node::{Behaviour, Gpu, MAX_GPUS, NodeFile};
use fake_nvml::tree::{self, Binaries};
use std::path::{Path, PathBuf};

/// What to create.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// The folder to write the node into
    dir: PathBuf,
    /// A GPU model and how many of it, as in H100-80GB:2; once per model
    #[arg(long = "gpu", value_name = "MODEL[:COUNT]", required_unless_present = "from")]
    gpus: Vec<String>,
    /// A node.yaml to take instead of a list of GPUs
    #[arg(long, conflicts_with_all = ["gpus", "driver_version", "mig"])]
    from: Option<PathBuf>,
    /// The driver's version
    #[arg(long, default_value = "550.163.01")]
    driver_version: String,
    /// MIG mode of the GPUs that can do it
    #[arg(long, default_value = "off")]
    mig: super::command::Switch,
    /// Write a configuration that has divvy manage all GPUs
    #[arg(long)]
    managed: bool,
    /// Write plain files where device nodes belong
    #[arg(long)]
    no_nodes: bool,
}

/// The CUDA version that each driver branch serves, as (branch, major, minor).
const CUDA: &[(u32, u32, u32)] = &[
    (450, 11, 0),
    (470, 11, 4),
    (525, 12, 0),
    (535, 12, 2),
    (545, 12, 3),
    (550, 12, 4),
    (560, 12, 6),
    (570, 12, 8),
    (580, 13, 0),
    (590, 13, 1),
];

impl Create {
    /// Creates the node and says which variables to export.
    pub(crate) fn run(&self) -> Result<String, String> {
        let description = self.description()?;
        tree::create(&self.dir, &description, &binaries()?)?;
        let dir = self.dir.canonicalize();
        let dir = dir.map_err(|error| format!("{}: {error}", self.dir.display()))?;
        if self.managed {
            tree::manage(&dir)?;
        }
        if self.no_nodes {
            super::say("note: the files in dev/ are plain files, no device nodes");
        }
        Ok(exports(&dir))
    }

    fn description(&self) -> Result<String, String> {
        match &self.from {
            Some(path) => {
                let text = std::fs::read_to_string(path);
                let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
                Ok(if self.no_nodes { format!("plain-nodes: true\n{text}") } else { text })
            }
            None => {
                let node = self.node()?;
                serde_saphyr::to_string(&node).map_err(|error| format!("node.yaml: {error}"))
            }
        }
    }

    fn node(&self) -> Result<NodeFile, String> {
        let mut gpus = vec![];
        for wanted in &self.gpus {
            let (key, count) = wanted.rsplit_once(':').unwrap_or((wanted, "1"));
            let count = count.parse().ok().filter(|count| (1..=MAX_GPUS).contains(count));
            let count =
                count.ok_or_else(|| format!("--gpu {wanted}: the count is 1 to {MAX_GPUS}"))?;
            let board = Board::named(key)?;
            for _ in 0..count {
                gpus.push(gpu(gpus.len(), &board, self.mig.is_on()));
            }
        }
        let driver_version = driver_version(&self.driver_version)?;
        let cuda_version = cuda_version(&driver_version);
        let nvml = Behaviour::default();
        Ok(NodeFile { driver_version, cuda_version, plain_nodes: self.no_nodes, nvml, gpus })
    }
}

/// The same list of GPUs has the same UUIDs on every node, so that what tests print is stable.
fn gpu(index: usize, board: &Board, mig: bool) -> Gpu {
    Gpu {
        board: board.key.clone(),
        uuid: mig::gpu_uuid(&board.key, index),
        minor: u32::try_from(index).unwrap_or(u32::MAX),
        pci: format!("0000:{:02x}:00.0", 0x10 + 2 * index),
        name: None,
        mig: mig && board.has_mig(),
        lost: false,
        time_slice: true,
        mig_devices: vec![],
        fabric: None,
    }
}

/// A version is part of file names: digits and points alone.
fn driver_version(text: &str) -> Result<String, String> {
    let parts =
        text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    match parts && text.contains('.') {
        true => Ok(text.to_owned()),
        false => Err(format!("--driver-version {text}: it is of the form 550.163.01")),
    }
}

fn cuda_version(driver: &str) -> (u32, u32) {
    let branch = driver.split('.').next().and_then(|branch| branch.parse().ok()).unwrap_or(0);
    let served = CUDA.iter().rev().find(|(from, ..)| *from <= branch);
    served.map_or((11, 0), |(_, major, minor)| (*major, *minor))
}

/// This program, and the library that the same build has put beside it.
fn binaries() -> Result<Binaries, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("this program's own file: {error}"))?;
    let folder = program.parent().unwrap_or_else(|| Path::new("."));
    let name = "libfake_nvml.so";
    // Cargo writes to deps and links the result beside the program, which it may do later.
    let mut places = [folder.join("deps").join(name), folder.join(name)].into_iter();
    let library = places.find(|path| path.is_file());
    let library = library.ok_or_else(|| {
        format!(
            "{}: no {name} beside this program: build it with `cargo build -p fake-nvml`",
            folder.display()
        )
    })?;
    Ok(Binaries { library, program })
}

/// The variables as shell lines.
pub(crate) fn exports(dir: &Path) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', r"'\''"));
    let line = |(name, value): (&str, String)| format!("export {name}={}\n", quoted(&value));
    tree::variables(dir).into_iter().map(line).collect()
}

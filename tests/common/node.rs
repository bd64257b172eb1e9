//! Simulated nodes: a driver, its library, its files, in a folder that is gone after the test.

use divvy::host::Host;
use divvy::inventory;
use divvy::nvml::Session;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// A simulated node. Each has its own copy of the library, so that nodes in one process don't meet.
#[derive(Debug)]
pub(crate) struct Node {
    dir: TempDir,
    env: Vec<(String, String)>,
}

/// Makes a node, as `fake-node create DIR ARGUMENTS…` does: `create(&["--gpu", "H100-80GB:2"])`.
pub(crate) fn create(arguments: &[&str]) -> Node {
    create_in(&std::env::temp_dir(), arguments)
}

/// The same in a folder of that one.
pub(crate) fn create_in(parent: &Path, arguments: &[&str]) -> Node {
    let dir = tempfile::tempdir_in(parent).unwrap();
    let root = dir.path().join("node");
    let mut command = fake_node("create", &root);
    let env = exports(&run(command.args(arguments)));
    Node { dir, env }
}

/// Makes a node from its description, the text of a `node.yaml`.
pub(crate) fn describe(yaml: &str) -> Node {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), yaml).unwrap();
    create(&["--no-nodes", "--from", file.path().to_str().unwrap()])
}

impl Node {
    /// The node's folder.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("node")
    }

    /// The variables that make divvy see the node.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        self.env.clone()
    }

    /// The node's paths.
    pub(crate) fn host(&self) -> Host {
        let path = |name: &str| {
            let found = self.env.iter().find(|(known, _)| known == name);
            PathBuf::from(&found.unwrap_or_else(|| panic!("fake-node exports no {name}")).1)
        };
        Host {
            driver_root: path("DIVVY_DRIVER_ROOT"),
            dev_root: path("DIVVY_DEV_ROOT"),
            proc_root: path("DIVVY_PROC_ROOT"),
            sys_root: path("DIVVY_SYS_ROOT"),
            state_dir: path("DIVVY_STATE_DIR"),
            cdi_dirs: vec![path("DIVVY_CDI_DIR")],
            config: path("DIVVY_CONFIG"),
            nvml_library: Some(path("DIVVY_NVML_LIBRARY")),
            ..Host::default()
        }
    }

    /// Keeps the node's records in another folder from now on.
    pub(crate) fn keep_state_in(&mut self, folder: &Path) {
        self.env.retain(|(name, _)| name != "DIVVY_STATE_DIR");
        self.env.push(("DIVVY_STATE_DIR".to_owned(), folder.to_str().unwrap().to_owned()));
    }

    /// The built `divvy`, on this node.
    pub(crate) fn divvy(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_divvy"));
        command.envs(self.env());
        command
    }

    /// A session with the node's NVML in this process.
    pub(crate) fn session(&self) -> Session {
        inventory::open(&self.host()).unwrap()
    }

    /// Changes the node: `change("lose", &["3"])` is `fake-node lose DIR 3`. Returns what it prints.
    pub(crate) fn change(&self, verb: &str, arguments: &[&str]) -> String {
        run(fake_node(verb, &self.dir()).args(arguments))
    }

    /// Lets NVML calls fail or abort: `SYMBOL:N:CODE`, a line each.
    pub(crate) fn faults(&self, faults: &str) {
        fs::write(self.dir().join("faults"), faults).unwrap();
    }
}

fn fake_node(verb: &str, dir: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg(verb).arg(dir);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The stand-in for `nvidia-cuda-mps-server`.
pub(crate) fn mps_server() -> PathBuf {
    program().with_file_name("nvidia-cuda-mps-server")
}

/// `fake-node`, built with its library beside it. A test's build doesn't make either, since no target of
/// this package links them; cargo has let go of its locks by the time tests run.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).expect("tests are in TARGET/PROFILE/deps");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "fake-nvml", "--target-dir"]);
        cargo.arg(profile.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        run(&mut cargo);
        profile.join("fake-node")
    })
}

/// Reads `export NAME='value'` lines.
fn exports(text: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let (name, value) = line.strip_prefix("export ")?.split_once('=')?;
        let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
        Some((name.to_owned(), value.replace(r"'\''", "'")))
    };
    text.lines().filter_map(pair).collect()
}

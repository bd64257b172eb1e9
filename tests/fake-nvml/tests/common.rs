//! Nodes to test on, and their library loaded.

use nvml_wrapper_sys::bindings::{NvmlLib, nvmlDevice_t};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// Calls a function of the library and answers its return code.
macro_rules! nvml {
    ($library:expr, $name:ident $(, $argument:expr)* $(,)?) => {{
        let function = $library.$name.as_ref().unwrap();
        // SAFETY: the bindings give the function its type; pointers are to locals of the caller.
        unsafe { function($($argument),*) }
    }};
}
pub(crate) use nvml;

/// A node in a folder that goes with it. Devices are plain files: no test needs to be root.
pub(crate) struct Node {
    dir: TempDir,
}

impl Node {
    /// A node whose `node.yaml` lists these GPUs and, before them, says this.
    pub(crate) fn new(head: &str, gpus: &[&str]) -> Node {
        let rows = gpus.iter().enumerate().map(|(index, gpu)| {
            let (board, rest) = gpu.split_once(", ").unwrap_or((gpu, "lost: false"));
            format!("- {{board: {board}, uuid: GPU-{index}, minor: {index}, pci: \"0000:{:02x}:00.0\", {rest}}}\n", index + 16)
        });
        let head = if head.contains("nvml:") {
            head.to_owned()
        } else {
            format!("{head}nvml: {{needs-root: false}}\n")
        };
        Node::described(&format!("{head}gpus:\n{}", rows.collect::<String>()))
    }

    /// A node of that description.
    pub(crate) fn described(text: &str) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("description");
        std::fs::write(&file, text).unwrap();
        let node = Node { dir };
        let at = node.path("n");
        let created = node.run(&[
            "create",
            at.to_str().unwrap(),
            "--no-nodes",
            "--from",
            file.to_str().unwrap(),
        ]);
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        node
    }

    /// Where the node lies.
    pub(crate) fn folder(&self) -> PathBuf {
        self.path("n")
    }

    /// A file of the node.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_fake-node")).args(arguments).output().unwrap()
    }

    /// Runs `fake-node COMMAND DIR …`, which succeeds, and answers what it prints.
    pub(crate) fn does(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.tries(command, arguments);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `fake-node COMMAND DIR …`.
    pub(crate) fn tries(&self, command: &str, arguments: &[&str]) -> Output {
        let folder = self.folder();
        let mut all = vec![command, folder.to_str().unwrap()];
        all.extend(arguments);
        self.run(&all)
    }

    /// Runs a program of the node's driver root.
    pub(crate) fn program(&self, name: &str, arguments: &[&str]) -> Output {
        Command::new(self.file("driver/usr/bin").join(name)).args(arguments).output().unwrap()
    }

    /// The library, loaded and not initialised.
    pub(crate) fn library(&self) -> NvmlLib {
        load(&self.library_file())
    }

    /// The library's file.
    pub(crate) fn library_file(&self) -> PathBuf {
        let lib = self.file("driver/usr/lib");
        let folder = std::fs::read_dir(lib).unwrap().next().unwrap().unwrap().path();
        folder.join("libnvidia-ml.so.1")
    }

    /// The library, initialised.
    pub(crate) fn started(&self) -> NvmlLib {
        let library = self.library();
        assert_eq!(nvml!(library, nvmlInit_v2), 0);
        library
    }
}

/// Loads a library.
pub(crate) fn load(path: &Path) -> NvmlLib {
    // SAFETY: the library is this repository's own; loading it runs no code of note.
    unsafe { NvmlLib::new(path) }.unwrap()
}

/// The GPU of that index.
pub(crate) fn gpu(library: &NvmlLib, index: u32) -> nvmlDevice_t {
    let mut device = std::ptr::null_mut();
    assert_eq!(nvml!(library, nvmlDeviceGetHandleByIndex_v2, index, &raw mut device), 0);
    device
}

/// A text that a function writes.
pub(crate) fn text(
    read: impl FnOnce(*mut std::os::raw::c_char, u32) -> u32,
) -> Result<String, u32> {
    let mut buffer = [0; 96];
    match read(buffer.as_mut_ptr(), 96) {
        0 => Ok(field(&buffer)),
        code => Err(code),
    }
}

/// A text in a struct's field.
pub(crate) fn field(field: &[std::os::raw::c_char]) -> String {
    let bytes = field.iter().take_while(|byte| **byte != 0);
    bytes.map(|byte| char::from(u8::try_from(*byte).unwrap())).collect()
}

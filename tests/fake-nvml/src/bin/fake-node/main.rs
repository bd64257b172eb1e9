//! Writes a simulated node into a folder and changes it. In a node's driver root it also stands
//! in for `nvidia-smi` and `nvidia-modprobe`, by the name that it is called by.

mod command;
mod create;
mod modprobe;
mod smi;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    match called.file_name().and_then(|name| name.to_str()) {
        Some("nvidia-smi") => smi::main(),
        Some("nvidia-modprobe") => modprobe::main(),
        _ => command::main(),
    }
}

/// Prints an answer; a reader that went away is no failure.
fn answer(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Says a sentence to people.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The node that this program's file lies in.
fn own_node() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    fake_nvml::node::above(&program).map(Path::to_path_buf)
}

//! The command line as people meet it: help, mistakes, completions, manual pages.

mod answers;
mod completions;
mod dry_run;
mod help;
mod pages;
mod terminal;

use crate::support::skip;
use std::process::{Command, Output};

/// The built program, with nothing said about where things are.
fn divvy() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_divvy"));
    let said = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DIVVY_"));
    said.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether a program that the test needs is here. `make test` installs it.
fn here(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        skip(&format!("{program} isn't on this machine"));
    }
    found
}

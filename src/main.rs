//! The `divvy` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    divvy::cli::main()
}

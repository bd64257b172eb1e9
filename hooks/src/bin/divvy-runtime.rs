//! The program `divvy-runtime`.

use std::process::ExitCode;

fn main() -> ExitCode {
    divvy_hooks::runtime::main()
}

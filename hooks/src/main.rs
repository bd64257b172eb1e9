//! The program `divvy-hook`.

use std::process::ExitCode;

fn main() -> ExitCode {
    divvy_hooks::hook::main()
}

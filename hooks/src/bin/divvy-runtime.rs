//! The program `divvy-runtime`, and under the name `divvy-hook` the stages that it is handed.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "divvy-hook") {
        return divvy_hooks::hook::handed_over();
    }
    divvy_hooks::runtime::main()
}

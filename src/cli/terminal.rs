//! What stands behind stdout: how wide it is, and whether it takes colours.

use std::io::IsTerminal;

/// The terminal's columns, by COLUMNS where it doesn't say; `None` where there is none, or nobody says.
pub(super) fn columns() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok();
    let says = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    let told = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    says.or_else(told)
}

/// Colours are for terminals, and never where NO_COLOR asks for none (no-color.org).
pub(super) fn colour() -> bool {
    let asked = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    asked && !dumb && std::io::stdout().is_terminal()
}

//! What several tests need.

use std::fs::OpenOptions;
use std::io::Write;

/// Says why a test can't run here. `make test` counts it as skipped, and not as passed.
#[allow(clippy::print_stderr)] // Whoever runs one test by hand reads it there.
pub(crate) fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    if let Some(list) = std::env::var_os("DIVVY_TEST_SKIPS") {
        let mut list = OpenOptions::new().create(true).append(true).open(list).unwrap();
        writeln!(list, "{}: {reason}", std::thread::current().name().unwrap_or("a test")).unwrap();
    }
}

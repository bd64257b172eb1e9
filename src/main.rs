//! The `divvy` command.

fn main() {}

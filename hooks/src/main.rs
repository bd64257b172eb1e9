//! `divvy-hook`: the OCI hook stages.

fn main() {}

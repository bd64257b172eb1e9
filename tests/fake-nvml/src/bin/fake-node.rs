//! Writes a simulated node into a folder.

fn main() {}

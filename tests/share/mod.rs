//! Steps on the node, carried out and undone.

mod ground;
mod mps;

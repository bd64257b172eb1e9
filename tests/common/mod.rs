//! What tests share.

pub(crate) mod library;
pub(crate) mod node;
pub(crate) mod schema;

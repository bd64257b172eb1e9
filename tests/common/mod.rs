//! What tests share.

pub(crate) mod library;

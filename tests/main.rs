//! The integration tests, in one binary.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests fail as tests do.

mod claims;
mod command_line;
mod common;
mod compat;
mod dependencies;
mod doctor;
mod documents;
mod e2e;
mod floors;
mod generate;
mod hook;
mod inventory;
mod json;
mod labels;
mod messages;
mod metrics;
mod mig;
mod packaging;
mod placement;
mod proofs;
mod roads;
mod runtime;
mod share;
mod support;

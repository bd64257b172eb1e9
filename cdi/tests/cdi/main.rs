//! Tests of the format from outside the crate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "in a test a failure is a panic"
)]

mod any_spec;
mod applying;
mod reading;
mod registry;
mod round_trip;
mod rules;
mod writing;

//! A container's `config.json`: which request is in it, and how what was granted gets into it. Pure.
//!
//! The configuration stays a JSON tree, so that nothing of it is lost that divvy doesn't know.

mod find;
mod parse;
mod serve;
#[cfg(test)]
mod tests;

pub use find::{Asked, FindError, Rules, find};
pub use parse::{MAX_BYTES, ParseError, may_ask, parse};
pub use serve::{refuse, serve};

/// The annotation that asks for devices, `divvy.request: mig:1g.10gb`; in pods with `/` and the container's name.
pub const REQUEST: &str = "divvy.request";
/// The annotation that names the claim which serves a container: left for the hook that binds it.
pub const CLAIM: &str = "divvy.claim";
/// The variable that asks for devices, where the administrator allows it.
pub const REQUEST_VARIABLE: &str = "DIVVY_REQUEST";

/// A JSON value's kind, for errors.
fn kind(value: &serde_json::Value) -> &'static str {
    use serde_json::Value;
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

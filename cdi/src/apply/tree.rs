//! Ways into the tree of a configuration. A field that is missing or `null` is made; one of another type is an error.

use serde_json::{Map, Value};

use super::ApplyError;

/// The object that `field` names with its whole path, in its `parent`.
pub(super) fn object_in<'a>(
    parent: &'a mut Map<String, Value>,
    field: &str,
) -> Result<&'a mut Map<String, Value>, ApplyError> {
    let value = child(parent, field);
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    as_object(value, field)
}

/// The array that `field` names with its whole path, in its `parent`.
pub(super) fn array_in<'a>(
    parent: &'a mut Map<String, Value>,
    field: &str,
) -> Result<&'a mut Vec<Value>, ApplyError> {
    let value = child(parent, field);
    if value.is_null() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(array) => Ok(array),
        other => Err(wrong(field.into(), other, "a list")),
    }
}

/// `value` as an object; `field` is its path.
pub(super) fn as_object<'a>(
    value: &'a mut Value,
    field: &str,
) -> Result<&'a mut Map<String, Value>, ApplyError> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(wrong(field.into(), other, "an object")),
    }
}

/// `value` as text; `field` tells its path.
pub(super) fn text(value: &Value, field: impl FnOnce() -> String) -> Result<&str, ApplyError> {
    value.as_str().ok_or_else(|| wrong(field(), value, "a text"))
}

/// The text `key` of the object `value`, empty where it is missing; `field` tells the path of `value`.
pub(super) fn text_in<'a>(
    value: &'a Value,
    key: &str,
    field: impl FnOnce() -> String,
) -> Result<&'a str, ApplyError> {
    match value {
        Value::Object(object) => match object.get(key) {
            None | Some(Value::Null) => Ok(""),
            Some(inner) => text(inner, || format!("{}.{key}", field())),
        },
        other => Err(wrong(field(), other, "an object")),
    }
}

/// The value of the last key of the path `field`.
fn child<'a>(parent: &'a mut Map<String, Value>, field: &str) -> &'a mut Value {
    let key = field.rsplit('.').next().unwrap_or(field);
    parent.entry(key).or_insert(Value::Null)
}

fn wrong(field: String, value: &Value, expected: &'static str) -> ApplyError {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    ApplyError::WrongType { field, found, expected }
}

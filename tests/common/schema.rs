//! JSON Schemas, as far as divvy's own go: whether a value is of one, and where it isn't.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Whether a value is of a schema.
pub(crate) fn allows(schema: &Value, value: &Value) -> bool {
    Check { root: schema, closed: false }.value(schema, value, "").is_ok()
}

/// Whether a value is of a schema and has no key that the schema doesn't name, however open the schema is.
///
/// # Errors
/// Where it isn't.
pub(crate) fn describes(schema: &Value, value: &Value) -> Result<(), String> {
    Check { root: schema, closed: true }.value(schema, value, "")
}

/// What has no say in whether a value is of a schema.
const ANNOTATIONS: [&str; 8] =
    ["$schema", "$defs", "title", "description", "default", "examples", "format", "deprecated"];

struct Check<'a> {
    root: &'a Value,
    closed: bool,
}

type Keys = BTreeSet<String>;

impl Check<'_> {
    fn value(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let known = self.keys(schema, value, at)?;
        let unknown =
            value.as_object().and_then(|all| all.keys().find(|key| !known.contains(*key)));
        match unknown {
            Some(key) if self.closed => Err(format!("{at}: no schema names {key}: {value}")),
            _ => Ok(()),
        }
    }

    /// The keys of an object that the schema names.
    fn keys(&self, schema: &Value, value: &Value, at: &str) -> Result<Keys, String> {
        let Some(schema) = schema.as_object() else {
            let all = value.as_object().map(|all| all.keys().cloned().collect());
            return match schema {
                Value::Bool(true) => Ok(all.unwrap_or_default()),
                _ => Err(format!("{at}: nothing is allowed here: {value}")),
            };
        };
        let mut known = Keys::new();
        let mut closed = false;
        for (keyword, says) in schema {
            match keyword.as_str() {
                "$ref" => {
                    let target = says.as_str().unwrap().trim_start_matches('#');
                    known.extend(self.keys(self.root.pointer(target).unwrap(), value, at)?);
                }
                "anyOf" | "oneOf" | "allOf" => {
                    known.extend(self.branches(keyword, says.as_array().unwrap(), value, at)?);
                }
                "properties" => {
                    known.extend(self.properties(says.as_object().unwrap(), value, at)?);
                }
                "patternProperties" => {
                    known.extend(self.patterns(says.as_object().unwrap(), value, at)?);
                }
                "additionalProperties" | "unevaluatedProperties" if *says == Value::Bool(false) => {
                    closed = true;
                }
                "additionalProperties" => {
                    for (key, value) in others(schema, value) {
                        self.value(says, value, &format!("{at}/{key}"))?;
                        known.insert(key.clone());
                    }
                }
                "items" => {
                    for (n, value) in value.as_array().into_iter().flatten().enumerate() {
                        self.value(says, value, &format!("{at}/{n}"))?;
                    }
                }
                keyword if ANNOTATIONS.contains(&keyword) => {}
                keyword if holds(keyword, says, value) => {}
                keyword => return Err(format!("{at}: {keyword} is {says}: {value}")),
            }
        }
        match value.as_object().and_then(|all| all.keys().find(|key| !known.contains(*key))) {
            Some(key) if closed => Err(format!("{at}: {key} isn't allowed: {value}")),
            _ => Ok(known),
        }
    }

    fn branches(&self, how: &str, all: &[Value], value: &Value, at: &str) -> Result<Keys, String> {
        let tried: Vec<Result<Keys, String>> =
            all.iter().map(|one| self.branch(one, value, at)).collect();
        let fit = tried.iter().filter(|one| one.is_ok()).count();
        let right = match how {
            "oneOf" => fit == 1,
            "anyOf" => fit > 0,
            _ => fit == all.len(),
        };
        if right {
            return Ok(tried.into_iter().flatten().flatten().collect());
        }
        let why: Vec<String> = tried.into_iter().filter_map(Result::err).collect();
        Err(format!("{at}: {fit} of {how} fit: {}", why.join(" | ")))
    }

    /// A branch that is an object by itself, and not a part of one, is judged by itself.
    fn branch(&self, schema: &Value, value: &Value, at: &str) -> Result<Keys, String> {
        if schema.get("$ref").is_some() {
            self.value(schema, value, at)?;
        }
        self.keys(schema, value, at)
    }

    fn properties(
        &self,
        own: &Map<String, Value>,
        value: &Value,
        at: &str,
    ) -> Result<Keys, String> {
        let mut known = Keys::new();
        for (key, value) in value.as_object().into_iter().flatten() {
            if let Some(schema) = own.get(key) {
                self.value(schema, value, &format!("{at}/{key}"))?;
                known.insert(key.clone());
            }
        }
        Ok(known)
    }

    fn patterns(&self, own: &Map<String, Value>, value: &Value, at: &str) -> Result<Keys, String> {
        let mut known = Keys::new();
        for (key, value) in value.as_object().into_iter().flatten() {
            for (_, schema) in own.iter().filter(|(pattern, _)| matches(pattern, key)) {
                self.value(schema, value, &format!("{at}/{key}"))?;
                known.insert(key.clone());
            }
        }
        Ok(known)
    }
}

/// The entries of an object that neither `properties` nor `patternProperties` name.
fn others<'a>(
    schema: &'a Map<String, Value>,
    value: &'a Value,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let named = |key: &str| {
        let own = schema.get("properties").is_some_and(|own| own.get(key).is_some());
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        own || patterns.is_some_and(|all| all.keys().any(|pattern| matches(pattern, key)))
    };
    value.as_object().into_iter().flatten().filter(move |(key, _)| !named(key))
}

fn matches(pattern: &str, text: &str) -> bool {
    regex_lite::Regex::new(pattern).unwrap().is_match(text)
}

/// Whether a value is what a keyword about itself says.
fn holds(keyword: &str, says: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("a new type: {other}"),
    };
    let length = |list: &Vec<Value>| list.len() as u64;
    match keyword {
        "type" => says.as_array().map_or_else(|| is(says), |names| names.iter().any(is)),
        "enum" => says.as_array().unwrap().contains(value),
        "const" => says == value,
        "pattern" => value.as_str().is_none_or(|text| matches(says.as_str().unwrap(), text)),
        "minimum" => value.as_f64().is_none_or(|number| number >= says.as_f64().unwrap()),
        "maximum" => value.as_f64().is_none_or(|number| number <= says.as_f64().unwrap()),
        "minItems" => value.as_array().map(length).is_none_or(|n| n >= says.as_u64().unwrap()),
        "maxItems" => value.as_array().map(length).is_none_or(|n| n <= says.as_u64().unwrap()),
        "uniqueItems" => value
            .as_array()
            .is_none_or(|list| list.iter().enumerate().all(|(n, one)| !list[..n].contains(one))),
        "required" => value.as_object().is_none_or(|object| {
            says.as_array().unwrap().iter().all(|key| object.contains_key(key.as_str().unwrap()))
        }),
        other => panic!("a new keyword: {other}"),
    }
}

#[test]
fn keys_that_no_schema_names_are_found() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": { "a": { "$ref": "#/$defs/Inner" } },
        "oneOf": [
            { "type": "object", "properties": { "kind": { "const": "x" } }, "required": ["kind"] },
            {
                "type": "object",
                "properties": { "kind": { "const": "y" }, "more": { "type": "integer" } },
                "required": ["kind", "more"],
            },
        ],
        "$defs": { "Inner": { "type": "object", "properties": { "b": { "type": "string" } } } },
    });
    for (value, right) in [
        (serde_json::json!({ "kind": "x" }), true),
        (serde_json::json!({ "kind": "y", "more": 1, "a": { "b": "c" } }), true),
        (serde_json::json!({ "kind": "x", "more": 1 }), false),
        (serde_json::json!({ "kind": "x", "a": { "c": 1 } }), false),
    ] {
        assert_eq!(describes(&schema, &value).is_ok(), right, "{value}");
        assert!(allows(&schema, &value), "{value}");
    }
    assert!(!allows(&schema, &serde_json::json!({ "kind": "y" })));
    assert!(!allows(&schema, &serde_json::json!({ "kind": "x", "a": { "b": 1 } })));
}

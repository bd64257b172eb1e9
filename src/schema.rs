//! JSON Schemas of values that are written as one text or number.

/// Describes a type that is written as a text of this pattern.
macro_rules! text {
    ($type:ty, $name:literal, $pattern:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

/// Describes a type that is written as a whole number of this range.
macro_rules! number {
    ($type:ty, $name:literal, $range:expr) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let range = $range;
                schemars::json_schema!({
                    "type": "integer", "minimum": *range.start(), "maximum": *range.end()
                })
            }
        }
    };
}

/// Describes a type that is read from a text of this pattern or a number, and written as the text.
macro_rules! scalar {
    ($type:ty, $name:literal, $pattern:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                if generator.contract().is_serialize() {
                    return schemars::json_schema!({ "type": "string", "pattern": $pattern });
                }
                schemars::json_schema!({
                    "anyOf": [
                        { "type": "string", "pattern": $pattern },
                        { "type": "integer", "minimum": 0 },
                    ]
                })
            }
        }
    };
}

pub(crate) use {number, scalar, text};

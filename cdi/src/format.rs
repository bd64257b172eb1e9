//! The two encodings of a spec, and a spec as text.

use std::path::Path;

use crate::Spec;

/// How a spec is written down. Engines take files whose names end in `.json` or `.yaml`, and read both alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JSON, indented by two spaces.
    Json,
    /// YAML, in a form that YAML 1.1 and 1.2 parsers read alike.
    Yaml,
}

/// A spec that could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("the CDI spec of kind {kind} can't be encoded: {reason}")]
pub struct FormatError {
    kind: String,
    reason: String,
}

impl Format {
    /// The format that engines expect in a file of that name, by its ending; `None` for a file that they ignore.
    pub fn of_path(path: &Path) -> Option<Format> {
        let name = path.file_name()?.as_encoded_bytes();
        if name.ends_with(b".json") {
            Some(Format::Json)
        } else if name.ends_with(b".yaml") {
            Some(Format::Yaml)
        } else {
            None
        }
    }

    /// `spec` as text with a newline at its end. The same spec gives the same text.
    ///
    /// # Errors
    /// When an encoder refuses the content; none is known that it would refuse.
    pub fn encode(self, spec: &Spec) -> Result<String, FormatError> {
        let text = match self {
            Format::Json => serde_json::to_string_pretty(spec)
                .map(escape_what_yaml_forbids)
                .map_err(|e| e.to_string()),
            Format::Yaml => {
                serde_saphyr::to_string_with_options(spec, yaml()).map_err(|e| e.to_string())
            }
        };
        match text {
            Ok(mut text) => {
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                Ok(text)
            }
            Err(reason) => Err(FormatError { kind: spec.kind.to_string(), reason }),
        }
    }
}

/// Whether JSON allows `character` in its strings and YAML 1.1, as which engines read JSON, has no place for it or
/// takes it for a line break.
pub(crate) fn differs_in_yaml(character: char) -> bool {
    matches!(
        character,
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
    )
}

/// Such a character can only stand in JSON's strings, where `\uXXXX` says the same.
fn escape_what_yaml_forbids(json: String) -> String {
    if !json.contains(differs_in_yaml) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if differs_in_yaml(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Texts that YAML 1.1 would read as something else (`"0"`, `"0:1"`, `"yes"`) are quoted, and no text is folded
/// over lines.
fn yaml() -> serde_saphyr::SerializerOptions {
    serde_saphyr::ser_options! {
        yaml_12: false,
        prefer_block_scalars: false,
        compact_list_indent: true,
    }
}

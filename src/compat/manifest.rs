//! Kubernetes manifests that a configuration may stand in.

use crate::document::{self, Wrong};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

/// A text inside a manifest, and where it stands there.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) text: String,
    /// Line and column of the manifest that the text's own are counted from; `None` where it is not laid
    /// out as it is, and has one place only.
    offset: Option<(u64, u64)>,
    /// Where it is said.
    start: (u64, u64),
}

impl Embedded {
    /// Where a place of the text is in the manifest, as (line, column).
    pub(super) fn place(&self, line: u64, column: u64) -> (u64, u64) {
        self.offset.map_or(self.start, |(before, left)| (line + before, column + left))
    }
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct ConfigMap {
    #[serde(default)]
    data: BTreeMap<String, Spanned<String>>,
}

/// The texts of a ConfigMap by their keys; `None` where the text is none.
///
/// # Errors
/// It says that it is a ConfigMap, and its `data` is none of texts.
pub(super) fn config_map(text: &str) -> Result<Option<BTreeMap<String, Embedded>>, Wrong> {
    // What is wrong with another document is for its own reader to say.
    let kind = document::parse::<Kind>(text).ok().and_then(|manifest| manifest.kind);
    if kind.as_deref() != Some("ConfigMap") {
        return Ok(None);
    }
    let map: ConfigMap = document::parse(text)?;
    let entries = map.data.into_iter().map(|(key, said)| (key, embedded(text, said)));
    Ok(Some(entries.collect()))
}

fn embedded(manifest: &str, said: Spanned<String>) -> Embedded {
    let start = (said.defined.line(), said.defined.column());
    let offset = offset(manifest, &said.value, start);
    Embedded { text: said.value, offset, start }
}

/// How far a text that is laid out as it is, in a literal block, stands from the manifest's first line
/// and column. It is said to stand where its first line that isn't blank does.
fn offset(manifest: &str, text: &str, (line, column): (u64, u64)) -> Option<(u64, u64)> {
    let blank = text.lines().take_while(|line| line.trim().is_empty()).count();
    let before = usize::try_from(line).ok()?.checked_sub(blank + 1)?;
    let left = usize::try_from(column).ok()?.checked_sub(1)?;
    let there = manifest.lines().skip(before);
    let laid_out = text.lines().zip(there).all(|(line, there)| {
        line.trim().is_empty() || there.get(left..).is_some_and(|there| there == line)
    });
    laid_out.then_some((u64::try_from(before).ok()?, u64::try_from(left).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_block_are_places_of_the_manifest() {
        let text = "kind: ConfigMap\ndata:\n  a: |\n\n    one\n    two\n  b: \"one\\ntwo\"\n";
        let map = config_map(text).unwrap().unwrap();
        assert_eq!(map["a"].text, "\none\ntwo\n");
        assert_eq!(map["a"].place(3, 2), (6, 6));
        assert_eq!(map["b"].place(2, 1), (7, 6));
    }

    #[test]
    fn other_documents_are_none() {
        for text in ["kind: Pod\n", "version: v1\n", "[", "", "kind: [ConfigMap]"] {
            assert!(config_map(text).unwrap().is_none(), "{text}");
        }
        assert!(config_map("kind: ConfigMap\ndata: {a: {b: c}}\n").is_err());
    }
}

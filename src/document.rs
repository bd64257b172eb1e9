//! Files that people write, in YAML or JSON: what is wrong in one is said with its place, the bad value and
//! what would be right.

use crate::suggest::nearest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Error, Location};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A hundred times what a node with 64 GPUs needs.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is there and can't be read, or is not there and should be.
    #[error("{} can't be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is far larger than anything that a person writes.
    #[error("{} has more than {limit} bytes, the most that is read", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The most.
        limit: u64,
    },
    /// It says something that has no meaning.
    #[error("{}:{}:{}: {}", path.display(), wrong.line, wrong.column, wrong.message)]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// What, and where in it.
        wrong: Wrong,
    },
}

impl FileError {
    /// The same, in this file.
    pub(crate) fn wrong(path: &Path, wrong: Wrong) -> FileError {
        FileError::Wrong { path: path.to_owned(), wrong }
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Wrong {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong there, and what would be right.
    pub message: String,
}

impl Wrong {
    /// Something at a value's own place.
    pub(crate) fn at(place: Location, message: impl ToString) -> Wrong {
        Wrong { line: place.line(), column: place.column(), message: message.to_string() }
    }
}

/// The text of a file.
///
/// # Errors
/// It can't be read, or is larger than [`MAX_BYTES`].
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(FileError::TooLarge { path: path.to_owned(), limit: MAX_BYTES });
    }
    Ok(text)
}

/// Reads a value for which nothing may stand, as `key:` without a value does.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Whether a text has nothing but blanks and comments.
pub(crate) fn is_empty(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// The one document of a text.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    serde_saphyr::from_str(text).map_err(|error| wrong(text, &error))
}

/// The documents of a text that are parted by `---`, each with blank lines in front, so that its lines have
/// the numbers that they have in the whole text. Empty ones are left out.
pub(crate) fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (n, line) in text.lines().enumerate() {
        let parts = line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty());
        if parts {
            documents.push("\n".repeat(n + 1));
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.retain(|document| !is_empty(document));
    documents
}

/// The document in a scalar of another one, as a ConfigMap has it. `place` is where the scalar stands in
/// `outer`: what is wrong is told by its place there.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn parse_inner<T: DeserializeOwned>(
    inner: &str,
    outer: &str,
    place: Location,
) -> Result<T, Wrong> {
    parse(inner).map_err(|wrong| moved(wrong, inner, outer, place))
}

fn moved(wrong: Wrong, inner: &str, outer: &str, place: Location) -> Wrong {
    match outer_place((wrong.line, wrong.column), inner, outer, place) {
        Some((line, column)) => Wrong { line, column, ..wrong },
        None => Wrong::at(place, format_args!("in the text here, {wrong}")),
    }
}

/// Where a place of a scalar's text is in the document around it, both as (line, column). `None` where the
/// scalar isn't laid out as it is.
pub(crate) fn outer_place(
    (line, column): (u64, u64),
    inner: &str,
    outer: &str,
    place: Location,
) -> Option<(u64, u64)> {
    let line_of = |text: &str, line: u64| {
        let line = usize::try_from(line).ok()?.checked_sub(1)?;
        text.lines().nth(line).map(str::to_owned)
    };
    // A block scalar is said to stand where its first line that isn't blank does.
    let blank = inner.lines().take_while(|line| line.trim().is_empty()).count() as u64;
    let there = (place.line() + line).saturating_sub(1 + blank);
    let (found, own) = line_of(outer, there).zip(line_of(inner, line))?;
    // The lines of a block scalar stand in the outer text as they are, behind their indentation.
    let behind = found.strip_suffix(own.trim_end())?;
    let laid_out = behind.trim().is_empty() && !own.trim().is_empty();
    laid_out.then_some((there, column + behind.len() as u64))
}

fn wrong(text: &str, error: &Error) -> Wrong {
    let error = error.without_snippet();
    let place = error.location();
    let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
    Wrong { line, column, message: message(text, error, place) }
}

fn message(text: &str, error: &Error, place: Option<Location>) -> String {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            format!(
                "there is no key {} here: {}",
                shown(field),
                instead(field, expected, "its keys are")
            )
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!(
                "{} has no meaning here: {}",
                shown(variant),
                instead(variant, expected, "it is one of")
            )
        }
        Error::SerdeMissingField { field, .. } => format!("the key {field:?} is missing here"),
        Error::SerdeInvalidType { unexpected, expected, .. } => {
            format!("found {} where this belongs: {expected}", with_article(unexpected))
        }
        Error::InvalidScalar { ty, .. } => match place.and_then(|place| value(text, place)) {
            Some(value) => format!("{} is not {}", shown(value), scalar(ty)),
            None => format!("the value here is not {}", scalar(ty)),
        },
        Error::Unexpected { expected, .. } => match *expected {
            "sequence start" => "a list belongs here".to_owned(),
            "mapping start" => "keys with values belong here".to_owned(),
            "string scalar" => "a single value belongs here".to_owned(),
            _ => plain(error),
        },
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key {} is here twice", shown(key))
        }
        _ => plain(error),
    }
}

/// What an error says of itself, without the place and what only a program could set.
fn plain(error: &Error) -> String {
    let text = error.to_string();
    let place =
        error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
    let message = place.and_then(|place| text.strip_suffix(&place)).unwrap_or(&text);
    message.split(", set ").next().unwrap_or(message).to_owned()
}

/// The value that stands at a place.
fn value(text: &str, place: Location) -> Option<&str> {
    let span = place.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?)
}

/// A scalar's kind in words.
fn scalar(ty: &str) -> String {
    match ty {
        "boolean" => "true or false".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "i64" => "a whole number that fits here".to_owned(),
        other => other.to_owned(),
    }
}

/// A type in serde's words, as a sentence has it: "an integer `5`".
fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// A word of the file, quoted, on one line, and not longer than anyone reads.
fn shown(word: &str) -> String {
    format!("{:?}", word.chars().take(40).collect::<String>())
}

fn instead(word: &str, known: &[&str], lead: &str) -> String {
    match nearest(word, known) {
        Some(meant) => format!("is {meant:?} meant? ({lead} {})", known.join(", ")),
        None => format!("{lead} {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_saphyr::Spanned;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Sample {
        the_first: u8,
        #[serde(default)]
        on: bool,
        #[serde(default)]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        TimeSlicing,
        Mps,
    }

    #[test]
    fn mistakes_say_the_place_the_value_and_what_is_right() {
        let texts = [
            "thefirst: 1",
            "theFirst: 1\nkinds: mps",
            "theFirst: 1\nother: 1",
            "theFirst: 300",
            "theFirst: 1\non: yes please",
            "theFirst: 1\nkind: time_slicing",
            "theFirst: 1\nkind: fractional",
            "on: true",
            "theFirst: [1]",
            "theFirst: 1\ntheFirst: 2",
            "- 1",
            "theFirst: 'x",
        ];
        let said = texts.map(|text| format!("{text:?}\n  {}", parse::<Sample>(text).unwrap_err()));
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn a_mistake_in_an_inner_text_is_told_by_its_place_in_the_outer_one() {
        type Outer = BTreeMap<String, Spanned<String>>;
        let place = |outer: &str| {
            let inner = parse::<Outer>(outer).unwrap().remove("any").unwrap();
            parse_inner::<Sample>(&inner.value, outer, inner.referenced).unwrap_err().to_string()
        };
        let block = place("a: b\nany: |-\n  # a comment\n  theFirst: 1\n  kind: mpz\n");
        assert!(block.starts_with("line 5, column 9: \"mpz\" has no meaning here"), "{block}");
        let quoted = place("any: \"theFirst: 1\\nkind: mpz\"\n");
        assert!(
            quoted.starts_with("line 1, column 6: in the text here, line 2, column 7: "),
            "{quoted}"
        );
    }

    #[test]
    fn documents_keep_the_numbers_of_their_lines() {
        let text = "# nothing\n---\ntheFirst: 1\n---\n\n---\ntheFirst: 2\nother: 1\n";
        let documents = split(text);
        assert_eq!(documents.len(), 2);
        assert_eq!(parse::<Sample>(&documents[0]).unwrap().the_first, 1);
        assert_eq!(parse::<Sample>(&documents[1]).unwrap_err().line, 8);
    }
}

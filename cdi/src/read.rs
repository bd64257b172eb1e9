//! Reading specs, from files that anybody may have written.
//!
//! Engines read every spec, JSON too, as YAML, and refuse fields and keys that they don't know or that stand twice.
//! So does this reader; texts that are strict JSON take a road that is fifteen times faster.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_saphyr::{MessageFormatter as _, UserMessageFormatter};

use crate::{
    Finding, Format, Position, Severity, Spec,
    format::differs_in_yaml,
    position::{field_at, locate},
    validate,
};

/// The largest spec that is read, in bytes. One of 7,560 devices with six nodes each has 10 MiB.
pub const MAX_SIZE: u64 = 16 * 1024 * 1024;

/// What a text of [`MAX_SIZE`] can need, and not much more.
const MAX_EVENTS: usize = 2_000_000;
/// YAML's aliases may not repeat more than that, in bytes.
const MAX_REPEATED: usize = 64 * 1024 * 1024;
/// A spec nests nine deep.
pub(crate) const MAX_DEPTH: usize = 32;

/// A file that holds no spec that an engine would load.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file or the folder can't be read.
    #[error("can't read {path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path is a folder, a FIFO or the like.
    #[error("can't read {path}: it is no regular file")]
    NotAFile {
        /// What was to be read.
        path: PathBuf,
    },
    /// The file is larger than [`MAX_SIZE`].
    #[error("{path} has {size} bytes; a CDI spec of more than {MAX_SIZE} is not read")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes, as far as it was looked at.
        size: u64,
    },
    /// The file is no text.
    #[error("{path}:{line}: the CDI spec is not UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first wrong byte, counted from 1.
        line: usize,
    },
    /// The file's content breaks the format.
    #[error("{}", describe(path, findings))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// At least one, of which at least one is an error.
        findings: Vec<Finding>,
    },
}

impl ReadError {
    /// The file or folder that is meant.
    pub fn path(&self) -> &Path {
        match self {
            ReadError::Io { path, .. }
            | ReadError::NotAFile { path }
            | ReadError::TooLarge { path, .. }
            | ReadError::NotUtf8 { path, .. }
            | ReadError::Invalid { path, .. } => path,
        }
    }
}

/// The first error as `file:line:column: field: problem`, and how many more there are.
fn describe(path: &Path, findings: &[Finding]) -> String {
    let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let Some(first) = errors.next() else { return format!("{} is invalid", path.display()) };
    let separator = if first.position.is_some() { ":" } else { ": " };
    let more = match errors.count() {
        0 => String::new(),
        1 => " (and 1 error more)".into(),
        more => format!(" (and {more} errors more)"),
    };
    format!("{}{separator}{first}{more}", path.display())
}

/// Reads the spec at `path` as an engine would: its content is valid but for warnings.
///
/// # Errors
/// When the file can't be read, is no regular file, is too large, is no UTF-8, or its content breaks the format.
pub fn read_file(path: &Path) -> Result<Spec, ReadError> {
    let invalid = |findings| ReadError::Invalid { path: path.into(), findings };
    let text = read_text(path)?;
    let spec = parse(&text).map_err(|finding| invalid(vec![finding]))?;
    let mut findings = validate(&spec);
    findings.retain(|finding| finding.severity == Severity::Error);
    if findings.is_empty() {
        return Ok(spec);
    }
    locate(&text, &mut findings);
    Err(invalid(findings))
}

/// Everything that is wrong with the file at `path`, errors and warnings, each with its position.
///
/// # Errors
/// When the file can't be read, is no regular file, is too large or is no UTF-8.
pub fn check_file(path: &Path) -> Result<Vec<Finding>, ReadError> {
    let text = read_text(path)?;
    let mut findings = match parse(&text) {
        Ok(spec) => {
            let mut findings = validate(&spec);
            locate(&text, &mut findings);
            findings
        }
        Err(finding) => vec![finding],
    };
    if Format::of_path(path).is_none() {
        findings.push(Finding {
            severity: Severity::Warning,
            field: String::new(),
            position: None,
            problem: "the file's name ends neither in .json nor in .yaml: engines ignore it".into(),
        });
    }
    Ok(findings)
}

/// Reads a spec from a JSON or YAML text of one document (engines ignore what follows it). Its content is not
/// validated: see [`validate`].
///
/// # Errors
/// The first thing that is no YAML, or has no place in a spec, with its position.
pub fn parse(text: &str) -> Result<Spec, Finding> {
    if text.trim_start().starts_with('{')
        && !text.contains(differs_in_yaml)
        && let Ok(spec) = serde_json::from_str(text)
    {
        return Ok(spec);
    }
    // What strict JSON refuses may be YAML all the same; if it isn't either, this error has the field.
    serde_saphyr::from_str_with_options(text, options(text.len()))
        .map_err(|error| finding(text, &error))
}

fn options(size: usize) -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: MAX_EVENTS,
            max_nodes: MAX_EVENTS,
            max_depth: MAX_DEPTH,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            // One event is at most one text as long as the file.
            max_total_replayed_events: MAX_REPEATED / size.max(1),
        },
        // Engines read YAML 1.1, where 0666 is a file mode's usual spelling.
        legacy_octal_numbers: true,
        with_snippet: false,
    }
}

fn finding(text: &str, error: &serde_saphyr::Error) -> Finding {
    let position = error
        .location()
        .map(|location| Position { line: location.line(), column: location.column() });
    let message = without_controls(&UserMessageFormatter.format_message(error));
    let problem = match message.as_str() {
        "expected mapping start" => "fields are expected here: { } or lines of \"name: value\"",
        "expected sequence start" => "a list is expected here: [ ] or lines of \"- item\"",
        "expected string scalar" => "a single value is expected here",
        "invalid u32" => "a whole number from 0 to 4294967295 is expected here",
        "invalid i64" => "a whole number is expected here",
        "unexpected end of file" => "there is no spec in the file, or it ends too early",
        "recursion limit exceeded" => "it nests deeper than any spec does",
        other => other,
    };
    let mut field = position.map(|position| field_at(text, position)).unwrap_or_default();
    if problem.starts_with("missing field") {
        // The position is that of another field beside it. What has required fields is an item of a list, or the
        // whole spec.
        field.truncate(field.rfind(']').map_or(0, |end| end + 1));
    }
    Finding { severity: Severity::Error, field, position, problem: problem.into() }
}

/// The message quotes the file, whose control characters would reach the terminal.
fn without_controls(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// The file's text; what is no regular file is not opened, since opening a FIFO waits for a writer.
fn read_text(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError::Io { path: path.into(), source };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile { path: path.into() });
    }
    let too_large = |size| ReadError::TooLarge { path: path.into(), size };
    if metadata.len() > MAX_SIZE {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(MAX_SIZE + 1).read_to_end(&mut bytes).map_err(failed)?;
    match u64::try_from(read) {
        Ok(size) if size <= MAX_SIZE => {}
        _ => return Err(too_large(MAX_SIZE + 1)),
    }
    // A byte order mark is no part of the text, and would shift the columns of the first line.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..'\u{feff}'.len_utf8());
    }
    String::from_utf8(bytes).map_err(|error| {
        let right = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = 1 + right.filter(|byte| **byte == b'\n').count();
        ReadError::NotUtf8 { path: path.into(), line }
    })
}

//! What is wrong with a text that should be a request, and where.

use std::fmt;
use std::ops::Range;

/// A text that is not a request. Prints the reason, the text with the wrong part marked, and a right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    text: String,
    span: Range<usize>,
    problem: Problem,
    example: &'static str,
}

/// What is wrong with the marked part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Nothing where something must be.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A word that the grammar doesn't have.
    #[error("there is no {kind} '{word}'{}", did_you_mean(*.nearest))]
    Unknown {
        /// What the word stands for: a mode, a parameter of mps.
        kind: &'static str,
        /// The word.
        word: String,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// A parameter that was given before.
    #[error("'{0}' is given twice")]
    Repeated(&'static str),
    /// A value of the wrong form or out of its range.
    #[error("{0}")]
    Value(&'static str),
    /// A part that can't stand with the rest.
    #[error("{0}")]
    Clash(&'static str),
    /// Longer than any request is, or more of them than a container may have.
    #[error("{0}")]
    TooMuch(&'static str),
}

fn did_you_mean(nearest: Option<&'static str>) -> String {
    nearest.map(|word| format!(": is '{word}' meant?")).unwrap_or_default()
}

impl RequestError {
    /// `span` is in bytes of `text`.
    pub(crate) fn new(text: &str, wrong: Wrong) -> RequestError {
        let Wrong { span, problem, example } = wrong;
        RequestError { text: text.to_owned(), span, problem, example }
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The part that is wrong, in bytes of the text; empty where something is missing.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// A request that is right, of the kind that was tried.
    pub fn example(&self) -> &'static str {
        self.example
    }

    /// The whole error in one line, for a place that has a line and column of its own.
    pub(crate) fn sentence(&self) -> String {
        let (line, _) = self.marked();
        format!("'{line}' is not a request: {} (a right one: {})", self.reason(), self.example)
    }

    fn reason(&self) -> String {
        printable(&self.problem.to_string())
    }

    /// The text on one printable line and the marks under its wrong part.
    ///
    /// Requests come from annotations, where anyone may put line breaks and terminal codes.
    fn marked(&self) -> (String, String) {
        let (mut line, mut marks) = (String::new(), String::new());
        for (at, letter) in self.text.char_indices() {
            // A long text is shown around what is wrong with it.
            if at + CONTEXT < self.span.start || at > self.span.start + CONTEXT {
                continue;
            }
            let shown = printable(letter.encode_utf8(&mut [0; 4]));
            let mark = if self.span.contains(&at) { '^' } else { ' ' };
            marks.extend(shown.chars().map(|_| mark));
            line.push_str(&shown);
        }
        if self.span.is_empty() {
            marks.push('^');
        }
        (line, marks.trim_end().to_owned())
    }
}

/// How much of a long text is shown on either side of what is wrong, in bytes.
const CONTEXT: usize = 100;

/// The text without line breaks and terminal codes; quotes stay as they are.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\'' | '"' => shown.push(letter),
            _ => shown.extend(letter.escape_debug()),
        }
    }
    shown
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "not a request: {}", self.reason())?;
        if !self.text.trim().is_empty() {
            let (line, marks) = self.marked();
            writeln!(f, "  {line}\n  {marks}")?;
        }
        write!(f, "  a right one: {}", self.example)
    }
}

impl std::error::Error for RequestError {}

/// A part of a text that is wrong, before the whole text is known.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) span: Range<usize>,
    pub(crate) problem: Problem,
    pub(crate) example: &'static str,
}

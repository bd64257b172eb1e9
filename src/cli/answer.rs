//! What a command says, and how it ends.

use super::terminal;
use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// It did what was asked.
    Done,
    /// It could not.
    Failed,
    /// It was asked in a way that it doesn't understand.
    Usage,
    /// It would not.
    Refused,
    /// Others were in the way; later it may.
    Busy,
}

impl Exit {
    /// Each, in words for people.
    pub(super) const MEANINGS: [(Exit, &'static str); 5] = [
        (Exit::Done, "It did what was asked."),
        (Exit::Failed, "It could not."),
        (Exit::Usage, "It was asked in a way that it doesn't understand."),
        (Exit::Refused, "It would not: what was asked can't be had. Nothing was touched."),
        (Exit::Busy, "Others were in the way: try again."),
    ];

    /// What the process ends with.
    pub(super) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::Busy => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// What a command says: the answer on stdout, and notes for people on stderr.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) notes: Vec<String>,
}

impl Answer {
    pub(super) fn text(text: String) -> Answer {
        Answer { text, notes: Vec::new() }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// One sentence: what failed, on what, why, what to do.
    pub(super) message: String,
    /// What stands on stdout even so: a refusal as JSON, the findings of a check.
    pub(super) answer: Option<String>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl ToString) -> Failure {
        Failure { exit, message: message.to_string(), answer: None }
    }
}

/// A failure for programs, where the command has no document of its own for it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
pub(super) struct Document<'a> {
    /// What went wrong.
    error: Error<'a>,
}

#[derive(Serialize, JsonSchema)]
struct Error<'a> {
    /// One sentence: what failed, on what, why, what to do.
    message: &'a str,
    /// The exit code.
    exit: u8,
}

impl Failure {
    /// What stands on stdout: never nothing, where a program reads it.
    pub(super) fn document(self, form: Form) -> String {
        let Failure { exit, message, answer } = self;
        let error = Error { message: &message, exit: exit.code() };
        let document = || AnswerArgs { output: form }.render(&Document { error }, String::new);
        answer.unwrap_or_else(|| document().unwrap_or_default())
    }
}

/// Any error of the rooms below is a plain failure; usage and refusals are told apart where they arise.
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(Exit::Failed, error)
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs
    Yaml,
}

#[derive(Debug, Args)]
pub(super) struct AnswerArgs {
    /// Form of the answer
    #[arg(long, short, value_enum, default_value_t, env = "DIVVY_OUTPUT", hide_env_values = true)]
    pub(super) output: Form,
}

impl AnswerArgs {
    /// The answer as a table made by `table`, or as a document.
    pub(super) fn render<T: Serialize>(
        &self,
        value: &T,
        table: impl FnOnce() -> String,
    ) -> Result<String, Failure> {
        let mut text = match self.output {
            Form::Table => table(),
            Form::Json => serde_json::to_string_pretty(value)?,
            Form::Yaml => serde_saphyr::to_string(value)?,
        };
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(text)
    }

    /// A refusal: a sentence for people, and on stdout all of it for programs.
    pub(super) fn refused<T: Serialize>(&self, form: &T, message: impl ToString) -> Failure {
        let text = match self.output {
            Form::Table => None,
            Form::Json | Form::Yaml => self.render(form, String::new).ok(),
        };
        Failure { answer: text, ..Failure::new(Exit::Refused, message) }
    }
}

/// Why nothing was done, where there is no more to say.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct PlainRefusal {
    /// One sentence: what is refused, why, what to do.
    message: String,
}

impl PlainRefusal {
    pub(super) fn of(message: impl ToString) -> PlainRefusal {
        PlainRefusal { message: message.to_string() }
    }
}

/// Writes a file that somebody names, whole or not at all. Its folder must be there: a mistyped one is not made.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.exists()) {
        let (file, folder) = (file.display(), folder.display());
        let message = format!("can't write {file}: there is no folder {folder}; make it first");
        return Err(Failure::new(Exit::Failed, message));
    }
    Ok(cdi::write_atomically(file, text.as_bytes())?)
}

/// Lines of cells, each column as wide as its widest cell, as far as a terminal has room for that.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    fitted(rows, terminal::columns())
}

/// The same, without the last column where a terminal has no room for it.
pub(super) fn table_with_spare(rows: &[Vec<String>]) -> String {
    let room = terminal::columns();
    let width = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let whole = fitted(rows, room);
    if room.is_none_or(|room| width(&whole) <= room) {
        return whole;
    }
    let fewer: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.split_last().map_or_else(Vec::new, |(_, fewer)| fewer.to_vec()))
        .collect();
    fitted(&fewer, room)
}

/// What stands between two columns.
const GAP: &str = "  ";

/// The table in so many columns: the widest ones are broken into several lines until it fits. What is one word is
/// left whole even if the table is wider then: half a UUID, id or path is of no use to who copies it.
fn fitted(rows: &[Vec<String>], room: Option<usize>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize, measure: fn(&str) -> usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| measure(cell)).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> =
        (0..columns).map(|column| widest(column, |cell| cell.chars().count())).collect();
    let words: Vec<usize> = (0..columns).map(|column| widest(column, longest_word)).collect();
    let gaps = GAP.len() * columns.saturating_sub(1);
    while room.is_some_and(|room| widths.iter().sum::<usize>() + gaps > room) {
        let breakable = widths.iter_mut().zip(&words).filter(|(width, word)| **width > **word);
        match breakable.map(|(width, _)| width).max() {
            Some(width) => *width -= 1,
            None => break,
        }
    }
    rows.iter().map(|row| lines(row, &widths)).collect()
}

fn longest_word(cell: &str) -> usize {
    cell.split(' ').map(|word| word.chars().count()).max().unwrap_or(0)
}

/// One row, on as many lines as its longest cell takes.
fn lines(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<Vec<String>> =
        row.iter().zip(widths).map(|(cell, width)| broken(cell, *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut text = String::new();
    for n in 0..height {
        let part = |(cell, width): (&Vec<String>, &usize)| {
            format!("{:width$}", cell.get(n).map_or("", String::as_str), width = *width)
        };
        let parts: Vec<String> = cells.iter().zip(widths).map(part).collect();
        text.push_str(parts.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

/// A text in lines of a width, broken between words only.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + length > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// A line that may be longer than a terminal is wide: what follows its first line is indented by `indent`.
pub(super) fn wrapped(line: &str, indent: usize) -> String {
    wrapped_in(line, indent, terminal::columns())
}

fn wrapped_in(line: &str, indent: usize, room: Option<usize>) -> String {
    let Some(room) = room else { return format!("{line}\n") };
    let (mut text, mut used) = (String::new(), 0);
    for word in line.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > indent && length > 0 && used + length > room {
            text.truncate(text.trim_end().len());
            text.push_str(&format!("\n{:indent$}", ""));
            used = indent;
        }
        text.push_str(word);
        used += word.chars().count();
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["NAME", "FILE"], ["0", "x.json"], ["GPU-1", "y"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        assert_eq!(fitted(&rows, None), "NAME   FILE\n0      x.json\nGPU-1  y\n");
        assert_eq!(fitted(&rows, Some(80)), fitted(&rows, None));
        assert_eq!(fitted(&[], Some(1)), "");
    }

    #[test]
    fn a_table_fits_its_terminal() {
        let rows =
            [vec!["job".to_owned(), "mig:3g.40gb and more of it".to_owned(), "x".repeat(30)]];
        for room in [48, 52, 60] {
            let text = fitted(&rows, Some(room));
            assert!(text.lines().all(|line| line.chars().count() <= room), "{room}:\n{text}");
            for word in ["job", "mig:3g.40gb", "more", &"x".repeat(30)] {
                assert!(text.contains(word), "{text}");
            }
        }
        // What can't be broken without harm isn't.
        let text = fitted(&rows, Some(20));
        assert!(text.contains(&"x".repeat(30)) && text.contains("mig:3g.40gb"), "{text}");
    }

    #[test]
    fn a_long_line_goes_on_under_itself() {
        let line = "    seen: /run/divvy/claims is there, and so on";
        assert_eq!(wrapped_in(line, 10, None), format!("{line}\n"));
        let text = wrapped_in(line, 10, Some(32));
        assert_eq!(text, "    seen: /run/divvy/claims is\n          there, and so on\n");
    }
}

//! The command line as help, usage errors, completions and manual pages show it.

use super::Cli;
use super::answer::Form;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;

/// The whole command line, built.
pub(super) fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    with_usages(command)
}

/// The commands that are for people. Shells would complete the others as well.
pub(super) fn shown() -> Command {
    let all = Cli::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new("divvy").args(all.get_arguments().cloned()).subcommands(shown)
}

/// Parses the command line of this process, and the form that it wants its answer in.
///
/// # Errors
/// Help and version included, as clap does it.
pub(super) fn parse() -> Result<(Cli, Form), clap::Error> {
    let words = words(std::env::args_os().collect());
    let matches = Cli::command().try_get_matches_from(&words).map_err(|error| {
        match error.use_stderr() {
            // Said again with usages of our own, which only mistakes pay for.
            true => {
                let said = command().try_get_matches_from(&words).err().unwrap_or(error);
                with_hint(said, &words)
            }
            false => error,
        }
    })?;
    Ok((Cli::from_arg_matches(&matches)?, form(&matches)))
}

/// `divvy help prepare` is `divvy prepare --help`.
fn words(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// Commands that other tools have, and those that do the like here.
const ELSEWHERE: [(&[&str], &[&str]); 4] = [
    (&["ls", "list", "ps"], &["claims", "status"]),
    (&["create", "make", "run", "alloc"], &["prepare"]),
    (&["rm", "remove", "del", "delete", "destroy", "free"], &["release"]),
    (&["show", "info", "top"], &["status"]),
];

fn with_hint(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let first = words.get(1).and_then(|word| word.to_str());
    let meant = ELSEWHERE.iter().find(|(others, _)| first.is_some_and(|it| others.contains(&it)));
    if let (ErrorKind::InvalidSubcommand, Some((_, meant))) = (error.kind(), meant) {
        let meant = meant.iter().map(|command| (*command).to_owned()).collect();
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(meant));
    }
    error
}

/// What the command's `--output` says, where that is a form.
fn form(matches: &ArgMatches) -> Form {
    let own = matches.try_get_one::<Form>("output").ok().flatten().copied();
    let below = || matches.subcommand().map(|(_, below)| form(below));
    own.or_else(below).unwrap_or_default()
}

/// Left to itself, clap lists in a mistake's usage every option that the environment gave a value.
fn with_usages(mut command: Command) -> Command {
    if command.get_overridden_usage().is_none() {
        let usage = command.render_usage().to_string();
        command = command.override_usage(usage.trim_start_matches("Usage: ").trim().to_owned());
    }
    command.mut_subcommands(with_usages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usages_name_no_option_that_a_variable_sets() {
        let mut command = command();
        for words in [
            &["divvy", "prepare", "--bogus"][..],
            &["divvy", "release"],
            &["divvy", "cdi", "generate", "--bogus"],
        ] {
            let error = command.try_get_matches_from_mut(words).unwrap_err().to_string();
            assert!(error.contains("Usage: divvy ") && !error.contains("--state-dir <"), "{error}");
        }
    }
}

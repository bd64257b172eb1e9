//! `divvy man`: the manual pages of this command line, for those who package it.

use super::answer::{Answer, Exit, Failure};
use super::usage;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct ManPages {
    /// The folder to write them to
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(super) fn run(args: &ManPages) -> Result<Answer, Failure> {
    let mut written = Vec::new();
    pages(usage::command(), &args.folder, &mut written).map_err(|error| {
        let folder = args.folder.display();
        Failure::new(Exit::Failed, format!("manual pages can't be written to {folder}: {error}"))
    })?;
    Ok(Answer::text(written.iter().map(|page| format!("{}\n", page.display())).collect()))
}

/// Writes the page of a command, and those of what is below it.
fn pages(command: Command, folder: &Path, written: &mut Vec<PathBuf>) -> io::Result<()> {
    let below: Vec<Command> =
        command.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let name = command.get_display_name().unwrap_or("divvy").to_owned();
    let file = folder.join(format!("{name}.1"));
    let related = related(&name, &below);
    let examples = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command);
    let mut page = title(&name);
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if !below.is_empty() {
        man.render_subcommands_section(&mut page)?;
    }
    closing(examples.as_deref(), &related).to_writer(&mut page)?;
    fs::write(&file, page)?;
    written.push(file);
    below.into_iter().try_for_each(|command| pages(command, folder, written))
}

/// The first line. clap_mangen leaves the date out, and the words behind it are then taken for one.
fn title(name: &str) -> Vec<u8> {
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    format!(".TH \"{title}\" 1 \"\" \"divvy {version}\" \"divvy\"\n").into_bytes()
}

/// Examples, exit codes and pages to read next.
fn closing(examples: Option<&str>, related: &[String]) -> Roff {
    let mut roff = Roff::new();
    if let Some(examples) = examples {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in Exit::MEANINGS {
        roff.control("TP", []).text([bold(exit.code().to_string())]).text([roman(meaning)]);
    }
    roff.control("SH", ["SEE ALSO"]).text([roman(related.join(", "))]);
    roff
}

/// The command above, those below, and for the first page the programs beside it.
fn related(name: &str, below: &[Command]) -> Vec<String> {
    let above = name.rsplit_once('-').map(|(above, _)| above.to_owned());
    let below = below.iter().filter_map(|command| Some(command.get_display_name()?.to_owned()));
    let commands = above.into_iter().chain(below).map(|page| format!("{page}(1)"));
    let programs = ["divvy-hook(8)", "divvy-runtime(8)"].map(str::to_owned);
    commands.chain(programs.into_iter().filter(|_| name == "divvy")).collect()
}

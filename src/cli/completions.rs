//! `divvy completions`.

use super::answer::{Answer, Failure};
use super::usage;
use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Known,
}

/// The shells that packages bring completions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

impl From<Known> for Shell {
    fn from(known: Known) -> Shell {
        match known {
            Known::Bash => Shell::Bash,
            Known::Zsh => Shell::Zsh,
            Known::Fish => Shell::Fish,
        }
    }
}

pub(super) fn run(args: &Completions) -> Result<Answer, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(Shell::from(args.shell), &mut usage::shown(), "divvy", &mut script);
    Ok(Answer::text(String::from_utf8(script)?))
}

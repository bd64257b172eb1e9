//! `divvy cdi validate`.

use crate::cli::answer::{Answer, AnswerArgs, Exit, Failure};
use crate::ops::validate::{Checked, check};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct Validate {
    /// CDI specs
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(args: &Validate) -> Result<Answer, Failure> {
    let checked: Vec<Checked> = args.files.iter().map(|file| check(file)).collect();
    let text = args.answer.render(&checked, || checked.iter().map(tell).collect())?;
    let invalid: Vec<String> =
        checked.iter().filter(|one| !one.valid).map(|one| one.file.display().to_string()).collect();
    if invalid.is_empty() {
        return Ok(Answer::text(text));
    }
    let message = format!("engines would not serve every device of {}", invalid.join(", "));
    Err(Failure { answer: Some(text), ..Failure::new(Exit::Failed, message) })
}

fn tell(checked: &Checked) -> String {
    let file = checked.file.display();
    if checked.findings.is_empty() {
        return format!("{file}: valid\n");
    }
    checked.findings.iter().map(|finding| format!("{file}:{finding}\n")).collect()
}

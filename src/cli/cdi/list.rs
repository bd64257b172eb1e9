//! `divvy cdi list`.

use crate::cli::answer::{Answer, AnswerArgs, Failure, table};
use crate::host::Host;
use crate::ops::list::{Listing, list};
use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    answer: AnswerArgs,
}

pub(super) fn run(host: &Host, args: &List) -> Result<Answer, Failure> {
    let listing = list(&host.cdi_dirs);
    Ok(Answer { text: args.answer.render(&listing, || devices(&listing))?, notes: notes(&listing) })
}

fn devices(listing: &Listing) -> String {
    if listing.devices.is_empty() {
        return String::new();
    }
    let heading = vec!["DEVICE".to_owned(), "DEFINED IN".to_owned()];
    let rows = listing.devices.iter();
    let rows = rows.map(|device| vec![device.name.clone(), device.file.display().to_string()]);
    table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn notes(listing: &Listing) -> Vec<String> {
    let conflicts = listing.conflicts.iter().map(|conflict| {
        let files: Vec<String> =
            conflict.files.iter().map(|file| file.display().to_string()).collect();
        format!(
            "conflict: engines resolve {} for no container, since {} define it; remove all but one",
            conflict.name,
            files.join(" and ")
        )
    });
    let shadowed = listing.shadowed.iter().map(|shadowed| {
        format!(
            "shadowed: {} of {} has no effect; {} goes before",
            shadowed.name,
            shadowed.file.display(),
            shadowed.by.display()
        )
    });
    let unreadable =
        listing.unreadable.iter().map(|one| format!("dropped by engines: {}", one.problem));
    conflicts.chain(shadowed).chain(unreadable).collect()
}

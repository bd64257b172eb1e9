//! divvy's own systemd units.

use super::Judged;
use super::finding::{Finding, Name};
use super::mend::run;
use std::fs;
use std::path::{Path, PathBuf};

/// The units that packages switch on, with what stops where one is off.
const UNITS: [(&str, &str); 3] = [
    (REFRESH, "the CDI file of this machine's GPUs isn't written at boot"),
    ("divvy-cdi-refresh.path", "the CDI file doesn't follow when a driver or a MIG device comes"),
    ("divvy-reconcile.timer", "shares of containers that died aren't taken back by themselves"),
];
const REFRESH: &str = "divvy-cdi-refresh.service";
/// Where units lie, what the administrator says first.
const FOLDERS: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];

/// What was seen of them; nothing where systemd doesn't run.
#[derive(Clone, Debug, Default)]
pub struct Units {
    /// Those that are installed.
    pub installed: Vec<&'static str>,
    /// Those of them that nothing starts.
    pub off: Vec<&'static str>,
}

impl Units {
    /// Looks below `root`.
    pub fn look(root: &Path) -> Units {
        if !root.join("run/systemd/system").is_dir() {
            return Units::default();
        }
        let known = UNITS.iter().map(|(unit, _)| *unit);
        let installed: Vec<&str> = known.filter(|unit| installed(root, unit)).collect();
        let off = installed.iter().copied().filter(|unit| !enabled(root, unit)).collect();
        Units { installed, off }
    }

    /// Whether `divvy cdi refresh` runs by itself here.
    pub(super) fn keeps_specs(&self) -> bool {
        self.installed.contains(&REFRESH)
    }
}

/// One that the administrator masked is a link to nothing, and off on purpose.
fn installed(root: &Path, unit: &str) -> bool {
    let mut places = FOLDERS.iter().map(|folder| root.join(folder).join(unit));
    let place = places.find(|place| place.symlink_metadata().is_ok());
    place.is_some_and(|place| fs::read_link(place).ok() != Some(PathBuf::from("/dev/null")))
}

fn enabled(root: &Path, unit: &str) -> bool {
    let folders = FOLDERS.iter().filter_map(|folder| fs::read_dir(root.join(folder)).ok());
    let wants = folders.flatten().flatten().map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|extension| extension == "wants" || extension == "requires")
    });
    wants.into_iter().any(|folder| folder.join(unit).symlink_metadata().is_ok())
}

pub(super) fn judge(seen: &Units) -> Judged {
    let off = UNITS.iter().filter(|(unit, _)| seen.off.contains(unit));
    let finding = |(unit, effect): &(&str, &str)| {
        let how = "it is installed, and no other unit wants it";
        let mend = run(format!("systemctl enable --now {unit}"));
        Finding::new(Name::UnitOff, format!("{unit} is off: {effect}"), how, mend)
    };
    let on = seen.installed.len() - seen.off.len();
    Judged {
        says: format!("{on} of {} units on", seen.installed.len()),
        findings: off.map(finding).collect(),
    }
}

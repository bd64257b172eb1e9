//! `divvy mig` on simulated nodes.

mod articles;
mod claims;
mod commands;
mod failures;
mod modes;
mod peer;

use crate::common::node::{self, Node};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    fn of(output: Output) -> Said {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// What it prints, where it went well.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// What it says, where it ended with that code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.stderr
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A simulated node that is cut.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) node: Node,
}

impl Site {
    pub(crate) fn new(arguments: &[&str]) -> Site {
        Site { node: node::create(&[&["--no-nodes"], arguments].concat()) }
    }

    /// `divvy WORD…`
    pub(crate) fn divvy(&self, words: &[&str]) -> Said {
        let mut command = self.node.divvy();
        command.args(words).stdin(Stdio::null());
        Said::of(command.output().unwrap())
    }

    /// `divvy mig VERB -f FIXTURE -c LABEL OPTION…`
    fn mig(&self, verb: &str, (fixture, label): (&str, &str), options: &[&str]) -> Said {
        let file = fixture_path(fixture);
        self.divvy(&[&["mig", verb, "-f", &file, "-c", label], options].concat())
    }

    fn apply(&self, layout: (&str, &str), options: &[&str]) -> Said {
        self.mig("apply", layout, options)
    }

    fn assert(&self, layout: (&str, &str)) -> Said {
        self.mig("assert", layout, &[])
    }

    /// `divvy mig apply` of a layout with the only label, told by its entries.
    pub(crate) fn apply_text(&self, entries: &str, options: &[&str]) -> Said {
        let path = self.node.dir().join("layout.yaml");
        fs::write(&path, format!("version: v1\nmig-configs:\n  it: {entries}\n")).unwrap();
        self.divvy(&[&["mig", "apply", "-f", path.to_str().unwrap()], options].concat())
    }

    /// What stands on the GPUs: modes, instances with their ids and UUIDs, and capability nodes. Indices of
    /// MIG devices are left out: they are given as they get free.
    pub(crate) fn picture(&self) -> BTreeSet<String> {
        let shown = self.node.change("show", &[]);
        let mut picture = BTreeSet::new();
        let mut gpu = 0;
        for line in shown.lines() {
            if let Some(rest) = line.strip_prefix("GPU ") {
                gpu = rest.split(':').next().unwrap().parse().unwrap();
            }
            let line = match line.trim().strip_prefix("device ") {
                Some(device) => device.split_once(' ').unwrap().1,
                None => line.trim(),
            };
            picture.insert(format!("{gpu}: {line}"));
        }
        let host = self.node.host();
        for folder in ["nvidia-caps", "char"] {
            let entries = fs::read_dir(host.dev_root.join("dev").join(folder));
            for entry in entries.into_iter().flatten().flatten() {
                picture.insert(entry.path().display().to_string());
            }
        }
        picture
    }

    /// The GPU instances as the simulated driver shows them: `1g.5gb@0`.
    pub(crate) fn instances(&self) -> Vec<String> {
        let shown = self.node.change("show", &[]);
        let lines = shown.lines().filter(|line| line.contains(" gi ") && !line.contains(" pid "));
        let mut found: Vec<String> =
            lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
        found.sort();
        found
    }
}

fn fixture_path(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/mig-parted").join(name).display().to_string()
}

//! CDI files: whose they are, which decides how one is written anew and whether it may go.

use super::mend::{self, Mend, advice, run};
use crate::hook_args;
use cdi::{ContainerEdits, Hook, Spec};
use std::path::{Path, PathBuf};

/// The kind of GPUs that exist.
pub(super) const GPU: &str = "nvidia.com/gpu";
/// The kind of requests.
pub(super) const REQUEST: &str = "divvy/gpu";
/// The kind of prepared claims.
const CLAIM: &str = "divvy/claim";
/// What NVIDIA's toolkit starts in containers' hooks.
const OF_TOOLKIT: [&str; 3] = ["nvidia-ctk", "nvidia-cdi-hook", "nvidia-container-toolkit"];

/// A CDI file that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecFile {
    /// Where.
    pub path: PathBuf,
    /// Its `cdiVersion`.
    pub version: String,
    /// Its kind, `vendor/class`.
    pub kind: String,
    /// Who wrote it.
    pub writer: Writer,
}

/// Who wrote a CDI file, as far as that can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// divvy: its name or its hooks say so.
    Divvy,
    /// NVIDIA's toolkit: its hooks say so.
    Toolkit,
    /// Somebody else, or nobody knows.
    Other,
}

/// Whether a program is one of NVIDIA's toolkit.
pub(super) fn is_of_toolkit(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| OF_TOOLKIT.contains(&name))
}

/// All edits of a spec: each device's, and the spec's own.
pub(super) fn edits(spec: &Spec) -> impl Iterator<Item = &ContainerEdits> {
    let of_devices = spec.devices.iter().map(|device| &device.container_edits);
    of_devices.chain([&spec.container_edits])
}

fn starts(hook: &Hook, programs: &[&str]) -> bool {
    let name = Path::new(&hook.path).file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| programs.contains(&name))
}

impl SpecFile {
    pub(super) fn of(path: &Path, spec: &Spec) -> SpecFile {
        let has = |programs: &[&str]| {
            edits(spec).flat_map(|edits| &edits.hooks).any(|hook| starts(hook, programs))
        };
        let named = path.file_name().and_then(|name| name.to_str());
        let writer = if named.is_some_and(|name| name.starts_with("divvy-"))
            || has(&[hook_args::PROGRAM])
            || spec.kind.vendor() == "divvy"
        {
            Writer::Divvy
        } else if has(&OF_TOOLKIT) {
            Writer::Toolkit
        } else {
            Writer::Other
        };
        let (version, kind) = (spec.cdi_version.to_string(), spec.kind.to_string());
        SpecFile { path: path.to_owned(), version, kind, writer }
    }

    /// Whether containers get GPUs by it: all of a kind, or shares.
    pub(super) fn of_gpus(&self) -> bool {
        self.kind == GPU || (self.writer == Writer::Divvy && self.kind != CLAIM)
    }

    /// Whether another tool gives out GPUs by it.
    pub(super) fn foreign(&self) -> bool {
        self.kind == GPU && self.writer != Writer::Divvy
    }

    /// Whether `divvy cdi refresh` keeps it up.
    pub(super) fn kept_up(&self) -> bool {
        let known = ["divvy-gpu.json", "divvy-requests.json"];
        known.contains(&self.name()) || self.name().starts_with("divvy-resource_")
    }

    /// What brings an engine to take it that knows only versions before `limit`.
    pub(super) fn written_for(&self, engine: &str, limit: &str) -> Mend {
        // Nothing but groups raises the version of what divvy writes.
        let anew = self.written_anew(" --no-additional-gids");
        match (anew.command, self.kind.as_str()) {
            (Some(command), GPU) => run(command).but(format!("or update {engine}")),
            _ => advice(format!(
                "update {engine}, or let the tool that wrote it write a CDI version before {limit}"
            )),
        }
    }

    fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// What writes it anew. Another vendor's file is another tool's matter. `options` are those of NVIDIA's kind.
    pub(super) fn written_anew(&self, options: &str) -> Mend {
        let file = mend::path(&self.path);
        match (self.name(), self.kind.as_str(), self.writer) {
            ("divvy-requests.json", ..) => run("divvy cdi refresh --requests"),
            ("divvy-gpu.json", ..) => run(format!("divvy cdi refresh{options}")),
            (name, _, Writer::Divvy) if name.starts_with("divvy-resource_") => {
                run(format!("divvy cdi refresh{options}"))
            }
            (_, CLAIM, _) => {
                advice("divvy prepare with the same --claim and requests writes it anew")
            }
            (_, REQUEST, _) => run(format!("divvy cdi generate --requests --output {file}")),
            (_, GPU, Writer::Divvy) => run(format!("divvy cdi generate{options} --output {file}")),
            (_, GPU, Writer::Toolkit | Writer::Other) => {
                run(format!("divvy cdi generate{options} --output {file}"))
                    .but(format!("or nvidia-ctk cdi generate --output {file}"))
            }
            _ => advice(
                "let the tool that wrote it write it anew; if that is gone, so may the file be",
            ),
        }
    }
}

//! The folders that engines read CDI specs from.

use super::Judged;
use super::finding::{Finding, Name};
use crate::engines::{Engine, Found};
use cdi::{Registry, Spec};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file that `divvy prepare` writes for a claim is named so.
const OF_CLAIM: &str = "divvy-claim_";

/// What was seen in them.
#[derive(Debug, Default)]
pub struct CdiFolders {
    /// Folders.
    pub folders: Vec<PathBuf>,
    /// Each file that could be read, with its version.
    pub files: Vec<(PathBuf, String)>,
    /// How many devices a container can get.
    pub devices: usize,
    /// Devices that several files of one folder define, with the files.
    pub conflicts: Vec<(String, Vec<PathBuf>)>,
    /// Devices without effect: the name, the file, the file that hides it.
    pub shadowed: Vec<(String, PathBuf, PathBuf)>,
    /// Files that engines drop, and why.
    pub dropped: Vec<(PathBuf, String)>,
    /// Files and paths of the host that they name and that aren't there.
    pub stale: Vec<(PathBuf, Vec<PathBuf>)>,
    /// Files of claims that aren't there.
    pub claims_gone: Vec<PathBuf>,
}

impl CdiFolders {
    /// Looks at them. `claims` are those that there are; `None` where that isn't known.
    pub fn look(folders: &[PathBuf], claims: Option<&BTreeSet<String>>) -> CdiFolders {
        let registry = Registry::load(folders);
        let gone = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            let claim = name.strip_prefix(OF_CLAIM)?.strip_suffix(".json")?;
            claims.map(|claims| !claims.contains(claim))
        };
        let files = registry.files();
        let stale = files.iter().filter(|file| gone(&file.path) != Some(true)).filter_map(|file| {
            let missing = missing(&file.spec);
            (!missing.is_empty()).then(|| (file.path.clone(), missing))
        });
        let conflicts = registry.conflicts().iter();
        let shadowed = registry.shadowed().iter();
        let dropped = registry.errors().iter();
        CdiFolders {
            folders: folders.to_vec(),
            files: files
                .iter()
                .map(|file| (file.path.clone(), file.spec.cdi_version.to_string()))
                .collect(),
            devices: registry.devices().count(),
            conflicts: conflicts.map(|one| (one.name.to_string(), one.files.clone())).collect(),
            shadowed: shadowed
                .map(|one| (one.name.to_string(), one.file.clone(), one.by.clone()))
                .collect(),
            dropped: dropped.map(|error| (error.path().to_owned(), error.to_string())).collect(),
            stale: stale.collect(),
            claims_gone: files
                .iter()
                .map(|file| &file.path)
                .filter(|path| gone(path) == Some(true))
                .cloned()
                .collect(),
        }
    }
}

/// Paths of the host that a spec wants and that aren't there: nodes, and what is mounted.
fn missing(spec: &Spec) -> Vec<PathBuf> {
    let of_devices = spec.devices.iter().map(|device| &device.container_edits);
    let mut paths = BTreeSet::new();
    for edits in of_devices.chain([&spec.container_edits]) {
        // A node that says its own numbers is made from them, and needs none on the host.
        let nodes = edits.device_nodes.iter().filter(|node| node.major.is_none());
        paths
            .extend(nodes.map(|node| PathBuf::from(node.host_path.as_ref().unwrap_or(&node.path))));
        paths.extend(edits.mounts.iter().map(|mount| PathBuf::from(&mount.host_path)));
    }
    paths.into_iter().filter(|path| path.is_absolute() && !path.exists()).collect()
}

pub(super) fn judge(seen: &CdiFolders, engines: &[Found]) -> Judged {
    let mut findings: Vec<Finding> = conflicts(seen);
    findings.extend(seen.dropped.iter().map(|(file, why)| {
        let file = file.display();
        let mend = format!("divvy cdi validate {file} (says where), then mend or remove it");
        Finding::new(
            Name::CdiDropped,
            format!("engines drop {file}, with all its devices"),
            why,
            mend,
        )
    }));
    findings.extend(seen.stale.iter().map(|(file, missing)| stale(file, missing)));
    findings.extend(too_new(seen, engines));
    findings.extend(claims_gone(&seen.claims_gone));
    findings.extend(shadowed(seen));
    if seen.devices == 0 && findings.is_empty() {
        let folders: Vec<String> =
            seen.folders.iter().map(|dir| dir.display().to_string()).collect();
        let how = format!("there is no CDI device in {}", folders.join(" or "));
        let mend = "divvy cdi refresh && divvy cdi refresh --requests";
        findings.push(Finding::new(Name::CdiNone, "engines know no GPU by CDI", how, mend));
    }
    let files = seen.files.len();
    let plural = if files == 1 { "" } else { "s" };
    Judged { says: format!("{} devices in {files} file{plural}", seen.devices), findings }
}

/// One for all of them: where something went wrong once, it went wrong often.
fn claims_gone(files: &[PathBuf]) -> Option<Finding> {
    let first = files.first()?.display();
    let what = match files.len() {
        1 => format!("{first} is of a claim that isn't there"),
        n => format!("{first} and {} more are of claims that aren't there", n - 1),
    };
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let mend = format!("rm {}", files.join(" "));
    Some(Finding::new(Name::CdiClaimGone, what, "divvy has no such claim", mend))
}

/// One for each set of files: two that hold the same devices conflict in all of them.
fn conflicts(seen: &CdiFolders) -> Vec<Finding> {
    let mut by_files: BTreeMap<&Vec<PathBuf>, Vec<&str>> = BTreeMap::new();
    for (name, files) in &seen.conflicts {
        by_files.entry(files).or_default().push(name);
    }
    let finding = |(files, names): (&Vec<PathBuf>, Vec<&str>)| {
        let listed: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let last = listed.last().cloned().unwrap_or_default();
        let more = match names.len() {
            0..=3 => String::new(),
            n => format!(" and {} more", n - 3),
        };
        let names: Vec<&str> = names.into_iter().take(3).collect();
        Finding::new(
            Name::CdiConflict,
            format!("no container gets {}{more}", names.join(", ")),
            format!("{} define them", listed.join(" and ")),
            format!("rm {last} (or another, so that one is left)"),
        )
    };
    by_files.into_iter().map(finding).collect()
}

fn stale(file: &Path, missing: &[PathBuf]) -> Finding {
    let first = missing.first().map(|path| path.display().to_string()).unwrap_or_default();
    let more = match missing.len() {
        0 | 1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mend = match name {
        "divvy-gpu.json" => "divvy cdi refresh".to_owned(),
        "divvy-requests.json" => "divvy cdi refresh --requests".to_owned(),
        _ => format!(
            "write it again: nvidia-ctk cdi generate --output {0}, or divvy cdi generate --output {0}",
            file.display()
        ),
    };
    let what = format!("{} is out of date: containers that name its devices fail", file.display());
    Finding::new(Name::CdiStale, what, format!("it names {first}{more}, which isn't there"), mend)
}

/// podman alone is known to drop versions: 4.3 those from 0.6.0 on, before 5.1 those from 0.7.0 on. Of versions
/// between, nobody has tried each.
fn too_new(seen: &CdiFolders, engines: &[Found]) -> Vec<Finding> {
    let limits = engines.iter().filter_map(|engine| {
        let limit = match (engine.engine, engine.version?) {
            (Engine::Podman, version) if version <= (4, 3) => (0, 6),
            (Engine::Podman, version) if version < (5, 1) => (0, 7),
            _ => return None,
        };
        Some((engine, limit))
    });
    let number = |version: &str| -> Option<(u32, u32)> {
        let mut parts = version.split('.').map(str::parse);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    };
    let mut findings = Vec::new();
    for (engine, limit) in limits {
        for (file, version) in
            seen.files.iter().filter(|(_, v)| number(v).is_some_and(|v| v >= limit))
        {
            findings.push(Finding::new(
                Name::CdiTooNew,
                format!("{} drops {}, with all its devices", engine.shown(), file.display()),
                format!(
                    "its cdiVersion is {version}, and this {} knows those before {}.{}.0",
                    engine.engine.word(),
                    limit.0,
                    limit.1
                ),
                format!(
                    "divvy cdi generate --no-additional-gids --output {}, or update {}",
                    file.display(),
                    engine.engine.word()
                ),
            ));
        }
    }
    findings
}

fn shadowed(seen: &CdiFolders) -> Option<Finding> {
    let (name, file, by) = seen.shadowed.first()?;
    let more = match seen.shadowed.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let what = format!("{name}{more} of {} has no effect", file.display());
    let how = format!("{} goes before it", by.display());
    Some(Finding::new(Name::CdiShadowed, what, how, format!("rm {}", file.display())))
}

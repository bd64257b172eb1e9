//! The folders that engines read CDI specs from.

use super::cdi_files::{self, SpecFile, Writer};
use super::finding::{Finding, Name};
use super::mend::{self, Mend, advice, run};
use super::{Judged, Level, Seen, below};
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
    /// Each file that could be read.
    pub files: Vec<SpecFile>,
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
    /// The claims that have a file.
    pub claims: BTreeSet<String>,
    /// Files by which another tool gives GPUs to containers.
    pub foreign: Vec<PathBuf>,
}

impl CdiFolders {
    /// Looks at them. What they name lies below `root`. `claims` are those that there are; `None` where that isn't
    /// known.
    pub fn look(root: &Path, folders: &[PathBuf], claims: Option<&BTreeSet<String>>) -> CdiFolders {
        let registry = Registry::load(folders);
        let gone = |path: &Path| {
            let claim = claim_of(path)?;
            claims.map(|claims| !claims.contains(claim))
        };
        let files = registry.files();
        let known: Vec<SpecFile> =
            files.iter().map(|file| SpecFile::of(&file.path, &file.spec)).collect();
        let serves = |file: &&SpecFile| registry.devices().any(|(_, by, _)| by.path == file.path);
        let foreign = known.iter().filter(|file| file.foreign()).filter(serves);
        let foreign = foreign.map(|file| file.path.clone()).collect();
        let stale = files.iter().filter(|file| gone(&file.path) != Some(true)).filter_map(|file| {
            let missing = missing(root, &file.spec);
            (!missing.is_empty()).then(|| (file.path.clone(), missing))
        });
        let conflicts = registry.conflicts().iter();
        let shadowed = registry.shadowed().iter();
        let dropped = registry.errors().iter();
        CdiFolders {
            folders: folders.to_vec(),
            files: known,
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
            claims: files
                .iter()
                .filter_map(|file| claim_of(&file.path))
                .map(str::to_owned)
                .collect(),
            foreign,
        }
    }

    fn file(&self, path: &Path) -> Option<&SpecFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// The claim whose file that is, by its name.
fn claim_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_prefix(OF_CLAIM)?.strip_suffix(".json")
}

/// Paths of the host that a spec wants and that aren't there: nodes, what is mounted, and programs of hooks.
fn missing(root: &Path, spec: &Spec) -> Vec<PathBuf> {
    let mut paths = BTreeSet::new();
    for edits in cdi_files::edits(spec) {
        // A node that says its own numbers is made from them, and needs none on the host.
        let nodes = edits.device_nodes.iter().filter(|node| node.major.is_none());
        paths
            .extend(nodes.map(|node| PathBuf::from(node.host_path.as_ref().unwrap_or(&node.path))));
        paths.extend(edits.mounts.iter().map(|mount| PathBuf::from(&mount.host_path)));
        paths.extend(edits.hooks.iter().map(|hook| PathBuf::from(&hook.path)));
    }
    let missing = |path: &PathBuf| path.is_absolute() && !below::exists(root, path);
    paths.into_iter().filter(missing).collect()
}

pub(super) fn judge(all: &Seen) -> Judged {
    let (seen, engines) = (&all.cdi, &all.engines);
    let mut findings: Vec<Finding> = conflicts(seen);
    findings.extend(seen.dropped.iter().map(|(file, why)| {
        let mend = run(format!("divvy cdi validate {}", mend::path(file)))
            .but("says what is wrong in it, for whoever wrote it");
        Finding::new(
            Name::CdiDropped,
            format!("engines drop {}, with all its devices", file.display()),
            why,
            mend,
        )
    }));
    findings.extend(seen.stale.iter().map(|(file, missing)| stale(seen, file, missing)));
    findings.extend(too_new(seen, engines));
    findings.extend(claims_gone(&seen.claims_gone));
    findings.extend(shadowed(seen));
    findings.extend(seen.foreign.iter().map(|file| foreign(all, file)));
    if !seen.files.iter().any(SpecFile::of_gpus) {
        let how = format!("no file in {} has a GPU's devices", listed(&seen.folders, " or "));
        let mend = run("divvy cdi refresh");
        findings.push(Finding::new(Name::CdiNone, "engines know no GPU by CDI", how, mend));
    }
    findings.extend(requests_none(all));
    let files = seen.files.len();
    let plural = if files == 1 { "" } else { "s" };
    Judged { says: format!("{} devices in {files} file{plural}", seen.devices), findings }
}

/// Where containers are meant to ask for shares, they need names to ask by.
fn requests_none(all: &Seen) -> Option<Finding> {
    let mut files = all.cdi.files.iter();
    let gpus = all.inventory.as_ref().is_ok_and(|inventory| !inventory.gpus.is_empty());
    if !gpus || files.any(|file| file.kind == cdi_files::REQUEST) {
        return None;
    }
    let set_up = all.engines.iter().find(|engine| engine.divvy);
    let how = match (set_up, &all.configuration.config) {
        (Some(engine), _) => format!("{} is set up for divvy", engine.shown()),
        (None, _) if all.manages() => "the configuration manages GPUs".to_owned(),
        (None, Ok(config)) if !config.shares.is_empty() => {
            "the configuration has shares".to_owned()
        }
        (None, _) => return None,
    };
    let kind = cdi_files::REQUEST;
    let what = format!("no container can ask for a share: engines know no {kind} device");
    let how = format!("{how}, and no CDI file has a device of that kind");
    Some(Finding::new(Name::RequestsNone, what, how, run("divvy cdi refresh --requests")))
}

/// Whose GPUs are given out beside the claims, which is a choice where divvy keeps no GPU.
fn foreign(all: &Seen, path: &Path) -> Finding {
    let file = path.display();
    let tool = match all.cdi.file(path).map(|file| file.writer) {
        Some(Writer::Toolkit) => "NVIDIA's toolkit (nvidia-cdi-refresh.service, as a rule)",
        _ => "another tool",
    };
    let refuses = match (all.cdi.folders.last(), path.parent()) {
        (Some(folder), Some(parent)) if folder == parent => {
            ", and divvy cdi refresh refuses while it is there"
        }
        _ => "",
    };
    let finding = Finding::new(
        Name::CdiForeign,
        format!(
            "containers that name devices of {file} get whole GPUs beside divvy's claims{refuses}"
        ),
        format!("{tool} wrote it, and its kind is {}", cdi_files::GPU),
        advice(
            "keep it, and let containers name divvy/gpu devices alone; or stop what writes it (systemctl disable --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service), take it out of the folder, and divvy cdi refresh",
        ),
    );
    let matters = all.manages() || all.units.keeps_specs();
    if matters { finding } else { finding.only(Level::Note) }
}

/// One for all of them: where something went wrong once, it went wrong often.
fn claims_gone(files: &[PathBuf]) -> Option<Finding> {
    let first = files.first()?.display();
    let what = match files.len() {
        1 => format!("{first} is of a claim that isn't there"),
        n => format!("{first} and {} more are of claims that aren't there", n - 1),
    };
    let files: Vec<String> = files.iter().map(|file| mend::path(file)).collect();
    let mend = run(format!("rm {}", files.join(" ")));
    Some(Finding::new(Name::CdiClaimGone, what, "divvy has no such claim", mend))
}

/// One for each set of files: two that hold the same devices conflict in all of them.
fn conflicts(seen: &CdiFolders) -> Vec<Finding> {
    let mut by_files: BTreeMap<&Vec<PathBuf>, Vec<&str>> = BTreeMap::new();
    for (name, files) in &seen.conflicts {
        by_files.entry(files).or_default().push(name);
    }
    let finding = |(files, names): (&Vec<PathBuf>, Vec<&str>)| {
        let more = match names.len() {
            0..=3 => String::new(),
            n => format!(" and {} more", n - 3),
        };
        let names: Vec<&str> = names.into_iter().take(3).collect();
        Finding::new(
            Name::CdiConflict,
            format!("no container gets {}{more}", names.join(", ")),
            format!("{} define them", listed(files, " and ")),
            one_is_left(seen, files),
        )
    };
    by_files.into_iter().map(finding).collect()
}

fn listed(files: &[PathBuf], between: &str) -> String {
    let listed: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    listed.join(between)
}

/// Which of the files may go. A command takes away what divvy wrote, and never the file that it keeps up itself;
/// about others' files people decide.
fn one_is_left(seen: &CdiFolders, files: &[PathBuf]) -> Mend {
    let kept_up = |file: &&PathBuf| seen.file(file).is_some_and(SpecFile::kept_up);
    let wrote = |file: &PathBuf| seen.file(file).map(|file| file.writer);
    let Some(kept) = files.iter().find(kept_up) else {
        return advice(format!(
            "keep one of {}, move the others out of the folder, and stop what writes them",
            listed(files, " and ")
        ));
    };
    let others: Vec<&PathBuf> = files.iter().filter(|file| *file != kept).collect();
    if others.iter().all(|file| wrote(file) == Some(Writer::Divvy)) {
        let others: Vec<String> = others.into_iter().map(|file| mend::path(file)).collect();
        return run(format!("rm {}", others.join(" ")))
            .but(format!("leaves {}, which divvy cdi refresh keeps up", kept.display()));
    }
    let writer = match others.iter().any(|file| wrote(file) == Some(Writer::Toolkit)) {
        true => " (nvidia-cdi-refresh.service of NVIDIA's toolkit, as a rule)",
        false => "",
    };
    advice(format!(
        "keep one of {}: divvy's own, {}, is kept up by divvy cdi refresh; move the others out of the folder, and stop what writes them{writer}",
        listed(files, " and "),
        kept.display()
    ))
}

fn stale(seen: &CdiFolders, file: &Path, missing: &[PathBuf]) -> Finding {
    let first = missing.first().map(|path| path.display().to_string()).unwrap_or_default();
    let how = match missing.len() {
        0 | 1 => format!("it names {first}, which isn't there"),
        n => format!("it names {first} and {} more that aren't there", n - 1),
    };
    let mut mend = seen.file(file).map_or_else(Mend::default, |file| file.written_anew(""));
    if mend.command.is_some() && missing.iter().any(|path| cdi_files::is_of_toolkit(path)) {
        mend = mend.but("or install NVIDIA's toolkit again, whose program is missing");
    }
    let what = format!("{} is out of date: containers that name its devices fail", file.display());
    Finding::new(Name::CdiStale, what, how, mend)
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
        for file in seen.files.iter().filter(|f| number(&f.version).is_some_and(|v| v >= limit)) {
            let (word, (major, minor)) = (engine.engine.word(), limit);
            findings.push(Finding::new(
                Name::CdiTooNew,
                format!("{} drops {}, with all its devices", engine.shown(), file.path.display()),
                format!(
                    "its cdiVersion is {}, and this {word} knows those before {major}.{minor}.0",
                    file.version
                ),
                file.written_for(word, &format!("{major}.{minor}.0")),
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
    let mend = advice(format!(
        "where that isn't meant, take one of {} and {} out of its folder",
        file.display(),
        by.display()
    ));
    Some(Finding::new(Name::CdiShadowed, what, how, mend))
}

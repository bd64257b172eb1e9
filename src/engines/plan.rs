//! What would change, from what is there.

use super::record::{FOLDER, Record, Trace};
use super::{
    Activation, Current, Engine, Error, FileChange, Files, HEADING, Options, Places, Plan, Wanted,
    containerd, crio, docker, podman,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What would configure the engine as asked.
///
/// What an earlier run did is taken back first, so that options left out this time are undone.
///
/// # Errors
/// A file is malformed or somebody else's, or what is asked would have no effect.
pub fn plan(engine: Engine, options: &Options, current: &Current) -> Result<Plan, Error> {
    let places = Places::of(engine, options);
    let mut undone = undo(engine, &places, options, current)?;
    if let Some(path) = places.own.iter().find(|path| undone.files.contains_key(*path)) {
        return Err(Error::NotOurs { path: path.clone() });
    }
    let wanted = wanted(engine, &places, &mut undone, options, current)?;
    let record = Record {
        runtime_name: options.runtime_name.clone(),
        files: wanted.iter().map(|wanted| trace(wanted, &undone.files)).collect(),
        folders: folders(current),
    };
    let mut why = BTreeMap::new();
    for Wanted { path, text, why: reason } in wanted {
        undone.files.insert(path.clone(), text);
        why.insert(path, reason);
    }
    let changes = changes(&places, &current.files, &undone.files, &why);
    Ok(finish(engine, current, changes, Some(&record), undone.notes))
}

/// What would leave the engine as it was before divvy. What somebody else changed since stays.
///
/// # Errors
/// A file is malformed.
pub fn plan_removal(engine: Engine, options: &Options, current: &Current) -> Result<Plan, Error> {
    let places = Places::of(engine, options);
    let undone = undo(engine, &places, options, current)?;
    let mut changes = changes(&places, &current.files, &undone.files, &BTreeMap::new());
    // What leads to a file goes before the file.
    changes.reverse();
    Ok(finish(engine, current, changes, None, undone.notes))
}

/// The files without what divvy did to them.
struct Undone {
    files: Files,
    notes: Vec<String>,
}

fn undo(
    engine: Engine,
    places: &Places,
    options: &Options,
    current: &Current,
) -> Result<Undone, Error> {
    let record = current.record.clone().unwrap_or_default();
    let name = match record.runtime_name.as_str() {
        "" => &options.runtime_name,
        name => name,
    };
    let mut undone = Undone { files: current.files.clone(), notes: Vec::new() };
    let recorded = record.files.iter().map(|trace| &trace.path);
    let mut paths: Vec<&PathBuf> = recorded.chain(places.all()).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        let Some(text) = current.files.get(path) else { continue };
        let trace = record.trace(path);
        let own = match trace {
            Some(trace) => is_ours(&trace.after),
            None => places.own.contains(path),
        };
        let before = match trace {
            Some(trace) if trace.after == *text => trace.before.clone(),
            Some(trace) if trace.before.as_ref() == Some(text) => continue,
            _ if own => undo_own(path, text, trace, &mut undone),
            _ => taken_out(engine, path, text, trace, name)?,
        };
        match before {
            Some(before) => undone.files.insert(path.clone(), before),
            None => undone.files.remove(path),
        };
    }
    Ok(undone)
}

/// A file of divvy's own that somebody edited is kept where no engine reads it.
fn undo_own(path: &Path, text: &str, trace: Option<&Trace>, undone: &mut Undone) -> Option<String> {
    let Some(trace) = trace else {
        return (!is_ours(text)).then(|| text.to_owned());
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kept = Path::new(FOLDER).join(format!("{name}.edited"));
    undone.notes.push(format!(
        "{} was edited after divvy wrote it: the edited file is kept as {}",
        path.display(),
        kept.display()
    ));
    undone.files.insert(kept, text.to_owned());
    trace.before.clone()
}

fn is_ours(text: &str) -> bool {
    text.starts_with(HEADING) || podman::is_our_hook(text)
}

fn taken_out(
    engine: Engine,
    path: &Path,
    text: &str,
    trace: Option<&Trace>,
    name: &str,
) -> Result<Option<String>, Error> {
    match engine {
        Engine::Docker => docker::taken_out(path, text, trace, name),
        Engine::Containerd => containerd::taken_out(path, text, trace),
        // These have no shared file.
        Engine::Podman | Engine::Crio => Ok(Some(text.to_owned())),
    }
}

fn wanted(
    engine: Engine,
    places: &Places,
    undone: &mut Undone,
    options: &Options,
    current: &Current,
) -> Result<Vec<Wanted>, Error> {
    let (own, base) = (places.own.as_slice(), &undone.files);
    match (engine, own, &places.shared) {
        (Engine::Docker, _, Some(config)) => docker::wanted(config, base, options, current.version),
        (Engine::Containerd, [drop_in], Some(config)) => {
            let node = containerd::Node { config, drop_in, files: base, version: current.version };
            let (wanted, notes) = node.wanted(options)?;
            undone.notes.extend(notes);
            Ok(wanted)
        }
        (Engine::Crio, [drop_in], _) => crio::wanted(drop_in, base, options),
        (Engine::Podman, [hook, drop_in], _) => podman::wanted(hook, drop_in, base, options),
        _ => Ok(Vec::new()),
    }
}

fn trace(wanted: &Wanted, base: &Files) -> Trace {
    Trace {
        path: wanted.path.clone(),
        before: base.get(&wanted.path).cloned(),
        after: wanted.text.clone(),
    }
}

/// The folders that divvy made, now or earlier.
fn folders(current: &Current) -> Vec<PathBuf> {
    let recorded = current.record.iter().flat_map(|record| &record.folders);
    let mut folders: Vec<PathBuf> = recorded.chain(&current.missing_folders).cloned().collect();
    folders.sort();
    folders.dedup();
    folders
}

/// The differences, divvy's own files first: an engine that reads in between finds no dangling name.
fn changes(
    places: &Places,
    before: &Files,
    after: &Files,
    why: &BTreeMap<PathBuf, String>,
) -> Vec<FileChange> {
    let mut paths: Vec<&PathBuf> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    paths.sort_by_key(|path| places.all().position(|place| place == *path));
    let change = |path: &PathBuf| FileChange {
        path: path.clone(),
        before: before.get(path).cloned(),
        after: after.get(path).cloned(),
        why: why.get(path).cloned().unwrap_or_else(|| "as it was before divvy".to_owned()),
    };
    paths.into_iter().map(change).filter(|change| change.before != change.after).collect()
}

fn finish(
    engine: Engine,
    current: &Current,
    changes: Vec<FileChange>,
    record: Option<&Record>,
    notes: Vec<String>,
) -> Plan {
    let text = record.map(|record| {
        let mut text = serde_json::to_string_pretty(record).unwrap_or_default();
        text.push('\n');
        text
    });
    let folders = current.record.as_ref().map(|record| record.folders.clone()).unwrap_or_default();
    Plan {
        activation: activation(engine, &changes),
        record: FileChange {
            path: Record::file(engine),
            before: current.record_text.clone(),
            after: text,
            why: String::new(),
        },
        folders: if record.is_none() { folders } else { Vec::new() },
        changes,
        notes,
    }
}

fn activation(engine: Engine, changes: &[FileChange]) -> Activation {
    let restart = |service| Activation::Restart { service, warning: None };
    match (engine, changes) {
        (_, []) => Activation::Nothing,
        (Engine::Podman, _) => Activation::NextContainer,
        (Engine::Containerd, _) => restart("containerd"),
        (Engine::Crio, _) => restart("crio"),
        (Engine::Docker, [change, ..]) => {
            docker::activation(&change.path, change.before.as_deref(), change.after.as_deref())
        }
    }
}

//! podman: a hook that serves requests before a container is made, and divvy's runtime by name.
//!
//! The hook's condition is `always`: podman knows conditions on annotations, but none on CDI devices
//! (`--device divvy/gpu=…`), and the hook passes a configuration without a request through unread.

use super::read::Tree;
use super::toml::{list, parse, table, table_mut, words};
use super::{Error, Files, HEADING, Options, Wanted};
use crate::hook_args::{ENVIRONMENT, PROGRAM, TIMEOUT_SECONDS};
use serde_json::{Value, json};
use std::path::Path;
use toml_edit::{DocumentMut, Item, value};

pub(super) const DROP_IN: &str = "/etc/containers/containers.conf.d/divvy.conf";
pub(super) const HOOK: &str = "/etc/containers/oci/hooks.d/divvy.json";

/// Where podman looks for hooks as long as nobody says otherwise; packages put theirs there.
const USUAL_HOOKS: &str = "/usr/share/containers/oci/hooks.d";
const HOOK_NAME: &str = "divvy.json";
const SINGLE: [&str; 2] =
    ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];
const FOLDER: &str = "/etc/containers/containers.conf.d";

/// Takes in what podman reads, and the hook that a package may have put in place.
pub(super) fn load(tree: &mut Tree) -> Result<(), Error> {
    for path in SINGLE {
        tree.load(Path::new(path))?;
    }
    tree.load_folder(Path::new(FOLDER), ".conf")?;
    let folders = hook_folders(&tree.files, None)?;
    for folder in folders {
        tree.load(&Path::new(&folder).join(HOOK_NAME))?;
    }
    Ok(())
}

pub(super) fn wanted(
    hook: &Path,
    drop_in: &Path,
    base: &Files,
    options: &Options,
) -> Result<Vec<Wanted>, Error> {
    let text = hook_file(&options.hook_path);
    let mut folders = hook_folders(base, Some(drop_in))?;
    let installed = folders.iter().any(|folder| {
        let there = base.get(&Path::new(folder).join(HOOK_NAME));
        there.is_some_and(|there| meaning(there) == meaning(&text))
    });
    let mut wanted = Vec::new();
    let mut document = DocumentMut::new();
    let refuse = |key: String| Error::malformed(drop_in, "", 0, format!("{key:?} is no table"));
    let engine = table_mut(document.as_table_mut(), &["engine"]).map_err(refuse)?;
    if options.set_as_default {
        engine.insert("runtime", value(&options.runtime_name));
    }
    if !installed {
        let folder = hook.parent().unwrap_or(hook).display().to_string();
        if !folders.contains(&folder) {
            folders.push(folder);
            // podman takes the list of the last file that has one.
            engine.insert("hooks_dir", list(folders.iter().map(String::as_str)));
        }
        let why = "serves requests before a container is made".to_owned();
        wanted.push(Wanted { path: hook.to_owned(), text, why });
    }
    let runtimes = table_mut(engine, &["runtimes"]).map_err(refuse)?;
    runtimes.insert(&options.runtime_name, list([options.runtime_path.as_str()]));
    let text = format!(
        "{HEADING}; `divvy runtime configure --runtime podman --remove` takes it out.\n{document}"
    );
    let why = format!("the runtime {}, and where the hook is", options.runtime_name);
    wanted.push(Wanted { path: drop_in.to_owned(), text, why });
    Ok(wanted)
}

/// The folders that podman reads hooks from. A file after divvy's own with another list would hide the hook.
fn hook_folders(files: &Files, drop_in: Option<&Path>) -> Result<Vec<String>, Error> {
    let mut folders = vec![USUAL_HOOKS.to_owned()];
    let read = SINGLE.iter().map(Path::new);
    let below = files.keys().map(|path| path.as_path());
    let below = below.filter(|path| path.parent() == Some(Path::new(FOLDER)));
    for path in read.chain(below.filter(|path| Some(*path) != drop_in)) {
        let Some(text) = files.get(path) else { continue };
        let parsed = parse(path, text)?;
        let said = table(&parsed, &["engine"]).and_then(|engine| engine.get("hooks_dir"));
        if said.is_none() {
            continue;
        }
        if let Some(drop_in) = drop_in.filter(|drop_in| path.starts_with(FOLDER) && path > *drop_in)
        {
            return Err(Error::overruled(path, drop_in, "has a hooks_dir of its own"));
        }
        let list = words(said).into_iter().map(str::to_owned);
        if appends(said) { folders.extend(list) } else { folders = list.collect() }
    }
    Ok(folders)
}

/// Whether a list says of itself that it is to be appended to the one before (`{append=true}`).
fn appends(said: Option<&Item>) -> bool {
    let items = said.and_then(Item::as_array).into_iter().flatten();
    items
        .filter_map(|item| item.as_inline_table()?.get("append")?.as_bool())
        .last()
        .unwrap_or(false)
}

/// The hook's file. Its environment is not empty, since an empty one makes the engine hand on its own.
pub(super) fn hook_file(program: &str) -> String {
    let file = json!({
        "version": "1.0.0",
        "hook": {
            "path": program,
            "args": [PROGRAM, "precreate"],
            "env": ENVIRONMENT,
            "timeout": TIMEOUT_SECONDS,
        },
        "when": { "always": true },
        "stages": ["precreate"],
    });
    format!("{file:#}\n")
}

fn meaning(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// Whether this is a hook file for divvy-hook.
pub(super) fn is_our_hook(text: &str) -> bool {
    meaning(text)
        .is_some_and(|file| file.pointer("/hook/args/0").and_then(Value::as_str) == Some(PROGRAM))
}

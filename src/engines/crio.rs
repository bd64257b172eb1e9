//! CRI-O: a drop-in with a runtime handler. CDI is always on there, and pod annotations reach a runtime anyway.

use super::read::Tree;
use super::toml::{merge, parse, table, table_mut};
use super::{Error, Files, HEADING, Options, Wanted};
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, Table, value};

pub(super) const DROP_IN: &str = "/etc/crio/crio.conf.d/99-divvy.conf";

const CONFIG: &str = "/etc/crio/crio.conf";
const FOLDER: &str = "/etc/crio/crio.conf.d";
/// CRI-O's own choice was runc until 1.30, and is crun since.
const USUAL: [&str; 2] = ["crun", "runc"];
/// What of the default handler holds for divvy's too: state folder and monitor, which packages of CRI-O keep outside
/// of PATH, and the annotations it allows. The program, and settings of it, are divvy-runtime's own.
const INHERITED: [&str; 8] = [
    "runtime_root",
    "monitor_path",
    "monitor_cgroup",
    "monitor_env",
    "monitor_exec_cgroup",
    "allowed_annotations",
    "privileged_without_host_devices",
    "container_min_memory",
];

/// Takes in what CRI-O reads.
pub(super) fn load(tree: &mut Tree) -> Result<(), Error> {
    tree.load(Path::new(CONFIG))?;
    // CRI-O reads every file of the folder, whatever its name.
    tree.load_folder(Path::new(FOLDER), "").map(drop)
}

pub(super) fn wanted(
    drop_in: &Path,
    base: &Files,
    options: &Options,
) -> Result<Vec<Wanted>, Error> {
    let mut effective = Table::new();
    for (path, text) in base.iter().filter(|(path, _)| is_read(path)) {
        let parsed = parse(path, text)?;
        let default = table(&parsed, &["crio", "runtime"])
            .is_some_and(|runtime| runtime.contains_key("default_runtime"));
        if options.set_as_default && default && path.as_path() > drop_in && path.starts_with(FOLDER)
        {
            return Err(Error::overruled(path, drop_in, "names another default runtime"));
        }
        merge(&mut effective, &parsed);
    }
    let mut document = DocumentMut::new();
    let refuse = |key: String| Error::malformed(drop_in, "", 0, format!("{key:?} is no table"));
    let runtime = table_mut(document.as_table_mut(), &["crio", "runtime"]).map_err(refuse)?;
    if options.set_as_default {
        runtime.insert("default_runtime", value(&options.runtime_name));
    }
    let own = table_mut(runtime, &["runtimes", &options.runtime_name]).map_err(refuse)?;
    own.insert("runtime_path", value(&options.runtime_path));
    own.insert("runtime_type", value("oci"));
    for (key, item) in default_handler(&effective, options).into_iter().flatten() {
        if INHERITED.contains(&key) {
            own.insert(key, item.clone());
        }
    }
    let text = format!(
        "{HEADING}; `divvy runtime configure --runtime crio --remove` takes it out.\n{document}"
    );
    let why = format!("the runtime handler {}", options.runtime_name);
    Ok(vec![Wanted { path: drop_in.to_owned(), text, why }])
}

/// crio.conf, which sorts before its folder as it is read before it, and the folder's files.
fn is_read(path: &PathBuf) -> bool {
    path == Path::new(CONFIG) || path.parent() == Some(Path::new(FOLDER))
}

fn default_handler<'a>(effective: &'a Table, options: &Options) -> Option<&'a Table> {
    let runtime = table(effective, &["crio", "runtime"])?;
    let find = |name: &str| table(runtime, &["runtimes", name]);
    let named = runtime.get("default_runtime").and_then(Item::as_str);
    match named.filter(|name| *name != options.runtime_name) {
        Some(name) => find(name),
        None => USUAL.into_iter().find_map(find),
    }
}

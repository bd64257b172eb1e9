//! No import runs upward: a room of `src/` uses only rooms on lower floors.
//!
//! The sources are read as tokens, so that a path counts wherever it stands: in a `use`, a type, an
//! expression or a macro's arguments.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// The rooms by floor. A room that is not here has no place yet, and the test says so.
const FLOORS: [(u8, &[&str]); 8] = [
    (7, &["main", "lib"]),
    (6, &["cli", "hooks"]),
    (5, &["ops", "engines", "doctor", "labels", "metrics", "status"]),
    (4, &["share", "refused", "history", "claim::store"]),
    (3, &["plan", "edits", "oci", "claim::repair"]),
    (2, &["hook_args", "request", "inventory", "claim", "config", "compat"]),
    (1, &["nvml", "driver_files", "host"]),
    (0, &["cdi", "document", "schema", "suggest"]),
];

/// Rooms that may use another of their own floor, one way only, each with its reason.
const SIDEWAYS: [(&str, &str); 14] = [
    // What is wrong in a file is said with the word that was meant.
    ("document", "suggest"),
    // A claim is a request with a life.
    ("claim", "request"),
    // Its steps name profiles and placements.
    ("claim", "inventory"),
    // And what it got is enforced at a level that policy may demand.
    ("claim", "config"),
    // A request names profiles and is matched against GPUs.
    ("request", "inventory"),
    // What people have already names profiles too.
    ("compat", "inventory"),
    // And asks for what requests ask for.
    ("compat", "request"),
    // A policy is for the GPUs that match, and names requests.
    ("config", "inventory"),
    ("config", "request"),
    // And shares devices as other programs' configurations do.
    ("config", "compat"),
    // A hook's arguments name requests, and refusals by the id of the claim that was not made.
    ("hook_args", "request"),
    ("hook_args", "claim"),
    // What engines there are is the engines' own knowledge; doctor judges it.
    ("doctor", "engines"),
    // The driver's files are looked for under the host's roots.
    ("driver_files", "host"),
];

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, rooms)| rooms.contains(&room)).map(|(floor, _)| *floor)
}

/// The room that a module path from the crate's root lies in: `claim::store` before `claim`.
fn room_of(module: &[String]) -> String {
    let inner = module.iter().take(2).cloned().collect::<Vec<_>>().join("::");
    match (floor(&inner), module.first()) {
        (Some(_), _) => inner,
        (None, Some(first)) => first.clone(),
        (None, None) => "lib".into(),
    }
}

/// The module path of a file below `src/`: `claim/store.rs` and `claim/store/mod.rs` are `claim::store`.
fn module_of(file: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// One use of a room by another.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    line: usize,
    target: Vec<String>,
}

/// Finds every path in `tokens` that begins at the crate's root or climbs with `self` and `super`.
fn uses(tokens: TokenStream, module: &[String], found: &mut Vec<Use>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        if let Some((name, body)) = inline_module(&tokens[at..]) {
            let inner: Vec<String> = module.iter().cloned().chain([name]).collect();
            uses(body.stream(), &inner, found);
            at += 3;
            continue;
        }
        let within_path = at >= 2 && is_punct(&tokens[at - 1], ':');
        if let (Some(base), false) = (root(&tokens[at], module), within_path) {
            follow(&tokens[at + 1..], base, tokens[at].span().start().line, found);
        } else if let TokenTree::Group(group) = &tokens[at] {
            uses(group.stream(), module, found);
        }
        at += 1;
    }
}

fn inline_module(tokens: &[TokenTree]) -> Option<(String, &Group)> {
    match tokens {
        [TokenTree::Ident(key), TokenTree::Ident(name), TokenTree::Group(body), ..]
            if key == "mod" && body.delimiter() == Delimiter::Brace =>
        {
            Some((name.to_string(), body))
        }
        _ => None,
    }
}

/// The module that a path's first word stands for, where that is one of this crate.
fn root(token: &TokenTree, module: &[String]) -> Option<Vec<String>> {
    let TokenTree::Ident(ident) = token else { return None };
    match ident.to_string().as_str() {
        // The hooks are a crate of their own, and one room.
        "crate" if module.first().is_some_and(|room| room == "hooks") => Some(vec!["hooks".into()]),
        "crate" | "divvy" => Some(Vec::new()),
        "cdi" => Some(vec!["cdi".into()]),
        "self" => Some(module.to_vec()),
        "super" => Some(parent(module)),
        _ => None,
    }
}

fn parent(module: &[String]) -> Vec<String> {
    module.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default()
}

/// Walks `::name`, `::super` and `::{…}` after `base` and records where each branch leads.
fn follow(rest: &[TokenTree], base: Vec<String>, line: usize, found: &mut Vec<Use>) {
    match rest {
        [a, b, TokenTree::Ident(name), rest @ ..] if is_punct(a, ':') && is_punct(b, ':') => {
            let mut target = base;
            if name == "super" {
                target = parent(&target);
            } else {
                target.push(name.to_string());
            }
            follow(rest, target, line, found);
        }
        [a, b, TokenTree::Group(group), ..] if is_punct(a, ':') && is_punct(b, ':') => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            for branch in inner.split(|token| is_punct(token, ',')) {
                if let [TokenTree::Ident(name), rest @ ..] = branch {
                    let mut target = base.clone();
                    if name != "self" {
                        target.push(name.to_string());
                    }
                    follow(rest, target, name.span().start().line, found);
                }
            }
        }
        // `self` alone is a value or `pub(crate)`, not a path.
        _ if base.is_empty() => {}
        _ => found.push(Use { line, target: base }),
    }
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

/// What is wrong with one source, as sentences for people.
fn faults(file: &Path, module: &[String], source: &str) -> Vec<String> {
    let room = room_of(module);
    let Some(own) = floor(&room) else {
        return vec![format!("{}: the room `{room}` is on no floor", file.display())];
    };
    let tokens = source.parse::<TokenStream>().expect("a source that compiles has tokens");
    let mut found = Vec::new();
    uses(tokens, module, &mut found);
    let mut faults: Vec<String> =
        found.iter().filter_map(|used| fault(file, &room, own, used)).collect();
    faults.dedup();
    faults
}

fn fault(file: &Path, room: &str, own: u8, used: &Use) -> Option<String> {
    let target = room_of(&used.target);
    let place = format!("{}:{}", file.display(), used.line);
    if target == room || SIDEWAYS.contains(&(room, &target)) {
        return None;
    }
    match floor(&target) {
        Some(floor) if floor < own => None,
        Some(floor) => {
            Some(format!("{place}: `{room}` (floor {own}) uses `{target}` (floor {floor})"))
        }
        // A macro or re-export at the crate's root has no floor, and is nobody's room.
        None => Some(format!("{place}: `{room}` uses `{target}`, which is on no floor")),
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_import_runs_upward() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for (folder, prefix) in [("src", None), ("hooks/src", Some("hooks"))] {
        let folder = root.join(folder);
        let mut files = Vec::new();
        sources(&folder, &mut files);
        assert!(!files.is_empty(), "no sources below {}", folder.display());
        for file in files {
            let below = module_of(file.strip_prefix(&folder).unwrap());
            let module: Vec<String> = prefix.map(String::from).into_iter().chain(below).collect();
            wrong.extend(faults(&file, &module, &fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(wrong.is_empty(), "imports that run upward:\n{}", wrong.join("\n"));
}

#[test]
fn every_way_of_running_upward_is_seen() {
    let upward = [
        "use crate::plan::Plan;",
        "use crate::{host::Host, ops};",
        "use crate::{host, plan::{self, Plan}};",
        "fn f() { let plan = crate::plan::plan(); }",
        "fn f() { println!(\"{}\", crate::plan::NAME); }",
        "fn f(x: &divvy::cli::Options) {}",
        "use super::super::share::mig;",
        "mod tests { use super::super::super::ops; }",
        "use crate::attic::Box;",
        "pub(in crate::ops) fn f() {}",
    ];
    for source in upward {
        assert_eq!(
            faults(Path::new("gpu.rs"), &module_of(Path::new("inventory/gpu.rs")), source).len(),
            1,
            "{source}"
        );
    }
}

#[test]
fn the_hooks_own_root_is_theirs() {
    let module = ["hooks".into(), "state".into()];
    let fine = "use crate::error::Error; use divvy::hook_args::Link;";
    assert_eq!(faults(Path::new("state.rs"), &module, fine), [""; 0]);
    assert_eq!(faults(Path::new("state.rs"), &module, "use divvy::attic::Box;").len(), 1);
}

#[test]
fn what_runs_downward_or_stays_is_let_be() {
    let fine = "pub(crate) fn f(&self) -> crate::host::Host { self.x }
        use super::mig::{self, Mig}; use crate::{nvml, host::Host}; use std::fs;
        mod tests { use super::*; use super::super::mig; use crate::inventory::gpu::Gpu; }
        // crate::ops in a comment, and in a string:
        const S: &str = \"crate::ops\";";
    assert_eq!(
        faults(Path::new("gpu.rs"), &module_of(Path::new("inventory/gpu.rs")), fine),
        [""; 0]
    );
}

#[test]
fn a_new_room_must_be_put_on_a_floor() {
    let module = module_of(Path::new("attic/mod.rs"));
    assert_eq!(
        faults(Path::new("mod.rs"), &module, ""),
        ["mod.rs: the room `attic` is on no floor"]
    );
}

#[test]
fn a_room_inside_a_room_has_its_own_floor() {
    let store = module_of(Path::new("claim/store/mod.rs"));
    assert_eq!(room_of(&store), "claim::store");
    assert_eq!(
        faults(Path::new("store"), &store, "use crate::plan::Plan; use super::Claim;"),
        [""; 0]
    );
    let claim = module_of(Path::new("claim/mod.rs"));
    assert_eq!(room_of(&claim), "claim");
    assert_eq!(faults(Path::new("claim"), &claim, "use crate::claim::store::Store;").len(), 1);
    assert_eq!(faults(Path::new("claim"), &claim, "pub use self::store::Store;").len(), 1);
}

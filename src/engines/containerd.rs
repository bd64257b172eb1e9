//! containerd: a drop-in with a runtime handler, and the import that makes containerd read it.
//!
//! How files are joined decides what a drop-in must hold (containerd's `config dump`, 1.7.24 and 2.1.9): before 2.1
//! a plugin's table in a later file replaces the whole table of an earlier one, so the drop-in repeats it; and a
//! `runtimes` table drops containerd's built-in `runc`, so that is written too. From 2.1 on tables are joined key by
//! key, and the drop-in holds divvy's part alone.

use super::read::Tree;
use super::record::Trace;
use super::toml::{list, malformed, merge, parse, table, table_mut, words};
use super::{Error, Files, HEADING, Options, Wanted};
use std::path::{Path, PathBuf};
use toml_edit::{Document, DocumentMut, Item, Table, value};

pub(super) const CONFIG: &str = "/etc/containerd/config.toml";
pub(super) const DROP_IN: &str = "/etc/containerd/conf.d/99-divvy.toml";

/// The annotations that reach divvy-runtime. A `*` of containerd's doesn't stand for a slash.
const ANNOTATIONS: [&str; 2] = ["divvy.request", "divvy.request/*"];
const RUNC: &str = "io.containerd.runc.v2";

/// Takes in what the configuration imports, and what that imports.
pub(super) fn load(tree: &mut Tree, config: &Path) -> Result<(), Error> {
    let mut pending = vec![config.to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = pending.pop() {
        if seen.contains(&path) {
            continue;
        }
        tree.load(&path)?;
        if let Some(text) = tree.files.get(&path) {
            for import in imports(&path, &parse(&path, text)?) {
                let folder = import.parent().unwrap_or(&import).to_owned();
                let name = import.file_name().unwrap_or_default().to_string_lossy();
                match name.rsplit_once('*') {
                    None => pending.push(import),
                    Some((_, ending)) => {
                        let found = tree.load_folder(&folder, ending)?;
                        pending.extend(found.into_iter().filter(|file| matches(&import, file)));
                    }
                }
            }
        }
        seen.push(path);
    }
    Ok(())
}

/// The imports of a file, as absolute patterns.
fn imports(path: &Path, table: &Table) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(path);
    words(table.get("imports")).into_iter().map(|import| folder.join(import)).collect()
}

/// Whether a pattern with `*` in its last part means the file.
fn matches(pattern: &Path, file: &Path) -> bool {
    let (Some(pattern_name), Some(name)) = (pattern.file_name(), file.file_name()) else {
        return false;
    };
    if pattern.parent() != file.parent() {
        return false;
    }
    let (pattern, name) = (pattern_name.to_string_lossy(), name.to_string_lossy());
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = left.find(part) else { return false };
        left = left.get(at + part.len()..).unwrap_or_default();
    }
    left.ends_with(last)
}

/// A node's containerd.
pub(super) struct Node<'a> {
    pub(super) config: &'a Path,
    pub(super) drop_in: &'a Path,
    /// What is there, without what divvy did.
    pub(super) files: &'a Files,
    pub(super) version: Option<(u32, u32)>,
}

impl Node<'_> {
    /// The files as they should be, and notes.
    pub(super) fn wanted(&self, options: &Options) -> Result<(Vec<Wanted>, Vec<String>), Error> {
        let text = self.files.get(self.config).map_or("", String::as_str);
        let main = parse(self.config, text)?;
        let version = self.config_version(&main)?;
        let plugin =
            if version < 3 { "io.containerd.grpc.v1.cri" } else { "io.containerd.cri.v1.runtime" };
        let mut wanted = vec![self.drop_in(&main, version, plugin, options)?];
        let imported =
            imports(self.config, &main).iter().any(|import| matches(import, self.drop_in));
        if !imported {
            wanted.push(Wanted {
                path: self.config.to_owned(),
                text: with_import(self.config, text, version, &self.pattern())?,
                why: format!("containerd reads {}", self.drop_in.display()),
            });
        }
        Ok((wanted, self.notes(&main, plugin)))
    }

    fn config_version(&self, main: &Table) -> Result<i64, Error> {
        match main.get("version").and_then(Item::as_integer) {
            Some(version) if version >= 2 => Ok(version),
            None if main.is_empty() => {
                Ok(if self.version.is_some_and(|version| version.0 >= 2) { 3 } else { 2 })
            }
            _ => Err(Error::FirstVersion { path: self.config.to_owned() }),
        }
    }

    /// Whether a later file's plugin table replaces an earlier one's. An unknown containerd may do either, and a
    /// repeated table is right for both.
    fn replaces(&self) -> bool {
        self.version.is_none_or(|version| version < (2, 1))
    }

    /// An import that means the drop-in alone, and doesn't stop containerd where it has been deleted, as its plain
    /// name would.
    fn pattern(&self) -> String {
        let name = self.drop_in.file_name().unwrap_or_default().to_string_lossy();
        let name = match name.rsplit_once('.') {
            Some((stem, ending)) => format!("{stem}*.{ending}"),
            None => format!("{name}*"),
        };
        self.drop_in.with_file_name(name).display().to_string()
    }

    /// The other files in containerd's order, each with whether it is read after the drop-in.
    fn others(&self, main: &Table) -> Vec<(&PathBuf, bool)> {
        let mut patterns = imports(self.config, main);
        if !patterns.iter().any(|pattern| matches(pattern, self.drop_in)) {
            patterns.push(self.pattern().into());
        }
        let own = patterns.iter().position(|pattern| matches(pattern, self.drop_in));
        let rank = |path: &PathBuf| patterns.iter().position(|pattern| matches(pattern, path));
        let mut others: Vec<&PathBuf> = self
            .files
            .keys()
            .filter(|path| *path != self.config && *path != self.drop_in)
            .filter(|path| rank(path).is_some())
            .collect();
        others.sort_by_key(|path| (rank(path), *path));
        let later = |path: &PathBuf| (rank(path), path.as_path()) > (own, self.drop_in);
        others.into_iter().map(|path| (path, later(path))).collect()
    }

    /// The CRI plugin's table as the other files have it.
    fn effective(
        &self,
        main: &Table,
        plugin: &str,
        options: &Options,
    ) -> Result<Option<Table>, Error> {
        let path = ["plugins", plugin];
        let mut effective = table(main, &path).cloned();
        for (file, later) in self.others(main) {
            let text = self.files.get(file).map_or("", String::as_str);
            let parsed = parse(file, text)?;
            let Some(over) = table(&parsed, &path) else { continue };
            let default = table(over, &["containerd"])
                .is_some_and(|containerd| containerd.contains_key("default_runtime_name"));
            if later && self.replaces() {
                return Err(Error::overruled(
                    file,
                    self.drop_in,
                    "replaces its whole CRI section (containerd before 2.1 does not join them)",
                ));
            }
            if later && options.set_as_default && default {
                return Err(Error::overruled(file, self.drop_in, "names another default runtime"));
            }
            match &mut effective {
                Some(under) if !self.replaces() => merge(under, over),
                other => *other = Some(over.clone()),
            }
        }
        Ok(effective)
    }

    fn drop_in(
        &self,
        main: &Table,
        version: i64,
        plugin: &str,
        options: &Options,
    ) -> Result<Wanted, Error> {
        let effective = self.effective(main, plugin, options)?;
        let handler = handler(effective.as_ref(), options);
        let mut document = DocumentMut::new();
        let root = document.as_table_mut();
        root.insert("version", value(version));
        let refuse = |key: String| {
            Error::malformed(self.config, "", 0, format!("{key:?} is expected to be a table"))
        };
        let mut heading = format!(
            "{HEADING}; `divvy runtime configure --runtime containerd --remove` takes it out.\n"
        );
        let cri = table_mut(root, &["plugins", plugin]).map_err(refuse)?;
        if self.replaces() {
            let runtimes =
                effective.as_ref().and_then(|cri| table(cri, &["containerd", "runtimes"]));
            if runtimes.is_none() {
                let runc = table_mut(cri, &["containerd", "runtimes", "runc"]).map_err(refuse)?;
                runc.insert("runtime_type", value(RUNC));
            }
            if let Some(effective) = &effective {
                heading.push_str(&format!(
                    "# containerd before 2.1 takes a section from the last file that has it: what the files before this one\n\
                     # say of {plugin:?} is repeated here. After a change there, run `divvy runtime configure` again.\n"
                ));
                merge(cri, effective);
            }
        }
        if options.cdi {
            cri.insert("enable_cdi", value(true));
        }
        let containerd = table_mut(cri, &["containerd"]).map_err(refuse)?;
        if options.set_as_default {
            containerd.insert("default_runtime_name", value(&options.runtime_name));
        }
        let runtimes = table_mut(containerd, &["runtimes"]).map_err(refuse)?;
        runtimes.insert(&options.runtime_name, Item::Table(handler));
        Ok(Wanted {
            path: self.drop_in.to_owned(),
            text: format!("{heading}{document}"),
            why: format!("the runtime handler {}", options.runtime_name),
        })
    }

    fn notes(&self, main: &Table, plugin: &str) -> Vec<String> {
        let mut notes = Vec::new();
        let off = words(main.get("disabled_plugins"));
        if off.iter().any(|off| [plugin, "io.containerd.grpc.v1.cri", "cri"].contains(off)) {
            notes.push(format!(
                "{} switches the CRI off (disabled_plugins): the handler has no effect until it is on",
                self.config.display()
            ));
        }
        notes
    }
}

/// divvy's handler: the default one's options, such as the cgroup driver, with divvy-runtime for its program.
fn handler(cri: Option<&Table>, options: &Options) -> Table {
    let containerd = cri.and_then(|cri| table(cri, &["containerd"]));
    let default = containerd
        .and_then(|containerd| containerd.get("default_runtime_name")?.as_str())
        .filter(|name| *name != options.runtime_name);
    let runs_runc = |handler: &&Table| {
        handler.get("runtime_type").and_then(Item::as_str).is_none_or(|found| found == RUNC)
    };
    let find = |name| containerd.and_then(|containerd| table(containerd, &["runtimes", name]));
    let model = default.and_then(find).filter(runs_runc).or_else(|| find("runc").filter(runs_runc));
    let mut handler = model.cloned().unwrap_or_default();
    handler.insert("runtime_type", value(RUNC));
    for key in ["pod_annotations", "container_annotations"] {
        let there = words(handler.get(key));
        let more = ANNOTATIONS.into_iter().filter(|pattern| !there.contains(pattern));
        let all = list(there.iter().copied().chain(more));
        handler.insert(key, all);
    }
    if let Ok(options_table) = table_mut(&mut handler, &["options"]) {
        options_table.insert("BinaryName", value(&options.runtime_path));
    }
    handler
}

/// The text with one more import, and every other byte as it was.
fn with_import(path: &Path, text: &str, version: i64, pattern: &str) -> Result<String, Error> {
    let document = Document::parse(text).map_err(|error| malformed(path, text, &error))?;
    let pattern = value(pattern).to_string();
    let mut new = text.to_owned();
    if let Some(item) = document.get("imports") {
        let span = item.span().unwrap_or_default();
        let Some(array) = item.as_array() else {
            return Err(Error::malformed(
                path,
                text,
                span.start,
                "imports is expected to be a list".to_owned(),
            ));
        };
        // After the last item, before a comma that may trail it.
        let last = array.iter().last().and_then(toml_edit::Value::span);
        match last {
            Some(last) => new.insert_str(last.end, &format!(", {pattern}")),
            None => new.insert_str(span.start + 1, &pattern),
        }
        return Ok(new);
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("imports = [{pattern}]{newline}");
    let Some(item) = document.get("version") else {
        return Ok(format!("version = {version}{newline}{line}{text}"));
    };
    let end = item.span().unwrap_or_default().end;
    match text.get(end..).and_then(|rest| rest.find('\n')) {
        Some(line_end) => new.insert_str(end + line_end + 1, &line),
        None => new.push_str(&format!("{newline}{}", line.trim_end())),
    }
    Ok(new)
}

/// Takes divvy's import out. `None`: nothing is left of a file that divvy made.
pub(super) fn taken_out(
    path: &Path,
    text: &str,
    trace: Option<&Trace>,
) -> Result<Option<String>, Error> {
    let document = Document::parse(text).map_err(|error| malformed(path, text, &error))?;
    let made = trace.is_some_and(|trace| trace.before.is_none());
    let before = trace.and_then(|trace| trace.before.as_deref()).unwrap_or_default();
    let before = parse(path, before)?;
    let old = words(before.get("imports"));
    let Some(array) = document.get("imports").and_then(Item::as_array) else {
        return Ok(Some(text.to_owned()));
    };
    let after = trace.map(|trace| parse(path, &trace.after)).transpose()?;
    let is_ours = |value: &toml_edit::Value| match (&after, value.as_str()) {
        (Some(after), Some(import)) => {
            words(after.get("imports")).contains(&import) && !old.contains(&import)
        }
        // Without a record the name tells.
        (None, Some(import)) => import.ends_with("divvy*.toml"),
        (_, None) => false,
    };
    let Some(at) = array.iter().position(is_ours) else { return Ok(Some(text.to_owned())) };
    let mut new = text.to_owned();
    if array.len() == 1 && !before.contains_key("imports") {
        let key =
            document.as_table().key("imports").and_then(toml_edit::Key::span).unwrap_or_default();
        let end = array.span().unwrap_or_default().end;
        let line_end =
            text.get(end..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| end + at + 1);
        new.replace_range(key.start..line_end, "");
    } else {
        let span = |at: usize| array.get(at).and_then(toml_edit::Value::span);
        let (own, before, after) =
            (span(at).unwrap_or_default(), at.checked_sub(1).and_then(span), span(at + 1));
        let cut = match (before, after) {
            (Some(before), _) => before.end..own.end,
            (None, Some(after)) => own.start..after.start,
            (None, None) => own,
        };
        new.replace_range(cut, "");
    }
    let left = parse(path, &new)?;
    Ok((!(made && left.iter().all(|(key, _)| key == "version"))).then_some(new))
}

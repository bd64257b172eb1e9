//! What is there now.

use super::record::{FOLDER, Record};
use super::{Engine, Error, Files, Options, Places, containerd, crio, podman};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// No configuration of an engine is a tenth of this long.
const MAX_BYTES: u64 = 1 << 20;

/// What a plan is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// The files that the engine reads, and those that divvy would write, as far as they are there.
    pub files: Files,
    /// The version, major and minor, where it matters and is known: how containerd joins files, and whether
    /// Docker's CDI is on by itself.
    pub version: Option<(u32, u32)>,
    /// What divvy did earlier.
    pub record: Option<Record>,
    pub(super) record_text: Option<String>,
    /// Folders that divvy's files need and that are not there, an outer one before an inner one.
    pub missing_folders: Vec<PathBuf>,
}

impl Current {
    /// Takes in a record's text, as [`read`] does with the file.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn with_record(
        mut self,
        engine: Engine,
        text: Option<String>,
    ) -> Result<Current, Error> {
        self.record =
            text.as_deref().map(|text| Record::parse(&Record::file(engine), text)).transpose()?;
        self.record_text = text;
        Ok(self)
    }
}

/// Reads what the engine reads.
///
/// # Errors
/// The engine isn't here and no file was named, or something can't be read.
pub fn read(engine: Engine, options: &Options, root: &Path) -> Result<Current, Error> {
    let named = options.config.is_some() || options.drop_in.is_some();
    if !named && !is_here(engine, root) {
        return Err(Error::Absent {
            engine,
            program: engine.program(),
            place: engine.folder().to_owned(),
            option: engine.option(),
        });
    }
    let mut tree = Tree { root, files: Files::new() };
    let record = tree.text(&Record::file(engine))?;
    let mut current = Current::default().with_record(engine, record)?;
    let places = Places::of(engine, options);
    let recorded = current.record.iter().flat_map(|record| &record.files).map(|trace| &trace.path);
    for path in places.all().chain(recorded) {
        tree.load(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        tree.load(&Path::new(FOLDER).join(format!("{name}.edited")))?;
    }
    match (engine, &places.shared) {
        (Engine::Containerd, Some(config)) => containerd::load(&mut tree, config)?,
        (Engine::Crio, _) => crio::load(&mut tree)?,
        (Engine::Podman, _) => podman::load(&mut tree)?,
        _ => {}
    }
    current.missing_folders = missing_folders(root, places.all());
    current.files = tree.files;
    current.version = match engine {
        Engine::Containerd | Engine::Docker => installed_version(engine, root),
        Engine::Podman | Engine::Crio => None,
    };
    Ok(current)
}

/// The files under a root, as far as somebody asked for them.
pub(super) struct Tree<'a> {
    root: &'a Path,
    pub(super) files: Files,
}

impl Tree<'_> {
    /// Takes in a file, where it is there.
    pub(super) fn load(&mut self, path: &Path) -> Result<(), Error> {
        if let Some(text) = self.text(path)? {
            self.files.insert(path.to_owned(), text);
        }
        Ok(())
    }

    /// Takes in the files of a folder whose names end so, and answers them in order.
    pub(super) fn load_folder(
        &mut self,
        folder: &Path,
        ending: &str,
    ) -> Result<Vec<PathBuf>, Error> {
        let failed = |source| Error::Read { path: folder.to_owned(), source };
        let entries = match fs::read_dir(below(self.root, folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let (name, path) = (entry.file_name(), entry.path());
            if name.to_str().is_some_and(|name| name.ends_with(ending)) && path.is_file() {
                paths.push(folder.join(name));
            }
        }
        paths.sort();
        for path in &paths {
            self.load(path)?;
        }
        Ok(paths)
    }

    fn text(&self, path: &Path) -> Result<Option<String>, Error> {
        text(&below(self.root, path))
            .map_err(|source| Error::Read { path: path.to_owned(), source })
    }
}

/// A file's text; `None` where it isn't there.
pub(super) fn text(path: &Path) -> io::Result<Option<String>> {
    // A pipe or a device would be waited for.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
        Ok(found) if !found.is_file() => return Err(io::Error::other("it is no regular file")),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// A path under a root.
pub fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn is_here(engine: Engine, root: &Path) -> bool {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"];
    let program = |folder: &str| below(root, Path::new(folder)).join(engine.program()).exists();
    folders.into_iter().any(program) || below(root, engine.folder()).is_dir()
}

fn missing_folders<'a>(root: &Path, paths: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let ancestors = paths.flat_map(|path| path.ancestors().skip(1));
    let mut missing: Vec<PathBuf> =
        ancestors.filter(|folder| !below(root, folder).exists()).map(PathBuf::from).collect();
    missing.sort();
    missing.dedup();
    missing
}

/// The version that the engine's program says. Of another root's program nothing is run.
fn installed_version(engine: Engine, root: &Path) -> Option<(u32, u32)> {
    if root != Path::new("/") {
        return None;
    }
    let said =
        Command::new(engine.program()).arg("--version").stdin(Stdio::null()).output().ok()?;
    version(&String::from_utf8_lossy(&said.stdout))
}

/// The first word that is a version, in `containerd github.com/containerd/containerd/v2 v2.1.9 …` or
/// `Docker version 28.5.2+dfsg4, build …`: major and minor.
pub(super) fn version(said: &str) -> Option<(u32, u32)> {
    said.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches('v').split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

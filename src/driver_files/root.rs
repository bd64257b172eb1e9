//! Paths below a root, with symbolic links followed as a process chrooted there would see them.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

/// A folder that stands for `/`. A link below it never leads out of it.
///
/// Folders are looked at once: what one look-up learnt serves the next.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    seen: RefCell<HashMap<PathBuf, Entry>>,
}

#[derive(Clone, Debug)]
enum Entry {
    Missing,
    Plain,
    Link(PathBuf),
}

impl Root {
    pub(super) fn new(path: &Path) -> Root {
        Root { path: path.to_owned(), seen: RefCell::default() }
    }

    /// The host's path of an absolute path below the root; links in it are not looked at.
    pub(super) fn host_path(&self, inside: &Path) -> PathBuf {
        self.path.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// A path that an administrator gave, as the root sees it: with or without the root in front.
    pub(super) fn inside(&self, given: &Path) -> PathBuf {
        Path::new("/").join(given.strip_prefix(&self.path).unwrap_or(given))
    }

    /// Follows every link in an absolute path. `None` where it leads nowhere.
    pub(super) fn resolve(&self, inside: &Path) -> Option<PathBuf> {
        let mut todo: VecDeque<PathBuf> = parts(inside);
        let mut done = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = todo.pop_front() {
            if part.as_os_str() == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&part);
            match self.look(&next) {
                Entry::Missing => return None,
                Entry::Plain => done = next,
                Entry::Link(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    for part in parts(&target).into_iter().rev() {
                        todo.push_front(part);
                    }
                }
            }
        }
        Some(done)
    }

    fn look(&self, inside: &Path) -> Entry {
        if let Some(entry) = self.seen.borrow().get(inside) {
            return entry.clone();
        }
        let entry = match fs::read_link(self.host_path(inside)) {
            Ok(target) => Entry::Link(target),
            // EINVAL: it is there, and it is no link.
            Err(error) if error.kind() == ErrorKind::InvalidInput => Entry::Plain,
            Err(_) => Entry::Missing,
        };
        self.seen.borrow_mut().insert(inside.to_owned(), entry.clone());
        entry
    }

    /// What lies in a folder whose own path is resolved, by name. Empty where there is no such folder.
    pub(super) fn list(&self, folder: &Path) -> Vec<Listed> {
        let Ok(entries) = fs::read_dir(self.host_path(folder)) else { return Vec::new() };
        let mut listed: Vec<Listed> = entries
            .flatten()
            .filter_map(|entry| {
                let kind = entry.file_type().ok()?;
                let name = entry.file_name().into_string().ok()?;
                let kind = match () {
                    () if kind.is_file() => ListedKind::File,
                    () if kind.is_symlink() => ListedKind::Link,
                    () => return None,
                };
                Some(Listed { name, kind })
            })
            .collect();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed
    }

    pub(super) fn read_link(&self, inside: &Path) -> Option<PathBuf> {
        match self.look(inside) {
            Entry::Link(target) => Some(target),
            Entry::Missing | Entry::Plain => None,
        }
    }
}

/// A file or link in a folder. Names that are not UTF-8 can't stand in a CDI spec and are left out.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) kind: ListedKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListedKind {
    File,
    Link,
}

fn parts(path: &Path) -> VecDeque<PathBuf> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(PathBuf::from(name)),
            Component::ParentDir => Some(PathBuf::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// The path as text, where it is short and clean enough to stand in a spec.
pub(super) fn text(path: &Path) -> Option<String> {
    let clean = path.as_os_str().as_bytes().iter().all(|byte| !byte.is_ascii_control());
    clean.then(|| path.to_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("usr/lib/deep")).unwrap();
        fs::write(dir.path().join("usr/lib/libx.so.1"), "").unwrap();
        dir
    }

    #[test]
    fn links_stay_inside_the_root() {
        let dir = tree();
        symlink("/etc/passwd", dir.path().join("usr/lib/absolute")).unwrap();
        symlink("../../../../../../../etc/passwd", dir.path().join("usr/lib/relative")).unwrap();
        symlink("/usr/lib/libx.so.1", dir.path().join("usr/lib/good")).unwrap();
        let root = Root::new(dir.path());
        assert_eq!(root.resolve(Path::new("/usr/lib/absolute")), None);
        assert_eq!(root.resolve(Path::new("/usr/lib/relative")), None);
        assert_eq!(root.resolve(Path::new("/usr/lib/good")), Some("/usr/lib/libx.so.1".into()));
    }

    #[test]
    fn parents_of_the_root_are_the_root() {
        let root = tree();
        let resolved =
            Root::new(root.path()).resolve(Path::new("/../../usr/lib/deep/../libx.so.1"));
        assert_eq!(resolved, Some("/usr/lib/libx.so.1".into()));
    }

    #[test]
    fn a_ring_of_links_ends() {
        let dir = tree();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(Root::new(dir.path()).resolve(Path::new("/a")), None);
    }

    #[test]
    fn a_given_path_may_name_the_root_or_not() {
        let root = Root::new(Path::new("/run/driver"));
        assert_eq!(root.inside(Path::new("/run/driver/usr/lib")), Path::new("/usr/lib"));
        assert_eq!(root.inside(Path::new("/usr/lib")), Path::new("/usr/lib"));
    }
}

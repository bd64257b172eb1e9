//! Writing a file whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Engines that run as another user than root read specs too.
const MODE: u32 = 0o644;

/// An ending that engines ignore: they read the folder at any time.
const SUFFIX: &str = ".tmp";
/// Letters and digits between a temporary file's prefix and its suffix.
const RANDOM: usize = 6;

/// What writing a file came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// There was no such file.
    Created,
    /// There was one with other content.
    Replaced,
    /// The file had that content already, and was left alone.
    Unchanged,
}

/// A file that could not be written. What was there before is untouched, and no temporary file is left.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A step of writing failed.
    #[error("can't write {path}: {step}: {source}")]
    Io {
        /// The file that was to be written.
        path: PathBuf,
        /// What failed.
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The path is taken by something that a file must not replace, such as a folder, a link or `/dev/null`.
    #[error("can't write {path}: it is no regular file; name another one, or remove it first")]
    NotAFile {
        /// The path that is taken.
        path: PathBuf,
    },
}

/// Puts `content` at `path` with mode 0644, so that a reader, and the disk after a power cut, have the old content
/// or the new. A missing folder is made.
///
/// # Errors
/// When `path` is there and is no regular file, or a step fails: no permission, no space left, say.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), WriteError> {
    let failed = |step| move |source| WriteError::Io { path: path.into(), step, source };
    refuse_special(path)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder).map_err(failed("its folder can't be made"))?;
    let file = tempfile::Builder::new()
        .prefix(&prefix(path))
        .rand_bytes(RANDOM)
        .suffix(SUFFIX)
        .tempfile_in(folder)
        .map_err(failed("no temporary file can be made in its folder"))?;
    file.as_file().write_all(content).map_err(failed("the content can't be written"))?;
    // On the open file, not at its creation, where the umask would be taken off.
    file.as_file()
        .set_permissions(Permissions::from_mode(MODE))
        .map_err(failed("its mode can't be set"))?;
    file.as_file().sync_all().map_err(failed("the content can't be brought to the disk"))?;
    file.persist(path).map_err(|e| failed("the temporary file can't be renamed")(e.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("its folder can't be brought to the disk"))
}

/// As [`write_atomically`], unless the file has that content already: engines watch the folder, and load all of it
/// again when a file changes.
///
/// # Errors
/// As [`write_atomically`]; a file that is there and can't be read is replaced.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<Written, WriteError> {
    let before = match fs::symlink_metadata(path) {
        Err(_) => Written::Created,
        Ok(there) if there.is_file() && has_content(path, there.len(), content) => {
            return Ok(Written::Unchanged);
        }
        Ok(_) => Written::Replaced,
    };
    write_atomically(path, content)?;
    Ok(before)
}

/// Removes what a write of `path` left beside it when its process died before the end. For whoever knows that
/// nobody is writing the file now.
///
/// # Errors
/// When the folder can't be read, or a file in it can't be removed. A folder that is not there is no error.
pub fn remove_interrupted(path: &Path) -> io::Result<()> {
    let entries = match path.parent().map(fs::read_dir) {
        Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        entries => entries.into_iter().flatten().flatten(),
    };
    let prefix = prefix(path);
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
        let rest = rest.and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
        if rest.is_some_and(|random| random.len() == RANDOM) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// How the names of temporary files for `path` begin.
fn prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push("-");
    prefix
}

/// Compares sizes first, so that no huge file is read.
fn has_content(path: &Path, size: u64, content: &[u8]) -> bool {
    u64::try_from(content.len()) == Ok(size) && fs::read(path).is_ok_and(|old| old == content)
}

/// `rename` would replace a device node as readily as a file: root asked to write to `/dev/null` must not.
fn refuse_special(path: &Path) -> Result<(), WriteError> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => Err(WriteError::NotAFile { path: path.into() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_an_interrupted_write_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        remove_interrupted(&dir.path().join("nowhere/a.json")).unwrap();
        let others =
            [".a.json-b.json-AbCd12.tmp", ".a.json-AbCd12", ".b.json-AbCd12.tmp", "a.json"];
        for name in others.iter().chain(&[".a.json-AbCd12.tmp", ".a.json-000000.tmp"]) {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        remove_interrupted(&path).unwrap();
        let mut left = others.map(str::to_owned);
        left.sort();
        assert_eq!(names(dir.path()), left);
    }

    #[test]
    fn a_file_is_created_replaced_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/folder/x.json");
        assert_eq!(write_if_changed(&path, b"one").unwrap(), Written::Created);
        assert_eq!(write_if_changed(&path, b"two").unwrap(), Written::Replaced);
        let made = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(write_if_changed(&path, b"two").unwrap(), Written::Unchanged);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made);
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, MODE);
        assert_eq!(names(path.parent().unwrap()), ["x.json"]);
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        for path in [Path::new("/dev/null"), folder.path(), &link] {
            for result in [write_atomically(path, b"x"), write_if_changed(path, b"x").map(drop)] {
                let error = result.unwrap_err();
                assert!(matches!(error, WriteError::NotAFile { .. }), "{error}");
            }
        }
        assert_eq!(fs::read(&target).unwrap(), b"kept");
        assert_eq!(names(folder.path()), ["link", "target"]);
    }

    #[test]
    fn a_folder_that_is_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let path = folder.path().join("file/x.json");
        let error = write_atomically(&path, b"x").unwrap_err().to_string();
        assert!(error.contains("file/x.json: its folder can't be made"), "{error}");
    }
}

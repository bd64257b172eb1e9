//! Carrying a plan out.

use super::read::{below, text};
use super::{Error, FileChange, Plan};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Writes what the plan says, each file whole or not at all. A file that changed since it was read stops it;
/// what was written by then stands, and another run goes on from there.
///
/// # Errors
/// A file changed meanwhile, or can't be written.
pub fn apply(plan: &Plan, root: &Path) -> Result<(), Error> {
    let removal = plan.record.after.is_none();
    // The record first: of whatever a file then holds, before or after, it knows the way back.
    if !removal {
        carry_out(&plan.record, root, 0o600)?;
    }
    for change in &plan.changes {
        carry_out(change, root, 0o644)?;
    }
    if removal {
        carry_out(&plan.record, root, 0o600)?;
        for folder in plan.folders.iter().rev() {
            // One that somebody else uses by now stays.
            let _ = fs::remove_dir(below(root, folder));
        }
    }
    Ok(())
}

/// Makes one change. A new file gets `mode`; a file that is there keeps its mode and owner.
fn carry_out(change: &FileChange, root: &Path, mode: u32) -> Result<(), Error> {
    if change.before == change.after {
        return Ok(());
    }
    let path = followed(&change.path, root)?;
    let now = text(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    if now == change.after {
        return Ok(());
    }
    if now != change.before {
        return Err(Error::Changed { path: change.path.clone() });
    }
    match &change.after {
        Some(after) => replace(&path, after, mode),
        None => fs::remove_file(&path).map_err(|source| Error::Write {
            path,
            step: "it can't be removed",
            source,
        }),
    }
}

/// Where a path leads: configuration is often a link into a managed tree, and the link stays.
fn followed(path: &Path, root: &Path) -> Result<PathBuf, Error> {
    let below = below(root, path);
    let failed = |source| Error::Read { path: below.clone(), source };
    let is_link = fs::symlink_metadata(&below).is_ok_and(|found| found.is_symlink());
    let there = below.ancestors().find(|path| path.exists()).unwrap_or(root);
    // Of a link that leads nowhere this is an error: what it was to lead to can't be known.
    let target = fs::canonicalize(if is_link { &below } else { there }).map_err(failed)?;
    let root = fs::canonicalize(root).map_err(failed)?;
    if !target.starts_with(&root) {
        return Err(Error::Outside { path: path.to_owned(), target, root });
    }
    Ok(if is_link { target } else { below })
}

fn replace(path: &Path, content: &str, mode: u32) -> Result<(), Error> {
    let failed = |step| move |source| Error::Write { path: path.to_owned(), step, source };
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed("its folder can't be made"))?;
    let old = fs::metadata(path).ok();
    // Engines read only names with their own ending.
    let new = tempfile::Builder::new()
        .prefix(".divvy-")
        .suffix(".tmp")
        .tempfile_in(folder)
        .map_err(failed("no temporary file can be made beside it"))?;
    new.as_file().write_all(content.as_bytes()).map_err(failed("it can't be written"))?;
    if let Some(old) = &old {
        chown(new.path(), Some(old.uid()), Some(old.gid()))
            .map_err(failed("its owner can't be kept"))?;
    }
    let mode = old.map_or(mode, |old| old.mode() & 0o7777);
    new.as_file()
        .set_permissions(Permissions::from_mode(mode))
        .map_err(failed("its mode can't be set"))?;
    new.as_file().sync_all().map_err(failed("it can't be brought to the disk"))?;
    new.persist(path).map_err(|error| failed("it can't be replaced")(error.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed("its folder can't be brought to the disk"))
}

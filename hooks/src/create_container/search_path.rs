//! Where ldconfig is to look: the image's own configuration, read here instead of by ldconfig.
//!
//! ldconfig would wait at a FIFO for ever, read a device or a huge file, and compile the paths of
//! the host's distribution in. Here every file is a regular one of limited size.

use divvy::hook_args::AbsolutePath;

use crate::container::{Container, Folder};
use crate::error::Error;
use crate::tell;

const CONFIG: &str = "/etc/ld.so.conf";
const DROP_INS: &str = "/etc/ld.so.conf.d";
/// Comes before an image's own files, so that the image's ldconfig, should it run, finds the same.
const DROP_IN: &str = "00-divvy.conf";

/// Bytes of a configuration file, files and folders that are looked at.
const FILE_LIMIT: usize = 1 << 20;
const FILES_LIMIT: usize = 512;
const FOLDERS_LIMIT: usize = 1024;
/// Files that include files that include files.
const DEPTH_LIMIT: usize = 16;

/// Where glibc looks without being told, on Debian's family and on the others. ldconfig leaves out
/// what does not exist, and takes a folder that has two names once.
const SYSTEM: [&str; 6] = [
    if cfg!(target_arch = "aarch64") { "/lib/aarch64-linux-gnu" } else { "/lib/x86_64-linux-gnu" },
    if cfg!(target_arch = "aarch64") {
        "/usr/lib/aarch64-linux-gnu"
    } else {
        "/usr/lib/x86_64-linux-gnu"
    },
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// All folders for the library cache, in their order: compatibility libraries, the driver's folders
/// that the image does not name itself, the image's, the system's.
///
/// Keeps the first two in a drop-in, so that an ldconfig that runs in the container later does not
/// lose the driver.
pub(super) fn for_driver(
    container: &Container,
    compat: Option<&str>,
    driver: &[AbsolutePath],
) -> Result<Vec<String>, Error> {
    let mut image = Reader { container, folders: Vec::new(), files: 0 };
    image.read(CONFIG, 0);
    let mut added: Vec<String> = compat.iter().map(|&folder| folder.to_owned()).collect();
    for folder in driver.iter().map(AbsolutePath::as_str) {
        let known = image.folders.iter().any(|known| known == folder) || SYSTEM.contains(&folder);
        if folder.contains(['=', '#', ' ']) {
            tell(&format!("warning: ldconfig can't read the folder {folder:?}; it is left out"));
        } else if !known && !added.iter().any(|known| known == folder) {
            added.push(folder.to_owned());
        }
    }
    keep(container, &added)?;
    for folder in image.folders.into_iter().chain(SYSTEM.map(str::to_owned)) {
        if !added.contains(&folder) {
            added.push(folder);
        }
    }
    Ok(added)
}

/// Writes the drop-in, or removes one that is no longer needed.
fn keep(container: &Container, folders: &[String]) -> Result<(), Error> {
    // An image without the folder has no ldconfig that would read it.
    let Some(drop_ins) = container.existing_folder(DROP_INS) else { return Ok(()) };
    let kept = if folders.is_empty() {
        remove(&drop_ins)
    } else {
        drop_ins.put_file(DROP_IN, format!("{}\n", folders.join("\n")).as_bytes(), 0o644)
    };
    super::unless_kept(kept)
}

fn remove(drop_ins: &Folder) -> Result<(), Error> {
    drop_ins.remove(DROP_IN)
}

struct Reader<'a> {
    container: &'a Container,
    folders: Vec<String>,
    files: usize,
}

impl Reader<'_> {
    /// Reads a configuration file and those that it includes. What can't be read is left out: an
    /// image's odd file is no reason not to start it.
    fn read(&mut self, path: &str, depth: usize) {
        self.files += 1;
        if depth > DEPTH_LIMIT
            || self.files > FILES_LIMIT
            || path == format!("{DROP_INS}/{DROP_IN}")
        {
            return;
        }
        let bytes = match self.container.read(path, FILE_LIMIT) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return tell(&format!("warning: left out of the library cache: {error}")),
        };
        for line in String::from_utf8_lossy(&bytes).lines() {
            match entry(line) {
                Entry::Nothing => {}
                Entry::Include(patterns) => {
                    for pattern in patterns.split_ascii_whitespace() {
                        self.include(&beside(path, pattern), depth + 1);
                    }
                }
                Entry::Folder(folder) => {
                    if self.folders.len() < FOLDERS_LIMIT {
                        self.folders.push(folder.to_owned());
                    }
                }
            }
        }
    }

    /// Reads the files that a pattern names: wildcards count in its last part only.
    fn include(&mut self, pattern: &str, depth: usize) {
        let Some((folder, last)) = pattern.rsplit_once('/') else { return };
        if !last.contains(['*', '?']) {
            return self.read(pattern, depth);
        }
        self.files += 1;
        if self.files > FILES_LIMIT {
            return;
        }
        let listed = self.container.open_folder(folder).ok().flatten();
        let Some(entries) = listed.and_then(|fd| rustix::fs::Dir::read_from(fd).ok()) else {
            return;
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned))
            .filter(|name| !name.starts_with('.') && matches(last.as_bytes(), name.as_bytes()))
            .take(FILES_LIMIT)
            .collect();
        names.sort_unstable();
        for name in names {
            self.read(&format!("{folder}/{name}"), depth);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    Nothing,
    Include(&'a str),
    Folder(&'a str),
}

/// What a line says, as ldconfig reads it: `#` begins a comment wherever it stands. `FOLDER=TYPE`
/// was for libraries before glibc 2 and is ignored, as `hwcap` lines are.
fn entry(line: &str) -> Entry<'_> {
    let text = line.split_once('#').map_or(line, |(before, _)| before).trim();
    match text.strip_prefix("include") {
        Some(rest) if rest.starts_with([' ', '\t']) => Entry::Include(rest),
        _ if text.starts_with('/') && !text.contains(['=', '\0']) => {
            Entry::Folder(text.trim_end_matches('/'))
        }
        _ => Entry::Nothing,
    }
}

/// A pattern is relative to the folder of the file that it stands in.
fn beside(file: &str, pattern: &str) -> String {
    match file.rsplit_once('/') {
        Some((folder, _)) if !pattern.starts_with('/') => format!("{folder}/{pattern}"),
        _ => pattern.to_owned(),
    }
}

/// Whether `name` matches a pattern of `*` and `?`.
///
/// On a mismatch only the last `*` takes one byte more, so the time is at most the product of both
/// lengths: a pattern full of stars costs nothing.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut star, mut next) = (0, None, 0);
    while next < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, next));
                at += 1;
            }
            Some(one) if *one == b'?' || Some(one) == name.get(next) => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                at = place + 1;
                next = taken + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_ldconfig_reads_them() {
        assert_eq!(entry("  /usr/lib/ # x"), Entry::Folder("/usr/lib"));
        assert_eq!(entry("include /etc/*.conf a"), Entry::Include(" /etc/*.conf a"));
        for line in ["", "#/a", "hwcap 1 x", "lib", "-r /", "/a=libc6", "includes /a", "--help"] {
            assert_eq!(entry(line), Entry::Nothing, "{line}");
        }
    }

    #[test]
    fn patterns_are_relative_to_their_file() {
        assert_eq!(beside("/etc/ld.so.conf", "ld.so.conf.d/*.conf"), "/etc/ld.so.conf.d/*.conf");
        assert_eq!(beside("/etc/ld.so.conf", "/opt/*.conf"), "/opt/*.conf");
    }

    #[test]
    fn wildcards_match() {
        assert!(
            matches(b"*.conf", b"a.conf") && matches(b"?.conf", b"a.conf") && matches(b"*", b"")
        );
        assert!(matches(b"a*b*c", b"axbxbc") && matches(b"**", b"x"));
        assert!(
            !matches(b"a*b*c", b"axbxb")
                && !matches(b"*.conf", b"a.config")
                && !matches(b"?", b"")
                && !matches(b"a", b"b")
        );
    }
}

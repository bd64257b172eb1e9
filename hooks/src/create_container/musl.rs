//! musl's loader has no cache: it looks in the folders that a file names, or in three of its own.
//!
//! The driver is built for glibc, so in such an image (Alpine's) only a compatibility layer can load
//! it. That layer, and `dlopen` by name, find the folders here.

use divvy::hook_args::AbsolutePath;

use super::unless_kept;
use crate::container::Container;
use crate::error::Error;

const ARCH: &str = if cfg!(target_arch = "aarch64") { "aarch64" } else { "x86_64" };
/// Where musl looks without a file.
const DEFAULT: [&str; 3] = ["/lib", "/usr/local/lib", "/usr/lib"];
const LIMIT: usize = 64 << 10;

/// Adds the driver's folders to the end of the list, where the image has musl.
pub(super) fn add(container: &Container, driver: &[AbsolutePath]) -> Result<(), Error> {
    if !container.has(&format!("/lib/ld-musl-{ARCH}.so.1")) {
        return Ok(());
    }
    let file = format!("ld-musl-{ARCH}.path");
    let found = container.read(&format!("/etc/{file}"), LIMIT)?;
    let Some(text) = list(found.as_deref(), driver) else { return Ok(()) };
    unless_kept(
        container.folder("/etc").and_then(|etc| etc.put_file(&file, text.as_bytes(), 0o644)),
    )
}

/// The file's new text; `None` where it names all folders already.
fn list(found: Option<&[u8]>, driver: &[AbsolutePath]) -> Option<String> {
    let text = String::from_utf8_lossy(found.unwrap_or_default());
    let mut folders: Vec<&str> = match found {
        Some(_) => text.split([':', '\n']).filter(|folder| !folder.is_empty()).collect(),
        None => DEFAULT.to_vec(),
    };
    let known = folders.len();
    for folder in driver.iter().map(AbsolutePath::as_str) {
        if !folder.contains(':') && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    (folders.len() > known).then(|| folders.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_added_once() {
        let driver = ["/usr/lib".parse().unwrap(), "/usr/lib/nvidia".parse().unwrap()];
        let first = list(None, &driver).unwrap();
        assert_eq!(first, "/lib\n/usr/local/lib\n/usr/lib\n/usr/lib/nvidia\n");
        assert_eq!(list(Some(first.as_bytes()), &driver), None);
        assert_eq!(list(Some(b"/a:/b"), &driver[..1]).unwrap(), "/a\n/b\n/usr/lib\n");
    }
}

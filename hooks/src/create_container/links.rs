//! Symbolic links: of libraries, and those that name DRM nodes by their PCI address.

use divvy::hook_args::{CreateContainer, Link};

use super::unless_kept;
use crate::container::{Container, Folder};
use crate::error::Error;

/// Makes the links that are wanted. Like `ln -fs`, each takes the place of a file or another link.
pub(super) fn make(container: &Container, work: &CreateContainer) -> Result<(), Error> {
    let given = work.device_links.iter().filter(|link| has_target(container, link));
    let mut last: Option<(&str, Folder)> = None;
    for link in work.links.iter().chain(given) {
        let (parent, name) = split(link.path().as_str());
        // Links of one directory follow each other: it is looked up once.
        let folder = match last.take() {
            Some((path, folder)) if path == parent => Ok(folder),
            _ => container.folder(parent),
        };
        let made = match folder {
            Ok(folder) => {
                let made = folder.put_link(name, link.target());
                last = Some((parent, folder));
                made
            }
            Err(error) => Err(error),
        };
        unless_kept(made)?;
    }
    Ok(())
}

/// Whether the link's target, as seen from the link, is a device node.
fn has_target(container: &Container, link: &Link) -> bool {
    let (parent, _) = split(link.path().as_str());
    let target = link.target();
    let path = if target.starts_with('/') { target.to_owned() } else { join(parent, target) };
    container.has_device(&path)
}

/// Joins by name: the link's directory need not exist yet.
fn join(folder: &str, target: &str) -> String {
    let mut names: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((folder, name)) => (folder, name),
        None => ("/", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_by_name() {
        assert_eq!(join("/dev/dri/by-path", "../card1"), "/dev/dri/card1");
        assert_eq!(join("/dev", "./nvidia0"), "/dev/nvidia0");
        assert_eq!(join("/dev", "../../../etc"), "/etc");
    }

    #[test]
    fn paths_are_split_at_the_last_name() {
        assert_eq!(split("/usr/lib/x"), ("/usr/lib", "x"));
        assert_eq!(split("/x"), ("/", "x"));
    }
}

//! Mounts, and the order that runtimes make them in.

use serde_json::{Map, Value, json};

use super::{
    ApplyError, remove_where,
    tree::{array_in, text_in},
};
use crate::Mount;

/// Adds each mount in place of one with its destination, then sorts all mounts by the depth of their destinations:
/// a mount must come after the one that it lies in. Mounts of one depth keep their order.
pub(super) fn add(root: &mut Map<String, Value>, mounts: &[Mount]) -> Result<(), ApplyError> {
    if mounts.is_empty() {
        return Ok(());
    }
    let all = array_in(root, "mounts")?;
    for mount in mounts {
        remove_where(all, ("mounts", "destination"), &mount.container_path)?;
        all.push(entry(mount));
    }
    let depth_of = |mount: &Value| text_in(mount, "destination", String::new).map_or(0, depth);
    all.sort_by_cached_key(depth_of);
    Ok(())
}

fn entry(mount: &Mount) -> Value {
    let mut entry = Map::new();
    entry.insert("destination".into(), json!(mount.container_path));
    if let Some(fs_type) = &mount.fs_type {
        entry.insert("type".into(), json!(fs_type));
    }
    entry.insert("source".into(), json!(mount.host_path));
    if !mount.options.is_empty() {
        entry.insert("options".into(), json!(mount.options));
    }
    Value::Object(entry)
}

/// How many separators a path has once `.`, `..` and doubled separators are resolved: `/` and `/a` have one.
fn depth(path: &str) -> usize {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    if is_absolute { parts.len().max(1) } else { parts.len().saturating_sub(1) }
}

#[cfg(test)]
mod tests {
    use super::depth;

    #[test]
    fn depth_is_that_of_the_clean_path() {
        let cases = [
            ("/", 1),
            ("/a", 1),
            ("//a/", 1),
            ("/a/b", 2),
            ("/a/./b/../c", 2),
            ("/../../a", 1),
            ("", 0),
            ("a", 0),
            ("a/b", 1),
            ("../a", 1),
            ("../../a", 2),
        ];
        for (path, expected) in cases {
            assert_eq!(depth(path), expected, "{path:?}");
        }
    }
}

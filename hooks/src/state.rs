//! Where the container's root is, and whether it is to be read-only: the state on stdin, and the
//! bundle's `config.json`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;

use crate::error::Error;

/// Bytes of a state; real ones have a few kilobytes, most of it annotations.
const STATE_LIMIT: usize = 4 << 20;
/// Bytes of a `config.json`; real ones have tens of kilobytes.
const CONFIG_LIMIT: usize = 16 << 20;

/// The OCI state, as far as this stage needs it. Its `pid` means nothing here: the runtimes write 1,
/// 6 or 0.
#[derive(Deserialize)]
struct State {
    bundle: String,
    /// crun's addition. In some user namespaces `config.json` can't be read, and this can.
    root: Option<String>,
}

/// The OCI state, as a stage needs it that the runtime runs itself. There the pid is the host's.
#[derive(Debug, Deserialize)]
pub(crate) struct RuntimeState {
    pub(crate) id: String,
    pub(crate) bundle: String,
    #[serde(default)]
    pub(crate) status: String,
    /// crun writes 0 where there is no process, runc leaves it out.
    #[serde(default)]
    pub(crate) pid: i64,
}

/// Reads the state from `input`.
pub(crate) fn read(input: impl Read) -> Result<RuntimeState, Error> {
    let what = "the container's state on stdin";
    let state: RuntimeState = parse(what, &read_limited(what, input, STATE_LIMIT)?)?;
    let climbs = state.bundle.split('/').any(|name| name == "..");
    // Runtimes write where they are, and that has no `..`.
    if !state.bundle.starts_with('/') || climbs || state.bundle.contains('\0') {
        return Err(Error::Bundle(state.bundle.chars().take(500).collect()));
    }
    Ok(state)
}

#[derive(Deserialize)]
struct Config {
    root: Root,
}

/// The container's root as its configuration has it.
#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Root {
    /// The root directory; absolute, once [`container_root`] has answered.
    pub(crate) path: String,
    /// Whether the container sees it read-only.
    #[serde(default)]
    pub(crate) readonly: bool,
}

/// Reads the state from `input` and answers the container's root. `folder` is where the runtime started the hook.
pub(crate) fn container_root(input: impl Read, folder: Option<&Path>) -> Result<Root, Error> {
    let what = "the container's state on stdin";
    let state: State = parse(what, &read_limited(what, input, STATE_LIMIT)?)?;
    if !state.bundle.starts_with('/') {
        return Err(Error::Bundle(state.bundle));
    }
    let config = read_config(&state.bundle).map(|config| config.root);
    let mut root = match state.root.filter(|root| !root.is_empty()) {
        Some(path) => Root { path, readonly: config.is_ok_and(|root| root.readonly) },
        None => match (config, folder.and_then(Path::to_str)) {
            // The root of a user namespace may not read a bundle that is the host's root's alone. It is runc
            // then: that starts the hook in the container's root, which is read-only later.
            (Err(Error::System { source: Errno::ACCESS, .. }), Some(folder))
                if folder != state.bundle =>
            {
                Root { path: folder.to_owned(), readonly: false }
            }
            (config, _) => config?,
        },
    };
    if !root.path.starts_with('/') {
        root.path = format!("{}/{}", state.bundle, root.path);
    }
    Ok(root)
}

fn read_config(bundle: &str) -> Result<Config, Error> {
    let path = format!("{bundle}/config.json");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file =
        rustix::fs::open(&path, flags, Mode::empty()).map_err(Error::system("open", &path))?;
    let stat = rustix::fs::fstat(&file).map_err(Error::system("look at", &path))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::NotRegular { path });
    }
    parse(&path, &read_limited(&path, File::from(file), CONFIG_LIMIT)?)
}

/// Reads all of `input`, up to `limit` bytes.
pub(crate) fn read_limited(what: &str, input: impl Read, limit: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    input.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|error| {
        let source = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Error::System { action: "read", path: what.to_owned(), source }
    })?;
    if bytes.len() > limit {
        return Err(Error::TooLarge { what: what.to_owned(), limit });
    }
    Ok(bytes)
}

fn parse<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Json { what: what.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(state: &str) -> Result<String, String> {
        container_root(state.as_bytes(), None)
            .map(|root| root.path)
            .map_err(|error| error.to_string())
    }

    fn bundle(config: &str) -> (tempfile::TempDir, String) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let state = format!(r#"{{"bundle":{:?},"pid":1,"annotations":{{}}}}"#, dir.path());
        (dir, state)
    }

    #[test]
    fn root_is_in_the_config_relative_to_the_bundle() {
        let (dir, state) = bundle(r#"{"process":{"args":["x"]},"root":{"path":"rootfs"}}"#);
        assert_eq!(root_of(&state).unwrap(), format!("{}/rootfs", dir.path().display()));
        let (_dir, state) = bundle(r#"{"root":{"path":"/merged","readonly":true}}"#);
        assert_eq!(root_of(&state).unwrap(), "/merged");
    }

    #[test]
    fn crun_names_the_root_in_the_state() {
        assert_eq!(root_of(r#"{"bundle":"/nowhere","root":"/merged"}"#).unwrap(), "/merged");
        assert_eq!(root_of(r#"{"bundle":"/b","root":"rootfs"}"#).unwrap(), "/b/rootfs");
    }

    #[test]
    fn a_read_only_root_is_one_for_crun_too() {
        let (dir, state) = bundle(r#"{"root":{"path":"rootfs","readonly":true}}"#);
        assert!(container_root(state.as_bytes(), None).unwrap().readonly);
        let state = format!(r#"{{"bundle":{:?},"root":"/merged"}}"#, dir.path());
        let root = container_root(state.as_bytes(), None).unwrap();
        assert_eq!(root, Root { path: "/merged".into(), readonly: true });
    }

    #[test]
    fn a_state_that_is_none_is_an_error() {
        for state in ["", "{", "[]", "{}", r#"{"bundle":"relative"}"#, r#"{"bundle":"/nowhere"}"#] {
            assert!(root_of(state).is_err(), "{state}");
        }
        let (_dir, state) = bundle(r#"{"root":{}}"#);
        assert!(root_of(&state).unwrap_err().contains("config.json is not the JSON"));
    }

    #[test]
    fn a_state_without_end_is_not_read() {
        let error = container_root(std::io::repeat(b' '), None).unwrap_err().to_string();
        assert_eq!(error, "the container's state on stdin is larger than 4194304 bytes");
    }

    #[test]
    fn a_config_that_is_a_link_or_a_pipe_is_not_opened() {
        let (dir, state) = bundle("");
        let path = dir.path().join("config.json");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(root_of(&state).unwrap_err().contains("can't open"));
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(root_of(&state).unwrap_err().contains("is not a regular file"));
    }
}

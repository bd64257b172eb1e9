//! The folder of one control daemon: where its sockets, its messages and its clients' view lie.

use super::MpsError;
use crate::host::Host;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// The longest pipe directory that works, in bytes: with one more the daemon exits without a word (535
/// and 550, tried). A socket's path is 108 bytes, and the daemon keeps room for its own names.
const PIPE_PATH_LIMIT: usize = 87;

/// ```text
/// <state>/mps/<16 hex digits>/   0711  any uid may pass, none may list
///     pipe/       0755  CUDA_MPS_PIPE_DIRECTORY of the daemon, its servers and divvy
///     log/        0700  CUDA_MPS_LOG_DIRECTORY
///     client/     0755  what clients get: hard links to `control` and `log`, nothing else
///     lib/        0755  links to the driver's libraries, where the driver root isn't `/`
///     messages    0600  a FIFO: what the daemon and its servers say
///     process     0600  pid and start time, written before the daemon begins
///     lock        0600  one command at a time
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A place that nobody has, not made yet.
    pub(super) fn choose(host: &Host) -> Result<Folder, MpsError> {
        let parent = parent(host);
        let bits =
            host.random().map_err(|source| MpsError::io("name a folder in", &parent, source))?;
        let name = format!("{bits:016x}");
        let parent =
            std::path::absolute(&parent).map_err(|source| MpsError::io("find", &parent, source))?;
        let folder = Folder { path: parent.join(name) };
        let pipe = folder.pipe();
        match pipe.as_os_str().as_bytes().len() {
            length if length > PIPE_PATH_LIMIT => {
                Err(MpsError::PipePath { pipe, length, limit: PIPE_PATH_LIMIT })
            }
            _ => Ok(folder),
        }
    }

    /// The folder that a journal names. One that isn't where divvy puts them is refused: it would be
    /// removed with all that is in it.
    pub(super) fn known(host: &Host, path: &Path) -> Result<Folder, MpsError> {
        let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
        let hex = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        let parent = std::path::absolute(parent(host)).ok();
        if name.len() == 16 && name.iter().all(hex) && path.parent() == parent.as_deref() {
            Ok(Folder { path: path.to_owned() })
        } else {
            Err(MpsError::Foreign { path: path.to_owned() })
        }
    }

    /// Makes the folder for a daemon whose clients have that uid.
    pub(super) fn make(&self, uid: u32) -> Result<(), MpsError> {
        self.path.parent().map_or(Ok(()), make_folders)?;
        for (folder, mode) in [
            (self.path.clone(), 0o711),
            (self.pipe(), 0o755),
            (self.log(), 0o700),
            (self.client(), 0o755),
        ] {
            let made = DirBuilder::new().mode(mode).create(&folder);
            made.map_err(|source| MpsError::io("make", &folder, source))?;
            // The umask of whoever calls may have taken bits away.
            set_mode(&folder, mode)?;
        }
        let messages = self.messages();
        mknodat(CWD, &messages, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .map_err(|error| MpsError::io("make", &messages, error.into()))?;
        self.check_traversable(uid)
    }

    /// The server of another uid than root's reaches its sockets by path.
    fn check_traversable(&self, uid: u32) -> Result<(), MpsError> {
        let open = |folder: &Path| fs::metadata(folder).is_ok_and(|meta| meta.mode() & 0o001 != 0);
        match self.path.ancestors().find(|folder| uid != 0 && !open(folder)) {
            Some(closed) => Err(MpsError::Closed { folder: closed.to_owned(), uid }),
            None => Ok(()),
        }
    }

    /// Links the driver's libraries from these folders, and nothing else of them: a whole folder of
    /// another root on the library path would bring that root's libc along.
    pub(super) fn link_libraries(&self, folders: &[PathBuf]) -> Result<(), MpsError> {
        let lib = self.libraries();
        fs::create_dir(&lib).map_err(|source| MpsError::io("make", &lib, source))?;
        set_mode(&lib, 0o755)?;
        for folder in folders {
            let entries =
                fs::read_dir(folder).map_err(|source| MpsError::io("list", folder, source))?;
            for entry in entries.flatten() {
                let name = entry.file_name();
                let bytes = name.as_bytes();
                if !(bytes.starts_with(b"libcuda") || bytes.starts_with(b"libnvidia-")) {
                    continue;
                }
                let link = lib.join(&name);
                match symlink(entry.path(), &link) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                        return Err(MpsError::io("make", &link, error));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Gives the clients' folder what clients need. The daemon's sockets must be there.
    pub(super) fn open_to_clients(&self) -> Result<(), MpsError> {
        for name in ["control", "log"] {
            let link = self.client().join(name);
            fs::hard_link(self.pipe().join(name), &link)
                .map_err(|source| MpsError::io("make", &link, source))?;
        }
        Ok(())
    }

    /// Takes the folder away, with all that is in it. One that is gone is removed.
    pub(super) fn remove(&self) -> Result<(), MpsError> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(MpsError::io("remove", &self.path, error))
            }
            _ => Ok(()),
        }
    }

    /// Opens the messages for reading. While this is open, what a daemon said outlives it.
    pub(super) fn listen(&self) -> Result<Messages, MpsError> {
        let path = self.messages();
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = File::options().read(true).custom_flags(nonblocking).open(&path);
        file.map(Messages).map_err(|source| MpsError::io("open", &path, source))
    }

    /// Its name, which its cgroups and its systemd unit bear, too.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn pipe(&self) -> PathBuf {
        self.path.join("pipe")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(super) fn client(&self) -> PathBuf {
        self.path.join("client")
    }

    pub(super) fn libraries(&self) -> PathBuf {
        self.path.join("lib")
    }

    pub(super) fn messages(&self) -> PathBuf {
        self.path.join("messages")
    }

    pub(super) fn process(&self) -> PathBuf {
        self.path.join("process")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }
}

/// The reading end of a daemon's messages. A FIFO holds 64 KiB and drops what comes after: whoever
/// floods a daemon with connections, each of which makes it write a line, fills no file system.
#[derive(Debug)]
pub(super) struct Messages(File);

impl Messages {
    /// The last lines of what was said since it was read last, as one line for an error.
    pub(super) fn last(&mut self) -> String {
        let mut bytes = Vec::new();
        // Ends with an error where the FIFO is empty and still open for writing.
        let _ = self.0.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> =
            text.lines().map(without_stamp).filter(|line| !of_course(line)).collect();
        let last = lines.get(lines.len().saturating_sub(6)..).unwrap_or_default();
        match last {
            [] => "nothing".to_owned(),
            last => last.join("; "),
        }
    }
}

/// A message without `[2026-11-21 02:10:42.049 Other 16815] `.
fn without_stamp(line: &str) -> &str {
    match line.strip_prefix('[').and_then(|line| line.split_once("] ")) {
        Some((_, message)) => message.trim(),
        None => line.trim(),
    }
}

/// What a daemon says of every command, divvy's own included, and of every end.
fn of_course(line: &str) -> bool {
    let begins =
        ["Accepting connection", "NEW UI", "UI closed", "Cmd:", "Unknown command", "Removed Shm"];
    begins.iter().any(|begin| line.starts_with(begin))
        || line.ends_with("not found")
        || line.parse::<f64>().is_ok()
}

fn parent(host: &Host) -> PathBuf {
    host.state_dir.join("mps")
}

fn make_folders(path: &Path) -> Result<(), MpsError> {
    let made = DirBuilder::new().recursive(true).mode(0o711).create(path);
    made.map_err(|source| MpsError::io("make", path, source))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), MpsError> {
    use std::os::unix::fs::PermissionsExt;
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.map_err(|source: io::Error| MpsError::io("set the mode of", path, source))
}

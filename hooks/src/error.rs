//! What can go wrong in a hook, one sentence each: runc shows it to whoever starts the container.

use divvy::hook_args::ArgError;
use rustix::io::Errno;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("in the hook's arguments, {0}; write the CDI spec anew with `divvy cdi generate`")]
    Argument(#[from] ArgError),
    #[error("there is no stage {0:?}; `divvy-hook --help` lists what there is")]
    Stage(String),
    #[error("can't write to stdout: {0}")]
    Stdout(std::io::Error),
    #[error("can't {action} {path}: {source}")]
    System { action: &'static str, path: String, source: Errno },
    #[error("{what} is not the JSON that an OCI runtime writes: {source}")]
    Json { what: String, source: serde_json::Error },
    #[error("{what} is larger than {limit} bytes")]
    TooLarge { what: String, limit: usize },
    #[error("{path} is not a regular file")]
    NotRegular { path: String },
    #[error("the container's state names no absolute bundle path, but {0:?}")]
    Bundle(String),
    #[error("the container's root is {path}, the host's own: the hook changes nothing there")]
    HostRoot { path: String },
    #[error(
        "can't look at {path} through a private copy of its mounts: {source} (divvy-hook needs Linux 5.14 or newer and CAP_SYS_ADMIN)"
    )]
    View { path: String, source: Errno },
    #[error("can't make the link {path}: a directory is there; the image must not have one")]
    LinkIsFolder { path: String },
    #[error("can't make {path} in the container: the symbolic link there leads nowhere")]
    DanglingLink { path: String },
    #[error("can't {action} {path} in the container: it was changed again and again meanwhile")]
    Contested { action: &'static str, path: String },
    #[error(
        "can't run the host's {path}: {source}; name its ldconfig with `divvy cdi generate --ldconfig-path`"
    )]
    Ldconfig { path: String, source: Errno },
    #[error(
        "the host's {path} is no ELF program; name the real one with `divvy cdi generate --ldconfig-path`"
    )]
    LdconfigScript { path: String },
}

impl Error {
    /// Makes the error of a system call that was to do `action` with `path`.
    pub(crate) fn system(action: &'static str, path: &str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::System { action, path: path.to_owned(), source }
    }

    /// Whether it says that the file system can't be written to.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::System { source: Errno::ROFS, .. })
    }
}

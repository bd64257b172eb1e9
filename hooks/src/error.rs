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
    #[error("can't run {}, which has the code for this stage: {error}; install all of divvy's programs in one folder", program.display())]
    HandOver { program: std::path::PathBuf, error: std::io::Error },
    #[error("can't {action} {path}: {source}")]
    System { action: &'static str, path: String, source: Errno },
    #[error("{what} is not the JSON that an OCI runtime writes: {source}")]
    Json { what: String, source: serde_json::Error },
    #[error(
        "`divvy prepare` answers what can't be read: {0}; install all of divvy's programs of one version"
    )]
    Answer(serde_json::Error),
    #[error("the edited configuration can't be written as JSON: {0}")]
    Encode(serde_json::Error),
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
    #[error("can't {action} {path}: a directory is there; the image must not have one")]
    IsFolder { action: &'static str, path: String },
    #[error("can't make {path} in the container: the symbolic link there leads nowhere")]
    DanglingLink { path: String },
    #[error("can't mount on {path} in the container: it is {}; the image must have none or the other", if *.folder { "a file, and the host's a directory" } else { "a directory, and the host's a file" })]
    MountKind { path: String, folder: bool },
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
    #[error(transparent)]
    Config(#[from] divvy::document::FileError),
    #[error(transparent)]
    Parse(#[from] divvy::oci::ParseError),
    #[error(transparent)]
    Find(#[from] divvy::oci::FindError),
    #[error(transparent)]
    CreateRuntime(#[from] divvy::hook_args::CreateRuntimeError),
    #[error(transparent)]
    Start(#[from] crate::create_runtime::StartError),
    #[error(transparent)]
    Store(#[from] divvy::claim::store::StoreError),
    #[error(transparent)]
    KeptRefusal(#[from] divvy::refused::RefusedError),
    #[error("what was granted can't be put into the container's configuration: {0}")]
    Apply(#[from] cdi::ApplyError),
    /// A refusal, in the words of `divvy prepare`.
    #[error("{0}")]
    Refused(String),
    #[error("`divvy {what}`: {said}")]
    Divvy { what: &'static str, said: String },
    #[error("can't run {program}: {source}; install divvy beside its hook, or as /usr/bin/divvy")]
    Run { program: String, source: std::io::Error },
    #[error("{program} did not end within {seconds} seconds, and was ended; see `divvy doctor`")]
    Late { program: String, seconds: u64 },
    #[error(
        "{cause}; and what was made for the container could not be taken back ({undo}): `divvy reconcile` does that later"
    )]
    Undo { cause: Box<Error>, undo: Box<Error> },
    #[error("{cause}; and that could not be kept for `divvy claims --refused`: {unkept}")]
    Unkept { cause: Box<Error>, unkept: divvy::refused::RefusedError },
    #[error("the kernel gives no random number: {0}")]
    Random(std::io::Error),
    #[error("can't run the OCI runtime {}: {source}", path.display())]
    Exec { path: std::path::PathBuf, source: std::io::Error },
    #[error("there is no OCI runtime {}: install runc or crun, or name one with runtime: in /etc/divvy/config.yaml", places(.0))]
    NoRuntime(divvy::config::Runtime),
}

/// Where a runtime was looked for.
fn places(runtime: &divvy::config::Runtime) -> String {
    use divvy::config::Runtime;
    let folders = Runtime::FOLDERS.join(", ");
    match runtime {
        Runtime::Any => format!("runc or crun in {folders}"),
        Runtime::Named(name) => format!("{name} in {folders}"),
        Runtime::At(path) => path.display().to_string(),
    }
}

impl Error {
    /// The error as one line: runtimes and logs take no more of it.
    pub(crate) fn line(&self) -> String {
        let text = self.to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.trim_matches('^').is_empty());
        lines.collect::<Vec<_>>().join("; ")
    }

    /// Makes the error of a system call that was to do `action` with `path`.
    pub(crate) fn system(action: &'static str, path: &str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::System { action, path: path.to_owned(), source }
    }

    /// Whether it says that the place is not the hook's to change: its file system is read-only, or
    /// somebody has mounted something just there.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self, Self::System { source: Errno::ROFS | Errno::BUSY, .. })
    }
}

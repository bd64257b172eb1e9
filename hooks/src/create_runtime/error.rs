//! Why a container must not start.

use std::path::PathBuf;

use divvy::ops::bind::BindError;
use rustix::io::Errno;

use crate::device_cgroup::CgroupError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(
        "divvy is run by a user without rights over the host's GPUs (rootless): let root make the claim with `divvy prepare`, and name the CDI device that it answers"
    )]
    Rootless,
    #[error("the container's state names no process, but {0:?}; its status is {1:?}")]
    NoProcess(i64, String),
    #[error("the container's process {pid} can't be looked at: {source}")]
    Process { pid: u32, source: Errno },
    #[error(
        "process {0} is not this container's: it was not started by the OCI runtime that started this hook"
    )]
    Stranger(u32),
    #[error("process {0} has no mount namespace of its own: it is not a container's")]
    NoNamespace(u32),
    #[error(
        "the user namespace of the container's process {0} has no root user, who could own what is mounted"
    )]
    NoRootId(u32),
    #[error("can't {action} the container's mount namespace: {source}")]
    Namespace { action: &'static str, source: Errno },
    #[error("the bundle {0} has no config.json")]
    NoConfig(String),
    #[error("the container's config.json names no root.path")]
    NoRoot,
    #[error(
        "the container's config.json has no hook of divvy's own that asks for GPUs, and this one was run: write the CDI spec anew with `divvy cdi refresh`"
    )]
    NoRequest,
    #[error(
        "claim {0} was made for this container, but no GPU is in its config.json: an annotation divvy.claim does not bring one; leave it out"
    )]
    NotServed(String),
    #[error(
        "the variable {0} can't be set in a container that is already created: let divvy edit its configuration instead, with `divvy runtime configure` for your engine"
    )]
    Environment(String),
    #[error(
        "{0} can't be put into a container that is already created: let divvy edit its configuration instead, with `divvy runtime configure` for your engine"
    )]
    Unsupported(String),
    #[error(
        "the container's config.json has no hook of divvy's own for the static work, which a CDI device of a request brings along: write the CDI spec anew with `divvy cdi refresh`"
    )]
    NoStaticWork,
    #[error("can't use {} of the host, which the container is to get: {source}", path.display())]
    Host { path: PathBuf, source: Errno },
    #[error("{} of the host is no device node", .0.display())]
    NotANode(PathBuf),
    #[error(
        "the container's {0} is the host's own, mounted into it: no device node is made there; leave that mount out"
    )]
    HostDev(String),
    #[error("{0} in the container is not the device that it was made as: it was changed meanwhile")]
    Changed(String),
    #[error("{0} in the container is on a mount with the option nodev, where no device works")]
    NoDev(String),
    #[error(
        "the container's device cgroup still doesn't allow {path} ({source}): let divvy edit the container's configuration instead, with `divvy runtime configure` for your engine"
    )]
    Denied { path: String, source: Errno },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("can't tell which boot or process this is: {0}")]
    Machine(std::io::Error),
}

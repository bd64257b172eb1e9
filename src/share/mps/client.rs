//! What a client needs to reach its daemon.

use super::MpsError;
use super::folder::Folder;
use crate::host::Host;
use crate::request::MpsLimits;
use std::path::{Path, PathBuf};

/// Where a container finds its daemon's client folder: CUDA's own default, so that a process finds it, too,
/// that an engine starts in the container without the variables of CDI (`podman exec`). Without a daemon to
/// find, CUDA would give that one the whole GPU.
pub const CONTAINER_FOLDER: &str = "/tmp/nvidia-mps";

/// The folder to mount, read-only, at [`CONTAINER_FOLDER`]; a client outside containers uses it in place.
/// The daemon's own pipe directory is not for clients: in it, root can set limits and quit the daemon.
///
/// # Errors
/// The path isn't one that divvy made.
pub fn client_folder(host: &Host, daemon: &Path) -> Result<PathBuf, MpsError> {
    Folder::known(host, daemon).map(|folder| folder.client())
}

/// A client's variables: where its daemon is (`folder` as the client sees it), and its limits on each of
/// the `devices` that it has. A client can set lower limits than its daemon's, never higher ones.
pub fn client_environment(folder: &Path, limits: &MpsLimits, devices: usize) -> Vec<String> {
    let mut environment = vec![format!("CUDA_MPS_PIPE_DIRECTORY={}", folder.display())];
    if let Some(threads) = limits.threads {
        environment.push(format!("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE={threads}"));
    }
    if let Some(memory) = limits.memory {
        // By index: an entry that names a GPU which isn't there makes CUDA drop all of them.
        let entries: Vec<String> =
            (0..devices).map(|index| format!("{index}={}M", memory.mib())).collect();
        environment.push(format!("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT={}", entries.join(",")));
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Memory, Percent};

    #[test]
    fn a_client_gets_its_limits_on_each_device() {
        let limits = MpsLimits { threads: Percent::new(25), memory: Memory::from_mib(10240) };
        assert_eq!(
            client_environment(Path::new(CONTAINER_FOLDER), &limits, 2),
            [
                "CUDA_MPS_PIPE_DIRECTORY=/tmp/nvidia-mps",
                "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25",
                "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=10240M,1=10240M",
            ]
        );
        let none = client_environment(Path::new("/x"), &MpsLimits::default(), 1);
        assert_eq!(none, ["CUDA_MPS_PIPE_DIRECTORY=/x"]);
    }
}

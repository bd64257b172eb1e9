//! Clients leave their server before somebody kills them.
//!
//! A process that is killed while one of its kernels runs takes all clients of its server with it: they get
//! CUDA_ERROR_ILLEGAL_ADDRESS (580 on an H200, tried). Where the control daemon ends a client first, nobody
//! else notices.

use super::control::{self, Answer, Control};
use super::folder::Folder;
use super::{MpsError, Settings, program};
use crate::host::Host;
use std::path::Path;
use std::time::Instant;

/// Ends those clients of a daemon that are `meant`, by pid, where a server has others, too. Their next call of CUDA
/// fails. Answers who they were. All of it takes no longer than one command may.
///
/// # Errors
/// The daemon's programs or its folder can't be used, or it doesn't answer. One that has ended has no clients.
pub fn disconnect(
    host: &Host,
    settings: &Settings,
    folder: &Path,
    meant: impl Fn(u32) -> bool,
) -> Result<Vec<u32>, MpsError> {
    let folder = Folder::known(host, folder)?;
    let program = program(host)?;
    let deadline = Instant::now() + settings.command_timeout;
    let ask = |command: &str| {
        let timeout = deadline.saturating_duration_since(Instant::now());
        let control = Control { program: program.clone(), folder: &folder, timeout };
        match control.ask(command)? {
            Answer::Text(text) => Ok(text),
            Answer::NotRunning => Ok(String::new()),
            Answer::Hung => Err(MpsError::Hung {
                folder: folder.path().to_owned(),
                seconds: settings.command_timeout.as_secs(),
            }),
        }
    };
    let mut ended = Vec::new();
    for server in control::pids(&ask("get_server_list")?) {
        let clients = control::pids(&ask(&format!("get_client_list {server}"))?);
        let (leave, stay): (Vec<u32>, Vec<u32>) =
            clients.into_iter().partition(|client| meant(*client));
        for client in leave.into_iter().filter(|_| !stay.is_empty()) {
            ask(&format!("terminate_client {server} {client}"))?;
            ended.push(client);
        }
    }
    Ok(ended)
}

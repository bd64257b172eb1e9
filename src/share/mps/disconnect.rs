//! Clients leave their server before somebody kills them.
//!
//! A process that is killed while a kernel of its runs takes all clients of its server with it: they get
//! CUDA_ERROR_ILLEGAL_ADDRESS (580 on an H200, tried). Where the control daemon ends a client first, nobody
//! else notices.

use super::control::{self, Answer, Control};
use super::folder::Folder;
use super::{MpsError, Settings, program};
use crate::host::Host;
use std::path::Path;

/// Ends those clients of a daemon that are `meant`, by pid. Answers who they were. Their next call of CUDA fails.
///
/// # Errors
/// The daemon's programs or its folder can't be used. A daemon that has ended has no clients.
pub fn disconnect(
    host: &Host,
    settings: &Settings,
    folder: &Path,
    meant: impl Fn(u32) -> bool,
) -> Result<Vec<u32>, MpsError> {
    let folder = Folder::known(host, folder)?;
    let control =
        Control { program: program(host)?, folder: &folder, timeout: settings.command_timeout };
    let listed = |command: &str| {
        Ok::<_, MpsError>(match control.ask(command)? {
            Answer::Text(text) => control::pids(&text),
            Answer::NotRunning | Answer::Hung => Vec::new(),
        })
    };
    let mut ended = Vec::new();
    for server in listed("get_server_list")? {
        let clients = listed(&format!("get_client_list {server}"))?;
        for client in clients.into_iter().filter(|client| meant(*client)) {
            control.ask(&format!("terminate_client {server} {client}"))?;
            ended.push(client);
        }
    }
    Ok(ended)
}

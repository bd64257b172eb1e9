//! What a control daemon is doing, and for whom.

use super::control::{self, Answer, Control};
use super::folder::Folder;
use super::processes::Role;
use super::{MpsError, Settings, living, program};
use crate::host::Host;
use std::path::Path;

/// A control daemon at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether it serves.
    pub condition: Condition,
    /// The pids of its servers, which live on where a daemon is killed.
    pub servers: Vec<u32>,
}

/// Whether a control daemon serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It answers.
    Serving {
        /// The pids of its clients.
        clients: Vec<u32>,
    },
    /// It doesn't answer, or has ended and left its server behind.
    Silent,
    /// Neither it nor a server of it is there.
    Ended,
}

/// Who uses a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// The pids of its clients; none where it has ended.
    Known(Vec<u32>),
    /// It doesn't answer, or has ended and left its server behind.
    Unknown,
}

/// What a daemon is doing.
///
/// # Errors
/// Its programs or its folder can't be used.
pub fn state(host: &Host, settings: &Settings, folder: &Path) -> Result<State, MpsError> {
    let folder = Folder::known(host, folder)?;
    let living = living(host, &folder)?;
    let servers = living.iter().filter(|member| member.role == Role::Server);
    let servers: Vec<u32> = servers.map(|member| member.process.pid).collect();
    let condition = if living.is_empty() {
        Condition::Ended
    } else if living.iter().any(|member| member.role == Role::Daemon) {
        let timeout = settings.command_timeout;
        asked(&Control { program: program(host)?, folder: &folder, timeout })?
    } else {
        Condition::Silent
    };
    Ok(State { condition, servers })
}

fn asked(control: &Control<'_>) -> Result<Condition, MpsError> {
    let Answer::Text(servers) = control.ask("get_server_list")? else {
        return Ok(Condition::Silent);
    };
    let mut clients = Vec::new();
    for server in control::pids(&servers) {
        match control.ask(&format!("get_client_list {server}"))? {
            Answer::Text(list) => clients.extend(control::pids(&list)),
            Answer::NotRunning | Answer::Hung => return Ok(Condition::Silent),
        }
    }
    Ok(Condition::Serving { clients })
}

/// The clients of a daemon.
///
/// # Errors
/// As for [`state`].
pub fn clients(host: &Host, settings: &Settings, folder: &Path) -> Result<Clients, MpsError> {
    Ok(match state(host, settings, folder)?.condition {
        Condition::Serving { clients } => Clients::Known(clients),
        Condition::Silent => Clients::Unknown,
        Condition::Ended => Clients::Known(Vec::new()),
    })
}

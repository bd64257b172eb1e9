//! What commands that change the node stand on: the driver, the records, the configuration.

use super::answer::{Exit, Failure};
use super::progress;
use crate::claim::store::{Store, StoreError};
use crate::claim::{Claim, Device};
use crate::compat::dra;
use crate::config::{Asker, Config};
use crate::document::{self, FileError};
use crate::host::Host;
use crate::inventory::{self, Inventory, Nvml, Scope};
use crate::nvml::Session;
use crate::request::{ListError, Request, RequestError, Requests};
use crate::share::{Node, Settings};
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The driver and the records.
pub(super) struct Machine<'a> {
    host: &'a Host,
    nvml: Nvml,
    settings: Settings,
    pub(super) store: Store,
}

impl<'a> Machine<'a> {
    /// For commands that change them.
    pub(super) fn open(host: &'a Host) -> Result<Machine<'a>, Failure> {
        Machine::with(host, Store::open)
    }

    /// For commands that only look: nothing is made.
    pub(super) fn look(host: &'a Host) -> Result<Machine<'a>, Failure> {
        Machine::with(host, Store::look)
    }

    fn with(
        host: &'a Host,
        store: impl FnOnce(&Host) -> Result<Store, StoreError>,
    ) -> Result<Machine<'a>, Failure> {
        let settings =
            Settings { watch: progress::watch(), ..Settings::new(std::env::current_exe()?) };
        Ok(Machine {
            host,
            nvml: Nvml::of(host),
            settings,
            store: store(host)?.watched(progress::waits()),
        })
    }

    pub(super) fn node(&self) -> Node<'_> {
        Node { host: self.host, nvml: &self.nvml, settings: &self.settings }
    }

    pub(super) fn config(&self) -> Result<Config, Failure> {
        Ok(Config::load(&self.host.config)?)
    }
}

/// Records, and the node that they are about.
pub(super) struct Together {
    pub(super) inventory: Inventory,
    pub(super) claims: Vec<Claim>,
    pub(super) devices: Vec<Device>,
}

/// How often the node is looked at whose claims change meanwhile.
const LOOKS: u32 = 3;

/// Reads both as they are at one moment, without a lock: a device that is made between the two looks would seem lost.
pub(super) fn together(nvml: &Session, store: &Store) -> Result<Together, Failure> {
    let mut before = store.devices()?;
    let mut looks = 1;
    loop {
        let inventory = inventory::read(nvml, Scope::Full)?;
        let claims = store.claims()?;
        let devices = store.devices()?;
        if devices == before || looks == LOOKS {
            return Ok(Together { inventory, claims, devices });
        }
        before = devices;
        looks += 1;
    }
}

/// How long to wait for other divvy processes.
#[derive(Debug, Args)]
pub(super) struct WaitArgs {
    /// How long other divvy processes may keep this one waiting, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        env = "DIVVY_WAIT",
        default_value_t = 30,
        hide_env_values = true
    )]
    wait: u64,
}

impl WaitArgs {
    pub(super) fn patience(&self) -> Duration {
        // Longer than anyone waits, and no overflow of the clock.
        Duration::from_secs(self.wait.min(24 * 60 * 60))
    }
}

/// Requests, as words or in a file.
#[derive(Debug, Args)]
pub(super) struct RequestArgs {
    /// What is wanted: exclusive, time-slicing, mps:threads=25, mig:1g.10gb, mig:3g.40gb/mps, 2x mig:1g.10gb @0 …
    #[arg(value_name = "REQUEST", required_unless_present = "file")]
    requests: Vec<String>,
    /// Read the requests from a list in JSON or YAML, or from a manifest: ResourceClaim, ResourceClaimTemplate, GpuConfig
    #[arg(long, short, value_name = "FILE", conflicts_with = "requests")]
    file: Option<PathBuf>,
    /// Which of several claims in the file, by its metadata.name
    #[arg(long, value_name = "NAME", requires = "file")]
    manifest: Option<String>,
}

impl RequestArgs {
    /// The requests; a word that is a share's name stands for what the configuration says.
    pub(super) fn requests(&self, config: &Config) -> Result<Requests, Failure> {
        let Some(file) = &self.file else {
            let usage = |error: ListError| Failure::new(Exit::Usage, error);
            let one = |text: String| one(&text, config).map_err(|error| usage(error.into()));
            let requests: Result<Vec<Request>, Failure> =
                joined(&self.requests).into_iter().map(one).collect();
            return Requests::new(requests?).map_err(usage);
        };
        let text = document::read(file)?;
        if dra::is_one(&text) {
            let read = dra::read(&text, file, self.manifest.as_deref());
            return read.map_err(|error| Failure::new(Exit::Usage, error));
        }
        Requests::from_document(&text).map_err(|error| {
            let said = match error {
                ListError::Document(wrong) => FileError::wrong(file, wrong).to_string(),
                error => format!("{}: {error}", file.display()),
            };
            Failure::new(Exit::Usage, said)
        })
    }
}

/// One request, in its own words or by the name of its CDI device.
fn one(text: &str, config: &Config) -> Result<Request, RequestError> {
    let (name, device) = match text.strip_prefix("divvy/gpu=") {
        Some(name) => (name, true),
        None => (text, false),
    };
    match config.shares.get_key_value(name) {
        Some((name, share)) => Ok(share.named(name)),
        None if device => Request::from_cdi_name(name),
        None => text.parse().or_else(|error| Request::from_cdi_name(text).map_err(|_| error)),
    }
}

/// Words of one request that a shell has parted: `mps @0` and `2x mig:1g.10gb` without quotes.
fn joined(words: &[String]) -> Vec<String> {
    let mut requests: Vec<String> = Vec::new();
    let mut count_alone = false;
    for word in words {
        match requests.last_mut() {
            Some(last)
                if count_alone
                    || word.starts_with('@')
                    || last.ends_with(" as")
                    || word == "as" =>
            {
                last.push(' ');
                last.push_str(word);
            }
            _ => requests.push(word.clone()),
        }
        count_alone = word.strip_suffix('x').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
    }
    requests
}

/// Who called the command, for the user `uid`. sudo says whose behalf it acts on, and overwrites what the
/// caller put in its place.
pub(super) fn caller(uid: u32) -> Asker {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    let own = rustix::process::getuid().as_raw();
    match (own, number("SUDO_UID")) {
        (0, Some(sudo)) if sudo != 0 => {
            Asker::User { uid: sudo, gids: number("SUDO_GID").into_iter().collect() }
        }
        (0, _) if uid != 0 => Asker::User { uid, gids: BTreeSet::new() },
        (0, _) => Asker::Root,
        _ => {
            let groups = rustix::process::getgroups().unwrap_or_default();
            let groups = groups.into_iter().chain([rustix::process::getgid()]);
            Asker::User { uid: own, gids: groups.map(rustix::process::Gid::as_raw).collect() }
        }
    }
}

/// Whether waiting longer would have helped.
pub(super) fn store_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::Busy { .. } => Exit::Busy,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_request_may_be_several_words() {
        let words = |text: &str| joined(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(words("mps @0 exclusive @1"), ["mps @0", "exclusive @1"]);
        assert_eq!(words("2x mig:1g.10gb @0 mps"), ["2x mig:1g.10gb @0", "mps"]);
        assert_eq!(words("@0"), ["@0"]);
        assert_eq!(words("mps @0 as x=0::1 mps"), ["mps @0 as x=0::1", "mps"]);
    }
}

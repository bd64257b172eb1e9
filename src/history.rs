//! How preparations and releases went, counted: what metrics know of the past, since nothing stays resident.
//!
//! One small file below the state directory, changed under a lock by whoever prepares or releases. It only ever grows
//! in numbers, never in size, and is gone with the boot. Counting is worth no failure and no wait: who can't write it
//! leaves it, and the count is one short.

use crate::host::Host;
use crate::request::SharingMode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The longest that counting may hold up what it counts.
const PATIENCE: Duration = Duration::from_millis(250);
/// More reasons than there are.
const MOST_REASONS: usize = 64;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A claim was made.
    Prepared {
        /// How it shares.
        mode: SharingMode,
        /// How long it took, waiting for others included.
        took: Duration,
    },
    /// A claim was taken back.
    Released {
        /// How it shared.
        mode: SharingMode,
        /// How long the last, successful try took.
        took: Duration,
    },
    /// A claim was refused.
    Refused {
        /// The reason, in a word.
        reason: String,
    },
    /// A claim could not be made.
    Failed,
}

/// The counts since boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Refusals by reason.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
    /// Claims that could not be made.
    #[serde(default)]
    pub failures: u64,
    /// How long preparations took, by sharing mode.
    #[serde(default)]
    pub prepares: BTreeMap<String, Durations>,
    /// How long releases took, by sharing mode.
    #[serde(default)]
    pub releases: BTreeMap<String, Durations>,
}

/// Durations, by the bounds that they stayed below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// How many were no longer than each of [`Durations::BOUNDS`] and longer than the one before; then the rest.
    counts: Vec<u64>,
    /// All of them together, in microseconds.
    sum_us: u64,
}

impl Durations {
    /// The bounds, in seconds: an exclusive claim takes hundredths, an MPS control daemon tenths, a MIG device seconds.
    pub const BOUNDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

    /// For each bound how many were no longer, then how many there are.
    pub fn cumulative(&self) -> Vec<u64> {
        let counts = (0..=Durations::BOUNDS.len()).map(|at| self.counts.get(at).copied());
        let sum = |sum: &mut u64, count: Option<u64>| {
            *sum += count.unwrap_or(0);
            Some(*sum)
        };
        counts.scan(0, sum).collect()
    }

    /// All of them together, in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.sum_us).as_secs_f64()
    }

    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bounds = Durations::BOUNDS;
        let at = bounds.iter().position(|bound| seconds <= *bound).unwrap_or(bounds.len());
        self.counts.resize(bounds.len() + 1, 0);
        self.counts[at] += 1;
        self.sum_us += u64::try_from(took.as_micros()).unwrap_or(0);
    }
}

impl History {
    /// What was counted since boot. Where nothing was, or the file makes no sense, nothing.
    #[must_use]
    pub fn read(host: &Host) -> History {
        let text = fs::read(file(host)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn count(&mut self, event: Event) {
        match event {
            Event::Prepared { mode, took } => {
                self.prepares.entry(mode.word().to_owned()).or_default().add(took);
            }
            Event::Released { mode, took } => {
                self.releases.entry(mode.word().to_owned()).or_default().add(took);
            }
            Event::Refused { reason } => {
                if self.refusals.contains_key(&reason) || self.refusals.len() < MOST_REASONS {
                    *self.refusals.entry(reason).or_default() += 1;
                }
            }
            Event::Failed => self.failures += 1,
        }
    }
}

/// Counts one event.
pub fn count(host: &Host, event: Event) {
    let Some(_lock) = lock(host) else { return };
    let mut history = History::read(host);
    history.count(event);
    if let Ok(text) = serde_json::to_vec(&history) {
        let _ = replace(host, &text);
    }
}

/// For readers whole or not at all. Not brought to the disk: counts end with the boot, and a container waits for this.
fn replace(host: &Host, text: &[u8]) -> io::Result<()> {
    // The name is ours alone while the lock is held.
    let new = host.state_dir.join(".history.json");
    fs::write(&new, text)?;
    fs::set_permissions(&new, Permissions::from_mode(0o644))?;
    fs::rename(new, file(host))
}

fn file(host: &Host) -> PathBuf {
    host.state_dir.join("history.json")
}

fn lock(host: &Host) -> Option<File> {
    let path = host.state_dir.join("history.lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).ok()?;
    let deadline = Instant::now() + PATIENCE;
    while file.try_lock().is_err() {
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, Host) {
        // On tmpfs, as the state directory is: bringing a file to a busy disk can take longer than the patience.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let host = Host { state_dir: dir.path().to_owned(), ..Host::default() };
        (dir, host)
    }

    fn prepared(millis: u64) -> Event {
        Event::Prepared { mode: SharingMode::Mig, took: Duration::from_millis(millis) }
    }

    #[test]
    fn durations_fall_into_buckets() {
        let (_dir, host) = host();
        for millis in [5, 10, 11, 2500, 60_000] {
            count(&host, prepared(millis));
        }
        let durations = History::read(&host).prepares["mig"].clone();
        assert_eq!(durations.cumulative(), [2, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 5]);
        assert!((durations.sum() - 62.526).abs() < 1e-9);
        assert_eq!(Durations::default().cumulative(), [0; 12]);
    }

    #[test]
    fn processes_that_count_at_once_lose_nothing() {
        let (_dir, host) = host();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        count(&host, Event::Refused { reason: "no-placement".into() });
                    }
                });
            }
        });
        assert_eq!(History::read(&host).refusals["no-placement"], 20);
    }

    #[test]
    fn a_held_lock_costs_a_count_and_not_the_work() {
        let (_dir, host) = host();
        let held = lock(&host).unwrap();
        let start = Instant::now();
        count(&host, Event::Failed);
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(History::read(&host), History::default());
        drop(held);
        count(&host, Event::Failed);
        assert_eq!(History::read(&host).failures, 1);
    }

    #[test]
    fn a_file_without_sense_begins_anew_and_one_never_grows_without_end() {
        let (_dir, host) = host();
        fs::write(file(&host), "{\"refusals\": 7}").unwrap();
        for n in 0..MOST_REASONS + 3 {
            count(&host, Event::Refused { reason: format!("reason-{n}") });
        }
        assert_eq!(History::read(&host).refusals.len(), MOST_REASONS);
    }
}

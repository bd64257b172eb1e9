//! The time-slice interval, which nvidia-smi alone can set: NVML has no call for it.

use super::bounded::{self, Ended};
use super::{Node, ShareError, Undone, present, programs};
use crate::claim::Outcome;
use crate::request::Interval;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// The interval of a GPU; `None` where the driver's list has none. What can't be read isn't changed: it could not
/// be put back.
pub(super) fn get(node: &Node<'_>, gpu: &str) -> Result<Option<Interval>, ShareError> {
    let ended = compute_policy(node, gpu, "--list")?;
    if ended.status.success() { Ok(listed(&ended.text)) } else { Err(refused(gpu, &ended)) }
}

/// Sets the interval, and reads it back where the driver tells it.
pub(super) fn set(node: &Node<'_>, gpu: &str, interval: Interval) -> Result<Outcome, ShareError> {
    let ended = compute_policy(node, gpu, &format!("--set-timeslice={}", number(interval)))?;
    if !ended.status.success() || ended.text.to_lowercase().contains("not supported") {
        return Err(refused(gpu, &ended));
    }
    match get(node, gpu)? {
        Some(found) if found != interval => Err(ShareError::NotSet {
            device: gpu.to_owned(),
            what: "time slice",
            wanted: name(interval).to_owned(),
            found: name(found).to_owned(),
        }),
        _ => Ok(Outcome::Done),
    }
}

/// Puts the interval back, unless somebody has set another since. One that the driver didn't tell was
/// the driver's own.
pub(super) fn restore(
    node: &Node<'_>,
    gpu: &str,
    ours: Interval,
    before: Option<Interval>,
) -> Result<Undone, ShareError> {
    if present(node, gpu)?.is_none() {
        return Ok(Undone::Lost);
    }
    let before = before.unwrap_or(Interval::Default);
    let another_s = get(node, gpu)?.is_some_and(|now| now != ours);
    if before != ours && !another_s {
        set(node, gpu, before)?;
    }
    Ok(Undone::Gone)
}

fn refused(gpu: &str, ended: &Ended) -> ShareError {
    let said = ended.text.lines().last().unwrap_or("nothing").trim().to_owned();
    ShareError::NoTimeSlice { gpu: gpu.to_owned(), said }
}

fn compute_policy(node: &Node<'_>, gpu: &str, option: &str) -> Result<Ended, ShareError> {
    let program = programs::find(node.host, "nvidia-smi").ok_or_else(|| ShareError::NoProgram {
        program: "nvidia-smi",
        root: node.host.driver_root.clone(),
    })?;
    let mut command = Command::new(&program);
    command.env_clear().current_dir("/").args(["compute-policy", "-i", gpu, option]);
    // It opens NVML by name, and of another root finds the one that is loaded already.
    if let Some(nvml) = programs::libraries(node)?.iter().find(is_nvml) {
        command.env("LD_PRELOAD", nvml);
    }
    let ended = bounded::run(command, None, Instant::now() + node.settings.command_timeout);
    let ended = ended.map_err(|source| ShareError::io("run", &program, source))?;
    let late = || ShareError::io("wait for", &program, io::ErrorKind::TimedOut.into());
    ended.ok_or_else(late)
}

fn is_nvml(library: &&PathBuf) -> bool {
    let name = library.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b"libnvidia-ml.so")
}

/// Reads the table of `nvidia-smi compute-policy --list`: `|   0     Timeslice        Default   |`.
fn listed(text: &str) -> Option<Interval> {
    let line = text.lines().find(|line| line.contains("Timeslice"))?;
    let value = line.trim_matches(['|', ' ']).split_whitespace().last()?;
    Interval::ALL.into_iter().find(|interval| name(*interval).eq_ignore_ascii_case(value))
}

/// nvidia-smi's number for an interval.
fn number(interval: Interval) -> u8 {
    match interval {
        Interval::Default => 0,
        Interval::Short => 1,
        Interval::Medium => 2,
        Interval::Long => 3,
    }
}

fn name(interval: Interval) -> &'static str {
    match interval {
        Interval::Default => "default",
        Interval::Short => "short",
        Interval::Medium => "medium",
        Interval::Long => "long",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_read_from_the_table() {
        let table = |value: &str| {
            format!(
                "+-----+\n| GPU compute policies:  |\n| GPU     Name       Value |\n\
                 |=====|\n|   0     Timeslice        {value}   |\n+-----+"
            )
        };
        for interval in Interval::ALL {
            assert_eq!(listed(&table(name(interval))), Some(interval));
        }
        assert_eq!(listed(&table("Default")), Some(Interval::Default));
        assert_eq!(listed(&table("N/A")), None);
        assert_eq!(listed("No devices were found"), None);
    }
}

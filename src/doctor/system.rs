//! The machine around the engines: control groups, SELinux and AppArmor, user namespaces.

use super::Judged;
use super::finding::{Finding, Name};
use super::mend::{self, advice, run};
use crate::engines::{Engine, Found};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What is mounted at `/sys/fs/cgroup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupVersion {
    /// Nothing.
    None,
    /// The hierarchies of version 1.
    One,
    /// Those, and version 2 beside them.
    Hybrid,
    /// Version 2 alone.
    Two,
}

/// Control groups.
#[derive(Clone, Copy, Debug)]
pub struct Cgroups {
    /// Which.
    pub version: CgroupVersion,
    /// Whether systemd is the first process.
    pub systemd: bool,
}

impl Cgroups {
    /// Looks at those below `root`.
    pub fn look(root: &Path) -> Cgroups {
        let at = |path: &str| root.join("sys/fs/cgroup").join(path).exists();
        let version =
            match (at("cgroup.controllers"), at("devices"), at("unified/cgroup.controllers")) {
                (true, ..) => CgroupVersion::Two,
                (false, true, true) => CgroupVersion::Hybrid,
                (false, true, false) => CgroupVersion::One,
                (false, false, _) => CgroupVersion::None,
            };
        Cgroups { version, systemd: root.join("run/systemd/system").is_dir() }
    }
}

pub(super) fn judge_cgroups(seen: &Cgroups, engines: &[Found]) -> Judged {
    let driver = if seen.systemd { "systemd" } else { "no systemd" };
    let (says, mut findings) = match seen.version {
        CgroupVersion::Two => ("version 2", vec![]),
        CgroupVersion::One => ("version 1", vec![]),
        CgroupVersion::Hybrid => (
            "versions 1 and 2",
            vec![Finding::new(
                Name::CgroupHybrid,
                "control groups of both versions are mounted: engines use version 1",
                "/sys/fs/cgroup has devices and unified",
                advice("boot with systemd.unified_cgroup_hierarchy=1"),
            )],
        ),
        CgroupVersion::None => (
            "none",
            vec![Finding::new(
                Name::CgroupNone,
                "no control groups are mounted: containers can't be kept to their devices",
                "/sys/fs/cgroup has neither cgroup.controllers nor devices",
                run("mount -t cgroup2 none /sys/fs/cgroup"),
            )],
        ),
    };
    // Where divvy serves a container before it is created, nothing is opened later.
    let keeps = |engine: &&Found| engine.systemd_cgroups.unwrap_or(seen.systemd) && !engine.divvy;
    let kept = engines.iter().filter(|_| seen.version == CgroupVersion::Two).filter(keeps);
    findings.extend(kept.map(|engine| {
        Finding::new(
            Name::CgroupSystemd,
            format!("systemd keeps the devices of {}'s containers: what is opened to a running one is lost", engine.engine.word()),
            "cgroups are version 2 and the engine leaves them to systemd",
            run(format!("divvy runtime configure --runtime {}", engine.engine.word())),
        )
    }));
    Judged { says: format!("{says}, {driver}"), findings }
}

/// SELinux and AppArmor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Security {
    /// Whether SELinux enforces; `None` where it is off.
    pub selinux_enforces: Option<bool>,
    /// Its boolean `container_use_devices`, where the policy has it.
    pub use_devices: Option<bool>,
    /// Whether AppArmor is on.
    pub apparmor: bool,
    /// Whether AppArmor keeps programs without a profile of their own from user namespaces.
    pub apparmor_userns: bool,
}

impl Security {
    /// Looks below `root`.
    pub fn look(root: &Path) -> Security {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let starts = |path: &str, with: &str| text(path).map(|text| text.trim().starts_with(with));
        Security {
            selinux_enforces: starts("sys/fs/selinux/enforce", "1"),
            use_devices: starts("sys/fs/selinux/booleans/container_use_devices", "1"),
            apparmor: starts("sys/module/apparmor/parameters/enabled", "Y") == Some(true),
            apparmor_userns: starts("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1")
                == Some(true),
        }
    }
}

pub(super) fn judge_security(seen: &Security) -> Judged {
    let selinux = match seen.selinux_enforces {
        None => "no SELinux",
        Some(false) => "SELinux doesn't enforce",
        Some(true) => "SELinux enforces",
    };
    let apparmor = if seen.apparmor { "AppArmor" } else { "no AppArmor" };
    let mut findings = Vec::new();
    if seen.selinux_enforces == Some(true) && seen.use_devices != Some(true) {
        findings.push(Finding::new(
            Name::SelinuxDevices,
            "SELinux keeps containers away from the host's device nodes",
            "it enforces, and its boolean container_use_devices is off",
            run("setsebool -P container_use_devices on"),
        ));
    }
    if seen.apparmor_userns {
        findings.push(Finding::new(
            Name::ApparmorUserns,
            "AppArmor keeps programs without a profile from making user namespaces: rootless containers may not start",
            "kernel.apparmor_restrict_unprivileged_userns is 1",
            run("sysctl kernel.apparmor_restrict_unprivileged_userns=0")
                .but("until the next boot; or install the engine's AppArmor profile"),
        ));
    }
    Judged { says: format!("{selinux}, {apparmor}"), findings }
}

/// What users without root need for containers of their own.
#[derive(Clone, Debug, Default)]
pub struct Rootless {
    /// `user.max_user_namespaces`.
    pub namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, where the kernel has it.
    pub clone: Option<bool>,
    /// The users that have subordinate uids, and those that have gids; `None` where they come from elsewhere than
    /// files.
    pub users: Option<(BTreeSet<String>, BTreeSet<String>)>,
}

impl Rootless {
    /// Looks below `root`.
    pub fn look(root: &Path) -> Rootless {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let switch = text("etc/nsswitch.conf").unwrap_or_default();
        let sources = switch.lines().find_map(|line| line.trim().strip_prefix("subid:"));
        let in_files = sources.is_none_or(|sources| sources.trim() == "files");
        let users = |path: &str| users(&text(path).unwrap_or_default());
        Rootless {
            namespaces: text("proc/sys/user/max_user_namespaces")
                .and_then(|t| t.trim().parse().ok()),
            clone: text("proc/sys/kernel/unprivileged_userns_clone").map(|text| text.trim() == "1"),
            users: in_files.then(|| (users("etc/subuid"), users("etc/subgid"))),
        }
    }
}

/// Who has lines in `/etc/subuid` or `/etc/subgid`.
fn users(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| line.split(':').count() == 3);
    lines.filter_map(|line| Some(line.split(':').next()?.to_owned())).collect()
}

pub(super) fn judge_rootless(seen: &Rootless, engines: &[Found]) -> Judged {
    let mut findings = Vec::new();
    let off = |how: &str, mend: &str| {
        let what = "user namespaces are off: rootless containers can't start";
        Finding::new(Name::UsernsOff, what, how, run(mend).but("until the next boot"))
    };
    if seen.namespaces == Some(0) {
        findings
            .push(off("user.max_user_namespaces is 0", "sysctl user.max_user_namespaces=15000"));
    } else if seen.clone == Some(false) {
        let mend = "sysctl kernel.unprivileged_userns_clone=1";
        findings.push(off("kernel.unprivileged_userns_clone is 0", mend));
    }
    let Some((uids, gids)) = &seen.users else {
        return Judged { says: "subordinate ids aren't in files".to_owned(), findings };
    };
    if engines.iter().any(|engine| engine.engine == Engine::Podman) {
        findings.extend(subordinate(uids, gids));
    }
    let says = match uids.intersection(gids).count() {
        1 => "1 user with subordinate ids".to_owned(),
        n => format!("{n} users with subordinate ids"),
    };
    Judged { says, findings }
}

fn subordinate(uids: &BTreeSet<String>, gids: &BTreeSet<String>) -> Option<Finding> {
    const BOTH: &str = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, with another range for each user";
    let how = match (uids.is_empty(), gids.is_empty()) {
        (true, true) => "neither /etc/subuid nor /etc/subgid has a line",
        (true, false) => "/etc/subuid has no line",
        (false, true) => "/etc/subgid has no line",
        (false, false) => return half(uids, gids),
    };
    let what = "no user has subordinate ids: rootless podman runs with one uid alone";
    Some(Finding::new(Name::SubidNone, what, how, advice(BOTH)))
}

/// A user may stand in the files by number, and only the list of users tells whose it is.
fn half(uids: &BTreeSet<String>, gids: &BTreeSet<String>) -> Option<Finding> {
    let number = |user: &String| user.bytes().all(|byte| byte.is_ascii_digit());
    if uids.iter().chain(gids).any(number) {
        return None;
    }
    let first = uids.symmetric_difference(gids).next()?;
    let (there, missing, option) = match uids.contains(first) {
        true => ("uid", "gid", "--add-subgids"),
        false => ("gid", "uid", "--add-subuids"),
    };
    Some(Finding::new(
        Name::SubidHalf,
        format!(
            "{first} has subordinate {there}s and no {missing}s: rootless podman runs with one id alone"
        ),
        format!("/etc/sub{there} has a line for {first}, and /etc/sub{missing} has none"),
        advice(format!(
            "usermod {option} 100000-165535 {}, or another range that no other user has",
            mend::word(first)
        )),
    ))
}

//! The documents' commands, run: each `console` block of a page on the ground that the page names, and what they print,
//! compared. `<!-- node: ARGUMENTS OF fake-node create -->` is a simulated node; `<!-- package -->` a Debian machine with
//! a real podman, on which the package is installed (`e2e::documents`). In a page `…` stands for what differs from run
//! to run; alone in its line for any lines.
//!
//! With `UPDATE_PAGES=1` a page gets what was printed instead of failing.

use crate::common::node;
use regex_lite::Regex;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("docs")).unwrap().flatten();
    let mut pages: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// A command of a page and the lines that it prints.
#[derive(Debug)]
pub(crate) struct Shown {
    line: usize,
    pub(crate) command: String,
    prints: Vec<String>,
}

/// Where commands run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// A simulated node, made with these arguments.
    Node(Vec<String>),
    /// A machine to install the package on.
    Package,
}

/// The commands that run on one ground, in their order.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) ground: Ground,
    pub(crate) shown: Vec<Shown>,
}

fn ground(line: &str) -> Option<Ground> {
    let comment = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    if comment == "package" {
        return Some(Ground::Package);
    }
    let arguments = comment.strip_prefix("node: ")?;
    Some(Ground::Node(arguments.split_whitespace().map(str::to_owned).collect()))
}

pub(crate) fn sessions(page: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut inside = false;
    for (n, line) in page.lines().enumerate() {
        if let Some(ground) = ground(line) {
            sessions.push(Session { ground, shown: Vec::new() });
        } else if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            let session = sessions.last_mut();
            let session = session.unwrap_or_else(|| panic!("line {}: on which ground?", n + 1));
            match (line.strip_prefix("# "), session.shown.last_mut()) {
                (Some(command), _) => session.shown.push(Shown {
                    line: n + 1,
                    command: command.to_owned(),
                    prints: Vec::new(),
                }),
                (None, Some(shown)) => shown.prints.push(line.to_owned()),
                (None, None) => panic!("line {}: output of no command", n + 1),
            }
        }
    }
    sessions
}

/// Sees that commands of a page printed what it shows: gives those that did not, or writes the page anew.
pub(crate) fn compare<'s>(
    page: &Path,
    printed: impl Iterator<Item = (&'s Shown, Vec<String>)>,
) -> Vec<String> {
    let differs = |(shown, printed): &(&Shown, Vec<String>)| {
        let prints: Vec<String> =
            shown.prints.iter().map(|line| line.trim_end().to_owned()).collect();
        !matches(&prints, printed)
    };
    let wrong: Vec<(&Shown, Vec<String>)> = printed.filter(differs).collect();
    if std::env::var_os("UPDATE_PAGES").is_some() {
        update(page, &wrong);
        return Vec::new();
    }
    let tell = |(shown, printed): &(&Shown, Vec<String>)| {
        let Shown { line, command, .. } = shown;
        format!("{}:{line}: # {command}\n{}\n", page.display(), printed.join("\n"))
    };
    wrong.iter().map(tell).collect()
}

fn update(page: &Path, wrong: &[(&Shown, Vec<String>)]) {
    let text = fs::read_to_string(page).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // From below, so that the lines above stay where they were found.
    for (shown, printed) in wrong.iter().rev() {
        let old = shown.line..shown.line + shown.prints.len();
        lines.splice(old, printed.iter().map(|line| lasting(line)));
    }
    fs::write(page, lines.join("\n") + "\n").unwrap();
}

/// A line without what differs from run to run.
fn lasting(line: &str) -> String {
    let mut line = line.to_owned();
    for (varies, stays) in [
        (r"\b(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "$1-…"),
        (r"\b[0-9a-f]{12}([0-9a-f]{52})?\b", "…"),
        // A claim's id that was made up, whole or shortened in a picture.
        (r"\bc[0-9a-f]{16}\b", "c…"),
        (r"\bc[0-9a-f]{7}…", "c…"),
        (r"\d+ files and directories", "… files and directories"),
        (r"\b\d+(\.\d+)? (s|ms)\b", "… $2"),
        (r"\bpid \d+", "pid …"),
        (r"\bprocess \d+", "process …"),
    ] {
        line = Regex::new(varies).unwrap().replace_all(&line, stays).into_owned();
    }
    line
}

/// What each command prints, run in one shell one after the other on a node.
fn run(arguments: &[String], session: &Session) -> Vec<Vec<String>> {
    const MARK: &str = "@@@ next";
    let node = node::create(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let script: String =
        session.shown.iter().map(|shown| format!("{}\necho '{MARK}'\n", shown.command)).collect();
    let programs = Path::new(env!("CARGO_BIN_EXE_divvy")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .envs(node.env())
        .env("NODE", node.dir())
        .env("PATH", path)
        .env("COLUMNS", "120")
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut printed = vec![Vec::new()];
    for line in text.lines() {
        match line.strip_suffix(MARK) {
            Some(rest) => {
                let last = printed.last_mut().unwrap();
                last.extend((!rest.is_empty()).then(|| rest.to_owned()));
                printed.push(Vec::new());
            }
            None => printed.last_mut().unwrap().push(line.trim_end().to_owned()),
        }
    }
    printed
}

/// Whether a line is as shown, `…` standing for anything.
fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    let mut rest = rest;
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn matches(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=printed.len()).any(|n| matches(rest, &printed[n..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, after)| line_matches(first, line) && matches(rest, after)),
    }
}

#[test]
fn what_pages_show_is_what_commands_print() {
    let mut wrong = Vec::new();
    let mut commands = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        // With what was printed before on the same page the lines move.
        for session in sessions(&text).iter().rev() {
            let Ground::Node(arguments) = &session.ground else { continue };
            let printed = run(arguments, session);
            commands += session.shown.len();
            wrong.extend(compare(&page, session.shown.iter().zip(printed)));
        }
    }
    assert!(wrong.is_empty(), "these print something else than is shown:\n{}", wrong.join("\n"));
    assert!(commands > 10, "{commands} commands were found");
}

/// Commands that people would type and that no test runs say so, and why: `<!-- not run: REASON -->` before them.
#[test]
fn what_no_test_runs_is_marked() {
    let typed = Regex::new(
        r"^ {4}(sudo )?(divvy|podman|docker|nerdctl|ctr|crictl|systemctl|dpkg|rpm|apt) ",
    )
    .unwrap();
    let mut unmarked = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut above: &str = "";
        let mut before = "";
        for (n, line) in text.lines().enumerate() {
            let code = line.starts_with("    ");
            if code && !before.starts_with("    ") && !before.is_empty() {
                above = before;
            }
            if code && typed.is_match(line) && !above.starts_with("<!-- not run: ") {
                unmarked.push(format!("{}:{}:{line}", page.display(), n + 1));
            }
            if !code && !line.is_empty() {
                above = line;
            }
            before = line;
        }
    }
    assert!(unmarked.is_empty(), "these are not run, and don't say so:\n{}", unmarked.join("\n"));
}

#[test]
fn what_is_to_be_made_is_in_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for rest in text.lines().filter_map(|line| line.strip_prefix("    make ")) {
            let target = rest.split_whitespace().next().unwrap();
            seen += 1;
            assert!(makefile.contains(&format!("\n{target}: ##")), "{}: {target}", page.display());
        }
    }
    assert!(seen > 5, "{seen} were found");
}

/// A link to another page or file of this repository leads somewhere.
#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or(target);
            if !file.is_empty() && !file.contains("://") {
                assert!(page.parent().unwrap().join(file).exists(), "{}: {target}", page.display());
            }
        }
    }
}

#[test]
fn lines_match_with_gaps() {
    for (shown, printed, is) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…", "ab", true),
        ("MIG-…  memory: …e", "MIG-12  memory: hardware", true),
        ("MIG-…  memory: no", "MIG-12  memory: hardware", false),
        ("…b", "ab", true),
        ("x…b", "ab", false),
    ] {
        assert_eq!(line_matches(shown, printed), is, "{shown} {printed}");
    }
}

#[test]
fn what_differs_from_run_to_run_is_left_out() {
    for (printed, stays) in [
        ("mig  MIG-80db81d6-24c4-5335-8417-91c299bbf41c  x", "mig  MIG-…  x"),
        ("took 0.3 s", "took … s"),
        ("GPU 0  80 GiB", "GPU 0  80 GiB"),
        ("0123456789ab", "…"),
    ] {
        assert_eq!(lasting(printed), stays);
    }
}

//! The documents' commands, run: each `console` block of a page on the simulated node that the page names
//! (`<!-- node: ARGUMENTS OF fake-node create -->`), and what they print, compared. In a page `…` stands for what
//! differs from run to run; alone in its line for any lines.

use crate::common::node;
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
struct Shown {
    line: usize,
    command: String,
    prints: Vec<String>,
}

/// The commands that run on one node, in their order.
#[derive(Debug)]
struct Session {
    node: Vec<String>,
    shown: Vec<Shown>,
}

fn sessions(page: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut inside = false;
    for (n, line) in page.lines().enumerate() {
        if let Some(arguments) =
            line.strip_prefix("<!-- node: ").and_then(|rest| rest.strip_suffix(" -->"))
        {
            let node = arguments.split_whitespace().map(str::to_owned).collect();
            sessions.push(Session { node, shown: Vec::new() });
        } else if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            let session = sessions.last_mut();
            let session = session.unwrap_or_else(|| panic!("line {}: on which node?", n + 1));
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

/// What each command prints, run in one shell one after the other.
fn run(session: &Session) -> Vec<Vec<String>> {
    const MARK: &str = "@@@ next";
    let node = node::create(&session.node.iter().map(String::as_str).collect::<Vec<_>>());
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
        for session in sessions(&text) {
            let printed = run(&session);
            for (shown, printed) in session.shown.iter().zip(&printed) {
                commands += 1;
                let prints: Vec<String> =
                    shown.prints.iter().map(|line| line.trim_end().to_owned()).collect();
                if !matches(&prints, printed) {
                    let (line, command) = (shown.line, &shown.command);
                    let printed = printed.join("\n");
                    wrong.push(format!("{}:{line}: # {command}\n{printed}\n", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these print something else than is shown:\n{}", wrong.join("\n"));
    assert!(commands > 10, "{commands} commands were found");
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

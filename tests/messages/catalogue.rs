//! The list of all messages, and what is asked of each.

use super::sources::{self, Message, parts};
use super::unprovoked::UNPROVOKED;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Sources whose texts are no messages, each with what they are.
const SILENT: [(&str, &str); 8] = [
    ("src/cli/answer.rs", "meanings of exit codes, for the manual pages"),
    ("src/cli/man.rs", "headings of manual pages"),
    ("src/cli/progress.rs", "what is being done, at a terminal"),
    ("src/doctor/finding.rs", "meanings of findings, for docs/doctor.md"),
    ("src/metrics/", "meanings of metrics"),
    ("src/plan/matrix.rs", "cells of a table in the documentation"),
    ("src/plan/table.rs", "words of that table"),
    ("src/status/", "a picture"),
];

/// Texts that no user is told: what others say, which is read here, and what is written into files.
const NO_MESSAGES: [&str; 20] = [
    "expected string scalar",
    // A code's documentation.
    "vGPU and ECC.",
    "expected mapping start",
    "expected sequence start",
    "recursion limit exceeded",
    "unexpected end of file",
    "Cannot find MPS control daemon",
    "Cannot send command",
    "--description=MPS control daemon {name}, started by divvy",
    "time-slicing @0 as nvidia.com/gpu=0::3",
    "{HEADING}; `divvy runtime configure --runtime containerd --remove` takes it out.\n",
    "{HEADING}; `divvy runtime configure --runtime crio --remove` takes it out.\n{document}",
    "{HEADING}; `divvy runtime configure --runtime podman --remove` takes it out.\n{document}",
    "usage: divvy {LAUNCH} {OUTER}|{INNER} FOLDER PROGRAM",
    "time=\"{time}\" level=error msg={message}\n",
    "mig-1g.10gb, mps-25, time-slicing, exclusive, 0:mig-3g.40gb.mps-50",
    "CDI device of kind divvy/gpu named",
    "driver/nvidia/capabilities/gpu{gpu_minor}/mig",
    "/proc/driver/nvidia/capabilities/gpu{gpu_minor}/mig/gi{instance}",
    "vulkan/icd.d/nvidia_icd.{}.json",
];

/// Words for which another stands elsewhere, or which say nothing.
const UNWANTED: [&str; 9] = [
    "cannot",
    "could not be found",
    "error:",
    "failed to",
    "in order to",
    "please",
    "unable to",
    "utilize",
    "was not found",
];

/// Names that may begin a message.
const NAMES: [&str; 15] = [
    "AppArmor", "CDI", "CRI", "Docker", "ECC", "GPU", "GPUs", "JPEG", "MIG", "MPS", "NVIDIA",
    "NVML", "SELinux", "What", "To",
];

/// Programs whose command lines stand in messages.
const PROGRAMS: [&str; 7] = [
    "divvy cdi ",
    "divvy claims",
    "divvy doctor",
    "divvy prepare",
    "divvy reconcile",
    "divvy runtime ",
    "nvidia-smi -",
];

/// The messages, without what is none.
fn messages() -> Vec<Message> {
    let mut messages = sources::messages(Path::new(env!("CARGO_MANIFEST_DIR")));
    messages.retain(|message| {
        let silent = SILENT.iter().any(|(file, _)| message.file.starts_with(file));
        !silent && !is_none(&message.text)
    });
    messages
}

fn is_none(text: &str) -> bool {
    let lines = text.trim().contains('\n');
    // Help and comments in files have lines; a code's documentation is a sentence with its full stop.
    let documentation = text.ends_with('.') && text.starts_with(char::is_uppercase);
    lines || documentation || text.starts_with(['#', '^']) || NO_MESSAGES.contains(&text)
}

/// What the snapshots of the repository show, but for the list itself.
fn snapshots() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for folder in ["src", "tests", "hooks/src", "cdi"] {
        read(&root.join(folder), &mut text);
    }
    text
}

fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            read(&path, into);
        } else if name.ends_with(".snap") && !name.contains("the_list_of_messages") {
            let text = fs::read_to_string(&path).unwrap();
            into.push_str(&text);
            // As it was before a document took it in.
            into.push_str(&text.replace("\\\"", "\""));
        }
    }
}

/// Whether a line of `shown` says what the template does.
fn is_shown(template: &str, shown: &str) -> bool {
    let parts: Vec<String> = parts(template).iter().map(|part| part.replace('\n', "")).collect();
    let longest = parts.iter().max_by_key(|part| part.len()).unwrap();
    shown.match_indices(longest.as_str()).any(|(at, _)| {
        let begin = shown[..at].rfind('\n').map_or(0, |end| end + 1);
        let end = shown[at..].find('\n').map_or(shown.len(), |end| at + end);
        let mut rest = &shown[begin..end];
        parts.iter().all(|part| match rest.find(part.as_str()) {
            Some(found) => {
                rest = &rest[found + part.len()..];
                true
            }
            None => false,
        })
    })
}

fn reason(text: &str) -> Option<&'static str> {
    UNPROVOKED.iter().find(|(_, texts)| texts.contains(&text)).map(|(reason, _)| *reason)
}

#[test]
fn the_list_of_messages() {
    let shown = snapshots();
    let mut list = String::new();
    let mut file = "";
    let messages = messages();
    for message in &messages {
        if message.file != file {
            file = &message.file;
            writeln!(list, "\n{file}").unwrap();
        }
        let text = message.text.trim_end_matches('\n');
        match is_shown(&message.text, &shown) {
            true => writeln!(list, "  {text}").unwrap(),
            false => {
                let reason = reason(&message.text).unwrap_or("no reason is given");
                writeln!(list, "- {text}\n      not provoked: {reason}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(list);
}

#[test]
fn each_message_is_provoked_or_has_a_reason() {
    let shown = snapshots();
    let mut wrong: Vec<String> = Vec::new();
    for message in messages() {
        let place = format!("{}: {:?}", message.file, message.text);
        match (is_shown(&message.text, &shown), reason(&message.text)) {
            (false, None) => wrong.push(format!("{place} is in no snapshot")),
            (true, Some(_)) => wrong.push(format!("{place} is provoked: take its reason out")),
            _ => {}
        }
    }
    let known: BTreeSet<String> = messages().into_iter().map(|message| message.text).collect();
    let given = UNPROVOKED.iter().flat_map(|(_, texts)| texts.iter());
    let gone = given.filter(|text| !known.contains(**text));
    wrong.extend(gone.map(|text| format!("{text:?} has a reason and is no message")));
    assert!(
        wrong.is_empty(),
        "add a mistake to tests/messages/mistakes that provokes it, or say in unprovoked.rs why none can:\n{}",
        wrong.join("\n")
    );
}

/// What is wrong with a message's style.
fn fault(message: &Message) -> Option<String> {
    let text = message.text.trim_end_matches('\n');
    // A part of a sentence may begin behind the stop of the part before it.
    let own = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '{');
    let first = own.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    if first.starts_with(char::is_uppercase) && !NAMES.contains(&first) {
        return Some("it begins with a capital letter".into());
    }
    if text.ends_with('.') {
        return Some("it ends with a full stop".into());
    }
    if let Some(word) = UNWANTED.iter().find(|word| text.contains(**word)) {
        return Some(format!("it says {word:?}"));
    }
    // What doctor says to mend something with is a command line on a line of its own.
    if message.file.starts_with("src/doctor/") {
        return None;
    }
    let bare: String = text.split('`').step_by(2).collect();
    let command = PROGRAMS.iter().find(|program| bare.contains(**program));
    command.map(|command| format!("{command:?} stands without backticks"))
}

#[test]
fn messages_are_of_one_style() {
    let faults: Vec<String> = messages()
        .iter()
        .filter_map(|message| {
            Some(format!("{}: {:?}: {}", message.file, message.text, fault(message)?))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_style_is_seen() {
    let of =
        |text: &str| fault(&Message { file: "src/x.rs".into(), text: text.into(), error: true });
    for wrong in [
        "Can't read {path}",
        "can't read {path}.",
        "cannot read {path}",
        "failed to read {path}",
        "run divvy reconcile, and try again",
        "`divvy status` and nvidia-smi -L say more",
    ] {
        assert!(of(wrong).is_some(), "{wrong}");
    }
    for right in
        ["GPU {gpu} is lost", "{path}: it is no file", "run `nvidia-smi -L`, or `divvy doctor`"]
    {
        assert_eq!(of(right), None, "{right}");
    }
}

#[test]
fn a_template_is_known_again() {
    let shown = "divvy: GPU 3 can't be used: it is lost\nGPU 4\ncan't be used: no\n";
    assert!(is_shown("GPU {index} can't be used: {reason}", shown));
    assert!(!is_shown("GPU {index} can't be used: {reason}; try again", shown));
    // Its parts stand in one line, in their order.
    assert!(!is_shown("4 {index} used", shown));
    assert!(!is_shown("used {reason} GPU", shown));
}

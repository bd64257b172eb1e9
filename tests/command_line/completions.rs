//! Completions, asked for in the shells that they are for.

use super::{divvy, here, stdout};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A folder with the script under the name that the shell loads, and the program itself.
fn folder(shell: &str, name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = stdout(divvy().args(["completions", shell]).output().unwrap());
    fs::write(folder.path().join(name), script).unwrap();
    folder
}

fn asked(shell: &mut Command, folder: &Path) -> String {
    stdout(shell.current_dir(folder).env("HOME", folder).output().unwrap())
}

#[test]
fn bash_completes_commands_options_and_values() {
    let folder = folder("bash", "divvy.bash");
    let completed = |words: &str| {
        let count = words.split(' ').count();
        let script = format!(
            "set -e; . ./divvy.bash; COMP_WORDS=({words} ''); COMP_CWORD={count}; \
             [ '{words}' = 'divvy re' ] && {{ COMP_WORDS=(divvy re); COMP_CWORD=1; }} || true; \
             _divvy divvy \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[*]}}\""
        );
        let mut bash = Command::new("bash");
        asked(bash.args(["--norc", "--noprofile", "-c", &script]), folder.path())
    };
    assert_eq!(completed("divvy re").trim(), "release reconcile");
    assert!(completed("divvy").contains("prepare"), "{}", completed("divvy"));
    assert_eq!(completed("divvy claims --output").trim(), "table json yaml");
    assert!(completed("divvy cdi generate").contains("--device-name-strategy"));
}

#[test]
fn zsh_loads_the_completion_and_finds_its_command() {
    if !here("zsh") {
        return;
    }
    let folder = folder("zsh", "_divvy");
    let script = "fpath=($PWD $fpath); autoload -U compinit && compinit -u -D && \
                  autoload +X _divvy && print ${_comps[divvy]}";
    let said = asked(Command::new("zsh").args(["-f", "-c", script]), folder.path());
    assert_eq!(said, "_divvy\n");
}

#[test]
fn fish_completes_commands_options_and_values() {
    if !here("fish") {
        return;
    }
    let folder = folder("fish", "divvy.fish");
    let completed = |line: &str| {
        let script = format!("source divvy.fish; complete -C '{line}'");
        asked(Command::new("fish").args(["--no-config", "-c", &script]), folder.path())
    };
    let commands = completed("divvy re");
    assert!(commands.contains("release\t") && commands.contains("reconcile\t"), "{commands}");
    assert!(completed("divvy claims --output ").contains("json\t"));
    assert!(!completed("divvy ").contains("mps-"));
}

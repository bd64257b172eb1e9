//! What mends a finding: a command that can be pasted, or advice where no one command does.

use std::path::Path;

/// What mends a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mend {
    pub(super) command: Option<String>,
    pub(super) advice: Option<String>,
}

/// A command for a shell, as it stands.
pub(super) fn run(command: impl Into<String>) -> Mend {
    Mend { command: Some(command.into()), advice: None }
}

/// A sentence for people.
pub(super) fn advice(advice: impl Into<String>) -> Mend {
    Mend { command: None, advice: Some(advice.into()) }
}

impl Mend {
    /// With what is to be known beside the command.
    pub(super) fn but(self, advice: impl Into<String>) -> Mend {
        Mend { advice: Some(advice.into()), ..self }
    }
}

/// A path as one word of a shell.
pub(super) fn path(path: &Path) -> String {
    word(&path.to_string_lossy())
}

/// A text as one word of a shell, quoted where it needs to be.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_what_is_quoted_as_it_was() {
        let texts =
            ["/etc/cdi/a.json", "", "a b", "it's", "$(reboot)", "a;b", "~", "\\", "\"", "*", "é"];
        for text in texts {
            let script = format!("printf %s {}", word(text));
            let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), text, "{script}");
        }
        assert_eq!(word("/etc/cdi/a.json"), "/etc/cdi/a.json");
        assert_eq!(path(Path::new("/a b")), "'/a b'");
    }
}

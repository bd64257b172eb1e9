//! runc's command line, and crun's: read as far as it says which container is created from what.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where the runtime's own errors go.
    pub(crate) log: Option<String>,
    /// Whether they are JSON there.
    pub(crate) log_json: bool,
    /// The container to be created, by `create` and `run`.
    pub(crate) create: Option<Create>,
    /// The container that is to end at once, by `kill` with SIGKILL or by `delete --force`.
    pub(crate) kill: Option<Kill>,
}

/// A container to be ended without being asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    /// The container's id.
    pub(crate) container: String,
    /// Where the command is in the command line; before it are the runtime's own options.
    pub(crate) at: usize,
}

/// A container to be created.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Create {
    /// The bundle's folder.
    pub(crate) bundle: String,
    /// The configuration's name in it; crun can be told another than `config.json`.
    pub(crate) config: String,
    /// The container's id.
    pub(crate) container: String,
}

/// Options before the command that have a value behind them, of runc 1.0 to 1.4 and crun 1.0 to 1.25.
const GLOBAL: [&str; 6] = ["root", "log", "log-format", "criu", "rootless", "cgroup-manager"];
/// The same behind `create` and `run`.
const OF_CREATE: [&str; 9] = [
    "bundle",
    "b",
    "config",
    "f",
    "console-socket",
    "pidfd-socket",
    "pid-file",
    "preserve-fds",
    "log-level",
];
/// The same behind `kill` and `delete`.
const OF_KILL: [&str; 2] = ["regex", "r"];
/// The commands. A word before them that is none is the value of an option newer than this list.
const COMMANDS: [&str; 19] = [
    "checkpoint",
    "create",
    "delete",
    "events",
    "exec",
    "features",
    "help",
    "init",
    "kill",
    "list",
    "mounts",
    "pause",
    "ps",
    "restore",
    "resume",
    "run",
    "spec",
    "start",
    "state",
];

impl Line {
    /// Reads a command line, from the program's name on.
    pub(crate) fn read(args: &[OsString]) -> Line {
        let mut words = Words { args: args.iter().skip(1), valued: &GLOBAL };
        let mut line = Line::default();
        while let Some(word) = words.next() {
            match word {
                Word::Option { name, value } => match name.as_str() {
                    "log" => line.log = value,
                    "log-format" => line.log_json = value.as_deref() == Some("json"),
                    _ => {}
                },
                Word::Plain(word) if word == "create" || word == "run" => {
                    words.valued = &OF_CREATE;
                    line.create = Some(Create::read(words));
                    break;
                }
                Word::Plain(word) if word == "kill" || word == "delete" => {
                    let at = args.len() - words.args.len() - 1;
                    words.valued = &OF_KILL;
                    let container = killed(word == "delete", words);
                    line.kill = container.map(|container| Kill { container, at });
                    break;
                }
                Word::Plain(word) if COMMANDS.contains(&word.as_str()) => break,
                Word::Plain(_) => {}
            }
        }
        line
    }
}

/// The container that a `kill` or a `delete` ends without asking it. Other signals are the container's own affair.
fn killed(delete: bool, words: Words<'_>) -> Option<String> {
    let (mut force, mut plain) = (false, Vec::new());
    for word in words {
        match word {
            Word::Option { name, value } if name == "force" || name == "f" => {
                force = value.as_deref() != Some("false");
            }
            Word::Option { .. } => {}
            Word::Plain(word) => plain.push(word),
        }
    }
    let signal = plain.get(1).map(|signal| signal.to_ascii_uppercase());
    let at_once = match delete {
        true => force,
        false => matches!(signal.as_deref(), Some("9" | "KILL" | "SIGKILL")),
    };
    plain.into_iter().next().filter(|_| at_once)
}

impl Create {
    fn read(words: Words<'_>) -> Create {
        let mut create = Create {
            bundle: ".".to_owned(),
            config: "config.json".to_owned(),
            container: String::new(),
        };
        for word in words {
            match word {
                Word::Option { name, value: Some(value) } => match name.as_str() {
                    "bundle" | "b" => create.bundle = value,
                    "config" | "f" => create.config = value,
                    _ => {}
                },
                Word::Option { .. } => {}
                Word::Plain(word) => create.container = word,
            }
        }
        create
    }
}

enum Word {
    Option { name: String, value: Option<String> },
    Plain(String),
}

/// The words of a command line as Go's flag package and getopt read them: one dash or two, a value behind `=`
/// or in the next word.
struct Words<'a> {
    args: std::iter::Skip<std::slice::Iter<'a, OsString>>,
    /// Options whose value is the next word, where none is behind `=`.
    valued: &'static [&'static str],
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        // An id or path that is no UTF-8 is no engine's; the runtime sees it as it is.
        let text = |arg: &OsString| String::from_utf8_lossy(arg.as_bytes()).into_owned();
        let word = text(self.args.next()?);
        let option = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        let Some(option) = option.filter(|name| !name.is_empty()) else {
            return Some(Word::Plain(word));
        };
        Some(match option.split_once('=') {
            Some((name, value)) => {
                Word::Option { name: name.to_owned(), value: Some(value.to_owned()) }
            }
            None => {
                let value =
                    self.valued.contains(&option).then(|| self.args.next().map(text)).flatten();
                Word::Option { name: option.to_owned(), value }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Line {
        let args: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        Line::read(&args)
    }

    fn created(words: &str) -> Option<(String, String)> {
        read(words).create.map(|create| (create.bundle, create.container))
    }

    fn some(bundle: &str, container: &str) -> Option<(String, String)> {
        Some((bundle.to_owned(), container.to_owned()))
    }

    #[test]
    fn every_way_to_end_a_container_at_once_is_read() {
        for words in [
            "runc kill c1 9",
            "runc --root /r --log=/l kill --all c1 KILL",
            "crun kill -a c1 SIGKILL",
            "crun --cgroup-manager=cgroupfs kill c1 sigkill",
            "runc delete --force c1",
            "crun --root /run/kill delete -f c1",
        ] {
            let kill = read(words).kill.unwrap();
            assert_eq!(kill.container, "c1", "{words}");
            let command = words.split(' ').nth(kill.at).unwrap();
            assert!(["kill", "delete"].contains(&command), "{words}");
        }
        for words in [
            "runc kill c1",
            "runc kill c1 15",
            "runc kill c1 TERM",
            "runc delete c1",
            "runc state c1 9",
            "runc kill",
            "crun kill --regex c1 9",
            "runc delete --force=false c1",
        ] {
            assert_eq!(read(words).kill, None, "{words}");
        }
    }

    #[test]
    fn every_way_to_say_a_bundle_is_read() {
        for words in [
            "runc create --bundle /b c1",
            "runc create -b /b c1",
            "runc create --bundle=/b c1",
            "runc create -bundle /b --pid-file /p c1",
            "runc --root /run/create --log /l --log-format json create --bundle /b --pid-file create c1",
            "runc --debug --systemd-cgroup --root=/r run --no-pivot --detach -b /b c1",
            "crun --cgroup-manager=disabled --new-option value create --bundle /b c1",
            "crun --log-level run --root delete create --bundle /b c1",
        ] {
            let found = created(words);
            // An unknown option's value that is a command can't be told from one.
            if words.contains("--log-level run") {
                assert!(found.is_some(), "{words}");
            } else {
                assert_eq!(found, some("/b", "c1"), "{words}");
            }
        }
        assert_eq!(created("runc create c1"), some(".", "c1"));
        assert_eq!(created("runc run"), some(".", ""));
        let create = read("crun create -b /b -f other.json c1").create.unwrap();
        assert_eq!((create.config.as_str(), create.container.as_str()), ("other.json", "c1"));
    }

    #[test]
    fn nothing_else_is_a_creation() {
        for words in [
            "runc",
            "runc --version",
            "runc features",
            "runc state create",
            "runc --root create state c1",
            "runc delete --force run",
            "runc exec c1 run",
            "runc kill create 9",
            "runc --help",
            "runc -v",
            "- -- -=",
        ] {
            assert_eq!(created(words), None, "{words}");
        }
    }

    #[test]
    fn the_log_is_where_the_engine_reads() {
        let line = read("runc --log /l.json --log-format json create c1");
        assert_eq!((line.log.as_deref(), line.log_json), (Some("/l.json"), true));
        let line = read("crun --log=file:/l create c1");
        assert_eq!((line.log.as_deref(), line.log_json), (Some("file:/l"), false));
    }
}

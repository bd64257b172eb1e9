//! A machine of its own for one test: see the script `bed` beside this file.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::support::skip;

/// The cgroup layout that a bed shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cgroup {
    V1,
    V2,
    /// The machine's own: v1 where it has that, else v2.
    Own,
}

/// The Debian suite whose engines a bed has: podman 4.3; podman 5.4, containerd 1.7, Docker 26;
/// podman 5.8, containerd 2.1, Docker 28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suite {
    Bookworm,
    Trixie,
    Sid,
}

/// What a script run in a bed answered.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// The exit code.
    pub(super) code: i32,
    script: String,
}

impl Ran {
    /// The script's output, where it succeeded; the test fails where it did not.
    #[track_caller]
    pub(super) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self}");
        self.stdout
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran { stdout, stderr, code, script } = self;
        write!(f, "exit code {code} of:\n{script}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// A running bed. Dropping it ends all that runs in it.
#[derive(Debug)]
pub(super) struct Bed {
    child: Child,
    /// The numbers of the scripts to run; closing it ends the bed.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    share: TempDir,
    scripts: usize,
    suite: Suite,
    /// What each script begins with.
    prelude: String,
}

impl Bed {
    /// Starts a bed; `None`, said as a skip, where this machine can't have the cgroup layout.
    pub(super) fn start(cgroup: Cgroup, suite: Suite) -> Option<Bed> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
        let share = tempfile::tempdir().unwrap();
        let mut child = Command::new(scripts.join("bed"))
            .args([format!("{cgroup:?}").to_lowercase(), format!("{suite:?}").to_lowercase()])
            .arg("bash")
            .arg(scripts.join("serve.sh"))
            .env("BED_SHARE", share.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let (scripts, prelude) = (0, String::new());
        let mut bed = Bed { child, requests, answers, share, scripts, suite, prelude };
        match bed.try_run("true") {
            Ok(ran) => {
                ran.ok();
                Some(bed)
            }
            Err(Some(77)) => {
                skip(&format!("this machine has no cgroup {cgroup:?}"));
                None
            }
            Err(code) => panic!("the bed ended with {code:?}"),
        }
    }

    /// Runs a bash script in the bed and waits for it. What it starts in the background lives on.
    pub(super) fn run(&mut self, script: &str) -> Ran {
        self.try_run(script).unwrap_or_else(|code| panic!("the bed ended ({code:?}) in:\n{script}"))
    }

    /// Makes a simulated node (`fake-node create` with these options) and lets every later script know it.
    pub(super) fn node(&mut self, options: &str) {
        let variables = self.run(&format!("fake-node create /node {options}")).ok();
        // Specs go where engines read them: the bed's own /etc/cdi and /var/run/cdi.
        self.prelude.push_str(&format!("{variables}unset DIVVY_CDI_DIR\nmkdir -p /etc/cdi\n"));
    }

    /// Makes `containerd_up`, `docker_up` and `cri` known to every later script.
    pub(super) fn engines(&mut self) {
        self.prelude.push_str(". \"$DIVVY_REPOSITORY/tests/e2e/engines.sh\"\n");
    }

    /// Puts NVIDIA's MPS control daemon and server of this driver (535 or 550) on the path of later
    /// scripts, with a pipe and a log directory of the bed's own.
    pub(super) fn mps(&mut self, driver: &str) {
        let root = format!("$DIVVY_TEST_CACHE/nvidia-{driver}");
        self.prelude.push_str(&format!(
            "export PATH={root}/usr/bin:{root}/usr/sbin:$PATH
             export LD_LIBRARY_PATH=$(echo {root}/usr/lib/*/nvidia/current)
             export CUDA_MPS_PIPE_DIRECTORY=/tmp/mps CUDA_MPS_LOG_DIRECTORY=/tmp/mps-log\n"
        ));
    }

    /// Whose engines it has.
    pub(super) fn suite(&self) -> Suite {
        self.suite
    }

    /// A file in the folder that scripts see as `/bed`.
    pub(super) fn shared(&self, name: &str) -> PathBuf {
        self.share.path().join(name)
    }

    fn try_run(&mut self, script: &str) -> Result<Ran, Option<i32>> {
        self.scripts += 1;
        let number = self.scripts;
        let script = format!("{}\n{script}\n", self.prelude);
        fs::write(self.shared(&format!("{number}.sh")), &script).unwrap();
        // A bed that has ended shows in the answer.
        let _ = writeln!(self.requests.as_mut().unwrap(), "{number}");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        if answer.trim() != number.to_string() {
            return Err(self.child.wait().unwrap().code());
        }
        let read = |kind: &str| fs::read(self.shared(&format!("{number}.{kind}"))).unwrap();
        let text = |kind: &str| String::from_utf8_lossy(&read(kind)).into_owned();
        let code = text("code").parse().unwrap();
        Ok(Ran { stdout: text("out"), stderr: text("err"), code, script })
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        drop(self.requests.take());
        // The bed takes its cgroups away before it ends.
        let _ = self.child.wait();
    }
}

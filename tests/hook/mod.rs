//! `divvy-hook create-container`, the built program, in namespaces like a starting container's.
//!
//! Each test makes a root file system, and a tree beside it that stands for the host. The hook runs
//! where a runtime runs it: in a mount and a pid namespace of their own, with the container's /proc
//! and /dev mounted and the host's root still in place. There /proc/1/root is the host's root. Outside
//! the test's own folder that root is read-only, so that a broken hook can't harm the machine.
//!
//! `DIVVY_HOOK` names the program to test; without it the tests build it, as static as it is shipped.

mod attacks;
mod effects;
mod prison;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// The driver's version on the host of these tests.
const DRIVER: &str = "550.163.01";
/// Where the images of these tests have their libraries.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";

/// The program under test.
pub(crate) fn hook() -> &'static Path {
    static HOOK: OnceLock<PathBuf> = OnceLock::new();
    HOOK.get_or_init(|| std::env::var_os("DIVVY_HOOK").map_or_else(build, PathBuf::from))
}

/// Builds the hook for musl where the target is there, else with glibc linked in.
fn build() -> PathBuf {
    let arch = std::env::consts::ARCH;
    let (musl, gnu) = (format!("{arch}-unknown-linux-musl"), format!("{arch}-unknown-linux-gnu"));
    let libdir = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", &musl])
        .output()
        .unwrap();
    let has_musl = Path::new(String::from_utf8(libdir.stdout).unwrap().trim()).is_dir();
    let target = if has_musl { musl } else { gnu };
    // target/debug/deps/divvy-<hash>: the folder that this test itself was built into.
    let folder = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "divvy-hooks", "--target", &target]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", &folder);
    if !has_musl {
        cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    }
    assert!(cargo.status().unwrap().success(), "the hook can't be built");
    folder.join(target).join("debug/divvy-hook")
}

/// What the hook answered.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    /// The test fails unless the hook succeeded without a word.
    #[track_caller]
    fn quiet(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// The test fails unless the hook succeeded and warned of this.
    #[track_caller]
    fn warned(self, of: &str) -> String {
        assert!(self.code == 0 && self.stderr.contains(of), "{self:?}");
        self.stdout
    }

    /// The test fails unless the hook failed and said this.
    #[track_caller]
    fn failed(self, code: i32, saying: &str) {
        assert!(self.code == code && self.stderr.contains(saying), "{self:?}");
    }
}

/// A container that starts, and the host around it.
struct Start {
    dir: TempDir,
    /// Run in the namespaces before the hook: `$ROOT`, `$OUTSIDE`, `$HOOK`, `$STATE` are set.
    before: String,
    /// Run there after it.
    after: String,
    /// How the hook is called; `"$@"` are its arguments.
    call: String,
}

impl Start {
    /// A Debian-like image with one library, and the host's tree with one file.
    fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make namespaces: run them as root"
        );
        let start = Self {
            dir: tempfile::tempdir().unwrap(),
            before: String::new(),
            after: String::new(),
            call: r#""$HOOK" create-container "$@" <"$STATE""#.into(),
        };
        for folder in ["proc", "dev", "etc/ld.so.conf.d", "usr/local", "usr/bin"] {
            fs::create_dir_all(start.root(folder)).unwrap();
        }
        fs::create_dir_all(start.root(LIBRARIES)).unwrap();
        symlink("usr/lib", start.root("lib")).unwrap();
        start.write("/etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf\n");
        start.write("/etc/ld.so.conf.d/own.conf", "/opt/own\n/lib/x86_64-linux-gnu\n");
        start.library(&format!("{LIBRARIES}/libimage.so.1"), "libimage.so.1");
        fs::create_dir(start.outside("")).unwrap();
        fs::write(start.outside("file"), "of the host\n").unwrap();
        fs::create_dir(start.dir.path().join("bundle")).unwrap();
        let config = format!(r#"{{"root":{{"path":{:?}}}}}"#, start.root(""));
        fs::write(start.dir.path().join("bundle/config.json"), config).unwrap();
        start
    }

    /// A path of the container, on the host.
    fn root(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        let path = path.strip_prefix("/").unwrap_or(path);
        let root = self.dir.path().join("rootfs");
        if path.as_os_str().is_empty() { root } else { root.join(path) }
    }

    /// A path in the host's tree.
    fn outside(&self, path: &str) -> PathBuf {
        let outside = self.dir.path().join("outside");
        if path.is_empty() { outside } else { outside.join(path) }
    }

    /// Writes a file of the container.
    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.root(path).parent().unwrap()).unwrap();
        fs::write(self.root(path), text).unwrap();
    }

    /// Makes a symbolic link of the container in the place of whatever is there.
    fn link(&self, path: &str, target: impl AsRef<Path>) {
        let place = self.root(path);
        if place.is_dir() {
            fs::remove_dir_all(&place).unwrap();
        } else {
            let _ = fs::remove_file(&place);
        }
        symlink(target, place).unwrap();
    }

    /// Puts a real shared library into the container.
    fn library(&self, path: &str, soname: &str) {
        fs::create_dir_all(self.root(path).parent().unwrap()).unwrap();
        fs::copy(shared_library(soname), self.root(path)).unwrap();
    }

    /// Runs the hook.
    fn run(&self, jobs: &[&str]) -> Ran {
        let script = format!(
            "set -e\nmount --bind \"$DIR\" \"$DIR\"\nmount -o remount,bind,ro /\n\
             mount --bind \"$ROOT\" \"$ROOT\"\n[ -L \"$ROOT/proc\" ] || mount -t proc proc \"$ROOT/proc\"\n\
             mount -t tmpfs tmpfs \"$ROOT/dev\"\ncd \"$ROOT\"\n{}\nset +e\n\
             printf '{{\"ociVersion\":\"1.0.2\",\"id\":\"c\",\"status\":\"creating\",\"pid\":1,\"bundle\":\"%s\"}}' \"$BUNDLE\" >\"$STATE\"\n\
             {}\ncode=$?\n{}\nexit $code\n",
            self.before, self.call, self.after
        );
        // A hook that waits for ever fails its test instead of stopping them all.
        let ran = Command::new("timeout")
            .args(["120", "unshare", "--mount", "--pid", "--fork", "--propagation", "private"])
            .args(["sh", "-c", &script, "sh"])
            .args(jobs)
            .env("DIR", self.dir.path())
            .env("ROOT", self.root(""))
            .env("OUTSIDE", self.outside(""))
            .env("BUNDLE", self.dir.path().join("bundle"))
            .env("STATE", self.dir.path().join("state"))
            .env("HOOK", hook())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ran {
            code: ran.status.code().unwrap_or(-1),
            stdout: text(&ran.stdout),
            stderr: text(&ran.stderr),
        }
    }

    /// What the library cache says: `name => path`, in its order.
    fn cache(&self) -> Vec<String> {
        let listed = Command::new("/sbin/ldconfig")
            .args(["-p", "-C"])
            .arg(self.root("/etc/ld.so.cache"))
            .output()
            .unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let line = |line: &str| {
            let (name, path) = line.trim().split_once(" => ")?;
            Some(format!("{} => {path}", name.split_once(' ')?.0))
        };
        text.lines().filter_map(line).collect()
    }
}

/// Each path below `folder` with its kind, mode and content.
fn snapshot(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let kind = if meta.is_symlink() {
                format!("link to {}", fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                folders.push(path.clone());
                "folder".into()
            } else if meta.is_file() {
                format!("file {:?}", fs::read(&path).unwrap())
            } else {
                format!("node {:x}", meta.rdev())
            };
            found.insert(path, format!("{:o} {kind}", meta.permissions().mode()));
        }
    }
    found
}

/// A shared library with this name in it, built once.
fn shared_library(soname: &str) -> PathBuf {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let folder = BUILT.get_or_init(|| tempfile::tempdir().unwrap());
    // Tests run side by side: each builds under a name of its own and renames.
    let path = folder.path().join(soname);
    if !path.exists() {
        let work = tempfile::tempdir_in(folder.path()).unwrap();
        fs::write(work.path().join("empty.c"), "int divvy;\n").unwrap();
        let built = work.path().join("library");
        compile(
            &work.path().join("empty.c"),
            &built,
            &["-shared", "-fPIC", "-nostdlib", &format!("-Wl,-soname,{soname}")],
        );
        fs::rename(built, &path).unwrap();
    }
    path
}

fn compile(source: &Path, built: &Path, options: &[&str]) {
    let mut cc = Command::new("cc");
    let done = cc.args(options).arg("-o").arg(built).arg(source).output();
    let done = done.expect("cc comes with build-essential");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

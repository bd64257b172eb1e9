//! `make install` and `make uninstall`, and the units, rules and files that they put in place.

use crate::support::skip;
use divvy::config::Config;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PROGRAMS: [&str; 3] = ["divvy", "divvy-hook", "divvy-runtime"];

/// A place to install to, with programs that only stand there.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        for program in PROGRAMS {
            let path = dir.path().join("built").join(program);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Place { dir }
    }

    fn make(&self, target: &str, variables: &[(&str, &Path)]) -> Output {
        let mut command = Command::new("make");
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["--no-print-directory", target]);
        command.env("BUILT", self.dir.path().join("built"));
        // What the surrounding make was given is not for this one.
        for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PREFIX", "DESTDIR"] {
            command.env_remove(name);
        }
        let given = variables.iter().map(|(name, value)| format!("{name}={}", value.display()));
        command.args(given).output().unwrap()
    }

    fn make_well(&self, target: &str, variables: &[(&str, &Path)]) -> String {
        let output = self.make(target, variables);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }
}

/// The files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn what_is_installed_goes_again() {
    let place = Place::new();
    let to = place.path("image");
    let variables: [(&str, &Path); 2] = [("DESTDIR", &to), ("PREFIX", Path::new("/opt/divvy"))];
    place.make_well("install", &variables);
    let installed = files(&to);
    let names: Vec<String> = installed
        .iter()
        .map(|path| {
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o7777;
            format!("{mode:o} {}", path.strip_prefix(&to).unwrap().display())
        })
        .collect();
    insta::assert_snapshot!(names.join("\n"));
    for path in installed.iter().filter(|path| !path.starts_with(to.join("opt/divvy/bin"))) {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("/usr/bin/divvy"), "{} names another prefix", path.display());
    }
    // Somebody else's file beside them stays.
    fs::write(to.join("opt/divvy/bin/other"), "").unwrap();
    place.make_well("uninstall", &variables);
    assert_eq!(files(&to), [to.join("opt/divvy/bin/other")]);
    assert_eq!(place.make_well("uninstall", &variables), "");
}

#[test]
fn completions_and_manual_pages_are_installed_and_go_again() {
    let place = Place::new();
    fs::copy(env!("CARGO_BIN_EXE_divvy"), place.path("built/divvy")).unwrap();
    let to = place.path("image");
    let variables: [(&str, &Path); 1] = [("DESTDIR", &to)];
    place.make_well("install", &variables);
    for file in [
        "bash-completion/completions/divvy",
        "zsh/site-functions/_divvy",
        "fish/vendor_completions.d/divvy.fish",
        "man/man1/divvy.1",
        "man/man1/divvy-cdi-generate.1",
        "man/man8/divvy-runtime.8",
    ] {
        assert!(to.join("usr/share").join(file).is_file(), "{file}");
    }
    place.make_well("uninstall", &variables);
    assert_eq!(files(&to), [""; 0].map(PathBuf::from));
}

#[test]
fn without_programs_and_with_a_configured_engine_it_is_refused() {
    let place = Place::new();
    let to = place.path("image");
    let variables: [(&str, &Path); 1] = [("DESTDIR", &to)];
    place.make_well("install", &variables);
    fs::create_dir_all(to.join("var/lib/divvy/engines")).unwrap();
    fs::write(to.join("var/lib/divvy/engines/docker.json"), "{}").unwrap();
    let refused = place.make("uninstall", &variables);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(said.contains("divvy runtime configure --runtime docker --remove"), "{said}");
    assert!(to.join("usr/bin/divvy").exists());
    fs::remove_file(place.path("built/divvy-runtime")).unwrap();
    let refused = place.make("install", &[("DESTDIR", &place.path("other"))]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("divvy-runtime isn't there: run make build first"), "{said}");
    assert!(!place.path("other").exists());
}

fn systemd(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        skip(&format!("{program} isn't on this machine: install the package systemd"));
    }
    there
}

/// Verified where they would lie, with the programs they start; not run, which needs systemd as the first process.
#[test]
fn units_are_well_formed_and_confined() {
    if !systemd("systemd-analyze") {
        return;
    }
    let place = Place::new();
    let prefix = place.path("usr");
    place.make_well("install", &[("PREFIX", &prefix)]);
    let units = files(&prefix.join("lib/systemd/system"));
    assert_eq!(units.len(), 6);
    let verified =
        Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    let about_divvy: Vec<&str> = said.lines().filter(|line| line.contains("divvy")).collect();
    assert!(verified.status.success(), "{said}");
    assert_eq!(about_divvy, [""; 0]);
    // Exposure in tenths of what a service without any limit has.
    for (unit, limit) in [("divvy-cdi-refresh", 50), ("divvy-metrics", 50), ("divvy-reconcile", 65)]
    {
        let unit = prefix.join(format!("lib/systemd/system/{unit}.service"));
        let judged = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", &format!("--threshold={limit}")])
            .arg(&unit)
            .output()
            .unwrap();
        assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
    }
}

#[test]
fn run_folders_are_made_as_the_state_wants_them() {
    if !systemd("systemd-tmpfiles") {
        return;
    }
    // Only root can give a folder an owner.
    if !rustix::process::geteuid().is_root() {
        return skip("systemd-tmpfiles needs root");
    }
    let place = Place::new();
    let root = place.path("root");
    fs::create_dir(&root).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/tmpfiles.d/divvy.conf");
    let mut command = Command::new("systemd-tmpfiles");
    command.arg("--create").arg(format!("--root={}", root.display())).arg(file);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("run/divvy"), mode("run/cdi")), (0o711, 0o755));
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The keys of the configuration's tables, as its schema has them; not those of the requests in it.
fn keys(schema: &Value, node: &Value, found: &mut BTreeSet<String>) {
    if let Some(target) = node.get("$ref").and_then(Value::as_str) {
        keys(schema, schema.pointer(target.trim_start_matches('#')).unwrap(), found);
    }
    for (key, below) in node.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.insert(key.clone());
        if !["shares", "cdi-names", "match"].contains(&key.as_str()) {
            keys(schema, below, found);
        }
    }
    for part in ["anyOf", "oneOf", "allOf"] {
        for below in node.get(part).and_then(Value::as_array).into_iter().flatten() {
            keys(schema, below, found);
        }
    }
    if let Some(items) = node.get("items") {
        keys(schema, items, found);
    }
}

#[test]
fn the_example_configuration_is_right_and_has_every_key() {
    let file = repository("packaging/config.yaml");
    let config = Config::load(&file).unwrap();
    assert!(config.gpus.len() == 2 && config.shares.len() == 2, "{config:?}");
    let mut divvy = Command::new(env!("CARGO_BIN_EXE_divvy"));
    let schema = divvy.args(["config", "schema"]).output().unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let mut known = BTreeSet::new();
    keys(&schema, &schema, &mut known);
    assert!(known.len() > 20, "{known:?}");
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().map(|line| line.trim_start_matches([' ', '-'])).collect();
    for key in known {
        let said = lines.iter().any(|line| line.starts_with(&format!("{key}:")));
        assert!(said, "the example doesn't have {key}");
    }
}

/// The version stands in Cargo.toml; the changelog has a heading for it, and nothing else says one.
#[test]
fn the_version_has_its_changelog() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = fs::read_to_string(repository("CHANGELOG.md")).unwrap();
    let newest = changelog.lines().find_map(|line| line.strip_prefix("## ")).unwrap();
    assert_eq!(newest.split(' ').next(), Some(version), "the newest heading of CHANGELOG.md");
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let said = manifest.lines().filter(|line| *line == format!("version = \"{version}\""));
    assert_eq!(said.count(), 1);
    for crate_ in ["cdi", "hooks", "tests/fake-nvml"] {
        let manifest = repository(crate_).join("Cargo.toml");
        let text = fs::read_to_string(manifest).unwrap();
        assert!(text.contains("version.workspace = true"), "{crate_}");
    }
}

/// Asked of a stand-in, with the words of cargo-deny where github.com can't be reached.
#[test]
fn an_audit_says_when_the_database_can_t_be_reached() {
    let cache = tempfile::tempdir().unwrap();
    let library = fs::read_to_string(repository("tools/lib.sh")).unwrap();
    let version =
        library.lines().find_map(|line| line.strip_prefix("CARGO_DENY_VERSION=")).unwrap();
    let program = cache.path().join("tools/bin/cargo-deny");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(cache.path().join("tools/cargo-deny.version"), format!("{version}\n")).unwrap();
    let audit = |text: &str| {
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let mut audit = Command::new(repository("tools/audit"));
        let output = audit.env("DIVVY_TEST_CACHE", cache.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let lost = "echo 'error: failed to fetch advisory database https://github.com/rustsec/advisory-db' >&2; exit 1";
    let (code, said) = audit(lost);
    assert_eq!(code, Some(77));
    assert!(said.starts_with("not audited: RustSec's database can't be reached"), "{said}");
    assert_eq!(audit("echo 'advisories FAILED'; exit 1"), (Some(1), "advisories FAILED\n".into()));
    assert_eq!(audit("echo 'advisories ok'"), (Some(0), "advisories ok\n".into()));
}

//! Both formats are read by the programs that define them.

use super::{metrics, panels, prepare, run};
use crate::common::node::{Node, create};
use crate::support::skip;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A node on which as much as can be has happened.
fn busy() -> Node {
    let node = create(&["--no-nodes", "--gpu", "H100-80GB:2", "--managed"]);
    node.change("mig", &["0", "on"]);
    assert_eq!(prepare(&node, "m", "mig:3g.40gb"), Some(0));
    assert_eq!(prepare(&node, "t", "time-slicing @1"), Some(0));
    assert_eq!(prepare(&node, "x", "exclusive"), Some(3));
    assert!(run(&node, &["release", "m"]).status.success());
    assert_eq!(prepare(&node, "m", "mig:3g.40gb"), Some(0));
    node.change("process", &["1", "add", &std::process::id().to_string()]);
    node
}

/// Gives a program the text.
fn feed(program: &mut Command, text: &str) -> Output {
    let piped = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The folder of the programs that read metrics; `None` where they can't be had, which is said.
fn readers() -> Option<&'static Path> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/setup");
        let _ = Command::new(script).arg("readers").stdin(Stdio::null()).output();
        let cache = std::env::var_os("DIVVY_TEST_CACHE")
            .map_or_else(|| "/var/cache/divvy-tests".into(), PathBuf::from);
        cache.join("readers/usr")
    });
    if !folder.exists() {
        skip(&format!("no {}: tests/e2e/setup readers fetches it", folder.display()));
        return None;
    }
    Some(folder)
}

/// The dashboard's queries, as a file of rules with Grafana's variables filled in.
fn rules(queries: &[String]) -> String {
    let filled = |query: &String| {
        let query = query.replace("$__rate_interval", "5m").replace("$instance", ".*");
        query.replace("$gpu", ".*")
    };
    let rule = |(n, query): (usize, &String)| serde_json::json!({ "record": format!("panel:{n}"), "expr": filled(query) });
    let rules: Vec<serde_json::Value> = queries.iter().enumerate().map(rule).collect();
    serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string()
}

#[test]
fn promtool_understands_the_dashboard() {
    let Some(folder) = readers() else { return };
    let check = |rules: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), rules).unwrap();
        let promtool = folder.join("bin/promtool");
        Command::new(promtool).args(["check", "rules"]).arg(file.path()).output().unwrap()
    };
    let mut queries = panels();
    let output = check(&rules(&queries));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    queries[0].push(')');
    assert!(!check(&rules(&queries)).status.success());
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Some(folder) = readers() else { return };
    let promtool = || {
        let mut command = Command::new(folder.join("bin/promtool"));
        command.args(["check", "metrics"]);
        command
    };
    let text = metrics(&busy(), &["--format", "prometheus"]);
    let output = feed(&mut promtool(), &text);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
    // It would have something to say of a file that is wrong.
    let wrong = text.replace("# HELP divvy_claims ", "# HELP divvy_other ");
    assert!(!feed(&mut promtool(), &wrong).status.success());
}

#[test]
fn the_reference_parser_of_openmetrics_reads_it() {
    const PARSE: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
print(len([sample for family in parse(sys.stdin.read()) for sample in family.samples]))
";
    let Some(folder) = readers() else { return };
    let python = || {
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", folder.join("lib/python3/dist-packages"));
        command
    };
    let text = metrics(&busy(), &[]);
    let output = feed(python().args(["-c", PARSE]), &text);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), samples.to_string());
    let cut = text.strip_suffix("# EOF\n").unwrap();
    assert!(!feed(python().args(["-c", PARSE]), cut).status.success());
}

#[test]
fn the_formats_have_the_same_samples() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    let samples = |options: &[&str]| {
        let text = metrics(&node, options);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(&[]), samples(&["--format", "prometheus"]));
}

#[test]
fn the_collectors_file_is_whole_and_for_all_to_read() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("divvy.prom");
    let path = file.to_str().unwrap();
    let output = run(&node, &["metrics", "--format", "prometheus", "--output-file", path]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert_eq!(fs::read_to_string(&file).unwrap(), metrics(&node, &["--format", "prometheus"]));
    // node exporter runs as a user of its own.
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

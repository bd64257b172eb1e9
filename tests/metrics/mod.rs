//! `divvy metrics` on simulated nodes, and what is made of it: the collector's file, the document, the dashboard.

mod formats;

use crate::common::node::{Node, create};
use divvy::metrics::{FAMILIES, Family, Kind};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

fn run(node: &Node, words: &[&str]) -> Output {
    node.divvy().args(words).output().unwrap()
}

/// `divvy metrics` with these options.
fn metrics(node: &Node, options: &[&str]) -> String {
    let output = run(node, &[&["metrics"], options].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The value of the only line that begins like that.
fn value(text: &str, line: &str) -> f64 {
    let mut found = text.lines().filter(|one| one.starts_with(line));
    let (one, none) = (found.next(), found.next());
    assert!(one.is_some() && none.is_none(), "{line}: {one:?}, {none:?} in\n{text}");
    one.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Prepares, and says how it ended.
fn prepare(node: &Node, claim: &str, request: &str) -> Option<i32> {
    run(node, &["prepare", "--claim", claim, request]).status.code()
}

#[test]
fn what_was_prepared_released_and_refused_is_counted() {
    let node = create(&["--no-nodes", "--gpu", "H100-80GB", "--mig", "on", "--managed"]);
    assert_eq!(value(&metrics(&node, &[]), "divvy_prepare_failures_total"), 0.0);
    assert_eq!(prepare(&node, "a", "mig:3g.40gb"), Some(0));
    // Found, not made: not counted again.
    assert_eq!(prepare(&node, "a", "mig:3g.40gb"), Some(0));
    assert_eq!(prepare(&node, "b", "mig:1g.10gb/time-slicing"), Some(0));
    assert_eq!(prepare(&node, "c", "mig:7g.80gb"), Some(3));
    assert_eq!(prepare(&node, "d", "exclusive"), Some(3));
    assert_eq!(prepare(&node, "d", "exclusive"), Some(3));
    let text = metrics(&node, &[]);
    assert_eq!(value(&text, "divvy_prepare_duration_seconds_count{mode=\"mig\"}"), 1.0);
    assert_eq!(
        value(&text, "divvy_prepare_duration_seconds_count{mode=\"mig/time-slicing\"}"),
        1.0
    );
    assert!(value(&text, "divvy_prepare_duration_seconds_sum{mode=\"mig\"}") > 0.0);
    assert_eq!(value(&text, "divvy_refusals_total{reason=\"no-placement\"}"), 1.0);
    assert_eq!(value(&text, "divvy_refusals_total{reason=\"mig-on\"}"), 2.0);
    assert_eq!(value(&text, "divvy_claims{mode=\"mig\",phase=\"granted\"}"), 1.0);
    assert!(value(&text, "divvy_claim_age_seconds{claim=\"a\",mode=\"mig\"") < 600.0);
    assert_eq!(value(&text, "divvy_release_duration_seconds_count{mode=\"mig\"}"), 0.0);

    assert!(run(&node, &["release", "a", "b"]).status.success());
    // Releasing what is gone succeeds, and is no release.
    assert!(run(&node, &["release", "a"]).status.success());
    let text = metrics(&node, &[]);
    assert_eq!(value(&text, "divvy_release_duration_seconds_count{mode=\"mig\"}"), 1.0);
    assert_eq!(value(&text, "divvy_claims{mode=\"mig\",phase=\"granted\"}"), 0.0);

    node.faults("nvmlDeviceCreateGpuInstanceWithPlacement:1:999\n");
    assert_eq!(prepare(&node, "e", "mig:1g.10gb"), Some(1));
    node.faults("");
    let text = metrics(&node, &[]);
    assert_eq!(value(&text, "divvy_prepare_failures_total"), 1.0);
    // Its undo is no release.
    assert_eq!(value(&text, "divvy_release_duration_seconds_count{mode=\"mig\"}"), 1.0);
}

#[test]
fn slices_and_room_are_the_drivers() {
    let node = create(&["--no-nodes", "--gpu", "H100-80GB", "--mig", "on", "--managed"]);
    node.change("mig", &["0", "create", "3g.40gb@4", "1g.10gb+me"]);
    assert_eq!(prepare(&node, "a", "mig:1g.10gb"), Some(0));
    let text = metrics(&node, &[]);
    let uuid = divvy::inventory::read(&node.session(), divvy::inventory::Scope::Full).unwrap();
    let uuid = uuid.gpus[0].uuid.clone();
    let of = |name: &str, labels: &str| value(&text, &format!("{name}{{gpu=\"{uuid}\",{labels}}}"));
    assert_eq!(of("divvy_mig_slices", "state=\"used\""), 6.0);
    assert_eq!(of("divvy_mig_slices", "state=\"free\""), 2.0);
    assert_eq!(of("divvy_mig_instances", "profile=\"1g.10gb\",claimed=\"true\""), 1.0);
    assert_eq!(of("divvy_mig_instances", "profile=\"3g.40gb\",claimed=\"false\""), 1.0);
    assert_eq!(
        of("divvy_mig_largest_placeable_bytes", "profile=\"2g.20gb\""),
        20_091.0 * 1024.0 * 1024.0
    );
    assert_eq!(of("divvy_mig_placeable", "profile=\"1g.10gb\""), 2.0);
    assert_eq!(of("divvy_mig_placeable", "profile=\"1g.10gb+me\""), 0.0);
    // The largest that is said to fit does, and what is said not to doesn't.
    assert_eq!(prepare(&node, "b", "mig:3g.40gb"), Some(3));
    assert_eq!(prepare(&node, "c", "mig:2g.20gb"), Some(0));
}

#[test]
fn processes_on_the_gpu_are_joined_to_claims() {
    let node = create(&["--no-nodes", "--gpu", "T4:2"]);
    assert_eq!(prepare(&node, "job", "exclusive @0"), Some(0));
    let own = std::process::id().to_string();
    node.change("process", &["0", "add", &own, "1048576"]);
    node.change("process", &["1", "add", &own, "2097152"]);
    let text = metrics(&node, &[]);
    let job = |name: &str| {
        let line =
            text.lines().find(|line| line.starts_with(name) && line.contains("claim=\"job\""));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).rsplit_once(' ').unwrap().1
    };
    assert_eq!(job("divvy_container_memory_bytes"), "1048576");
    assert_eq!(job("divvy_container_processes"), "1");
    // Each process on a simulated GPU is as busy as every other.
    let of_gpu = text
        .lines()
        .find(|line| line.contains("claim=\"job\"") && line.contains("multiprocessors"));
    assert!(of_gpu.unwrap().ends_with(" 0.1"), "{of_gpu:?}");
    assert!(text.contains("kind=\"unclaimed\"} 2097152"), "{text}");
}

#[test]
fn without_a_driver_the_file_says_so() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    assert_eq!(prepare(&node, "job", "exclusive"), Some(0));
    let mut command = node.divvy();
    command.args(["metrics"]).env("DIVVY_NVML_LIBRARY", "/nowhere/libnvidia-ml.so.1");
    let output = command.output().unwrap();
    let (said, text) =
        (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("/nowhere/libnvidia-ml.so.1"), "{said}");
    assert_eq!(value(&text, "divvy_driver_up"), 0.0);
    assert_eq!(value(&text, "divvy_claims{mode=\"exclusive\",phase=\"granted\"}"), 1.0);
}

#[test]
fn a_gpu_that_does_not_answer_takes_nothing_from_the_others() {
    let node = create(&["--no-nodes", "--gpu", "T4:3"]);
    node.change("lose", &["0"]);
    node.faults("nvmlDeviceGetProcessUtilization:1:15\n");
    let own = std::process::id().to_string();
    for gpu in ["1", "2"] {
        node.change("process", &[gpu, "add", &own, "1048576"]);
    }
    let text = metrics(&node, &[]);
    assert_eq!(value(&text, "divvy_driver_up"), 1.0);
    assert_eq!(value(&text, "divvy_gpus_unusable"), 1.0);
    assert_eq!(text.matches("divvy_gpu_info{").count(), 2);
    assert_eq!(text.matches("divvy_other_memory_bytes{").count(), 2);
}

#[test]
fn looking_leaves_no_trace() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    let state = node.host().state_dir;
    let before = fs::read_dir(&state).into_iter().flatten().count();
    metrics(&node, &[]);
    assert_eq!(fs::read_dir(&state).into_iter().flatten().count(), before);
}

/// The table of the document, from the program's own list.
fn table() -> String {
    let mut table = "| metric | type | labels | what it says |\n|---|---|---|---|\n".to_owned();
    for family in FAMILIES {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            family.queried(),
            family.kind.word(),
            labels.join(", "),
            family.help
        ));
    }
    table
}

#[test]
fn the_document_lists_every_metric() {
    let path = repository("docs/metrics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (start, end) = ("<!-- metrics -->\n", "<!-- /metrics -->");
    let from = text.find(start).unwrap() + start.len();
    let to = text.find(end).unwrap();
    if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
        fs::write(&path, format!("{}{}{}", &text[..from], table(), &text[to..])).unwrap();
        return;
    }
    assert_eq!(&text[from..to], table(), "INSTA_UPDATE=always writes the table anew");
}

/// The names that a query speaks of.
fn queried(query: &str) -> BTreeSet<String> {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = query.split(|c| !name(c)).filter(|word| word.starts_with("divvy_"));
    words.map(str::to_owned).collect()
}

/// The labels that a query chooses by or keeps, but for those that Prometheus and node exporter bring.
fn labels(query: &str) -> BTreeSet<String> {
    let chosen = regex_lite::Regex::new(r#"([a-z_]+)\s*=~?\s*""#).unwrap();
    let kept = regex_lite::Regex::new(r"by \(([a-z_, ]+)\)").unwrap();
    let chosen = chosen.captures_iter(query).map(|found| found[1].to_owned());
    let kept = kept
        .captures_iter(query)
        .flat_map(|found| found[1].split(", ").map(str::to_owned).collect::<Vec<String>>());
    let brought = ["instance", "le", "file"];
    chosen.chain(kept).filter(|label| !brought.contains(&label.as_str())).collect()
}

/// The queries of the dashboard's panels.
fn panels() -> Vec<String> {
    let text = fs::read_to_string(repository("packaging/grafana/divvy.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    queries(&dashboard["panels"], &mut found);
    found
}

#[test]
fn the_dashboard_asks_by_labels_that_its_metrics_have() {
    for query in panels() {
        let asked = queried(&query);
        let has = |family: &&&Family| asked.iter().any(|name| name.starts_with(&family.queried()));
        let there: BTreeSet<String> = FAMILIES
            .iter()
            .filter(has)
            .flat_map(|family| family.labels.iter().map(|label| (*label).to_owned()))
            .collect();
        let unknown: Vec<String> = labels(&query).difference(&there).cloned().collect();
        assert!(unknown.is_empty(), "{query} asks for {unknown:?}");
    }
    assert_eq!(labels("sum by (mode, le) (rate(x{of=\"a\"}[5m]))").len(), 2);
}

fn queries(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(query) if matches!(key.as_str(), "expr" | "query" | "definition") => {
                        found.push(query.to_owned());
                    }
                    _ => queries(value, found),
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let text = fs::read_to_string(repository("packaging/grafana/divvy.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    let asked: BTreeSet<String> = found.iter().flat_map(|query| queried(query)).collect();
    let there: BTreeSet<String> = FAMILIES
        .iter()
        .flat_map(|family| {
            let ends: &[&str] = match family.kind {
                Kind::Histogram => &["_bucket", "_sum", "_count"],
                Kind::Gauge | Kind::Counter | Kind::Info => &[""],
            };
            ends.iter().map(|end| format!("{}{end}", family.queried())).collect::<Vec<_>>()
        })
        .collect();
    let unknown: Vec<&String> = asked.difference(&there).collect();
    assert!(unknown.is_empty(), "the dashboard asks for {unknown:?}");
    assert!(asked.len() > 10, "{asked:?}");
    // Panels have places of their own.
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

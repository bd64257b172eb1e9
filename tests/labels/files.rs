//! The forms of the answer, and the file for node-feature-discovery.

use super::{labels, run, text};
use crate::common::node::create;
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn the_file_is_there_whole_and_for_all_to_read() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.d/gfd");
    let path = file.to_str().unwrap();
    let output = run(&node, &["--output-file", path, "--no-timestamp"]);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"");
    assert_eq!(fs::read_to_string(&file).unwrap(), text(&node, &[]));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o644);
    // node-feature-discovery reads every file of the folder whose name begins with no dot.
    let names: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1);
    let refused = run(&node, &["--output-file", "/dev/null"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is no regular file"));
}

#[test]
fn where_the_driver_does_not_answer_the_old_file_stays() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    let file = node.dir().join("gfd");
    fs::write(&file, "old").unwrap();
    node.faults("nvmlSystemGetDriverVersion:1:999\n");
    let output = run(&node, &["--output-file", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
}

#[test]
fn the_documents_hold_what_the_lines_hold() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    let json = text(&node, &["--output", "json"]);
    let json: std::collections::BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
    let lines = labels(&node, &[]).into_iter();
    let lines = lines.map(|(key, value)| (format!("nvidia.com/{key}"), value)).collect();
    assert_eq!(json, lines);
}

#[test]
fn the_timestamp_is_unix_time() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    let output = run(&node, &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix("nvidia.com/gfd.timestamp="));
    let time: u64 = line.unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now - 600..=now).contains(&time), "{time} is not about {now}");
    assert!(!text(&node, &[]).contains("timestamp"));
}

//! Line by line against the expectations of GPU Feature Discovery's own tests.

use super::{cut, run};
use crate::common::node::{Node, create};
use crate::support::skip;
use regex_lite::Regex;
use std::path::PathBuf;

/// The patterns of one of its files; `None` where nobody said where they are.
fn patterns(file: &str) -> Option<Vec<Regex>> {
    let Some(folder) = std::env::var_os("DIVVY_PEER_DATA") else {
        skip(
            "DIVVY_PEER_DATA names no folder with gfd/, the expected outputs of GPU Feature Discovery's tests",
        );
        return None;
    };
    let path = PathBuf::from(folder).join("gfd").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    // Its tests don't anchor them; at their beginning they mean the whole key.
    let pattern = |line: &str| Regex::new(&format!("^{line}")).unwrap();
    Some(text.lines().filter(|line| !line.is_empty()).map(pattern).collect())
}

/// Every line is expected, and every expectation is met, once each.
fn compare(node: &Node, options: &[&str], file: &str) {
    let Some(mut patterns) = patterns(file) else { return };
    let output = run(node, options);
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    for line in said.lines() {
        let at = patterns.iter().position(|pattern| pattern.is_match(line));
        let at = at.unwrap_or_else(|| panic!("{file} doesn't expect the line {line}"));
        patterns.remove(at);
    }
    assert!(patterns.is_empty(), "{file} expects more: {patterns:?}");
}

#[test]
fn whole_gpus() {
    let node = create(&["--no-nodes", "--gpu", "T4"]);
    compare(&node, &[], "expected-output.txt");
    compare(&node, &[], "expected-output-mig-none.txt");
}

#[test]
fn mig_strategies() {
    let node = cut("A100-40GB", &[("0", &["3g.20gb", "3g.20gb"])]);
    compare(&node, &["--mig-strategy", "none"], "expected-output-mig-none.txt");
    compare(&node, &["--mig-strategy", "single"], "expected-output-mig-single.txt");
    compare(&node, &["--mig-strategy", "mixed"], "expected-output-mig-mixed.txt");
}

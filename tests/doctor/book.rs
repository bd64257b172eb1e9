//! The book of findings: every one that there is, as it is told.

use super::causes::{ELSEWHERE, causes};
use super::machine::Machine;
use divvy::doctor::Name;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

#[test]
fn every_finding_is_provoked_and_told() {
    let causes = causes();
    let told: Mutex<Vec<(usize, String)>> = Mutex::default();
    let next = Mutex::new(causes.iter().enumerate());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some((at, (name, cause))) = next.lock().unwrap().next() else { break };
                    let machine = Machine::new();
                    assert_eq!(machine.found(name), None, "{name} is found before its cause");
                    let healthy = said(&machine.report());
                    let machine = cause(machine);
                    let found = machine.found(name);
                    let found = found.unwrap_or_else(|| panic!("{name}: {}", machine.report()));
                    for checked in machine.report()["checks"].as_array().unwrap() {
                        let (check, says) = (&checked["check"], checked["says"].as_str().unwrap());
                        let found = !checked["findings"].as_array().unwrap().is_empty();
                        let wrong = says.is_empty()
                            || says.starts_with(':')
                            || healthy[check.as_str().unwrap()] == says;
                        assert!(!found || !wrong, "{name}: {check} says {says:?}");
                    }
                    told.lock().unwrap().push((at, found));
                }
            });
        }
    });
    let mut told = told.into_inner().unwrap();
    told.sort();
    let told: Vec<String> = told.into_iter().map(|(_, text)| text).collect();
    insta::assert_snapshot!(told.join("\n\n"));
    let provoked: BTreeSet<&str> = causes.iter().map(|(name, _)| *name).chain(ELSEWHERE).collect();
    let known: BTreeSet<&str> = Name::ALL.iter().map(|name| name.word()).collect();
    assert_eq!(provoked, known);
}

/// What each check says.
fn said(report: &Value) -> BTreeMap<String, String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    checks.map(|checked| (text(&checked["check"]), text(&checked["says"]))).collect()
}

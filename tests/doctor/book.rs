//! The book of findings: every one that there is, as it is told.

use super::causes::{ELSEWHERE, causes};
use super::machine::Machine;
use divvy::doctor::Name;
use std::collections::BTreeSet;
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
                    let machine = cause(machine);
                    let found = machine.found(name);
                    let found = found.unwrap_or_else(|| panic!("{name}: {}", machine.report()));
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

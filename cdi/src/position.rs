//! Where the fields of a spec stand in its text. Run over a text only when something in it is wrong.

use std::{collections::HashMap, ops::ControlFlow};

use serde_saphyr::granit_parser::{Event, Parser};

use crate::{Finding, Position, read::MAX_DEPTH};

/// Adds `.key` to a field's path; a key that isn't made of letters, digits, `_` and `-` is quoted.
pub(crate) fn push_key(path: &mut String, key: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || !key.chars().all(plain) {
        path.push_str(&format!("[{key:?}]"));
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// Adds `[index]` to a field's path.
pub(crate) fn push_index(path: &mut String, index: usize) {
    path.push_str(&format!("[{index}]"));
}

/// Gives each finding the position of its field in `text`, or of the nearest field around it that stands there.
pub fn locate(text: &str, findings: &mut [Finding]) {
    let mut places: HashMap<String, Option<Position>> = HashMap::new();
    for finding in findings.iter() {
        for around in surrounding(&finding.field) {
            places.entry(around.to_owned()).or_insert(None);
        }
    }
    walk(text, |path, position| {
        if let Some(place) = places.get_mut(path) {
            place.get_or_insert(position);
        }
        ControlFlow::Continue(())
    });
    for finding in findings {
        finding.position =
            surrounding(&finding.field).find_map(|around| places.get(around).copied().flatten());
    }
}

/// The path of the last field that begins at or before `position`.
pub(crate) fn field_at(text: &str, position: Position) -> String {
    let mut field = String::new();
    walk(text, |path, begin| {
        if begin > position {
            return ControlFlow::Break(());
        }
        field.clear();
        field.push_str(path);
        ControlFlow::Continue(())
    });
    field
}

/// A field's path, then that of the field around it, and so on, ending with the empty path of the whole.
fn surrounding(field: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(field), |path| {
        path.char_indices()
            .rev()
            .find(|(_, c)| ".[".contains(*c))
            .map_or_else(|| (!path.is_empty()).then_some(""), |(end, _)| path.get(..end))
    })
}

/// A mapping or a list that is open, and the length of its own path.
enum Open {
    Mapping { length: usize, key_is_next: bool },
    List { length: usize, next: usize },
}

/// Calls `visit` with each field's path and beginning, in the order of the text: a mapping's entry begins with its
/// key. Ends without a word where the text is no YAML, or nests deeper than a spec: what comes after can't be told.
fn walk(text: &str, mut visit: impl FnMut(&str, Position) -> ControlFlow<()>) {
    let mut open: Vec<Open> = Vec::new();
    let mut path = String::new();
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else { return };
        let position = Position {
            line: u64::try_from(span.start.line()).unwrap_or(u64::MAX),
            column: u64::try_from(span.start.col()).unwrap_or(u64::MAX).saturating_add(1),
        };
        if matches!(event, Event::MappingEnd | Event::SequenceEnd) {
            open.pop();
            continue;
        }
        if !event.is_node() && !event.is_alias() {
            continue;
        }
        let visited = enter(&mut open, &mut path, event.scalar().map(|(text, _)| text));
        if (visited && visit(&path, position).is_break()) || open.len() > MAX_DEPTH {
            return;
        }
        let length = path.len();
        match event {
            Event::MappingStart(..) => open.push(Open::Mapping { length, key_is_next: true }),
            Event::SequenceStart(..) => open.push(Open::List { length, next: 0 }),
            _ => {}
        }
    }
}

/// Sets `path` to that of the node that begins. False for the value of a mapping's entry, whose key was it already.
fn enter(open: &mut [Open], path: &mut String, scalar: Option<&str>) -> bool {
    match open.last_mut() {
        None => true,
        Some(Open::List { length, next }) => {
            path.truncate(*length);
            push_index(path, *next);
            *next += 1;
            true
        }
        Some(Open::Mapping { length, key_is_next }) => {
            let is_key = *key_is_next;
            *key_is_next = !is_key;
            if is_key {
                path.truncate(*length);
                push_key(path, scalar.unwrap_or("?"));
            }
            is_key
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
# a comment
kind: v/c
devices:
- name: a
  annotations: {x.y/z: 1, '': 2}
  containerEdits:
    env: [A=b,
      C=d]
- {name: b}
";

    #[test]
    fn fields_are_found_both_ways() {
        let cases = [
            ("", 2, 1),
            ("kind", 2, 1),
            ("devices", 3, 1),
            ("devices[0]", 4, 3),
            ("devices[0].annotations[\"x.y/z\"]", 5, 17),
            ("devices[0].annotations[\"\"]", 5, 27),
            ("devices[0].containerEdits.env[1]", 8, 7),
            ("devices[1].name", 9, 4),
        ];
        for (field, line, column) in cases {
            let position = Position { line, column };
            let mut findings = [finding(field)];
            locate(YAML, &mut findings);
            assert_eq!(findings[0].position, Some(position), "{field}");
        }
        assert_eq!(
            field_at(YAML, Position { line: 8, column: 9 }),
            "devices[0].containerEdits.env[1]"
        );
        assert_eq!(field_at(YAML, Position { line: 9, column: 10 }), "devices[1].name");
    }

    #[test]
    fn a_field_that_is_not_there_is_where_its_surroundings_are() {
        let mut findings = [finding("devices[1].containerEdits.mounts[3].hostPath")];
        locate(YAML, &mut findings);
        assert_eq!(findings[0].position, Some(Position { line: 9, column: 3 }));
    }

    #[test]
    fn a_broken_text_has_positions_up_to_the_break() {
        let mut findings = [finding("kind"), finding("devices")];
        locate("kind: v/c\n]]\ndevices: []\n", &mut findings);
        assert_eq!(findings[0].position, Some(Position { line: 1, column: 1 }));
    }

    fn finding(field: &str) -> Finding {
        Finding {
            severity: crate::Severity::Error,
            field: field.into(),
            position: None,
            problem: String::new(),
        }
    }
}

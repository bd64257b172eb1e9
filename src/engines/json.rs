//! Edits of a JSON text that leave every byte beside them as it was: indentation, order, spelling of numbers.

use super::Error;
use serde_json::Value;
use std::ops::Range;
use std::path::Path;

/// The values of a JSON object.
///
/// # Errors
/// It isn't JSON, or not an object.
pub(super) fn parse(path: &Path, text: &str) -> Result<Value, Error> {
    let malformed = |line: usize, column: usize, message: String| Error::Malformed {
        path: path.into(),
        line: line.max(1),
        column: column.max(1),
        message,
    };
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let message = said.split(" at line ").next().unwrap_or(&said).to_owned();
        malformed(error.line(), error.column(), message)
    })?;
    if !value.is_object() {
        return Err(malformed(1, 1, "an object in braces is expected".to_owned()));
    }
    Ok(value)
}

/// Sets the value at `keys`, making the objects on the way. `text` is a JSON object; where something on the way is
/// there and is no object, nothing changes.
pub(super) fn set(text: &str, keys: &[&str], value: &Value) -> String {
    edit(text, |object| set_below(text, object, keys, value))
}

/// Takes the value at `keys` out.
pub(super) fn remove(text: &str, keys: &[&str]) -> String {
    edit(text, |object| remove_below(text, object, keys))
}

/// A stretch of the text, and what stands there instead.
type Edit = (Range<usize>, String);

fn edit(text: &str, make: impl FnOnce(&Object) -> Option<Edit>) -> String {
    let made = object(text, 0).as_ref().and_then(make);
    let mut edited = text.to_owned();
    if let Some((range, new)) = made {
        edited.replace_range(range, &new);
    }
    edited
}

fn set_below(text: &str, object: &Object, keys: &[&str], value: &Value) -> Option<Edit> {
    let (key, rest) = keys.split_first()?;
    let Some(member) = object.member(key) else {
        let value = rest.iter().rev().fold(value.clone(), |inner, key| {
            Value::Object([((*key).to_owned(), inner)].into_iter().collect())
        });
        return Some(inserted(text, object, key, &value));
    };
    if rest.is_empty() {
        let pretty = pretty(text, &line_indent(text, member.start), value);
        return Some((member.value.clone(), pretty));
    }
    set_below(text, &self::object(text, member.value.start)?, rest, value)
}

fn remove_below(text: &str, object: &Object, keys: &[&str]) -> Option<Edit> {
    let (key, rest) = keys.split_first()?;
    let at = object.members.iter().rposition(|member| member.key == *key)?;
    let member = object.members.get(at)?;
    if !rest.is_empty() {
        return remove_below(text, &self::object(text, member.value.start)?, rest);
    }
    let previous = at.checked_sub(1).and_then(|at| object.members.get(at));
    let range = match (previous, object.members.get(at + 1)) {
        (Some(previous), _) => previous.value.end..member.value.end,
        (None, Some(next)) => member.start..next.start,
        (None, None) => object.open + 1..object.close,
    };
    Some((range, String::new()))
}

/// A new last member, laid out as its neighbours are.
fn inserted(text: &str, object: &Object, key: &str, value: &Value) -> Edit {
    let key = Value::from(key);
    if let Some(last) = object.members.last() {
        let own_line = text
            .get(..last.start)
            .and_then(|before| before.rsplit('\n').next())
            .is_some_and(|before| before.trim().is_empty() && last.start > before.len());
        let new = if own_line {
            let indent = line_indent(text, last.start);
            format!(",{}{indent}{key}: {}", newline(text), pretty(text, &indent, value))
        } else {
            format!(", {key}: {value}")
        };
        return (last.value.end..last.value.end, new);
    }
    let (outer, newline) = (line_indent(text, object.open), newline(text));
    let indent = format!("{outer}{}", unit(text));
    let value = pretty(text, &indent, value);
    (object.open..object.close + 1, format!("{{{newline}{indent}{key}: {value}{newline}{outer}}}"))
}

/// The value over several lines, those after the first indented by `indent` and more.
fn pretty(text: &str, indent: &str, value: &Value) -> String {
    // With two spaces, and a string of JSON holds no line break: so the lines can be taken one by one.
    let plain = format!("{value:#}");
    let unit = unit(text);
    let lines = plain.lines().map(|line| {
        let content = line.trim_start_matches(' ');
        format!("{}{content}", unit.repeat((line.len() - content.len()) / 2))
    });
    lines.collect::<Vec<_>>().join(&format!("{}{indent}", newline(text)))
}

fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// One step of indentation: that of the first member.
fn unit(text: &str) -> String {
    let first = object(text, 0)
        .and_then(|root| root.members.first().map(|first| line_indent(text, first.start)));
    first.filter(|indent| !indent.is_empty()).unwrap_or_else(|| "  ".to_owned())
}

/// The white space that the line of this byte begins with.
fn line_indent(text: &str, at: usize) -> String {
    let line = text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
    line.chars().take_while(|c| *c == ' ' || *c == '\t').collect()
}

struct Object {
    open: usize,
    close: usize,
    members: Vec<Member>,
}

struct Member {
    key: String,
    /// Where its key stands.
    start: usize,
    value: Range<usize>,
}

impl Object {
    /// Of members with one name, engines take the last.
    fn member(&self, key: &str) -> Option<&Member> {
        self.members.iter().rev().find(|member| member.key == key)
    }
}

/// Where the parts of the object at `from` stand; `None` where there is none. The text is JSON, as
/// [`parse`] has seen.
fn object(text: &str, from: usize) -> Option<Object> {
    let bytes = text.as_bytes();
    let open = skip_space(bytes, from);
    if bytes.get(open) != Some(&b'{') {
        return None;
    }
    let mut members = Vec::new();
    let mut at = open + 1;
    loop {
        at = skip_space(bytes, at);
        match bytes.get(at)? {
            b'}' => return Some(Object { open, close: at, members }),
            b',' => at += 1,
            _ => {
                let start = at;
                at = string_end(bytes, at)?;
                let key = serde_json::from_str(text.get(start..at)?).ok()?;
                at = skip_space(bytes, skip_space(bytes, at) + 1);
                let end = value_end(bytes, at)?;
                members.push(Member { key, start, value: at..end });
                at = end;
            }
        }
    }
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|byte| b" \t\r\n".contains(byte)).count()
}

/// The byte after the string that begins at `from`.
fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The byte after the value that begins at `from`.
fn value_end(bytes: &[u8], from: usize) -> Option<usize> {
    let (mut at, mut depth) = (from, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => at = string_end(bytes, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth -= 1;
                at += 1;
            }
            // A number or a word.
            _ if depth == 0 => {
                let rest = bytes.get(at..)?;
                at += rest.iter().take_while(|byte| !b",]} \t\r\n".contains(byte)).count();
            }
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_is_laid_out_as_its_neighbours() {
        let cases = [
            ("{}", "{\n  \"a\": {\n    \"b\": 1\n  }\n}"),
            (
                "{\n\t\"x\": [1,  2]\n}\n",
                "{\n\t\"x\": [1,  2],\n\t\"a\": {\n\t\t\"b\": 1\n\t}\n}\n",
            ),
            ("{\"x\": 1e3}", "{\"x\": 1e3, \"a\": {\"b\":1}}"),
            ("{\n    \"a\": {}\n}", "{\n    \"a\": {\n        \"b\": 1\n    }\n}"),
            (
                "{\n \"a\": {\n  \"c\": \"}\"\n }\n}",
                "{\n \"a\": {\n  \"c\": \"}\",\n  \"b\": 1\n }\n}",
            ),
            ("{\"a\": {\"b\": [{\"c\": \"\\\"]\"}], \"d\": 2}}", "{\"a\": {\"b\": 1, \"d\": 2}}"),
            ("{\r\n  \"x\": 0\r\n}", "{\r\n  \"x\": 0,\r\n  \"a\": {\r\n    \"b\": 1\r\n  }\r\n}"),
            ("{\"a\": 7}", "{\"a\": 7}"),
        ];
        for (before, after) in cases {
            assert_eq!(set(before, &["a", "b"], &json!(1)), after, "{before}");
        }
    }

    #[test]
    fn a_member_goes_with_one_comma() {
        let cases = [
            ("{\"a\": 1}", "{}"),
            ("{\n  \"a\": 1,\n  \"b\": 2\n}", "{\n  \"b\": 2\n}"),
            ("{\n  \"b\": 2,\n  \"a\": {\"c\": 1}\n}", "{\n  \"b\": 2\n}"),
            ("{\"x\": 1, \"a\": 2, \"y\": 3}", "{\"x\": 1, \"y\": 3}"),
            ("{\"b\": 1}", "{\"b\": 1}"),
        ];
        for (before, after) in cases {
            assert_eq!(remove(before, &["a"]), after, "{before}");
        }
        assert_eq!(remove("{\"f\": {\"a\": 1}}", &["f", "a"]), "{\"f\": {}}");
    }

    proptest::proptest! {
        /// Against serde_json's own reading, on documents with hostile strings.
        #[test]
        fn set_and_remove_mean_what_they_say(keys in proptest::collection::vec("[ab\"\\\\{},: é]{0,3}", 0..5), spaced: bool) {
            let object: serde_json::Map<String, Value> =
                keys.iter().map(|key| (key.clone(), json!({key.clone(): [key, 1, {}]}))).collect();
            let value = Value::Object(object);
            let text = if spaced { format!("{value:#}") } else { value.to_string() };
            let mut wanted = value.clone();
            wanted["new"] = json!({"x": true});
            let added = set(&text, &["new", "x"], &json!(true));
            proptest::prop_assert_eq!(serde_json::from_str::<Value>(&added).unwrap(), wanted);
            proptest::prop_assert_eq!(&remove(&added, &["new"]), &text);
            if let Some(key) = keys.first() {
                let mut wanted = value.clone();
                wanted.as_object_mut().unwrap().shift_remove(key);
                proptest::prop_assert_eq!(serde_json::from_str::<Value>(&remove(&text, &[key])).unwrap(), wanted);
            }
        }
    }
}

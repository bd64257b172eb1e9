//! Docker: daemon.json, merged.

use super::record::Trace;
use super::{Activation, Error, Files, Options, Wanted, json};
use serde_json::{Value, json};
use std::path::Path;

/// Where dockerd looks by itself.
pub(super) const CONFIG: &str = "/etc/docker/daemon.json";

const DEFAULT: [&str; 1] = ["default-runtime"];
const CDI: [&str; 2] = ["features", "cdi"];
/// From this Docker on, CDI is on unless `features` says otherwise (moby pull request 49963).
const CDI_ON: (u32, u32) = (28, 2);

pub(super) fn wanted(
    path: &Path,
    base: &Files,
    options: &Options,
    version: Option<(u32, u32)>,
) -> Result<Vec<Wanted>, Error> {
    let text = document(base.get(path).map(String::as_str));
    let value = json::parse(path, text)?;
    for key in ["runtimes", "features"] {
        if value.get(key).is_some_and(|found| !found.is_object()) {
            let byte = text.find(&format!("\"{key}\"")).unwrap_or_default();
            let message = format!("{key:?} is expected to be an object in braces");
            return Err(Error::malformed(path, text, byte, message));
        }
    }
    let mut text = text.to_owned();
    let mut why = vec![format!("the runtime {}", options.runtime_name)];
    let cdi = match at(&value, &CDI) {
        Some(said) => said == Value::Bool(true),
        None => version.is_some_and(|version| version >= CDI_ON),
    };
    if options.cdi && !cdi {
        text = json::set(&text, &CDI, &json!(true));
        why.push("CDI devices".to_owned());
    }
    let runtime = json!({ "path": options.runtime_path });
    text = json::set(&text, &["runtimes", &options.runtime_name], &runtime);
    if options.set_as_default {
        text = json::set(&text, &DEFAULT, &json!(options.runtime_name));
        why.push("as the default".to_owned());
    }
    if base.get(path).is_none_or(|there| there.trim().is_empty()) {
        text.push('\n');
    }
    Ok(vec![Wanted { path: path.into(), text, why: why.join(", ") }])
}

/// An absent file and an empty one are an object without members, to dockerd too.
fn document(text: Option<&str>) -> &str {
    text.filter(|text| !text.trim().is_empty()).unwrap_or("{}")
}

/// Takes out what divvy wrote and nobody changed since. `None`: nothing is left of a file that divvy made.
pub(super) fn taken_out(
    path: &Path,
    current: &str,
    trace: Option<&Trace>,
    name: &str,
) -> Result<Option<String>, Error> {
    let value = json::parse(path, document(Some(current)))?;
    let read = |text: Option<&str>| json::parse(path, document(text)).unwrap_or_default();
    let before = read(trace.and_then(|trace| trace.before.as_deref()));
    let runtime = ["runtimes", name];
    let mut text = current.to_owned();
    for keys in [&runtime[..], &DEFAULT, &CDI] {
        let found = at(&value, keys);
        let ours = match trace {
            Some(trace) => at(&read(Some(&trace.after)), keys),
            // Without a record the name tells; whether CDI was on before can't be told, and it harms nobody.
            None if keys == runtime => found.clone(),
            None if keys == DEFAULT => found.clone().filter(|found| found == name),
            None => None,
        };
        let old = at(&before, keys);
        if found.is_none() || found != ours || found == old {
            continue;
        }
        text = match old {
            Some(old) => json::set(&text, keys, &old),
            None => json::remove(&text, keys),
        };
        text = without_empty_parent(&text, keys, &before);
    }
    let made = trace.is_some_and(|trace| trace.before.is_none());
    let empty = read(Some(&text)).as_object().is_some_and(serde_json::Map::is_empty);
    Ok((!(made && empty)).then_some(text))
}

fn at(value: &Value, keys: &[&str]) -> Option<Value> {
    keys.iter().try_fold(value, |value, key| value.get(key)).cloned()
}

fn without_empty_parent(text: &str, keys: &[&str], before: &Value) -> String {
    let (Some(parent), true) = (keys.first(), keys.len() > 1) else { return text.to_owned() };
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let empty = value.get(parent).and_then(Value::as_object).is_some_and(serde_json::Map::is_empty);
    if empty && before.get(parent).is_none() {
        return json::remove(text, &[parent]);
    }
    text.to_owned()
}

/// On SIGHUP dockerd reads its runtimes again. It sets CDI up when it starts, and keeps a default runtime that its
/// file no longer names (tried, 26.1 and 28.5).
pub(super) fn activation(path: &Path, before: Option<&str>, after: Option<&str>) -> Activation {
    let read = |text| json::parse(path, document(text)).unwrap_or_default();
    let (before, after) = (read(before), read(after));
    let loses_default = at(&before, &DEFAULT).is_some() && at(&after, &DEFAULT).is_none();
    if at(&before, &CDI) == at(&after, &CDI) && !loses_default {
        return Activation::Reload { service: "docker" };
    }
    let warning = Some("it stops running containers unless live-restore is on");
    Activation::Restart { service: "docker", warning }
}

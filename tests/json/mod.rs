//! What commands print with `--output json`, in many states of a node, against the schemas that
//! `divvy schema` prints.

mod claims;
mod layouts;
mod machine;

use crate::claims::site::Site;
use crate::common::schema;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Each schema, by the name of its command.
fn schemas() -> &'static BTreeMap<String, Value> {
    static SCHEMAS: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let divvy = |words: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_divvy")).args(words).output().unwrap();
            (output.status.code(), output)
        };
        let (code, said) = divvy(&["schema", "nothing"]);
        assert_eq!(code, Some(2), "{said:?}");
        let said = String::from_utf8(said.stderr).unwrap();
        let (_, names) = said.split_once("[possible values: ").unwrap();
        let names = names.split(']').next().unwrap().split([',', '\n']).map(str::trim);
        let schema = |name: &str| {
            let (code, said) = divvy(&["schema", name]);
            assert_eq!(code, Some(0), "{said:?}");
            (name.to_owned(), serde_json::from_slice(&said.stdout).unwrap())
        };
        names.filter(|name| !name.is_empty()).map(schema).collect()
    })
}

/// What a command prints on the node, which its schema must describe to the last key.
#[track_caller]
fn told(site: &Site, words: &[&str], code: i32) -> Value {
    tell(&mut site.command(words), words, code)
}

#[track_caller]
fn tell(command: &mut Command, words: &[&str], code: i32) -> Value {
    let output = command.args(["--output", "json"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"));
    let two = words.iter().take(2).copied().collect::<Vec<_>>().join("-");
    let schema = schemas().get(&two).or_else(|| schemas().get(words[0]));
    let schema = schema.unwrap_or_else(|| panic!("{words:?} have no schema"));
    schema::describes(schema, &printed).unwrap_or_else(|why| panic!("{words:?}: {why}"));
    printed
}

#[test]
fn the_schemas() {
    for (name, schema) in schemas() {
        insta::assert_json_snapshot!(name.clone(), schema);
    }
}

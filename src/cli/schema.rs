//! `divvy schema`.

use super::answer::{Answer, Document, Failure, PlainRefusal};
use super::taken_back::TakenBack;
use super::{cdi, claims, mig, reconcile, release, runtime};
use crate::doctor;
use crate::labels::Labels;
use crate::ops::grant::Grant;
use crate::ops::list::Listing;
use crate::ops::mig::{Differences, Export, GpuProfiles, Report as Applied};
use crate::ops::refresh::Refreshed;
use crate::ops::remove_specs::Removed;
use crate::ops::validate::Checked;
use crate::plan::{Plan, Refusal};
use crate::refused::Refused;
use crate::status::Status;
use clap::{Args, ValueEnum};
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// The command, its words joined by hyphens
    #[arg(value_enum, value_name = "COMMAND")]
    command: Answering,
}

/// A command that answers in JSON.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Answering {
    CdiList,
    CdiValidate,
    CdiRefresh,
    RuntimeConfigure,
    MigProfiles,
    MigApply,
    MigAssert,
    MigExport,
    Plan,
    Prepare,
    Release,
    Reconcile,
    Claims,
    Status,
    Labels,
    Doctor,
}

pub(super) fn run(args: &SchemaArgs) -> Result<Answer, Failure> {
    let mut text = serde_json::to_string_pretty(&schema(args.command))?;
    text.push('\n');
    Ok(Answer::text(text))
}

/// One form of an answer, and when it is printed.
struct Form {
    when: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

fn form<T: JsonSchema>(when: &'static str) -> Form {
    Form { when, schema: SchemaGenerator::subschema_for::<T> }
}

const DONE: &str = "With exit code 0.";
const REFUSED: &str = "With exit code 3.";

/// What a command prints.
fn forms(of: Answering) -> Vec<Form> {
    match of {
        Answering::CdiList => vec![form::<Listing>(DONE)],
        Answering::CdiValidate => {
            vec![form::<Vec<Checked>>("With exit code 0, or 1 where a file is not valid.")]
        }
        Answering::CdiRefresh => vec![
            form::<Refreshed>(DONE),
            form::<Removed>("With --remove and exit code 0."),
            form::<cdi::Taken>(REFUSED),
        ],
        Answering::RuntimeConfigure => {
            vec![form::<runtime::Report>(DONE), form::<PlainRefusal>(REFUSED)]
        }
        Answering::MigProfiles => vec![form::<Vec<GpuProfiles>>(DONE)],
        Answering::MigApply => vec![
            form::<Applied>("With exit code 0, or 4 where MIG mode waits for a reset or a reboot."),
            form::<mig::Failed>("With exit code 1, 2, 3 or 4."),
        ],
        Answering::MigAssert => vec![
            form::<Differences>("With exit code 0, or 1 where the layout doesn't hold."),
            form::<mig::Failed>("With exit code 1, 2 or 4."),
        ],
        Answering::MigExport => vec![form::<Export>(DONE)],
        Answering::Plan => vec![form::<Plan>(DONE), form::<Refusal>(REFUSED)],
        Answering::Prepare => vec![
            form::<Grant>(DONE),
            form::<Plan>("With --dry-run and exit code 0."),
            form::<Refusal>(REFUSED),
            form::<PlainRefusal>(REFUSED),
        ],
        Answering::Release => vec![
            form::<TakenBack>("With each exit code but 2."),
            form::<release::Plan>("With --dry-run and exit code 0."),
        ],
        Answering::Reconcile => vec![
            form::<TakenBack>("With exit code 0, or 1 where something failed."),
            form::<reconcile::Would>("With --dry-run and exit code 0."),
        ],
        Answering::Claims => vec![
            form::<Vec<claims::Shown>>("The claims."),
            form::<Vec<Refused>>("With --refused, the newest first."),
        ],
        Answering::Status => vec![form::<Status>(DONE)],
        Answering::Labels => vec![form::<Labels>(DONE)],
        Answering::Doctor => {
            vec![form::<doctor::Report>("With exit code 0, or 1 where an error is found.")]
        }
    }
}

fn schema(of: Answering) -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let version = settings.meta_schema.clone();
    let mut generator = settings.into_generator();
    let one = |form: Form| {
        let mut schema = (form.schema)(&mut generator);
        schema.insert("description".to_owned(), form.when.into());
        schema.to_value()
    };
    let failed =
        form::<Document<'_>>("With any other exit code, but for mistakes on the command line.");
    let forms: Vec<Value> = forms(of).into_iter().chain([failed]).map(one).collect();
    let definitions = generator.take_definitions(true);
    let mut whole = Schema::from(Map::from_iter([
        ("$schema".to_owned(), json!(version)),
        ("title".to_owned(), json!(title(of))),
        ("anyOf".to_owned(), json!(forms)),
        ("$defs".to_owned(), json!(definitions)),
    ]));
    RecursiveTransform(open).transform(&mut whole);
    RecursiveTransform(without_null).transform(&mut whole);
    whole.ensure_object().clone()
}

fn title(of: Answering) -> String {
    let name = of.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    format!("What divvy {} prints with --output json", name.replacen('-', " ", 1))
}

/// What has no value is left out of an answer, and never null.
fn without_null(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let required = |key: &String| required.as_array().is_some_and(|all| all.contains(&json!(key)));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for property in properties.iter_mut().filter(|(key, _)| !required(key)).map(|(_, own)| own) {
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|name| *name != "null");
            if let [only] = &types[..] {
                property["type"] = only.clone();
            }
        }
        if let Some(Value::Array(any)) = property.get_mut("anyOf") {
            any.retain(|one| one["type"] != "null");
            if let ([Value::Object(only)], Some(property)) =
                (&any.clone()[..], property.as_object_mut())
            {
                property.remove("anyOf");
                property.extend(only.clone());
            }
        }
    }
}

/// A reader of an answer passes over fields that it doesn't know: later versions may have more.
fn open(schema: &mut Schema) {
    for closed in ["additionalProperties", "unevaluatedProperties"] {
        if schema.get(closed) == Some(&Value::Bool(false)) {
            schema.remove(closed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::usage;
    use clap::Command;
    use std::collections::BTreeSet;

    /// The commands below one that have `--output json`, their words joined by hyphens.
    fn answering(command: &Command, above: &[&str], found: &mut BTreeSet<String>) {
        for below in command.get_subcommands() {
            let path = [above, &[below.get_name()]].concat();
            let output = below.get_arguments().find(|option| option.get_long() == Some("output"));
            let forms = output.map(|option| option.get_possible_values()).unwrap_or_default();
            if forms.iter().any(|form| form.get_name() == "json") {
                found.insert(path.join("-"));
            }
            answering(below, &path, found);
        }
    }

    #[test]
    fn every_command_that_answers_in_json_has_a_schema() {
        let mut found = BTreeSet::new();
        answering(&usage::command(), &[], &mut found);
        let named = Answering::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        assert_eq!(found, named.map(|value| value.get_name().to_owned()).collect());
    }

    #[test]
    fn nothing_is_null() {
        for of in Answering::value_variants() {
            let text = serde_json::to_string(&schema(*of)).unwrap();
            assert!(!text.contains("\"null\""), "{of:?}: {text}");
        }
    }
}

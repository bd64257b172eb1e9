//! Reading TOML, and making tables of what was read.

use super::Error;
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, TomlError, Value};

/// The tables of a text, without their comments and layout: to look things up in, and to copy from.
///
/// # Errors
/// It isn't TOML.
pub(super) fn parse(path: &Path, text: &str) -> Result<Table, Error> {
    let document: DocumentMut = text.parse().map_err(|error| malformed(path, text, &error))?;
    Ok(plain(document.as_table()))
}

/// The error of a text that isn't TOML.
pub(super) fn malformed(path: &Path, text: &str, error: &TomlError) -> Error {
    let byte = error.span().map_or(0, |span| span.start);
    Error::malformed(path, text, byte, error.message().replace('\n', ", "))
}

fn plain(table: &dyn TableLike) -> Table {
    let mut plain = empty();
    for (key, item) in table.iter() {
        plain.insert(key, plain_item(item));
    }
    plain
}

fn plain_item(item: &Item) -> Item {
    if let Some(table) = item.as_table_like() {
        return Item::Table(plain(table));
    }
    match item {
        Item::Value(value) => {
            let mut value = value.clone();
            value.decor_mut().clear();
            Item::Value(value)
        }
        other => other.clone(),
    }
}

/// A table whose heading is written only if it has values of its own.
fn empty() -> Table {
    let mut table = Table::new();
    table.set_implicit(true);
    table
}

/// Lays one table over another: tables are joined, values replaced.
pub(super) fn merge(under: &mut Table, over: &Table) {
    for (key, item) in over {
        match (under.get_mut(key).and_then(Item::as_table_mut), item.as_table()) {
            (Some(under), Some(over)) => merge(under, over),
            _ => drop(under.insert(key, item.clone())),
        }
    }
}

/// The table at a path of keys.
pub(super) fn table<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Table> {
    path.iter().try_fold(table, |table, key| table.get(key)?.as_table())
}

/// The table at a path of keys, made where it is missing.
///
/// # Errors
/// Something else stands there: its key.
pub(super) fn table_mut<'a>(table: &'a mut Table, path: &[&str]) -> Result<&'a mut Table, String> {
    path.iter().try_fold(table, |table, key| {
        let item = table.entry(key).or_insert_with(|| Item::Table(empty()));
        item.as_table_mut().ok_or_else(|| (*key).to_owned())
    })
}

/// A list of strings.
pub(super) fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> Item {
    Item::Value(Value::Array(words.into_iter().collect::<Array>()))
}

/// The strings of a list; what else is in it is left out.
pub(super) fn words(item: Option<&Item>) -> Vec<&str> {
    item.and_then(Item::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

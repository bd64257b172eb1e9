//! From the file to the values.

use super::{At, DeviceFilter, Devices, Entry, Layouts, MigProfile, Want, Wish};
use crate::document::{self, FileError, Wrong};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The key of a ConfigMap that mig-manager reads.
const CONFIG_MAP_KEY: &str = "config.yaml";

impl From<Location> for At {
    fn from(location: Location) -> At {
        At { line: location.line(), column: location.column() }
    }
}

impl Layouts {
    /// Reads a file.
    ///
    /// # Errors
    /// It can't be read, or something in it has no meaning: where, and what would be right.
    pub fn load(path: &Path) -> Result<Layouts, FileError> {
        Layouts::parse(&document::read(path)?, path)
    }

    /// Reads a file's text; `path` is for errors.
    ///
    /// # Errors
    /// Something has no meaning.
    pub fn parse(text: &str, path: &Path) -> Result<Layouts, FileError> {
        read(text).map_err(|wrong| FileError::wrong(path, wrong))
    }

    fn places(&mut self) -> impl Iterator<Item = &mut At> {
        self.labels.values_mut().flatten().flat_map(|entry| {
            let wishes = match &mut entry.want {
                Want::Off => [].iter_mut(),
                Want::On(wishes) => wishes.iter_mut(),
            };
            [&mut entry.at, &mut entry.devices_at].into_iter().chain(wishes.map(|w| &mut w.at))
        })
    }
}

/// A manifest, as far as it tells what it is.
#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct ConfigMap {
    #[serde(default)]
    data: BTreeMap<String, Spanned<String>>,
}

fn read(text: &str) -> Result<Layouts, Wrong> {
    // What is wrong with another document is for its own reader to say.
    let kind = document::parse::<Kind>(text).ok().and_then(|manifest| manifest.kind);
    if kind.as_deref() != Some("ConfigMap") {
        return document::parse(text);
    }
    let mut data = document::parse::<ConfigMap>(text)?.data;
    let only = (data.len() == 1).then(|| data.pop_first()).flatten().map(|(_, said)| said);
    let said = data.remove(CONFIG_MAP_KEY).or(only).ok_or_else(|| Wrong {
        line: 1,
        column: 1,
        message: format!("the ConfigMap has no data of the key {CONFIG_MAP_KEY:?}"),
    })?;
    let mut layouts: Layouts = document::parse_inner(&said.value, text, said.referenced)?;
    for at in layouts.places() {
        let place = (at.line, at.column);
        let there = document::outer_place(place, &said.value, text, said.referenced);
        let start = (said.referenced.line(), said.referenced.column());
        (at.line, at.column) = there.unwrap_or(start);
    }
    Ok(layouts)
}

/// A file's keys as they stand.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", schemars(rename = "MigParted"))]
pub(super) struct Form {
    /// The form's version
    #[allow(dead_code)] // Read for its one value.
    version: Version,
    /// Layouts by label
    #[cfg_attr(feature = "cli", schemars(with = "BTreeMap<String, Vec<Keys>>"))]
    mig_configs: BTreeMap<String, Vec<Spanned<EntryForm>>>,
}

/// The only version that there is.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
enum Version {
    #[serde(rename = "v1")]
    V1,
}

impl TryFrom<Form> for Layouts {
    type Error = String;

    fn try_from(form: Form) -> Result<Layouts, String> {
        let mut labels = BTreeMap::new();
        for (label, forms) in form.mig_configs {
            if forms.is_empty() {
                return Err(format!(
                    "the layout {label:?} has no entry: to leave GPUs alone, leave it out"
                ));
            }
            labels.insert(label, forms.into_iter().map(entry).collect());
        }
        Ok(Layouts { labels })
    }
}

/// An entry's keys as they stand.
#[derive(Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[cfg_attr(feature = "cli", schemars(rename = "LayoutEntry"))]
struct Keys {
    /// Boards that it is for, by PCI device and vendor, as "0x20B010DE"; all, if not said
    #[cfg_attr(feature = "cli", schemars(with = "Option<OneOrMore>"))]
    device_filter: Option<Filters>,
    /// Which GPUs: all, or a list of indices
    #[cfg_attr(feature = "cli", schemars(with = "AllOrIndices"))]
    devices: Spanned<Devices>,
    /// Whether MIG mode is on
    mig_enabled: bool,
    /// How many MIG devices of which profile; {} for none
    #[cfg_attr(feature = "cli", schemars(with = "Option<BTreeMap<String, u32>>"))]
    mig_devices: Option<Wishes>,
}

/// How filters are written, for the schema.
#[cfg(feature = "cli")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// How GPUs are written, for the schema.
#[cfg(feature = "cli")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum AllOrIndices {
    All(All),
    Indices(Vec<u32>),
}

#[cfg(feature = "cli")]
#[derive(schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)]
enum All {
    All,
}

/// An entry without its place.
#[derive(Deserialize)]
#[serde(try_from = "Keys")]
struct EntryForm {
    filter: Vec<DeviceFilter>,
    devices: Spanned<Devices>,
    want: Want,
}

fn entry(form: Spanned<EntryForm>) -> Entry {
    let EntryForm { filter, devices, want } = form.value;
    let devices_at = devices.referenced.into();
    Entry { filter, devices: devices.value, devices_at, want, at: form.referenced.into() }
}

impl TryFrom<Keys> for EntryForm {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<EntryForm, &'static str> {
        let want = match (keys.mig_enabled, keys.mig_devices.map(|Wishes(wishes)| wishes)) {
            (true, None) => {
                return Err(
                    "mig-enabled: true needs the key \"mig-devices\": {} is MIG mode without MIG devices",
                );
            }
            (true, Some(wishes)) if !wishes.is_empty() && wishes.iter().all(|w| w.count == 0) => {
                return Err("mig-devices counts none at all: {} is MIG mode without MIG devices");
            }
            (true, Some(wishes)) => Want::On(wishes),
            (false, Some(wishes)) if !wishes.is_empty() => {
                return Err("mig-enabled: false leaves no MIG devices: take mig-devices out");
            }
            (false, _) => Want::Off,
        };
        let filter = keys.device_filter.map(|Filters(filters)| filters).unwrap_or_default();
        Ok(EntryForm { filter, devices: keys.devices, want })
    }
}

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Devices, D::Error> {
        struct AllOrList;

        impl<'de> Visitor<'de> for AllOrList {
            type Value = Devices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("devices: all, or a list of indices as [0, 1]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Devices, E> {
                let shown: String = text.chars().take(40).collect();
                match text {
                    "all" => Ok(Devices::All),
                    _ => Err(E::custom(format_args!(
                        "devices is all, or a list of indices as [0, 1], and not {shown:?}"
                    ))),
                }
            }

            fn visit_u64<E: Error>(self, index: u64) -> Result<Devices, E> {
                Err(E::custom(format_args!("devices is a list: write [{index}]")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Devices, A::Error> {
                let mut indices = Vec::new();
                while let Some(Index(index)) = list.next_element()? {
                    if indices.contains(&index) {
                        return Err(A::Error::custom(format_args!("devices names {index} twice")));
                    }
                    indices.push(index);
                }
                if indices.is_empty() {
                    return Err(A::Error::custom("devices names none: all, or a list as [0, 1]"));
                }
                Ok(Devices::Indices(indices))
            }
        }
        deserializer.deserialize_any(AllOrList)
    }
}

/// NVML's index of a GPU.
struct Index(u32);

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Index, D::Error> {
        let index = i64::deserialize(deserializer)?;
        let none = || D::Error::custom(format_args!("{index} is no index of a GPU"));
        u32::try_from(index).map(Index).map_err(|_| none())
    }
}

struct Filters(Vec<DeviceFilter>);

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Filters, D::Error> {
        struct OneOrList;

        impl<'de> Visitor<'de> for OneOrList {
            type Value = Filters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a device filter as \"0x20B010DE\", or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Filters, E> {
                // Said and empty, it is for all boards.
                let one = (!text.is_empty()).then(|| filter(text)).transpose();
                Ok(Filters(one.map_err(E::custom)?.into_iter().collect()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Filters, E> {
                Err(E::custom(format_args!("a device filter is a text: write \"0x{number:08X}\"")))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Filters, A::Error> {
                let mut filters = Vec::new();
                while let Some(One(filter)) = list.next_element()? {
                    filters.push(filter);
                }
                Ok(Filters(filters))
            }
        }
        deserializer.deserialize_any(OneOrList)
    }
}

struct One(DeviceFilter);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<One, D::Error> {
        filter(&String::deserialize(deserializer)?).map(One).map_err(D::Error::custom)
    }
}

/// `0x20B010DE`, or with the subsystem `0x233010DE:0x16C110DE`.
fn filter(text: &str) -> Result<DeviceFilter, String> {
    let number = |text: &str| {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        let plain = digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| plain)
    };
    let read = match text.split_once(':') {
        None => number(text).map(|device| DeviceFilter { device, subsystem: None }),
        Some((device, subsystem)) => number(device)
            .zip(number(subsystem))
            .map(|(device, subsystem)| DeviceFilter { device, subsystem: Some(subsystem) }),
    };
    read.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        format!(
            "{shown:?} is no device filter: one is written as 0x20B010DE (PCI device and vendor), or with the subsystem as 0x233010DE:0x16C110DE"
        )
    })
}

struct Wishes(Vec<Wish>);

impl<'de> Deserialize<'de> for Wishes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Wishes, D::Error> {
        struct Counted;

        impl<'de> Visitor<'de> for Counted {
            type Value = Wishes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("mig-devices: a mapping from profiles to counts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wishes, A::Error> {
                let mut wishes = Vec::new();
                while let Some(key) = map.next_key::<Spanned<MigProfile>>()? {
                    let Count(count) = map.next_value()?;
                    wishes.push(Wish { profile: key.value, count, at: key.referenced.into() });
                }
                Ok(Wishes(wishes))
            }
        }
        deserializer.deserialize_map(Counted)
    }
}

impl<'de> Deserialize<'de> for MigProfile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MigProfile, D::Error> {
        MigProfile::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// How many MIG devices.
struct Count(u32);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        match i64::deserialize(deserializer)?.try_into() {
            Ok(count @ 0..=1000) => Ok(Count(count)),
            _ => Err(D::Error::custom("a count of MIG devices is a number from 0 up")),
        }
    }
}

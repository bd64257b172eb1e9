//! Names: `vendor/class` (a kind), a device's name, and `vendor/class=name`.
//!
//! The character rules are those of the CDI reference library's parser, which every engine uses; the lengths are
//! those of the CDI specification, section "Kind".

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The longest vendor that the specification allows, in bytes.
const VENDOR_MAX: usize = 253;
/// The longest class that the specification allows, in bytes.
const CLASS_MAX: usize = 63;

/// A name that breaks CDI's rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// A part of the name, or the mark that ends it, is missing.
    #[error("{name:?} has no {part}: a CDI {expected} looks like \"{example}\"")]
    Missing {
        /// The whole name.
        name: String,
        /// What is missing.
        part: &'static str,
        /// What was to be parsed.
        expected: &'static str,
        /// A right one.
        example: &'static str,
    },
    /// A character that may not stand where it stands.
    #[error(
        "{name:?}: {character:?} at character {position} of the {part} is not allowed; {allowed}"
    )]
    Character {
        /// The part that is wrong.
        name: String,
        /// Which part it is: vendor, class or device name.
        part: &'static str,
        /// The wrong character.
        character: char,
        /// Its place in the part, counted from 1.
        position: usize,
        /// What may stand there.
        allowed: &'static str,
    },
    /// A part that is longer than the specification allows.
    #[error("the {part} {name:?} is {length} bytes long; CDI allows {max}")]
    Length {
        /// The part that is too long.
        name: String,
        /// Which part it is: vendor or class.
        part: &'static str,
        /// Its length in bytes.
        length: usize,
        /// The longest that is allowed, in bytes.
        max: usize,
    },
}

/// A device kind: `vendor/class`, such as `nvidia.com/gpu`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Kind {
    vendor: String,
    class: String,
}

impl Kind {
    /// The vendor: a domain name such as `nvidia.com`.
    pub fn vendor(&self) -> &str {
        &self.vendor
    }

    /// The class of devices, such as `gpu`.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The full name of this kind's device `name`.
    pub fn device(&self, name: DeviceName) -> QualifiedName {
        QualifiedName { kind: self.clone(), name }
    }
}

impl FromStr for Kind {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let missing = |part| NameError::Missing {
            name: text.into(),
            part,
            expected: "kind",
            example: "vendor.com/class",
        };
        let (vendor, class) = text.split_once('/').ok_or_else(|| missing("'/'"))?;
        if vendor.is_empty() {
            return Err(missing("vendor"));
        }
        if class.is_empty() {
            return Err(missing("class"));
        }
        check_characters(vendor, "vendor", First::Letter, "")?;
        check_characters(class, "class", First::Letter, "")?;
        check_length(vendor, "vendor", VENDOR_MAX)?;
        check_length(class, "class", CLASS_MAX)?;
        Ok(Kind { vendor: vendor.into(), class: class.into() })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.vendor, self.class)
    }
}

/// The name of one device within its kind, such as `0`, `0:1` or `all`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceName(String);

impl DeviceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DeviceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        DeviceName::try_from(text.to_owned())
    }
}

impl TryFrom<String> for DeviceName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Missing {
                name: text,
                part: "characters",
                expected: "device name",
                example: "gpu0",
            });
        }
        check_characters(&text, "device name", First::LetterOrDigit, ":")?;
        Ok(DeviceName(text))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The full name of a device, as an engine is given it: `vendor/class=name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct QualifiedName {
    /// Vendor and class.
    pub kind: Kind,
    /// The device of that kind.
    pub name: DeviceName,
}

impl FromStr for QualifiedName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (kind, name) = text.split_once('=').ok_or_else(|| NameError::Missing {
            name: text.into(),
            part: "'='",
            expected: "device",
            example: "vendor.com/class=name",
        })?;
        Ok(QualifiedName { kind: kind.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for QualifiedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind, self.name)
    }
}

/// What a name part may begin with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Letter,
    LetterOrDigit,
}

/// Checks `text`, which is not empty: its first character by `first`, the last a letter or digit, and between them
/// letters, digits, `_`, `-`, `.` and the characters of `extra`.
fn check_characters(
    text: &str,
    part: &'static str,
    first: First,
    extra: &str,
) -> Result<(), NameError> {
    let count = text.chars().count();
    for (index, character) in text.chars().enumerate() {
        let allowed = match (index, first) {
            (0, First::Letter) if !character.is_ascii_alphabetic() => "it begins with a letter",
            (0, First::LetterOrDigit) if !character.is_ascii_alphanumeric() => {
                "it begins with a letter or a digit"
            }
            _ if character.is_ascii_alphanumeric() => continue,
            _ if !"_-.".contains(character) && !extra.contains(character) => {
                if extra.is_empty() {
                    "letters, digits, '_', '-' and '.' are"
                } else {
                    "letters, digits, '_', '-', '.' and ':' are"
                }
            }
            _ if index + 1 == count => "it ends with a letter or a digit",
            _ => continue,
        };
        return Err(NameError::Character {
            name: text.into(),
            part,
            character,
            position: index + 1,
            allowed,
        });
    }
    Ok(())
}

fn check_length(text: &str, part: &'static str, max: usize) -> Result<(), NameError> {
    if text.len() > max {
        return Err(NameError::Length { name: text.into(), part, length: text.len(), max });
    }
    Ok(())
}

/// serde's `try_from = "String"` and `into = "String"` for the names that are parsed from a borrowed text.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
    )*};
}

/// Every name prints as the text that it was parsed from.
macro_rules! into_text {
    ($($name:ty),*) => {$(
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }
    )*};
}

as_text!(Kind, QualifiedName);
into_text!(Kind, DeviceName, QualifiedName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_names_parse_and_print_back() {
        for name in ["nvidia.com/gpu=0", "v/c=a", "Vendor.x/c_l-a.ss=GPU-0:1.a_b", "divvy/claim=9"]
        {
            assert_eq!(name.parse::<QualifiedName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn wrong_names_say_which_character() {
        let cases = [
            ("gpu0", "no '='"),
            ("nvidia.com=0", "no '/'"),
            ("/gpu=0", "no vendor"),
            ("nvidia.com/=0", "no class"),
            ("nvidia.com/gpu=", "no characters"),
            ("0nvidia/gpu=0", "'0' at character 1 of the vendor"),
            ("nvidia.com/0gpu=0", "'0' at character 1 of the class"),
            ("nvidia com/gpu=0", "' ' at character 7 of the vendor"),
            ("nvidia.com/gp:u=0", "':' at character 3 of the class"),
            ("nvidia.com/gpu/x=0", "'/' at character 4 of the class"),
            ("nvidia.com/gpu.=0", "'.' at character 4 of the class"),
            ("nvidia.com/gpu=-1", "'-' at character 1 of the device name"),
            ("nvidia.com/gpu=1-", "'-' at character 2 of the device name"),
            ("nvidia.com/gpu=a=b", "'=' at character 2 of the device name"),
            ("nvidia.com/gpu=a\u{e9}b", "'é' at character 2 of the device name"),
            ("nvidia.com/gpu=a\n", "'\\n' at character 2 of the device name"),
        ];
        for (name, expected) in cases {
            let error = name.parse::<QualifiedName>().unwrap_err().to_string();
            assert!(error.contains(expected), "{name:?}: {error}");
        }
    }

    #[test]
    fn lengths_are_the_specifications() {
        let class = |n: usize| format!("v/{}", "c".repeat(n)).parse::<Kind>();
        assert!(class(63).is_ok());
        assert!(class(64).unwrap_err().to_string().contains("64 bytes long; CDI allows 63"));
        let vendor = |n: usize| format!("{}/c", "v".repeat(n)).parse::<Kind>();
        assert!(vendor(253).is_ok());
        assert!(vendor(254).is_err());
    }
}

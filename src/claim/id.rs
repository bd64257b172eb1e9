//! Names of claims and of device records; both are file names, so their letters are few.

use super::ContainerRef;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

/// A claim's id: 1 to 63 of `[A-Za-z0-9_.-]`, a letter or digit at both ends, as in names of CDI devices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimId(String);

/// What is wrong with a claim id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no claim id: use 1 to 63 letters, digits, '_', '.' and '-', with a letter or digit first and last, as in job-4711"
)]
pub struct InvalidClaimId(String);

impl FromStr for ClaimId {
    type Err = InvalidClaimId;

    fn from_str(text: &str) -> Result<Self, InvalidClaimId> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let fits = (1..=63).contains(&text.len()) && text.bytes().all(letter);
        let ends = [text.bytes().next(), text.bytes().last()];
        if fits && ends.iter().all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric())) {
            Ok(ClaimId(text.to_owned()))
        } else {
            // A hostile id may be long or hold control characters; neither belongs on a terminal.
            Err(InvalidClaimId(text.chars().take(80).flat_map(char::escape_debug).collect()))
        }
    }
}

impl ClaimId {
    /// A new id from 64 random bits.
    pub fn random(bits: u64) -> ClaimId {
        ClaimId(format!("c{bits:016x}"))
    }

    /// The id of the claim that belongs to a container and to nothing else: the same at each stage of its life.
    /// Readable, as in `ctr-3f2a9c-5b0d6b1f2c3d4e5f`; nothing rests on it being hard to guess.
    pub fn of_container(container: &ContainerRef) -> ClaimId {
        let letters = container.id.bytes().filter(u8::is_ascii_alphanumeric).map(char::from);
        let readable: String = letters.take(READABLE_LETTERS).collect();
        let id = container.id.as_bytes().iter().chain(&[0]);
        let hash = fnv1a(id.chain(container.bundle.as_os_str().as_bytes()));
        ClaimId(format!("ctr-{readable}-{hash:016x}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As many letters of a container's id as engines themselves show.
const READABLE_LETTERS: usize = 12;

/// 64-bit FNV-1a, which stays the same from one build to the next.
fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl TryFrom<String> for ClaimId {
    type Error = InvalidClaimId;

    fn try_from(text: String) -> Result<Self, InvalidClaimId> {
        text.parse()
    }
}

impl From<ClaimId> for String {
    fn from(id: ClaimId) -> String {
        id.0
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a device record: 16 hexadecimal digits, made up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeviceId(String);

impl DeviceId {
    /// A new id from 64 random bits.
    pub fn random(bits: u64) -> DeviceId {
        DeviceId(format!("{bits:016x}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 16 && text.bytes().all(hex) {
            Ok(DeviceId(text))
        } else {
            Err("a device id is 16 hexadecimal digits")
        }
    }
}

impl From<DeviceId> for String {
    fn from(id: DeviceId) -> String {
        id.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "cli")]
mod schemas {
    use super::{ClaimId, DeviceId};
    use crate::schema::text;

    text!(ClaimId, "ClaimId", "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$");
    text!(DeviceId, "DeviceId", "^[0-9a-f]{16}$");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_id_is_a_file_name_that_cannot_lead_away() {
        for good in ["a", "9", "job-4711", "A.b_c-d", &"x".repeat(63)] {
            assert_eq!(good.parse::<ClaimId>().unwrap().as_str(), good);
        }
        for bad in
            ["", ".", "..", "../x", "a/b", "-x", "_x", "x.", "a b", "a\nb", "ä", &"x".repeat(64)]
        {
            let error = bad.parse::<ClaimId>().unwrap_err().to_string();
            assert!(error.contains("is no claim id") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_containers_claim_has_an_id_of_its_own() {
        let of = |id: &str, bundle: &str| {
            ClaimId::of_container(&ContainerRef { id: id.into(), bundle: bundle.into() })
        };
        assert_eq!(of("c1", "/b").as_str(), "ctr-c1-27bd1acb7819c67a");
        for (id, bundle) in [("c1", "/c"), ("c", "1/b"), ("c1\0/b", ""), ("", "")] {
            assert_ne!(of("c1", "/b"), of(id, bundle));
        }
        for id in ["", "../..", "ä\n", &"x".repeat(5000)] {
            assert!(of(id, "/b").as_str().parse::<ClaimId>().is_ok(), "{id}");
        }
    }

    #[test]
    fn made_up_ids_are_valid() {
        assert!(ClaimId::random(u64::MAX).as_str().parse::<ClaimId>().is_ok());
        assert!(DeviceId::try_from(DeviceId::random(7).to_string()).is_ok());
        assert!(DeviceId::try_from("../../../etc/pas".to_owned()).is_err());
    }
}

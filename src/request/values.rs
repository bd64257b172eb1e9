//! The small values that requests are made of. Each exists only with a sensible content.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// What a percentage of threads is.
pub(super) const THREADS: &str = "threads is a percentage, a whole number from 1 to 100";
/// What an amount of memory is.
pub(super) const MEMORY: &str =
    "memory is a whole number of MiB, up to 16Ti, written with Ki, Mi, Gi or Ti, or in bytes";
/// What a number of compute slices is.
pub(super) const COMPUTE: &str = "compute is a number of compute slices from 1c to 16c";
/// What a count is.
pub(super) const COUNT: &str = "a count is a number from 1 to 64";

/// How long each claim computes before the next one's turn (`nvidia-smi compute-policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// The driver's own choice.
    Default,
    /// Short turns: quick answers, more switching.
    Short,
    /// Medium turns.
    Medium,
    /// Long turns: least switching.
    Long,
}

impl Interval {
    /// Every interval, by length.
    pub const ALL: [Interval; 4] =
        [Interval::Default, Interval::Short, Interval::Medium, Interval::Long];

    /// The word for it in requests.
    pub fn word(self) -> &'static str {
        match self {
            Interval::Default => "default",
            Interval::Short => "short",
            Interval::Medium => "medium",
            Interval::Long => "long",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Interval> {
        Interval::ALL.into_iter().find(|interval| interval.word() == word)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A share of a GPU's threads (`CUDA_MPS_ACTIVE_THREAD_PERCENTAGE`), 1 to 100 per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Percent(u8);

impl Percent {
    /// A percentage, where the number is one: 1 to 100.
    pub fn new(percent: u64) -> Option<Percent> {
        let percent = u8::try_from(percent).ok()?;
        (1..=100).contains(&percent).then_some(Percent(percent))
    }

    /// The number, 1 to 100.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Percent, D::Error> {
        Percent::new(u64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(THREADS))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An amount of GPU memory: whole MiB, which is what MPS counts in; 1 MiB to 16 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Memory {
    mib: u64,
}

impl Memory {
    const MAX_MIB: u64 = 16 << 20;

    /// An amount of so many MiB.
    pub fn from_mib(mib: u64) -> Option<Memory> {
        (1..=Memory::MAX_MIB).contains(&mib).then_some(Memory { mib })
    }

    /// The amount in MiB.
    pub fn mib(self) -> u64 {
        self.mib
    }

    /// Reads `10Gi`, `512Mi`, `1048576Ki`, and plain bytes.
    pub(crate) fn parse(text: &str) -> Option<Memory> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, unit) = text.split_at(digits);
        let bytes_per_unit = match unit {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => return None,
        };
        let bytes = decimal(digits)?.checked_mul(bytes_per_unit)?;
        (bytes % (1 << 20) == 0).then(|| Memory::from_mib(bytes >> 20)).flatten()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mib {
            mib if mib % 1024 == 0 => write!(f, "{}Gi", mib / 1024),
            mib => write!(f, "{mib}Mi"),
        }
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Memory, D::Error> {
        let memory = match Scalar::deserialize(deserializer)? {
            Scalar::Number(bytes) => Memory::parse(&bytes.to_string()),
            Scalar::Text(text) => Memory::parse(&text),
        };
        memory.ok_or_else(|| D::Error::custom(MEMORY))
    }
}

/// How many compute slices of its GPU instance a compute instance takes: the `1c` of `1c.3g.40gb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComputeSlices(u8);

impl ComputeSlices {
    /// So many slices, 1 to 16.
    pub fn new(slices: u64) -> Option<ComputeSlices> {
        let slices = u8::try_from(slices).ok()?;
        (1..=16).contains(&slices).then_some(ComputeSlices(slices))
    }

    /// The number.
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }

    pub(crate) fn parse(text: &str) -> Option<ComputeSlices> {
        ComputeSlices::new(decimal(text.strip_suffix('c')?)?)
    }
}

impl fmt::Display for ComputeSlices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}c", self.0)
    }
}

impl Serialize for ComputeSlices {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ComputeSlices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ComputeSlices, D::Error> {
        let text = String::deserialize(deserializer)?;
        ComputeSlices::parse(&text).ok_or_else(|| D::Error::custom(COMPUTE))
    }
}

/// How many devices of a kind: 1 to 64, the most GPUs that one machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Count(u8);

impl Count {
    /// The usual one.
    pub const ONE: Count = Count(1);
    /// The largest.
    pub const MAX: Count = Count(64);

    /// So many, 1 to 64.
    pub fn new(count: u64) -> Option<Count> {
        let count = u8::try_from(count).ok()?;
        (1..=Count::MAX.0).contains(&count).then_some(Count(count))
    }

    /// The number.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
        Count::new(u64::deserialize(deserializer)?).ok_or_else(|| D::Error::custom(COUNT))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value that may be written as a number or as text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a number or a text")]
pub(super) enum Scalar {
    Number(u64),
    Text(String),
}

impl Scalar {
    pub(super) fn into_text(self) -> String {
        match self {
            Scalar::Number(number) => number.to_string(),
            Scalar::Text(text) => text,
        }
    }
}

#[cfg(feature = "cli")]
mod schemas {
    use super::{ComputeSlices, Count, Memory, Percent};
    use crate::schema::{number, scalar, text};

    number!(Percent, "Percent", 1..=100);
    number!(Count, "Count", 1..=Count::MAX.0);
    scalar!(Memory, "Memory", "^[1-9][0-9]*(Ki|Mi|Gi|Ti)?$");
    text!(ComputeSlices, "ComputeSlices", "^([1-9]|1[0-6])c$");
}

/// A number in plain digits, in the only way it is written: no sign, no leading zero.
pub(crate) fn decimal(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits == "0" || !digits.starts_with('0');
    (plain && canonical).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_whole_mib_in_binary_units() {
        let mib = |text| Memory::parse(text).map(Memory::mib);
        assert_eq!(mib("10Gi"), Some(10 << 10));
        assert_eq!(mib("512Mi"), Some(512));
        assert_eq!(mib("2048Ki"), Some(2));
        assert_eq!(mib("1Ti"), Some(1 << 20));
        assert_eq!(mib("1073741824"), Some(1024));
        let wrong =
            ["", "Gi", "0", "0Gi", "1", "1Ki", "10G", "10GB", "10gi", "-1Gi", "1.5Gi", "17Ti"];
        for text in wrong.into_iter().chain(["18446744073709551615Ti", "010Gi", "10 Gi"]) {
            assert_eq!(mib(text), None, "{text}");
        }
    }

    #[test]
    fn memory_prints_in_the_largest_whole_unit() {
        assert_eq!(Memory::parse("10240Mi").unwrap().to_string(), "10Gi");
        assert_eq!(Memory::parse("1536Mi").unwrap().to_string(), "1536Mi");
    }

    #[test]
    fn numbers_have_their_ranges() {
        assert!(Percent::new(0).is_none() && Percent::new(101).is_none());
        assert!(Percent::new(1).is_some() && Percent::new(100).is_some());
        assert!(Count::new(0).is_none() && Count::new(65).is_none());
        assert!(ComputeSlices::new(0).is_none() && ComputeSlices::new(17).is_none());
        assert!(decimal("007").is_none() && decimal("+7").is_none() && decimal("0") == Some(0));
    }
}

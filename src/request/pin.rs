//! Which GPU a request names.

use super::values::{Scalar, decimal};
use crate::inventory::Gpu;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The GPU, or the MIG device, that must serve a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pin {
    /// By NVML's index.
    Index(u32),
    /// By UUID, `GPU-…`.
    Gpu(Uuid),
    /// A MIG device that exists already, `MIG-…`.
    MigDevice(Uuid),
    /// Any GPU whose product name matches.
    Product(ProductGlob),
}

impl Pin {
    /// Reads what stands behind the `@`.
    pub(crate) fn parse(text: &str) -> Option<Pin> {
        if let Some(index) = decimal(text) {
            return u32::try_from(index).ok().filter(|index| *index < 1000).map(Pin::Index);
        }
        if let Some(uuid) = text.strip_prefix("GPU-") {
            return Uuid::parse(uuid).map(Pin::Gpu);
        }
        if let Some(uuid) = text.strip_prefix("MIG-") {
            return Uuid::parse(uuid).map(Pin::MigDevice);
        }
        ProductGlob::parse(text).map(Pin::Product)
    }

    /// Whether a GPU may serve. For a MIG device: whether that device is on the GPU.
    pub fn matches(&self, gpu: &Gpu) -> bool {
        match self {
            Pin::Index(index) => gpu.index == *index,
            Pin::Gpu(_) => self.to_string().eq_ignore_ascii_case(&gpu.uuid),
            Pin::MigDevice(_) => {
                let uuid = self.to_string();
                let instances = gpu.mig.iter().flat_map(|mig| &mig.instances);
                let mut devices = instances.flat_map(|instance| &instance.compute_instances);
                devices.any(|device| uuid.eq_ignore_ascii_case(&device.uuid))
            }
            Pin::Product(glob) => glob.matches(&gpu.name),
        }
    }
}

/// How a GPU is named.
pub(super) const PIN: &str =
    "a GPU is named by its index, by its whole UUID (GPU-…), or by a product name with * and ?";

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pin, D::Error> {
        let text = Scalar::deserialize(deserializer)?.into_text();
        Pin::parse(&text).ok_or_else(|| serde::de::Error::custom(PIN))
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Index(index) => index.fmt(f),
            Pin::Gpu(uuid) => write!(f, "GPU-{}", uuid.0),
            Pin::MigDevice(uuid) => write!(f, "MIG-{}", uuid.0),
            Pin::Product(glob) => f.write_str(&glob.0),
        }
    }
}

#[cfg(feature = "cli")]
crate::schema::scalar!(
    Pin,
    "Pin",
    "^[A-Za-z0-9*?_.()+/-]([A-Za-z0-9 *?_.()+/-]*[A-Za-z0-9*?_.()+/-])?$"
);

/// The part of a device's UUID behind `GPU-` or `MIG-`: 8-4-4-4-12 hexadecimal digits, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(String);

impl Uuid {
    fn parse(text: &str) -> Option<Uuid> {
        let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        let groups = text.split('-').map(str::len);
        (hexadecimal && groups.eq([8, 4, 4, 4, 12])).then(|| Uuid(text.to_ascii_lowercase()))
    }
}

/// A pattern for product names: `*` is any text, `?` any character, letters in either case.
///
/// The maker's name may be left out: `H100*` matches `NVIDIA H100 80GB HBM3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductGlob(String);

impl ProductGlob {
    const MAX_LENGTH: usize = 96;

    fn parse(text: &str) -> Option<ProductGlob> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b" *?-_.()+/".contains(&b);
        let trimmed = text.trim() == text;
        let bounded = !text.is_empty() && text.len() <= ProductGlob::MAX_LENGTH;
        // All digits is an index; one that got here is too large to be any.
        let a_name = text.bytes().any(|b| !b.is_ascii_digit());
        (trimmed && bounded && a_name && text.bytes().all(allowed))
            .then(|| ProductGlob(text.to_owned()))
    }

    /// Whether a product name matches, with or without `NVIDIA` in front.
    pub fn matches(&self, product: &str) -> bool {
        let short = product.strip_prefix("NVIDIA ").unwrap_or(product);
        matches(self.0.as_bytes(), product.as_bytes())
            || matches(self.0.as_bytes(), short.as_bytes())
    }
}

/// Matches greedily, going back to the last `*` only: linear in memory, never exponential.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(letter) => {
                p += 1;
                t += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_behind_the_sign_decides_the_kind() {
        let uuid = "4cf8db2d-06c0-7d70-1a51-e59b25b2c16c";
        assert_eq!(Pin::parse("0"), Some(Pin::Index(0)));
        assert!(matches!(Pin::parse(&format!("GPU-{uuid}")), Some(Pin::Gpu(_))));
        assert!(matches!(Pin::parse(&format!("MIG-{uuid}")), Some(Pin::MigDevice(_))));
        assert!(matches!(Pin::parse("*H100*"), Some(Pin::Product(_))));
        assert!(matches!(Pin::parse("NVIDIA A100 80GB PCIe"), Some(Pin::Product(_))));
        for wrong in
            ["", "GPU-1", "MIG-GPU-1/2/3", "007", "1000", "99999999999", "a;b", "H100\n", "é"]
        {
            assert_eq!(Pin::parse(wrong), None, "{wrong}");
        }
        assert_eq!(
            Pin::parse(&format!("GPU-{}", uuid.to_uppercase())).unwrap().to_string(),
            format!("GPU-{uuid}")
        );
    }

    #[test]
    fn globs_match_product_names() {
        let matches = |glob: &str, name: &str| ProductGlob::parse(glob).unwrap().matches(name);
        assert!(matches("*H100*", "NVIDIA H100 80GB HBM3"));
        assert!(matches("h100*", "NVIDIA H100 80GB HBM3"));
        assert!(matches("NVIDIA H?00 *", "NVIDIA H100 80GB HBM3"));
        assert!(matches("NVIDIA L4", "NVIDIA L4"));
        assert!(!matches("L4", "NVIDIA L40S"));
        assert!(!matches("H100", "NVIDIA H100 80GB HBM3"));
        assert!(!matches("*A100*", "NVIDIA H100 80GB HBM3"));
    }

    #[test]
    fn a_glob_made_to_be_slow_is_not() {
        let glob = ProductGlob::parse(&"*a".repeat(48)).unwrap();
        assert!(glob.matches(&"a".repeat(100_000)));
        assert!(!glob.matches(&format!("{}b", "a".repeat(100_000))));
    }
}

//! Amounts of memory as Kubernetes writes them.

use crate::request::Memory;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// An amount of memory: `10Gi`, `4G`, `0.5Gi`, `1e9`, or bytes. Rounded down to whole MiB, to 1 at least, as the
/// driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quantity(pub(super) Memory);

const QUANTITY: &str = "an amount of memory is written as in 10Gi, 512Mi or 4G";

impl Quantity {
    fn parse(text: &str) -> Option<Quantity> {
        let end = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = text.split_at(end);
        let unit: u128 = match unit {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => {
                let exponent = unit.strip_prefix(['e', 'E'])?.parse::<u32>().ok()?;
                10_u128.checked_pow(exponent)?
            }
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| match text {
            "" => Some(0),
            text => text.parse::<u128>().ok().filter(|_| text.len() <= 18),
        };
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let scale = 10_u128.pow(u32::try_from(part.len()).ok().filter(|n| *n <= 18)?);
        let scaled = digits(whole)?.checked_mul(scale)?.checked_add(digits(part)?)?;
        let bytes = scaled.checked_mul(unit)? / scale;
        let mib = u64::try_from(bytes >> 20).ok()?;
        (bytes > 0).then(|| Memory::from_mib(mib.max(1)))?.map(Quantity)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of memory, as in 10Gi")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
                let wrong = || {
                    E::custom(format_args!("{text:?} is no amount from 1Mi to 16Ti: {QUANTITY}"))
                };
                Quantity::parse(text).ok_or_else(wrong)
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Quantity, E> {
                self.visit_str(&bytes.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(feature = "cli")]
crate::schema::scalar!(Quantity, "Quantity", "^[0-9]*\\.?[0-9]*([kMGT]|[KMGT]i|[eE][0-9]+)?$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        let mib = |text| Quantity::parse(text).map(|quantity| quantity.0.mib());
        assert_eq!(mib("10Gi"), Some(10 << 10));
        assert_eq!(mib("0.5Gi"), Some(512));
        assert_eq!(mib("4G"), Some(3814));
        assert_eq!(mib("1e9"), Some(953));
        assert_eq!(mib("1048576"), Some(1));
        assert_eq!(mib("1"), Some(1), "the driver's least");
        for wrong in ["", ".", "Gi", "0", "-1Gi", "1.2.3Gi", "10GB", "99999Ti", "1e99"] {
            assert_eq!(mib(wrong), None, "{wrong}");
        }
    }
}

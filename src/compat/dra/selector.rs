//! Selectors, CEL expressions of the one form that claims for GPUs are written with.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A comparison of one of the driver's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) attribute: Attribute,
    pub(super) value: String,
}

/// An attribute of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    /// A MIG device's profile.
    Profile,
    /// A GPU's product name.
    ProductName,
    /// A GPU's or a MIG device's UUID.
    Uuid,
    /// The UUID of a MIG device's GPU.
    ParentUuid,
}

const FORM: &str = "divvy reads device.attributes['gpu.nvidia.com'].NAME == 'VALUE' with the names profile, productName, \
                    uuid and parentUUID, one in each selector; ask for anything else by a request, as in mig:3g.40gb @0";

impl Selector {
    /// Reads `device.attributes['gpu.nvidia.com'].profile == '3g.40gb'`, with either kind of quotes.
    fn parse(expression: &str) -> Option<Selector> {
        let rest = expression.trim().strip_prefix("device.attributes[")?;
        let (driver, rest) = quoted(rest)?;
        let rest = rest.strip_prefix("].").filter(|_| driver == "gpu.nvidia.com")?;
        let (name, value) = rest.split_once("==")?;
        let attribute = match name.trim_end() {
            "profile" => Attribute::Profile,
            "productName" => Attribute::ProductName,
            "uuid" => Attribute::Uuid,
            "parentUUID" => Attribute::ParentUuid,
            _ => return None,
        };
        let (value, rest) = quoted(value.trim_start())?;
        rest.is_empty().then(|| Selector { attribute, value: value.to_owned() })
    }
}

/// A text in quotes, without escapes, and what stands behind it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (value, rest) = text.get(1..)?.split_once(quote)?;
    (!value.contains('\\')).then_some((value, rest))
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
        let expression = String::deserialize(deserializer)?;
        Selector::parse(&expression).ok_or_else(|| {
            let shown: String = expression.trim().chars().take(200).collect();
            D::Error::custom(format_args!("the selector {shown:?} is not done: {FORM}"))
        })
    }
}

#[cfg(feature = "cli")]
crate::schema::text!(
    Selector,
    "Selector",
    "device\\.attributes\\[['\"]gpu\\.nvidia\\.com['\"]\\]\\.(profile|productName|uuid|parentUUID)\\s*==\\s*(\"[^\"\\\\]*\"|'[^'\\\\]*')"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_is_read_and_no_other() {
        let profile = Selector { attribute: Attribute::Profile, value: "3g.40gb".into() };
        for right in [
            "device.attributes[\"gpu.nvidia.com\"].profile == \"3g.40gb\"\n",
            "  device.attributes['gpu.nvidia.com'].profile=='3g.40gb'",
        ] {
            assert_eq!(Selector::parse(right), Some(profile.clone()), "{right}");
        }
        for wrong in [
            "",
            "true",
            "device.attributes['gpu.nvidia.com'].profile != '3g.40gb'",
            "device.attributes['gpu.nvidia.com'].profile == 3g.40gb",
            "device.attributes['gpu.nvidia.com'].profile == '3g.40gb' && true",
            "device.attributes['gpu.nvidia.com'].profile == '3g.40gb\"",
            "device.attributes['other.com'].profile == '3g.40gb'",
            "device.attributes['gpu.nvidia.com'].brand == 'Tesla'",
            "device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('10Gi')) >= 0",
            "'3g.40gb' == device.attributes['gpu.nvidia.com'].profile",
        ] {
            assert_eq!(Selector::parse(wrong), None, "{wrong}");
        }
    }
}

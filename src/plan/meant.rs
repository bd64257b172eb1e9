//! What may have been meant by a name that nothing here has.

use crate::inventory::ProfileName;
use crate::request::{Pin, Request, Share};
use crate::suggest::nearest;

/// The profile that a request means, where it asks for one that the GPU lacks: as many slices or as much memory,
/// and the nearest name.
pub(super) fn profile(request: &Request, has: &[ProfileName]) -> Option<String> {
    let Share::Mig(asked) = request.share() else { return None };
    let asked = &asked.profile;
    let alike = |one: &&ProfileName| one.slices == asked.slices || one.gigabytes == asked.gigabytes;
    let names: Vec<String> = has.iter().filter(alike).map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    nearest(&asked.to_string(), &names).map(str::to_owned)
}

/// The pattern that a product's name means: `*H100*` for `H100` and for `H10O`.
pub(super) fn product<'a>(pin: &Pin, products: impl Iterator<Item = &'a str>) -> Option<String> {
    let Pin::Product(_) = pin else { return None };
    let text = pin.to_string().to_lowercase();
    let asked = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = products
        .flat_map(|name| name.split(|letter: char| !letter.is_ascii_alphanumeric()))
        .filter(|word| !matches!(*word, "" | "NVIDIA"))
        .collect();
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let candidates: Vec<&str> = lower.iter().map(String::as_str).collect();
    let meant = asked.filter(|word| word.len() > 1).find_map(|word| nearest(word, &candidates))?;
    let at = candidates.iter().position(|candidate| *candidate == meant)?;
    Some(format!("*{}*", words.get(at)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_is_meant_by_part_of_its_name_and_by_a_slip() {
        let here = ["NVIDIA H100 80GB HBM3", "NVIDIA L4"];
        let meant = |text: &str| product(&Pin::parse(text).unwrap(), here.into_iter());
        assert_eq!(meant("H100"), Some("*H100*".to_owned()));
        assert_eq!(meant("*h10o*"), Some("*H100*".to_owned()));
        assert_eq!(meant("nvidia l4 pcie"), Some("*L4*".to_owned()));
        assert_eq!((meant("*Radeon*"), meant("7")), (None, None));
    }

    #[test]
    fn a_profile_is_meant_by_its_slices_or_its_memory() {
        let has = ["1g.10gb", "1g.20gb", "3g.40gb", "7g.80gb"];
        let has = has.map(|name| ProfileName::parse(name).unwrap());
        let meant = |text: &str| profile(&text.parse().unwrap(), &has);
        assert_eq!(meant("mig:1g.5gb"), Some("1g.10gb".to_owned()));
        assert_eq!(meant("mig:3g.30gb"), Some("3g.40gb".to_owned()));
        assert_eq!((meant("mig:5g.60gb"), meant("mps")), (None, None));
    }
}

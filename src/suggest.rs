//! The word that somebody meant.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error};

/// The candidate nearest to a mistyped word, where one is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // A longer word is no slip of the fingers, and the distance costs its square.
    if word.chars().count() > 40 {
        return None;
    }
    let word = word.to_lowercase().replace('_', "-");
    let far = word.chars().count().max(3) / 3 + 1;
    let ranked = candidates.iter().map(|candidate| (distance(&word, candidate), *candidate));
    ranked.filter(|(distance, _)| *distance < far).min().map(|(_, candidate)| candidate)
}

/// The number of letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = *cell;
            *cell = replaced.min(diagonal + 1).min(left + 1);
            left = *cell;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Reads one of the keys that a map may have. Another one is an error at its own line and column.
pub(crate) struct Key {
    /// What the map is, for people.
    pub(crate) of: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        if let Some(known) = self.keys.iter().copied().find(|known| *known == key) {
            return Ok(known);
        }
        let (of, shown) = (self.of, key.chars().take(40).collect::<String>());
        Err(match nearest(&key, self.keys) {
            Some(meant) => {
                D::Error::custom(format_args!("{of} has no key {shown:?}: is {meant:?} meant?"))
            }
            None => {
                let keys = self.keys.join(", ");
                D::Error::custom(format_args!("{of} has no key {shown:?}: its keys are {keys}"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("mps", "mps"), 0);
    }

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let modes = ["exclusive", "time-slicing", "mps", "mig"];
        assert_eq!(nearest("time_slicing", &modes), Some("time-slicing"));
        assert_eq!(nearest("Exclusiv", &modes), Some("exclusive"));
        assert_eq!(nearest("mpss", &modes), Some("mps"));
        assert_eq!(nearest("fractional", &modes), None);
        assert_eq!(nearest(&"m".repeat(100_000), &modes), None);
    }
}

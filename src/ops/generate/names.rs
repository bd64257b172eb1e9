//! How devices are named.

use crate::suggest;
use std::collections::BTreeSet;
use std::str::FromStr;

/// One way of naming devices. nvidia-ctk has the same three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameStrategy {
    /// `0`, `0:1`.
    Index,
    /// `GPU-…`, `MIG-…`.
    Uuid,
    /// `gpu0`, `mig0:1`.
    TypeIndex,
}

impl NameStrategy {
    pub(super) const ALL: [NameStrategy; 3] =
        [NameStrategy::Index, NameStrategy::Uuid, NameStrategy::TypeIndex];

    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            NameStrategy::Index => "index",
            NameStrategy::Uuid => "uuid",
            NameStrategy::TypeIndex => "type-index",
        }
    }
}

/// A word that is no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no naming strategy {word:?}{}; use index (0, 0:1), uuid (GPU-…, MIG-…) or type-index (gpu0, mig0:1)",
    meant.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default()
)]
pub struct UnknownStrategy {
    /// The word.
    pub word: String,
    /// The strategy that was likely meant.
    pub meant: Option<&'static str>,
}

impl FromStr for NameStrategy {
    type Err = UnknownStrategy;

    fn from_str(word: &str) -> Result<NameStrategy, UnknownStrategy> {
        let known = NameStrategy::ALL.into_iter().find(|strategy| strategy.as_str() == word);
        known.ok_or_else(|| UnknownStrategy {
            word: word.to_owned(),
            meant: suggest::nearest(word, &NameStrategy::ALL.map(NameStrategy::as_str)),
        })
    }
}

/// The strategies in their order, each once.
pub(super) fn distinct(strategies: &[NameStrategy]) -> impl Iterator<Item = NameStrategy> {
    let mut seen = BTreeSet::new();
    strategies.iter().copied().filter(move |strategy| seen.insert(*strategy))
}

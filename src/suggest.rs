//! The word that somebody meant.

/// The candidate nearest to a mistyped word, where one is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    // A longer word is no slip of the fingers, and the distance costs its square.
    if word.chars().count() > 40 {
        return None;
    }
    let word = plain(word);
    let far = word.chars().count().max(3) / 3 + 1;
    let distance = |candidate: &str| strsim::levenshtein(&word, &plain(candidate));
    let ranked = candidates.iter().map(|candidate| (distance(candidate), *candidate));
    ranked.filter(|(distance, _)| *distance < far).min().map(|(_, candidate)| candidate)
}

/// Without what tells `time_slicing`, `timeSlicing` and `time-slicing` apart.
fn plain(word: &str) -> String {
    let letters = word.chars().filter(|letter| !matches!(letter, '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

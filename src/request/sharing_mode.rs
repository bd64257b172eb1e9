//! The sharing modes, those that are combined included.

use super::{MigSharing, Requests, Share};
use std::fmt;

/// How a claim shares: one row of the table of modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SharingMode {
    /// A device for one claim.
    Exclusive,
    /// By turns.
    TimeSlicing,
    /// At once.
    Mps,
    /// A hardware partition for one claim.
    Mig,
    /// By turns in a hardware partition.
    MigTimeSlicing,
    /// At once in a hardware partition.
    MigMps,
    /// Not the same for all devices of the claim.
    Several,
}

impl SharingMode {
    /// Every mode.
    pub const ALL: [SharingMode; 7] = [
        SharingMode::Exclusive,
        SharingMode::TimeSlicing,
        SharingMode::Mps,
        SharingMode::Mig,
        SharingMode::MigTimeSlicing,
        SharingMode::MigMps,
        SharingMode::Several,
    ];

    /// The word for it, as requests write it.
    pub fn word(self) -> &'static str {
        match self {
            SharingMode::Exclusive => "exclusive",
            SharingMode::TimeSlicing => "time-slicing",
            SharingMode::Mps => "mps",
            SharingMode::Mig => "mig",
            SharingMode::MigTimeSlicing => "mig/time-slicing",
            SharingMode::MigMps => "mig/mps",
            SharingMode::Several => "several",
        }
    }
}

impl fmt::Display for SharingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Share {
    /// The sharing mode, MIG and what is done inside it told apart.
    pub fn sharing_mode(&self) -> SharingMode {
        match self {
            Share::Exclusive => SharingMode::Exclusive,
            Share::TimeSlicing { .. } => SharingMode::TimeSlicing,
            Share::Mps(_) => SharingMode::Mps,
            Share::Mig(mig) => match mig.sharing {
                MigSharing::Exclusive => SharingMode::Mig,
                MigSharing::TimeSlicing => SharingMode::MigTimeSlicing,
                MigSharing::Mps(_) => SharingMode::MigMps,
            },
        }
    }
}

impl Requests {
    /// The sharing mode of all of them, or [`SharingMode::Several`].
    pub fn sharing_mode(&self) -> SharingMode {
        let mut modes = self.iter().map(|request| request.share().sharing_mode());
        let first = modes.next().unwrap_or(SharingMode::Several);
        if modes.all(|mode| mode == first) { first } else { SharingMode::Several }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claims_mode_is_that_of_all_its_requests() {
        let mode = |texts: &[&str]| Requests::from_texts(texts).unwrap().sharing_mode().word();
        assert_eq!(mode(&["mig:1g.10gb/mps:threads=50"]), "mig/mps");
        assert_eq!(mode(&["2x mig:1g.10gb", "mig:3g.40gb"]), "mig");
        assert_eq!(mode(&["exclusive", "time-slicing"]), "several");
    }
}

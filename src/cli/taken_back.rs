//! What a release or a reconcile came to, for programs.

use crate::claim::{ClaimId, DeviceId};
use crate::ops::reconcile::Report;
use crate::ops::release::Released;
use schemars::JsonSchema;
use serde::Serialize;

/// What was taken back, and what was not.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct TakenBack {
    /// Claims that are gone now.
    pub(super) released: Vec<ClaimId>,
    /// Device records without a claim that were undone.
    pub(super) retired: Vec<DeviceId>,
    /// Claims that there were none of.
    pub(super) absent: Vec<ClaimId>,
    /// Claims that stay, since what they made is in use.
    pub(super) in_use: Vec<InUse>,
    /// What failed, in words.
    pub(super) failed: Vec<String>,
}

/// A claim that stays until what it made is free.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InUse {
    /// The claim.
    pub(super) claim: ClaimId,
    /// The step whose undo has to wait.
    pub(super) what: String,
    /// Who uses what it made, where the driver says.
    pub(super) pids: Vec<u32>,
}

impl TakenBack {
    /// Writes down how the release of a claim went.
    pub(super) fn push(&mut self, claim: ClaimId, released: Released) {
        match released {
            Released::Done => self.released.push(claim),
            Released::Absent => self.absent.push(claim),
            Released::InUse { what, pids } => self.in_use.push(InUse { claim, what, pids }),
        }
    }
}

impl From<Report> for TakenBack {
    fn from(report: Report) -> TakenBack {
        let failed = report.failed.iter().map(ToString::to_string).collect();
        let (released, retired) = (report.released, report.retired);
        let mut taken = TakenBack { released, retired, failed, ..TakenBack::default() };
        for (claim, how) in report.in_use {
            taken.push(claim, how);
        }
        taken
    }
}

impl InUse {
    /// For people.
    pub(super) fn tell(&self) -> String {
        let pids: Vec<String> = self.pids.iter().map(u32::to_string).collect();
        let by = if pids.is_empty() { String::new() } else { format!(" by {}", pids.join(", ")) };
        format!(
            "claim {} stays: what it made ({}) is still in use{by}; `divvy reconcile` takes it back when it isn't",
            self.claim, self.what
        )
    }
}

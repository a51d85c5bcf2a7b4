//! What a run did, in numbers.

use serde::{Deserialize, Serialize};

/// The counts of one kind in one run.
///
/// `received` is the sum of created, updated, unchanged, restored, rejected, stale and explicit deletions. Deletions
/// by absence or cascade, and records restored or retained without having been sent, are not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Records that the source sent.
    pub received: u64,
    /// Records that were new.
    pub created: u64,
    /// Records whose content changed.
    pub updated: u64,
    /// Records that are as they were.
    pub unchanged: u64,
    /// Records that were deleted: explicitly, by absence, or with what they belong to.
    pub deleted: u64,
    /// Deleted records that came back, under their old internal ids.
    pub restored: u64,
    /// Records that were absent and are kept because others still refer to them.
    pub retained: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Records of a delta that were older than what is known.
    pub stale: u64,
    /// Warnings on records and files of this kind.
    pub warnings: u64,
}

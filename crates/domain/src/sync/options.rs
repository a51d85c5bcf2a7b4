use super::Guards;
use crate::Kind;

/// How a run is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four independent switches of the command line")]
pub struct SyncOptions {
    /// Read everything, even where changes could be read.
    pub full: bool,
    /// Show what would be done, and do nothing.
    pub dry_run: bool,
    /// Let one run through that a guard would hold (R9), or that an empty collection would stop (R6).
    pub allow_mass_change: bool,
    /// Store demographics (R12).
    pub demographics: bool,
    /// How much the run may change.
    pub guards: Guards,
    /// What to make of the totals that a vendor announces.
    pub totals: Totals,
}

/// What to make of the totals that a vendor announces (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Totals {
    /// Fewer records than announced fail the run.
    #[default]
    Trust,
    /// They are known to be wrong.
    Ignore,
}

/// Is told how far a run has come.
pub trait Progress: Send + Sync {
    /// Something happened. Called once per batch and per phase, not per record.
    fn report(&self, event: ProgressEvent);
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressEvent {
    /// Records were received.
    Received {
        /// The kind of the last one.
        kind: Kind,
        /// How many of all kinds so far.
        total: u64,
    },
    /// Everything is received: references are checked and deletions derived.
    Checking,
    /// The changes are being applied.
    Applying {
        /// How many records change.
        changes: u64,
    },
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn report(&self, _: ProgressEvent) {}
}

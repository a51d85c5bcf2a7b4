//! The ports: what the sync use case asks of the world.
//!
//! Contract words are used as in RFC 2119: an implementation MUST do what a MUST says, and the contract suites test it.

mod clock;
mod source;
mod store;

pub use clock::Clock;
pub use source::{
    BatchSink, Capabilities, CheckReport, Coverage, Cursor, Deletion, EmptySnapshot, Hold, Item, OwnedChange, Problem,
    PullRequest, PullSummary, Repeats, RoleChange, RosterSource, ScopeDigest, SinkClosed, SourceDescription,
    SourceError, SourceFailure, Tenant, TenantDirectory, Upsert, UserHalf,
};
pub use store::{
    Applied, ChangeEntry, ChangeKind, ChildKey, Commit, DanglingLink, DeleteReason, Fetched, KeptPlan, Lease, NewRun,
    Pages, RejectRow, RoleBook, RosterStore, RunFilter, RunMode, RunOutcome, RunRow, RunStatus, SourceRow, SourceState,
    StagedChange, StoreError, StoredFingerprint, StoredRecord,
};

#[cfg(any(test, feature = "mock"))]
pub use self::{clock::MockClock, source::MockRosterSource, store::MockRosterStore};

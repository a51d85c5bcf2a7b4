use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cursor, ScopeDigest};
use crate::entities::Role;
use crate::report::RunReport;
use crate::{Fingerprint, Kind, PendingRecord, PerKind, Record, RefField, Reject, RunId, SourceId, SourcedId};

/// A long answer, in pieces of a few thousand.
pub type Pages<T> = BoxStream<'static, Result<Vec<T>, StoreError>>;

/// Where rosters are kept.
///
/// A run goes through a store in this order: [`lease`](RosterStore::lease), [`run_start`](RosterStore::run_start),
/// any number of reads and [`stage`](RosterStore::stage) calls, and then exactly one of
/// [`apply`](RosterStore::apply), [`run_finish`](RosterStore::run_finish) or [`plan_keep`](RosterStore::plan_keep).
/// Staged changes are visible to nobody but the reads that say so, and MUST survive neither the run nor its process
/// unless they are kept.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait RosterStore: Send + Sync {
    // -- sources ------------------------------------------------------------------------------------------------------

    /// Finds a source by name, or makes it. `kind` is updated if it changed.
    async fn source_open(&self, name: &str, kind: &str) -> Result<SourceState, StoreError>;

    /// Finds a source by name. MUST NOT write.
    async fn source_find(&self, name: &str) -> Result<Option<SourceState>, StoreError>;

    /// All sources with the number of their live records, by name.
    async fn source_list(&self) -> Result<Vec<SourceRow>, StoreError>;

    /// Takes the source for one run. The lease MUST be given back by the operating system or the database when its
    /// holder dies, and by dropping it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] at once if another run has it, in this process or any other.
    async fn lease(&self, source: SourceId, run: RunId) -> Result<Box<dyn Lease>, StoreError>;

    // -- runs ---------------------------------------------------------------------------------------------------------

    /// Records that a run has begun, with the status `running`.
    async fn run_start(&self, run: &NewRun) -> Result<(), StoreError>;

    /// Ends a run that applies nothing: failed, planned or held, or succeeded with nothing to do. Drops what was
    /// staged, but keeps the staged rejects as the run's. After an [`apply`](RosterStore::apply) it only replaces the
    /// report, which until then cannot know how long applying took.
    async fn run_finish(&self, outcome: &RunOutcome) -> Result<(), StoreError>;

    /// Records a run that ended before it had the source: another one has it. MUST NOT touch that other run, and needs no
    /// lease.
    async fn run_turned_away(&self, run: &NewRun, outcome: &RunOutcome) -> Result<(), StoreError>;

    /// One run. A run that is recorded as running but whose process is gone is returned as failed. MUST NOT write.
    async fn run_find(&self, run: RunId) -> Result<Option<RunRow>, StoreError>;

    /// Runs, newest first, at most `limit`. As for [`run_find`](RosterStore::run_find).
    async fn run_list(&self, filter: &RunFilter, limit: u32) -> Result<Vec<RunRow>, StoreError>;

    /// The rejects of a run, in the order in which they were staged.
    fn run_rejects(&self, run: RunId) -> Pages<RejectRow>;

    // -- reads that the delta needs -----------------------------------------------------------------------------------

    /// The fingerprints of all records of a kind, deleted ones included, in any order.
    fn fingerprints(&self, source: SourceId, kind: Kind) -> Pages<StoredFingerprint>;

    /// The sourcedIds of a source's records of a kind by their internal ids, deleted records included, in any order. Ids
    /// that no such record has are left out of the answer.
    async fn sourced_ids(
        &self,
        source: SourceId,
        kind: Kind,
        internal_ids: &[i64],
    ) -> Result<Vec<SourcedId>, StoreError>;

    /// Records by id: as stored, and as staged by `run`. Ids of which nothing is known are left out of the answer.
    async fn fetch(
        &self,
        source: SourceId,
        run: RunId,
        kind: Kind,
        ids: &[SourcedId],
    ) -> Result<Vec<Fetched>, StoreError>;

    /// The records that refer to any of `targets` through `field`: those that are stored, deleted ones included, and
    /// those that `run` has staged. A record that is both is answered once, as staged.
    async fn holders(
        &self,
        source: SourceId,
        run: RunId,
        field: RefField,
        targets: &[SourcedId],
    ) -> Result<Vec<ChildKey>, StoreError>;

    /// Optional references of live records to records that have never been stored, by the kind of the target.
    fn dangling(&self, source: SourceId, target: Kind) -> Pages<DanglingLink>;

    /// Records refused for a required reference, by kind.
    fn pending(&self, source: SourceId, kind: Kind) -> Pages<PendingRecord>;

    /// What is remembered of the roles of these users, whether they are stored or not. Users of whom nothing is
    /// remembered are left out.
    async fn role_books(&self, source: SourceId, users: &[SourcedId]) -> Result<Vec<RoleBook>, StoreError>;

    /// The books in which roles wait for their user.
    fn waiting_roles(&self, source: SourceId) -> Pages<RoleBook>;

    /// The live users who have a role with any of these vendor ids, each with the id.
    async fn role_holders(
        &self,
        source: SourceId,
        roles: &[SourcedId],
    ) -> Result<Vec<(SourcedId, SourcedId)>, StoreError>;

    /// The live records of a kind, ordered by sourcedId, byte by byte. Links to records that are not live are left
    /// out, and an enrollment's school is its class's.
    fn records(&self, source: SourceId, kind: Kind) -> Pages<Record>;

    // -- writes -------------------------------------------------------------------------------------------------------

    /// Puts changes aside for `run`. The caller MUST NOT stage two changes of one record's content
    /// ([`StagedChange::Put`], [`StagedChange::Delete`], [`StagedChange::Revive`]) without a
    /// [`StagedChange::Withdraw`] between them.
    async fn stage(&self, source: SourceId, run: RunId, changes: Vec<StagedChange>) -> Result<(), StoreError>;

    /// Forgets everything that `run` has staged, rejects included.
    async fn stage_clear(&self, source: SourceId, run: RunId) -> Result<(), StoreError>;

    /// Applies what was staged, in one transaction with the run's outcome, its rejects, the change feed, pending
    /// records and the cursor. The store shows the old roster or the new one, whatever dies when. The outcome's
    /// report is stored as given.
    ///
    /// # Errors
    ///
    /// [`StoreError::MovedOn`] if the source's revision is not the commit's basis: nothing is applied.
    async fn apply(&self, commit: &Commit) -> Result<Applied, StoreError>;

    // -- kept plans ---------------------------------------------------------------------------------------------------

    /// Ends a run as held and keeps what it staged, so that exactly that can be applied later by any process. A plan
    /// that is kept replaces an older one of the source, whose run becomes `superseded`.
    async fn plan_keep(&self, plan: &Commit) -> Result<(), StoreError>;

    /// The plan that a held run kept, if it still can be applied.
    async fn plan_find(&self, run: RunId) -> Result<Option<KeptPlan>, StoreError>;

    /// Drops a kept plan; its run becomes `discarded`.
    async fn plan_discard(&self, run: RunId) -> Result<(), StoreError>;

    // -- the change feed ----------------------------------------------------------------------------------------------

    /// What happened to records after `after`, oldest first: creations too, which are derived from the records.
    /// `record` narrows the answer to one record.
    fn changes(&self, source: SourceId, after: i64, record: Option<(Kind, SourcedId)>) -> Pages<ChangeEntry>;
}

/// A source, taken. Dropping it gives it back.
pub trait Lease: Send + Sync + std::fmt::Debug {}

/// What a store knows of a source when a run begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceState {
    /// The store's number of it.
    pub id: SourceId,
    /// Its name.
    pub name: String,
    /// The word for its sort in the configuration.
    pub kind: String,
    /// Where the last applied pull ended.
    pub cursor: Option<Cursor>,
    /// The scope of the last applied pull.
    pub scope: Option<ScopeDigest>,
    /// Whether demographics are stored for it.
    pub demographics: bool,
    /// How often something was applied to it.
    pub revision: i64,
    /// When a full pull was last applied.
    pub last_full: Option<Timestamp>,
}

/// A source in a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// The source.
    pub state: SourceState,
    /// How many live records it has.
    pub live: PerKind<u64>,
    /// Its last run.
    pub last_run: Option<RunRow>,
}

/// A run that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// Its number.
    pub id: RunId,
    /// Its source.
    pub source: SourceId,
    /// When it began.
    pub started: Timestamp,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// The run.
    pub run: RunId,
    /// Its source.
    pub source: SourceId,
    /// What it did. The status is in it.
    pub report: RunReport,
    /// When it ended.
    pub finished: Timestamp,
}

/// What becomes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// It is under way.
    Running,
    /// A dry run: it shows what it would do.
    Planned,
    /// It was applied, or there was nothing to do.
    Succeeded,
    /// A guard stopped it; nothing is applied until somebody approves.
    Held,
    /// It went wrong; nothing is applied.
    Failed,
    /// It was held, and somebody dropped it.
    Discarded,
    /// It was held, and the store moved on.
    Lapsed,
    /// It was held, and a later run took its place.
    Superseded,
}

impl RunStatus {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Planned => "planned",
            Self::Succeeded => "succeeded",
            Self::Held => "held",
            Self::Failed => "failed",
            Self::Discarded => "discarded",
            Self::Lapsed => "lapsed",
            Self::Superseded => "superseded",
        }
    }

    /// Reads the word in reports.
    pub fn from_token(token: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Planned,
            Self::Succeeded,
            Self::Held,
            Self::Failed,
            Self::Discarded,
            Self::Lapsed,
            Self::Superseded,
        ]
        .into_iter()
        .find(|status| status.as_str() == token)
    }
}

/// How much a run pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunMode {
    /// Every kind that was read was read as a whole.
    Full,
    /// Every kind that was read was read as changes.
    Incremental,
    /// Some as a whole, some as changes.
    Mixed,
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunFilter {
    /// Only those of this source.
    pub source: Option<String>,
}

/// A run in a listing.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Its number.
    pub id: RunId,
    /// The name of its source.
    pub source: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// What it did.
    pub report: RunReport,
}

/// A reject of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectRow {
    /// Its position among the run's rejects, from 1.
    pub number: i64,
    /// The kind of the record.
    pub kind: Kind,
    /// Its id, if it could be read.
    pub sourced_id: Option<SourcedId>,
    /// Where it stands.
    pub location: String,
    /// Why it was refused; never empty.
    pub findings: Vec<crate::Finding>,
    /// The record as the source sent it.
    pub record: Option<serde_json::Value>,
}

/// What is enough to see whether a record differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFingerprint {
    /// The record.
    pub sourced_id: SourcedId,
    /// Its internal id.
    pub internal_id: i64,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The version of the encoding under the fingerprint.
    pub encoding: i16,
    /// The newest date that the source gave for it, in milliseconds since 1970 UTC.
    pub modified_ms: Option<i64>,
    /// Why it is deleted, if it is.
    pub deleted: Option<DeleteReason>,
    /// Whether it is a user who is switched off.
    pub disabled: bool,
}

/// Why a record is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeleteReason {
    /// The source said so.
    Explicit,
    /// It was missing from a complete roster.
    Absent,
    /// Something that it cannot be without was deleted.
    Cascade,
}

impl DeleteReason {
    /// The word in the store and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Explicit => "explicit",
            Self::Absent => "absent",
            Self::Cascade => "cascade",
        }
    }

    /// Reads the word.
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Explicit, Self::Absent, Self::Cascade].into_iter().find(|reason| reason.as_str() == token)
    }
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The store's own id of it, which never changes while the record lives and survives its deletion and return.
    pub internal_id: i64,
    /// The record with its references as the source sent them, attached or not.
    pub record: Record,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The version of the encoding under the fingerprint.
    pub encoding: i16,
    /// The newest date that the source gave for it, in milliseconds since 1970 UTC.
    pub modified_ms: Option<i64>,
    /// Why it is deleted, if it is.
    pub deleted: Option<DeleteReason>,
}

/// A record by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The id that was asked for.
    pub sourced_id: SourcedId,
    /// As stored.
    pub stored: Option<StoredRecord>,
    /// As staged by this run.
    pub staged: Option<Record>,
}

/// A record that refers to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildKey {
    /// Its id; its kind is the reference's holder.
    pub sourced_id: SourcedId,
    /// The record it refers to.
    pub target: SourcedId,
    /// Why it is deleted, if it is. A staged record is not.
    pub deleted: Option<DeleteReason>,
    /// Whether this run has staged it.
    pub staged: bool,
}

/// An optional reference whose target has never been stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DanglingLink {
    /// The field; the kind of the holder follows from it.
    pub field: RefField,
    /// The record that refers.
    pub holder: SourcedId,
    /// The id that it refers to.
    pub target: SourcedId,
}

/// What is remembered of a user's roles beside the roles themselves, where the source sends changes of single roles.
/// Bookkeeping: no part of the roster, of its fingerprints or of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleBook {
    /// The user, who need not be stored.
    pub user: SourcedId,
    /// The newest date of each role by the vendor's id of it, in milliseconds since 1970 UTC; of deleted roles and of
    /// those that wait too (R4).
    pub dates: BTreeMap<SourcedId, i64>,
    /// Roles that were refused because the user was not there, to be applied when the user arrives (R8).
    pub waiting: Vec<Role>,
}

impl RoleBook {
    /// A book in which nothing is written.
    pub const fn new(user: SourcedId) -> Self {
        Self { user, dates: BTreeMap::new(), waiting: Vec::new() }
    }

    /// Whether nothing is written in it.
    pub fn is_empty(&self) -> bool {
        self.dates.is_empty() && self.waiting.is_empty()
    }
}

/// A change that a run puts aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StagedChange {
    /// The record has this content. The store attaches each reference whose target is stored or staged, and keeps the
    /// raw id of the others. A deleted record is restored under its internal id.
    Put {
        /// The content.
        record: Record,
        /// Its fingerprint, of the current encoding version.
        fingerprint: Fingerprint,
        /// The newest date that the source gave for it, in milliseconds since 1970 UTC.
        modified_ms: Option<i64>,
        /// What this is to the feed: a creation, an update or a restoration.
        change: ChangeKind,
    },
    /// Forget all changes of this record that were staged before; its rejects stay.
    Withdraw {
        /// Its kind.
        kind: Kind,
        /// Its id.
        sourced_id: SourcedId,
    },
    /// The record is gone.
    Delete {
        /// Its kind.
        kind: Kind,
        /// Its id.
        sourced_id: SourcedId,
        /// Why.
        reason: DeleteReason,
        /// When the source deleted it, if it said so, in milliseconds since 1970 UTC.
        modified_ms: Option<i64>,
    },
    /// The record comes back as it was, with the record that took it along.
    Revive {
        /// Its kind.
        kind: Kind,
        /// Its id.
        sourced_id: SourcedId,
    },
    /// Attach a dangling reference.
    Attach(DanglingLink),
    /// Bookkeeping that changes no roster content and writes nothing to the feed.
    Touch {
        /// Its kind.
        kind: Kind,
        /// Its id.
        sourced_id: SourcedId,
        /// A newer date.
        modified_ms: Option<i64>,
        /// The fingerprint under the current encoding version.
        fingerprint: Option<Fingerprint>,
        /// A stronger reason why it is deleted: a record that went with its parent and has now been deleted itself.
        reason: Option<DeleteReason>,
        /// The vendor's ids of a user's roles, if they alone changed.
        roles: Option<Vec<Role>>,
    },
    /// What is remembered of a user's roles from now on, in place of what was. An empty book is as good as none. A
    /// withdrawal of the user leaves it alone.
    RoleBook(RoleBook),
    /// A refused record.
    Reject {
        /// The report of it.
        reject: Reject,
        /// The record, if it can be replayed when its target arrives.
        pending: Option<PendingRecord>,
    },
    /// A pending record is not pending any more.
    Settle {
        /// Its kind.
        kind: Kind,
        /// Its id.
        sourced_id: SourcedId,
    },
}

/// What is to be applied, beside what was staged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// The run's outcome.
    pub outcome: RunOutcome,
    /// The source's revision that the plan was made on.
    pub basis: i64,
    /// Where the next pull may begin; `None` leaves the stored cursor.
    pub cursor: Option<Cursor>,
    /// The scope of the pull.
    pub scope: ScopeDigest,
    /// Whether this was a full pull.
    pub full: bool,
    /// Kinds whose older pending records are void, because the pull covered them whole.
    pub pending_void: Vec<Kind>,
    /// Whether demographics are switched on. If they were and are not any more, the store MUST erase them, with their
    /// before-images, rejects and pending records (R12).
    pub demographics: bool,
}

/// What an apply did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// The source's revision afterwards.
    pub revision: i64,
}

/// A plan that a held run kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptPlan {
    /// What would be applied.
    pub commit: Commit,
    /// Whether the store has moved on since: it cannot be applied any more.
    pub lapsed: bool,
}

/// What happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was new.
    Created,
    /// Its content changed, or a dangling reference was attached.
    Updated,
    /// It was deleted.
    Deleted,
    /// It came back.
    Restored,
}

impl ChangeKind {
    /// The word in the feed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
        }
    }

    /// Reads the word.
    pub fn from_token(token: &str) -> Option<Self> {
        [Self::Created, Self::Updated, Self::Deleted, Self::Restored]
            .into_iter()
            .find(|change| change.as_str() == token)
    }
}

/// One entry of the change feed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeEntry {
    /// Its place in the one order of all changes.
    pub sequence: i64,
    /// The run that made it.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// The kind of the record.
    pub kind: Kind,
    /// The record's internal id.
    pub internal_id: i64,
    /// The record's id.
    pub sourced_id: SourcedId,
    /// What happened.
    pub change: ChangeKind,
    /// The record as it was before; `None` for a creation.
    pub before: Option<serde_json::Value>,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another run has the source.
    #[error("source `{source_name}` is being synced by another run; wait for it to end, or see `rollcall runs list`")]
    Busy {
        /// The source.
        source_name: String,
    },
    /// The address of the database makes no sense.
    #[error("{message}")]
    Address {
        /// What an address looks like. It MUST NOT quote the wrong one, which may hold a password.
        message: String,
    },
    /// The database cannot be reached or opened.
    #[error("{message}")]
    Unavailable {
        /// What was tried and what to do.
        message: String,
        /// What caused it.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// There is no database yet, or nothing in it.
    #[error("{message}")]
    Absent {
        /// What makes it.
        message: String,
    },
    /// The database refuses the user or the password.
    #[error("{message}")]
    Denied {
        /// What was tried and what to do.
        message: String,
    },
    /// The database cannot be written: it is read-only, or its disk is full.
    #[error("{message}")]
    NotWritable {
        /// What was tried and what to do.
        message: String,
        /// What caused it.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The database's schema is newer than this program, or not Rollcall's.
    #[error("{message}")]
    Schema {
        /// What was found and what to do.
        message: String,
    },
    /// The source's revision is not the one that the plan was made on.
    #[error("the roster has changed since the plan was made; run the sync again")]
    MovedOn,
    /// A stored value that the domain refuses.
    #[error("the database holds a value that Rollcall never writes: {table}.{column} of row {row}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's internal id.
        row: i64,
    },
    /// Any other failure of the database.
    #[error("the database failed to {action}")]
    Failed {
        /// What it was to do.
        action: String,
        /// What caused it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// The stable word for the error in reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "source.busy",
            Self::Address { .. } => "store.address",
            Self::Unavailable { .. } | Self::Absent { .. } => "store.unavailable",
            Self::Denied { .. } => "store.denied",
            Self::NotWritable { .. } => "store.not_writable",
            Self::Schema { .. } => "store.schema",
            Self::MovedOn => "plan.moved_on",
            Self::Inconsistent { .. } => "store.inconsistent",
            Self::Failed { .. } => "store.failed",
        }
    }
}

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::entities::{Enrollment, Role};
use crate::{Code, Encoder, Fingerprint, Kind, Location, PerKind, Record, Reject, SourcedId, Warning};

/// A place that rosters come from: a package on disk, or a vendor's interface.
///
/// A pull pushes [`Item`]s in batches and ends with a [`PullSummary`]. The source maps what it reads into domain
/// records and says what it could not map; it never looks at stored state, and it decides nothing about deletions.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait RosterSource: Send + Sync {
    /// What the source is and can do. MUST NOT touch the network or the disk.
    fn describe(&self) -> SourceDescription;

    /// Tries the credentials and reports what is visible. MUST NOT change anything anywhere.
    async fn check(&self) -> Result<CheckReport, SourceError>;

    /// Reads the roster, or what changed since `request.cursor`, and pushes it into `sink`.
    ///
    /// - Records of a kind SHOULD come after those they refer to; the use case copes with any order but holds early
    ///   references in memory.
    /// - A batch SHOULD hold a few thousand items, so that both sides work at the same time.
    /// - The cursor of the summary MUST name a point known before the first record was read (R10).
    /// - Two pulls of an unchanged upstream MUST give the same records.
    ///
    /// # Errors
    ///
    /// An error means an incomplete pull: nothing of it is applied (R6). A record that cannot be read is not an error
    /// but an [`Item::Reject`].
    async fn pull(&self, request: &PullRequest, sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError>;
}

/// A vendor's list of the districts or tenants that can be synced.
#[async_trait]
pub trait TenantDirectory: Send + Sync {
    /// Every tenant that the credentials can see, usable or not.
    async fn tenants(&self) -> Result<Vec<Tenant>, SourceError>;
}

/// One district or tenant of a vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// The vendor's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why it cannot be synced, if so.
    pub unusable: Option<String>,
    /// What else the vendor says of it, for the reader of a listing.
    pub details: BTreeMap<String, String>,
}

/// Takes what a source reads. Pushing waits while the receiver is behind, which bounds the memory of both.
#[async_trait]
pub trait BatchSink: Send {
    /// Hands over a batch.
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed>;
}

/// The receiver has stopped; the source should stop too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sync has stopped and takes no more records")]
pub struct SinkClosed;

/// What a source is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDescription {
    /// The word for this sort of source in the configuration: `oneroster-csv` and so on.
    pub kind: &'static str,
    /// What it can do.
    pub capabilities: Capabilities,
    /// A digest of the settings that shape what is visible: filter, schools, tenant, address, version, credential.
    /// When it changes the cursor is void and the next pull is full (R9, R10).
    pub scope: ScopeDigest,
}

/// What a source can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// It can pull what changed since a cursor.
    pub incremental: bool,
    /// What several records with one id mean in one pull.
    pub repeats: Repeats,
    /// What a complete but empty collection means where records are stored.
    pub empty_snapshot: EmptySnapshot,
}

/// What several records with one id mean in one pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// They claim to be one record: equal ones are one, others are refused.
    Conflict,
    /// They are successive states, or pages that moved while they were read: the last one counts.
    LastWins,
}

/// What a complete but empty collection means where records are stored (R6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptySnapshot {
    /// The vendor is broken: the run fails.
    Fail,
    /// Somebody may have meant it: the run is held.
    Hold,
}

/// A digest of the settings that shape what a source shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeDigest(pub String);

/// A source's own mark of how far it has read. Opaque to everyone else; its first field is a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// What is asked of a pull.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PullRequest {
    /// Where the last applied pull ended. The use case leaves it out when the scope has changed.
    pub cursor: Option<Cursor>,
    /// Read everything, even though there is a cursor. The cursor is still given: a source may keep more in it than a
    /// position.
    pub full: bool,
    /// Whether demographics are to be read. If not, the source MUST NOT push any (R12).
    pub demographics: bool,
}

/// What a pull says at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullSummary {
    /// What the absence of a record means, per kind.
    pub coverage: PerKind<Coverage>,
    /// The same for the roles of users where they come apart from the users; `None` where they come with them.
    pub roles: Option<Coverage>,
    /// Where the next pull may begin.
    pub cursor: Option<Cursor>,
    /// How many records the vendor announced, per kind, where it did.
    pub totals: PerKind<Option<u64>>,
    /// Reasons of the source's own to hold the run.
    pub holds: Vec<Hold>,
    /// What the reader of the run should know: `no new package`, or where it came from.
    pub note: Option<String>,
    /// Parts of the upstream that were recognised and not read, by name.
    pub skipped: Vec<String>,
    /// There was nothing new to read: the run ends without looking at stored state.
    pub nothing_new: bool,
    /// More is waiting, and another pull with the new cursor will bring it.
    pub more: bool,
}

impl Default for PullSummary {
    fn default() -> Self {
        Self {
            coverage: PerKind::from_fn(|_| Coverage::Absent),
            roles: None,
            cursor: None,
            totals: PerKind::default(),
            holds: Vec::new(),
            note: None,
            skipped: Vec::new(),
            nothing_new: false,
            more: false,
        }
    }
}

/// What a pull covered of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Coverage {
    /// Everything: what is absent is gone.
    Snapshot,
    /// Only what is listed changed.
    Delta,
    /// Nothing: what is stored is left alone.
    #[default]
    Absent,
    /// The vendor proved that nothing changed.
    Unchanged,
}

/// A reason to hold a run, found by the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The rule.
    pub code: Code,
    /// What was found and what to do, for the person who decides.
    pub message: String,
}

/// One thing that a source has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record as it is now.
    Upsert(Upsert),
    /// A record that the source says is gone.
    Delete(Deletion),
    /// What a record owns, without the record itself.
    Owned(OwnedChange),
    /// A record that could not be mapped.
    Reject(Reject),
    /// Something that was accepted and should be known.
    Warning(Warning),
    /// Forget everything of this pull: the upstream moved while it was read. The use case allows three of them.
    Restart {
        /// What moved.
        reason: String,
    },
}

/// A mapped record, normalised and fingerprinted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upsert {
    record: Record,
    fingerprint: Fingerprint,
    /// When the source last changed the record, in milliseconds since 1970 UTC.
    pub modified_ms: Option<i64>,
    /// Whether a user's roles and agents are part of the record.
    pub half: UserHalf,
    /// Where the record stands.
    pub location: Location,
}

/// How much of a user a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserHalf {
    /// All of it; the only value for other kinds.
    #[default]
    Whole,
    /// All but the roles, which come apart or stay as they are.
    WithoutRoles,
    /// All but the agents, which come apart or stay as they are.
    WithoutAgents,
}

impl Upsert {
    /// Normalises and fingerprints a record. `scratch` is overwritten; reusing it saves allocations.
    pub fn new(mut record: Record, modified_ms: Option<i64>, location: Location, scratch: &mut Encoder) -> Self {
        record.normalise();
        let fingerprint = record.fingerprint(scratch);
        Self { record, fingerprint, modified_ms, half: UserHalf::Whole, location }
    }

    /// Says that the record, a user, carries no roles.
    #[must_use]
    pub fn without_roles(mut self) -> Self {
        self.half = UserHalf::WithoutRoles;
        self
    }

    /// Says that the record, a user, carries no agents.
    #[must_use]
    pub fn without_agents(mut self) -> Self {
        self.half = UserHalf::WithoutAgents;
        self
    }

    /// The record.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Takes the record out.
    pub fn into_record(self) -> Record {
        self.record
    }
}

/// A record that the source says is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub sourced_id: SourcedId,
    /// When the source deleted it, in milliseconds since 1970 UTC.
    pub modified_ms: Option<i64>,
    /// Where the source says so.
    pub location: Location,
}

/// A change of what a record owns, where the source speaks of that apart from the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnedChange {
    /// All roles of a user.
    Roles {
        /// The user.
        user: SourcedId,
        /// The roles; the user has no others.
        roles: Vec<Role>,
        /// Where the source says so.
        location: Location,
    },
    /// One role of a user. MUST NOT be sent of a user whom the same pull sends with roles.
    Role {
        /// The change.
        change: RoleChange,
        /// When the source made it, in milliseconds since 1970 UTC. Where the pull does not cover all roles, a change
        /// older than the newest accepted one of the same role is stale (R4).
        modified_ms: Option<i64>,
        /// Where the source says so.
        location: Location,
    },
    /// All agents of a user.
    Agents {
        /// The user.
        user: SourcedId,
        /// The agents; the user has no others.
        agents: Vec<SourcedId>,
        /// Where the source says so.
        location: Location,
    },
    /// One more agent of a user, who keeps those it has.
    Agent {
        /// The user.
        user: SourcedId,
        /// The agent to add.
        agent: SourcedId,
        /// Where the source says so.
        location: Location,
    },
    /// One agent less of a user, who keeps the others.
    AgentGone {
        /// The user.
        user: SourcedId,
        /// The agent to take away.
        agent: SourcedId,
        /// Where the source says so.
        location: Location,
    },
    /// All enrollments of a class; the class has no others.
    Enrollments {
        /// The class.
        class: SourcedId,
        /// Its enrollments.
        enrollments: Vec<Enrollment>,
        /// Where the source says so.
        location: Location,
    },
}

/// A change of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoleChange {
    /// The user has this role; one with the same vendor id is replaced.
    Put {
        /// The user.
        user: SourcedId,
        /// The role, with the vendor's id of it.
        role: Role,
    },
    /// The role is gone.
    Delete {
        /// The user. Where the source does not say, every user who has the role loses it.
        user: Option<SourcedId>,
        /// The vendor's id of the role.
        role: SourcedId,
    },
}

/// What a check of a source found out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Facts in the order in which to show them: a name and what was found.
    pub facts: Vec<(String, String)>,
    /// What will make a sync fail or fall short.
    pub problems: Vec<Problem>,
}

/// One problem with a source as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The rule.
    pub code: Code,
    /// The file or URL, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What was wrong, what was expected, and what to do.
    pub message: String,
}

/// Why a pull failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceFailure {
    /// It will fail again until somebody changes something.
    Permanent,
    /// It may succeed if it is tried again.
    Temporary,
    /// It was temporary, and stayed so through all retries.
    Exhausted,
    /// The sync itself stopped the pull.
    Stopped,
}

/// An incomplete or refused pull. Nothing of it is applied.
#[derive(Debug)]
pub struct SourceError {
    /// A stable word for the error: `package.invalid`, `unauthorized` and so on.
    pub code: String,
    /// What was wrong and what to do.
    pub message: String,
    /// Every problem found, where the upstream could be looked through.
    pub problems: Vec<Problem>,
    /// Whether trying again can help.
    pub failure: SourceFailure,
    /// What caused it.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// An error that stays until somebody changes something.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            problems: Vec::new(),
            failure: SourceFailure::Permanent,
            cause: None,
        }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds the problems found.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<SinkClosed> for SourceError {
    fn from(closed: SinkClosed) -> Self {
        Self {
            code: "stopped".to_owned(),
            message: closed.to_string(),
            problems: Vec::new(),
            failure: SourceFailure::Stopped,
            cause: None,
        }
    }
}

//! The contract of [`RosterStore`] as a suite: one function per behaviour that the port promises, grouped by topic.
//!
//! A store's crate says how to make one, and gets a test for each:
//!
//! ```text
//! async fn make_store() -> rollcall_testkit::store::Fixture { … }
//! rollcall_testkit::roster_store_contract!(make_store);
//! ```

pub mod applying;
pub mod feed;
pub mod plans;
pub mod reading;
pub mod runs;
pub mod staging;

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use rollcall_domain::ports::{
    Applied, ChangeEntry, ChangeKind, Commit, Cursor, DeleteReason, Fetched, NewRun, Pages, RosterStore, RunOutcome,
    RunStatus, ScopeDigest, SourceState, StagedChange, StoreError, StoredFingerprint, StoredRecord,
};
use rollcall_domain::report::RunReport;
use rollcall_domain::{Code, Finding, Kind, Location, Record, Reject, RunId, SourceId, SourcedId};
use uuid::Uuid;

use crate::build;

/// A store to try, and the way to open the same data as another process would.
pub struct Fixture {
    /// The store, empty.
    pub store: Arc<dyn RosterStore>,
    /// Opens the same data once more, with nothing shared in memory.
    pub reopen: Box<dyn Fn() -> BoxFuture<'static, Arc<dyn RosterStore>> + Send + Sync>,
    /// Whatever has to live as long as the store.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").finish_non_exhaustive()
    }
}

/// Makes a test of each behaviour of the contract, on the stores that the given async function makes.
#[macro_export]
macro_rules! roster_store_contract {
    ($make_store:ident) => {
        $crate::roster_store_contract!(@topic $make_store, runs:
            a_source_is_made_once_and_found_again,
            sources_are_listed_by_name_with_live_counts_and_the_last_run,
            a_source_is_leased_to_one_run_at_a_time,
            a_run_that_is_turned_away_is_recorded_and_leaves_the_other_alone,
            sources_are_leased_apart,
            a_run_is_recorded_from_begin_to_end,
            runs_are_listed_newest_first,
            a_run_whose_process_is_gone_is_shown_as_failed,
            a_run_that_applies_nothing_keeps_its_rejects_and_drops_what_was_staged,
        );
        $crate::roster_store_contract!(@topic $make_store, staging:
            what_is_staged_is_seen_only_by_reads_that_say_so,
            a_withdrawn_record_is_as_if_never_staged,
            clearing_forgets_everything_that_was_staged,
            holders_are_found_stored_and_staged_and_only_once,
            a_large_batch_is_staged_whole,
        );
        $crate::roster_store_contract!(@topic $make_store, applying:
            a_record_of_every_kind_comes_back_as_it_was_sent,
            applying_nothing_writes_no_roster_rows_and_no_changes,
            an_update_replaces_the_whole_record_and_keeps_its_internal_id,
            a_deleted_record_is_restored_under_its_internal_id,
            a_revived_record_comes_back_as_it_was,
            operations_on_one_record_apply_in_order,
            a_touch_changes_bookkeeping_only,
            a_failing_apply_changes_nothing,
            an_apply_on_another_revision_is_refused,
            the_source_moves_on_with_an_apply,
            two_sources_do_not_mix,
            an_apply_does_not_disturb_another_source_that_is_staging,
            rejects_are_kept_in_the_order_of_staging,
            pending_records_come_and_go,
            role_books_are_written_as_a_whole,
            switching_demographics_off_erases_them,
        );
        $crate::roster_store_contract!(@topic $make_store, reading:
            fingerprints_cover_deleted_records,
            live_records_are_ordered_by_id_byte_by_byte,
            live_records_show_links_to_live_records_only,
            references_to_what_was_never_stored_dangle_until_they_are_attached,
            sources_that_take_turns_are_told_apart,
            a_put_attaches_what_is_there_and_what_comes_with_it,
            a_deleted_target_does_not_make_a_reference_dangle,
            live_users_are_found_by_the_vendor_ids_of_their_roles,
        );
        $crate::roster_store_contract!(@topic $make_store, feed:
            creations_updates_deletions_and_restorations_are_in_one_order,
            the_feed_goes_on_after_a_number,
            the_feed_of_one_record,
        );
        $crate::roster_store_contract!(@topic $make_store, plans:
            a_kept_plan_is_applied_by_another_process,
            a_newer_plan_replaces_an_older_one,
            a_plan_lapses_when_the_store_moves_on,
            a_discarded_plan_is_gone,
        );
    };
    (@topic $make_store:ident, $topic:ident: $($name:ident),+ $(,)?) => {
        mod $topic {
            $(
                #[$crate::tokio::test(flavor = "multi_thread", crate = "rollcall_testkit::tokio")]
                async fn $name() {
                    $crate::store::$topic::$name(super::$make_store().await).await;
                }
            )+
        }
    };
}

/// An instant that no other call has given, later than those before.
pub fn tick() -> Timestamp {
    static NEXT: AtomicI64 = AtomicI64::new(1_790_000_000_000_000);
    Timestamp::from_microsecond(NEXT.fetch_add(1_000_000, Ordering::Relaxed)).expect("an instant")
}

/// The number of a run, later than those before.
pub fn run_id() -> RunId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    RunId(Uuid::from_u64_pair(0x0199_0000_0000_7000, 0x8000_0000_0000_0000 | NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A source in a store, and the runs made on it.
pub struct Scene {
    /// The store.
    pub fixture: Fixture,
    /// The source.
    pub source: SourceId,
    name: String,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Scene {
    /// Makes a source called `springfield`.
    pub async fn new(fixture: Fixture) -> Self {
        let source = fixture.store.source_open("springfield", "test").await.expect("a source");
        Self { fixture, source: source.id, name: source.name }
    }

    /// Goes on with another source of the same store, which is made if it is not there.
    pub async fn turn_to(&mut self, name: &str) {
        let source = self.store().source_open(name, "test").await.expect("a source");
        (self.source, self.name) = (source.id, source.name);
    }

    /// The store.
    pub fn store(&self) -> &dyn RosterStore {
        &*self.fixture.store
    }

    /// The source as the store has it.
    pub async fn state(&self) -> SourceState {
        self.store().source_find(&self.name).await.expect("an answer").expect("the source")
    }

    /// Begins a run.
    pub async fn begin(&self) -> RunId {
        let run = run_id();
        let new = NewRun { id: run, source: self.source, started: tick() };
        self.store().run_start(&new).await.expect("a run");
        run
    }

    /// How a run ends.
    pub fn outcome(&self, run: RunId, status: RunStatus) -> RunOutcome {
        let mut report = RunReport::begun(run, &self.name);
        report.status = status;
        RunOutcome { run, source: self.source, report, finished: tick() }
    }

    /// What is applied with a run, on the revision that the source has now.
    pub async fn commit(&self, run: RunId) -> Commit {
        Commit {
            outcome: self.outcome(run, RunStatus::Succeeded),
            basis: self.state().await.revision,
            cursor: Some(Cursor("cursor".to_owned())),
            scope: ScopeDigest("scope".to_owned()),
            full: true,
            pending_void: Vec::new(),
            demographics: true,
        }
    }

    /// Stages changes for a run.
    pub async fn stage(&self, run: RunId, changes: Vec<StagedChange>) {
        self.store().stage(self.source, run, changes).await.expect("staged changes");
    }

    /// A whole run that applies these changes.
    pub async fn apply(&self, changes: Vec<StagedChange>) -> RunId {
        self.try_apply(changes).await.expect("an apply").0
    }

    /// A whole run that tries to apply these changes.
    pub async fn try_apply(&self, changes: Vec<StagedChange>) -> Result<(RunId, Applied), StoreError> {
        let run = self.begin().await;
        if !changes.is_empty() {
            self.store().stage(self.source, run, changes).await?;
        }
        let commit = self.commit(run).await;
        Ok((run, self.store().apply(&commit).await?))
    }

    /// A record by id.
    pub async fn fetched(&self, run: RunId, kind: Kind, id: &str) -> Option<Fetched> {
        let ids = [build::id(id)];
        self.store().fetch(self.source, run, kind, &ids).await.expect("an answer").pop()
    }

    /// A stored record by id.
    pub async fn stored(&self, kind: Kind, id: &str) -> Option<StoredRecord> {
        self.fetched(run_id(), kind, id).await.and_then(|fetched| fetched.stored)
    }

    /// The live records of a kind.
    pub async fn records(&self, kind: Kind) -> Vec<Record> {
        all(self.store().records(self.source, kind)).await
    }

    /// The ids of the live records of a kind.
    pub async fn ids(&self, kind: Kind) -> Vec<String> {
        self.records(kind).await.iter().map(|record| record.sourced_id().to_string()).collect()
    }

    /// The fingerprints of a kind, by id.
    pub async fn fingerprints(&self, kind: Kind) -> Vec<StoredFingerprint> {
        let mut fingerprints = all(self.store().fingerprints(self.source, kind)).await;
        fingerprints.sort_by(|one, other| one.sourced_id.cmp(&other.sourced_id));
        fingerprints
    }

    /// The whole change feed.
    pub async fn feed(&self) -> Vec<ChangeEntry> {
        all(self.store().changes(self.source, 0, None)).await
    }

    /// The change feed as lines: sequence left out, kind, id and change.
    pub async fn feed_lines(&self) -> Vec<String> {
        self.feed()
            .await
            .iter()
            .map(|entry| format!("{} {} {}", entry.kind, entry.sourced_id, entry.change.as_str()))
            .collect()
    }
}

/// All items of a long answer.
pub async fn all<T>(pages: Pages<T>) -> Vec<T> {
    let pages: Vec<Vec<T>> = pages.try_collect().await.expect("an answer");
    pages.into_iter().flatten().collect()
}

/// The error of a long answer.
pub async fn error_of<T>(mut pages: Pages<T>) -> Option<StoreError> {
    while let Some(page) = pages.next().await {
        if let Err(error) = page {
            return Some(error);
        }
    }
    None
}

/// A put of a record that is new.
pub fn created(record: impl Into<Record>) -> StagedChange {
    put(record, ChangeKind::Created)
}

/// A put of a record that is there.
pub fn updated(record: impl Into<Record>) -> StagedChange {
    put(record, ChangeKind::Updated)
}

/// A put of a record that is deleted.
pub fn restored(record: impl Into<Record>) -> StagedChange {
    put(record, ChangeKind::Restored)
}

fn put(record: impl Into<Record>, change: ChangeKind) -> StagedChange {
    let mut record = record.into();
    let fingerprint = build::fingerprint(&mut record);
    StagedChange::Put { record, fingerprint, modified_ms: None, change }
}

/// A deletion.
pub fn deleted(kind: Kind, id: &str, reason: DeleteReason) -> StagedChange {
    StagedChange::Delete { kind, sourced_id: build::id(id), reason, modified_ms: None }
}

/// A refused record.
pub fn reject(kind: Kind, id: Option<&str>, line: u64) -> Reject {
    Reject {
        kind,
        sourced_id: id.map(build::id),
        is_part: false,
        location: Location::line(&Arc::from("users.csv"), line),
        findings: vec![Finding::on(Code::FieldMissing, "name", "the name is blank; fill it in")],
        record: Some(serde_json::json!({ "sourcedId": id, "line": line })),
    }
}

/// A school, two users, a class and an enrollment.
pub fn small_roster() -> Vec<StagedChange> {
    vec![
        created(build::school("school")),
        created(build::class("class", "school")),
        created(build::user("anna")),
        created(build::user("ben")),
        created(build::enrollment("e1", "class", "anna")),
    ]
}

/// The id of an expected record, for comparisons.
pub fn ids_of(ids: &[&str]) -> Vec<SourcedId> {
    ids.iter().map(|id| build::id(id)).collect()
}

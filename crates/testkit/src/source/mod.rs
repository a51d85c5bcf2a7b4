//! The contract of [`RosterSource`] as a suite: one function per behaviour that the port promises, grouped by topic.
//!
//! A source's crate says how to make an [`Upstream`] with a source on it, and gets a test for each:
//!
//! ```text
//! async fn upstream() -> Arc<dyn rollcall_testkit::source::Upstream> { … }
//! rollcall_testkit::roster_source_contract!(upstream);
//! ```
//!
//! What an upstream can do wrong differs: a file does not run into a rate limit. [`Upstream::faults`] lists what this one
//! can, and each of that is tried. How its failures are told is a snapshot in the source's crate.

pub mod cursors;
pub mod hostile;
pub mod pulling;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use rollcall_domain::ports::{
    BatchSink, Clock, Cursor, Item, PullRequest, PullSummary, RosterSource, SinkClosed, SourceError,
};
use rollcall_domain::report::RunReport;
use rollcall_domain::sync::{NoProgress, Sync, SyncOptions};
use rollcall_domain::{Kind, RunId};
use uuid::Uuid;

use crate::memory::{Key, MemoryStore, Row};
use crate::store::tick;

/// Makes a test of each behaviour of the contract, on the upstreams that the given async function makes.
#[macro_export]
macro_rules! roster_source_contract {
    ($upstream:ident) => {
        $crate::roster_source_contract!(@topic $upstream, pulling:
            a_source_describes_itself_the_same_every_time,
            a_check_of_a_healthy_upstream_finds_no_problem,
            two_pulls_of_an_unchanged_upstream_give_the_same,
            a_full_pull_covers_what_it_reads_and_sends_no_record_twice,
            r12_demographics_come_only_if_they_are_asked_for,
            a_receiver_that_stops_stops_the_pull,
            each_reject_and_each_warning_says_where_and_what,
        );
        $crate::roster_source_contract!(@topic $upstream, cursors:
            r1_a_second_run_writes_nothing,
            r10_what_changed_since_the_cursor_comes_with_the_next_run,
            r10_what_changes_during_a_pull_comes_with_the_next_run,
            r10_a_changed_scope_voids_the_cursor,
            a_cursor_of_somebody_else_is_not_believed,
        );
        mod hostile {
            #[$crate::tokio::test(flavor = "multi_thread", crate = "rollcall_testkit::tokio")]
            async fn r6_what_goes_wrong_once_ends_in_the_roster_or_in_nothing() {
                let told = $crate::source::hostile::endings(super::$upstream, $crate::source::Times::Once).await;
                $crate::insta::assert_snapshot!(told);
            }

            #[$crate::tokio::test(flavor = "multi_thread", crate = "rollcall_testkit::tokio")]
            async fn r6_what_keeps_going_wrong_ends_in_nothing_and_says_what_happened() {
                let told = $crate::source::hostile::endings(super::$upstream, $crate::source::Times::Always).await;
                $crate::insta::assert_snapshot!(told);
            }
        }
    };
    (@topic $upstream:ident, $topic:ident: $($name:ident),+ $(,)?) => {
        mod $topic {
            $(
                #[$crate::tokio::test(flavor = "multi_thread", crate = "rollcall_testkit::tokio")]
                async fn $name() {
                    $crate::source::$topic::$name(super::$upstream().await).await;
                }
            )+
        }
    };
}

/// Where a source reads from: a vendor, a folder. It has a district with at least a hundred users and one record of
/// every kind that the vendor knows.
#[async_trait]
pub trait Upstream: Send + std::marker::Sync {
    /// A source on the upstream, as a new process would make it.
    fn source(&self) -> Arc<dyn RosterSource>;

    /// A source that sees the same with settings that shape what is visible: other credentials, say. `None` where no
    /// setting does.
    fn rescoped(&self) -> Option<Arc<dyn RosterSource>>;

    /// Lets a day pass: records of several kinds change, come and go, fewer of them than a guard minds.
    async fn advance(&self);

    /// An upstream with records that nobody can accept.
    async fn nonsense(&self) -> Nonsense;

    /// What can go wrong here.
    fn faults(&self) -> &'static [Fault];

    /// Makes something go wrong with the users: with a page in their middle, where there are pages.
    fn arm(&self, fault: Fault, times: Times);

    /// Makes nothing go wrong any more, and says how often something did.
    fn disarm(&self) -> usize;

    /// What must not be in any message.
    fn secrets(&self) -> Vec<String>;

    /// A message without what differs from test to test: ports and temporary folders.
    fn plain(&self, message: &str) -> String;
}

/// An upstream with records that nobody can accept.
pub struct Nonsense {
    /// A source on it.
    pub source: Arc<dyn RosterSource>,
    /// The records that it must refuse. It may refuse others that refer to them.
    pub refused: Vec<(Kind, &'static str)>,
    /// Whatever has to live as long as the source.
    pub keep: Box<dyn Any + Send + std::marker::Sync>,
}

impl fmt::Debug for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonsense").field("refused", &self.refused).finish_non_exhaustive()
    }
}

/// What can go wrong with an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429 without `Retry-After`.
    TooManyRequests,
    /// 429 with a `Retry-After` of a second the first time, and of more than anybody would wait if it lasts.
    TooManyRequestsRetryAfter,
    /// 500.
    InternalError,
    /// An answer or a file breaks off in its middle.
    Truncated,
    /// A page repeats the one before it.
    RepeatedPage,
    /// A page has half of its records.
    ShortPage,
    /// The announced total becomes smaller from request to request.
    ShrinkingTotal,
    /// The credentials stop to be valid.
    ExpiredToken,
    /// A web page in place of the data.
    LoginPage,
    /// No records at all.
    EmptyCollection,
    /// The data without the name that says what it is: an envelope, a header line.
    MissingEnvelope,
    /// The connection is reset.
    ConnectionReset,
}

impl Fault {
    /// All that can go wrong over HTTP.
    pub const HTTP: &'static [Self] = &[
        Self::TooManyRequests,
        Self::TooManyRequestsRetryAfter,
        Self::InternalError,
        Self::Truncated,
        Self::RepeatedPage,
        Self::ShortPage,
        Self::ShrinkingTotal,
        Self::ExpiredToken,
        Self::LoginPage,
        Self::EmptyCollection,
        Self::MissingEnvelope,
        Self::ConnectionReset,
    ];
}

/// How often something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// For one request; a file stays as it is.
    Once,
    /// Until it is disarmed.
    Always,
}

/// Time that passes when somebody looks.
struct Ticking;

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        tick()
    }
}

/// Everything of a store that a run that failed must leave alone.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    rows: BTreeMap<Key, Row>,
    feed: usize,
    pending: usize,
    cursor: Option<Cursor>,
    revision: i64,
}

impl Kept {
    fn of(store: &MemoryStore) -> Self {
        let source = store.source().expect("a source that was synced");
        Self {
            rows: store.rows(),
            feed: store.feed_len(),
            pending: store.pending_len(),
            cursor: source.cursor,
            revision: source.revision,
        }
    }
}

/// Makes a run with the guards as they are by themselves, demographics included.
async fn sync(store: &MemoryStore, source: &dyn RosterSource, full: bool) -> RunReport {
    let run = RunId(Uuid::from_u128(store.next_run()));
    let options = SyncOptions { full, demographics: true, ..SyncOptions::default() };
    let sync = Sync { store, clock: &Ticking, progress: &NoProgress };
    sync.run(run, "springfield", source, &options).await.expect("a run").report
}

/// Makes a run that must be applied.
#[track_caller]
fn assert_applied(report: &RunReport) {
    let RunReport { status, error, held_by, .. } = report;
    assert_eq!(*status, rollcall_domain::ports::RunStatus::Succeeded, "{error:?} {held_by:?}");
}

/// A store into which everything was read at once.
async fn read_afresh(upstream: &dyn Upstream) -> MemoryStore {
    let store = MemoryStore::default();
    assert_applied(&sync(&store, &*upstream.source(), true).await);
    store
}

/// The same records live in both.
#[track_caller]
fn assert_same_roster(found: &MemoryStore, expected: &MemoryStore, context: impl fmt::Display) {
    let (found, expected) = (found.live(), expected.live());
    let keys = found.keys().chain(expected.keys());
    let differing: std::collections::BTreeSet<_> = keys.filter(|key| found.get(*key) != expected.get(*key)).collect();
    assert!(differing.is_empty(), "{context}: these differ: {differing:?}");
}

/// What a pull brought.
#[derive(Debug)]
pub struct Pulled {
    /// What came after the last restart.
    pub items: Vec<Item>,
    /// Why it began again, each time.
    pub restarts: Vec<String>,
    /// What it said at its end.
    pub summary: PullSummary,
}

impl Pulled {
    /// The keys of its records.
    fn keys(&self) -> Vec<Key> {
        let upserts = self.items.iter().filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record()),
            _ => None,
        });
        upserts.map(|record| (record.kind(), record.sourced_id().clone())).collect()
    }

    /// Its items, in an order that is theirs alone.
    fn sorted(&self) -> Vec<String> {
        let mut items: Vec<_> = self.items.iter().map(|item| format!("{item:?}")).collect();
        items.sort_unstable();
        items
    }
}

/// Keeps what comes after the last restart.
#[derive(Clone, Default)]
struct Keeping(Arc<Mutex<(Vec<Item>, Vec<String>)>>);

/// Pulls, and keeps everything in memory.
pub async fn pull(source: &dyn RosterSource, request: &PullRequest) -> Result<Pulled, SourceError> {
    let sink = Keeping::default();
    let summary = source.pull(request, Box::new(sink.clone())).await?;
    let (items, restarts) = std::mem::take(&mut *sink.0.lock().unwrap());
    Ok(Pulled { items, restarts, summary })
}

#[async_trait]
impl BatchSink for Keeping {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        let (items, restarts) = &mut *self.0.lock().unwrap();
        for item in batch {
            if let Item::Restart { reason } = item {
                items.clear();
                restarts.push(reason);
            } else {
                items.push(item);
            }
        }
        Ok(())
    }
}

/// A full pull with demographics.
fn everything() -> PullRequest {
    PullRequest { cursor: None, full: true, demographics: true }
}

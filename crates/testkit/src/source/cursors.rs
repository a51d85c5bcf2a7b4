//! Where the next pull begins.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use rollcall_domain::Kind;
use rollcall_domain::ports::{
    BatchSink, CheckReport, Coverage, Cursor, Item, PullRequest, PullSummary, RosterSource, RunMode, RunStatus,
    SinkClosed, SourceDescription, SourceError,
};
use rollcall_domain::report::RunReport;

use super::{Upstream, assert_applied, assert_same_roster, everything, pull, read_afresh, sync};
use crate::memory::MemoryStore;

fn received(report: &RunReport) -> u64 {
    report.counts.iter().map(|(_, counts)| counts.received).sum()
}

/// Neither what changed nor everything, read once more, changes anything.
pub async fn r1_a_second_run_writes_nothing(upstream: Arc<dyn Upstream>) {
    let store = MemoryStore::default();
    assert_applied(&sync(&store, &*upstream.source(), false).await);
    let (rows, feed) = (store.rows(), store.feed_len());
    assert!(!rows.is_empty());
    for full in [false, true] {
        let report = sync(&store, &*upstream.source(), full).await;
        assert_applied(&report);
        for (kind, counts) in report.counts.iter() {
            assert_eq!(counts.unchanged, counts.received, "{kind}: {counts:?}");
        }
        assert_eq!(store.rows(), rows);
        assert_eq!(store.feed_len(), feed);
    }
}

/// The store is brought to where a full pull would bring it, and a source that can read changes alone reads no more.
pub async fn r10_what_changed_since_the_cursor_comes_with_the_next_run(upstream: Arc<dyn Upstream>) {
    let store = MemoryStore::default();
    let first = sync(&store, &*upstream.source(), false).await;
    assert_applied(&first);
    assert_eq!(first.mode, RunMode::Full);
    for day in 1..=2 {
        let before = store.live();
        upstream.advance().await;
        let report = sync(&store, &*upstream.source(), false).await;
        assert_applied(&report);
        if upstream.source().describe().capabilities.incremental {
            assert_eq!(report.mode, RunMode::Incremental);
            assert!(received(&report) < received(&first) / 2, "{} of {}", received(&report), received(&first));
        }
        assert_ne!(store.live(), before, "nothing changed on day {day}");
        assert_same_roster(&store, &read_afresh(&*upstream).await, format!("day {day}"));
    }
}

/// A source on which a day passes while it is read.
struct Moving {
    source: Arc<dyn RosterSource>,
    upstream: Arc<dyn Upstream>,
    moved: Arc<AtomicBool>,
}

struct MovingSink {
    sink: Box<dyn BatchSink>,
    upstream: Arc<dyn Upstream>,
    moved: Arc<AtomicBool>,
}

#[async_trait]
impl BatchSink for MovingSink {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        let has_users = batch.iter().any(|item| match item {
            Item::Upsert(upsert) => upsert.record().kind() == Kind::Users,
            _ => false,
        });
        if has_users && !self.moved.swap(true, Ordering::SeqCst) {
            self.upstream.advance().await;
        }
        self.sink.push(batch).await
    }
}

#[async_trait]
impl RosterSource for Moving {
    fn describe(&self) -> SourceDescription {
        self.source.describe()
    }

    async fn check(&self) -> Result<CheckReport, SourceError> {
        self.source.check().await
    }

    async fn pull(&self, request: &PullRequest, sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError> {
        let (upstream, moved) = (Arc::clone(&self.upstream), Arc::clone(&self.moved));
        self.source.pull(request, Box::new(MovingSink { sink, upstream, moved })).await
    }
}

/// A run during which the upstream moves fails, or leaves nothing behind that the next one does not bring.
pub async fn r10_what_changes_during_a_pull_comes_with_the_next_run(upstream: Arc<dyn Upstream>) {
    let store = MemoryStore::default();
    let moved = Arc::new(AtomicBool::new(false));
    let moving = Moving { source: upstream.source(), upstream: Arc::clone(&upstream), moved: Arc::clone(&moved) };
    let report = sync(&store, &moving, false).await;
    assert!(moved.load(Ordering::SeqCst));
    if report.status != RunStatus::Succeeded {
        assert_eq!(store.rows(), std::collections::BTreeMap::new(), "nothing of a run that failed is applied");
    }
    assert_applied(&sync(&store, &*upstream.source(), false).await);
    assert_same_roster(&store, &read_afresh(&*upstream).await, "after the next run");
}

/// With other settings everything is read anew; what both see stays as it is.
pub async fn r10_a_changed_scope_voids_the_cursor(upstream: Arc<dyn Upstream>) {
    let Some(other) = upstream.rescoped() else {
        // Then nothing that can be set shapes what is seen, and the scope says nothing.
        assert_eq!(upstream.source().describe().scope, upstream.source().describe().scope);
        return;
    };
    assert_ne!(other.describe().scope, upstream.source().describe().scope);
    let store = MemoryStore::default();
    assert_applied(&sync(&store, &*upstream.source(), false).await);
    let rows = store.rows();
    let report = sync(&store, &*other, false).await;
    assert_applied(&report);
    assert_eq!(report.mode, RunMode::Full);
    assert_eq!(store.rows(), rows);
}

/// It is refused, or everything is read.
pub async fn a_cursor_of_somebody_else_is_not_believed(upstream: Arc<dyn Upstream>) {
    for cursor in ["", "no cursor", "{}", r#"{"version":0}"#, "99999"] {
        let request = PullRequest { cursor: Some(Cursor(cursor.to_owned())), full: false, ..everything() };
        match pull(&*upstream.source(), &request).await {
            Err(error) => assert!(!error.code.is_empty() && !error.message.is_empty(), "{cursor:?}"),
            Ok(pulled) => {
                assert_eq!(pulled.summary.coverage[Kind::Users], Coverage::Snapshot, "{cursor:?}");
            }
        }
    }
}

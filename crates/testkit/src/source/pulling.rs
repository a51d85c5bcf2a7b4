//! What a pull brings, and what it says of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use rollcall_domain::ports::{BatchSink, Coverage, Item, PullRequest, SinkClosed, SourceFailure};
use rollcall_domain::{Finding, Kind, Location};

use super::{Upstream, assert_applied, everything, pull, sync};
use crate::build;
use crate::memory::MemoryStore;

/// Two sources with the same settings are one source, before a pull and after it.
pub async fn a_source_describes_itself_the_same_every_time(upstream: Arc<dyn Upstream>) {
    let source = upstream.source();
    let before = source.describe();
    assert_eq!(upstream.source().describe(), before);
    pull(&*source, &everything()).await.expect("a pull");
    assert_eq!(source.describe(), before);
}

/// A check has something to say, and nothing to complain of.
pub async fn a_check_of_a_healthy_upstream_finds_no_problem(upstream: Arc<dyn Upstream>) {
    let report = upstream.source().check().await.expect("a check");
    assert!(!report.facts.is_empty());
    assert_eq!(report.problems, []);
}

/// The same records, deletions, findings, places and coverage, whether by one source or by another.
pub async fn two_pulls_of_an_unchanged_upstream_give_the_same(upstream: Arc<dyn Upstream>) {
    let source = upstream.source();
    let first = pull(&*source, &everything()).await.expect("a pull");
    assert!(!first.items.is_empty());
    for source in [source, upstream.source()] {
        let again = pull(&*source, &everything()).await.expect("a pull");
        assert_eq!(again.sorted(), first.sorted());
        let (again, first) = (again.summary, &first.summary);
        assert_eq!((&again.coverage, again.roles), (&first.coverage, first.roles));
        assert_eq!((&again.totals, &again.skipped), (&first.totals, &first.skipped));
    }
}

/// A full pull says that it is one, and what it brings of a kind is as much as was announced.
pub async fn a_full_pull_covers_what_it_reads_and_sends_no_record_twice(upstream: Arc<dyn Upstream>) {
    let pulled = pull(&*upstream.source(), &everything()).await.expect("a pull");
    let keys = pulled.keys();
    let different: BTreeSet<_> = keys.iter().collect();
    assert_eq!(different.len(), keys.len(), "records came twice");
    assert!(keys.iter().filter(|(kind, _)| *kind == Kind::Users).count() >= 100);
    for kind in Kind::ALL {
        let received = keys.iter().filter(|(of, _)| *of == kind).count();
        if received > 0 {
            assert_eq!(pulled.summary.coverage[kind], Coverage::Snapshot, "{kind}");
        }
        if let Some(total) = pulled.summary.totals[kind] {
            assert_eq!(usize::try_from(total), Ok(received), "{kind}");
        }
    }
    assert!(pulled.summary.cursor.is_some());
    assert!(!pulled.summary.more);
}

/// What is not to be stored is not to be read.
pub async fn r12_demographics_come_only_if_they_are_asked_for(upstream: Arc<dyn Upstream>) {
    let source = upstream.source();
    let count = |pulled: &super::Pulled| pulled.keys().iter().filter(|(kind, _)| *kind == Kind::Demographics).count();
    let with = pull(&*source, &everything()).await.expect("a pull");
    let without = PullRequest { demographics: false, ..everything() };
    let without = pull(&*source, &without).await.expect("a pull");
    assert_eq!(count(&without), 0);
    assert_eq!(without.keys().len() + count(&with), with.keys().len());
}

struct Closed;

#[async_trait]
impl BatchSink for Closed {
    async fn push(&mut self, _: Vec<Item>) -> Result<(), SinkClosed> {
        Err(SinkClosed)
    }
}

/// A pull that nobody takes ends, and says why.
pub async fn a_receiver_that_stops_stops_the_pull(upstream: Arc<dyn Upstream>) {
    let error = upstream.source().pull(&everything(), Box::new(Closed)).await.expect_err("nobody took the records");
    assert_eq!(error.failure, SourceFailure::Stopped, "{error}");
}

/// What cannot be accepted is refused once, by the source or by the rules of one record, with its place, the rule and what
/// was sent, and fails no run.
pub async fn each_reject_and_each_warning_says_where_and_what(upstream: Arc<dyn Upstream>) {
    let nonsense = upstream.nonsense().await;
    assert!(!nonsense.refused.is_empty());
    let store = MemoryStore::default();
    assert_applied(&sync(&store, &*nonsense.source, true).await);
    let rejects = store.rejects();
    for (kind, id) in &nonsense.refused {
        assert!(!store.is_live(*kind, id), "{kind} {id}");
        let sourced_id = build::id(id);
        let about: Vec<_> = rejects
            .iter()
            .filter(|reject| reject.kind == *kind && reject.sourced_id.as_ref() == Some(&sourced_id))
            .collect();
        assert!(matches!(about.as_slice(), [reject] if !reject.is_part), "{kind} {id}: {about:#?}");
    }
    for reject in &rejects {
        assert!(reject.location.position.is_some(), "{reject:#?}");
        assert!(reject.sourced_id.is_none() || reject.record.is_some(), "{reject:#?}");
        assert_is_told(upstream.as_ref(), &reject.location, &reject.findings, &format!("{reject:?}"));
    }
    let pulled = pull(&*nonsense.source, &everything()).await.expect("a pull");
    for item in &pulled.items {
        if let Item::Warning(warning) = item {
            let findings = std::slice::from_ref(&warning.finding);
            assert_is_told(upstream.as_ref(), &warning.location, findings, &format!("{warning:?}"));
        }
    }
}

#[track_caller]
fn assert_is_told(upstream: &dyn Upstream, location: &Location, findings: &[Finding], whole: &str) {
    assert!(!location.place.is_empty() && !findings.is_empty(), "{whole}");
    assert!(findings.iter().all(|finding| !finding.message.is_empty()), "{whole}");
    for secret in upstream.secrets() {
        assert!(!whole.contains(&secret), "a secret is told of {location}");
    }
}

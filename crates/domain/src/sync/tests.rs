//! The order of things, against mocked ports.

use std::sync::Arc;

use futures::{StreamExt, stream};
use mockall::Sequence;
use uuid::Uuid;

use super::{NoProgress, Sync, SyncOptions};
use crate::entities::{Metadata, User};
use crate::ports::{
    Applied, Capabilities, Coverage, EmptySnapshot, Item, Lease, MockClock, MockRosterSource, MockRosterStore,
    PullSummary, Repeats, RunStatus, ScopeDigest, SourceDescription, SourceError, SourceState, StoreError, Upsert,
};
use crate::{Encoder, Location, PerKind, Record, RunId, SourceId, SourcedId};

#[derive(Debug)]
struct NoLease;

impl Lease for NoLease {}

fn state() -> SourceState {
    SourceState {
        id: SourceId(1),
        name: "s".to_owned(),
        kind: "script".to_owned(),
        cursor: None,
        scope: None,
        demographics: false,
        revision: 0,
        last_full: None,
    }
}

fn clock() -> MockClock {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(jiff::Timestamp::UNIX_EPOCH);
    clock
}

fn a_user(number: u32) -> Item {
    let user = User {
        sourced_id: SourcedId::new(&format!("u{number}")).unwrap(),
        enabled_user: true,
        username: None,
        external_ids: vec![],
        given_name: Some("Ada".into()),
        family_name: None,
        middle_name: None,
        identifier: None,
        email: None,
        sms: None,
        phone: None,
        agents: vec![],
        grades: vec![],
        user_master_identifier: None,
        preferred_given_name: None,
        preferred_middle_name: None,
        preferred_family_name: None,
        primary_org: None,
        pronouns: None,
        roles: vec![],
        metadata: Metadata::new(),
    };
    let location = Location::line(&Arc::from("users.csv"), u64::from(number) + 2);
    Item::Upsert(Upsert::new(Record::from(user), None, location, &mut Encoder::default()))
}

/// A source that pushes batches of users until it is stopped or done.
fn source(batches: u32) -> MockRosterSource {
    let mut source = MockRosterSource::new();
    source.expect_describe().returning(|| SourceDescription {
        kind: "script",
        capabilities: Capabilities {
            incremental: false,
            repeats: Repeats::Conflict,
            empty_snapshot: EmptySnapshot::Hold,
        },
        scope: ScopeDigest("all".to_owned()),
    });
    source.expect_pull().returning(move |_, mut sink| {
        futures::executor::block_on(async {
            for batch in 0..batches {
                sink.push(vec![a_user(batch)]).await?;
            }
            let coverage = PerKind::from_fn(|_| Coverage::Delta);
            Ok::<_, SourceError>(PullSummary { coverage, ..PullSummary::default() })
        })
    });
    source
}

fn opened_store(sequence: &mut Sequence) -> MockRosterStore {
    let mut store = MockRosterStore::new();
    store.expect_source_open().times(1).in_sequence(sequence).returning(|_, _| Ok(state()));
    store.expect_lease().times(1).in_sequence(sequence).returning(|_, _| Ok(Box::new(NoLease)));
    store.expect_source_find().times(1).in_sequence(sequence).returning(|_| Ok(Some(state())));
    store.expect_run_start().times(1).in_sequence(sequence).returning(|_| Ok(()));
    store.expect_fingerprints().returning(|_, _| stream::empty().boxed());
    store.expect_pending().returning(|_, _| stream::empty().boxed());
    store.expect_waiting_roles().returning(|_| stream::empty().boxed());
    store.expect_dangling().returning(|_, _| stream::empty().boxed());
    store
}

async fn run(store: &MockRosterStore, source: &MockRosterSource) -> crate::report::RunReport {
    let clock = clock();
    let sync = Sync { store, clock: &clock, progress: &NoProgress };
    sync.run(RunId(Uuid::from_u128(7)), "s", source, &SyncOptions::default()).await.unwrap().report
}

#[tokio::test]
async fn the_lease_comes_before_the_pull_and_the_apply_after_everything() {
    let mut sequence = Sequence::new();
    let mut store = opened_store(&mut sequence);
    store.expect_stage().times(1).in_sequence(&mut sequence).returning(|_, _, _| Ok(()));
    store
        .expect_apply()
        .times(1)
        .in_sequence(&mut sequence)
        .withf(|commit| commit.basis == 0 && commit.outcome.report.status == RunStatus::Succeeded)
        .returning(|_| Ok(Applied { revision: 1 }));
    store.expect_run_finish().times(1).in_sequence(&mut sequence).returning(|_| Ok(()));
    assert_eq!(run(&store, &source(3)).await.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn a_busy_source_is_left_alone() {
    let mut store = MockRosterStore::new();
    store.expect_source_open().returning(|_, _| Ok(state()));
    store.expect_lease().returning(|_, _| Err(StoreError::Busy { source_name: "s".to_owned() }));
    store
        .expect_run_turned_away()
        .times(1)
        .withf(|run, outcome| run.id == outcome.run && outcome.report.status == RunStatus::Failed)
        .returning(|_, _| Ok(()));
    let report = run(&store, &source(0)).await;
    assert_eq!((report.status, report.error.unwrap().code.as_str()), (RunStatus::Failed, "source.busy"));
}

#[tokio::test]
async fn a_store_that_fails_to_apply_leaves_a_failed_run() {
    let mut sequence = Sequence::new();
    let mut store = opened_store(&mut sequence);
    store.expect_stage().returning(|_, _, _| Ok(()));
    store.expect_apply().times(1).returning(|_| Err(StoreError::MovedOn));
    store
        .expect_run_finish()
        .times(1)
        .withf(|outcome| outcome.report.status == RunStatus::Failed && outcome.report.rejected() == 0)
        .returning(|_| Ok(()));
    let report = run(&store, &source(1)).await;
    assert_eq!(report.error.unwrap().code, "plan.moved_on");
}

#[tokio::test]
async fn a_store_that_fails_while_records_arrive_fails_the_run_with_its_own_error() {
    let mut store = MockRosterStore::new();
    store.expect_source_open().returning(|_, _| Ok(state()));
    store.expect_lease().returning(|_, _| Ok(Box::new(NoLease)));
    store.expect_source_find().returning(|_| Ok(Some(state())));
    store.expect_run_start().returning(|_| Ok(()));
    store.expect_fingerprints().returning(|_, _| stream::once(async { Err(StoreError::MovedOn) }).boxed());
    store.expect_run_finish().times(1).returning(|_| Ok(()));
    let report = run(&store, &source(1)).await;
    assert_eq!((report.status, report.error.unwrap().code.as_str()), (RunStatus::Failed, "plan.moved_on"));
}

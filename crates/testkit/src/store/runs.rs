//! Sources, leases and the book of runs.

use rollcall_domain::Kind;
use rollcall_domain::ports::{NewRun, RunFilter, RunStatus, StoreError};

use super::{Fixture, Scene, all, created, reject, run_id, small_roster, tick};
use crate::build;
use rollcall_domain::ports::StagedChange;

/// `source_open` makes a source once, and afterwards finds it and corrects its kind.
pub async fn a_source_is_made_once_and_found_again(fixture: Fixture) {
    let store = &fixture.store;
    assert_eq!(store.source_find("springfield").await.unwrap(), None);
    let made = store.source_open("springfield", "oneroster-csv").await.unwrap();
    assert_eq!((made.revision, made.demographics, &made.cursor), (0, false, &None));
    let again = store.source_open("springfield", "oneroster-rest").await.unwrap();
    assert_eq!(again.id, made.id);
    assert_eq!(store.source_find("springfield").await.unwrap().unwrap().kind, "oneroster-rest");
    assert_ne!(store.source_open("shelbyville", "clever").await.unwrap().id, made.id);
}

/// `source_list` is by name, counts live records only, and shows the last run.
pub async fn sources_are_listed_by_name_with_live_counts_and_the_last_run(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.store().source_open("capital", "clever").await.unwrap();
    scene.apply(small_roster()).await;
    let last =
        scene.apply(vec![super::deleted(Kind::Users, "ben", rollcall_domain::ports::DeleteReason::Absent)]).await;
    let list = scene.store().source_list().await.unwrap();
    assert_eq!(list.iter().map(|row| row.state.name.as_str()).collect::<Vec<_>>(), ["capital", "springfield"]);
    assert_eq!(list[0].last_run, None);
    assert_eq!(list[0].live[Kind::Users], 0);
    assert_eq!(list[1].live[Kind::Users], 1);
    assert_eq!(list[1].live[Kind::Enrollments], 1);
    assert_eq!(list[1].last_run.as_ref().unwrap().id, last);
}

/// A second lease of a source is refused at once, in this process and in any other, until the first is dropped.
pub async fn a_source_is_leased_to_one_run_at_a_time(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let other = (scene.fixture.reopen)().await;
    let lease = scene.store().lease(scene.source, run_id()).await.unwrap();
    for store in [scene.store(), &*other] {
        let refused = store.lease(scene.source, run_id()).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Busy { source_name } if source_name == "springfield"), "{refused:?}");
    }
    drop(lease);
    let lease = other.lease(scene.source, run_id()).await.unwrap();
    assert!(scene.store().lease(scene.source, run_id()).await.is_err());
    drop(lease);
}

/// A lease of one source keeps nobody from another.
pub async fn sources_are_leased_apart(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let other = scene.store().source_open("shelbyville", "test").await.unwrap();
    let _one = scene.store().lease(scene.source, run_id()).await.unwrap();
    let _two = scene.store().lease(other.id, run_id()).await.unwrap();
}

/// A run is found as running while its source is leased, and as it ended afterwards.
pub async fn a_run_is_recorded_from_begin_to_end(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    assert_eq!(scene.store().run_find(run_id()).await.unwrap(), None);
    let run = run_id();
    let _lease = scene.store().lease(scene.source, run).await.unwrap();
    let started = tick();
    scene.store().run_start(&NewRun { id: run, source: scene.source, started }).await.unwrap();
    let found = scene.store().run_find(run).await.unwrap().unwrap();
    assert_eq!((found.source.as_str(), found.started, found.finished), ("springfield", started, None));
    assert_eq!(found.report.status, RunStatus::Running);
    let mut outcome = scene.outcome(run, RunStatus::Failed);
    outcome.report.note = Some("a note".to_owned());
    outcome.report.counts[Kind::Users].rejected = 3;
    scene.store().run_finish(&outcome).await.unwrap();
    let found = scene.store().run_find(run).await.unwrap().unwrap();
    assert_eq!(found.report, outcome.report);
    assert_eq!(found.finished, Some(outcome.finished));
}

/// `run_turned_away` records the run, and the one that has the source goes on running.
pub async fn a_run_that_is_turned_away_is_recorded_and_leaves_the_other_alone(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let (first, second) = (run_id(), run_id());
    let _lease = scene.store().lease(scene.source, first).await.unwrap();
    scene.store().run_start(&NewRun { id: first, source: scene.source, started: tick() }).await.unwrap();
    let other = (scene.fixture.reopen)().await;
    let outcome = scene.outcome(second, RunStatus::Failed);
    let new = NewRun { id: second, source: scene.source, started: tick() };
    other.run_turned_away(&new, &outcome).await.unwrap();
    let found = scene.store().run_find(second).await.unwrap().unwrap();
    assert_eq!((found.report, found.finished), (outcome.report, Some(outcome.finished)));
    assert_eq!(scene.store().run_find(first).await.unwrap().unwrap().report.status, RunStatus::Running);
}

/// `run_list` is newest first, and can be narrowed to a source.
pub async fn runs_are_listed_newest_first(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let first = scene.apply(Vec::new()).await;
    let second = scene.apply(Vec::new()).await;
    let other = scene.store().source_open("shelbyville", "test").await.unwrap();
    let third = run_id();
    scene.store().run_start(&NewRun { id: third, source: other.id, started: tick() }).await.unwrap();
    let ids = |filter, limit| {
        let store = scene.store();
        async move { store.run_list(&filter, limit).await.unwrap().iter().map(|run| run.id).collect::<Vec<_>>() }
    };
    assert_eq!(ids(RunFilter::default(), 10).await, [third, second, first]);
    assert_eq!(ids(RunFilter::default(), 2).await, [third, second]);
    assert_eq!(ids(RunFilter { source: Some("springfield".to_owned()) }, 10).await, [second, first]);
}

/// A run that is recorded as running while nobody holds its source's lease is returned as failed, `interrupted`; the
/// next run of the source writes that down.
pub async fn a_run_whose_process_is_gone_is_shown_as_failed(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let run = run_id();
    let lease = scene.store().lease(scene.source, run).await.unwrap();
    scene.store().run_start(&NewRun { id: run, source: scene.source, started: tick() }).await.unwrap();
    let other = (scene.fixture.reopen)().await;
    assert_eq!(other.run_find(run).await.unwrap().unwrap().report.status, RunStatus::Running);
    drop(lease);
    let expected = |row: &rollcall_domain::ports::RunRow| {
        row.report.status == RunStatus::Failed && row.report.error.as_ref().unwrap().code == "interrupted"
    };
    assert!(expected(&other.run_find(run).await.unwrap().unwrap()));
    assert!(expected(&other.run_list(&RunFilter::default(), 1).await.unwrap()[0]));
    let next = run_id();
    let _lease = other.lease(scene.source, next).await.unwrap();
    other.run_start(&NewRun { id: next, source: scene.source, started: tick() }).await.unwrap();
    assert!(expected(&other.run_find(run).await.unwrap().unwrap()));
    assert_eq!(other.run_find(next).await.unwrap().unwrap().report.status, RunStatus::Running);
}

/// `run_finish` keeps staged rejects and nothing else.
pub async fn a_run_that_applies_nothing_keeps_its_rejects_and_drops_what_was_staged(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let run = scene.begin().await;
    scene
        .stage(
            run,
            vec![
                created(build::user("anna")),
                StagedChange::Reject { reject: reject(Kind::Users, Some("ben"), 3), pending: None },
            ],
        )
        .await;
    scene.store().run_finish(&scene.outcome(run, RunStatus::Held)).await.unwrap();
    assert_eq!(all(scene.store().run_rejects(run)).await.len(), 1);
    assert!(scene.records(Kind::Users).await.is_empty());
    assert!(scene.fetched(run, Kind::Users, "anna").await.is_none());
    assert_eq!(scene.state().await.revision, 0);
}

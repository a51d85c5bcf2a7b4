//! Plans that wait for an approval.

use rollcall_domain::ports::{Commit, RunStatus, StagedChange, StoreError};
use rollcall_domain::{Kind, RunId};

use super::{Fixture, Scene, all, created, deleted, reject, small_roster, updated};
use crate::build;
use rollcall_domain::ports::DeleteReason;

async fn hold(scene: &Scene, changes: Vec<StagedChange>) -> (RunId, Commit) {
    let run = scene.begin().await;
    scene.stage(run, changes).await;
    let mut commit = scene.commit(run).await;
    commit.outcome.report.status = RunStatus::Held;
    scene.store().plan_keep(&commit).await.unwrap();
    (run, commit)
}

async fn status(scene: &Scene, run: RunId) -> RunStatus {
    scene.store().run_find(run).await.unwrap().unwrap().report.status
}

/// What a held run has staged survives its process, and is applied exactly.
pub async fn a_kept_plan_is_applied_by_another_process(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let mut anna = build::user("anna");
    anna.roles = vec![build::role("school")];
    let (run, commit) = hold(
        &scene,
        vec![
            updated(anna.clone()),
            created(build::user("carl")),
            deleted(Kind::Users, "ben", DeleteReason::Absent),
            StagedChange::Reject { reject: reject(Kind::Users, None, 4), pending: None },
        ],
    )
    .await;
    assert_eq!(status(&scene, run).await, RunStatus::Held);
    assert_eq!(scene.ids(Kind::Users).await, ["anna", "ben"]);
    let other = (scene.fixture.reopen)().await;
    let plan = other.plan_find(run).await.unwrap().unwrap();
    assert_eq!((&plan.commit, plan.lapsed), (&commit, false));
    let mut approved = plan.commit;
    approved.outcome.report.status = RunStatus::Succeeded;
    other.apply(&approved).await.unwrap();
    assert_eq!(scene.ids(Kind::Users).await, ["anna", "carl"]);
    assert_eq!(scene.stored(Kind::Users, "anna").await.unwrap().record, anna.into());
    assert_eq!(all(other.run_rejects(run)).await.len(), 1);
    assert_eq!(status(&scene, run).await, RunStatus::Succeeded);
    assert_eq!(other.plan_find(run).await.unwrap(), None);
}

/// One source keeps one plan: an older one gives way, and its run becomes `superseded`.
pub async fn a_newer_plan_replaces_an_older_one(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let (older, _) = hold(&scene, vec![created(build::user("anna"))]).await;
    let (newer, commit) = hold(&scene, vec![created(build::user("ben"))]).await;
    assert_eq!(status(&scene, older).await, RunStatus::Superseded);
    assert_eq!(scene.store().plan_find(older).await.unwrap(), None);
    assert!(scene.store().plan_find(newer).await.unwrap().is_some());
    scene.store().apply(&commit).await.unwrap();
    assert_eq!(scene.ids(Kind::Users).await, ["ben"]);
}

/// A plan that was made on another revision cannot be applied any more.
pub async fn a_plan_lapses_when_the_store_moves_on(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let (run, commit) = hold(&scene, vec![created(build::user("anna"))]).await;
    scene.apply(vec![created(build::user("ben"))]).await;
    assert_eq!(status(&scene, run).await, RunStatus::Lapsed);
    assert!(scene.store().plan_find(run).await.unwrap().is_none_or(|plan| plan.lapsed));
    let other = (scene.fixture.reopen)().await;
    assert!(matches!(other.apply(&commit).await, Err(StoreError::MovedOn)));
    assert_eq!(scene.ids(Kind::Users).await, ["ben"]);
}

/// A discarded plan is gone, and its run says so.
pub async fn a_discarded_plan_is_gone(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let (run, _) = hold(&scene, vec![created(build::user("anna"))]).await;
    scene.store().plan_discard(run).await.unwrap();
    assert_eq!(status(&scene, run).await, RunStatus::Discarded);
    assert_eq!(scene.store().plan_find(run).await.unwrap(), None);
    assert!(scene.records(Kind::Users).await.is_empty());
}

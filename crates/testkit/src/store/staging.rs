//! What a run puts aside before anything is applied.

use rollcall_domain::ports::{ChildKey, DeleteReason, StagedChange};
use rollcall_domain::{Kind, Record, RefField};

use super::{Fixture, Scene, created, ids_of, run_id, small_roster, updated};
use crate::build;

/// `fetch` shows a run's own staged records beside the stored ones; no other read and no other run does.
pub async fn what_is_staged_is_seen_only_by_reads_that_say_so(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let run = scene.begin().await;
    let mut changed = build::user("anna");
    changed.email = Some("anna@example.org".into());
    changed.roles = vec![build::role("school")];
    changed.agents = ids_of(&["ben"]);
    changed.external_ids = vec![build::external("sis", "1")];
    let mut expected = Record::from(changed.clone());
    expected.normalise();
    scene.stage(run, vec![updated(changed), created(build::user("carl"))]).await;
    let anna = scene.fetched(run, Kind::Users, "anna").await.unwrap();
    assert_eq!(anna.stored.unwrap().record, build::user("anna").into());
    assert_eq!(anna.staged, Some(expected));
    let carl = scene.fetched(run, Kind::Users, "carl").await.unwrap();
    assert!(carl.stored.is_none() && carl.staged.is_some());
    assert!(scene.fetched(run_id(), Kind::Users, "carl").await.is_none());
    assert_eq!(scene.ids(Kind::Users).await, ["anna", "ben"]);
    assert_eq!(scene.fingerprints(Kind::Users).await.len(), 2);
}

/// A `Withdraw` undoes a `Put`, after which another `Put` may come, in the same batch too.
pub async fn a_withdrawn_record_is_as_if_never_staged(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let run = scene.begin().await;
    let withdraw = |id| StagedChange::Withdraw { kind: Kind::Users, sourced_id: build::id(id) };
    let mut first = build::user("anna");
    first.roles = vec![build::role("school"), build::role("other")];
    first.external_ids = vec![build::external("sis", "1")];
    let mut second = build::user("anna");
    second.roles = vec![build::role("third")];
    scene
        .stage(
            run,
            vec![
                created(first),
                created(build::user("ben")),
                withdraw("anna"),
                created(second.clone()),
                withdraw("nobody"),
            ],
        )
        .await;
    scene.stage(run, vec![withdraw("ben")]).await;
    assert!(scene.fetched(run, Kind::Users, "ben").await.is_none());
    let commit = scene.commit(run).await;
    scene.store().apply(&commit).await.unwrap();
    assert_eq!(scene.ids(Kind::Users).await, ["anna"]);
    assert_eq!(scene.stored(Kind::Users, "anna").await.unwrap().record, second.into());
}

/// `stage_clear` forgets all, rejects included, and staging can begin anew.
pub async fn clearing_forgets_everything_that_was_staged(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let run = scene.begin().await;
    let reject = super::reject(Kind::Users, None, 2);
    scene.stage(run, vec![created(build::user("anna")), StagedChange::Reject { reject, pending: None }]).await;
    scene.store().stage_clear(scene.source, run).await.unwrap();
    assert!(scene.fetched(run, Kind::Users, "anna").await.is_none());
    scene.stage(run, vec![created(build::user("ben"))]).await;
    let commit = scene.commit(run).await;
    scene.store().apply(&commit).await.unwrap();
    assert_eq!(scene.ids(Kind::Users).await, ["ben"]);
    assert!(super::all(scene.store().run_rejects(run)).await.is_empty());
}

/// `holders` answers stored records, deleted ones too, and staged ones; a record that is both is answered as staged.
pub async fn holders_are_found_stored_and_staged_and_only_once(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let mut child = build::user("child");
    child.agents = ids_of(&["anna", "stranger"]);
    child.roles = vec![build::role("school"), build::role("school 2")];
    scene.apply(vec![created(child), created(build::enrollment("e2", "class", "anna"))]).await;
    scene.apply(vec![super::deleted(Kind::Enrollments, "e2", DeleteReason::Explicit)]).await;
    let run = scene.begin().await;
    let mut moved = build::enrollment("e1", "class", "ben");
    moved.school = Some(build::id("school"));
    scene.stage(run, vec![updated(moved), created(build::enrollment("e3", "class", "anna"))]).await;
    let holders = async |field, targets: &[&str]| -> Vec<String> {
        let found = scene.store().holders(scene.source, run, field, &ids_of(targets)).await.unwrap();
        let mut lines: Vec<_> = found
            .iter()
            .map(|ChildKey { sourced_id, target, deleted, staged }| {
                format!("{sourced_id} to {target} {} {staged}", deleted.map_or("live", DeleteReason::as_str))
            })
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(
        holders(RefField::EnrollmentUser, &["anna", "ben"]).await,
        ["e1 to ben live true", "e2 to anna explicit false", "e3 to anna live true"]
    );
    assert_eq!(
        holders(RefField::EnrollmentClass, &["class", "nothing"]).await,
        ["e1 to class live true", "e2 to class explicit false", "e3 to class live true"]
    );
    assert_eq!(holders(RefField::ClassSchool, &["school"]).await, ["class to school live false"]);
    assert_eq!(
        holders(RefField::UserAgent, &["anna", "stranger"]).await,
        ["child to anna live false", "child to stranger live false"]
    );
    assert_eq!(
        holders(RefField::RoleOrg, &["school", "school 2"]).await,
        ["child to school 2 live false", "child to school live false"]
    );
    assert!(holders(RefField::OrgParent, &["school"]).await.is_empty());
}

/// Batches of any size, and records of one batch that are split over the engine's own chunks, arrive whole.
pub async fn a_large_batch_is_staged_whole(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let mut changes = vec![created(build::school("school"))];
    for number in 0..2_345 {
        let mut user = build::user(&format!("user {number:05}"));
        user.roles = vec![build::role("school")];
        changes.push(created(user));
    }
    scene.apply(changes).await;
    let users = scene.records(Kind::Users).await;
    assert_eq!(users.len(), 2_345);
    assert!(users.iter().all(|user| matches!(user, Record::Users(user) if user.roles.len() == 1)));
}

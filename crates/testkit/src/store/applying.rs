//! The one write that counts.

use rollcall_domain::entities::Role;
use rollcall_domain::ports::{
    Cursor, DeleteReason, NewRun, RoleBook, RunStatus, ScopeDigest, StagedChange, StoreError,
};
use rollcall_domain::{ENCODING_VERSION, Fingerprint, Kind, PendingRecord, Record};

use super::{Fixture, Scene, all, created, deleted, ids_of, reject, restored, run_id, small_roster, tick, updated};
use crate::build;

/// What `fetch` gives is the record as it was sent, so that its fingerprint is the stored one, for every kind and with
/// every field filled.
pub async fn a_record_of_every_kind_comes_back_as_it_was_sent(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let records = build::full_records();
    scene.apply(records.iter().cloned().map(created).collect()).await;
    for mut record in records {
        let stored = scene.stored(record.kind(), record.sourced_id().as_str()).await.expect("the record");
        assert_eq!(stored.record, record);
        assert_eq!(stored.fingerprint, build::fingerprint(&mut record));
        assert_eq!(stored.encoding, ENCODING_VERSION);
        let mut again = stored.record;
        assert_eq!(build::fingerprint(&mut again), stored.fingerprint);
    }
}

/// R1: an apply without staged changes writes nothing but the book.
pub async fn applying_nothing_writes_no_roster_rows_and_no_changes(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let before = (scene.feed().await, scene.fingerprints(Kind::Users).await, scene.records(Kind::Enrollments).await);
    scene.apply(Vec::new()).await;
    let after = (scene.feed().await, scene.fingerprints(Kind::Users).await, scene.records(Kind::Enrollments).await);
    assert_eq!(before, after);
    assert_eq!(scene.state().await.revision, 2);
}

/// A put replaces every field and every owned row, and the internal id stays.
pub async fn an_update_replaces_the_whole_record_and_keeps_its_internal_id(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(build::full_records().into_iter().map(created).collect()).await;
    let before = scene.stored(Kind::Users, "user").await.unwrap();
    let class_before = scene.stored(Kind::Classes, "class").await.unwrap();
    let mut user = build::user("user");
    user.roles = vec![build::role("district")];
    user.external_ids = vec![build::external("new", "1")];
    let mut class = build::class("class", "district");
    class.terms = ids_of(&["year"]);
    scene.apply(vec![updated(user.clone()), updated(class.clone())]).await;
    let after = scene.stored(Kind::Users, "user").await.unwrap();
    assert_eq!((after.internal_id, after.record), (before.internal_id, user.into()));
    assert_ne!(after.fingerprint, before.fingerprint);
    let class_after = scene.stored(Kind::Classes, "class").await.unwrap();
    assert_eq!((class_after.internal_id, class_after.record), (class_before.internal_id, class.into()));
}

/// R7: a put of a deleted record restores it under its old internal id, and ids are never given twice.
pub async fn a_deleted_record_is_restored_under_its_internal_id(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let before = scene.stored(Kind::Users, "ben").await.unwrap();
    scene.apply(vec![deleted(Kind::Users, "ben", DeleteReason::Absent)]).await;
    let gone = scene.stored(Kind::Users, "ben").await.unwrap();
    assert_eq!((gone.deleted, gone.internal_id), (Some(DeleteReason::Absent), before.internal_id));
    assert_eq!(gone.record, before.record);
    assert_eq!(scene.ids(Kind::Users).await, ["anna"]);
    scene.apply(vec![created(build::user("carl"))]).await;
    let mut back = build::user("ben");
    back.email = Some("ben@example.org".into());
    scene.apply(vec![restored(back.clone())]).await;
    let after = scene.stored(Kind::Users, "ben").await.unwrap();
    assert_eq!((after.deleted, after.internal_id, after.record), (None, before.internal_id, back.into()));
    assert_ne!(scene.stored(Kind::Users, "carl").await.unwrap().internal_id, before.internal_id);
}

/// A `Revive` brings a record back with the content that it had.
pub async fn a_revived_record_comes_back_as_it_was(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let before = scene.stored(Kind::Enrollments, "e1").await.unwrap();
    scene.apply(vec![deleted(Kind::Enrollments, "e1", DeleteReason::Cascade)]).await;
    assert!(scene.ids(Kind::Enrollments).await.is_empty());
    scene.apply(vec![StagedChange::Revive { kind: Kind::Enrollments, sourced_id: build::id("e1") }]).await;
    assert_eq!(scene.stored(Kind::Enrollments, "e1").await.unwrap(), before);
    assert_eq!(scene.ids(Kind::Enrollments).await, ["e1"]);
}

/// Several operations on one record apply in the order in which they were staged.
pub async fn operations_on_one_record_apply_in_order(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let revive = |id| StagedChange::Revive { kind: Kind::Users, sourced_id: build::id(id) };
    let mut anna = build::user("anna");
    anna.email = Some("anna@example.org".into());
    let mut carl = build::user("carl");
    carl.email = Some("carl@example.org".into());
    scene
        .apply(vec![
            deleted(Kind::Users, "anna", DeleteReason::Explicit),
            updated(anna.clone()),
            deleted(Kind::Users, "ben", DeleteReason::Absent),
            revive("ben"),
            deleted(Kind::Users, "ben", DeleteReason::Explicit),
            created(carl),
            deleted(Kind::Users, "carl", DeleteReason::Cascade),
        ])
        .await;
    assert_eq!(scene.stored(Kind::Users, "anna").await.unwrap().record, anna.into());
    assert_eq!(scene.ids(Kind::Users).await, ["anna"]);
    assert_eq!(scene.stored(Kind::Users, "ben").await.unwrap().deleted, Some(DeleteReason::Explicit));
    assert_eq!(scene.stored(Kind::Users, "carl").await.unwrap().deleted, Some(DeleteReason::Cascade));
}

/// A `Touch` writes dates, fingerprints, reasons and vendors' role ids, and nothing to the feed.
pub async fn a_touch_changes_bookkeeping_only(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let mut child = build::user("child");
    child.roles = vec![build::role("school")];
    scene.apply(vec![created(child.clone()), deleted(Kind::Users, "ben", DeleteReason::Cascade)]).await;
    let feed = scene.feed().await;
    let touch = |id: &str, modified_ms, fingerprint, reason, roles| StagedChange::Touch {
        kind: Kind::Users,
        sourced_id: build::id(id),
        modified_ms,
        fingerprint,
        reason,
        roles,
    };
    let roles = vec![Role { sourced_id: Some(build::id("r1")), ..build::role("school") }];
    scene
        .apply(vec![
            touch("anna", Some(1_700_000_000_123), Some(Fingerprint(77)), None, None),
            touch("ben", None, None, Some(DeleteReason::Explicit), None),
            touch("child", None, None, None, Some(roles.clone())),
        ])
        .await;
    let anna = scene.stored(Kind::Users, "anna").await.unwrap();
    assert_eq!((anna.modified_ms, anna.fingerprint), (Some(1_700_000_000_123), Fingerprint(77)));
    assert_eq!(anna.record, build::user("anna").into());
    assert_eq!(scene.stored(Kind::Users, "ben").await.unwrap().deleted, Some(DeleteReason::Explicit));
    let Record::Users(stored) = scene.stored(Kind::Users, "child").await.unwrap().record else { panic!("a user") };
    assert_eq!(stored.roles, roles);
    assert_eq!(scene.feed().await, feed);
}

/// An apply that fails half-way leaves no trace, and the run can still be ended.
pub async fn a_failing_apply_changes_nothing(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let before = (scene.state().await, scene.feed().await, scene.fingerprints(Kind::Users).await);
    let run = scene.begin().await;
    let mut anna = build::user("anna");
    anna.email = Some("anna@example.org".into());
    let broken = build::enrollment("e9", "no such class", "anna");
    scene
        .stage(
            run,
            vec![
                updated(anna),
                created(build::user("carl")),
                created(broken),
                deleted(Kind::Users, "ben", DeleteReason::Absent),
                StagedChange::Reject { reject: reject(Kind::Users, Some("dora"), 9), pending: None },
            ],
        )
        .await;
    let commit = scene.commit(run).await;
    scene.store().apply(&commit).await.unwrap_err();
    assert_eq!(before, (scene.state().await, scene.feed().await, scene.fingerprints(Kind::Users).await));
    scene.store().run_finish(&scene.outcome(run, RunStatus::Failed)).await.unwrap();
    assert_eq!(all(scene.store().run_rejects(run)).await.len(), 1);
    assert_eq!(before.0, scene.state().await);
}

/// A commit on a basis that is not the source's revision is refused, and nothing is applied.
pub async fn an_apply_on_another_revision_is_refused(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let run = scene.begin().await;
    scene.stage(run, vec![created(build::user("anna"))]).await;
    let mut commit = scene.commit(run).await;
    commit.basis = 7;
    assert!(matches!(scene.store().apply(&commit).await, Err(StoreError::MovedOn)));
    assert!(scene.records(Kind::Users).await.is_empty());
}

/// Revision, cursor, scope, the switch for demographics and the date of the last full pull go with the apply.
pub async fn the_source_moves_on_with_an_apply(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let run = scene.begin().await;
    let mut commit = scene.commit(run).await;
    let applied = scene.store().apply(&commit).await.unwrap();
    let state = scene.state().await;
    assert_eq!((applied.revision, state.revision), (1, 1));
    assert_eq!(state.cursor, Some(Cursor("cursor".to_owned())));
    assert_eq!(state.scope, Some(ScopeDigest("scope".to_owned())));
    assert!(state.demographics);
    assert_eq!(state.last_full, Some(commit.outcome.finished));
    assert_eq!(scene.store().run_find(run).await.unwrap().unwrap().report.status, RunStatus::Succeeded);

    let run = scene.begin().await;
    commit = scene.commit(run).await;
    commit.cursor = None;
    commit.full = false;
    scene.store().apply(&commit).await.unwrap();
    let next = scene.state().await;
    assert_eq!((next.revision, next.cursor, next.last_full), (2, state.cursor, state.last_full));
}

/// The same ids in two sources are different records.
pub async fn two_sources_do_not_mix(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let other = scene.store().source_open("shelbyville", "test").await.unwrap();
    let run = run_id();
    scene.store().run_start(&NewRun { id: run, source: other.id, started: tick() }).await.unwrap();
    let mut anna = build::user("anna");
    anna.primary_org = Some(build::id("school"));
    scene.store().stage(other.id, run, vec![created(anna)]).await.unwrap();
    let mut commit = scene.commit(run).await;
    commit.outcome.source = other.id;
    commit.basis = 0;
    scene.store().apply(&commit).await.unwrap();
    assert_eq!(all(scene.store().records(other.id, Kind::Users)).await.len(), 1);
    assert!(all(scene.store().records(other.id, Kind::Orgs)).await.is_empty());
    assert_eq!(all(scene.store().dangling(other.id, Kind::Orgs)).await.len(), 1);
    assert_eq!(all(scene.store().fingerprints(other.id, Kind::Users)).await.len(), 1);
    assert_eq!(all(scene.store().changes(other.id, 0, None)).await.len(), 1);
    assert_eq!(scene.ids(Kind::Users).await, ["anna", "ben"]);
    assert_eq!(scene.feed().await.len(), 5);
}

/// While one source has staged and not yet applied, others are written.
pub async fn an_apply_does_not_disturb_another_source_that_is_staging(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let slow = scene.store().source_open("shelbyville", "test").await.unwrap();
    let run = run_id();
    scene.store().run_start(&NewRun { id: run, source: slow.id, started: tick() }).await.unwrap();
    scene.store().stage(slow.id, run, vec![created(build::user("zoe"))]).await.unwrap();
    scene.apply(small_roster()).await;
    scene.store().stage(slow.id, run, vec![created(build::user("yves"))]).await.unwrap();
    let mut commit = scene.commit(run).await;
    commit.outcome.source = slow.id;
    commit.basis = 0;
    scene.store().apply(&commit).await.unwrap();
    assert_eq!(all(scene.store().records(slow.id, Kind::Users)).await.len(), 2);
}

/// Rejects are numbered from 1 in the order of staging, and keep where, why and what.
pub async fn rejects_are_kept_in_the_order_of_staging(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let one = reject(Kind::Users, Some("zoe"), 5);
    let mut two = reject(Kind::Orgs, None, 2);
    two.record = None;
    let run = scene
        .apply(vec![
            StagedChange::Reject { reject: one.clone(), pending: None },
            StagedChange::Reject { reject: two.clone(), pending: None },
        ])
        .await;
    let rejects = all(scene.store().run_rejects(run)).await;
    assert_eq!(rejects.iter().map(|reject| reject.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((rejects[0].kind, &rejects[0].sourced_id, &rejects[0].record), (one.kind, &one.sourced_id, &one.record));
    assert_eq!((rejects[0].location.as_str(), &rejects[0].findings), ("users.csv:5", &one.findings));
    assert_eq!((rejects[1].kind, &rejects[1].sourced_id, &rejects[1].record), (Kind::Orgs, &None, &None));
}

/// Pending records are kept until they are settled or their kind is covered whole; the newest of one id counts.
pub async fn pending_records_come_and_go(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let pending = |id: &str, user: &str| {
        let mut record = Record::from(build::enrollment(id, "class", user));
        let fingerprint = build::fingerprint(&mut record);
        let pending = PendingRecord { record, fingerprint, modified_ms: Some(5) };
        let change =
            StagedChange::Reject { reject: reject(Kind::Enrollments, Some(id), 2), pending: Some(pending.clone()) };
        (pending, change)
    };
    let settle = |id: &str| StagedChange::Settle { kind: Kind::Enrollments, sourced_id: build::id(id) };
    let (_, one) = pending("e1", "nobody");
    let (newer, again) = pending("e1", "somebody");
    let (two, change) = pending("e2", "nobody");
    scene.apply(vec![one, again, change]).await;
    let kept = || all(scene.store().pending(scene.source, Kind::Enrollments));
    assert_eq!(kept().await, [newer.clone(), two.clone()]);
    assert!(all(scene.store().pending(scene.source, Kind::Users)).await.is_empty());
    scene.apply(vec![settle("e2")]).await;
    assert_eq!(kept().await, std::slice::from_ref(&newer));
    let (three, change) = pending("e3", "nobody");
    let run = scene.begin().await;
    scene.stage(run, vec![change]).await;
    let mut commit = scene.commit(run).await;
    commit.pending_void = vec![Kind::Enrollments];
    scene.store().apply(&commit).await.unwrap();
    assert_eq!(kept().await, [three]);
}

/// R4, R8: a book replaces the one before, is there whether its user is stored or not, and outlives a withdrawal of the
/// user in the run that wrote it; an empty one is gone. Nothing of it is in the feed.
pub async fn role_books_are_written_as_a_whole(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let feed = scene.feed().await.len();
    let book = |user: &str, dates: &[(&str, i64)], waiting: usize| RoleBook {
        user: build::id(user),
        dates: dates.iter().map(|(role, date)| (build::id(role), *date)).collect(),
        waiting: vec![build::role("school"); waiting],
    };
    let (anna, nobody) = (book("anna", &[("r1", 5)], 0), book("nobody", &[("r2", -1)], 2));
    let run = scene.begin().await;
    scene
        .stage(
            run,
            vec![
                StagedChange::RoleBook(book("anna", &[("r1", 4)], 1)),
                StagedChange::RoleBook(anna.clone()),
                StagedChange::Withdraw { kind: Kind::Users, sourced_id: build::id("anna") },
                StagedChange::RoleBook(nobody.clone()),
            ],
        )
        .await;
    let users = ids_of(&["anna", "ben", "nobody"]);
    assert!(scene.store().role_books(scene.source, &users).await.unwrap().is_empty());
    let commit = scene.commit(run).await;
    scene.store().apply(&commit).await.unwrap();
    let mut books = scene.store().role_books(scene.source, &users).await.unwrap();
    books.sort_by(|one, other| one.user.cmp(&other.user));
    assert_eq!(books, [anna.clone(), nobody.clone()]);
    assert_eq!(all(scene.store().waiting_roles(scene.source)).await, [nobody]);

    let other = scene.store().source_open("shelbyville", "test").await.unwrap();
    assert!(scene.store().role_books(other.id, &users).await.unwrap().is_empty());
    assert!(all(scene.store().waiting_roles(other.id)).await.is_empty());

    scene.apply(vec![StagedChange::RoleBook(RoleBook::new(build::id("nobody")))]).await;
    assert_eq!(scene.store().role_books(scene.source, &users).await.unwrap(), [anna]);
    assert!(all(scene.store().waiting_roles(scene.source)).await.is_empty());
    assert_eq!(scene.feed().await.len(), feed);
}

/// R12: switching demographics off erases records, before-images, rejects and pending records of that kind, and no
/// others.
pub async fn switching_demographics_off_erases_them(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let mut full = build::demographics("anna");
    full.external_ids = vec![build::external("state", "1")];
    scene.apply(vec![created(full)]).await;
    let mut changed = build::demographics("anna");
    changed.birth_date = None;
    let mut waiting = Record::from(build::demographics("nobody"));
    let fingerprint = build::fingerprint(&mut waiting);
    let with_rejects = scene
        .apply(vec![
            updated(changed),
            StagedChange::Reject {
                reject: reject(Kind::Demographics, Some("nobody"), 2),
                pending: Some(PendingRecord { record: waiting, fingerprint, modified_ms: None }),
            },
            StagedChange::Reject { reject: reject(Kind::Users, Some("carl"), 3), pending: None },
        ])
        .await;
    assert_eq!(scene.feed().await.len(), 7);
    let run = scene.begin().await;
    let mut commit = scene.commit(run).await;
    commit.demographics = false;
    scene.store().apply(&commit).await.unwrap();
    assert!(!scene.state().await.demographics);
    assert!(scene.records(Kind::Demographics).await.is_empty());
    assert!(scene.fingerprints(Kind::Demographics).await.is_empty());
    assert_eq!(scene.feed().await.len(), 5);
    let rejects = all(scene.store().run_rejects(with_rejects)).await;
    assert_eq!(rejects.iter().map(|reject| reject.kind).collect::<Vec<_>>(), [Kind::Users]);
    assert!(all(scene.store().pending(scene.source, Kind::Demographics)).await.is_empty());
    assert_eq!(scene.ids(Kind::Users).await, ["anna", "ben"]);
    // Switched on again, they come as new.
    scene.apply(vec![created(build::demographics("anna"))]).await;
    assert_eq!(scene.ids(Kind::Demographics).await, ["anna"]);
}

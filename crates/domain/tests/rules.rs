//! The rules that must hold, each by name.

#![allow(clippy::allow_attributes, clippy::unwrap_used, missing_docs, reason = "a test")]

mod support;

use std::sync::Arc;

use rollcall_domain::entities::{ExternalId, User};
use rollcall_domain::ports::{
    Coverage, DeleteReason, EmptySnapshot, Hold, Item, OwnedChange, PullSummary, Repeats, RoleChange, RunMode,
    RunStatus,
};
use rollcall_domain::report::RunReport;
use rollcall_domain::sync::SyncOptions;
use rollcall_domain::{Code, Encoder, Kind, Location, PerKind, Record, RefField, Reject, SourcedId};
use rollcall_testkit::memory::MemoryStore;
use support::*;

fn codes(report: &RunReport) -> Vec<Code> {
    report.warnings.iter().map(|group| group.code).collect()
}

fn held_by(report: &RunReport) -> Vec<Code> {
    report.held_by.iter().map(|hold| hold.code).collect()
}

fn options() -> SyncOptions {
    SyncOptions { demographics: true, ..SyncOptions::default() }
}

fn assert_received_adds_up(report: &RunReport, explicit_deletions: u64) {
    let sum = |of: fn(&rollcall_domain::Counts) -> u64| report.counts.iter().map(|(_, counts)| of(counts)).sum::<u64>();
    let parts = sum(|c| c.created + c.updated + c.unchanged + c.restored + c.rejected + c.stale);
    assert_eq!(sum(|c| c.received), parts + explicit_deletions, "{:?}", report.counts);
}

fn many_users(count: usize) -> Vec<Record> {
    (0..count).map(|number| user(&format!("u{number}")).into()).collect()
}

#[tokio::test]
async fn r1_the_same_input_again_changes_nothing() {
    let store = MemoryStore::default();
    let first = snapshot(&store, roster()).await;
    assert_eq!(first.status, RunStatus::Succeeded);
    assert!(first.counts.iter().all(|(_, counts)| counts.created == counts.received));
    let (rows, feed) = (store.rows(), store.feed_len());
    let again = snapshot(&store, roster()).await;
    assert!(again.counts.iter().all(|(_, counts)| counts.unchanged == counts.received && counts.received > 0));
    assert_eq!((store.rows(), store.feed_len()), (rows, feed));
}

#[test]
fn r3_a_fingerprint_covers_content_and_ignores_order_and_vendor_role_ids() {
    let print = |record: Record| {
        let mut record = record;
        record.normalise();
        record.fingerprint(&mut Encoder::default())
    };
    let mut one = user("u");
    one.grades = vec!["10".into(), "09".into()];
    one.roles = vec![role("student", Some("a"), Some("r1")), role("aide", Some("b"), None)];
    let mut other = user("u");
    other.grades = vec!["09".into(), "10".into()];
    other.roles = vec![role("aide", Some("b"), Some("r9")), role("student", Some("a"), None)];
    assert_eq!(print(one.clone().into()), print(other.clone().into()));
    other.email = Some("u@example.org".into());
    assert_ne!(print(one.clone().into()), print(other.into()));
    // Absent is not empty, and a value does not slide into its neighbour.
    let mut left = user("u");
    left.sms = Some("1".into());
    let mut right = user("u");
    right.phone = Some("1".into());
    assert_ne!(print(left.into()), print(right.into()));
}

#[tokio::test]
async fn r3_a_fingerprint_of_an_older_encoding_is_compared_field_by_field_and_rewritten() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    store.tamper(|row| {
        row.encoding = 0;
        row.fingerprint = rollcall_domain::Fingerprint(7);
    });
    let feed = store.feed_len();
    let mut changed = user("ben");
    changed.email = Some("ben@example.org".into());
    let mut records = roster_without(&["ben"]);
    records.insert(0, changed.into());
    let report = snapshot(&store, records).await;
    assert_eq!((report.counts[Kind::Users].unchanged, report.counts[Kind::Users].updated), (1, 1));
    assert_eq!(store.feed_len(), feed + 1);
    assert!(store.rows().values().all(|row| row.encoding == rollcall_domain::ENCODING_VERSION));
}

#[tokio::test]
async fn r4_an_older_record_of_a_delta_is_stale_and_a_snapshot_does_not_care() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert_at(user("u"), Some(2_000), 2)]).await;
    let mut older = user("u");
    older.email = Some("old@example.org".into());
    let report = delta(&store, vec![upsert_at(older.clone(), Some(1_999), 2)]).await;
    assert_eq!(report.counts[Kind::Users].stale, 1);
    assert_received_adds_up(&report, 0);
    assert_eq!(store.row(Kind::Users, "u").record, Record::from(user("u")));

    // Blank is never stale; equal is not older; the same content with a newer date only moves the date.
    let report = delta(&store, vec![upsert_at(user("u"), Some(3_000), 2)]).await;
    assert_eq!((report.counts[Kind::Users].unchanged, store.feed_len()), (1, 0));
    assert_eq!(store.row(Kind::Users, "u").modified_ms, Some(3_000));
    let report = delta(&store, vec![upsert_at(older.clone(), None, 2)]).await;
    assert_eq!(report.counts[Kind::Users].updated, 1);

    // Tombstones keep the date too.
    delta(&store, vec![delete_at(Kind::Users, "u", Some(4_000))]).await;
    let report = delta(&store, vec![upsert_at(user("u"), Some(3_500), 2)]).await;
    assert_eq!(report.counts[Kind::Users].stale, 1);
    assert!(!store.is_live(Kind::Users, "u"));
    let report = delta(&store, vec![delete_at(Kind::Users, "u", Some(3_500))]).await;
    assert_eq!(report.counts[Kind::Users].stale, 1);

    let script = Script::new(Coverage::Snapshot, vec![upsert_at(older, Some(1), 2)]);
    let report = sync_with(&store, &script, &mass()).await;
    assert_eq!((report.counts[Kind::Users].restored, report.counts[Kind::Users].stale), (1, 0));
}

#[tokio::test]
async fn r4_a_snapshot_deletes_what_it_says_is_deleted_whatever_the_date() {
    for (coverage, deleted, stale) in [(Coverage::Snapshot, 1, 0), (Coverage::Delta, 0, 1)] {
        let store = MemoryStore::default();
        delta(&store, vec![upsert_at(user("ada"), Some(2_000), 2), upsert(user("ben"))]).await;
        let items = vec![delete_at(Kind::Users, "ada", Some(1_999)), upsert(user("ben"))];
        let script = Script::new(coverage, items);
        let report = sync_with(&store, &script, &mass()).await;
        let counts = report.counts[Kind::Users];
        assert_eq!((counts.deleted, counts.stale, counts.unchanged), (deleted, stale, 1), "{coverage:?}");
        assert_received_adds_up(&report, deleted);
        assert!(is_stable(&store, &script).await);
        assert_eq!(store.is_live(Kind::Users, "ada"), coverage == Coverage::Delta);
        if coverage == Coverage::Snapshot {
            assert_eq!(store.row(Kind::Users, "ada").deleted, Some(DeleteReason::Explicit));
        }
    }
}

fn unreadable(kind: Kind, sourced_id: Option<&str>) -> Item {
    Item::Reject(Reject {
        kind,
        sourced_id: sourced_id.map(id),
        is_part: false,
        location: location(7),
        findings: vec![rollcall_domain::Finding::whole(Code::CsvMalformed, "too many cells")],
        record: None,
    })
}

#[tokio::test]
async fn r5_a_rejected_record_is_not_an_absent_one() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let mut items = upserts(roster_without(&["ben", "e-ben"]));
    items.push(unreadable(Kind::Users, Some("ben")));
    items.push(upsert(enrollment("e-ben", "class", "ben")));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert_eq!((report.counts[Kind::Users].rejected, report.counts[Kind::Users].deleted), (1, 0));
    assert!(store.is_live(Kind::Users, "ben"));
    assert_eq!(report.counts[Kind::Enrollments].unchanged, 2);
}

#[tokio::test]
async fn r5_a_reject_without_an_id_withholds_deletions_by_absence_of_its_kind() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let mut items = upserts(roster_without(&["ben", "e-ben"]));
    items.push(unreadable(Kind::Users, None));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert!(store.is_live(Kind::Users, "ben"));
    assert!(!store.is_live(Kind::Enrollments, "e-ben"), "other kinds are not affected");
    assert!(codes(&report).contains(&Code::DeletionsWithheld));
}

#[tokio::test]
async fn r5_an_id_that_no_index_takes_costs_its_record_and_not_the_run() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let mut items = upserts(roster());
    let longest = "\u{10348}".repeat(255);
    let mut known = user("known");
    known.external_ids.push(ExternalId { scheme: "sis".into(), value: "9".repeat(1_021).into() });
    items.extend([user(&longest), user(&format!("{longest}x")), known].map(upsert));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!((report.counts[Kind::Users].rejected, report.counts[Kind::Users].created), (2, 1));
    assert!(store.is_live(Kind::Users, &longest));
    assert!(store.rejects().iter().all(|reject| reject.findings[0].code == Code::FieldInvalid));
    assert!(!codes(&report).contains(&Code::DeletionsWithheld), "whose record it is can be told");
}

#[tokio::test]
async fn r6_an_incomplete_pull_applies_nothing() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let before = store.rows();

    let mut script = Script::new(Coverage::Snapshot, upserts(roster_without(&["ben"])));
    script.failure = Some("the connection broke".to_owned());
    let report = sync_with(&store, &script, &mass()).await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.error.unwrap().message, "the connection broke");

    let mut script = Script::new(Coverage::Snapshot, upserts(roster_without(&["ben"])));
    script.summary.totals[Kind::Users] = Some(2);
    let report = sync_with(&store, &script, &mass()).await;
    assert_eq!(report.error.unwrap().code, "pull.short");

    let mut script = Script::new(Coverage::Snapshot, upserts(roster_without(&["ada", "ben", "e-ada", "e-ben"])));
    script.capabilities.empty_snapshot = EmptySnapshot::Fail;
    let report = sync_with(&store, &script, &options()).await;
    assert_eq!(report.error.unwrap().code, "collection.empty");
    assert_eq!(store.rows(), before);
}

#[tokio::test]
async fn r6_a_package_with_an_empty_collection_is_held() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let before = store.rows();
    let script = Script::new(Coverage::Snapshot, upserts(roster_without(&["e-ada", "e-ben"])));
    let report = sync_with(&store, &script, &options()).await;
    assert_eq!((report.status, held_by(&report)), (RunStatus::Held, vec![Code::CollectionEmpty]));
    assert_eq!(store.rows(), before);
    assert_eq!(sync_with(&store, &script, &mass()).await.status, RunStatus::Succeeded);
    assert!(!store.is_live(Kind::Enrollments, "e-ada"));
}

#[tokio::test]
async fn r6_role_rows_alone_are_no_users() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert(org("school")), upsert(user("u"))]).await;
    let Item::Reject(reject) = unreadable(Kind::Users, Some("u")) else { panic!() };
    let items = vec![upsert(org("school")), Item::Reject(Reject { is_part: true, ..reject })];
    let mut script = Script::new(Coverage::Snapshot, items);
    script.summary.roles = Some(Coverage::Snapshot);
    let report = sync_with(&store, &script, &options()).await;
    assert_eq!((report.status, held_by(&report)), (RunStatus::Held, vec![Code::CollectionEmpty]));
}

#[tokio::test]
async fn r7_a_record_that_comes_back_keeps_its_internal_id() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let before = store.row(Kind::Users, "ben");
    snapshot(&store, roster_without(&["ben", "e-ben"])).await;
    assert_eq!(store.row(Kind::Users, "ben").deleted, Some(DeleteReason::Absent));
    let report = snapshot(&store, roster()).await;
    assert_eq!((report.counts[Kind::Users].restored, report.counts[Kind::Enrollments].restored), (1, 1));
    assert_eq!(store.row(Kind::Users, "ben"), before);
}

#[tokio::test]
async fn r7_an_absent_record_that_is_still_referred_to_is_retained() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let report = snapshot(&store, roster_without(&["class", "school"])).await;
    assert_eq!((report.counts[Kind::Classes].retained, report.counts[Kind::Orgs].retained), (1, 1));
    assert_eq!(report.counts[Kind::Classes].deleted, 0);
    assert!(codes(&report).contains(&Code::RefRetained));
}

#[tokio::test]
async fn r7_a_deletion_takes_along_what_requires_it_and_nothing_else_and_brings_it_back() {
    let store = MemoryStore::default();
    let mut all = roster();
    let mut linked = class("linked", "school");
    (linked.course, linked.terms) = (Some(id("course")), vec![id("year")]);
    all.push(linked.into());
    snapshot(&store, all).await;

    // Optional references do not cascade.
    delta(&store, vec![delete(Kind::Courses, "course"), delete(Kind::AcademicSessions, "year")]).await;
    assert!(store.is_live(Kind::Classes, "linked"));

    let report = delta(&store, vec![delete(Kind::Orgs, "school"), delete(Kind::Enrollments, "e-ben")]).await;
    assert_eq!((report.counts[Kind::Classes].deleted, report.counts[Kind::Enrollments].deleted), (2, 2));
    assert_eq!(store.row(Kind::Enrollments, "e-ada").deleted, Some(DeleteReason::Cascade));
    assert_eq!(store.row(Kind::Enrollments, "e-ben").deleted, Some(DeleteReason::Explicit));
    assert!(store.is_live(Kind::Users, "ada"));

    let report = delta(&store, vec![upsert(org("school"))]).await;
    assert_eq!(report.counts[Kind::Classes].restored, 2);
    assert!(store.is_live(Kind::Enrollments, "e-ada"));
    assert!(!store.is_live(Kind::Enrollments, "e-ben"), "its source deleted it");
}

#[tokio::test]
async fn r7_users_take_their_demographics_along() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let report = delta(&store, vec![delete(Kind::Users, "ada")]).await;
    assert_eq!((report.counts[Kind::Demographics].deleted, report.counts[Kind::Enrollments].deleted), (1, 1));
    assert_received_adds_up(&report, 1);
}

#[tokio::test]
async fn r8_a_missing_required_reference_rejects_and_heals_when_the_target_arrives() {
    let store = MemoryStore::default();
    let report = snapshot(&store, roster_without(&["school"])).await;
    let rejects = store.rejects();
    let code_of = |sourced_id: &str| {
        rejects.iter().find(|reject| reject.sourced_id == Some(id(sourced_id))).unwrap().findings[0].code
    };
    assert_eq!((code_of("class"), code_of("e-ada")), (Code::RefMissing, Code::RefRejected));
    assert_eq!(report.counts[Kind::Enrollments].rejected, 2);
    assert_received_adds_up(&report, 0);
    assert_eq!(store.pending_len(), 3);

    // The target alone brings all three, though the source does not send them again.
    let report = delta(&store, vec![upsert(org("school"))]).await;
    assert_eq!((report.counts[Kind::Classes].created, report.counts[Kind::Enrollments].created), (1, 2));
    assert!(codes(&report).contains(&Code::RefHealed));
    assert_received_adds_up(&report, 0);
    assert_eq!(store.pending_len(), 0);
}

#[tokio::test]
async fn r8_what_was_refused_is_replayed_where_the_vendor_proves_that_nothing_changed() {
    let store = MemoryStore::default();
    snapshot(&store, roster_without(&["ada"])).await;
    let waiting = store.pending_len();
    assert!(waiting > 0);
    let (rows, feed) = (store.rows(), store.feed_len());
    let report = sync_with(&store, &Script::new(Coverage::Unchanged, Vec::new()), &options()).await;
    assert_eq!((report.status, report.mode), (RunStatus::Succeeded, RunMode::Incremental));
    assert_eq!((store.rows(), store.feed_len(), store.pending_len()), (rows, feed, waiting), "absence means nothing");
    assert_received_adds_up(&report, 0);

    let report = sync_with(&store, &Script::new(Coverage::Unchanged, vec![upsert(user("ada"))]), &options()).await;
    assert!(codes(&report).contains(&Code::RefHealed));
    assert_eq!(report.counts[Kind::Enrollments].created, 1);
    assert_eq!(store.pending_len(), 0);
}

#[tokio::test]
async fn r8_a_newer_record_or_a_covering_snapshot_without_it_cancels_a_replay() {
    let store = MemoryStore::default();
    let dangling = || upsert(enrollment("e", "class", "nobody"));
    delta(&store, vec![dangling()]).await;
    delta(&store, vec![delete(Kind::Enrollments, "e")]).await;
    assert_eq!(store.pending_len(), 0);
    delta(&store, vec![dangling()]).await;
    assert_eq!(store.pending_len(), 1);
    snapshot(&store, roster()).await;
    assert_eq!(store.pending_len(), 0);
    delta(&store, vec![upsert(user("nobody"))]).await;
    assert!(store.find(Kind::Enrollments, "e").is_none());
}

#[tokio::test]
async fn r8_a_rejected_record_that_is_still_stored_counts_as_there() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let mut items = upserts(roster_without(&["class"]));
    items.push(upsert(class("class", "nowhere")));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert_eq!(report.counts[Kind::Classes].rejected, 1);
    assert_eq!(report.counts[Kind::Enrollments].unchanged, 2);
    assert_eq!(store.row(Kind::Classes, "class").record, Record::from(class("class", "school")));
}

#[tokio::test]
async fn r8_a_missing_optional_reference_is_dropped_with_a_warning_and_attached_when_the_target_arrives() {
    let store = MemoryStore::default();
    let mut all = roster_without(&["course"]);
    let mut linked = class("class", "school");
    (linked.course, linked.terms) = (Some(id("course")), vec![id("year"), id("spring")]);
    all.retain(|record| record.kind() != Kind::Classes);
    all.push(linked.into());
    let report = snapshot(&store, all).await;
    assert_eq!(report.rejected(), 0);
    let dropped: Vec<_> = report.warnings.iter().filter(|group| group.code == Code::RefDropped).collect();
    let fields: Vec<_> = dropped.iter().filter_map(|group| group.field.as_deref()).collect();
    assert_eq!(fields, ["courseSourcedId", "termSourcedIds"]);

    let feed = store.feed_len();
    delta(&store, vec![upsert(course("course"))]).await;
    let attached = store.row(Kind::Classes, "class").attached;
    assert!(attached.contains(&(RefField::ClassCourse, id("course"))));
    assert!(!attached.contains(&(RefField::ClassTerm, id("spring"))));
    assert_eq!(store.feed_len(), feed + 1, "the attached link is in the feed");
}

#[tokio::test]
async fn r8_references_may_come_before_their_targets() {
    let store = MemoryStore::default();
    let mut backwards = roster();
    backwards.reverse();
    let report = snapshot(&store, backwards).await;
    assert_eq!((report.rejected(), report.warnings.len()), (0, 0), "{:?}", report.warnings);
}

#[tokio::test]
async fn r9_a_run_beyond_a_guard_is_held_with_nothing_applied_and_can_be_let_through() {
    let store = MemoryStore::default();
    snapshot(&store, many_users(100)).await;
    let before = store.rows();
    let fewer = Script::new(Coverage::Snapshot, upserts(many_users(89)));
    let report = sync_with(&store, &fewer, &options()).await;
    assert_eq!((report.status, held_by(&report)), (RunStatus::Held, vec![Code::GuardDelete]));
    assert_eq!(report.counts[Kind::Users].deleted, 11, "the counts say what would happen");
    assert_eq!(store.rows(), before);
    let dry = SyncOptions { dry_run: true, ..options() };
    let report = sync_with(&store, &fewer, &dry).await;
    assert_eq!((report.status, held_by(&report)), (RunStatus::Planned, vec![Code::GuardDelete]));
    let report = sync_with(&store, &fewer, &mass()).await;
    assert_eq!(report.status, RunStatus::Succeeded);
    assert_eq!(store.live().len(), 89);
}

#[tokio::test]
async fn r9_switching_users_off_counts_as_deleting_them() {
    let store = MemoryStore::default();
    snapshot(&store, many_users(100)).await;
    let mut users = many_users(100);
    for record in users.iter_mut().take(11) {
        if let Record::Users(user) = record {
            user.enabled_user = false;
        }
    }
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, upserts(users)), &options()).await;
    assert_eq!(held_by(&report), [Code::GuardDelete]);
}

#[tokio::test]
async fn r9_deleting_a_school_or_a_session_in_use_holds_at_any_size() {
    let store = MemoryStore::default();
    let mut all = roster();
    let mut linked = class("linked", "school");
    linked.terms = vec![id("year")];
    all.push(linked.into());
    all.push(org("empty").into());
    snapshot(&store, all).await;
    for (kind, sourced_id) in [(Kind::Orgs, "empty"), (Kind::AcademicSessions, "year")] {
        let script = Script::new(Coverage::Delta, vec![delete(kind, sourced_id)]);
        let report = sync_with(&store, &script, &options()).await;
        assert_eq!(held_by(&report), [Code::GuardStructure], "{kind}");
    }
    // Without its classes the session may go.
    let items = vec![delete(Kind::Classes, "linked"), delete(Kind::AcademicSessions, "year")];
    let report = sync_with(&store, &Script::new(Coverage::Delta, items), &options()).await;
    assert_eq!(report.status, RunStatus::Succeeded);
}

#[tokio::test]
async fn r9_any_deletion_right_after_the_scope_changed_holds_and_r10_the_cursor_is_void() {
    let store = MemoryStore::default();
    let mut first = Script::new(Coverage::Snapshot, upserts(roster()));
    first.summary.cursor = Some(rollcall_domain::ports::Cursor("1".to_owned()));
    sync_with(&store, &first, &options()).await;
    let mut narrowed = Script::new(Coverage::Snapshot, upserts(roster_without(&["e-ben"])));
    narrowed.scope = "one school".to_owned();
    let report = sync_with(&store, &narrowed, &options()).await;
    assert_eq!(held_by(&report), [Code::GuardScope]);
    assert_eq!(narrowed.requests.lock().unwrap()[0].cursor, None);
    let again = Script::new(Coverage::Snapshot, upserts(roster()));
    sync_with(&store, &again, &options()).await;
    assert_eq!(again.requests.lock().unwrap()[0].cursor.as_ref().unwrap().0, "1", "the held run moved nothing");
}

#[tokio::test]
async fn r9_a_source_may_hold_a_run_itself() {
    let store = MemoryStore::default();
    let mut script = Script::new(Coverage::Snapshot, upserts(roster()));
    script.summary.holds = vec![Hold { code: Code::ColumnLost, message: "email is gone".to_owned() }];
    let report = sync_with(&store, &script, &options()).await;
    assert_eq!((report.status, held_by(&report)), (RunStatus::Held, vec![Code::ColumnLost]));
}

#[tokio::test]
async fn r12_demographics_are_stored_only_where_switched_on_and_erased_when_switched_off() {
    let store = MemoryStore::default();
    let script = Script::new(Coverage::Snapshot, upserts(roster()));
    let report = sync_with(&store, &script, &SyncOptions::default()).await;
    assert_eq!(report.skipped, ["demographics"]);
    assert_eq!(report.counts[Kind::Demographics], rollcall_domain::Counts::default());
    assert!(store.find(Kind::Demographics, "ada").is_none());
    sync_with(&store, &script, &options()).await;
    assert!(store.is_live(Kind::Demographics, "ada"));
    sync_with(&store, &script, &SyncOptions::default()).await;
    assert!(store.find(Kind::Demographics, "ada").is_none());
}

#[tokio::test]
async fn rows_of_one_id_that_conflict_are_all_refused_and_the_stored_record_stays() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let mut other = user("ben");
    other.email = Some("ben@example.org".into());
    let mut items = upserts(roster());
    items.push(upsert_at(other, None, 99));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert_eq!((report.counts[Kind::Users].received, report.counts[Kind::Users].rejected), (3, 2));
    assert_received_adds_up(&report, 0);
    let mut lines: Vec<_> = store.rejects().iter().map(|reject| reject.location.position.unwrap()).collect();
    lines.sort_unstable();
    assert_eq!(lines, [7, 99], "both rows are located");
    assert_eq!(store.row(Kind::Users, "ben").record, Record::from(user("ben")));
    assert_eq!(report.counts[Kind::Enrollments].unchanged, 2);
}

#[tokio::test]
async fn what_refers_to_a_new_record_that_turns_out_to_conflict_is_refused_with_it() {
    let store = MemoryStore::default();
    let mut other = class("class", "school");
    other.title = "Something else".into();
    let mut items = upserts(roster());
    items.push(upsert_at(other, None, 99));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert_eq!((report.counts[Kind::Classes].rejected, report.counts[Kind::Enrollments].rejected), (2, 2));
    assert_received_adds_up(&report, 0);
    assert!(store.find(Kind::Classes, "class").is_none());
}

#[tokio::test]
async fn identical_rows_are_one_record_with_a_warning() {
    let store = MemoryStore::default();
    let mut items = upserts(roster());
    items.extend(upserts(roster()));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert!(report.counts.iter().all(|(_, counts)| counts.created == counts.received));
    assert!(codes(&report).contains(&Code::IdDuplicate));
}

#[tokio::test]
async fn user_rows_that_differ_only_in_org_and_role_are_one_user() {
    let store = MemoryStore::default();
    let rows = || {
        let mut here = user("tea");
        here.roles = vec![role("teacher", Some("school"), None)];
        let mut there = user("tea");
        there.roles = vec![role("aide", Some("other"), None)];
        vec![org("school").into(), org("other").into(), here.into(), there.into()]
    };
    for outcome in ["created", "unchanged"] {
        let report = snapshot(&store, rows()).await;
        let users = report.counts[Kind::Users];
        assert_eq!((users.received, users.rejected), (1, 0));
        assert_eq!(if outcome == "created" { users.created } else { users.unchanged }, 1, "{users:?}");
        assert_received_adds_up(&report, 0);
    }
    let Record::Users(stored) = store.row(Kind::Users, "tea").record else { panic!() };
    assert_eq!(stored.roles.len(), 2);
}

#[tokio::test]
async fn successive_states_of_one_record_end_in_the_last_one() {
    let store = MemoryStore::default();
    let renamed = |name: &str| {
        let mut user = user("u");
        user.given_name = Some(name.into());
        upsert(user)
    };
    let events = |items| {
        let mut script = Script::new(Coverage::Delta, items);
        script.capabilities.repeats = Repeats::LastWins;
        script
    };
    let script = events(vec![renamed("A"), renamed("B"), delete(Kind::Users, "u"), renamed("C")]);
    let report = sync_with(&store, &script, &mass()).await;
    assert_eq!((report.counts[Kind::Users].received, report.counts[Kind::Users].created), (1, 1));
    let Record::Users(stored) = store.row(Kind::Users, "u").record else { panic!() };
    assert_eq!(stored.given_name.as_deref(), Some("C"));

    let script = events(vec![renamed("D"), delete(Kind::Users, "u")]);
    let report = sync_with(&store, &script, &mass()).await;
    assert_eq!((report.counts[Kind::Users].received, report.counts[Kind::Users].deleted), (1, 1));
    assert!(!store.is_live(Kind::Users, "u"));
}

#[tokio::test]
async fn a_restart_forgets_what_came_before_and_the_fourth_one_fails() {
    let store = MemoryStore::default();
    let restart = || Item::Restart { reason: "the revision moved".to_owned() };
    let mut items = vec![upsert(user("ghost")), restart()];
    items.extend(upserts(roster()));
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert_eq!(report.counts[Kind::Users].received, 2);
    assert!(store.find(Kind::Users, "ghost").is_none());
    let items = vec![restart(), restart(), restart(), restart()];
    let report = sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
    assert_eq!(report.error.unwrap().code, "source.moving");
}

fn owned_role(user: &str, vendor_id: &str, role_name: &str, org: &str) -> Item {
    Item::Owned(OwnedChange::Role {
        change: RoleChange::Put { user: id(user), role: role(role_name, Some(org), Some(vendor_id)) },
        modified_ms: None,
        location: location(3),
    })
}

fn without_agents(record: impl Into<Record>) -> Item {
    let Item::Upsert(whole) = upsert(record) else { panic!() };
    Item::Upsert(whole.without_agents())
}

fn agents(store: &MemoryStore, user: &str) -> Vec<String> {
    let Record::Users(user) = store.row(Kind::Users, user).record else { panic!() };
    user.agents.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn users_and_agents_may_come_apart_and_each_leaves_the_other_alone() {
    let gains = |user: &str, agent: &str| {
        Item::Owned(OwnedChange::Agent { user: id(user), agent: id(agent), location: location(3) })
    };
    let store = MemoryStore::default();
    let items = vec![without_agents(user("child")), upsert(user("m")), upsert(user("f")), gains("child", "m")];
    delta(&store, items).await;
    assert_eq!(agents(&store, "child"), ["m"]);

    // A user without agents keeps the stored ones, and one more comes to them.
    let mut renamed = user("child");
    renamed.given_name = Some("Renamed".into());
    let report = delta(&store, vec![without_agents(renamed), gains("child", "f")]).await;
    assert_eq!(
        (report.counts[Kind::Users].updated, agents(&store, "child")),
        (1, vec!["f".to_owned(), "m".to_owned()])
    );
    assert_received_adds_up(&report, 0);

    // The same again changes nothing.
    let report = delta(&store, vec![gains("child", "f")]).await;
    assert_eq!((report.counts[Kind::Users].unchanged, report.counts[Kind::Users].updated), (1, 0));

    let gone = OwnedChange::AgentGone { user: id("child"), agent: id("m"), location: location(4) };
    delta(&store, vec![Item::Owned(gone)]).await;
    assert_eq!(agents(&store, "child"), ["f"]);

    // A link to a user who is not there is optional: nothing is refused.
    let report = delta(&store, vec![gains("stranger", "f")]).await;
    assert_eq!(report.counts[Kind::Users].rejected, 0);
    assert!(report.warnings.iter().any(|group| group.code == Code::RefDropped), "{:?}", report.warnings);
}

fn without_roles(record: impl Into<Record>) -> Item {
    let Item::Upsert(whole) = upsert(record) else { panic!() };
    Item::Upsert(whole.without_roles())
}

fn role_names(store: &MemoryStore, user: &str) -> Vec<String> {
    let Record::Users(user) = store.row(Kind::Users, user).record else { panic!() };
    user.roles.iter().map(|role| role.role.to_string()).collect()
}

#[tokio::test]
async fn users_and_roles_may_come_apart_and_each_leaves_the_other_alone() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert(org("school")), without_roles(user("u")), owned_role("u", "r1", "teacher", "school")])
        .await;
    assert_eq!(role_names(&store, "u"), ["teacher"]);

    // Users without roles keep the stored ones.
    let mut renamed = user("u");
    renamed.given_name = Some("Renamed".into());
    let report = delta(&store, vec![without_roles(renamed)]).await;
    assert_eq!((report.counts[Kind::Users].updated, role_names(&store, "u")), (1, vec!["teacher".to_owned()]));

    // A role alone changes the user.
    let report = delta(&store, vec![owned_role("u", "r2", "aide", "school")]).await;
    assert_eq!((report.counts[Kind::Users].updated, role_names(&store, "u").len()), (1, 2));
    assert_received_adds_up(&report, 0);
    let gone = OwnedChange::Role {
        change: RoleChange::Delete { user: Some(id("u")), role: id("r1") },
        modified_ms: None,
        location: location(4),
    };
    delta(&store, vec![Item::Owned(gone)]).await;
    assert_eq!(role_names(&store, "u"), ["aide"]);

    // A complete list of roles that does not mention the user takes the rest.
    let mut script = Script::new(Coverage::Absent, vec![]);
    script.summary = PullSummary { roles: Some(Coverage::Snapshot), ..PullSummary::default() };
    script.summary.coverage = PerKind::from_fn(|_| Coverage::Absent);
    sync_with(&store, &script, &mass()).await;
    assert!(role_names(&store, "u").is_empty());
}

#[tokio::test]
async fn r5_a_refused_role_leaves_its_user_alone_and_its_user_the_stored_role() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert(org("school")), without_roles(user("u")), owned_role("u", "r1", "teacher", "school")])
        .await;
    let refused = |sourced_id: Option<&str>| {
        let Item::Reject(reject) = unreadable(Kind::Users, sourced_id) else { panic!() };
        Item::Reject(Reject { is_part: true, ..reject })
    };
    for half in [None, Some(Coverage::Snapshot)] {
        let items = vec![upsert(org("school")), refused(Some("u")), refused(None), without_roles(user("u"))];
        let mut script = Script::new(Coverage::Snapshot, items);
        script.summary.roles = half;
        let report = sync_with(&store, &script, &mass()).await;
        assert_eq!((report.counts[Kind::Users].rejected, report.counts[Kind::Users].unchanged), (2, 1));
        assert_eq!(role_names(&store, "u"), ["teacher"]);
    }
}

#[tokio::test]
async fn a_class_may_have_one_primary_teacher_at_a_time() {
    let store = MemoryStore::default();
    let teacher = |sourced_id: &str, user: &str, begin: i8, end: i8| {
        let mut enrollment = enrollment(sourced_id, "class", user);
        (enrollment.role, enrollment.primary) = ("teacher".into(), Some(true));
        enrollment.begin_date = Some(jiff::civil::date(2026, begin, 1));
        enrollment.end_date = Some(jiff::civil::date(2026, end, 1));
        Record::from(enrollment)
    };
    let mut records = roster();
    records.extend([teacher("t1", "ada", 1, 3), teacher("t2", "ben", 3, 5), teacher("t3", "ada", 2, 6)]);
    let report = snapshot(&store, records).await;
    assert_eq!((codes(&report), report.warnings[0].count), (vec![Code::ValueConflict], 1));
}

#[tokio::test]
async fn a_user_that_is_deleted_together_with_its_roles_is_deleted() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert(org("school")), without_roles(user("u")), owned_role("u", "r1", "teacher", "school")])
        .await;
    let role_gone = Item::Owned(OwnedChange::Role {
        change: RoleChange::Delete { user: Some(id("u")), role: id("r1") },
        modified_ms: None,
        location: location(4),
    });
    let report = delta(&store, vec![delete(Kind::Users, "u"), role_gone]).await;
    let users = report.counts[Kind::Users];
    assert_eq!((users.received, users.deleted, users.updated), (1, 1, 0));
    assert!(!store.is_live(Kind::Users, "u"));
}

#[tokio::test]
async fn a_role_of_an_unknown_user_is_refused() {
    let store = MemoryStore::default();
    let report = delta(&store, vec![owned_role("nobody", "r1", "teacher", "school")]).await;
    assert_eq!(report.counts[Kind::Users].rejected, 1);
    assert_eq!(store.rejects()[0].findings[0].code, Code::RefMissing);
}

#[tokio::test]
async fn all_enrollments_of_a_class_replace_those_it_had() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let change = OwnedChange::Enrollments {
        class: id("class"),
        enrollments: vec![enrollment("e-ada", "class", "ada"), enrollment("e-new", "class", "ben")],
        location: Location::whole(&Arc::from("section")),
    };
    let report = delta(&store, vec![Item::Owned(change)]).await;
    let counts = report.counts[Kind::Enrollments];
    assert_eq!((counts.unchanged, counts.created, counts.deleted), (1, 1, 1));
    assert_received_adds_up(&report, 1);
    assert!(!store.is_live(Kind::Enrollments, "e-ben"));
}

#[tokio::test]
async fn r7_a_class_that_returns_with_all_its_enrollments_returns_without_those_that_it_had_before() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    delta(&store, vec![delete(Kind::Classes, "class")]).await;
    assert!(!store.is_live(Kind::Enrollments, "e-ada") && !store.is_live(Kind::Enrollments, "e-ben"));
    let change = OwnedChange::Enrollments {
        class: id("class"),
        enrollments: vec![enrollment("e-ada", "class", "ada")],
        location: Location::whole(&Arc::from("section")),
    };
    let report = delta(&store, vec![upsert(class("class", "school")), Item::Owned(change)]).await;
    assert_eq!(report.counts[Kind::Enrollments].restored, 1);
    assert!(store.is_live(Kind::Enrollments, "e-ada") && !store.is_live(Kind::Enrollments, "e-ben"));
}

#[tokio::test]
async fn odd_references_are_accepted_with_a_warning() {
    let store = MemoryStore::default();
    let mut records = roster();
    let mut department = org("department");
    department.org_type = "department".into();
    let mut looped = org("looped");
    looped.parent = Some(id("back"));
    let mut back = org("back");
    back.parent = Some(id("looped"));
    let mut own_parent = session("self");
    own_parent.parent = Some(id("self"));
    let mut term = session("term");
    term.session_type = "term".into();
    let mut year_that_is_a_term = course("odd");
    year_that_is_a_term.school_year = Some(id("term"));
    let mut wrong_school = enrollment("e-odd", "class", "ada");
    wrong_school.school = Some(id("department"));
    records.extend([
        Record::from(department),
        looped.into(),
        back.into(),
        own_parent.into(),
        term.into(),
        year_that_is_a_term.into(),
        class("at-department", "department").into(),
        wrong_school.into(),
    ]);
    let report = snapshot(&store, records).await;
    assert_eq!(report.rejected(), 0);
    let found: Vec<_> =
        report.warnings.iter().map(|group| (group.kind.unwrap(), group.code, group.field.clone().unwrap())).collect();
    insta::assert_snapshot!(
        found.iter().map(|(kind, code, field)| format!("{kind} {field} {code}")).collect::<Vec<_>>().join("\n"),
        @r"
    orgs parentSourcedId ref.type
    academicSessions parentSourcedId ref.type
    courses schoolYearSourcedId ref.type
    classes schoolSourcedId ref.type
    enrollments schoolSourcedId value.conflict
    "
    );
}

#[tokio::test]
async fn records_that_break_a_rule_of_their_own_are_refused() {
    let store = MemoryStore::default();
    let mut nameless = user("nameless");
    (nameless.given_name, nameless.family_name) = (None, None);
    let mut backwards = session("backwards");
    std::mem::swap(&mut backwards.start_date, &mut backwards.end_date);
    let report = snapshot(&store, vec![nameless.into(), backwards.into()]).await;
    assert_eq!(report.rejected(), 2);
    let mut found: Vec<_> = store.rejects().iter().map(|reject| reject.findings[0].code).collect();
    found.sort_unstable();
    assert_eq!(found, [Code::FieldMissing, Code::DateOrder]);
}

#[test]
fn a_blank_sourced_id_cannot_be_made() {
    assert!(SourcedId::new("").is_err());
    assert!(serde_json::from_str::<SourcedId>("\"\"").is_err());
}

fn put_role(user: &str, vendor_id: &str, name: &str, modified_ms: Option<i64>) -> Item {
    let change = RoleChange::Put { user: id(user), role: role(name, Some("school"), Some(vendor_id)) };
    Item::Owned(OwnedChange::Role { change, modified_ms, location: location(3) })
}

fn delete_role(user: Option<&str>, vendor_id: &str, modified_ms: Option<i64>) -> Item {
    let change = RoleChange::Delete { user: user.map(id), role: id(vendor_id) };
    Item::Owned(OwnedChange::Role { change, modified_ms, location: location(4) })
}

/// Changes of roles, and of nothing else unless it is among the items.
async fn role_delta(store: &MemoryStore, items: Vec<Item>) -> RunReport {
    let mut script = Script::new(Coverage::Delta, items);
    script.summary.roles = Some(Coverage::Delta);
    let report = sync_with(store, &script, &mass()).await;
    assert_received_adds_up(&report, 0);
    report
}

async fn store_with_user() -> MemoryStore {
    let store = MemoryStore::default();
    role_delta(&store, vec![upsert(org("school")), without_roles(user("u"))]).await;
    store
}

#[tokio::test]
async fn r4_a_role_older_than_the_newest_accepted_one_is_stale() {
    let store = store_with_user().await;
    role_delta(&store, vec![put_role("u", "r1", "teacher", Some(2_000))]).await;
    let feed = store.feed_len();
    let report = role_delta(&store, vec![put_role("u", "r1", "aide", Some(1_999))]).await;
    assert_eq!((report.counts[Kind::Users].stale, report.counts[Kind::Users].updated), (1, 0));
    let report = role_delta(&store, vec![delete_role(Some("u"), "r1", Some(1_999))]).await;
    assert_eq!((report.counts[Kind::Users].stale, store.feed_len()), (1, feed));
    assert_eq!(role_names(&store, "u"), ["teacher"]);

    // Another role has a date of its own; blank is never stale; equal is not older.
    role_delta(&store, vec![put_role("u", "r2", "aide", Some(1))]).await;
    assert_eq!(role_names(&store, "u").len(), 2);
    role_delta(&store, vec![delete_role(Some("u"), "r2", None)]).await;
    role_delta(&store, vec![put_role("u", "r1", "proctor", Some(2_000))]).await;
    assert_eq!(role_names(&store, "u"), ["proctor"]);

    // A deleted role keeps its date, so that an older row does not bring it back.
    role_delta(&store, vec![delete_role(Some("u"), "r1", Some(3_000))]).await;
    let report = role_delta(&store, vec![put_role("u", "r1", "teacher", Some(2_500))]).await;
    assert_eq!((report.counts[Kind::Users].stale, role_names(&store, "u").len()), (1, 0));
    role_delta(&store, vec![put_role("u", "r1", "teacher", Some(3_000))]).await;
    assert_eq!(role_names(&store, "u"), ["teacher"]);

    // A complete list of roles does not care.
    let change = OwnedChange::Role {
        change: RoleChange::Put { user: id("u"), role: role("aide", Some("school"), Some("r1")) },
        modified_ms: Some(1),
        location: location(3),
    };
    let mut script = Script::new(Coverage::Absent, vec![Item::Owned(change)]);
    script.summary.roles = Some(Coverage::Snapshot);
    sync_with(&store, &script, &mass()).await;
    assert_eq!(role_names(&store, "u"), ["aide"]);
}

#[tokio::test]
async fn r8_a_role_waits_for_its_user() {
    let store = MemoryStore::default();
    let report = role_delta(
        &store,
        vec![upsert(org("school")), put_role("u", "r1", "teacher", Some(5)), put_role("u", "r2", "aide", None)],
    )
    .await;
    assert_eq!(report.counts[Kind::Users].rejected, 2);
    assert_eq!(store.rejects()[0].findings[0].code, Code::RefMissing);
    assert_eq!(store.rejects()[0].record.as_ref().unwrap()["userSourcedId"], "u");

    // A newer row of the same role takes its place, an older one does not, and a deletion ends the waiting.
    role_delta(&store, vec![put_role("u", "r1", "principal", Some(6)), put_role("u", "r3", "aide", None)]).await;
    let report = role_delta(&store, vec![put_role("u", "r1", "student", Some(5)), delete_role(None, "r3", None)]).await;
    assert_eq!((report.counts[Kind::Users].stale, report.counts[Kind::Users].unchanged), (1, 1));

    let report = role_delta(&store, vec![without_roles(user("u"))]).await;
    assert_eq!((report.counts[Kind::Users].created, role_names(&store, "u").len()), (1, 2));
    assert!(role_names(&store, "u").contains(&"principal".to_owned()));
    assert!(codes(&report).contains(&Code::RefHealed));
    assert!(store.book("u").unwrap().waiting.is_empty());
    // The date came along.
    let report = role_delta(&store, vec![put_role("u", "r1", "student", Some(5))]).await;
    assert_eq!(report.counts[Kind::Users].stale, 1);
}

#[tokio::test]
async fn r8_a_user_who_comes_with_all_roles_or_a_complete_list_without_them_ends_the_waiting() {
    for complete in [false, true] {
        let store = MemoryStore::default();
        role_delta(&store, vec![upsert(org("school")), put_role("u", "r1", "teacher", None)]).await;
        if complete {
            let mut script = Script::new(Coverage::Absent, vec![]);
            script.summary.roles = Some(Coverage::Snapshot);
            sync_with(&store, &script, &mass()).await;
            role_delta(&store, vec![without_roles(user("u"))]).await;
        } else {
            delta(&store, vec![upsert(user("u"))]).await;
        }
        assert!(role_names(&store, "u").is_empty(), "{complete}");
        assert!(store.book("u").is_none());
    }
}

#[tokio::test]
async fn r8_a_role_does_not_keep_a_user_who_is_missing_from_a_complete_roster() {
    let store = store_with_user().await;
    let mut script = Script::new(Coverage::Snapshot, vec![upsert(org("school")), put_role("u", "r1", "teacher", None)]);
    for _ in 0..2 {
        sync_with(&store, &script, &mass()).await;
        assert!(!store.is_live(Kind::Users, "u"));
        assert_eq!(store.book("u").unwrap().waiting.len(), 1);
    }
    script.items.lock().unwrap().push(without_roles(user("u")));
    script.summary.roles = Some(Coverage::Delta);
    sync_with(&store, &script, &mass()).await;
    assert_eq!(role_names(&store, "u"), ["teacher"]);
}

#[tokio::test]
async fn r5_an_unreadable_role_row_of_a_complete_list_ends_no_waiting() {
    for of_user in [Some("u"), None] {
        let store = MemoryStore::default();
        role_delta(&store, vec![upsert(org("school")), put_role("u", "r1", "teacher", None)]).await;
        let Item::Reject(reject) = unreadable(Kind::Users, of_user) else { panic!() };
        let items = vec![upsert(org("school")), Item::Reject(Reject { is_part: true, ..reject })];
        sync_with(&store, &Script::new(Coverage::Snapshot, items), &mass()).await;
        assert_eq!(store.book("u").unwrap().waiting.len(), 1);
    }
}

#[tokio::test]
async fn a_role_is_deleted_by_its_own_id_alone() {
    let store = store_with_user().await;
    role_delta(&store, vec![put_role("u", "r1", "teacher", Some(5)), put_role("u", "r2", "aide", None)]).await;
    let report = role_delta(&store, vec![delete_role(None, "r1", Some(4))]).await;
    assert_eq!((report.counts[Kind::Users].stale, role_names(&store, "u").len()), (1, 2));
    let report = role_delta(&store, vec![delete_role(None, "r1", Some(6))]).await;
    assert_eq!((report.counts[Kind::Users].updated, role_names(&store, "u")), (1, vec!["aide".to_owned()]));
    let feed = store.feed_len();
    let report = role_delta(&store, vec![delete_role(None, "r9", None)]).await;
    assert_eq!((report.counts[Kind::Users].received, report.counts[Kind::Users].unchanged), (1, 1));
    assert_eq!(store.feed_len(), feed);
}

/// Makes the run twice, and says whether the second one left everything alone.
async fn is_stable(store: &MemoryStore, script: &Script) -> bool {
    sync_with(store, script, &mass()).await;
    let before = (store.rows(), store.feed_len(), store.books());
    sync_with(store, script, &mass()).await;
    before == (store.rows(), store.feed_len(), store.books())
}

#[tokio::test]
async fn r1_a_refused_record_keeps_nothing_when_what_is_stored_of_it_goes_with_its_class() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let items = vec![
        upsert(org("school")),
        upsert(user("ada")),
        delete(Kind::Classes, "class"),
        upsert(enrollment("e-ben", "class", "ben")),
    ];
    let mut script = Script::new(Coverage::Snapshot, items);
    script.summary.coverage[Kind::Classes] = Coverage::Delta;
    assert!(is_stable(&store, &script).await);
    assert!(!store.is_live(Kind::Users, "ben"));
}

#[tokio::test]
async fn r1_what_a_record_required_that_was_accepted_and_then_refused_is_not_kept() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    // The enrollment comes before anybody knows that the class goes with its school.
    let items = vec![
        upsert(user("ada")),
        upsert(class("other", "school")),
        upsert(enrollment("e-new", "other", "ben")),
        delete(Kind::Orgs, "school"),
    ];
    let mut script = Script::new(Coverage::Snapshot, items);
    script.summary.coverage[Kind::Orgs] = Coverage::Delta;
    assert!(is_stable(&store, &script).await);
    assert!(!store.is_live(Kind::Users, "ben"));
}

#[tokio::test]
async fn r1_what_is_missing_and_goes_with_its_parent_is_missing_the_first_time() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let items = vec![
        upsert(user("ada")),
        upsert(user("ben")),
        upsert(enrollment("e-ada", "class", "ada")),
        delete(Kind::Orgs, "school"),
    ];
    let mut script = Script::new(Coverage::Snapshot, items);
    script.summary.coverage[Kind::Orgs] = Coverage::Delta;
    assert!(is_stable(&store, &script).await);
    assert_eq!(store.row(Kind::Classes, "class").deleted, Some(DeleteReason::Absent));
}

#[tokio::test]
async fn r1_a_school_is_kept_for_a_class_that_only_enrollments_of_the_run_refer_to() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let mut script = Script::new(Coverage::Snapshot, upserts(roster_without(&["school", "class"])));
    script.summary.coverage[Kind::Classes] = Coverage::Delta;
    assert!(is_stable(&store, &script).await);
    assert!(store.is_live(Kind::Orgs, "school") && store.is_live(Kind::Enrollments, "e-ada"));
}

#[tokio::test]
async fn r1_rows_that_conflict_keep_no_school_for_a_class_of_which_only_an_older_state_was_sent() {
    for older in [delete_at(Kind::Classes, "class", Some(1)), upsert_at(class("class", "school"), Some(1), 2)] {
        let store = MemoryStore::default();
        let stored = vec![upsert(org("school")), upsert_at(class("class", "school"), Some(2), 2), upsert(user("u"))];
        delta(&store, stored).await;
        let items = vec![
            older,
            upsert(user("u")),
            upsert(enrollment("e", "class", "u")),
            upsert(enrollment("e", "other", "u")),
        ];
        let mut script = Script::new(Coverage::Snapshot, items);
        script.summary.coverage[Kind::Classes] = Coverage::Delta;
        assert!(is_stable(&store, &script).await);
        assert!(!store.is_live(Kind::Orgs, "school"));
    }
}

#[tokio::test]
async fn r1_a_replayed_record_keeps_nothing_that_is_absent() {
    let store = MemoryStore::default();
    snapshot(&store, roster_without(&["ben"])).await;
    let mut script = Script::new(Coverage::Snapshot, upserts(vec![org("school").into(), user("ben").into()]));
    script.summary.coverage[Kind::Enrollments] = Coverage::Delta;
    assert!(is_stable(&store, &script).await);
    assert!(!store.is_live(Kind::Classes, "class"));
    assert!(store.find(Kind::Enrollments, "e-ben").is_none());
    assert_eq!(store.pending_len(), 1, "it waits on");
}

#[tokio::test]
async fn r1_new_ids_of_the_roles_of_a_changed_user_are_learnt_in_the_same_run() {
    let store = store_with_user().await;
    role_delta(&store, vec![put_role("u", "r1", "teacher", None)]).await;
    let mut renamed = user("u");
    renamed.given_name = Some("Renamed".into());
    let mut script = Script::new(Coverage::Delta, vec![without_roles(renamed), put_role("u", "r9", "teacher", None)]);
    script.summary.roles = Some(Coverage::Delta);
    assert!(is_stable(&store, &script).await);
    let Record::Users(stored) = store.row(Kind::Users, "u").record else { panic!() };
    assert_eq!(stored.roles[0].sourced_id, Some(id("r9")));
}

#[tokio::test]
async fn r1_repeated_rows_that_come_before_what_they_require_are_one_record() {
    let store = MemoryStore::default();
    let items = vec![upsert(demographics("u")), upsert(demographics("u")), upsert(user("u"))];
    let script = Script::new(Coverage::Snapshot, items);
    assert!(is_stable(&store, &script).await);
    assert!(store.is_live(Kind::Demographics, "u"));
}

#[tokio::test]
async fn what_was_accepted_on_a_new_record_that_the_source_then_deletes_is_refused() {
    let store = MemoryStore::default();
    let items = vec![upsert(org("school")), upsert(class("class", "school")), delete(Kind::Orgs, "school")];
    let script = Script::new(Coverage::Delta, items);
    assert!(is_stable(&store, &script).await);
    assert!(store.rows().is_empty());
    assert_eq!(store.rejects()[0].findings[0].code, Code::RefMissing);
}

#[tokio::test]
async fn what_was_accepted_on_an_earlier_state_of_a_record_is_refused_with_its_last_one() {
    let store = MemoryStore::default();
    let items = vec![
        upsert(org("school")),
        upsert(class("class", "school")),
        upsert(user("u")),
        upsert(enrollment("e", "class", "u")),
        upsert(class("class", "nowhere")),
    ];
    let mut script = Script::new(Coverage::Delta, items);
    script.capabilities.repeats = Repeats::LastWins;
    assert!(is_stable(&store, &script).await);
    assert!(store.find(Kind::Enrollments, "e").is_none());
}

#[tokio::test]
async fn the_last_of_successive_states_counts_though_it_repeats_the_first() {
    let store = MemoryStore::default();
    let mut other = org("school");
    other.name = "Another name".into();
    let items = vec![upsert(org("school")), upsert(other), upsert(org("school"))];
    let mut script = Script::new(Coverage::Delta, items);
    script.capabilities.repeats = Repeats::LastWins;
    assert!(is_stable(&store, &script).await);
    assert_eq!(store.row(Kind::Orgs, "school").record, Record::from(org("school")));
}

#[tokio::test]
async fn r4_an_older_row_of_a_deleted_record_does_not_make_it_there_for_others() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    delta(&store, vec![delete_at(Kind::Users, "ben", Some(5))]).await;
    let items = vec![upsert_at(user("ben"), Some(4), 2), upsert(enrollment("e-new", "class", "ben"))];
    let report = delta(&store, items).await;
    assert_eq!((report.counts[Kind::Users].stale, report.counts[Kind::Enrollments].rejected), (1, 1));
}

#[tokio::test]
async fn r1_a_further_row_that_is_refused_keeps_nothing_beside_the_accepted_one() {
    let store = MemoryStore::default();
    snapshot(&store, vec![org("school").into(), org("other").into(), class("class", "school").into()]).await;
    let items = vec![upsert(org("other")), upsert(class("class", "other")), unreadable(Kind::Classes, Some("class"))];
    let script = Script::new(Coverage::Snapshot, items);
    assert!(is_stable(&store, &script).await);
    assert!(!store.is_live(Kind::Orgs, "school"));
}

#[tokio::test]
async fn a_record_that_waits_and_is_refused_in_another_row_is_decided_once() {
    let store = MemoryStore::default();
    let items = vec![
        upsert(demographics("u")),
        unreadable(Kind::Demographics, Some("u")),
        upsert(demographics("u")),
        upsert(user("u")),
    ];
    for repeats in [Repeats::Conflict, Repeats::LastWins] {
        let mut script = Script::new(Coverage::Delta, items.clone());
        script.capabilities.repeats = repeats;
        assert_received_adds_up(&sync_with(&store, &script, &mass()).await, 0);
    }
    assert!(store.is_live(Kind::Demographics, "u"));
}

#[tokio::test]
async fn r4_the_newest_date_of_repeated_records_counts() {
    for repeats in [Repeats::Conflict, Repeats::LastWins] {
        let store = MemoryStore::default();
        let items =
            vec![upsert_at(user("u"), Some(1), 2), upsert_at(user("u"), Some(3), 3), upsert_at(user("u"), Some(2), 4)];
        let mut script = Script::new(Coverage::Snapshot, items);
        script.capabilities.repeats = repeats;
        assert!(is_stable(&store, &script).await);
        assert_eq!(store.row(Kind::Users, "u").modified_ms, Some(3));
    }
}

#[tokio::test]
async fn r4_a_refused_record_leaves_the_date_of_the_stored_one() {
    let store = MemoryStore::default();
    snapshot(&store, roster()).await;
    let mut renamed = class("class", "school");
    renamed.title = "Another title".into();
    let items = vec![
        upsert(org("school")),
        upsert_at(class("class", "school"), Some(1), 2),
        upsert_at(renamed, Some(2), 3),
        upsert(user("ada")),
        upsert_at(enrollment("e-ada", "class", "ada"), Some(1), 4),
        delete(Kind::Users, "ada"),
    ];
    assert!(is_stable(&store, &Script::new(Coverage::Delta, items)).await);
    assert_eq!(store.row(Kind::Classes, "class").modified_ms, None);
    assert_eq!(store.row(Kind::Enrollments, "e-ada").modified_ms, None);

    // The last of successive states is refused.
    let items = vec![upsert_at(class("class", "school"), Some(1), 2), upsert_at(class("class", "nowhere"), Some(2), 3)];
    let mut script = Script::new(Coverage::Delta, items);
    script.capabilities.repeats = Repeats::LastWins;
    assert!(is_stable(&store, &script).await);
    assert_eq!(store.row(Kind::Classes, "class").modified_ms, None);
}

fn teacher_at(org: &str) -> User {
    let mut user = user("u");
    user.roles = vec![role("teacher", Some(org), None)];
    user
}

#[tokio::test]
async fn r4_rows_of_one_id_are_decided_together_though_the_first_is_older_than_what_is_stored() {
    let renamed = || {
        let mut user = user("u");
        user.given_name = Some("Renamed".into());
        user
    };
    let base = || vec![upsert(org("a")), upsert(org("b")), upsert_at(teacher_at("a"), Some(5), 2)];
    let at = |user: User, date: i64| upsert_at(user, Some(date), 3);
    let of = |store: &MemoryStore| {
        let row = store.row(Kind::Users, "u");
        let Record::Users(user) = row.record else { panic!() };
        let orgs: Vec<_> = user.roles.iter().filter_map(|role| role.org.as_ref().map(ToString::to_string)).collect();
        (orgs.join("+"), row.modified_ms)
    };
    let stored = || ("a".to_owned(), Some(5));
    let delete = |date| delete_at(Kind::Users, "u", Some(date));
    // What is sent, what is there then, and how many records were stale, refused, updated, deleted.
    let cases = [
        ("all are older", vec![at(renamed(), 3), at(renamed(), 4)], stored(), [1, 0, 0, 0]),
        ("all are older and contradict", vec![at(renamed(), 3), at(user("u"), 4)], stored(), [1, 0, 0, 0]),
        (
            "one repeats it without a date",
            vec![at(renamed(), 3), upsert(renamed())],
            (String::new(), Some(5)),
            [0, 0, 1, 0],
        ),
        ("deleted without a date", vec![at(renamed(), 3), delete_at(Kind::Users, "u", None)], stored(), [0, 0, 0, 1]),
        (
            "one is unreadable, then deleted",
            vec![unreadable(Kind::Users, Some("u")), delete(1)],
            stored(),
            [1, 1, 0, 0],
        ),
        (
            "deleted, then one is unreadable",
            vec![delete(1), unreadable(Kind::Users, Some("u"))],
            stored(),
            [1, 1, 0, 0],
        ),
        ("another says something else", vec![at(renamed(), 3), at(teacher_at("b"), 6)], stored(), [0, 2, 0, 0]),
        (
            "one repeats it, with a newer date",
            vec![at(renamed(), 3), at(renamed(), 6)],
            (String::new(), Some(6)),
            [0, 0, 1, 0],
        ),
        (
            "one role in each",
            vec![at(teacher_at("a"), 3), at(teacher_at("b"), 6)],
            ("a+b".to_owned(), Some(6)),
            [0, 0, 1, 0],
        ),
        ("one role in each, all older", vec![at(teacher_at("a"), 3), at(teacher_at("b"), 4)], stored(), [1, 0, 0, 0]),
        ("deleted and new", vec![delete(3), at(teacher_at("b"), 6)], ("b".to_owned(), Some(6)), [0, 0, 1, 0]),
        ("deleted and new, both older", vec![delete(3), at(teacher_at("b"), 4)], stored(), [1, 0, 0, 0]),
        ("older and deleted", vec![at(teacher_at("b"), 3), delete(6)], ("a".to_owned(), Some(6)), [0, 0, 0, 1]),
    ];
    for (what, items, expected, [stale, rejected, updated, deleted]) in cases {
        let store = MemoryStore::default();
        delta(&store, base()).await;
        let script = Script::new(Coverage::Delta, items);
        let report = sync_with(&store, &script, &mass()).await;
        let counts = report.counts[Kind::Users];
        assert_eq!((counts.stale, counts.rejected), (stale, rejected), "{what}");
        assert_eq!((counts.updated, counts.deleted), (updated, deleted), "{what}");
        assert_eq!(of(&store), expected, "{what}");
        assert_received_adds_up(&report, deleted);
        assert!(is_stable(&store, &script).await, "{what}");
    }
}

#[tokio::test]
async fn r4_an_older_state_is_stale_though_an_unreadable_row_came_before_it() {
    for repeats in [Repeats::Conflict, Repeats::LastWins] {
        let store = MemoryStore::default();
        delta(&store, vec![upsert_at(user("u"), Some(5), 2)]).await;
        let mut old = user("u");
        old.given_name = Some("Old".into());
        let items = vec![unreadable(Kind::Users, Some("u")), upsert_at(old, Some(1), 3)];
        let mut script = Script::new(Coverage::Delta, items);
        script.capabilities.repeats = repeats;
        let report = sync_with(&store, &script, &mass()).await;
        assert_eq!((report.counts[Kind::Users].stale, report.counts[Kind::Users].rejected), (1, 1));
        assert_received_adds_up(&report, 0);
        assert_eq!(store.row(Kind::Users, "u").record, Record::from(user("u")));
    }
}

#[tokio::test]
async fn r8_a_record_that_arrives_waits_no_more_though_another_row_of_it_is_refused() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert(class("class", "school"))]).await;
    assert_eq!(store.pending_len(), 1);
    delta(
        &store,
        vec![upsert(org("school")), upsert(class("class", "school")), unreadable(Kind::Classes, Some("class"))],
    )
    .await;
    assert!(store.is_live(Kind::Classes, "class"));
    assert_eq!(store.pending_len(), 0);
}

#[tokio::test]
async fn an_unreadable_row_among_the_rows_of_an_id_makes_no_difference_to_them_wherever_it_is() {
    let named = |name: &str, date: Option<i64>| {
        let mut org = org("school");
        org.name = name.into();
        upsert_at(org, date, 2)
    };
    let bad = || unreadable(Kind::Orgs, Some("school"));
    // The readable rows, how many of them are refused, and whether all are older than what is stored.
    let cases = [
        (vec![named("A", Some(9))], 0, false),
        (vec![named("A", Some(3)), named("A", Some(4))], 0, true),
        (vec![named("A", Some(3)), named("A", None)], 0, false),
        (vec![named("A", Some(3)), named("A", Some(9))], 0, false),
        (vec![named("A", Some(3)), named("B", Some(9))], 2, false),
    ];
    for (readable, refused, older) in cases {
        for (coverage, place, turned) in [Coverage::Snapshot, Coverage::Delta]
            .into_iter()
            .flat_map(|coverage| (0..=readable.len()).map(move |place| (coverage, place)))
            .flat_map(|(coverage, place)| [false, true].map(|turned| (coverage, place, turned)))
        {
            let store = MemoryStore::default();
            delta(&store, vec![upsert_at(org("school"), Some(5), 2)]).await;
            let mut items = readable.clone();
            if turned {
                items.reverse();
            }
            items.insert(place, bad());
            let script = Script::new(coverage, items);
            let report = sync_with(&store, &script, &mass()).await;
            let counts = report.counts[Kind::Orgs];
            let stale = u64::from(older && coverage == Coverage::Delta);
            let updated = u64::from(refused == 0) - stale;
            assert_eq!(
                (counts.updated, counts.stale, counts.rejected),
                (updated, stale, refused + 1),
                "{place} {turned}"
            );
            assert_received_adds_up(&report, 0);
            assert!(is_stable(&store, &script).await);
            let Record::Orgs(stored) = store.row(Kind::Orgs, "school").record else { panic!() };
            assert_eq!(stored.name.as_str(), if updated == 1 { "A" } else { "Org school" });
        }
    }
}

#[tokio::test]
async fn r4_the_newest_date_of_merged_rows_counts_whichever_carries_it() {
    let rows = [(teacher_at("a"), 1), (teacher_at("a"), 9), (teacher_at("b"), 2)];
    for order in [[0, 1, 2], [1, 0, 2], [2, 0, 1], [0, 2, 1]] {
        let store = MemoryStore::default();
        delta(&store, vec![upsert(org("a")), upsert(org("b"))]).await;
        let items = order.map(|row| upsert_at(rows[row].0.clone(), Some(rows[row].1), 3)).to_vec();
        let script = Script::new(Coverage::Delta, items);
        assert!(is_stable(&store, &script).await);
        assert_eq!(store.row(Kind::Users, "u").modified_ms, Some(9), "{order:?}");
    }
}

#[tokio::test]
async fn rows_that_conflict_beside_an_unreadable_one_are_counted_once_each() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert(user("u"))]).await;
    let mut other = user("u");
    other.given_name = Some("Other".into());
    let items = vec![upsert(user("u")), unreadable(Kind::Users, Some("u")), upsert(other)];
    let report = delta(&store, items).await;
    let counts = report.counts[Kind::Users];
    assert_eq!((counts.received, counts.rejected, counts.unchanged), (3, 3, 0));
}

#[tokio::test]
async fn r1_a_replayed_record_keeps_nothing_for_a_taken_back_one_either() {
    let store = MemoryStore::default();
    snapshot(&store, vec![org("school").into(), user("u").into(), class("class", "school").into()]).await;
    delta(&store, vec![upsert(enrollment("waits", "new", "u"))]).await;
    let items = vec![
        upsert(org("school")),
        upsert(class("class", "school")),
        upsert(class("new", "school")),
        upsert(enrollment("twice", "class", "u")),
        upsert(enrollment("twice", "new", "u")),
    ];
    let mut script = Script::new(Coverage::Snapshot, items);
    script.summary.coverage[Kind::Enrollments] = Coverage::Delta;
    assert!(is_stable(&store, &script).await);
    assert!(!store.is_live(Kind::Users, "u"));
}

#[tokio::test]
async fn r1_a_row_that_loses_what_it_requires_still_conflicts_with_the_other_rows_of_its_id() {
    let store = MemoryStore::default();
    delta(&store, vec![upsert(org("closed")), delete(Kind::Orgs, "closed"), upsert(org("open"))]).await;
    let items = vec![
        upsert(org("closed")),
        delete(Kind::Orgs, "closed"),
        upsert(org("open")),
        upsert(class("class", "closed")),
        upsert(class("class", "open")),
    ];
    for _ in 0..2 {
        let report = sync_with(&store, &Script::new(Coverage::Snapshot, items.clone()), &mass()).await;
        let counts = report.counts[Kind::Classes];
        assert_eq!((counts.received, counts.rejected, counts.created), (2, 2, 0));
        assert_received_adds_up(&report, 0);
    }
}

#[tokio::test]
async fn a_record_that_waits_is_not_brought_back_though_another_row_of_it_is_refused() {
    let store = MemoryStore::default();
    snapshot(&store, vec![user("u").into(), demographics("u").into()]).await;
    // The user goes, and the demographics go with it.
    let mut absent = Script::new(Coverage::Snapshot, vec![]);
    absent.summary.coverage[Kind::Demographics] = Coverage::Delta;
    sync_with(&store, &absent, &mass()).await;
    let items = vec![upsert(demographics("u")), unreadable(Kind::Demographics, Some("u")), upsert(user("u"))];
    let script = Script::new(Coverage::Snapshot, items);
    let report = sync_with(&store, &script, &mass()).await;
    let counts = report.counts[Kind::Demographics];
    assert_eq!((report.status, counts.restored, counts.rejected), (RunStatus::Succeeded, 1, 1));
    assert_received_adds_up(&report, 0);
    assert!(store.is_live(Kind::Demographics, "u"));
    assert!(is_stable(&store, &script).await);
}

#[tokio::test]
async fn what_is_refused_with_a_record_is_reported_in_the_order_of_the_source() {
    let store = MemoryStore::default();
    let mut other = class("class", "school");
    other.title = "Other".into();
    let enrollments = (0..40_u64).map(|number| {
        let sourced_id = format!("e{}", number * 17 % 40);
        upsert_at(enrollment(&sourced_id, "class", "u"), None, 10 + number)
    });
    let mut items = vec![upsert(org("school")), upsert(user("u")), upsert(class("class", "school"))];
    items.extend(enrollments);
    items.push(upsert(other));
    delta(&store, items).await;
    let of_enrollments: Vec<_> = (store.rejects().iter())
        .filter(|reject| reject.kind == Kind::Enrollments)
        .map(|reject| reject.location.position.unwrap())
        .collect();
    assert_eq!(of_enrollments, (10..50).collect::<Vec<_>>());
}

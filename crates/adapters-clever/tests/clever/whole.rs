//! The source and the use case together, on a store in memory.

use std::collections::BTreeMap;

use rollcall_domain::ports::{Clock, RunMode, RunStatus};
use rollcall_domain::report::RunReport;
use rollcall_domain::sync::{NoProgress, Sync, SyncOptions};
use rollcall_domain::{Code, Kind, Record, RunId};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::events::advance;
use crate::harness::Clever;
use crate::support::mass;
use rollcall_testkit::memory::{Key, MemoryStore};

async fn sync(clever: &Clever, store: &MemoryStore, options: &SyncOptions) -> RunReport {
    let clock: &dyn Clock = &clever.clock;
    let sync = Sync { store, clock, progress: &NoProgress };
    let run = RunId(uuid::Uuid::from_u128(store.next_run()));
    sync.run(run, "capital", &clever.source(), options).await.unwrap().report
}

/// What is live, with no links but those to what is live, as an export has it.
fn exported(store: &MemoryStore) -> BTreeMap<Key, Record> {
    let mut live = store.live();
    let users: Vec<_> = live.keys().filter(|(kind, _)| *kind == Kind::Users).map(|(_, id)| id.clone()).collect();
    for record in live.values_mut() {
        if let Record::Users(user) = record {
            user.agents.retain(|agent| users.contains(agent));
        }
    }
    live
}

fn changed(report: &RunReport) -> u64 {
    report.counts.iter().map(|(_, count)| count.created + count.updated + count.deleted + count.restored).sum()
}

#[tokio::test]
async fn r1_a_second_sync_writes_nothing_by_events_or_in_full() {
    let (clever, store) = (Clever::fixture().await, MemoryStore::default());
    let first = sync(&clever, &store, &mass()).await;
    assert_eq!((first.status, first.mode), (RunStatus::Succeeded, RunMode::Full), "{:?}", first.error);
    for (kind, count) in first.counts.iter() {
        assert_eq!((count.created, count.rejected), (count.received, 0), "{kind}");
    }
    assert!(first.warnings.is_empty(), "{:?}", first.warnings);
    let (rows, feed) = (store.rows(), store.feed_len());
    for options in [mass(), SyncOptions { full: true, ..mass() }] {
        let again = sync(&clever, &store, &options).await;
        assert_eq!((again.status, changed(&again)), (RunStatus::Succeeded, 0), "{:?}", again.error);
        assert_eq!((store.rows() == rows, store.feed_len()), (true, feed));
    }
}

#[tokio::test]
async fn events_and_a_fresh_full_pull_come_to_the_same_roster() {
    let (clever, by_events, fresh) = (Clever::fixture().await, MemoryStore::default(), MemoryStore::default());
    sync(&clever, &by_events, &mass()).await;
    advance(&clever);
    let report = sync(&clever, &by_events, &mass()).await;
    assert_eq!((report.status, report.mode), (RunStatus::Succeeded, RunMode::Incremental), "{:?}", report.error);
    sync(&clever, &fresh, &mass()).await;
    let (by_events, fresh) = (exported(&by_events), exported(&fresh));
    assert_eq!(by_events.keys().collect::<Vec<_>>(), fresh.keys().collect::<Vec<_>>());
    for (key, record) in &fresh {
        assert_eq!(&by_events[key], record);
    }
}

#[tokio::test]
async fn a_pull_that_breaks_off_leaves_the_old_roster_and_the_old_cursor() {
    let (clever, store) = (Clever::fixture().await, MemoryStore::default());
    sync(&clever, &store, &mass()).await;
    advance(&clever);
    let rows = store.rows();
    let full = SyncOptions { full: true, ..mass() };
    clever.script(|asked, _| (asked.path == "sections").then(|| ResponseTemplate::new(503)));
    let broken = sync(&clever, &store, &full).await;
    assert_eq!((broken.status, broken.error.unwrap().code.as_str()), (RunStatus::Failed, "server_error"));
    clever.script(|asked, _| {
        let nothing = json!({"data": [], "links": []});
        (asked.path == "sections").then(|| ResponseTemplate::new(200).set_body_json(nothing))
    });
    let empty = sync(&clever, &store, &SyncOptions { allow_mass_change: false, ..full }).await;
    assert_eq!(empty.error.unwrap().code, "collection.empty", "r6: an empty list is no empty district");
    assert!(store.rows() == rows);
    // The events are still there to be read.
    clever.script(|_, _| None);
    let mended = sync(&clever, &store, &mass()).await;
    assert_eq!((mended.status, mended.mode), (RunStatus::Succeeded, RunMode::Incremental));
    assert!(changed(&mended) > 0);
}

#[tokio::test]
async fn a_record_that_is_shared_again_comes_back_as_itself() {
    let (clever, store) = (Clever::fixture().await, MemoryStore::default());
    sync(&clever, &store, &mass()).await;
    let student = clever.get("users", "58da8c63d7dc0ca068000002");
    let before = store.row(Kind::Users, "58da8c63d7dc0ca068000002");
    let enrollment = "58da8c6a894273be68000001:58da8c63d7dc0ca068000002:student";
    clever.change("users.deleted", &student, None);
    sync(&clever, &store, &mass()).await;
    assert!(!store.is_live(Kind::Users, "58da8c63d7dc0ca068000002") && !store.is_live(Kind::Enrollments, enrollment));
    clever.change("users.created", &student, None);
    let back = sync(&clever, &store, &mass()).await;
    assert_eq!(back.counts[Kind::Users].restored, 1);
    let after = store.row(Kind::Users, "58da8c63d7dc0ca068000002");
    assert_eq!((after.internal_id, &after.record, after.deleted), (before.internal_id, &before.record, None));
    assert!(store.is_live(Kind::Enrollments, enrollment));
}

#[tokio::test]
async fn r6_a_list_that_comes_empty_and_had_objects_holds_the_run() {
    for list in ["schools", "terms", "courses"] {
        let (clever, store) = (Clever::fixture().await, MemoryStore::default());
        sync(&clever, &store, &mass()).await;
        let rows = store.rows();
        clever.script(move |asked, _| {
            let nothing = json!({"data": [], "links": []});
            (asked.path == list).then(|| ResponseTemplate::new(200).set_body_json(nothing))
        });
        let full = SyncOptions { full: true, ..SyncOptions::default() };
        let held = sync(&clever, &store, &SyncOptions { demographics: true, ..full.clone() }).await;
        assert_eq!(held.status, RunStatus::Held, "{list}: {:?}", held.error);
        assert!(held.held_by.iter().any(|hold| hold.code == Code::CollectionEmpty), "{list}: {:?}", held.held_by);
        assert!(store.rows() == rows, "{list}");
    }
}

#[tokio::test]
async fn r6_a_list_of_contacts_that_is_not_whole_costs_no_student_a_contact() {
    let (clever, store) = (Clever::fixture().await, MemoryStore::default());
    sync(&clever, &store, &mass()).await;
    let rows = store.rows();
    for body in [json!({"data": [], "links": []}), json!({"data": [], "links": [], "count": 0})] {
        clever.script(move |asked, _| {
            let is_of_contacts = asked.path == "users" && asked.query.contains_key("role");
            is_of_contacts.then(|| ResponseTemplate::new(200).set_body_json(body.clone()))
        });
        let report = sync(&clever, &store, &SyncOptions { full: true, ..mass() }).await;
        assert_eq!((report.status, changed(&report)), (RunStatus::Succeeded, 0), "{:?}", report.error);
        assert!(store.rows() == rows);
    }
}

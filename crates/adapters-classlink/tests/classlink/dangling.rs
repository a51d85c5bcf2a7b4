//! Records that refer to what the district does not share.

use std::sync::Arc;

use rollcall_domain::ports::RunStatus;
use rollcall_domain::report::RunReport;
use rollcall_domain::sync::{NoProgress, Sync, SyncOptions};
use rollcall_domain::{Code, Kind, RunId};
use rollcall_testkit::memory::MemoryStore;
use serde_json::json;

use crate::harness::ClassLink;

async fn sync(store: &MemoryStore, classlink: &ClassLink) -> RunReport {
    let clock = Arc::new(classlink.clock.clone());
    let sync = Sync { store, clock: &*clock, progress: &NoProgress };
    let run = RunId(uuid::Uuid::from_u128(store.next_run()));
    sync.run(run, "mapleton", &classlink.source(), &SyncOptions::default()).await.unwrap().report
}

/// A district that hides its administrators and who is in no class, and with them whoever is only referred to.
async fn hiding(enrollments: usize, hidden: usize) -> ClassLink {
    let classlink = ClassLink::fixture().await;
    classlink.change(|behaviour| {
        let template = behaviour.data["enrollments"][0].clone();
        let of = |number: usize| {
            let mut enrollment = template.clone();
            enrollment["sourcedId"] = json!(format!("e{number:04}"));
            if number < hidden {
                enrollment["user"]["sourcedId"] = json!(format!("hidden-{number}"));
            }
            enrollment
        };
        behaviour.data.insert("enrollments".to_owned(), (0..enrollments).map(of).collect());
        behaviour.data.get_mut("users").unwrap().retain(|user| user["sourcedId"] != "G333333");
    });
    classlink
}

#[tokio::test]
async fn r8_what_refers_to_what_is_not_shared_is_set_aside_and_comes_with_it() {
    let classlink = hiding(500, 40).await;
    let store = MemoryStore::default();
    let report = sync(&store, &classlink).await;
    assert_eq!(report.status, RunStatus::Succeeded, "{:?} {:?}", report.error, report.held_by);
    let counts = report.counts[Kind::Enrollments];
    assert_eq!((counts.created, counts.rejected, report.counts[Kind::Users].rejected), (460, 40, 0));
    assert!(store.rejects().iter().all(|reject| reject.findings[0].code == Code::RefMissing));
    // However many there are, the report stays short: each sort of warning is counted, and shows the first ten.
    let dropped = report.warnings.iter().find(|group| group.code == Code::RefDropped).unwrap();
    assert_eq!(dropped.count, 1, "the guardian of a student is left out");
    assert!(report.warnings.len() < 10 && report.warnings.iter().all(|group| group.first.len() <= 10));

    // Nothing changed: what was set aside is tried again, and waits on.
    let pending = store.pending_len();
    let unchanged = sync(&store, &classlink).await;
    assert!(unchanged.note.unwrap().starts_with("nothing has changed"));
    assert_eq!((store.pending_len(), pending), (40, 40));

    // The district shares one more.
    classlink.change(|behaviour| {
        let users = behaviour.data.get_mut("users").unwrap();
        let mut user = users[0].clone();
        (user["sourcedId"], user["dateLastModified"]) = (json!("hidden-7"), json!("2026-11-01T03:00:00.000Z"));
        users.push(user);
        behaviour.revision = Some("rev-2".to_owned());
    });
    let report = sync(&store, &classlink).await;
    assert_eq!((report.counts[Kind::Users].created, report.counts[Kind::Enrollments].created), (1, 1));
    assert_eq!(store.pending_len(), 39);
}

#[tokio::test]
async fn r9_more_than_a_tenth_is_for_a_person_to_look_at() {
    let report = sync(&MemoryStore::default(), &hiding(500, 60).await).await;
    assert_eq!(report.status, RunStatus::Held);
    assert_eq!(report.held_by[0].code, Code::GuardReject);
}

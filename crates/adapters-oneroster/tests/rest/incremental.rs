//! Changes alone, and when they are not enough.

use std::time::Duration;

use rollcall_adapters_oneroster::EndDates;
use rollcall_domain::entities::ExternalId;
use rollcall_domain::ports::{Coverage, RosterSource};
use rollcall_domain::{Kind, Record};
use serde_json::json;

use crate::harness::{Behaviour, Filtering, Service, refusal};

/// Changes one user on the second of September.
fn change_one(vendor: &mut Behaviour) {
    let users = vendor.data.get_mut("users").unwrap();
    users[7]["givenName"] = "Changed".into();
    users[7]["dateLastModified"] = "2026-09-02T08:00:00.000Z".into();
    users[9]["status"] = "tobedeleted".into();
    users[9]["dateLastModified"] = "2026-09-02T09:00:00.000Z".into();
}

#[tokio::test]
async fn only_what_changed_is_asked_for_and_deletions_come_with_it() {
    let service = Service::school(45).await;
    let first = service.pull().await;
    service.change(change_one);
    service.clock.set("2026-09-03T00:00:00Z");
    service.asked("users");
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.ids(Kind::Users), ["u0007"]);
    assert_eq!(second.remarks(), "delete https://sis/ims/oneroster/v1p1/users#1 users u0009\n");
    assert_eq!(second.records().len(), 1);
    for kind in Kind::ALL {
        assert_eq!(second.summary.coverage[kind], Coverage::Delta, "{kind}");
    }
    let asked = service.asked("users");
    assert_eq!(asked.len(), 1);
    // The overlap is an hour, and both clocks are looked at.
    assert!(asked[0].contains("filter=dateLastModified>='2026-08-31T23:00:00.000Z'"), "{asked:?}");
}

#[tokio::test]
async fn r10_the_cursor_names_a_point_before_the_pull_by_the_more_careful_clock() {
    let service = Service::school(5).await;
    service.change(|vendor| vendor.headers = vec![("Date", "Mon, 31 Aug 2026 23:30:00 GMT".to_owned())]);
    let pulled = service.pull().await;
    insta::assert_snapshot!(
        pulled.cursor().unwrap().0,
        @r#"{"v":"1","since":"2026-08-31T22:30:00Z","full":"2026-09-01T00:00:00Z","reading":"0.1.0 None Exclusive","kinds":["orgs","academicSessions","courses","classes","users","enrollments","demographics"]}"#
    );
    assert_eq!(
        service.plain(pulled.summary.note.as_deref().unwrap()),
        "OneRoster 1.1 at https://sis/ims/oneroster/v1p1: everything"
    );
}

#[tokio::test]
async fn everything_is_read_once_its_time_has_come_and_when_it_is_asked_for() {
    let service = Service::school(12).await;
    let first = service.pull().await;
    service.clock.set("2026-09-07T23:00:00Z");
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Delta);
    service.clock.set("2026-09-08T00:00:00Z");
    let third = service.pull_from(second.cursor()).await;
    assert_eq!(third.summary.coverage[Kind::Users], Coverage::Snapshot);
    let asked = service.try_pull(third.cursor(), true).await.unwrap();
    assert_eq!(asked.summary.coverage[Kind::Users], Coverage::Snapshot);
}

#[tokio::test]
async fn a_server_that_refuses_or_ignores_the_filter_is_read_in_full_at_once_and_for_a_while() {
    for filtering in [Filtering::Refuses, Filtering::Ignores] {
        let service = Service::school(45).await;
        let first = service.pull().await;
        service.change(|vendor| vendor.filtering = filtering);
        service.clock.set("2026-09-03T00:00:00Z");
        let second = service.pull_from(first.cursor()).await;
        assert_eq!(second.summary.coverage[Kind::Users], Coverage::Snapshot);
        assert_eq!(second.ids(Kind::Users).len(), 45);
        service.asked("users");
        service.clock.set("2026-09-04T00:00:00Z");
        let third = service.pull_from(second.cursor()).await;
        assert!(service.asked("users").iter().all(|query| !query.contains("filter=")));
        // After a while it is tried again.
        service.change(|vendor| vendor.filtering = Filtering::Honours);
        service.clock.set("2026-09-10T12:00:00Z");
        let fourth = service.pull_from(third.cursor()).await;
        assert_eq!(fourth.summary.coverage[Kind::Users], Coverage::Delta);
    }
}

#[tokio::test]
async fn a_server_that_answers_404_where_nothing_has_changed_hides_nothing() {
    let service = Service::school(5).await;
    let first = service.pull().await;
    service.script(|asked, _| asked.query.contains_key("filter").then(|| refusal(404, "unknownobject")));
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Snapshot);
    assert_eq!(second.ids(Kind::Users).len(), 5);
}

#[tokio::test]
async fn what_was_pushed_before_the_filter_failed_is_taken_back() {
    let service = Service::school(45).await;
    let first = service.pull().await;
    service.change(|vendor| {
        vendor.data.get_mut("orgs").unwrap()[0]["dateLastModified"] = "2026-09-02T08:00:00.000Z".into();
    });
    service.script(|asked, vendor| {
        let users = asked.collection == "users";
        vendor.filtering = if users { Filtering::Ignores } else { Filtering::Honours };
        None
    });
    service.clock.set("2026-09-03T00:00:00Z");
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.restarts.len(), 1);
    assert_eq!(second.ids(Kind::Orgs), ["s1"]);
    assert_eq!(second.ids(Kind::Users).len(), 45);
}

#[tokio::test]
async fn records_without_a_date_cannot_be_read_by_date() {
    let service = Service::school(5).await;
    let first = service.pull().await;
    service.change(|vendor| {
        vendor.filtering = Filtering::Ignores;
        for record in vendor.data.values_mut().flatten() {
            record["dateLastModified"] = "".into();
        }
    });
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Snapshot);
    assert_eq!(second.ids(Kind::Users).len(), 5);
}

#[tokio::test]
async fn a_kind_that_was_hidden_is_read_in_full_once_it_is_shown() {
    let service = Service::school(5).await;
    service.change(|vendor| {
        vendor.hidden.insert("courses", 403);
    });
    let first = service.pull().await;
    service.change(|vendor| vendor.hidden.clear());
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.summary.coverage[Kind::Courses], Coverage::Snapshot);
    assert_eq!(second.ids(Kind::Courses), ["c1"]);
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Delta);
    let third = service.pull_from(second.cursor()).await;
    assert_eq!(third.summary.coverage[Kind::Courses], Coverage::Delta);
}

#[tokio::test]
async fn deleted_records_in_a_full_list_are_deletions() {
    let service = Service::school(12).await;
    service.change(change_one);
    let pulled = service.pull().await;
    assert_eq!(pulled.ids(Kind::Users).len(), 11);
    assert!(pulled.remarks().contains("users u0009"));
    assert_eq!(pulled.summary.totals[Kind::Users], Some(12));
}

#[tokio::test]
async fn a_cursor_of_another_sort_is_refused() {
    let service = Service::school(1).await;
    let error =
        service.try_pull(Some(rollcall_domain::ports::Cursor("monday.zip".to_owned())), false).await.unwrap_err();
    assert_eq!(error.code, "cursor.invalid");
}

#[tokio::test]
async fn a_vendors_revision_ends_an_unchanged_pull_early_and_a_moving_one_begins_it_again() {
    let mut service = Service::school(45).await;
    service.profile.revision_header = Some("x-perm-rev");
    service.change(|vendor| vendor.headers = vec![("x-perm-rev", "41".to_owned())]);
    let first = service.pull().await;
    service.asked("");
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(service.asked("users"), [""; 0]);
    assert!(second.items.is_empty());
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Unchanged);
    assert_eq!(second.cursor(), first.cursor());
    let asked = service.try_pull(first.cursor(), true).await.unwrap();
    assert_eq!(asked.ids(Kind::Users).len(), 45, "--full reads all the same");
    service.config.end_dates = EndDates::Inclusive;
    service.clock.set("2026-09-09T00:00:00Z");
    let otherwise = service.pull_from(first.cursor()).await;
    assert_eq!(otherwise.ids(Kind::Users).len(), 45, "the same answers give other records");
    service.config.end_dates = EndDates::Exclusive;
    service.script(|asked, vendor| {
        if asked.collection == "classes" {
            vendor.headers = vec![("x-perm-rev", "42".to_owned())];
        }
        None
    });
    let third = service.try_pull(first.cursor(), true).await.unwrap();
    assert_eq!(third.restarts, ["the revision went from 41 to 42 at the classes"]);
    assert_eq!(third.ids(Kind::Users).len(), 45);
}

#[tokio::test]
async fn r6_a_revision_that_stays_is_believed_for_a_week_and_no_longer() {
    for full_every in ["20h", "30d"] {
        let mut service = Service::school(45).await;
        service.profile.revision_header = Some("x-perm-rev");
        service.config.full_every =
            if full_every == "20h" { Duration::from_hours(20) } else { Duration::from_hours(720) };
        service.change(|vendor| vendor.headers = vec![("x-perm-rev", "0".to_owned())]);
        let first = service.pull().await;
        service.clock.set("2026-09-07T23:59:59Z");
        let sixth = service.pull_from(first.cursor()).await;
        assert_eq!(sixth.summary.coverage[Kind::Users], Coverage::Unchanged, "{full_every}");
        // That nothing was read makes what was read no younger.
        service.clock.set("2026-09-08T00:00:00Z");
        let seventh = service.pull_from(sixth.cursor()).await;
        assert_eq!(seventh.summary.coverage[Kind::Users], Coverage::Snapshot, "{full_every}");
        let eighth = service.pull_from(seventh.cursor()).await;
        assert_eq!(eighth.summary.coverage[Kind::Users], Coverage::Unchanged, "{full_every}");
    }
}

#[tokio::test]
async fn records_that_would_be_understood_otherwise_now_are_all_read_again() {
    let mut service = Service::school(45).await;
    let first = service.pull().await;
    service.config.end_dates = EndDates::Inclusive;
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.summary.coverage[Kind::AcademicSessions], Coverage::Snapshot);
    let third = service.pull_from(second.cursor()).await;
    assert_eq!(third.summary.coverage[Kind::AcademicSessions], Coverage::Delta);
}

#[tokio::test]
async fn r9_the_scope_follows_what_shapes_the_view_and_nothing_else() {
    let mut service = Service::school(1).await;
    let before = service.source().describe().scope;
    service.config.page_size = 77;
    service.config.overlap = Duration::ZERO;
    assert_eq!(service.source().describe().scope, before);
    let mut scopes = vec![before];
    service.config.credential = "client-2".to_owned();
    scopes.push(service.source().describe().scope);
    service.config.filters.insert(Kind::Users, "role='student'".to_owned());
    scopes.push(service.source().describe().scope);
    service.config.schools = vec!["s1".to_owned()];
    scopes.push(service.source().describe().scope);
    let id = ExternalId { scheme: "tenant".into(), value: "7".into() };
    service.config.org_ids = vec![id.clone()];
    scopes.push(service.source().describe().scope);
    let pulled = service.pull().await;
    let Record::Orgs(org) = pulled.records()[0] else { unreachable!("orgs come first") };
    assert_eq!(org.external_ids, [id]);
    service.config.version = rollcall_adapters_oneroster::RestVersion::V1_2;
    scopes.push(service.source().describe().scope);
    for (position, scope) in scopes.iter().enumerate() {
        assert!(!scopes[..position].contains(scope));
        assert!(!json!(scope).to_string().contains("client"));
    }
}

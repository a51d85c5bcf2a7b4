//! Upstreams that fail: each ends in a correct roster, or in an error that says what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rollcall_domain::Kind;
use rollcall_domain::ports::SourceFailure;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::harness::{Announces, Asked, Behaviour, Service, record, refusal};

/// Answers the third page of the users wrongly this often.
async fn with_fault(
    times: usize,
    fault: impl Fn(&Asked, &mut Behaviour) -> ResponseTemplate + Send + Sync + 'static,
) -> Service {
    let service = Service::school(45).await;
    let left = Arc::new(AtomicUsize::new(times));
    service.script(move |asked, vendor| {
        let is_third = asked.collection == "users" && asked.number("offset", 0) == 20;
        let is_faulty =
            is_third && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        is_faulty.then(|| fault(asked, vendor))
    });
    service
}

fn login_page(_: &Asked, _: &mut Behaviour) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw("<!DOCTYPE html><title>Sign in</title>", "text/html")
}

fn missing_envelope(_: &Asked, _: &mut Behaviour) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"students": []}))
}

fn half_a_page(_: &Asked, _: &mut Behaviour) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(r#"{"users": [{"sourcedId": "u0020", "givenNa"#, "application/json")
}

fn empty(_: &Asked, vendor: &mut Behaviour) -> ResponseTemplate {
    let total = vendor.data["users"].len();
    ResponseTemplate::new(200).set_body_json(json!({"users": []})).insert_header("X-Total-Count", total.to_string())
}

fn repeated(asked: &Asked, vendor: &mut Behaviour) -> ResponseTemplate {
    vendor.ignores_offset = true;
    let answer = vendor.honest(asked);
    vendor.ignores_offset = false;
    answer
}

fn failure_in_words(_: &Asked, _: &mut Behaviour) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"imsx_codeMajor": "failure", "imsx_description": "try later"}))
}

fn server_error(_: &Asked, _: &mut Behaviour) -> ResponseTemplate {
    refusal(500, "internal_server_error")
}

fn shrinking_total(asked: &Asked, vendor: &mut Behaviour) -> ResponseTemplate {
    vendor.announces = Announces::Always(40);
    let answer = vendor.honest(asked);
    vendor.announces = Announces::Honestly;
    answer
}

macro_rules! faults {
    ($($fault:ident),+) => {
        [$((stringify!($fault), $fault as fn(&Asked, &mut Behaviour) -> ResponseTemplate)),+]
    };
}

#[tokio::test]
async fn what_goes_wrong_once_ends_in_the_whole_roster() {
    for (name, fault) in faults![
        login_page,
        missing_envelope,
        half_a_page,
        empty,
        repeated,
        failure_in_words,
        server_error,
        shrinking_total
    ] {
        let service = with_fault(1, fault).await;
        let pulled = service.pull().await;
        assert_eq!(pulled.ids(Kind::Users).len(), 45, "{name}");
        assert_eq!(pulled.restarts.len(), usize::from(name == "shrinking_total"), "{name}");
    }
}

#[tokio::test]
async fn r6_what_keeps_going_wrong_fails_the_pull_and_says_how() {
    let mut told = Vec::new();
    for (name, fault) in faults![
        login_page,
        missing_envelope,
        half_a_page,
        empty,
        repeated,
        failure_in_words,
        server_error,
        shrinking_total
    ] {
        let service = with_fault(usize::MAX, fault).await;
        let error = service.failure().await;
        assert_ne!(error.failure, SourceFailure::Stopped, "{name}");
        told.push(format!("{name}\n  {}: {}", error.code, service.plain(&error.message)));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn r6_fewer_records_than_announced_fail_the_pull_unless_totals_are_ignored() {
    let mut service = Service::school(25).await;
    service.change(|vendor| vendor.announces = Announces::Always(30));
    let error = service.failure().await;
    assert_eq!(error.code, "pull.short", "{error}");
    service.config.totals = rollcall_domain::sync::Totals::Ignore;
    let pulled = service.pull().await;
    assert_eq!(pulled.count(Kind::Users), 25);
    assert_eq!(pulled.summary.totals[Kind::Users], None);
}

#[tokio::test]
async fn a_roster_that_moves_once_is_read_again() {
    let service = Service::school(45).await;
    service.script(|asked, vendor| {
        if asked.collection == "users" && asked.before == 2 {
            let late = json!({"username": "z", "givenName": "Z", "familyName": "Z", "role": "student", "orgs": []});
            vendor.data.get_mut("users").unwrap().push(record("u0000a", late));
        }
        None
    });
    let pulled = service.pull().await;
    assert_eq!(pulled.ids(Kind::Users).len(), 46);
    assert_eq!(pulled.restarts.len(), 1, "{:?}", pulled.restarts);
}

#[tokio::test]
async fn a_roster_that_never_stands_still_fails_after_three_restarts() {
    let service = Service::school(45).await;
    service.script(|asked, vendor| {
        let users = asked.collection == "users";
        let number = 45 + usize::from(asked.before % 2 == 1);
        vendor.announces = if users { Announces::Always(number) } else { Announces::Honestly };
        None
    });
    let error = service.failure().await;
    assert_eq!(error.code, "source.moving", "{error}");
}

#[tokio::test]
async fn records_that_slide_to_another_page_are_noticed_though_the_total_stands() {
    let service = Service::school(45).await;
    service.script(|asked, vendor| {
        // One record goes and another comes while the second page is being read.
        if asked.collection == "users" && asked.before == 1 {
            let users = vendor.data.get_mut("users").unwrap();
            let mut last = users.remove(44);
            last["sourcedId"] = "u0000a".into();
            users.insert(0, last);
        }
        None
    });
    let pulled = service.pull().await;
    assert_eq!(pulled.restarts.len(), 1);
    assert_eq!((pulled.ids(Kind::Users).len(), pulled.count(Kind::Users)), (45, 45));
}

#[tokio::test]
async fn a_record_with_several_rows_may_lie_across_the_end_of_a_page() {
    let service = Service::school(15).await;
    service.change(|vendor| {
        let users = vendor.data.get_mut("users").unwrap();
        let again = users[9].clone();
        users.push(again);
    });
    let pulled = service.pull().await;
    assert_eq!((pulled.ids(Kind::Users).len(), pulled.count(Kind::Users)), (16, 15));
    assert_eq!(pulled.restarts.len(), 1, "it is read again to be sure");
    assert_eq!(pulled.summary.totals[Kind::Users], None);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let mut told = Vec::new();
    for (collection, status) in [("orgs", 404), ("users", 403), ("enrollments", 403), ("classes", 404), ("orgs", 401)] {
        let service = Service::school(5).await;
        service.change(|vendor| {
            vendor.hidden.insert(collection, status);
        });
        let error = service.failure().await;
        assert_eq!(error.failure, SourceFailure::Permanent);
        told.push(format!("{}: {}", error.code, service.plain(&error.message)));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn sessions_courses_and_demographics_that_are_hidden_are_left_alone() {
    let service = Service::school(5).await;
    service
        .change(|vendor| vendor.hidden = [("courses", 403), ("academicSessions", 404), ("demographics", 403)].into());
    let pulled = service.pull().await;
    assert_eq!(pulled.summary.skipped, ["academicSessions", "courses", "demographics"]);
    for kind in [Kind::AcademicSessions, Kind::Courses, Kind::Demographics] {
        assert_eq!(pulled.summary.coverage[kind], rollcall_domain::ports::Coverage::Absent);
    }
    assert_eq!(pulled.count(Kind::Enrollments), 5);
}

#[tokio::test]
async fn an_empty_collection_is_a_complete_one_and_what_it_means_is_for_the_domain() {
    let service = Service::school(0).await;
    let pulled = service.pull().await;
    assert_eq!(pulled.summary.coverage[Kind::Users], rollcall_domain::ports::Coverage::Snapshot);
    assert_eq!(pulled.summary.totals[Kind::Users], Some(0));
}

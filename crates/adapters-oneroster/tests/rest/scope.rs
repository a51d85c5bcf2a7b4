//! Sources that are narrowed: by filters of the server, or to some schools.

use rollcall_adapters_oneroster::RestVersion;
use rollcall_domain::Kind;
use rollcall_domain::ports::{Coverage, RosterSource};

use crate::harness::{Filtering, Service};

#[tokio::test]
async fn a_filter_is_sent_as_it_is_and_joined_to_the_date() {
    let mut service = Service::school(12).await;
    service.config.filters.insert(Kind::Users, "role='student'".to_owned());
    let first = service.pull().await;
    assert!(service.asked("users").iter().all(|query| query.contains("filter=role='student'")));
    assert_eq!(first.count(Kind::Users), 12);
    let second = service.pull_from(first.cursor()).await;
    let asked = service.asked("users");
    assert!(asked[0].contains("filter=role='student' AND dateLastModified>='"), "{asked:?}");
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Delta);
}

#[tokio::test]
async fn a_filter_of_two_conditions_has_no_room_for_the_date_so_its_kind_is_read_in_full() {
    let mut service = Service::school(12).await;
    service.config.filters.insert(Kind::Users, "role='student' AND enabledUser='true'".to_owned());
    let first = service.pull().await;
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Snapshot);
    assert_eq!(second.summary.coverage[Kind::Enrollments], Coverage::Delta);
    assert_eq!(second.count(Kind::Users), 12);
}

#[tokio::test]
async fn a_filter_that_the_server_refuses_is_named() {
    let mut service = Service::school(12).await;
    service.config.filters.insert(Kind::Users, "dateLastModified>='2020-01-01T00:00:00.000Z'".to_owned());
    service.change(|vendor| vendor.filtering = Filtering::Refuses);
    let error = service.failure().await;
    assert_eq!(error.code, "filter.refused");
    insta::assert_snapshot!(service.plain(&error.message));
}

#[tokio::test]
async fn r9_a_source_of_some_schools_leaves_out_what_belongs_to_others_only() {
    let mut service = Service::fixture(RestVersion::V1_1, "v1p1").await;
    service.change(|vendor| {
        let users = vendor.data.get_mut("users").unwrap();
        let mut other = users[0].clone();
        other["sourcedId"] = "u-other".into();
        other["orgs"] = serde_json::json!([{"sourcedId": "s2"}]);
        users.push(other);
        let classes = vendor.data.get_mut("classes").unwrap();
        let mut other = classes[0].clone();
        other["sourcedId"] = "k-other".into();
        other["school"] = serde_json::json!({"sourcedId": "s2"});
        classes.push(other);
        let enrollments = vendor.data.get_mut("enrollments").unwrap();
        let mut other = enrollments[0].clone();
        other["sourcedId"] = "e-other".into();
        other["class"] = serde_json::json!({"sourcedId": "k-other"});
        enrollments.push(other);
        let demographics = vendor.data.get_mut("demographics").unwrap();
        let mut other = demographics[0].clone();
        other["sourcedId"] = "u-other".into();
        demographics.push(other);
    });
    service.config.schools = vec!["s1".to_owned()];
    let first = service.pull().await;
    let seen: Vec<_> = Kind::ALL.into_iter().map(|kind| format!("{kind}: {}", first.ids(kind).join(" "))).collect();
    insta::assert_snapshot!(seen.join("\n"), @"
    orgs: d1 s1
    academicSessions: t1 y27
    courses: c-alg
    classes: k-alg-1 k-hr-9
    users: u-adm u-ann u-ola u-tea
    enrollments: e1 e2
    demographics: u-ann
    ");
    assert!(!service.source().describe().capabilities.incremental);
    let second = service.pull_from(first.cursor()).await;
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Snapshot);
}

#[tokio::test]
async fn a_school_that_is_not_there_is_no_school_without_pupils() {
    let mut service = Service::fixture(RestVersion::V1_1, "v1p1").await;
    service.config.schools = vec!["s1".to_owned(), "S2".to_owned()];
    let error = service.failure().await;
    insta::assert_snapshot!(error.message, @"the server has no org `S2`, which `schools` names; correct the list, or take out what has closed");
}

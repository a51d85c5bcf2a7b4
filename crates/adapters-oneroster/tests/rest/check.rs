//! What a check of a service tells.

use rollcall_adapters_oneroster::RestVersion;
use rollcall_domain::ports::{CheckReport, RosterSource};

use crate::harness::{Announces, Filtering, Links, Service};

fn render(service: &Service, report: &CheckReport) -> String {
    let facts = report.facts.iter().map(|(name, value)| format!("{name}: {value}"));
    let problems = report.problems.iter().map(|problem| format!("! {} {}", problem.code, problem.message));
    service.plain(&facts.chain(problems).collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn a_check_says_what_the_server_can_do_and_what_is_seen() {
    let service = Service::fixture(RestVersion::V1_2, "v1p2").await;
    service.change(|vendor| {
        vendor.links = Links::ByOffset;
        vendor.headers = vec![("Date", "Tue, 01 Sep 2026 00:00:02 GMT".to_owned())];
    });
    let report = service.source().check().await.unwrap();
    insta::assert_snapshot!(render(&service, &report));
}

#[tokio::test]
async fn a_check_tells_what_falls_short() {
    let service = Service::school(5).await;
    service.change(|vendor| {
        vendor.announces = Announces::Nothing;
        vendor.filtering = Filtering::Ignores;
        vendor.hidden = [("demographics", 403), ("enrollments", 403)].into();
        vendor.headers = vec![("Date", "Tue, 01 Sep 2026 00:10:00 GMT".to_owned())];
    });
    let report = service.source().check().await.unwrap();
    insta::assert_snapshot!(render(&service, &report));
}

#[tokio::test]
async fn credentials_that_are_refused_fail_the_check() {
    let service = Service::school(5).await;
    service.change(|vendor| {
        vendor.hidden.insert("orgs", 401);
    });
    let error = service.source().check().await.unwrap_err();
    assert_eq!(error.code, "unauthorized");
}

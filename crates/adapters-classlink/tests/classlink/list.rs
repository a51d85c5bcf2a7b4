//! The list of applications: read to its end or not at all, described, and made into sources.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rollcall_adapters_classlink::{ClassLinkAccess, ClassLinkDirectory, ClassLinkError};
use rollcall_domain::ports::{RosterSource, SourceFailure, TenantDirectory};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::harness::{APPLICATION, BEARER, ClassLink, application};

async fn three_tenants() -> ClassLink {
    let classlink = ClassLink::fixture().await;
    classlink.change(|behaviour| {
        let mut off = application(2223, "off%3D", None);
        off["enabled"] = json!("false");
        let mut suspended = application(2224, "suspended%3D", Some("another"));
        suspended["tenant_status"] = json!("Inactive");
        behaviour.applications = vec![suspended, off, application(2222, APPLICATION, Some(BEARER))];
    });
    classlink
}

#[tokio::test]
async fn every_tenant_is_listed_with_how_it_stands() {
    let classlink = three_tenants().await;
    let mut text = String::new();
    for tenant in classlink.directory().tenants().await.unwrap() {
        let _ = writeln!(text, "{} {}", tenant.id, tenant.name);
        for (name, value) in tenant.details {
            let _ = writeln!(text, "  {name}: {value}");
        }
        if let Some(why) = tenant.unusable {
            let _ = writeln!(text, "  unusable: {why}");
        }
    }
    assert!(!text.contains(BEARER), "{text}");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn each_tenant_that_is_on_becomes_a_source_that_asks_for_no_list_of_its_own() {
    let classlink = three_tenants().await;
    let listed = classlink.directory().sources().await.unwrap();
    let told: Vec<_> =
        listed.iter().map(|one| (one.tenant.as_str(), one.source.as_ref().err().map(ClassLinkError::code))).collect();
    assert_eq!(told, [("2222", None), ("2223", Some("tenant.disabled")), ("2224", Some("tenant.disabled"))]);
    let source = listed[0].source.as_ref().unwrap();
    assert_eq!(source.describe().scope, classlink.source().describe().scope, "it is the source that names the tenant");
    classlink.asked();
    assert!(source.check().await.unwrap().problems.iter().all(|problem| problem.message.contains("clock")));
    assert_eq!(classlink.asked_for("/applications"), 0);
}

#[tokio::test]
async fn the_list_is_read_until_an_empty_page_however_short_the_others_are() {
    let classlink = ClassLink::fixture().await;
    classlink.change(|behaviour| {
        behaviour.applications =
            (5_000..7_300).map(|tenant| application(tenant, &format!("id{tenant}"), None)).collect();
        behaviour.applications.push(application(2222, APPLICATION, Some(BEARER)));
        // It caps without a word.
        behaviour.cap = 400;
    });
    classlink.pull().await;
    let asked = classlink.asked();
    let lists: Vec<_> = asked.iter().filter(|asked| asked.collection == "applications").collect();
    let offsets: Vec<_> = lists.iter().map(|asked| asked.query["offset"].as_str()).collect();
    assert_eq!(
        offsets,
        ["0", "400", "800", "1200", "1600", "2000", "2301", "2301"],
        "an empty page is asked for twice"
    );
    assert!(lists.iter().all(|asked| asked.query["limit"] == "1000"));
}

#[tokio::test]
async fn an_empty_page_that_is_none_the_second_time_ends_no_list() {
    for empty in ["0", "1000"] {
        let classlink = ClassLink::fixture().await;
        classlink.change(|behaviour| {
            behaviour.applications =
                (5_000..6_000).map(|tenant| application(tenant, &format!("id{tenant}"), None)).collect();
            behaviour.applications.push(application(2222, APPLICATION, Some(BEARER)));
        });
        let struck = AtomicBool::new(false);
        classlink.script(move |asked, _| {
            let is_meant = asked.collection == "applications" && asked.query["offset"] == empty;
            (is_meant && !struck.swap(true, Ordering::Relaxed))
                .then(|| ResponseTemplate::new(200).set_body_json(json!({"status": 0, "applications": []})))
        });
        classlink.pull().await;
    }
}

#[tokio::test]
async fn an_answer_without_the_list_is_asked_for_again_and_is_never_an_empty_list() {
    let bodies = [
        json!({"status": 0, "message": "degraded"}),
        json!({"status": 1, "applications": {"id": 1}}),
        json!({"status": 1, "applications": null}),
        json!({}),
    ];
    for body in bodies {
        let classlink = three_tenants().await;
        let degraded = move |times: usize| {
            let body = body.clone();
            move |asked: &crate::harness::Asked, _: &mut crate::harness::Behaviour| {
                let is_meant = asked.collection == "applications" && asked.before < times;
                is_meant.then(|| ResponseTemplate::new(200).set_body_json(&body))
            }
        };
        classlink.script(degraded(1));
        classlink.pull().await;
        classlink.asked();
        classlink.script(degraded(usize::MAX));
        let error = classlink.failure().await;
        assert_eq!((error.code.as_str(), error.failure), ("envelope.missing", SourceFailure::Temporary));
        assert_eq!(classlink.asked().len(), 2);
        assert!(classlink.directory().tenants().await.is_err());
    }
}

#[tokio::test]
async fn a_list_without_an_end_is_no_list() {
    let classlink = three_tenants().await;
    classlink.script(|asked, behaviour| {
        (asked.collection == "applications").then(|| {
            ResponseTemplate::new(200).set_body_json(json!({"status": 1, "applications": behaviour.applications}))
        })
    });
    let error = classlink.failure().await;
    assert_eq!((error.code.as_str(), error.failure), ("page.repeated", SourceFailure::Temporary));
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_unusable_and_touches_no_other() {
    let cases = [
        (json!({"enabled": "true"}), "?1", "json.unexpected"),
        (json!({"tenant_id": ""}), "?1", "json.unexpected"),
        (json!({"tenant_id": null}), "?1", "json.unexpected"),
        (json!({"tenant_id": 1.5}), "?1", "json.unexpected"),
        (json!({"tenant_id": "22\n\u{1b}[31m"}), "?1", "json.unexpected"),
        (json!(7), "?1", "json.unexpected"),
        (json!({"tenant_id": 3333.0, "tenant_name": 77, "enabled": {}}), "3333", "tenant.disabled"),
        (
            json!({"tenant_id": 3333, "enabled": "true", "tenant_status": "Active", "oneroster_application_id": "a", "bearer": 12345}),
            "3333",
            "tenant.not_shared",
        ),
    ];
    for (entry, tenant, code) in cases {
        let classlink = three_tenants().await;
        classlink.change(|behaviour| behaviour.applications.insert(1, entry.clone()));
        let listed = classlink.directory().sources().await.unwrap();
        let odd = listed.iter().find(|one| one.tenant == tenant).unwrap_or_else(|| panic!("{entry}"));
        let error = odd.source.as_ref().unwrap_err();
        assert_eq!(error.code(), code, "{entry}");
        assert!(!error.to_string().contains("12345"), "{error}");
        assert!(listed.iter().any(|one| one.tenant == "2222" && one.source.is_ok()), "{entry}");
        classlink.pull().await;
        if code == "json.unexpected" {
            // One that is not found may be the one that cannot be read.
            classlink.change(|behaviour| behaviour.applications.retain(|one| one["tenant_id"] != 2222));
            assert_eq!(classlink.failure().await.code, "json.unexpected");
        }
    }
}

#[tokio::test]
async fn a_wrong_partners_key_is_told_as_such() {
    let mut classlink = ClassLink::fixture().await;
    if let ClassLinkAccess::Partner { partner_key, .. } = &mut classlink.config.access {
        *partner_key = "wrong".into();
    }
    let error = classlink.failure().await;
    assert_eq!((error.code.as_str(), error.failure), ("unauthorized", SourceFailure::Permanent));
}

#[tokio::test]
async fn what_opens_one_tenant_opens_no_directory() {
    let mut classlink = ClassLink::fixture().await;
    classlink.config.access = ClassLinkAccess::Bearer { application_id: APPLICATION.to_owned(), bearer: BEARER.into() };
    let error = ClassLinkDirectory::new(classlink.config.clone(), Arc::new(classlink.clock.clone())).unwrap_err();
    assert_eq!(error.code(), "settings.invalid");
}

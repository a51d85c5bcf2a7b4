//! Where a list ends, and what servers do to hide it.

use std::sync::atomic::{AtomicUsize, Ordering};

use rollcall_domain::{Kind, PerKind};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::harness::{Announces, Links, Service};

/// How the pages of the users were asked for.
fn pages(service: &Service) -> Vec<String> {
    let page = |query: String| {
        let parts: Vec<_> = query
            .split('&')
            .filter(|part| ["limit=", "offset=", "page="].iter().any(|name| part.starts_with(name)))
            .collect();
        parts.join(" ")
    };
    service.asked("users").into_iter().map(page).collect()
}

#[tokio::test]
async fn with_a_total_several_pages_are_under_way_and_come_in_order() {
    let service = Service::school(45).await;
    let pulled = service.pull().await;
    assert!(pulled.ids(Kind::Users).is_sorted());
    assert_eq!((pulled.count(Kind::Users), pulled.restarts.len()), (45, 0));
    let mut asked = pages(&service);
    asked.sort();
    let expected =
        ["limit=10 offset=0", "limit=10 offset=10", "limit=10 offset=20", "limit=10 offset=30", "limit=10 offset=40"];
    assert_eq!(asked, expected);
    let totals = PerKind::from_fn(|kind| pulled.summary.totals[kind]);
    assert_eq!((totals[Kind::Users], totals[Kind::Enrollments]), (Some(45), Some(45)));
}

#[tokio::test]
async fn a_server_that_caps_the_limit_is_read_to_its_end() {
    for (announces, links) in [
        (Announces::Honestly, Links::None),
        (Announces::Honestly, Links::ByOffset),
        (Announces::Honestly, Links::ByToken),
        (Announces::Nothing, Links::None),
        (Announces::Nothing, Links::ByOffset),
        (Announces::Nothing, Links::ByToken),
        (Announces::Nothing, Links::ToItself),
        (Announces::ThePage, Links::None),
        (Announces::ThePage, Links::ByOffset),
    ] {
        let service = Service::school(45).await;
        service.change(|vendor| (vendor.cap, vendor.announces, vendor.links) = (7, announces, links));
        let pulled = service.pull().await;
        assert_eq!(pulled.ids(Kind::Users).len(), 45);
        assert_eq!(pulled.ids(Kind::Enrollments).len(), 45);
        assert_eq!(pulled.restarts, [""; 0]);
    }
}

#[tokio::test]
async fn without_a_total_or_links_only_an_empty_page_ends_a_list() {
    let service = Service::school(20).await;
    service.change(|vendor| vendor.announces = Announces::Nothing);
    assert_eq!(service.pull().await.count(Kind::Users), 20);
    let asked = ["limit=10 offset=0", "limit=10 offset=10", "limit=10 offset=20", "limit=10 offset=20"];
    assert_eq!(pages(&service), asked, "an empty page is asked for twice");
}

#[tokio::test]
async fn r6_an_empty_page_that_is_none_the_second_time_ends_no_list() {
    let service = Service::school(25).await;
    service.change(|vendor| vendor.announces = Announces::Nothing);
    let struck = AtomicUsize::new(0);
    service.script(move |asked, _| {
        let is_meant = asked.collection == "users" && asked.number("offset", 0) == 10;
        (is_meant && struck.fetch_add(1, Ordering::Relaxed) == 0)
            .then(|| ResponseTemplate::new(200).set_body_json(json!({"users": []})))
    });
    assert_eq!(service.pull().await.ids(Kind::Users).len(), 25);
}

#[tokio::test]
async fn a_server_that_sends_more_than_it_is_asked_for_and_counts_too_many_is_not_asked_for_ever() {
    let service = Service::school(24).await;
    service.script(|asked, vendor| {
        (asked.collection == "users").then(|| {
            let (offset, all) = (asked.number("offset", 0), &vendor.data["users"]);
            let page: Vec<_> = all.iter().skip(offset).take(if offset == 0 { 6 } else { 10 }).collect();
            ResponseTemplate::new(200).insert_header("x-total-count", "25").set_body_json(json!({"users": page}))
        })
    });
    assert_eq!(service.failure().await.code, "source.moving");
}

#[tokio::test]
async fn links_without_an_offset_are_followed_as_they_are() {
    let service = Service::school(25).await;
    service.change(|vendor| (vendor.announces, vendor.links) = (Announces::Nothing, Links::ByToken));
    assert_eq!(service.pull().await.count(Kind::Users), 25);
    assert_eq!(pages(&service), ["limit=10 offset=0", "page=10 limit=10", "page=20 limit=10"]);
}

#[tokio::test]
async fn r6_a_link_that_leads_past_what_came_skips_nothing() {
    for announces in [Announces::Nothing, Announces::ThePage, Announces::Honestly] {
        for linked in [10, 1_000, u64::MAX - 3, u64::MAX] {
            let service = Service::school(25).await;
            // Fewer come than were asked for, and the link is reckoned from what was asked for.
            service.change(|vendor| (vendor.cap, vendor.announces) = (7, announces));
            service.script(move |asked, vendor| {
                let next = linked.saturating_add(asked.number("offset", 0) as u64);
                let link = format!("<users?limit=10&offset={next}>; rel=\"next\"");
                let is_last = asked.number("offset", 0) + 7 >= 25;
                (asked.collection == "users" && !is_last)
                    .then(|| vendor.honest(asked).insert_header("Link", link.as_str()))
            });
            let pulled = service.pull().await;
            assert_eq!(pulled.ids(Kind::Users).len(), 25, "{linked}");
        }
    }
}

#[tokio::test]
async fn the_number_of_records_on_the_page_is_not_believed_to_be_the_total() {
    let service = Service::school(25).await;
    service.change(|vendor| vendor.announces = Announces::ThePage);
    assert_eq!(service.pull().await.count(Kind::Users), 25);
}

#[tokio::test]
async fn r6_a_server_that_ignores_the_offset_is_noticed() {
    for announces in [Announces::Honestly, Announces::Nothing] {
        let service = Service::school(25).await;
        service.change(|vendor| (vendor.announces, vendor.ignores_offset) = (announces, true));
        let error = service.failure().await;
        assert_eq!(error.code, "page.repeated", "{error}");
    }
}

#[tokio::test]
async fn a_page_that_is_shorter_than_the_others_is_filled_up() {
    let service = Service::school(45).await;
    service.script(|asked, vendor| {
        let is_short = asked.collection == "users" && asked.number("offset", 0) == 20;
        is_short.then(|| {
            let cap = std::mem::replace(&mut vendor.cap, 4);
            let answer = vendor.honest(asked);
            vendor.cap = cap;
            answer
        })
    });
    let pulled = service.pull().await;
    assert_eq!((pulled.ids(Kind::Users).len(), pulled.restarts.len()), (45, 0));
    assert!(pulled.ids(Kind::Users).is_sorted());
    assert!(pages(&service).contains(&"limit=6 offset=24".to_owned()));
}

#[tokio::test]
async fn a_server_that_stumbles_over_a_parameter_is_asked_without_it() {
    let service = Service::school(25).await;
    service.change(|vendor| (vendor.refuses_fields, vendor.refuses_sort) = (true, true));
    assert_eq!(service.pull().await.count(Kind::Users), 25);
    let asked = service.asked("users");
    assert!(asked.iter().all(|query| !query.contains("fields=") && !query.contains("sort=")), "{asked:?}");
}

#[tokio::test]
async fn only_what_is_stored_is_asked_for_in_a_stable_order() {
    let service = Service::school(1).await;
    service.pull().await;
    let asked = service.asked("users");
    insta::assert_snapshot!(asked[0], @"limit=10&offset=0&sort=sourcedId&orderBy=asc&fields=sourcedId,status,dateLastModified,enabledUser,orgs,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agents,grades,metadata");
}

#[tokio::test]
async fn a_link_to_another_server_is_not_followed() {
    let service = Service::school(25).await;
    service.script(|asked, vendor| {
        let answer = vendor.honest(asked);
        Some(answer.insert_header("Link", "<https://elsewhere.example.org/users?offset=3>; rel=\"next\""))
    });
    assert_eq!(service.pull().await.count(Kind::Users), 25);
}

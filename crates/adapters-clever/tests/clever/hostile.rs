//! Upstreams that are broken, slow, moving or not what they seem (R6).

use std::sync::atomic::{AtomicUsize, Ordering};

use rollcall_domain::Record;
use rollcall_domain::ports::{Item, OwnedChange, PullRequest, SourceFailure, UserHalf};
use rollcall_domain::sync::Totals;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::harness::{Asked, Behaviour, Clever, not_found, request};

/// The code with which a pull fails if requests for a list are answered in this way.
async fn code_if(
    list: &'static str,
    answer: impl Fn(usize) -> Option<ResponseTemplate> + Send + Sync + 'static,
) -> String {
    let clever = Clever::fixture().await;
    clever.script(move |asked, _| (asked.path == list).then(|| answer(asked.before)).flatten());
    match clever.try_pull(request(None)).await {
        Ok(_) => "none".to_owned(),
        Err(error) => {
            assert!(!error.message.contains("Ångström"), "{}", error.message);
            error.code
        }
    }
}

#[tokio::test]
async fn r6_no_broken_answer_is_taken_for_a_roster() {
    let ok = |body: &str| ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json");
    let page = "{\"data\": [{\"data\": {\"id\": \"1\", \"name\": {\"last\": \"Ångström\"}}}]";
    for (what, answer, code) in [
        ("an empty 429", ResponseTemplate::new(429), "rate_limited"),
        ("a page for people", not_found("sections"), "not_found"),
        ("a login page", ResponseTemplate::new(200).set_body_raw("<!DOCTYPE html><p>Log in", "text/html"), "not_json"),
        ("no list", ok("{\"links\": []}"), "json.unexpected"),
        ("a list that is none", ok("{\"data\": {\"id\": \"1\"}}"), "json.unexpected"),
        ("null", ok("{\"data\": null}"), "json.unexpected"),
        ("half a page", ok(page), "truncated"),
        ("an empty body", ok(""), "truncated"),
        ("no service", ResponseTemplate::new(503), "server_error"),
        (
            "not in the token's scopes",
            ResponseTemplate::new(403).set_body_json(json!({"message": "Resource not in token's scopes"})),
            "forbidden",
        ),
        (
            "a redirect",
            ResponseTemplate::new(302).append_header("location", "https://elsewhere.example.org/"),
            "redirect",
        ),
    ] {
        for list in ["sections", "users"] {
            let answer = answer.clone();
            assert_eq!(code_if(list, move |_| Some(answer.clone())).await, code, "{what} instead of {list}");
        }
    }
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    let ok = |body: &str| ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json");
    for answer in [ResponseTemplate::new(429), ResponseTemplate::new(502), ok("{\"data\": [{"), ok("{\"links\": []}")] {
        let once = move |before| (before == 0).then(|| answer.clone());
        assert_eq!(code_if("sections", once).await, "none");
    }
}

#[tokio::test]
async fn a_page_that_repeats_what_came_is_asked_for_again_and_then_refused() {
    for (times, expected) in [(1, None), (usize::MAX, Some("page.repeated"))] {
        let clever = Clever::fixture().await;
        clever.behaviour.lock().unwrap().cap = 3;
        let repeated = AtomicUsize::new(0);
        clever.script(move |asked, behaviour| {
            let is_second = asked.path == "users"
                && !asked.query.contains_key("role")
                && asked.query.contains_key("starting_after");
            if !is_second || repeated.fetch_add(1, Ordering::Relaxed) >= times {
                return None;
            }
            // As if `starting_after` were not there.
            let mut asked_anew = Asked {
                path: asked.path.clone(),
                query: asked.query.clone(),
                before: asked.before,
                authorization: asked.authorization.clone(),
            };
            asked_anew.query.remove("starting_after");
            Some(behaviour.honest(&asked_anew))
        });
        let outcome = clever.try_pull(request(None)).await;
        match expected {
            None => assert_eq!(outcome.unwrap().of(rollcall_domain::Kind::Users).len(), 9),
            Some(code) => {
                let error = outcome.unwrap_err();
                assert_eq!((error.code.as_str(), error.failure), (code, SourceFailure::Temporary));
            }
        }
    }
}

#[tokio::test]
async fn links_that_lead_elsewhere_or_to_themselves_are_not_followed() {
    for (uri, code) in [
        ("https://evil.example.org/v3.1/sections?starting_after=1", "foreign_server"),
        ("//evil.example.org/v3.1/sections", "foreign_server"),
        ("/v3.1/sections?limit=1000", "page.repeated"),
        ("http://[half/an/address", "json.unexpected"),
    ] {
        let body = json!({"data": [], "links": [{"rel": "next", "uri": uri}]});
        let answer = move |_| Some(ResponseTemplate::new(200).set_body_json(body.clone()));
        assert_eq!(code_if("sections", answer).await, code, "{uri}");
    }
}

#[tokio::test]
async fn an_empty_page_in_the_middle_is_held_against_clevers_own_count() {
    let clever = Clever::fixture().await;
    clever.behaviour.lock().unwrap().cap = 3;
    clever.script(|asked, _| {
        let is_late =
            asked.path == "users" && asked.query.get("starting_after").is_some_and(|after| after.as_str() > "5faac8b7");
        (is_late && !asked.query.contains_key("role"))
            .then(|| ResponseTemplate::new(200).set_body_json(json!({"data": [], "links": []})))
    });
    let error = clever.try_pull(request(None)).await.unwrap_err();
    assert_eq!(error.code, "pull.short");
    assert!(error.message.contains("came to 3 records, and Clever counts 9"), "{}", error.message);
}

/// A Clever with pages of three, of which the second page of a list is answered in another way.
async fn with_second_page(
    list: &'static str,
    answer: impl Fn(&Asked, &Behaviour) -> Option<Value> + Send + Sync + 'static,
) -> Clever {
    let clever = Clever::fixture().await;
    clever.behaviour.lock().unwrap().cap = 3;
    clever.script(move |asked, behaviour| {
        let is_meant = asked.path == list && !asked.query.contains_key("role");
        let page = (is_meant && asked.query.contains_key("starting_after")).then(|| answer(asked, behaviour))?;
        page.map(|page| ResponseTemplate::new(200).set_body_json(page))
    });
    clever
}

#[tokio::test]
async fn r6_a_list_that_ends_before_all_that_clever_counts_has_come_is_short() {
    let end = json!({"data": [{"data": {"id": "6faa00000000000000000001"}}], "links": []});
    let mut clever = with_second_page("users", move |_, _| Some(end.clone())).await;
    let error = clever.try_pull(request(None)).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.failure), ("pull.short", SourceFailure::Temporary));
    assert!(error.message.contains("came to 4 records, and Clever counts 9"), "{}", error.message);
    clever.config.totals = Totals::Ignore;
    let _ = clever.pull().await;
}

#[tokio::test]
async fn r6_a_page_that_does_not_go_as_far_as_its_link_is_asked_for_again_and_then_refused() {
    for (times, expected) in [(1, None), (usize::MAX, Some("page.gap"))] {
        let struck = AtomicUsize::new(0);
        // Of a list that Clever does not count.
        let clever = with_second_page("users", move |asked, behaviour| {
            let mut page = behaviour.page_of(asked, behaviour.data["users"].iter().collect());
            page["data"].as_array_mut().unwrap().pop();
            (struck.fetch_add(1, Ordering::Relaxed) < times).then_some(page)
        })
        .await;
        let outcome = clever.try_pull(request(None)).await;
        assert_eq!(outcome.as_ref().err().map(|error| error.code.as_str()), expected);
    }
}

#[tokio::test]
async fn a_count_that_is_no_number_is_none() {
    let clever = Clever::fixture().await;
    clever.script(|asked, _| {
        let body = json!({"data": [], "links": null, "count": "many"});
        (asked.path == "courses").then(|| ResponseTemplate::new(200).set_body_json(body))
    });
    assert!(clever.pull().await.is_full());
}

#[tokio::test]
async fn a_count_of_the_page_is_none_of_the_list() {
    let clever = Clever::fixture().await;
    clever.behaviour.lock().unwrap().cap = 4;
    clever.script(|asked, behaviour| {
        let objects = behaviour.data.get(&asked.path).filter(|_| !asked.query.contains_key("role"))?;
        let mut page = behaviour.page_of(asked, objects.iter().collect());
        page["count"] = json!(page["data"].as_array().unwrap().len());
        Some(ResponseTemplate::new(200).set_body_json(page))
    });
    let pulled = clever.pull().await;
    assert_eq!(pulled.of(rollcall_domain::Kind::Users).len(), 9);
    assert!(!pulled.items.iter().any(|item| matches!(item, Item::Restart { .. })));
}

#[tokio::test]
async fn a_district_that_changes_while_it_is_read_is_read_anew() {
    let struck = AtomicUsize::new(0);
    let clever = with_second_page("users", move |asked, behaviour| {
        let mut page = behaviour.page_of(asked, behaviour.data["users"].iter().collect());
        page["count"] = json!(8);
        (struck.fetch_add(1, Ordering::Relaxed) == 0).then_some(page)
    })
    .await;
    let pulled = clever.pull().await;
    let restarts: Vec<_> = pulled
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Restart { reason } => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(restarts.len(), 1, "{restarts:?}");
    assert!(restarts[0].ends_with("users had 9 objects and then 8"), "{restarts:?}");
}

#[tokio::test]
async fn links_to_the_next_page_are_followed_to_the_letter() {
    let clever = Clever::fixture().await;
    clever.script(|asked, _| {
        let is_first = asked.path == "courses" && !asked.query.contains_key("opaque");
        let links = json!([{"rel": "next", "uri": "/v3.1/courses?opaque=a+b%2Fc&limit=7&&starting_after=0"}]);
        is_first.then(|| ResponseTemplate::new(200).set_body_json(json!({"data": [], "links": links})))
    });
    let _ = clever.pull().await;
    let asked = clever.asked();
    assert!(asked.iter().any(|asked| asked == "courses?opaque=a+b%2Fc&limit=7&&starting_after=0"), "{asked:?}");
}

#[tokio::test]
async fn a_last_page_that_is_empty_is_an_end() {
    let clever = Clever::fixture().await;
    clever.script(|asked, _| {
        if asked.path != "schools" {
            return None;
        }
        let first = !asked.query.contains_key("starting_after");
        let data = if first { json!([{"data": {"id": "58da8c58155b940248000001", "name": "Hillside"}}, {"data": {"id": "58da8c58155b940248000002", "name": "Lakeside"}}]) } else { json!([]) };
        let links = if first { json!([{"rel": "next", "uri": "/v3.1/schools?starting_after=58da8c58155b940248000002"}]) } else { json!([]) };
        Some(ResponseTemplate::new(200).set_body_json(json!({"data": data, "links": links})))
    });
    let pulled = clever.pull().await;
    assert_eq!(pulled.of(rollcall_domain::Kind::Orgs).len(), 3);
}

#[tokio::test]
async fn r6_a_list_of_ever_more_empty_pages_is_not_read_for_ever() {
    for (end, data) in [(3, json!([])), (usize::MAX, json!([])), (usize::MAX, json!([{"data": {"name": "No id"}}]))] {
        let answer = move |page| {
            let links = if page < end {
                json!([{"rel": "next", "uri": format!("/v3.1/courses?starting_after=x{page}")}])
            } else {
                json!([])
            };
            Some(ResponseTemplate::new(200).set_body_json(json!({"data": data, "links": links})))
        };
        assert_eq!(code_if("courses", answer).await, if end == 3 { "none" } else { "page.repeated" });
    }
}

#[tokio::test]
async fn a_token_of_no_district_or_of_several_is_refused() {
    for districts in
        [json!([]), json!([{"data": {"id": "1"}}, {"data": {"id": "2"}}]), json!([{"data": {"name": "No id"}}])]
    {
        let answer = move |_| Some(ResponseTemplate::new(200).set_body_json(json!({"data": districts, "links": []})));
        assert_eq!(code_if("districts", answer).await, "district.other");
    }
}

#[tokio::test]
async fn a_cursor_of_another_sort_is_refused() {
    let clever = Clever::fixture().await;
    let cursor = Some(rollcall_domain::ports::Cursor("2026-01-01".to_owned()));
    let error = clever.try_pull(PullRequest { cursor: cursor.clone(), ..request(None) }).await.unwrap_err();
    assert_eq!(error.code, "cursor.invalid");
    // As the message says.
    let pulled = clever.try_pull(PullRequest { cursor, full: true, ..request(None) }).await.unwrap();
    assert!(pulled.is_full());
}

/// What a full pull refuses, by kind and id.
async fn refused(list: &str, id: &str, spoil: impl FnOnce(&mut Value)) -> Vec<String> {
    let clever = Clever::fixture().await;
    {
        let mut behaviour = clever.behaviour.lock().unwrap();
        spoil(behaviour.data.get_mut(list).unwrap().iter_mut().find(|object| object["id"] == id).unwrap());
    }
    let pulled = clever.pull().await;
    let refused = pulled.items.iter().filter_map(|item| match item {
        Item::Reject(reject) => {
            let id = reject.sourced_id.as_ref().map_or("?", |id| id.as_str());
            Some(format!("{} {} {id}", reject.findings[0].code, reject.kind))
        }
        _ => None,
    });
    refused.collect()
}

#[tokio::test]
async fn r5_what_is_derived_of_a_refused_object_is_refused_with_it() {
    let homeroom = "58da8c6a894273be68000002";
    let by_hand = |section: &mut Value| section["school"] = json!("");
    insta::assert_snapshot!(refused("sections", homeroom, by_hand).await.join("\n"), @"
    ref.rejected enrollments 58da8c6a894273be68000002:58da8c63d7dc0ca068000001:student
    ref.rejected enrollments 58da8c6a894273be68000002:5faac8b7bc447500a10a0002:teacher
    ref.rejected courses 58da8c6a894273be68000002:course
    field.missing classes 58da8c6a894273be68000002
    ");
    let odd_members = |section: &mut Value| section["students"] = json!({"a": 1});
    insta::assert_snapshot!(refused("sections", homeroom, odd_members).await.join("\n"), @"
    ref.rejected enrollments ?
    ref.rejected courses 58da8c6a894273be68000002:course
    field.invalid classes 58da8c6a894273be68000002
    ");
    // What is not shared any more is not told either.
    let bare = |section: &mut Value| *section = json!({"id": section["id"], "course": "5970d4dd35e9e69741000001"});
    insta::assert_snapshot!(refused("sections", homeroom, bare).await.join("\n"), @"
    ref.rejected enrollments ?
    field.missing classes 58da8c6a894273be68000002
    ");
    let odd_name = |user: &mut Value| user["name"] = json!("Ada");
    insta::assert_snapshot!(refused("users", "58da8c63d7dc0ca068000001", odd_name).await.join("\n"), @"
    ref.rejected demographics 58da8c63d7dc0ca068000001
    field.invalid users 58da8c63d7dc0ca068000001
    ");
    insta::assert_snapshot!(refused("users", "5faac8b7bc447500a10a0001", odd_name).await.join("\n"), @"field.invalid users 5faac8b7bc447500a10a0001");
}

#[tokio::test]
async fn r5_a_member_that_is_no_id_is_not_absent() {
    let homeroom = "58da8c6a894273be68000002";
    let student = "58da8c63d7dc0ca068000001";
    for odd in [json!({"id": student}), json!([student]), json!(null), json!("")] {
        let member = |section: &mut Value| section["students"] = json!(["58da8c63d7dc0ca068000002", odd]);
        assert_eq!(refused("sections", homeroom, member).await, ["field.invalid enrollments ?"], "{odd}");
    }
    let teacher = |section: &mut Value| (section["teacher"], section["teachers"]) = (json!({"id": "1"}), json!([]));
    assert_eq!(refused("sections", homeroom, teacher).await, ["field.invalid enrollments ?"]);
    // Nor if the section is refused for something else.
    let both = |section: &mut Value| (section["students"], section["school"]) = (json!([student, {}]), json!(null));
    insta::assert_snapshot!(refused("sections", homeroom, both).await.join("\n"), @"
    ref.rejected enrollments ?
    ref.rejected courses 58da8c6a894273be68000002:course
    field.missing classes 58da8c6a894273be68000002
    ");
    // Nor if an event tells of it: those who are read come, and nobody goes.
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let mut section = clever.get("sections", homeroom);
    section["students"] = json!([student, {"id": "58da8c63d7dc0ca068000002"}]);
    clever.change("sections.updated", &section, None);
    let pulled = clever.pull_after(&first).await;
    assert!(!pulled.is_full());
    insta::assert_snapshot!(pulled.outline(), @"
    upsert orgs 58da8a43cc70ab00017a0001
    upsert courses 58da8c6a894273be68000002:course
    upsert classes 58da8c6a894273be68000002
    upsert enrollments 58da8c6a894273be68000002:5faac8b7bc447500a10a0002:teacher
    upsert enrollments 58da8c6a894273be68000002:58da8c63d7dc0ca068000001:student
    reject enrollments
    ");
    let told = pulled.items.iter().find_map(|item| match item {
        Item::Reject(reject) => Some((reject.findings[0].message.clone(), reject.record.clone())),
        _ => None,
    });
    let (message, record) = told.unwrap();
    assert!(message.starts_with("members of the section that are no ids: 1;"), "{message}");
    assert_eq!(record, Some(json!({"section": homeroom})));
}

#[tokio::test]
async fn a_nul_costs_one_object_and_is_not_quoted() {
    let with_nul = |user: &mut Value| user["name"]["first"] = json!("A\0da");
    insta::assert_snapshot!(refused("users", "58da8c63d7dc0ca068000001", with_nul).await.join("\n"), @"
    ref.rejected demographics 58da8c63d7dc0ca068000001
    encoding.invalid users 58da8c63d7dc0ca068000001
    ");
    let member = |section: &mut Value| section["students"] = json!(["58da8c63d7dc0ca068000001", "x\0y"]);
    insta::assert_snapshot!(refused("sections", "58da8c6a894273be68000002", member).await.join("\n"), @"
    ref.rejected enrollments 58da8c6a894273be68000002:58da8c63d7dc0ca068000001:student
    ref.rejected enrollments 58da8c6a894273be68000002:5faac8b7bc447500a10a0002:teacher
    ref.rejected courses 58da8c6a894273be68000002:course
    encoding.invalid classes 58da8c6a894273be68000002
    ");
}

#[tokio::test]
async fn r5_a_contact_who_cannot_be_read_stays_a_contact() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let mut contact = clever.get("users", "5faac8b9bc447500a10a0011");
    let relationships = contact["roles"]["contact"]["student_relationships"].clone();
    contact["name"] = json!("Ada");
    let previous = json!({"roles": {"contact": {"student_relationships": relationships}}});
    clever.change("users.updated", &contact, Some(previous));
    let pulled = clever.pull_after(&first).await;
    assert!(!pulled.is_full());
    insta::assert_snapshot!(pulled.outline(), @"
    upsert orgs 58da8a43cc70ab00017a0001
    reject users
    ");
}

#[tokio::test]
async fn r5_a_full_pull_takes_no_contact_away_whom_it_cannot_read() {
    // The contacts of the student, and whether they are all.
    async fn agents(spoil: impl FnOnce(&mut Value)) -> (Vec<String>, UserHalf) {
        let clever = Clever::fixture().await;
        {
            let mut behaviour = clever.behaviour.lock().unwrap();
            let users = behaviour.data.get_mut("users").unwrap();
            spoil(users.iter_mut().find(|user| user["id"] == "5faac8b9bc447500a10a0011").unwrap());
        }
        let pulled = clever.pull().await;
        let student = "58da8c63d7dc0ca068000001";
        let half = pulled.items.iter().find_map(|item| match item {
            Item::Upsert(upsert) if upsert.record().sourced_id().as_str() == student => Some(upsert.half),
            _ => None,
        });
        let mut agents: Vec<_> = pulled
            .items
            .iter()
            .flat_map(|item| match item {
                Item::Upsert(upsert) if upsert.half == UserHalf::Whole => match upsert.record() {
                    Record::Users(user) if user.sourced_id.as_str() == student => user.agents.clone(),
                    _ => Vec::new(),
                },
                Item::Owned(OwnedChange::Agent { user, agent, .. }) if user.as_str() == student => vec![agent.clone()],
                _ => Vec::new(),
            })
            .map(|agent| agent.to_string())
            .collect();
        agents.sort();
        (agents, half.unwrap())
    }
    let both = vec!["5faac8b9bc447500a10a0011".to_owned(), "5faac8b9bc447500a10a0012".to_owned()];
    let other = vec!["5faac8b9bc447500a10a0012".to_owned()];
    assert_eq!(agents(|_| ()).await, (both.clone(), UserHalf::Whole));
    // Whose contact they are can be told all the same.
    assert_eq!(agents(|contact| contact["name"] = json!("Ada")).await, (both.clone(), UserHalf::Whole));
    assert_eq!(agents(|contact| contact["email"] = json!("a\0b")).await, (both.clone(), UserHalf::Whole));
    // It cannot.
    let odd_list = |contact: &mut Value| contact["roles"]["contact"]["student_relationships"] = json!(["?"]);
    assert_eq!(agents(odd_list).await, (other.clone(), UserHalf::WithoutAgents));
    let odd_student =
        |contact: &mut Value| contact["roles"]["contact"]["student_relationships"][1]["student"] = json!({"id": "?"});
    assert_eq!(agents(odd_student).await, (other, UserHalf::WithoutAgents));
}

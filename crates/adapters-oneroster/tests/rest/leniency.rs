//! What servers write in their own ways, and what cannot be taken.

use rollcall_adapters_oneroster::RestVersion;
use rollcall_domain::Kind;
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::harness::{Service, record};

#[tokio::test]
async fn odd_records_are_understood_with_a_word_or_refused_with_a_reason() {
    let service = Service::school(0).await;
    service.change(|vendor| {
        let user = |id: &str, fields: serde_json::Value| {
            let mut user = record(
                id,
                json!({"username": "u", "enabledUser": true, "givenName": "A", "familyName": "B", "role": "student",
                    "orgs": [{"sourcedId": "s1"}]}),
            );
            for (key, value) in fields.as_object().unwrap() {
                user[key] = value.clone();
            }
            user
        };
        *vendor.data.get_mut("users").unwrap() = vec![
            user("a-number", json!({"sourcedId": 4711, "identifier": 17, "orgs": ["s1"]})),
            user("b-blank-life-cycle", json!({"status": "", "dateLastModified": ""})),
            user("c-respelt", json!({"status": "Active", "dateLastModified": "2026-08-01 10:00:00", "role": "STUDENT", "enabledUser": "TRUE"})),
            user("d-odd-values", json!({"email": {"home": "x"}, "phone": ["1", "2"], "grades": "09, 10", "enabledUser": 1})),
            user("e-unknown-role", json!({"role": "wizard", "password": "hunter2"})),
            user("f-no-role", json!({"role": null})),
            user("g-no-orgs", json!({"orgs": []})),
            user("h|odd/id", json!({})),
            user("i-roles-of-1.2", json!({"roles": [{"roleType": "primary", "role": "principal", "org": {"sourcedId": "s1"}}]})),
            user("", json!({"givenName": "hidden"})),
            user("k-nul", json!({"givenName": "A\u{0}"})),
            json!("no object"),
            user("l-unknown-status", json!({"status": "enrolled"})),
            user("m-unreadable-date", json!({"dateLastModified": "yesterday"})),
        ];
    });
    let pulled = service.pull().await;
    insta::assert_snapshot!(pulled.remarks());
    insta::assert_json_snapshot!(
        "odd_users",
        pulled.records().into_iter().filter(|r| r.kind() == Kind::Users).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn r5_a_refused_role_of_1_2_leaves_the_stored_roles_and_adds_the_others() {
    let service = Service::with(RestVersion::V1_2, crate::harness::school(0)).await;
    service.change(|vendor| {
        let user =
            |id, roles| record(id, json!({"username": "u", "enabledUser": "true", "givenName": "A", "roles": roles}));
        *vendor.data.get_mut("users").unwrap() = vec![
            user(
                "a",
                json!([{"roleType": "primary", "role": "wizard", "org": {"sourcedId": "s1"}},
                {"roleType": "secondary", "role": "teacher", "org": {"sourcedId": "s1"}}]),
            ),
            user("b", json!([7])),
            user("c", json!([])),
            user("d", json!([{"roleType": "first", "role": "aide"}])),
        ];
    });
    let pulled = service.pull().await;
    insta::assert_snapshot!(pulled.remarks());
}

#[tokio::test]
async fn bytes_that_are_no_text_refuse_their_record_and_no_other() {
    let service = Service::school(0).await;
    service.script(|asked, _| {
        (asked.collection == "users" && asked.number("offset", 0) == 0).then(|| {
            let mut body = br#"{"users": [{"sourcedId": "u1", "role": "student", "givenName": "M"#.to_vec();
            body.extend(b"\xfcller\"}, {\"sourcedId\": \"u2\", \"role\": \"student\", \"givenName\": \"\\ud800\"}, ");
            body.extend(br#"{"sourcedId": "u3", "role": "student", "givenName": "Ada", "orgs": [{"sourcedId": "s1"}], "username": "a"}]}"#);
            ResponseTemplate::new(200).set_body_raw(body, "application/json").insert_header("X-Total-Count", "3")
        })
    });
    let pulled = service.pull().await;
    assert_eq!(pulled.ids(Kind::Users), ["u3"]);
    insta::assert_snapshot!(pulled.remarks());
}

#[tokio::test]
async fn a_class_without_a_title_has_its_courses() {
    let service = Service::school(0).await;
    service.change(|vendor| vendor.data.get_mut("classes").unwrap()[0]["title"] = "".into());
    let pulled = service.pull().await;
    let class = pulled.records().into_iter().find(|record| record.kind() == Kind::Classes).unwrap();
    assert_eq!(serde_json::to_value(class).unwrap()["title"], "Course");
}

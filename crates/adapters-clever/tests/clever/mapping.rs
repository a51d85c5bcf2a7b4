//! What every kind of record looks like once it is mapped. The snapshots read like documentation.

use rollcall_domain::Kind;
use rollcall_domain::ports::{Coverage, PullRequest};
use serde_json::json;

use crate::harness::{Clever, request};

#[tokio::test]
async fn payloads_are_mapped() {
    let clever = Clever::fixture().await;
    let pulled = clever.pull().await;
    assert_eq!(pulled.remarks(), "");
    for kind in Kind::ALL {
        assert_eq!(pulled.summary.coverage[kind], Coverage::Snapshot);
        insta::assert_json_snapshot!(format!("v3.1_{kind}"), pulled.of(kind));
    }
}

#[tokio::test]
async fn two_pulls_of_an_unchanged_district_give_the_same_records() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    clever.behaviour.lock().unwrap().cap = 2;
    let second = clever.pull().await;
    assert!(first.records().eq(second.records()), "the size of the pages changes nothing");
}

#[tokio::test]
async fn r12_demographics_are_left_out_where_they_are_not_wanted_wherever_clever_has_them() {
    let clever = Clever::fixture().await;
    let pulled = clever.try_pull(PullRequest { demographics: false, ..request(None) }).await.unwrap();
    assert_eq!(pulled.summary.coverage[Kind::Demographics], Coverage::Absent);
    assert_eq!(pulled.of(Kind::Demographics).len(), 0);
    let all = serde_json::to_string(&pulled.records().collect::<Vec<_>>()).unwrap();
    for hidden in ["gifted", "2021-02-11", "Swedish", "Hearing", "Lake Street", "Two or More"] {
        assert!(!all.contains(hidden), "{hidden}");
    }
}

#[tokio::test]
async fn an_object_or_a_list_that_is_null_or_blank_is_absent() {
    let school = "58da8c58155b940248000001";
    // Every field that can be missing, as it is if it is `nothing`.
    let with = |nothing: Option<serde_json::Value>| {
        let fill = |mut object: serde_json::Value, fields: &[&str]| {
            if let Some(nothing) = &nothing {
                for field in fields {
                    object[field] = nothing.clone();
                }
            }
            object
        };
        let lists = [
            ("schools", fill(json!({"id": "n1", "name": "School"}), &["principal", "location", "ext"])),
            (
                "sections",
                fill(json!({"id": "n2", "school": school}), &["name", "teachers", "students", "ext", "course"]),
            ),
        ];
        let student = ["schools", "enrollments", "disability", "preferred_name", "credentials", "ext", "location"];
        let roles = json!({
            "student": fill(json!({"school": school}), &student),
            "teacher": fill(json!({"school": school}), &["schools", "credentials", "ext"]),
            "staff": fill(json!({"staff_id": "1"}), &["schools", "credentials", "ext", "roles"]),
            "contact": fill(json!({"phone": "1"}), &["student_relationships"]),
        });
        let users = [
            ("users", fill(json!({"id": "n3", "email": "a@b.example", "roles": roles}), &["name"])),
            (
                "users",
                json!({"id": "n4", "name": {"last": "B"}, "roles": nothing.as_ref().filter(|nothing| nothing.is_null())}),
            ),
        ];
        lists.into_iter().chain(users)
    };
    let mut outcomes = Vec::new();
    for nothing in [None, Some(serde_json::Value::Null), Some(json!("")), Some(json!(" "))] {
        let clever = Clever::fixture().await;
        for (list, object) in with(nothing) {
            clever.behaviour.lock().unwrap().data.get_mut(list).unwrap().push(object);
        }
        let pulled = clever.pull().await;
        let ours = |record: &&rollcall_domain::Record| record.sourced_id().as_str().starts_with('n');
        let records: Vec<_> = pulled.records().filter(ours).cloned().collect();
        // The school, the section and its course, both users, and the demographics of one.
        assert_eq!(records.len(), 6, "{records:#?}\n{}", pulled.remarks());
        outcomes.push((records, pulled.remarks()));
    }
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:#?}");
}

#[tokio::test]
async fn what_is_new_or_odd_in_clever_breaks_no_pull() {
    let clever = Clever::fixture().await;
    {
        let mut behaviour = clever.behaviour.lock().unwrap();
        let school = "58da8c58155b940248000001";
        let users = behaviour.data.get_mut("users").unwrap();
        users.extend([
            json!({"id": "6faa0000000000000000aa01", "name": {"first": "New", "last": "Role"}, "email": "no at sign",
                "roles": {"coach": {"schools": [school], "anything": {"deep": [1]}}, "mentor": true}}),
            json!({"id": "6faa0000000000000000aa02", "name": {"first": "New", "last": "Values"},
                "roles": {"student": {"school": school, "schools": null, "grade": "14", "gender": "Q", "race": "Other",
                    "dob": "someday", "sis_id": 42, "ext": {"nested": {"a": [1, 2]}, "number": 7, "none": null}}}}),
            json!({"id": "6faa0000000000000000aa03", "name": {"last": "Somebody Else"}, "roles": {"contact": {
                "student_relationships": [{"student": "58da8c63d7dc0ca068000001", "relationship": "Neighbour"}]}}}),
            json!({"id": "6faa0000000000000000aa04", "name": {"first": "No", "last": "Roles"}}),
            json!({"id": "6faa0000000000000000aa05", "name": "a text", "roles": {}, "dob": "1/1/2001"}),
            json!({"name": {"first": "No", "last": "Id"}, "roles": {}}),
        ]);
        behaviour
            .data
            .get_mut("sections")
            .unwrap()
            .push(json!({"id": "58da8c6a894273be6800aa01", "name": "No school"}));
        behaviour.data.get_mut("schools").unwrap().push(json!({"id": "58da8c58155b94024800aa01", "name": " "}));
        behaviour.data.get_mut("terms").unwrap().push(json!({"id": "5b42365868c8d6104f63aa01", "start_date": "soon"}));
        behaviour.data.get_mut("courses").unwrap().push(json!({"id": "5970d4dd35e9e6974100aa01"}));
    }
    let pulled = clever.pull().await;
    let odd: Vec<_> = pulled.records().filter(|record| record.sourced_id().as_str().contains("aa0")).collect();
    insta::assert_json_snapshot!("odd_records", odd);
    insta::assert_snapshot!("odd_remarks", pulled.remarks());
    let refused = pulled.items.iter().find_map(|item| match item {
        rollcall_domain::ports::Item::Reject(reject)
            if reject.sourced_id.as_ref().is_some_and(|id| id.as_str().ends_with("aa05")) =>
        {
            reject.record.clone()
        }
        _ => None,
    });
    assert_eq!(refused, Some(json!({"id": "6faa0000000000000000aa05", "name": "a text", "roles": {}})));
}

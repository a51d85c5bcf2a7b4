//! What events tell, and when they are not relied upon.

use rollcall_domain::ports::{Coverage, Cursor, PullRequest};
use rollcall_domain::{Kind, Record};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::harness::{Clever, DISTRICT, Pulled, not_found, request};

const SCHOOL: &str = "58da8c58155b940248000001";
const STUDENT: &str = "58da8c63d7dc0ca068000001";
const OTHER_STUDENT: &str = "58da8c63d7dc0ca068000002";
const TEACHER: &str = "5faac8b7bc447500a10a0001";
const CONTACT: &str = "5faac8b9bc447500a10a0012";
const SECTION: &str = "58da8c6a894273be68000001";
const LATIN: &str = "5970d4dd35e9e69741000003";

fn memory(pulled: &Pulled) -> Value {
    serde_json::from_str(&pulled.summary.cursor.as_ref().unwrap().0).unwrap()
}

#[tokio::test]
async fn a_quiet_district_brings_nothing_and_moves_the_time_on() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    clever.clock.set("2026-11-22T02:00:00Z");
    clever.asked();
    let second = clever.pull_after(&first).await;
    assert_eq!(second.outline(), "");
    for kind in Kind::ALL {
        assert_eq!(second.summary.coverage[kind], Coverage::Delta, "{kind}");
    }
    assert_eq!(memory(&second)["as_of"], "2026-11-22T02:00:00Z");
    assert_eq!(memory(&second)["full"], "2026-11-21T02:00:00Z");
    insta::assert_snapshot!(clever.asked().join("\n"));
}

#[tokio::test]
async fn r10_the_newest_event_is_read_before_anything_else() {
    let clever = Clever::fixture().await;
    let school = clever.get("schools", SCHOOL);
    clever.change("schools.updated", &school, None);
    let pulled = clever.pull().await;
    let asked = clever.asked();
    assert!(asked[0].starts_with("oauth/tokens"), "{asked:?}");
    let first = asked.iter().find(|asked| !asked.starts_with("oauth/")).unwrap();
    assert_eq!(first, "events?ending_before=last&limit=1");
    assert_eq!(memory(&pulled)["event"], clever.behaviour.lock().unwrap().events[0]["id"]);
}

#[tokio::test]
async fn the_newest_event_is_found_where_nobody_can_ask_for_it() {
    for refuses in [false, true] {
        let clever = Clever::fixture().await;
        let school = clever.get("schools", SCHOOL);
        for _ in 0..5 {
            clever.change("schools.updated", &school, None);
        }
        {
            let mut behaviour = clever.behaviour.lock().unwrap();
            (behaviour.knows_last, behaviour.cap) = (false, 2);
        }
        if refuses {
            clever.script(|asked, _| {
                asked
                    .query
                    .contains_key("ending_before")
                    .then(|| ResponseTemplate::new(400).set_body_json(json!({"message": "ending_before is no id"})))
            });
        }
        let pulled = clever.pull().await;
        assert_eq!(memory(&pulled)["event"], clever.behaviour.lock().unwrap().events[4]["id"]);
    }
}

/// A day in the life of a district: something of everything, in an order that refers forward.
pub(crate) fn advance(clever: &Clever) {
    // A section that refers to a user whose event comes later.
    let mut section = clever.get("sections", SECTION);
    section["students"] = json!([OTHER_STUDENT, "6faa00000000000000000001"]);
    section["teacher"] = json!("5faac8b7bc447500a10a0002");
    clever.change("sections.updated", &section, Some(json!({"students": [OTHER_STUDENT], "teacher": TEACHER})));
    let newcomer = json!({"id": "6faa00000000000000000001", "name": {"first": "New", "last": "Comer"},
        "roles": {"student": {"school": SCHOOL, "schools": [SCHOOL], "sis_id": "100003", "gender": "F", "dob": "3/4/2012"}}});
    clever.change("users.created", &newcomer, None);
    let mut renamed = clever.get("users", STUDENT);
    renamed["name"]["first"] = json!("Zoe");
    clever.change("users.updated", &renamed, Some(json!({"name": {"first": "Zoë"}})));
    let teacher = clever.get("users", TEACHER);
    clever.change("users.deleted", &json!({"id": teacher["id"]}), None);

    // A contact who changes students, and one who only changes the number.
    let mut contact = clever.get("users", CONTACT);
    let before = contact["roles"]["contact"]["student_relationships"].clone();
    contact["roles"]["contact"]["student_relationships"] =
        json!([{"student": OTHER_STUDENT, "relationship": "Parent", "type": "Parent/Guardian"}]);
    let previous = json!({"roles": {"contact": {"student_relationships": before}}});
    clever.change("users.updated", &contact, Some(previous));
    let mut caller = clever.get("users", "5faac8b9bc447500a10a0011");
    caller["roles"]["contact"]["phone"] = json!("(555) 555-0199");
    clever.change("users.updated", &caller, Some(json!({"roles": {"contact": {"phone": "(555) 555-0111"}}})));

    // A section that gets a course of its own, and one that goes.
    let mut homeroom = clever.get("sections", "58da8c6a894273be68000002");
    homeroom["course"] = json!(LATIN);
    clever.change("sections.updated", &homeroom, Some(json!({"course": ""})));
    let last = clever.get("sections", "58da8c6a894273be68000003");
    clever.change("sections.deleted", &last, None);
    let course = clever.get("courses", "5970d4dd35e9e69741000002");
    clever.change("courses.deleted", &course, None);
    let mut school = clever.get("schools", SCHOOL);
    school["name"] = json!("Hillside Primary");
    clever.change("schools.updated", &school, Some(json!({"name": "Hillside Elementary"})));
}

#[tokio::test]
async fn each_kind_of_event_is_a_replacement_or_a_deletion() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;

    advance(&clever);
    {
        let mut behaviour = clever.behaviour.lock().unwrap();
        behaviour.tell("resources.created", &json!({"id": "1"}), None);
        behaviour.tell("planets.updated", &json!({"id": "2"}), None);
        behaviour.cap = 2;
    }

    let second = clever.pull_after(&first).await;
    insta::assert_snapshot!("events_outline", second.outline());
    assert_eq!(second.remarks(), "");
    assert_eq!(second.summary.skipped, ["planets events", "resources events"]);
    assert!(second.note().ends_with("12 events since the last pull"), "{}", second.note());
    assert_eq!(memory(&second)["event"], clever.behaviour.lock().unwrap().events[11]["id"]);

    // What was said is what a full pull says.
    let full = clever.try_pull(PullRequest { full: true, ..request(second.summary.cursor.clone()) }).await.unwrap();
    for record in second.records() {
        let same =
            full.records().find(|other| (other.kind(), other.sourced_id()) == (record.kind(), record.sourced_id()));
        let mut same = same.cloned();
        // A student's own event does not tell of the contacts.
        if let (Some(Record::Users(user)), Record::Users(said)) = (&mut same, record)
            && said.agents.is_empty()
        {
            user.agents.clear();
        }
        assert_eq!(same.as_ref(), Some(record));
    }
}

#[tokio::test]
async fn several_events_of_one_object_are_its_last_state() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let contact = clever.get("users", CONTACT);
    let mut moved = contact.clone();
    moved["roles"]["contact"]["student_relationships"] = json!([{"student": OTHER_STUDENT, "relationship": "Other"}]);
    let previous = |of: &Value| {
        let before = of["roles"]["contact"]["student_relationships"].clone();
        Some(json!({"roles": {"contact": {"student_relationships": before}}}))
    };
    clever.change("users.updated", &moved, previous(&contact));
    clever.change("users.updated", &contact, previous(&moved));
    let teacher = clever.get("users", TEACHER);
    clever.change("users.deleted", &teacher, None);
    clever.change("users.created", &teacher, None);
    let second = clever.pull_after(&first).await;
    insta::assert_snapshot!(second.outline());
}

#[tokio::test]
async fn what_did_not_exist_before_leaves_no_trace_among_previous_attributes_and_is_told_all_the_same() {
    for previous in [None, Some(json!({})), Some(json!({"last_modified": "2026-11-20T00:00:00.000Z"}))] {
        let clever = Clever::fixture().await;
        let first = clever.pull().await;
        let mut contact = clever.get("users", CONTACT);
        contact["roles"]["contact"]["student_relationships"] =
            json!([{"student": OTHER_STUDENT, "relationship": "Parent", "type": "Parent/Guardian"}]);
        clever.change("users.updated", &contact, previous.clone());
        let mut homeroom = clever.get("sections", "58da8c6a894273be68000002");
        homeroom["course"] = json!(LATIN);
        clever.change("sections.updated", &homeroom, previous);
        let outline = clever.pull_after(&first).await.outline();
        assert!(outline.contains(&format!("agent of {OTHER_STUDENT}: {CONTACT}")), "{outline}");
        assert!(outline.contains(&format!("upsert courses {LATIN}")), "{outline}");
    }
}

#[tokio::test]
async fn who_is_no_student_any_more_has_no_demographics_any_more() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let mut user = clever.get("users", STUDENT);
    let student = user["roles"]["student"].clone();
    user["roles"] = json!({"staff": {"staff_id": "7", "schools": [SCHOOL]}});
    clever.change("users.updated", &user, Some(json!({"roles": {"student": student}})));
    user["email"] = json!("zoe@example.org");
    clever.change("users.updated", &user, Some(json!({"email": ""})));
    let without = PullRequest { demographics: false, ..request(first.summary.cursor.clone()) };
    let gone = format!("delete demographics {STUDENT}\n");
    assert!(!clever.try_pull(without).await.unwrap().outline().contains(&gone));
    let outline = clever.pull_after(&first).await.outline();
    assert!(outline.contains(&gone), "{outline}");
}

#[tokio::test]
async fn events_that_are_accounted_for_are_not_told_again() {
    let clever = Clever::fixture().await;
    let student = clever.get("users", STUDENT);
    clever.change("users.deleted", &student, None);
    clever.change("users.created", &student, None);
    let first = clever.pull().await;
    // As if `starting_after` were not there.
    clever.script(|asked, behaviour| {
        let events: Vec<_> = behaviour.events.iter().map(|event| json!({"data": event})).collect();
        let is_meant = asked.path == "events" && asked.query.contains_key("starting_after");
        is_meant.then(|| ResponseTemplate::new(200).set_body_json(json!({"data": events[..1], "links": []})))
    });
    let second = clever.pull_after(&first).await;
    assert_eq!((second.outline().as_str(), memory(&second)["event"].clone()), ("", memory(&first)["event"].clone()));
}

#[tokio::test]
async fn sections_of_a_course_that_do_not_have_one_that_was_told_of_mean_that_everything_is_read() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let mut homeroom = clever.get("sections", "58da8c6a894273be68000002");
    homeroom["course"] = json!(LATIN);
    clever.change("sections.updated", &homeroom, Some(json!({"course": ""})));
    clever.script(|asked, _| {
        let nothing = json!({"data": [], "links": []});
        asked.path.ends_with("/sections").then(|| ResponseTemplate::new(200).set_body_json(nothing))
    });
    let second = clever.pull_after(&first).await;
    assert!(second.is_full() && second.note().contains("not among those of their course"), "{}", second.note());
}

#[tokio::test]
async fn an_id_of_an_event_that_clever_does_not_take_means_that_everything_is_read() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let mut known = memory(&first);
    known["event"] = json!("no id");
    clever.script(|asked, _| {
        let refused = || ResponseTemplate::new(400).set_body_json(json!({"message": "starting_after must be an id"}));
        asked.query.get("starting_after").is_some_and(|after| after == "no id").then(refused)
    });
    let pulled = clever.try_pull(request(Some(Cursor(known.to_string())))).await.unwrap();
    assert!(pulled.is_full() && pulled.note().contains("starting_after must be an id"), "{}", pulled.note());
}

#[tokio::test]
async fn terms_and_their_years_are_stated_as_a_whole_when_one_changes() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let old = clever.get("terms", "5b42365868c8d6104f630004");
    clever.change("terms.deleted", &old, None);
    let second = clever.pull_after(&first).await;
    assert_eq!(second.summary.coverage[Kind::AcademicSessions], Coverage::Snapshot);
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Delta);
    insta::assert_snapshot!(second.outline());
}

#[tokio::test]
async fn the_session_for_sections_without_a_term_is_made_when_the_first_of_them_comes() {
    let clever = Clever::fixture().await;
    let mut homeroom = clever.get("sections", "58da8c6a894273be68000002");
    homeroom["term_id"] = json!("5b42365868c8d6104f630001");
    clever.change("sections.updated", &homeroom, None);
    let default = format!("{DISTRICT}:session");
    let has_it = |pulled: &Pulled| pulled.records().any(|record| record.sourced_id().as_str() == default);
    let first = clever.pull().await;
    assert!(!has_it(&first));
    homeroom["term_id"] = json!("");
    clever.change("sections.updated", &homeroom, Some(json!({"term_id": "5b42365868c8d6104f630001"})));
    let second = clever.pull_after(&first).await;
    assert!(has_it(&second) && !second.is_full());
    assert_eq!(second.summary.coverage[Kind::AcademicSessions], Coverage::Snapshot);
    assert_eq!(memory(&second)["default_session"], true);
}

#[tokio::test]
async fn a_new_school_year_is_read_in_full() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let mut district = clever.get("districts", DISTRICT);
    district["last_sync"] = json!("2027-07-01T05:00:00.000Z");
    clever.change("districts.updated", &district, None);
    assert!(clever.pull_after(&first).await.note().contains("a school year began"));
}

#[tokio::test]
async fn r10_an_expired_cursor_is_noticed_by_its_time() {
    let clever = Clever::fixture().await;
    let school = clever.get("schools", SCHOOL);
    clever.change("schools.updated", &school, None);
    let mut config_of_a_patient_user = clever;
    config_of_a_patient_user.config.full_every = std::time::Duration::from_hours(24 * 365);
    let clever = config_of_a_patient_user;
    let first = clever.pull().await;
    clever.clock.set("2026-12-19T02:00:00Z");
    assert!(!clever.pull_after(&first).await.is_full());
    clever.clock.set("2026-12-20T02:00:00Z");
    let late = clever.pull_after(&first).await;
    assert!(late.note().contains("so old"), "{}", late.note());
    assert_eq!(late.summary.coverage[Kind::Users], Coverage::Snapshot);
}

#[tokio::test]
async fn everything_is_read_when_it_is_time_to_and_when_it_is_asked_for() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let cursor = first.summary.cursor.clone();
    let asked_for = clever.try_pull(PullRequest { full: true, ..request(cursor.clone()) }).await.unwrap();
    assert!(asked_for.is_full());
    let without = clever.try_pull(PullRequest { demographics: false, ..request(None) }).await.unwrap();
    let with = clever.pull_after(&without).await;
    assert!(with.note().contains("demographics were not read before"), "{}", with.note());
    clever.clock.set("2026-11-28T02:00:00Z");
    assert!(clever.pull_after(&first).await.note().contains("it is time to"));
}

#[tokio::test]
async fn syncs_without_events_mean_that_events_are_off_or_lost() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    clever.behaviour.lock().unwrap().data.get_mut("districts").unwrap()[0]["last_sync"] =
        json!("2026-11-22T01:30:00.000Z");
    clever.clock.set("2026-11-22T02:00:00Z");
    let waiting = clever.pull_after(&first).await;
    assert!(!waiting.is_full(), "the event may be on its way");
    clever.clock.set("2026-11-23T02:00:00Z");
    let lost = clever.pull_after(&waiting).await;
    assert!(lost.note().contains("no event told of it"), "{}", lost.note());
    assert!(!clever.pull_after(&lost).await.is_full(), "the sync is accounted for");

    // With the event that belongs to it, all is well.
    let mut district = clever.get("districts", DISTRICT);
    district["last_sync"] = json!("2026-11-24T01:30:00.000Z");
    clever.change("districts.updated", &district, Some(json!({"last_sync": "2026-11-22T01:30:00.000Z"})));
    clever.clock.set("2026-11-24T09:00:00Z");
    let told = clever.pull_after(&lost).await;
    assert_eq!(told.outline(), format!("upsert orgs {DISTRICT}\n"));
}

#[tokio::test]
async fn a_district_without_events_is_read_in_full_every_time() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    clever.script(|asked, _| (asked.path == "events").then(|| not_found("events")));
    let second = clever.pull_after(&first).await;
    assert!(second.note().contains("gives no events"), "{}", second.note());
    assert_eq!(memory(&second)["events"], false);
    assert!(clever.pull_after(&second).await.is_full());
}

#[tokio::test]
async fn an_event_that_cannot_be_read_means_that_everything_is() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    clever.behaviour.lock().unwrap().tell("users.updated", &json!({"no": "id"}), None);
    assert!(clever.pull_after(&first).await.note().contains("an event could not be read"));
}

#[tokio::test]
async fn a_paused_district_changes_nothing_and_one_in_trouble_is_an_error() {
    let clever = Clever::fixture().await;
    let first = clever.pull().await;
    let set = |state: &str, word: &str| {
        let mut behaviour = clever.behaviour.lock().unwrap();
        let district = &mut behaviour.data.get_mut("districts").unwrap()[0];
        district["state"] = json!(state);
        district["error"] = json!(word);
        district["pause_end"] = json!("2027-08-01");
    };
    set("paused", "");
    for cursor in [None, first.summary.cursor.clone()] {
        let paused = clever.try_pull(request(cursor.clone())).await.unwrap();
        assert!(paused.items.is_empty() && paused.summary.nothing_new);
        assert_eq!(paused.summary.cursor, cursor);
        assert!(paused.note().contains("paused until 2027-08-01"), "{}", paused.note());
    }
    for state in ["error", "pending"] {
        set(state, "The upload has no sections file");
        let error = clever.try_pull(request(first.summary.cursor.clone())).await.unwrap_err();
        assert_eq!(error.code, "district.not_ready");
        assert!(error.message.contains(state) && error.message.contains("no sections file"), "{}", error.message);
    }
}

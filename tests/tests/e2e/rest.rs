//! Sources over OneRoster REST, from the configuration to the store.

use std::fs;

use rollcall_tests::{Engine, Package, Place};
use serde_json::{Value, json};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::total;

const TOKEN: &str = "hunter2-is-a-token";

/// The small package as OneRoster 1.1 serves it, without its demographics.
fn collection(name: &str) -> Option<Value> {
    let link = |id: &str, sort: &str| json!({ "sourcedId": id, "type": sort, "href": format!("https://sis.example.org/{id}") });
    let record = |id: &str, rest: Value| {
        let mut record = json!({ "sourcedId": id, "status": "active", "dateLastModified": "2026-08-01T00:00:00.000Z" });
        for (key, value) in rest.as_object().unwrap() {
            record[key] = value.clone();
        }
        record
    };
    let user = |id: &str, role: &str, username: &str, given: &str, family: &str, agents: &[&str], grades: &[&str]| {
        record(
            id,
            json!({
                "enabledUser": "true", "username": username, "givenName": given, "familyName": family, "role": role,
                "orgs": [link("s1", "org")], "grades": grades,
                "agents": agents.iter().map(|agent| link(agent, "user")).collect::<Vec<_>>(),
            }),
        )
    };
    let class = |id: &str, title: &str, code: &str, period: &str| {
        record(
            id,
            json!({
                "title": title, "classCode": code, "classType": "scheduled", "grades": ["04"], "course": link("k1", "course"),
                "school": link("s1", "org"), "terms": [link("t1", "academicSession")], "periods": [period],
            }),
        )
    };
    let enrollment = |id: &str, class: &str, user: &str, role: &str, primary: Option<&str>| {
        let mut enrollment = record(
            id,
            json!({
                "role": role, "user": link(user, "user"), "class": link(class, "class"), "school": link("s1", "org"),
                "beginDate": "2026-08-15", "endDate": "2026-12-20",
            }),
        );
        if let Some(primary) = primary {
            enrollment["primary"] = json!(primary);
        }
        enrollment
    };
    let records = match name {
        "orgs" => vec![
            record("d1", json!({ "name": "Springfield", "type": "district" })),
            record("s1", json!({ "name": "Springfield Elementary", "type": "school", "parent": link("d1", "org") })),
        ],
        "academicSessions" => vec![
            record(
                "y1",
                json!({ "title": "2026-27", "type": "schoolYear", "startDate": "2026-08-01", "endDate": "2027-07-01", "schoolYear": "2027" }),
            ),
            record(
                "t1",
                json!({
                    "title": "Autumn", "type": "term", "startDate": "2026-08-15", "endDate": "2026-12-20", "schoolYear": "2027",
                    "parent": link("y1", "academicSession"),
                }),
            ),
        ],
        "courses" => vec![record(
            "k1",
            json!({
                "title": "Mathematics 4", "courseCode": "MA4", "grades": ["04"], "org": link("s1", "org"),
                "schoolYear": link("y1", "academicSession"),
            }),
        )],
        "classes" => vec![class("c1", "Mathematics 4a", "MA4a", "1"), class("c2", "Mathematics 4b", "MA4b", "2")],
        "users" => vec![
            user("u1", "teacher", "edna", "Edna", "Krabappel", &[], &[]),
            user("u2", "student", "bart", "Bart", "Simpson", &["u5"], &["04"]),
            user("u3", "student", "lisa", "Lisa", "Simpson", &["u5"], &["02"]),
            user("u4", "student", "milhouse", "Milhouse", "Van Houten", &[], &["04"]),
            user("u5", "guardian", "marge", "Marge", "Simpson", &["u2", "u3"], &[]),
        ],
        "enrollments" => vec![
            enrollment("e1", "c1", "u1", "teacher", Some("true")),
            enrollment("e2", "c1", "u2", "student", None),
            enrollment("e3", "c1", "u3", "student", None),
            enrollment("e4", "c2", "u4", "student", None),
        ],
        _ => return None,
    };
    Some(Value::Array(records))
}

/// Answers as a server of OneRoster 1.1 does that wants a token and pages its lists.
fn answer(request: &Request) -> ResponseTemplate {
    let token = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {TOKEN}")) {
        return ResponseTemplate::new(401).set_body_json(json!({ "imsx_codeMajor": "failure" }));
    }
    let name = request.url.path().rsplit('/').next().unwrap_or_default().to_owned();
    let number = |name: &str, otherwise: usize| {
        let pair = request.url.query_pairs().find(|(key, _)| key == name);
        pair.and_then(|(_, value)| value.parse().ok()).unwrap_or(otherwise)
    };
    let Some(Value::Array(mut records)) = collection(&name) else { return ResponseTemplate::new(404) };
    if request.url.query_pairs().any(|(key, value)| key == "filter" && value.contains("dateLastModified")) {
        records.clear();
    }
    let total = records.len();
    let page: Vec<_> = records.into_iter().skip(number("offset", 0)).take(number("limit", 100)).collect();
    ResponseTemplate::new(200).insert_header("X-Total-Count", total.to_string()).set_body_json(json!({ name: page }))
}

/// A server, and a place whose configuration has a source on it, another one without its secret, and one of packages.
fn place(engine: Engine, runtime: &tokio::runtime::Runtime) -> (MockServer, Place) {
    let server = runtime.block_on(async {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(answer).mount(&server).await;
        server
    });
    let place = Place::new(engine);
    let uri = server.uri();
    let text = format!(
        r#"
        [[source]]
        name = "unset"
        kind = "oneroster-rest"
        base_url = "{uri}/ims/oneroster/v1p1"
        auth = {{ method = "bearer", token = {{ env = "ROLLCALL_UNSET" }} }}

        [[source]]
        name = "rest"
        kind = "oneroster-rest"
        base_url = "{uri}"
        version = "1.1"
        auth = {{ method = "bearer", token = {{ env = "SIS_TOKEN" }} }}
        page_size = 2
        full_every = "7d"

        [[source]]
        name = "csv"
        kind = "oneroster-csv"
        path = "package"
        "#
    );
    fs::write(place.path("rollcall.toml"), text).unwrap();
    Package::small().write(&place.path("package"));
    (server, place)
}

#[test]
fn a_roster_over_rest_is_the_one_in_the_package_and_one_source_without_its_secret_stops_no_other() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for engine in Engine::ALL {
        let (_server, place) = place(engine, &runtime);
        let answer = place.call("sync --all --output json").env("SIS_TOKEN", TOKEN).answer().exits(1);
        let runs = answer.json();
        let runs = runs["runs"].as_array().unwrap();
        let told: Vec<_> = runs.iter().map(|run| (run["source"].as_str(), run["status"].as_str())).collect();
        let (ok, failed) = (Some("succeeded"), Some("failed"));
        assert_eq!(told, [(Some("csv"), ok), (Some("rest"), ok), (Some("unset"), failed)], "{answer}");
        assert_eq!(runs[2]["error"]["code"], "secret.missing");
        assert_eq!(runs[2]["error"]["message"], "the environment variable `ROLLCALL_UNSET` is not set");
        assert!(!answer.stdout.contains(TOKEN) && !answer.stderr.contains(TOKEN), "{answer}");
        assert_eq!(place.export("rest"), place.export("csv"));

        // Changes alone, of which there are none; then everything, in which nothing changed.
        let feed = place.changes("rest");
        for (arguments, mode) in [("", "incremental"), ("--full", "full")] {
            let call = place.call("sync rest --output json").args(arguments).env("SIS_TOKEN", TOKEN);
            let report = call.answer().exits(0).json();
            assert_eq!(report["mode"], mode, "{report:#}");
            assert_eq!(total(&report, "unchanged"), total(&report, "received"), "{report:#}");
        }
        assert_eq!(place.changes("rest"), feed);
    }
}

#[test]
fn a_refused_token_fails_the_run_and_a_check_says_so() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_server, place) = place(Engine::Sqlite, &runtime);
    let failed = place.call("sync rest --output json").env("SIS_TOKEN", "another").answer().exits(1);
    assert_eq!(failed.json()["error"]["code"], "unauthorized", "{failed}");
    assert!(!failed.stdout.contains("another"), "{failed}");
    let checked = place.call("sources check rest --output json").env("SIS_TOKEN", "another").answer().exits(1).json();
    assert_eq!((checked["ok"].as_bool(), checked["kind"].as_str()), (Some(false), Some("oneroster-rest")));
    let checked = place.call("sources check rest --output json").env("SIS_TOKEN", TOKEN).answer().exits(0).json();
    assert_eq!(checked["facts"]["version"], "OneRoster 1.1", "{checked:#}");
    let unset = place.answer("sources check unset").exits(1);
    assert!(unset.stdout.contains("`ROLLCALL_UNSET` is not set"), "{unset}");
}

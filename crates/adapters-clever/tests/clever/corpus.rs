//! Traffic that others recorded. It is not part of the project: `ROLLCALL_CORPUS` names the folder it lies in.
//!
//! The snapshots hold counts and codes only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rollcall_adapters_clever::{ApiVersion, CleverCredentials};
use rollcall_domain::Kind;
use rollcall_domain::ports::{Cursor, Item};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::harness::{Asked, Clever, Pulled, TestClock, request};

fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("ROLLCALL_CORPUS").map(|folder| PathBuf::from(folder).join("clever"));
    if corpus.is_none() {
        println!("SKIPPED: ROLLCALL_CORPUS does not name the folder of recordings");
    }
    corpus
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// How much of each kind came, and what was remarked how often.
fn summary(pulled: &Pulled) -> Value {
    let mut records = BTreeMap::new();
    for kind in Kind::ALL {
        records.insert(kind.as_str(), pulled.of(kind).len());
    }
    let mut remarks: BTreeMap<String, usize> = BTreeMap::new();
    for line in pulled.remarks().lines() {
        let words: Vec<_> = line.split(' ').collect();
        *remarks.entry(format!("{} {} {}", words[0], words[1], words[3])).or_default() += 1;
    }
    json!({"records": records, "remarks": remarks})
}

#[tokio::test]
async fn the_recorded_district_is_pulled_to_the_end() {
    let Some(corpus) = corpus() else { return };
    let list = |file: &str| -> Vec<Value> {
        let page = read(&corpus.join("clever-go").join(file));
        page["data"].as_array().unwrap().iter().map(|item| item["data"].clone()).collect()
    };
    let (districts, sections, users) =
        (list("tests_mocks_districts.json"), list("tests_mocks_sections.json"), list("tests_mocks_users.json"));
    assert_eq!((users.len(), sections.len()), (2_098, 378), "the recording is the one that is known");
    // Schools, terms and courses are in the recording by their ids only.
    let named = |field: &str| -> Vec<Value> {
        let ids: std::collections::BTreeSet<_> =
            sections.iter().filter_map(|section| section[field].as_str()).collect();
        ids.into_iter().map(|id| json!({"id": id, "name": id})).collect()
    };
    let (schools, terms, courses) = (named("school"), named("term_id"), named("course"));
    let data = BTreeMap::from([
        ("districts".to_owned(), districts),
        ("schools".to_owned(), schools),
        ("terms".to_owned(), terms),
        ("courses".to_owned(), courses),
        ("sections".to_owned(), sections.clone()),
        ("users".to_owned(), users),
    ]);
    let mut clever = Clever::with(data).await;
    clever.config.api_version = ApiVersion::V3_0;
    clever.config.page_size = 100;
    let pulled = clever.pull().await;
    assert_eq!(pulled.of(Kind::Users).len(), 2_098);
    assert_eq!(pulled.of(Kind::Classes).len(), 378);
    // Counted by hand from the recording.
    let mut expected = 0;
    for section in &sections {
        for field in ["students", "teachers"] {
            let ids: std::collections::BTreeSet<_> =
                section[field].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
            expected += ids.len();
        }
    }
    assert_eq!(pulled.of(Kind::Enrollments).len(), expected);
    insta::assert_json_snapshot!(summary(&pulled));
}

/// A recorded exchange.
struct Exchange {
    path: String,
    query: BTreeMap<String, String>,
    authorization: String,
    answer: ResponseTemplate,
}

/// Everything that was recorded with the API, in the order of the files.
fn recording(folder: &Path) -> Vec<Exchange> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut exchanges = Vec::new();
    for exchange in files.iter().flat_map(|file| read(file).as_array().unwrap().clone()) {
        let url: rollcall_adapters_http::Url = exchange["request"]["uri"].as_str().unwrap().parse().unwrap();
        let response = &exchange["response"];
        let status = u16::try_from(response["status"].as_u64().unwrap()).unwrap();
        let mut answer = ResponseTemplate::new(status);
        answer = match response.get("json") {
            Some(json) => answer.set_body_raw(json.to_string(), response["headers"]["content-type"].as_str().unwrap()),
            None => answer
                .set_body_raw(response["text"].as_str().unwrap_or_default().to_owned(), "text/html; charset=utf-8"),
        };
        for limit in
            ["x-ratelimit-bucket", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-request-id"]
        {
            if let Some(value) = response["headers"][limit].as_str() {
                answer = answer.append_header(limit, value);
            }
        }
        exchanges.push(Exchange {
            path: url.path().trim_start_matches("/v3.0/").trim_start_matches('/').to_owned(),
            query: url.query_pairs().into_owned().collect(),
            authorization: exchange["request"]["authorization"].as_str().unwrap_or_default().to_owned(),
            answer,
        });
    }
    exchanges
}

/// A Clever that answers from the recording: a request is the same with another `limit`, and whether it asks for a `count` or
/// not. What was not recorded any more is the end of its list.
async fn replaying(folder: &Path) -> Clever {
    let recording = Arc::new(recording(folder));
    let district = json!({"id": "58da8a43cc70ab00017a1a87"});
    let mut clever = Clever::with(BTreeMap::from([("districts".to_owned(), vec![district])])).await;
    clever.config.api_version = ApiVersion::V3_0;
    clever.config.credentials = CleverCredentials::DistrictToken("TEST_TOKEN".into());
    clever.clock = TestClock::at("2023-04-24T22:48:46Z");
    clever.script(move |asked: &Asked, _| {
        let without_limit = |query: &BTreeMap<String, String>| {
            let mut query = query.clone();
            query.retain(|name, _| !matches!(name.as_str(), "limit" | "count"));
            query
        };
        let wanted = without_limit(&asked.query);
        // The newest event was never asked for, nor contacts alone.
        let end = || {
            let body = json!({"data": [], "links": [{"rel": "self", "uri": "/v3.0/x"}]});
            Some(ResponseTemplate::new(200).set_body_json(body))
        };
        recording
            .iter()
            .filter(|exchange| exchange.path == asked.path && exchange.authorization == asked.authorization)
            .filter(|exchange| without_limit(&exchange.query) == wanted)
            // Of several recordings of one request, the one that was asked without a limit has the most.
            .min_by_key(|exchange| exchange.query.contains_key("limit"))
            .map(|exchange| exchange.answer.clone())
            .or_else(|| asked.path.starts_with("oauth").then(|| ResponseTemplate::new(404)))
            .or_else(end)
    });
    clever
}

#[tokio::test]
async fn the_recorded_pages_give_a_roster() {
    let Some(corpus) = corpus() else { return };
    let clever = replaying(&corpus.join("clever_sdk_v3.0_recorded")).await;
    let pulled = clever.pull().await;
    insta::assert_json_snapshot!(summary(&pulled));
}

#[tokio::test]
async fn the_recorded_events_are_changes() {
    let Some(corpus) = corpus() else { return };
    let clever = replaying(&corpus.join("clever_sdk_v3.0_recorded")).await;
    let memory = json!({"v": "1", "event": "640df950d306111b2385f72b", "as_of": "2023-03-28T00:00:00Z",
        "full": "2023-04-24T00:00:00Z", "sync": "2023-04-23T16:08:05.652Z", "default_session": false,
        "demographics": true, "events": true});
    // The cursor of the recording was six weeks old. Clever said nothing of it, and the source notices.
    let late = clever.try_pull(request(Some(Cursor(memory.to_string())))).await.unwrap();
    assert!(late.note().contains("so old"), "{}", late.note());

    clever.clock.set("2023-03-29T00:00:00Z");
    let pulled = clever.try_pull(request(Some(Cursor(memory.to_string())))).await.unwrap();
    assert!(!pulled.is_full(), "{}", pulled.note());
    let deletions = pulled.items.iter().filter(|item| matches!(item, Item::Delete(_))).count();
    assert_eq!(deletions, 0);
    insta::assert_json_snapshot!(summary(&pulled));
    // An event's object is the record as the list has it.
    let listed = clever.pull().await;
    let same_kind = |kind| {
        let of = |pulled: &Pulled| pulled.of(kind).len();
        (of(&pulled), of(&listed))
    };
    assert_eq!(same_kind(Kind::Orgs), (5, 5), "the district and its four schools");
}

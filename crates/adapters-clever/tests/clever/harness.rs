//! A Clever that answers as it is told, and a sink that remembers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rollcall_adapters_clever::{CleverConfig, CleverCredentials, CleverSource};
use rollcall_adapters_http::RetryPolicy;
use rollcall_domain::ports::{
    BatchSink, Clock, Cursor, Item, OwnedChange, PullRequest, PullSummary, RosterSource, SinkClosed, SourceError,
    UserHalf,
};
use rollcall_domain::{Kind, Record};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const DISTRICT: &str = "58da8a43cc70ab00017a0001";
pub(crate) const SECRET: &str = "s3cret-of-the-app";
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// All scopes of a district that shares its roster.
pub(crate) const SECURE_SYNC: [&str; 10] = [
    "read:district_admins",
    "read:districts",
    "read:resources",
    "read:school_admins",
    "read:schools",
    "read:sections",
    "read:student_contacts",
    "read:students",
    "read:teachers",
    "read:user_id",
];

/// All scopes of a district that lets its people log in.
pub(crate) const LOGIN_ONLY: [&str; 5] = [
    "read:district_admins_basic",
    "read:school_admins_basic",
    "read:students_basic",
    "read:teachers_basic",
    "read:user_id",
];

/// A clock that a test sets.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub(crate) fn at(text: &str) -> Self {
        Self(Arc::new(Mutex::new(text.parse().unwrap())))
    }

    pub(crate) fn set(&self, text: &str) {
        *self.0.lock().unwrap() = text.parse().unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// One request: its path without the version, and its query.
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    /// How many requests for the path came before it.
    pub(crate) before: usize,
    pub(crate) authorization: String,
}

type Script = Box<dyn Fn(&Asked, &Behaviour) -> Option<ResponseTemplate> + Send + Sync>;

/// What the server has and how it behaves.
pub(crate) struct Behaviour {
    pub(crate) data: BTreeMap<String, Vec<Value>>,
    /// The events, oldest first.
    pub(crate) events: Vec<Value>,
    pub(crate) tokens: Vec<Value>,
    /// The token that the API takes.
    pub(crate) valid: String,
    /// Whether `ending_before=last` gives the newest event.
    pub(crate) knows_last: bool,
    /// The most objects in a page, whatever is asked for.
    pub(crate) cap: usize,
    /// Looked at first.
    pub(crate) script: Option<Script>,
    pub(crate) asked: Vec<String>,
}

impl Behaviour {
    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let full = request.url.path();
        let path = full.trim_start_matches('/').split_once('/').map_or(full, |(first, rest)| match first {
            "oauth" => full.trim_start_matches('/'),
            _ => rest,
        });
        let path = path.to_owned();
        let query = request.url.query_pairs().into_owned().collect();
        let shown = request.url.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
        let before = self.asked.iter().filter(|other| other.split('?').next() == Some(path.as_str())).count();
        self.asked.push(shown);
        let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let asked = Asked { path, query, before, authorization: header.unwrap_or_default().to_owned() };
        let script = self.script.take();
        let scripted = script.as_ref().and_then(|script| script(&asked, self));
        self.script = script;
        scripted.unwrap_or_else(|| self.honest(&asked))
    }

    /// The answer of a Clever that works.
    pub(crate) fn honest(&self, asked: &Asked) -> ResponseTemplate {
        if asked.path == "oauth/tokens" {
            let wanted = asked.query.get("district");
            let rows: Vec<_> =
                self.tokens.iter().filter(|row| wanted.is_none_or(|id| row["owner"]["id"] == id.as_str())).collect();
            let links = json!([{"rel": "self", "uri": "/oauth/tokens?owner_type=district"}]);
            return ResponseTemplate::new(200).set_body_json(json!({"data": rows, "links": links}));
        }
        if asked.authorization != format!("Bearer {}", self.valid) {
            return ResponseTemplate::new(401).set_body_json(json!({"message": "Invalid token"}));
        }
        if asked.path == "oauth/tokeninfo" {
            return ResponseTemplate::new(200).set_body_json(json!({"client_id": "app", "scopes": SECURE_SYNC}));
        }
        match asked.path.split('/').collect::<Vec<_>>().as_slice() {
            ["events"] => self.feed(asked),
            ["users"] if asked.query.contains_key("role") => {
                let role = &asked.query["role"];
                self.page(asked, self.data["users"].iter().filter(|user| user["roles"].get(role).is_some()).collect())
            }
            ["courses", course, "sections"] => {
                self.page(asked, self.data["sections"].iter().filter(|section| section["course"] == *course).collect())
            }
            [list] if self.data.contains_key(*list) => self.page(asked, self.data[*list].iter().collect()),
            [list, id] => match self.data.get(*list).and_then(|all| all.iter().find(|object| object["id"] == *id)) {
                Some(object) => limits(ResponseTemplate::new(200).set_body_json(json!({"data": object, "links": []}))),
                None => not_found(&asked.path),
            },
            _ => not_found(&asked.path),
        }
    }

    fn feed(&self, asked: &Asked) -> ResponseTemplate {
        if self.knows_last && asked.query.get("ending_before").is_some_and(|before| before == "last") {
            let last: Vec<_> = self.events.last().into_iter().map(|event| json!({"data": event})).collect();
            let body = json!({"data": last, "links": [{"rel": "self", "uri": "/v3.1/events?"}]});
            return limits(ResponseTemplate::new(200).set_body_json(body));
        }
        self.page(asked, self.events.iter().collect())
    }

    fn page(&self, asked: &Asked, objects: Vec<&Value>) -> ResponseTemplate {
        limits(ResponseTemplate::new(200).set_body_json(self.page_of(asked, objects)))
    }

    /// A page of these objects.
    pub(crate) fn page_of(&self, asked: &Asked, objects: Vec<&Value>) -> Value {
        let after = asked.query.get("starting_after");
        let total = objects.len();
        let rest: Vec<_> = objects
            .into_iter()
            .filter(|object| after.is_none_or(|after| object["id"].as_str().unwrap() > after.as_str()))
            .collect();
        let limit = asked.query.get("limit").map_or(100, |limit| limit.parse::<usize>().unwrap()).min(self.cap);
        let page = &rest[..rest.len().min(limit)];
        let mut links = vec![json!({"rel": "self", "uri": format!("/v3.1/{}", asked.path)})];
        if rest.len() > page.len() {
            let mut uri = format!("/v3.1/{}?limit={limit}", asked.path);
            if let Some(role) = asked.query.get("role") {
                let _ = write!(uri, "&role={role}");
            }
            let _ = write!(uri, "&starting_after={}", page.last().unwrap()["id"].as_str().unwrap());
            links.push(json!({"rel": "next", "uri": uri}));
        }
        let data: Vec<_> = page.iter().map(|object| json!({"data": object, "uri": "/v3.1/x"})).collect();
        let mut body = json!({"links": links, "data": data});
        if asked.query.get("count").is_some_and(|count| count == "true") {
            body["count"] = json!(total);
        }
        body
    }

    /// A change in the data, and the event that tells of it.
    pub(crate) fn change(&mut self, event: &str, object: &Value, previous: Option<Value>) {
        let (list, action) = event.split_once('.').unwrap();
        let objects = self.data.get_mut(list).unwrap();
        objects.retain(|known| known["id"] != object["id"]);
        if action != "deleted" {
            objects.push(object.clone());
            objects.sort_by_key(|object| object["id"].as_str().unwrap().to_owned());
        }
        self.tell(event, object, previous);
    }

    /// An event alone.
    pub(crate) fn tell(&mut self, event: &str, object: &Value, previous: Option<Value>) {
        // The 21st of November 2026, at one in the morning.
        let id = format!("6b00ed10{:016x}", self.events.len());
        let mut data = json!({"object": object});
        if let Some(previous) = previous {
            data["previous_attributes"] = previous;
        }
        self.events.push(json!({"id": id, "type": event, "created": "2026-11-21T01:00:00.000Z", "data": data}));
    }

    pub(crate) fn get(&self, list: &str, id: &str) -> Value {
        self.data[list].iter().find(|object| object["id"] == id).unwrap().clone()
    }
}

fn limits(answer: ResponseTemplate) -> ResponseTemplate {
    answer
        .append_header("x-ratelimit-limit", "1200")
        .append_header("x-ratelimit-remaining", "1199")
        .append_header("x-ratelimit-bucket", "bearer")
}

/// The page for people with which Clever answers what it does not know.
pub(crate) fn not_found(path: &str) -> ResponseTemplate {
    let page = format!("<!DOCTYPE html>\n<html lang=\"en\"><body><pre>Cannot GET /v3.1/{path}</pre></body></html>\n");
    ResponseTemplate::new(404).set_body_raw(page, "text/html; charset=utf-8")
}

struct Answers(Arc<Mutex<Behaviour>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.0.lock().unwrap().answer(request)
    }
}

/// A server, and a source that reads from it.
pub(crate) struct Clever {
    pub(crate) server: MockServer,
    pub(crate) behaviour: Arc<Mutex<Behaviour>>,
    pub(crate) config: CleverConfig,
    pub(crate) clock: TestClock,
}

pub(crate) fn token_row(district: &str, token: &str, scopes: &[&str]) -> Value {
    json!({
        "id": "2345b13db7c601000705ab5d",
        "created": "2026-02-24T22:24:55.985Z",
        "owner": {"type": "district", "id": district},
        "access_token": token,
        "scopes": scopes,
    })
}

pub(crate) fn fixture_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v3.1")
}

pub(crate) fn objects(file: &Path) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

impl Clever {
    /// One that has the written payloads.
    pub(crate) async fn fixture() -> Self {
        let lists = ["districts", "schools", "terms", "courses", "sections", "users"];
        let read = |list: &str| objects(&fixture_folder().join(format!("{list}.json")));
        Self::with(lists.into_iter().map(|list| (list.to_owned(), read(list))).collect()).await
    }

    pub(crate) async fn with(data: BTreeMap<String, Vec<Value>>) -> Self {
        let district = data["districts"][0]["id"].as_str().unwrap().to_owned();
        let behaviour = Arc::new(Mutex::new(Behaviour {
            data,
            events: Vec::new(),
            tokens: vec![token_row(&district, TOKEN, &SECURE_SYNC)],
            valid: TOKEN.to_owned(),
            knows_last: true,
            cap: 10_000,
            script: None,
            asked: Vec::new(),
        }));
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Answers(Arc::clone(&behaviour))).mount(&server).await;
        let credentials = CleverCredentials::Application { client_id: "app".to_owned(), client_secret: SECRET.into() };
        let mut config = CleverConfig::new(credentials, Some(district));
        config.api_url = server.uri().parse().unwrap();
        config.oauth_url = server.uri().parse().unwrap();
        config.retry = RetryPolicy {
            max_tries: 3,
            min_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(2),
            ..RetryPolicy::default()
        };
        Self { server, behaviour, config, clock: TestClock::at("2026-11-21T02:00:00Z") }
    }

    pub(crate) fn source(&self) -> CleverSource {
        CleverSource::new(self.config.clone(), Arc::new(self.clock.clone())).unwrap()
    }

    /// Answers as `script` says, where it says anything.
    pub(crate) fn script(
        &self,
        script: impl Fn(&Asked, &Behaviour) -> Option<ResponseTemplate> + Send + Sync + 'static,
    ) {
        self.behaviour.lock().unwrap().script = Some(Box::new(script));
    }

    pub(crate) fn change(&self, event: &str, object: &Value, previous: Option<Value>) {
        self.behaviour.lock().unwrap().change(event, object, previous);
    }

    pub(crate) fn get(&self, list: &str, id: &str) -> Value {
        self.behaviour.lock().unwrap().get(list, id)
    }

    /// The requests so far, which are forgotten.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.behaviour.lock().unwrap().asked)
    }

    pub(crate) async fn try_pull(&self, request: PullRequest) -> Result<Pulled, SourceError> {
        let sink = Remembering::default();
        let summary = self.source().pull(&request, Box::new(sink.clone())).await?;
        let items = std::mem::take(&mut *sink.0.lock().unwrap());
        Ok(Pulled { items, summary })
    }

    pub(crate) async fn pull(&self) -> Pulled {
        self.try_pull(request(None)).await.unwrap()
    }

    /// A pull of what changed since another.
    pub(crate) async fn pull_after(&self, earlier: &Pulled) -> Pulled {
        self.try_pull(request(earlier.summary.cursor.clone())).await.unwrap()
    }
}

pub(crate) fn request(cursor: Option<Cursor>) -> PullRequest {
    PullRequest { cursor, full: false, demographics: true }
}

#[derive(Clone, Default)]
struct Remembering(Arc<Mutex<Vec<Item>>>);

#[async_trait]
impl BatchSink for Remembering {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        assert!(batch.len() <= 2_000, "batches are bounded");
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// What a pull brought.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) items: Vec<Item>,
    pub(crate) summary: PullSummary,
}

impl Pulled {
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.items.iter().filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record()),
            _ => None,
        })
    }

    pub(crate) fn of(&self, kind: Kind) -> Vec<&Record> {
        self.records().filter(|record| record.kind() == kind).collect()
    }

    pub(crate) fn note(&self) -> &str {
        self.summary.note.as_deref().unwrap_or_default()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.note().contains("everything was read")
    }

    /// Warnings and rejects, one a line.
    pub(crate) fn remarks(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Warning(warning) => {
                    let finding = &warning.finding;
                    let id = warning.sourced_id.as_ref().map_or("-", |id| id.as_str());
                    let _ = writeln!(text, "warning {} {id} {}", finding.code, finding.field.as_deref().unwrap_or("-"));
                }
                Item::Reject(reject) => {
                    let id = reject.sourced_id.as_ref().map_or("-", |id| id.as_str());
                    let _ = writeln!(text, "reject {} {id} {}", reject.kind, reject.findings[0].code);
                }
                _ => {}
            }
        }
        text
    }

    /// What it amounts to, one item a line.
    pub(crate) fn outline(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            let line = match item {
                Item::Upsert(upsert) => {
                    let half = if upsert.half == UserHalf::WithoutAgents { " without agents" } else { "" };
                    format!("upsert {} {}{half}", upsert.record().kind(), upsert.record().sourced_id())
                }
                Item::Delete(deletion) => format!("delete {} {}", deletion.kind, deletion.sourced_id),
                Item::Owned(OwnedChange::Enrollments { class, enrollments, .. }) => {
                    let ids: Vec<_> = enrollments
                        .iter()
                        .map(|one| {
                            let primary = if one.primary == Some(true) { " (primary)" } else { "" };
                            format!("{}:{}{primary}", one.user, one.role)
                        })
                        .collect();
                    format!("enrollments of {class}: {}", ids.join(", "))
                }
                Item::Owned(OwnedChange::Agent { user, agent, .. }) => format!("agent of {user}: {agent}"),
                Item::Owned(OwnedChange::AgentGone { user, agent, .. }) => format!("no agent of {user}: {agent}"),
                Item::Reject(reject) => format!("reject {}", reject.kind),
                other => format!("{other:?}"),
            };
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

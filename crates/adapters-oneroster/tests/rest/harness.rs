//! A server that answers as it is told, and a sink that remembers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rollcall_adapters_http::{HttpConfig, HttpSession, RetryPolicy};
use rollcall_adapters_oneroster::{RestConfig, RestProfile, RestSource, RestVersion, ServiceRoot};
use rollcall_domain::ports::{
    Clock, Cursor, Item, OwnedChange, PullRequest, PullSummary, RoleChange, SourceError, UserHalf,
};
use rollcall_domain::{Kind, Record};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

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

/// What the server does with a condition on the date.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filtering {
    Honours,
    Ignores,
    Refuses,
}

/// How the server says how many records there are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announces {
    Honestly,
    Nothing,
    ThePage,
    Always(usize),
}

/// How the server links to the next page.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    None,
    ByOffset,
    ByToken,
    ToItself,
}

/// One request for a part of a collection.
pub(crate) struct Asked {
    pub(crate) collection: String,
    /// How many requests for the collection came before it.
    pub(crate) before: usize,
    pub(crate) query: BTreeMap<String, String>,
}

impl Asked {
    pub(crate) fn number(&self, name: &str, otherwise: usize) -> usize {
        self.query.get(name).map_or(otherwise, |text| text.parse().unwrap())
    }
}

type Script = Box<dyn Fn(&Asked, &mut Behaviour) -> Option<ResponseTemplate> + Send + Sync>;

/// What the server has and how it behaves.
pub(crate) struct Behaviour {
    pub(crate) data: BTreeMap<String, Vec<Value>>,
    pub(crate) cap: usize,
    pub(crate) announces: Announces,
    pub(crate) links: Links,
    pub(crate) filtering: Filtering,
    pub(crate) ignores_offset: bool,
    pub(crate) refuses_fields: bool,
    pub(crate) refuses_sort: bool,
    pub(crate) hidden: BTreeMap<&'static str, u16>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Looked at first.
    pub(crate) script: Option<Script>,
    asked: Vec<(String, String)>,
}

impl Behaviour {
    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let collection = request.url.path().rsplit('/').next().unwrap().to_owned();
        let before = self.asked.iter().filter(|(other, _)| *other == collection).count();
        self.asked.push((collection.clone(), decoded(request)));
        let query = request.url.query_pairs().into_owned().collect();
        let asked = Asked { collection, before, query };
        let script = self.script.take();
        let scripted = script.as_ref().and_then(|script| script(&asked, self));
        self.script = script;
        scripted.unwrap_or_else(|| self.honest(&asked))
    }

    /// The answer of a server that works.
    pub(crate) fn honest(&self, asked: &Asked) -> ResponseTemplate {
        if let Some(status) = self.hidden.get(asked.collection.as_str()) {
            return refusal(*status, "forbidden");
        }
        if self.refuses_fields && asked.query.contains_key("fields") {
            return refusal(400, "invalid_selection_field");
        }
        if self.refuses_sort && asked.query.contains_key("sort") {
            return refusal(400, "invaliddata");
        }
        let mut records: Vec<&Value> = self.data.get(&asked.collection).into_iter().flatten().collect();
        if let Some(filter) = asked.query.get("filter") {
            for condition in filter.split(" AND ") {
                if let Some(since) = condition.strip_prefix("dateLastModified>=") {
                    match self.filtering {
                        Filtering::Ignores => {}
                        Filtering::Refuses => return refusal(400, "invalid_filter_field"),
                        Filtering::Honours => {
                            records.retain(|record| {
                                let date = record["dateLastModified"].as_str().unwrap_or_default();
                                !date.is_empty() && date >= since.trim_matches('\'')
                            });
                        }
                    }
                } else {
                    let (field, value) = condition.split_once('=').unwrap();
                    records.retain(|record| record[field] == value.trim_matches('\''));
                }
            }
        }
        if asked.query.contains_key("sort") {
            records.sort_by_key(|record| record["sourcedId"].to_string());
        }
        let total = records.len();
        let offset = match asked.query.get("page") {
            Some(token) => token.parse().unwrap(),
            None if self.ignores_offset => 0,
            None => asked.number("offset", 0),
        };
        let limit = asked.number("limit", 100).min(self.cap);
        let page: Vec<&Value> = records.iter().skip(offset).take(limit).copied().collect();
        let count = page.len();
        let mut answer = ResponseTemplate::new(200).set_body_json(json!({ asked.collection.as_str(): page }));
        match self.announces {
            Announces::Honestly => answer = answer.insert_header("X-Total-Count", total.to_string()),
            Announces::ThePage => answer = answer.insert_header("X-Total-Count", count.to_string()),
            Announces::Always(number) => answer = answer.insert_header("X-Total-Count", number.to_string()),
            Announces::Nothing => {}
        }
        let next = offset + count;
        let link = match self.links {
            Links::ToItself => Some(format!("offset={offset}&limit={limit}")),
            _ if next >= total => None,
            Links::None => None,
            Links::ByOffset => Some(format!("limit={limit}&offset={next}")),
            Links::ByToken => Some(format!("page={next}&limit={limit}")),
        };
        if let Some(link) = link {
            answer = answer.insert_header("Link", format!("<{}?fields=a,b&{link}>; rel=\"next\"", asked.collection));
        }
        // Later than any clock of a test, which then decides; the machine's own clock decides nothing.
        answer = answer.insert_header("Date", "Fri, 01 Jan 2100 00:00:00 GMT");
        for (name, value) in &self.headers {
            answer = answer.insert_header(*name, value.as_str());
        }
        answer
    }
}

/// An error payload as 1.2 has it.
pub(crate) fn refusal(status: u16, minor: &str) -> ResponseTemplate {
    let answer = ResponseTemplate::new(status).insert_header("Date", "Tue, 01 Sep 2026 00:00:00 GMT");
    answer.set_body_json(json!({
        "imsx_codeMajor": "failure",
        "imsx_severity": "error",
        "imsx_description": "the server says no",
        "imsx_CodeMinor": {"imsx_codeMinorField": [
            {"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": minor}
        ]},
    }))
}

fn decoded(request: &Request) -> String {
    let pairs: Vec<_> = request.url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

#[derive(Clone)]
pub(crate) struct Vendor(Arc<Mutex<Behaviour>>);

impl Respond for Vendor {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.0.lock().unwrap().answer(request)
    }
}

/// A server and a source that reads it.
pub(crate) struct Service {
    server: MockServer,
    vendor: Vendor,
    pub(crate) config: RestConfig,
    pub(crate) profile: RestProfile,
    pub(crate) clock: TestClock,
}

impl Service {
    pub(crate) async fn with(version: RestVersion, data: BTreeMap<String, Vec<Value>>) -> Self {
        let server = MockServer::start().await;
        let vendor = Vendor(Arc::new(Mutex::new(Behaviour {
            data,
            cap: usize::MAX,
            announces: Announces::Honestly,
            links: Links::None,
            filtering: Filtering::Honours,
            ignores_offset: false,
            refuses_fields: false,
            refuses_sort: false,
            hidden: BTreeMap::new(),
            headers: Vec::new(),
            script: None,
            asked: Vec::new(),
        })));
        Mock::given(any()).respond_with(vendor.clone()).mount(&server).await;
        let mut config = RestConfig::new(version, "client-1");
        config.page_size = 10;
        Self { server, vendor, config, profile: RestProfile::STANDARD, clock: TestClock::at("2026-09-01T00:00:00Z") }
    }

    /// A folder under `fixtures/rest/`.
    pub(crate) async fn fixture(version: RestVersion, folder: &str) -> Self {
        Self::with(version, payloads(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rest").join(folder))).await
    }

    /// A school with a class in which this many students are.
    pub(crate) async fn school(students: usize) -> Self {
        Self::with(RestVersion::V1_1, school(students)).await
    }

    /// Changes what the server has or does.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.vendor.0.lock().unwrap());
    }

    /// Lets a script answer before the server does.
    pub(crate) fn script(
        &self,
        script: impl Fn(&Asked, &mut Behaviour) -> Option<ResponseTemplate> + Send + Sync + 'static,
    ) {
        self.change(|behaviour| behaviour.script = Some(Box::new(script)));
    }

    /// What was asked of a collection since the last time somebody wanted to know.
    pub(crate) fn asked(&self, collection: &str) -> Vec<String> {
        let mut asked = Vec::new();
        self.change(|behaviour| {
            for (other, query) in std::mem::take(&mut behaviour.asked) {
                if other == collection {
                    asked.push(query);
                }
            }
        });
        asked
    }

    pub(crate) fn source(&self) -> RestSource {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let root = ServiceRoot::find(&self.server.uri(), Some(self.config.version)).unwrap();
        let mut http = HttpConfig::new(root.base_url);
        http.retry = RetryPolicy {
            max_tries: 3,
            min_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(2),
            ..RetryPolicy::default()
        };
        let session = HttpSession::new(http, Arc::clone(&clock)).unwrap();
        RestSource::with_profile(self.config.clone(), session, clock, self.profile)
    }

    pub(crate) async fn pull(&self) -> Pulled {
        self.try_pull(None, false).await.unwrap()
    }

    pub(crate) async fn pull_from(&self, cursor: Option<Cursor>) -> Pulled {
        self.try_pull(cursor, false).await.unwrap()
    }

    pub(crate) async fn failure(&self) -> SourceError {
        self.try_pull(None, false).await.err().unwrap()
    }

    pub(crate) async fn try_pull(&self, cursor: Option<Cursor>, full: bool) -> Result<Pulled, SourceError> {
        let request = PullRequest { cursor, full, demographics: true };
        let pulled = rollcall_testkit::source::pull(&self.source(), &request).await?;
        let rollcall_testkit::source::Pulled { items, restarts, summary } = pulled;
        Ok(Pulled { items, restarts, summary, uri: self.server.uri() })
    }

    /// An error or a summary without the port of the test's server.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&self.server.uri(), "https://sis")
    }
}

/// The payloads of a folder, by collection.
pub(crate) fn payloads(folder: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut data = BTreeMap::new();
    for file in folder.read_dir().unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let payload: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            data.extend(payload);
        }
    }
    data
}

/// A record as servers send it.
pub(crate) fn record(id: &str, mut fields: Value) -> Value {
    fields["sourcedId"] = id.into();
    for (key, value) in [("status", "active"), ("dateLastModified", "2026-08-01T10:00:00.000Z")] {
        if fields[key].is_null() {
            fields[key] = value.into();
        }
    }
    fields
}

/// A school with a class in which this many students are.
pub(crate) fn school(students: usize) -> BTreeMap<String, Vec<Value>> {
    let reference = |id: &str| json!({ "sourcedId": id });
    let user = |number: usize| {
        let fields = json!({"username": format!("u{number}"), "enabledUser": "true", "givenName": "A",
            "familyName": "B", "role": "student", "orgs": [reference("s1")]});
        record(&format!("u{number:04}"), fields)
    };
    let enrollment = |number: usize| {
        let fields = json!({"user": reference(&format!("u{number:04}")), "class": reference("k1"),
            "school": reference("s1"), "role": "student"});
        record(&format!("e{number:04}"), fields)
    };
    let year = json!({"title": "Year", "type": "schoolYear", "startDate": "2026-08-17", "endDate": "2027-06-12",
        "schoolYear": "2027"});
    let class = json!({"title": "Class", "classType": "homeroom", "course": reference("c1"),
        "school": reference("s1"), "terms": [reference("y1")]});
    [
        ("orgs", vec![record("s1", json!({"name": "School", "type": "school"}))]),
        ("academicSessions", vec![record("y1", year)]),
        ("courses", vec![record("c1", json!({"title": "Course", "org": reference("s1")}))]),
        ("classes", vec![record("k1", class)]),
        ("users", (0..students).map(user).collect()),
        ("enrollments", (0..students).map(enrollment).collect()),
        ("demographics", Vec::new()),
    ]
    .map(|(name, records)| (name.to_owned(), records))
    .into()
}

/// What a pull brought.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) items: Vec<Item>,
    pub(crate) restarts: Vec<String>,
    pub(crate) summary: PullSummary,
    uri: String,
}

impl Pulled {
    pub(crate) fn records(&self) -> Vec<&Record> {
        self.items
            .iter()
            .filter_map(|item| if let Item::Upsert(upsert) = item { Some(upsert.record()) } else { None })
            .collect()
    }

    pub(crate) fn ids(&self, kind: Kind) -> Vec<&str> {
        self.records()
            .into_iter()
            .filter(|record| record.kind() == kind)
            .map(|record| record.sourced_id().as_str())
            .collect()
    }

    /// How many different records there are of a kind.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        let mut ids = self.ids(kind);
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.summary.cursor.clone()
    }

    /// Everything but records, to be read by a person.
    pub(crate) fn remarks(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Upsert(upsert) if upsert.half == UserHalf::WithoutRoles => {
                    writeln!(text, "upsert without roles {} {}", upsert.location, upsert.record().sourced_id())
                        .unwrap();
                }
                Item::Delete(deletion) => {
                    writeln!(text, "delete {} {} {}", deletion.location, deletion.kind, deletion.sourced_id).unwrap();
                }
                Item::Owned(OwnedChange::Role { change: RoleChange::Put { user, role }, location, .. }) => {
                    writeln!(text, "put role {location} of {user}: {}", serde_json::to_string(role).unwrap()).unwrap();
                }
                Item::Reject(reject) => {
                    let id = reject.sourced_id.as_ref().map_or("?", |id| id.as_str());
                    let part = if reject.is_part { " part of" } else { "" };
                    writeln!(text, "reject {} {}{part} {id}", reject.location, reject.kind).unwrap();
                    for finding in &reject.findings {
                        let field = finding.field.as_deref().unwrap_or("-");
                        writeln!(text, "  {} {field}: {}", finding.code, finding.message).unwrap();
                    }
                    if let Some(record) = &reject.record {
                        writeln!(text, "  {record}").unwrap();
                    }
                }
                Item::Warning(warning) => {
                    let finding = &warning.finding;
                    let field = finding.field.as_deref().unwrap_or("-");
                    writeln!(text, "warn {} {field} {}: {}", finding.code, warning.location, finding.message).unwrap();
                }
                _ => {}
            }
        }
        text.replace(&self.uri, "https://sis")
    }
}

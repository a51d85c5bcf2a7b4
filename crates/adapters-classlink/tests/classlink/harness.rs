//! A ClassLink that answers as it is told, and a sink that remembers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use rollcall_adapters_classlink::{ClassLinkAccess, ClassLinkConfig, ClassLinkDirectory, ClassLinkSource, Mode};
use rollcall_adapters_http::RetryPolicy;
use rollcall_domain::ports::{Clock, Cursor, Item, PullRequest, PullSummary, SourceError};
use rollcall_domain::{Kind, Record};
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const PARTNER_KEY: &str = "s3cret-of-the-partner";
pub(crate) const BEARER: &str = "b3arer-of-the-tenant";
pub(crate) const CONSUMER_SECRET: &str = "s3cret-of-the-server";
pub(crate) const TENANT: &str = "2222";
/// As the list has it: a slash and an equals sign, encoded once.
pub(crate) const APPLICATION: &str = "%2FgVa0ed75Gs%3D";

/// A clock that a test sets.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub(crate) fn set(&self, text: &str) {
        *self.0.lock().unwrap() = text.parse().unwrap();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The path as it came, escapes and all.
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) authorization: String,
    /// The last part of the path.
    pub(crate) collection: String,
    /// How many requests for the path came before it.
    pub(crate) before: usize,
}

impl Asked {
    fn number(&self, name: &str, otherwise: usize) -> usize {
        self.query.get(name).map_or(otherwise, |text| text.parse().unwrap())
    }
}

type Script = Box<dyn Fn(&Asked, &mut Behaviour) -> Option<ResponseTemplate> + Send + Sync>;

/// What ClassLink has and how it behaves.
pub(crate) struct Behaviour {
    pub(crate) applications: Vec<Value>,
    pub(crate) server: Value,
    pub(crate) data: BTreeMap<String, Vec<Value>>,
    /// The bearer that the proxy takes.
    pub(crate) valid: String,
    pub(crate) revision: Option<String>,
    /// Whether there are `x-total-count` and `x-count`.
    pub(crate) counts: bool,
    /// The most entries of the list in one answer.
    pub(crate) cap: usize,
    /// Looked at first.
    pub(crate) script: Option<Script>,
    pub(crate) asked: Vec<Asked>,
}

impl Behaviour {
    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let path = request.url.path().to_owned();
        let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
        let asked = Asked {
            query: request.url.query_pairs().into_owned().collect(),
            authorization: header.unwrap_or_default().to_owned(),
            collection: path.rsplit('/').next().unwrap().to_owned(),
            before: self.asked.iter().filter(|other| other.path == path).count(),
            path,
        };
        self.asked.push(asked.clone());
        let script = self.script.take();
        let scripted = script.as_ref().and_then(|script| script(&asked, self));
        self.script = script;
        scripted.unwrap_or_else(|| self.honest(&asked))
    }

    /// The answer of a ClassLink that works.
    pub(crate) fn honest(&self, asked: &Asked) -> ResponseTemplate {
        let path = asked.path.as_str();
        if path.starts_with("/applications") {
            if asked.authorization != format!("Bearer {PARTNER_KEY}") {
                return unauthorized();
            }
            if path.ends_with("/server") {
                return ResponseTemplate::new(200)
                    .set_body_json(json!({"status": 1, "server": self.server, "message": ""}));
            }
            let (offset, limit) = (asked.number("offset", 0), asked.number("limit", 100).min(self.cap));
            let page: Vec<_> = self.applications.iter().skip(offset).take(limit).collect();
            return ResponseTemplate::new(200)
                .insert_header("access-control-expose-headers", "x-total-count")
                .set_body_json(json!({"status": 1, "applications": page}));
        }
        let is_proxied = path.starts_with(&format!("/{APPLICATION}/ims/oneroster/v1p1/"));
        let is_allowed = if is_proxied {
            asked.authorization == format!("Bearer {}", self.valid)
        } else {
            asked.authorization.starts_with("OAuth ")
        };
        match (is_proxied || path.starts_with("/ims/oneroster/v1p1/"), is_allowed) {
            (false, _) => ResponseTemplate::new(404),
            (true, false) => unauthorized(),
            (true, true) => self.page(asked),
        }
    }

    /// A page of a collection, whoever asks for it.
    pub(crate) fn page(&self, asked: &Asked) -> ResponseTemplate {
        let mut records: Vec<&Value> = self.data.get(&asked.collection).into_iter().flatten().collect();
        if let Some(since) = asked.query.get("filter").and_then(|filter| filter.strip_prefix("dateLastModified>=")) {
            records
                .retain(|record| record["dateLastModified"].as_str().unwrap_or_default() >= since.trim_matches('\''));
        }
        let (offset, limit) = (asked.number("offset", 0), asked.number("limit", 100));
        let page: Vec<_> = records.iter().skip(offset).take(limit).collect();
        let (total, count) = (records.len(), page.len());
        // Later than any clock of a test, which then decides; the machine's own clock decides nothing.
        let mut answer = ResponseTemplate::new(200)
            .set_body_json(json!({ asked.collection.as_str(): page }))
            .insert_header("Date", "Fri, 01 Jan 2100 00:00:00 GMT");
        if let Some(revision) = &self.revision {
            answer = answer.insert_header("x-perm-rev", revision.as_str());
        }
        if self.counts {
            answer = answer.insert_header("x-total-count", total.to_string());
            answer = answer.insert_header("x-count", count.to_string());
        }
        for name in ["x-next-page-token", "x-obfuscated", "x-modified"] {
            answer = answer.insert_header(name, "");
        }
        answer
    }
}

/// What is said to whoever may not.
pub(crate) fn unauthorized() -> ResponseTemplate {
    let text = "401 UNAUTHORIZED - the Request requires authorization";
    ResponseTemplate::new(401).insert_header("Date", "Sun, 01 Nov 2026 02:00:00 GMT").set_body_string(text)
}

struct Answers(Arc<Mutex<Behaviour>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.0.lock().unwrap().answer(request)
    }
}

/// An entry of the list.
pub(crate) fn application(tenant: u32, id: &str, bearer: Option<&str>) -> Value {
    json!({
        "id": 90_000 + tenant, "application_id": 700, "tenant_id": tenant, "bearer": bearer,
        "tenant_name": format!("District {tenant}"), "enabled": "true", "tenant_status": "Active",
        "oneroster_application_id": id, "name": "Rollcall", "version": "",
    })
}

/// A ClassLink, and a source that reads from it.
pub(crate) struct ClassLink {
    pub(crate) server: MockServer,
    behaviour: Arc<Mutex<Behaviour>>,
    pub(crate) config: ClassLinkConfig,
    pub(crate) clock: TestClock,
}

impl ClassLink {
    /// One with the written payloads, read through the proxy.
    pub(crate) async fn fixture() -> Self {
        Self::with(payloads(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1p1"))).await
    }

    pub(crate) async fn with(data: BTreeMap<String, Vec<Value>>) -> Self {
        let server = MockServer::start().await;
        let behaviour = Arc::new(Mutex::new(Behaviour {
            applications: vec![application(2222, APPLICATION, Some(BEARER))],
            server: json!({
                "client_id": "0123456789abcdef01234567", "client_secret": CONSUMER_SECRET, "endpoint_url": server.uri(),
            }),
            data,
            valid: BEARER.to_owned(),
            revision: Some("rev-1".to_owned()),
            counts: true,
            cap: usize::MAX,
            script: None,
            asked: Vec::new(),
        }));
        Mock::given(any()).respond_with(Answers(Arc::clone(&behaviour))).mount(&server).await;
        let access = ClassLinkAccess::Partner { partner_key: PARTNER_KEY.into(), mode: Mode::Proxy };
        let mut config = ClassLinkConfig::new(access, "the variable CLASSLINK_KEY");
        config.proxy_url = server.uri().parse().unwrap();
        config.tenant = Some(TENANT.to_owned());
        config.http.retry = RetryPolicy {
            max_tries: 3,
            min_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(2),
            ..RetryPolicy::default()
        };
        let clock = TestClock(Arc::new(Mutex::new("2026-11-01T02:00:00Z".parse().unwrap())));
        Self { server, behaviour, config, clock }
    }

    /// Changes what it has or does.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    /// Lets a script answer before anything else does.
    pub(crate) fn script(
        &self,
        script: impl Fn(&Asked, &mut Behaviour) -> Option<ResponseTemplate> + Send + Sync + 'static,
    ) {
        self.change(|behaviour| behaviour.script = Some(Box::new(script)));
    }

    /// The requests so far, which are forgotten.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.behaviour.lock().unwrap().asked)
    }

    /// How often each path was asked for, the proxy's own left as it is.
    pub(crate) fn asked_for(&self, end: &str) -> usize {
        self.behaviour.lock().unwrap().asked.iter().filter(|asked| asked.path.ends_with(end)).count()
    }

    pub(crate) fn source(&self) -> ClassLinkSource {
        ClassLinkSource::new(self.config.clone(), Arc::new(self.clock.clone())).unwrap()
    }

    pub(crate) fn directory(&self) -> ClassLinkDirectory {
        ClassLinkDirectory::new(self.config.clone(), Arc::new(self.clock.clone())).unwrap()
    }

    pub(crate) async fn try_pull(&self, request: PullRequest) -> Result<Pulled, SourceError> {
        let pulled = rollcall_testkit::source::pull(&self.source(), &request).await?;
        let rollcall_testkit::source::Pulled { items, restarts, summary } = pulled;
        Ok(Pulled { items, restarts, summary, uri: self.server.uri() })
    }

    pub(crate) async fn pull(&self) -> Pulled {
        self.try_pull(request(None)).await.unwrap()
    }

    /// A pull after another.
    pub(crate) async fn pull_after(&self, earlier: &Pulled) -> Pulled {
        self.try_pull(request(earlier.summary.cursor.clone())).await.unwrap()
    }

    pub(crate) async fn failure(&self) -> SourceError {
        self.try_pull(request(None)).await.err().unwrap()
    }

    /// A text without the port of the test's server.
    pub(crate) fn plain(&self, text: &str) -> String {
        text.replace(&self.server.uri(), "https://classlink")
    }
}

pub(crate) fn request(cursor: Option<Cursor>) -> PullRequest {
    PullRequest { cursor, full: false, demographics: true }
}

/// The payloads of a folder, by collection.
pub(crate) fn payloads(folder: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut data = BTreeMap::new();
    for kind in Kind::ALL {
        let text = std::fs::read(folder.join(format!("{kind}.json"))).unwrap();
        data.extend(serde_json::from_slice::<BTreeMap<String, Vec<Value>>>(&text).unwrap());
    }
    data
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
    pub(crate) fn of(&self, kind: Kind) -> Vec<&Record> {
        let records = self.items.iter().filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record()),
            _ => None,
        });
        records.filter(|record| record.kind() == kind).collect()
    }

    /// Everything but records, to be read by a person.
    pub(crate) fn remarks(&self) -> String {
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Delete(deletion) => {
                    writeln!(text, "delete {} {} {}", deletion.location, deletion.kind, deletion.sourced_id).unwrap();
                }
                Item::Reject(reject) => {
                    let id = reject.sourced_id.as_ref().map_or("?", |id| id.as_str());
                    for finding in &reject.findings {
                        let field = finding.field.as_deref().unwrap_or("-");
                        writeln!(text, "reject {} {field} {} {id}: {}", finding.code, reject.location, finding.message)
                            .unwrap();
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
        text.replace(&self.uri, "https://classlink")
    }
}

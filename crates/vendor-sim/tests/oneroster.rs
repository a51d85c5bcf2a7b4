//! What the simulated OneRoster server answers, asked without a network.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::Kind;
use rollcall_domain::ports::Clock;
use rollcall_vendor_sim::auth::{Authentication, ClientAuth, OAuth1, OAuth2};
use rollcall_vendor_sim::oneroster::{History, OneRoster, OneRosterOptions, Package, Quirk, Version};
use rollcall_vendor_sim::{Churn, District, server};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use tower::ServiceExt as _;

const STUDENTS: usize = 250;
const ORIGIN: &str = "http://sis.example";
const CORE: &str = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-core.readonly";
const FULL: &str = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.readonly";
const DEMOGRAPHICS: &str = "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-demographics.readonly";

/// A clock that a test sets.
#[derive(Debug)]
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A server, and what a client of it knows.
struct Sim {
    router: Router,
    base: &'static str,
    clock: Arc<Hands>,
    authorization: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The records of a collection.
    fn records(&self, envelope: &str) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        self.json()[envelope].as_array().unwrap().clone()
    }

    fn total(&self) -> usize {
        self.header("x-total-count").parse().unwrap()
    }

    /// The links by relation.
    fn links(&self) -> BTreeMap<String, String> {
        let links = self.header("link").split(", <").filter(|link| !link.is_empty());
        let parts = links.map(|link| link.trim_start_matches('<').split_once(">; rel=\"").unwrap());
        parts.map(|(url, relation)| (relation.trim_end_matches('"').to_owned(), url.to_owned())).collect()
    }

    /// The minor code of an error of 1.2.
    fn minor(&self) -> String {
        let field = &self.json()["imsx_CodeMinor"]["imsx_codeMinorField"][0];
        field["imsx_codeMinorFieldValue"].as_str().unwrap_or_default().to_owned()
    }
}

impl Sim {
    fn district(version: Version, authentication: Authentication, quirks: &[Quirk]) -> Self {
        let clock = Arc::new(Hands(Mutex::new("2026-12-01T08:00:00Z".parse().unwrap())));
        let history =
            History { district: District::new(STUDENTS, 7).unwrap(), generations: 1, churn: Churn::new(0.02).unwrap() };
        let options =
            OneRosterOptions { max_limit: 500, quirks: quirks.to_vec(), ..OneRosterOptions::new(authentication) };
        let time: Arc<dyn Clock> = Arc::<Hands>::clone(&clock);
        let vendor = OneRoster::over_district(ORIGIN, version, history, options, time, &|_, _| {});
        Self {
            router: server::router(Arc::new(vendor)),
            base: version.base_path(),
            clock,
            authorization: "Bearer sesame".to_owned(),
        }
    }

    fn new(version: Version) -> Self {
        Self::district(version, Authentication::Bearer("sesame".into()), &[])
    }

    fn with_tokens(change: impl FnOnce(OAuth2) -> OAuth2) -> Self {
        let tokens = OAuth2::new("me", "s3cret".into(), Version::V1_2.scopes(), Duration::from_mins(1));
        Self::district(Version::V1_2, Authentication::OAuth2(change(tokens)), &[])
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Asks for something below the base path.
    async fn get(&self, path: &str) -> Answer {
        let uri = format!("{}/{path}", self.base);
        let request = Request::get(uri).header("host", "sis.example").header("authorization", &self.authorization);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Request::post(path).body(Body::from(body.to_string())).unwrap()).await
    }

    async fn ask_for_token(&self, form: &str, authorization: Option<&str>) -> Answer {
        let mut request = Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    async fn arm(&self, fault: Value) {
        assert_eq!(self.post("/_sim/fault", &fault).await.status, StatusCode::OK);
    }

    /// All records of a collection, page by page.
    async fn all(&self, path: &str, envelope: &str) -> Vec<Value> {
        let mut url = Some(format!("{path}{}limit=400", if path.contains('?') { "&" } else { "?" }));
        let mut records = Vec::new();
        while let Some(path) = url {
            let answer = self.get(&path).await;
            records.extend(answer.records(envelope));
            let next = answer.links().remove("next");
            url = next.map(|url| url.strip_prefix(&format!("{ORIGIN}{}/", self.base)).unwrap().to_owned());
        }
        records
    }
}

fn id(record: &Value) -> &str {
    record["sourcedId"].as_str().unwrap()
}

fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().map(id).collect()
}

const VERSIONS: [Version; 2] = [Version::V1_1, Version::V1_2];

#[tokio::test]
async fn every_record_of_the_district_is_served_once_and_in_order() {
    let churn = Churn::new(0.02).unwrap();
    let district = District::at_generation(STUDENTS, 7, 1, churn).unwrap();
    for version in VERSIONS {
        let sim = Sim::new(version);
        for kind in Kind::ALL {
            let served = sim.all(kind.as_str(), kind.as_str()).await;
            let served_ids = ids(&served);
            assert!(served_ids.is_sorted_by(|a, b| a < b), "{kind}");
            let live: BTreeSet<_> = served
                .iter()
                .filter(|record| record["status"] == "active")
                .map(|record| id(record).to_owned())
                .collect();
            let expected: BTreeSet<_> =
                district.records(kind).map(|record| record.sourced_id().as_str().to_owned()).collect();
            assert_eq!(live, expected, "{kind}");
        }
    }
}

#[tokio::test]
async fn records_look_as_the_standard_has_them() {
    for version in VERSIONS {
        let sim = Sim::new(version);
        let mut shown = serde_json::Map::new();
        for kind in Kind::ALL {
            let mut records = sim.all(kind.as_str(), kind.as_str()).await;
            // The one with most to say, of those with most to say the first.
            records.sort_by_key(|record| {
                let nested: usize = record["roles"].as_array().map_or(0, Vec::len);
                std::cmp::Reverse((nested, record.as_object().unwrap().len()))
            });
            shown.insert(kind.as_str().to_owned(), records[0].clone());
        }
        insta::assert_json_snapshot!(format!("records_{}", version.as_str().replace('.', "_")), shown);
    }
}

#[tokio::test]
async fn pages_have_totals_and_links() {
    let sim = Sim::new(Version::V1_2);
    let first = sim.get("users").await;
    let total = first.total();
    assert_eq!(first.records("users").len(), 100);
    let last = (total - 1) / 100 * 100;
    let url = |offset: usize| format!("{ORIGIN}{}/users?limit=100&offset={offset}", sim.base);
    assert_eq!(
        first.links(),
        BTreeMap::from([("first".into(), url(0)), ("next".into(), url(100)), ("last".into(), url(last))])
    );
    let end = sim.get(&format!("users?fields=sourcedId,username&limit=100&offset={last}")).await;
    assert_eq!(end.records("users").len(), total - last);
    assert_eq!(end.links().keys().collect::<Vec<_>>(), ["first", "last", "prev"]);
    assert!(end.links()["prev"].contains("fields=sourcedId,username&limit=100"), "{:?}", end.links());

    let beyond = sim.get(&format!("users?offset={total}")).await;
    assert_eq!((beyond.records("users").len(), beyond.total()), (0, total));
    // A limit beyond the server's own is silently cut.
    assert_eq!(sim.get("users?limit=100000").await.records("users").len(), total.min(500));
    for wrong in ["limit=0", "limit=x", "offset=-1", "limit=1&limit=2"] {
        let answer = sim.get(&format!("users?{wrong}")).await;
        assert_eq!((answer.status, answer.minor()), (StatusCode::UNPROCESSABLE_ENTITY, "invaliddata".to_owned()));
    }
}

#[tokio::test]
async fn filters_sorts_and_selections_are_the_standards() {
    let sim = Sim::new(Version::V1_2);
    let everyone = sim.all("users", "users").await;
    let students: Vec<_> = everyone
        .iter()
        .filter(|user| user["roles"].as_array().unwrap().iter().any(|role| role["role"] == "student"))
        .cloned()
        .collect();
    assert_eq!(sim.all("users?filter=roles.role%3D%27student%27", "users").await, students);
    assert_eq!(sim.all("students", "users").await, students);
    let filter = "filter=status%3D%27active%27%20AND%20familyName%3E%3D%27M%27";
    for user in sim.all(&format!("users?{filter}"), "users").await {
        assert!(user["status"] == "active" && user["familyName"].as_str().unwrap() >= "M");
    }
    let by_name = sim.all("users?sort=familyName&orderBy=desc&fields=familyName", "users").await;
    assert_eq!(by_name.len(), everyone.len());
    assert!(by_name.is_sorted_by_key(|user| std::cmp::Reverse(user["familyName"].as_str().unwrap().to_owned())));
    assert!(by_name.iter().all(|user| user.as_object().unwrap().keys().eq(["familyName"])));
    let reversed = sim.all("orgs?sort=sourcedId&orderBy=desc", "orgs").await;
    assert!(ids(&reversed).is_sorted_by(|a, b| a > b));

    for (query, minor) in [
        ("filter=status=%27active%27+AND+status=%27active%27", "invalid_filter_field"),
        ("filter=shoeSize%3D%2744%27", "invalid_filter_field"),
        ("filter=status%3Dactive", "invalid_filter_field"),
        ("fields=", "invalid_selection_field"),
        ("fields=shoeSize", "invalid_selection_field"),
        ("fields=username&fields=email", "invalid_selection_field"),
        ("sort=shoeSize", "invalid_selection_field"),
    ] {
        let answer = sim.get(&format!("users?{query}")).await;
        assert_eq!((answer.status, answer.minor()), (StatusCode::BAD_REQUEST, minor.to_owned()), "{query}");
    }
    // 1.1 serves what it can, and says so beside it.
    let old = Sim::new(Version::V1_1);
    for query in ["users?sort=shoeSize", "users?fields=shoeSize"] {
        let answer = old.get(query).await;
        assert!(!answer.records("users").is_empty());
        assert_eq!(answer.json()["statusInfoSet"][0]["imsx_severity"], "warning", "{query}");
    }
}

#[tokio::test]
async fn paths_below_a_record_mean_what_belongs_to_it() {
    for version in VERSIONS {
        let sim = Sim::new(version);
        let schools = sim.all("schools", "orgs").await;
        assert!(schools.iter().all(|org| org["type"] == "school"));
        let school = id(&schools[0]);
        let classes = sim.all("classes", "classes").await;
        let of_school: Vec<_> =
            classes.iter().filter(|class| class["school"]["sourcedId"] == school).cloned().collect();
        assert_eq!(sim.all(&format!("schools/{school}/classes"), "classes").await, of_school);
        let class = id(of_school.iter().find(|class| class["status"] == "active").unwrap());
        let enrolled: BTreeSet<_> = sim
            .all(&format!("schools/{school}/classes/{class}/enrollments"), "enrollments")
            .await
            .into_iter()
            .filter(|enrollment| enrollment["role"] == "student" && enrollment["status"] == "active")
            .map(|enrollment| enrollment["user"]["sourcedId"].as_str().unwrap().to_owned())
            .collect();
        assert!(!enrolled.is_empty());
        let students = sim.all(&format!("classes/{class}/students"), "users").await;
        assert_eq!(ids(&students).into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), enrolled);
        let student = enrolled.first().unwrap();
        let taken = sim.all(&format!("students/{student}/classes"), "classes").await;
        assert!(ids(&taken).contains(&class));
        let at_school = sim.all(&format!("schools/{school}/teachers"), "users").await;
        assert!(!at_school.is_empty());
        assert!(at_school.iter().all(|user| user.to_string().contains(school)));

        let single = sim.get(&format!("users/{student}?fields=sourcedId")).await;
        assert_eq!(single.json(), json!({"user": {"sourcedId": student}}));
        assert_eq!(sim.get(&format!("academicSessions/{student}")).await.status, StatusCode::NOT_FOUND);
        for unknown in [&format!("teachers/{student}"), "schools/nowhere/classes", "classes/x/enrollments", "pupils"] {
            let answer = sim.get(unknown).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{unknown}");
            match version {
                Version::V1_1 => assert_eq!(answer.json()["imsx_codeMinor"], "unknown object"),
                Version::V1_2 => assert_eq!(answer.minor(), "unknownobject"),
            }
        }
    }
}

#[tokio::test]
async fn an_advance_is_seen_by_its_time() {
    let sim = Sim::new(Version::V1_2);
    let changed_since = |time: &str| {
        let time = time.replace(':', "%3A");
        format!("enrollments?filter=dateLastModified%3E%3D%27{time}%27")
    };
    // The past of the district lies before the clock, and has its tombstones.
    let past = sim.all(&changed_since("2026-11-03T05:00:00.000Z"), "enrollments").await;
    assert!(past.iter().any(|one| one["status"] == "tobedeleted"));
    assert!(past.iter().all(|one| one["dateLastModified"] == "2026-11-03T05:00:00.000Z"));
    let before = sim.all("enrollments", "enrollments").await;
    assert!(past.len() < before.len() / 5);

    let answer = sim.post("/_sim/advance", &json!({"churn": 0.05})).await.json();
    assert_eq!((&answer["generation"], &answer["time"]), (&json!(2), &json!("2026-12-01T08:00:00Z")));
    let changed = sim.all(&changed_since("2026-12-01T08:00:00.000Z"), "enrollments").await;
    let counts = &answer["changes"]["enrollments"];
    let count = |name: &str| usize::try_from(counts[name].as_u64().unwrap()).unwrap();
    assert_eq!(changed.len(), count("created") + count("updated") + count("deleted"));
    assert_eq!(changed.iter().filter(|one| one["status"] == "tobedeleted").count(), count("deleted"));
    assert!(count("created") > 0 && count("deleted") > 0);
    // Nothing vanishes, and what did not change is served as it was.
    let after: BTreeMap<_, _> =
        sim.all("enrollments", "enrollments").await.into_iter().map(|one| (id(&one).to_owned(), one)).collect();
    let changed: BTreeSet<_> = ids(&changed).into_iter().map(str::to_owned).collect();
    for one in &before {
        assert!(changed.contains(id(one)) || &after[id(one)] == one);
    }
    // The clock stands still, and yet the next one is later.
    let again = sim.post(&format!("{}/_sim/advance", sim.base), &json!({})).await.json();
    assert_eq!(again["time"], "2026-12-01T08:00:00.001Z");
    assert_eq!(sim.post("/_sim/advance", &json!({"churn": 2})).await.status, StatusCode::BAD_REQUEST);

    let silent = Sim::district(Version::V1_2, Authentication::Bearer("sesame".into()), &[Quirk::NoTombstones]);
    assert!(silent.all("enrollments", "enrollments").await.iter().all(|one| one["status"] == "active"));
}

#[tokio::test]
async fn faults_befall_the_next_requests_and_no_more() {
    let sim = Sim::new(Version::V1_2);
    let whole = sim.get("users?limit=10&offset=10").await;
    let again = async || sim.get("users?limit=10&offset=10").await;

    sim.arm(json!({"kind": "rate_limited", "times": 2, "retry_after": 3})).await;
    for _ in 0..2 {
        let answer = again().await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "3"));
        assert_eq!(answer.minor(), "server_busy");
    }
    assert_eq!(again().await.body, whole.body);
    sim.arm(json!({"kind": "server_error", "times": 1, "status": 503})).await;
    assert_eq!(again().await.status, StatusCode::SERVICE_UNAVAILABLE);
    sim.arm(json!({"kind": "truncated", "times": 1})).await;
    let broken = again().await;
    assert_eq!((broken.header("content-length"), broken.body.len()), (whole.body.len().to_string().as_str(), 0));
    sim.arm(json!({"kind": "short_page", "times": 1})).await;
    let short = again().await;
    assert_eq!((short.records("users").len(), short.total()), (5, whole.total()));
    sim.arm(json!({"kind": "missing_envelope", "times": 1})).await;
    assert_eq!(again().await.json(), json!({}));
    sim.arm(json!({"kind": "empty_collection", "times": 1})).await;
    let empty = again().await;
    assert_eq!((empty.records("users").len(), empty.total()), (0, 0));
    sim.arm(json!({"kind": "login_page", "times": 1})).await;
    let login = again().await;
    assert_eq!((login.status, login.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    sim.arm(json!({"kind": "repeated_page", "times": 1})).await;
    let first = sim.get("users?limit=10").await;
    assert_eq!(again().await.records("users"), first.records("users"));
    sim.arm(json!({"kind": "shrinking_total", "times": 2})).await;
    assert_eq!([again().await.total(), again().await.total()], [whole.total() - 1, whole.total() - 2]);
    sim.arm(json!({"kind": "slow", "times": 1, "delay_ms": 1})).await;
    assert_eq!(again().await.body, whole.body);
    sim.arm(json!({"kind": "reset", "times": 5})).await;
    sim.arm(json!({"kind": "reset", "times": 0})).await;
    assert_eq!(again().await.body, whole.body);

    let refused = sim.post("/_sim/fault", &json!({"kind": "earthquake", "times": 1})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.json()["error"].as_str().unwrap().contains("rate_limited"));
}

#[tokio::test]
async fn only_a_token_with_the_right_scope_opens() {
    let mut sim = Sim::with_tokens(|tokens| tokens);
    let basic = format!("Basic {}", STANDARD.encode("me:s3cret"));
    let form = |scopes: &str| format!("grant_type=client_credentials&scope={}", scopes.replace(' ', "+"));
    let token = async |sim: &Sim, scopes: &str| {
        let answer = sim.ask_for_token(&form(scopes), Some(&basic)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-store"));
        assert_eq!((&answer.json()["expires_in"], &answer.json()["token_type"]), (&json!(60), &json!("Bearer")));
        format!("Bearer {}", answer.json()["access_token"].as_str().unwrap())
    };
    let nobody = sim.get("users").await;
    assert_eq!((nobody.status, nobody.minor()), (StatusCode::UNAUTHORIZED, "unauthorisedrequest".to_owned()));
    assert!(nobody.header("www-authenticate").starts_with("Bearer"));

    let school = {
        sim.authorization = token(&sim, FULL).await;
        id(&sim.get("schools").await.records("orgs")[0]).to_owned()
    };
    for (scopes, core, nested, demographics) in
        [(CORE, 200, 403, 403), (FULL, 200, 200, 403), (DEMOGRAPHICS, 403, 403, 200)]
    {
        sim.authorization = token(&sim, scopes).await;
        assert_eq!(sim.get("users").await.status, core, "{scopes}");
        assert_eq!(sim.get(&format!("schools/{school}/classes")).await.status, nested, "{scopes}");
        assert_eq!(sim.get("demographics").await.status, demographics, "{scopes}");
    }
    sim.authorization = token(&sim, &format!("{CORE} {DEMOGRAPHICS}")).await;
    assert_eq!(sim.get("demographics").await.status, StatusCode::OK);

    // One that has expired, by the clock and by a fault.
    *sim.clock.0.lock().unwrap() += SignedDuration::from_mins(1);
    assert_eq!(sim.get("users").await.status, StatusCode::UNAUTHORIZED);
    sim.authorization = token(&sim, CORE).await;
    sim.arm(json!({"kind": "expired_token", "times": 1})).await;
    let expired = [sim.get("users").await.status, sim.get("users").await.status];
    assert_eq!(expired, [StatusCode::UNAUTHORIZED; 2]);
    sim.authorization = token(&sim, CORE).await;
    assert_eq!(sim.get("users").await.status, StatusCode::OK);

    let in_body = "&client_id=me&client_secret=s3cret";
    for (form, authorization, status, error) in [
        (form(CORE), None, 401, "invalid_client"),
        (form(CORE), Some(format!("Basic {}", STANDARD.encode("me:wrong"))), 401, "invalid_client"),
        (form(CORE) + in_body, Some(basic.clone()), 400, "invalid_request"),
        (form(""), Some(basic.clone()), 400, "invalid_scope"),
        (form("everything"), Some(basic.clone()), 400, "invalid_scope"),
        (format!("scope={CORE}"), Some(basic.clone()), 400, "invalid_request"),
        ("grant_type=password".to_owned(), Some(basic.clone()), 400, "unsupported_grant_type"),
    ] {
        let answer = sim.ask_for_token(&form, authorization.as_deref()).await;
        assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (status, Some(error)), "{form}");
    }
    assert_eq!(sim.ask_for_token(&(form(CORE) + in_body), None).await.status, StatusCode::OK);
    let picky = Sim::with_tokens(|tokens| tokens.client_auth(ClientAuth::Basic));
    assert_eq!(picky.ask_for_token(&(form(CORE) + in_body), None).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(picky.ask_for_token(&form(CORE), Some(&basic)).await.status, StatusCode::OK);
}

/// The query that `signed` signs.
const QUERY: &str = "limit=2&filter=username%3E%27a%20b%27";

/// The header for `GET /ims/oneroster/v1p1/users?filter=…`, put together by hand.
fn signed(method: &str, timestamp: i64, nonce: &str, secret: &str) -> String {
    let base = format!(
        "GET&http%3A%2F%2Fsis.example%2Fims%2Foneroster%2Fv1p1%2Fusers&filter%3Dusername%253E%2527a%2520b%2527%26\
         limit%3D2%26oauth_consumer_key%3Dme%26oauth_nonce%3D{nonce}%26oauth_signature_method%3D{method}%26\
         oauth_timestamp%3D{timestamp}%26oauth_version%3D1.0"
    );
    let key = format!("{secret}&");
    let signature = if method == "HMAC-SHA1" {
        STANDARD
            .encode(Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap().chain_update(base).finalize().into_bytes())
    } else {
        STANDARD
            .encode(Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().chain_update(base).finalize().into_bytes())
    };
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!(
        "OAuth realm=\"\", oauth_consumer_key=\"me\", oauth_nonce=\"{nonce}\", oauth_signature_method=\"{method}\", \
         oauth_timestamp=\"{timestamp}\", oauth_version=\"1.0\", oauth_signature=\"{signature}\""
    )
}

#[tokio::test]
async fn only_a_fresh_and_rightly_signed_request_opens() {
    let mut sim = Sim::district(Version::V1_1, Authentication::OAuth1(OAuth1::new("me", "s3cret".into())), &[]);
    let now = sim.clock.now().as_second();
    let mut ask = async |authorization: String, query: &str| {
        sim.authorization = authorization;
        let answer = sim.get(&format!("users?{query}")).await;
        let description = answer.json()["imsx_description"].as_str().unwrap_or("answered").to_owned();
        (answer.status.as_u16(), description)
    };
    let opened = (200, "answered".to_owned());
    let refused = |why: &str| (401, why.to_owned());
    assert_eq!(ask(signed("HMAC-SHA1", now, "n1", "s3cret"), QUERY).await, opened);
    assert_eq!(ask(signed("HMAC-SHA256", now - 590, "n1", "s3cret"), QUERY).await, opened);
    assert_eq!(ask(signed("HMAC-SHA1", now, "n1", "s3cret"), QUERY).await, refused("this nonce was used before"));
    let mismatch = refused("the signature does not match the request");
    assert_eq!(ask(signed("HMAC-SHA1", now, "n2", "wrong"), QUERY).await, mismatch);
    assert_eq!(ask(signed("HMAC-SHA1", now, "n2", "s3cret"), "limit=3&filter=username%3E%27a%20b%27").await, mismatch);
    assert_eq!(
        ask(signed("HMAC-SHA1", now - 601, "n2", "s3cret"), QUERY).await,
        refused("oauth_timestamp is off by -601 seconds")
    );
    assert_eq!(
        ask(signed("HMAC-SHA1", now + 301, "n2", "s3cret"), QUERY).await,
        refused("oauth_timestamp is off by 301 seconds")
    );
    assert_eq!(
        ask(signed("PLAINTEXT", now, "n2", "s3cret"), QUERY).await,
        refused("oauth_signature_method must be HMAC-SHA1 or HMAC-SHA256")
    );
    assert_eq!(ask("Bearer sesame".to_owned(), QUERY).await, refused("the Authorization header is not `OAuth`"));
    assert_eq!(ask(signed("HMAC-SHA1", now, "n2", "s3cret"), QUERY).await, opened);
}

#[tokio::test]
async fn quirks_leave_out_what_real_servers_leave_out() {
    let bearer = || Authentication::Bearer("sesame".into());
    let sim = Sim::district(Version::V1_2, bearer(), &[Quirk::NoTotals, Quirk::NoLinks, Quirk::IgnoresFilter]);
    let answer = sim.get("users?filter=status%3D%27nonsense%27&limit=7").await;
    assert_eq!(answer.records("users").len(), 7);
    assert!(answer.header("x-total-count").is_empty() && answer.header("link").is_empty());
    let sim = Sim::district(Version::V1_2, bearer(), &[Quirk::RefusesFilter, Quirk::IgnoresSort]);
    assert_eq!(sim.get("users?filter=status%3D%27active%27").await.status, StatusCode::BAD_REQUEST);
    let sorted = sim.get("users?sort=familyName&orderBy=desc").await.records("users");
    assert!(ids(&sorted).is_sorted());
}

#[tokio::test]
async fn bodies_are_compressed_for_those_who_accept_it() {
    let sim = Sim::new(Version::V1_2);
    let plain = sim.get("users").await;
    let request = |accepts: &str| {
        let request = Request::get(format!("{}/users", sim.base)).header("authorization", "Bearer sesame");
        sim.send(request.header("accept-encoding", accepts).body(Body::empty()).unwrap())
    };
    let packed = request("br, gzip;q=0.8").await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.body.as_slice()), &mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    assert_eq!(request("gzip;q=0").await.body, plain.body);
}

#[tokio::test]
async fn a_package_is_served_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let files: [(&str, &str); 5] = [
        ("manifest.csv", "propertyName,value\noneroster.version,1.2\n"),
        (
            "orgs.csv",
            "\u{feff}sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId,metadata.City\n\
             s|1/a,,,\"Nord, \"\"Grundschule\"\"\",school,,d1,Ulm\n,,,Nobody,school,,,\n",
        ),
        (
            "users.csv",
            "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,agentSourcedIds,grades,\
             password,preferredGivenName,primaryOrgSourcedId\n\
             u1,tobedeleted,2026-08-01T10:00:00.000Z,TRUE,ada,\"{LDAP:x:y},bare\",Ada,L,\"u2, u3\",\"09,10\",hunter2,A,s|1/a\n",
        ),
        (
            "roles.csv",
            "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,\
             userProfileSourcedId\nr1,,,u1,primary,student,,2027-06-30,s|1/a,p1\n",
        ),
        (
            "userProfiles.csv",
            "sourcedId,status,dateLastModified,userSourcedId,profileType,vendorId,applicationId,description,\
             credentialType,username,password\np1,,,u1,LTI,v,,,login,ada,pw\n",
        ),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let package = Package::open(folder.path()).unwrap();
    let clock = Arc::new(Hands(Mutex::new("2026-12-01T08:00:00Z".parse().unwrap())));
    let options = OneRosterOptions::new(Authentication::Bearer("sesame".into()));
    let time: Arc<dyn Clock> = Arc::<Hands>::clone(&clock);
    let (vendor, notes) = OneRoster::over_package(ORIGIN, &package, options, time).unwrap();
    assert_eq!(notes, ["orgs: 1 rows without a sourcedId are not served"]);
    let sim = Sim {
        router: server::router(Arc::new(vendor)),
        base: Version::V1_2.base_path(),
        clock,
        authorization: "Bearer sesame".to_owned(),
    };
    insta::assert_json_snapshot!(json!({
        "orgs": sim.all("orgs", "orgs").await,
        "users": sim.all("users", "users").await,
        "courses": sim.all("courses", "courses").await,
    }));
    assert_eq!(sim.get("orgs/s%7C1%2Fa").await.json()["org"]["sourcedId"], "s|1/a");
    assert_eq!(sim.post("/_sim/advance", &json!({})).await.status, StatusCode::CONFLICT);
    assert!(Package::open(&folder.path().join("nothing")).is_err());
}

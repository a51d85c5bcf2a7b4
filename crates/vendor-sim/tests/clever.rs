//! What the simulated Clever answers, asked without a network.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::ports::Clock;
use rollcall_domain::vocabulary::{EnrollmentRole, OrgType, UserRole};
use rollcall_domain::{Kind, Record, SourcedId};
use rollcall_vendor_sim::clever::{ApiVersion, Clever, CleverCredentials, CleverOptions, CleverQuirk};
use rollcall_vendor_sim::oneroster::History;
use rollcall_vendor_sim::{Churn, District, server};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const STUDENTS: usize = 450;
const SEED: u64 = 7;
const VERSIONS: [ApiVersion; 2] = [ApiVersion::V3_0, ApiVersion::V3_1];

/// A clock that a test sets.
#[derive(Debug)]
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

struct Sim {
    router: Router,
    clock: Arc<Hands>,
    version: ApiVersion,
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

    /// The objects of a list.
    fn objects(&self) -> Vec<Value> {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        self.json()["data"].as_array().unwrap().iter().map(|item| item["data"].clone()).collect()
    }

    fn links(&self) -> BTreeMap<String, String> {
        let document = self.json();
        let links = document["links"].as_array().unwrap().iter();
        links.map(|link| (text(&link["rel"]), text(&link["uri"]))).collect()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn ids(objects: &[Value]) -> Vec<String> {
    objects.iter().map(|object| text(&object["id"])).collect()
}

fn district(generation: usize) -> District {
    District::at_generation(STUDENTS, SEED, generation, Churn::new(0.05).unwrap()).unwrap()
}

/// The sixteen digits that an id of Clever shares with the sourcedId.
fn digits(id: &str) -> String {
    id[8..].to_owned()
}

fn digits_of(id: &SourcedId) -> String {
    id.as_str().rsplit('-').next().unwrap().to_owned()
}

impl Sim {
    fn with(version: ApiVersion, districts: u64, change: impl FnOnce(&mut CleverOptions)) -> Self {
        let clock = Arc::new(Hands(Mutex::new("2026-12-01T08:00:00Z".parse().unwrap())));
        let histories = (0..districts).map(|number| History {
            district: District::new(STUDENTS, SEED + number).unwrap(),
            generations: 0,
            churn: Churn::new(0.05).unwrap(),
        });
        let mut options = CleverOptions::new(CleverCredentials::Application {
            client_id: "me".to_owned(),
            client_secret: "s3cret".into(),
        });
        options.rate_limit = 100_000;
        change(&mut options);
        let time: Arc<dyn Clock> = Arc::<Hands>::clone(&clock);
        let vendor =
            Clever::over_districts("http://clever.example", version, histories.collect(), options, time, &|_, _| {});
        Self { router: server::router(Arc::new(vendor)), clock, version }
    }

    fn new(version: ApiVersion) -> Self {
        Self::with(version, 1, |_| {})
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn ask(&self, uri: &str, authorization: &str) -> Answer {
        let request = Request::get(uri).header("authorization", authorization);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn tokens(&self, query: &str) -> Vec<Value> {
        let basic = format!("Basic {}", STANDARD.encode("me:s3cret"));
        let answer = self.ask(&format!("/oauth/tokens?{query}"), &basic).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.json()["data"].as_array().unwrap().clone()
    }

    async fn token(&self) -> String {
        text(&self.tokens("owner_type=district").await[0]["access_token"])
    }

    /// Asks for something of the first district, below the version.
    async fn get(&self, path: &str) -> Answer {
        let token = self.token().await;
        self.ask(&format!("/{}/{path}", self.version.as_str()), &format!("Bearer {token}")).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let answer = self.send(Request::post(path).body(Body::from(body.to_string())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
        answer
    }

    async fn advance(&self) -> Value {
        *self.clock.0.lock().unwrap() += SignedDuration::from_hours(24);
        self.post("/_sim/advance", &json!({})).await.json()
    }

    /// All objects, from page to page by the links.
    async fn all(&self, path: &str) -> Vec<Value> {
        let token = self.token().await;
        let mut objects = Vec::new();
        let mut next = Some(format!("/{}/{path}", self.version.as_str()));
        while let Some(uri) = next {
            let answer = self.ask(&uri, &format!("Bearer {token}")).await;
            objects.extend(answer.objects());
            next = answer.links().remove("next");
        }
        objects
    }
}

#[tokio::test]
async fn a_district_is_served_as_far_as_clever_can_say_it() {
    for version in VERSIONS {
        let sim = Sim::new(version);
        let mut expected = BTreeMap::<_, BTreeSet<_>>::new();
        let mut members = BTreeMap::<_, BTreeSet<_>>::new();
        for record in district(0).all_records() {
            let id = digits_of(record.sourced_id());
            let name = match &record {
                Record::Orgs(org) if org.org_type == OrgType::School => "schools",
                Record::Courses(_) => "courses",
                Record::Users(_) => "users",
                Record::Enrollments(enrollment) => {
                    if matches!(enrollment.role, EnrollmentRole::Student | EnrollmentRole::Teacher) {
                        let member = (enrollment.role.as_str().to_owned(), digits_of(&enrollment.user));
                        members.entry(digits_of(&enrollment.class)).or_default().insert(member);
                    }
                    continue;
                }
                _ => continue,
            };
            expected.entry(name).or_default().insert(id);
        }
        members.retain(|_, members| members.iter().any(|(role, _)| role == "student"));
        expected.insert("sections", members.keys().cloned().collect());
        for (name, expected) in expected {
            let served = ids(&sim.all(&format!("{name}?limit=70")).await);
            assert!(served.is_sorted_by(|a, b| a < b), "{name}");
            assert_eq!(served.iter().map(|id| digits(id)).collect::<BTreeSet<_>>(), expected, "{name}");
        }
        let names: Vec<_> = sim.all("terms").await.iter().map(|term| text(&term["name"])).collect();
        assert_eq!(BTreeSet::from_iter(names), ["2026-2027", "Fall 2026", "Spring 2027"].map(String::from).into());
        for section in sim.all("sections").await {
            let listed = |key: &str| section[key].as_array().unwrap().iter().map(text).collect::<Vec<_>>();
            let served = listed("students").into_iter().map(|id| ("student".to_owned(), digits(&id)));
            let served = served.chain(listed("teachers").into_iter().map(|id| ("teacher".to_owned(), digits(&id))));
            assert_eq!(served.collect::<BTreeSet<_>>(), members[&digits(&text(&section["id"]))]);
            assert_eq!(section["teacher"], section["teachers"][0]);
        }
    }
}

#[tokio::test]
async fn objects_look_as_clever_has_them() {
    for version in VERSIONS {
        let sim = Sim::new(version);
        let mut shown = serde_json::Map::new();
        for name in ["districts", "schools", "terms", "courses", "sections"] {
            shown.insert(name.to_owned(), sim.all(name).await.swap_remove(0));
        }
        let users = sim.all("users?limit=10000").await;
        for role in ["student", "teacher", "staff", "district_admin", "contact"] {
            // The one with most to say, of those the first.
            let size = |user: &&Value| user.to_string().matches("\":").count();
            let held = users.iter().filter(|user| user["roles"].get(role).is_some());
            let (all, most) = (held.clone().count(), held.rev().max_by_key(size).unwrap());
            shown.insert(role.to_owned(), most.clone());
            let listed = sim.get(&format!("users?role={role}&limit=1&count=true")).await.json();
            assert_eq!(listed["count"], all);
            assert!(listed["data"][0]["data"]["roles"].get(role).is_some());
        }
        insta::assert_json_snapshot!(format!("clever_objects_{}", version.as_str()), shown);
    }
}

#[tokio::test]
async fn people_have_the_roles_that_they_have_in_the_district() {
    let sim = Sim::new(ApiVersion::V3_1);
    let served: BTreeMap<_, _> =
        sim.all("users?limit=5000").await.into_iter().map(|user| (digits(&text(&user["id"])), user)).collect();
    for record in district(0).records(Kind::Users) {
        let Record::Users(user) = record else { unreachable!() };
        let roles = &served[&digits_of(&user.sourced_id)]["roles"];
        let has = |role: UserRole| user.roles.iter().any(|held| held.role == role);
        let is_student = has(UserRole::Student);
        assert_eq!(roles.get("student").is_some(), is_student);
        assert_eq!(roles.get("teacher").is_some(), has(UserRole::Teacher) && !is_student);
        let family = [UserRole::Parent, UserRole::Guardian, UserRole::Relative].into_iter().any(has);
        assert_eq!(roles.get("contact").is_some(), family);
        let related = roles["contact"]["student_relationships"].as_array().into_iter().flatten();
        let related: BTreeSet<_> = related.map(|one| digits(&text(&one["student"]))).collect();
        if family {
            assert_eq!(related, user.agents.iter().map(digits_of).collect());
        }
        assert!(!roles.as_object().unwrap().is_empty(), "{}", user.sourced_id);
    }
}

#[tokio::test]
async fn pages_are_linked_as_clever_links_them() {
    let sim = Sim::new(ApiVersion::V3_0);
    let whole = ids(&sim.all("courses?limit=10000").await);
    let first = sim.get("courses").await;
    assert_eq!(ids(&first.objects()), whole[..100]);
    let next = format!("/v3.0/courses?starting_after={}", whole[99]);
    let links = |of: &[(&str, &str)]| of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(first.links(), links(&[("self", "/v3.0/courses"), ("next", &next)]));
    assert_eq!(first.json()["data"][0]["uri"], format!("/v3.0/courses/{}", whole[0]));

    // A page has a `prev` after a place, wherever it lies; the last one has no `next`.
    let after = sim.get(&format!("courses?limit=3&count=true&starting_after={}", whole[whole.len() - 3])).await;
    assert_eq!(ids(&after.objects()), whole[whole.len() - 2..]);
    let previous = format!("/v3.0/courses?limit=3&count=true&ending_before={}", whole[whole.len() - 2]);
    assert_eq!(after.links()["prev"], previous);
    assert!(!after.links().contains_key("next"));
    assert_eq!(after.json()["count"], whole.len());
    let before = sim.get(&format!("courses?limit=2&ending_before={}", whole[3])).await;
    assert_eq!(ids(&before.objects()), whole[1..3]);
    let last = sim.get("courses?ending_before=last&limit=1").await;
    assert_eq!(ids(&last.objects()), whole[whole.len() - 1..]);
    let beyond = sim.get(&format!("courses?starting_after={}", "f".repeat(24))).await;
    assert_eq!((beyond.objects().len(), beyond.links().len()), (0, 1));

    assert_eq!(sim.get("courses?limit=10001").await.status, StatusCode::PAYLOAD_TOO_LARGE);
    for wrong in ["limit=0", "limit=many", "starting_after=7", "role=nobody"] {
        assert_eq!(sim.get(&format!("users?{wrong}")).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert!(sim.get("districts?count=5").await.json().get("count").is_none());
}

#[tokio::test]
async fn what_stands_below_an_object_is_found() {
    let sim = Sim::new(ApiVersion::V3_1);
    let section = sim.all("sections").await.swap_remove(0);
    let id = text(&section["id"]);
    let document = sim.get(&format!("sections/{id}")).await.json();
    assert_eq!(document["data"], section);
    for link in document["links"].as_array().unwrap() {
        let path = text(&link["uri"]).replacen("/v3.1/", "", 1);
        assert_eq!(sim.get(&path).await.status, StatusCode::OK, "{path}");
    }
    let course = sim.get(&format!("sections/{id}/course")).await.json();
    assert_eq!(course["data"]["id"], section["course"]);
    assert_eq!(course["links"][0]["uri"], format!("/v3.1/courses/{}", text(&section["course"])));
    let students = sim.all(&format!("sections/{id}/users?role=student&limit=5")).await;
    let listed: Vec<_> = section["students"].as_array().unwrap().iter().map(text).collect();
    assert_eq!(ids(&students), listed);
    let student = &listed[0];
    assert!(ids(&sim.all(&format!("users/{student}/sections")).await).contains(&id));
    assert_eq!(
        ids(&sim.all(&format!("schools/{}/sections?limit=9", text(&section["school"]))).await),
        ids(&sim
            .all("sections")
            .await
            .into_iter()
            .filter(|one| one["school"] == section["school"])
            .collect::<Vec<_>>())
    );
    let contact = sim.all("users?role=contact").await.swap_remove(0);
    let child = text(&contact["roles"]["contact"]["student_relationships"][0]["student"]);
    assert!(ids(&sim.all(&format!("users/{child}/myContacts")).await).contains(&text(&contact["id"])));
}

#[tokio::test]
async fn tokens_are_given_to_the_application_alone() {
    let sim = Sim::with(ApiVersion::V3_1, 3, |_| {});
    for wrong in ["me:wrong", "you:s3cret"] {
        let answer = sim.ask("/oauth/tokens?owner_type=district", &format!("Basic {}", STANDARD.encode(wrong))).await;
        assert_eq!((answer.status, &answer.json()["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")));
    }
    let tokens = sim.tokens("owner_type=district").await;
    assert_eq!(tokens.len(), 3);
    for token in &tokens {
        assert!(token["scopes"].as_array().unwrap().contains(&json!("read:sections")));
        let bearer = format!("Bearer {}", text(&token["access_token"]));
        let districts = sim.ask("/v3.1/districts", &bearer).await.objects();
        assert_eq!(ids(&districts), [text(&token["owner"]["id"])]);
        let info = sim.ask("/oauth/tokeninfo", &bearer).await.json();
        assert_eq!((&info["client_id"], &info["scopes"]), (&json!("me"), &token["scopes"]));
    }
    let second = text(&tokens[1]["owner"]["id"]);
    for query in [format!("owner_type=district&district={second}"), format!("district={second}")] {
        assert_eq!(sim.tokens(&query).await, tokens[1..2]);
    }
    assert_eq!(sim.ask("/v3.1/users", "Bearer nonsense").await.status, StatusCode::UNAUTHORIZED);

    // A district that leaves takes its token along.
    sim.post("/_sim/district", &json!({"district": second, "connected": false})).await;
    assert_eq!(sim.tokens("owner_type=district").await.len(), 2);
    let left = format!("Bearer {}", text(&tokens[1]["access_token"]));
    assert_eq!(sim.ask("/v3.1/districts", &left).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_token_for_logins_sees_the_district_and_nothing_else() {
    let sim = Sim::with(ApiVersion::V3_0, 1, |options| options.quirks = vec![CleverQuirk::SsoOnly]);
    let scopes = sim.tokens("owner_type=district").await[0]["scopes"].clone();
    assert!(scopes.as_array().unwrap().contains(&json!("read:students_basic")));
    assert_eq!(sim.get("districts").await.objects().len(), 1);
    for path in ["users", "sections", "events"] {
        let answer = sim.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.json()["message"], "Resource not in token's scopes");
    }
    let page = sim.get("resources").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(String::from_utf8(page.body).unwrap().contains("Cannot GET /v3.0/resources"));
}

/// Applies events to what was there, as full replacements.
fn apply(objects: &mut BTreeMap<String, Value>, events: &[Value]) {
    for event in events {
        let (object, kind) = (event["data"]["object"].clone(), text(&event["type"]));
        if kind.starts_with("districts") {
            continue;
        }
        let id = text(&object["id"]);
        match kind.split_once('.').unwrap().1 {
            "created" => assert!(objects.insert(id, object).is_none()),
            "updated" => {
                let before = objects.insert(id, object.clone()).unwrap();
                let mut restored = object;
                merge(&mut restored, &event["data"]["previous_attributes"]);
                assert!(says(&restored, &before), "{event} after {before}");
            }
            _ => assert!(objects.remove(&id).is_some()),
        }
    }
}

/// Puts the previous attributes over an object: what it was, and what has been added since.
fn merge(into: &mut Value, from: &Value) {
    match (&mut *into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        _ => *into = from.clone(),
    }
}

/// Whether a value says all that another says, times aside.
fn says(all: &Value, some: &Value) -> bool {
    match (all, some) {
        (Value::Object(all), Value::Object(some)) => {
            some.iter().all(|(key, value)| key == "last_modified" || all.get(key).is_some_and(|own| says(own, value)))
        }
        _ => all == some,
    }
}

/// All objects of a district, as events have them.
async fn everything(sim: &Sim) -> BTreeMap<String, Value> {
    let mut objects = BTreeMap::new();
    for name in ["schools", "terms", "courses", "sections", "users"] {
        for mut object in sim.all(&format!("{name}?limit=10000")).await {
            if let Some(student) = object.pointer_mut("/roles/student").and_then(Value::as_object_mut) {
                student.remove("email");
            }
            objects.insert(text(&object["id"]), object);
        }
    }
    objects
}

#[tokio::test]
async fn events_lead_from_one_day_to_the_next() {
    for version in VERSIONS {
        let sim = Sim::new(version);
        let mut known = everything(&sim).await;
        let newest = text(&sim.get("events?ending_before=last&limit=1").await.objects()[0]["id"]);
        let mut seen = BTreeSet::new();
        let mut cursor = newest;
        for generation in 1..=4 {
            assert_eq!(sim.advance().await["generation"], generation);
            let events = sim.all(&format!("events?limit=50&starting_after={cursor}")).await;
            assert!(ids(&events).is_sorted_by(|a, b| a < b));
            assert_eq!(events[0]["type"], "districts.updated");
            let synced = &sim.get("districts").await.objects()[0]["last_sync"];
            assert_eq!(&events[0]["data"]["object"]["last_sync"], synced);
            seen.extend(events.iter().map(|event| text(&event["type"])));
            cursor = text(&events.last().unwrap()["id"]);
            apply(&mut known, &events);
            assert_eq!(known, everything(&sim).await);
        }
        for kind in ["users.created", "users.updated", "users.deleted", "sections.updated", "sections.deleted"] {
            assert!(seen.contains(kind), "{kind} in {seen:?}");
        }
        let only = sim.all("events?record_type=sections&limit=1000").await;
        assert!(!only.is_empty() && only.iter().all(|event| text(&event["type"]).starts_with("sections.")));
        let one = sim.get(&format!("events/{cursor}")).await.json();
        assert_eq!(one["data"]["id"], cursor);
        assert!(sim.get("events?").await.links()["self"].ends_with("/events?"));
    }
}

#[tokio::test]
async fn what_comes_later_has_a_later_id_and_the_same_one_for_everybody() {
    let sim = Sim::new(ApiVersion::V3_1);
    let before = ids(&sim.all("users?limit=10000").await);
    let _ = sim.advance().await;
    let after = ids(&sim.all("users?limit=10000").await);
    let (old, new): (Vec<_>, Vec<_>) = after.iter().partition(|id| before.contains(id));
    assert!(!new.is_empty() && new.iter().min() > old.iter().max());

    let clock = Arc::clone(&sim.clock);
    let options = CleverOptions::new(CleverCredentials::Application {
        client_id: "me".to_owned(),
        client_secret: "s3cret".into(),
    });
    let churn = Churn::new(0.05).unwrap();
    let history = History { district: District::new(STUDENTS, SEED).unwrap(), generations: 1, churn };
    let vendor = Clever::over_districts("http://c.example", sim.version, vec![history], options, clock, &|_, _| {});
    let later = Sim { router: server::router(Arc::new(vendor)), clock: Arc::clone(&sim.clock), version: sim.version };
    assert_eq!(ids(&later.all("users?limit=10000").await), after);
    // The past is in the feed, as far as it is kept.
    assert!(later.all("events?limit=1000").await.iter().any(|event| event["type"] == "users.created"));
}

#[tokio::test]
async fn events_are_kept_for_a_month_and_go_without_a_word() {
    let sim = Sim::new(ApiVersion::V3_1);
    let cursor = text(&sim.get("events?ending_before=last&limit=1").await.objects()[0]["id"]);
    let _ = sim.advance().await;
    let day = sim.all("events?limit=1000").await;
    *sim.clock.0.lock().unwrap() += SignedDuration::from_hours(31 * 24);
    assert!(sim.get(&format!("events?starting_after={cursor}")).await.objects().is_empty());
    let _ = sim.advance().await;
    let kept = sim.get(&format!("events?limit=1000&starting_after={cursor}")).await.objects();
    assert!(!kept.is_empty() && ids(&kept).iter().all(|id| !ids(&day).contains(id)));

    sim.post("/_sim/district", &json!({"forget_events": true})).await;
    assert!(sim.get("events").await.objects().is_empty());
    sim.post("/_sim/district", &json!({"events": false})).await;
    let synced = sim.get("districts").await.objects()[0]["last_sync"].clone();
    let _ = sim.advance().await;
    assert!(sim.get("events").await.objects().is_empty());
    assert_ne!(sim.get("districts").await.objects()[0]["last_sync"], synced);
}

#[tokio::test]
async fn a_district_that_is_paused_or_fails_stands_still() {
    let sim = Sim::new(ApiVersion::V3_1);
    let before = everything(&sim).await;
    for (state, error) in [("paused", ""), ("error", "The upload has failed")] {
        sim.post("/_sim/district", &json!({"state": state, "error": error})).await;
        let district = sim.get("districts").await.objects().swap_remove(0);
        assert_eq!((&district["state"], &district["error"]), (&json!(state), &json!(error)));
        assert_eq!(sim.advance().await["changes"]["users"]["updated"], 0);
        assert_eq!(everything(&sim).await, before);
        assert_eq!(sim.get("districts").await.objects()[0]["last_sync"], district["last_sync"]);
    }
    sim.post("/_sim/district", &json!({"state": "running", "error": "", "shared": false})).await;
    assert!(everything(&sim).await.is_empty());
    assert_eq!(sim.get("districts").await.objects().len(), 1);
}

#[tokio::test]
async fn requests_are_counted_by_the_minute() {
    let sim = Sim::with(ApiVersion::V3_1, 1, |options| options.rate_limit = 2);
    *sim.clock.0.lock().unwrap() = "2026-12-01T08:00:20Z".parse().unwrap();
    for remaining in ["1", "0"] {
        let answer = sim.get("terms").await;
        assert_eq!((answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")), ("2", remaining));
        assert_eq!(answer.header("x-ratelimit-bucket"), "bearer");
    }
    let refused = sim.get("terms").await;
    assert_eq!((refused.status, refused.body.len()), (StatusCode::TOO_MANY_REQUESTS, 0));
    let reset: i64 = refused.header("x-ratelimit-reset").parse().unwrap();
    *sim.clock.0.lock().unwrap() = Timestamp::from_second(reset).unwrap();
    assert_eq!(sim.get("terms").await.status, StatusCode::OK);
}

#[tokio::test]
async fn faults_befall_lists_as_they_were_armed() {
    let sim = Sim::new(ApiVersion::V3_1);
    let whole = ids(&sim.all("users?limit=10000").await);
    let second = format!("users?limit=10&starting_after={}", whole[9]);
    let fault = async |order: Value, path: &str| {
        sim.post("/_sim/fault", &order).await;
        sim.get(path).await
    };
    let busy = fault(json!({"kind": "rate_limited", "times": 1}), "users").await;
    assert_eq!((busy.status, busy.body.len(), busy.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, 0, ""));
    assert_eq!(busy.header("x-ratelimit-remaining"), "0");
    let busy = fault(json!({"kind": "rate_limited", "times": 1, "retry_after": 7}), "users").await;
    assert_eq!(busy.header("retry-after"), "7");
    let broken = fault(json!({"kind": "server_error", "times": 1, "status": 503}), "users").await;
    assert_eq!(broken.status, StatusCode::SERVICE_UNAVAILABLE);
    let gone = fault(json!({"kind": "server_error", "times": 1, "status": 404}), "users").await;
    assert_eq!((gone.status, gone.header("content-type")), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
    assert_eq!(fault(json!({"kind": "missing_envelope", "times": 1}), "users").await.json(), json!({}));
    assert!(fault(json!({"kind": "empty_collection", "times": 1}), "users").await.objects().is_empty());
    let short = fault(json!({"kind": "short_page", "times": 1}), &second).await;
    assert_eq!(ids(&short.objects()), whole[10..15]);
    assert!(short.links()["next"].ends_with(&whole[19]));
    let repeated = fault(json!({"kind": "repeated_page", "times": 1}), &second).await;
    assert_eq!(ids(&repeated.objects()), whole[..10]);
    let shrunk = fault(json!({"kind": "shrinking_total", "times": 1}), "users?count=true&limit=1").await;
    assert_eq!(shrunk.json()["count"], whole.len() - 1);
    let login = fault(json!({"kind": "login_page", "times": 1}), "users").await;
    assert!(String::from_utf8(login.body).unwrap().contains("Sign in"));

    let before = sim.token().await;
    let expired = fault(json!({"kind": "expired_token", "times": 1}), "users").await;
    assert_eq!(expired.status, StatusCode::UNAUTHORIZED);
    assert_ne!(sim.token().await, before);
    assert_eq!(sim.get("users").await.status, StatusCode::OK);
    let route = sim.get("attendance/schools/1").await;
    assert_eq!((route.status, route.header("content-type")), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
}

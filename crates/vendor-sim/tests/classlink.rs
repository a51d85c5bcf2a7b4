//! What the simulated ClassLink answers, asked without a network.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rollcall_domain::Kind;
use rollcall_domain::ports::Clock;
use rollcall_vendor_sim::classlink::{ClassLink, ClassLinkMode, ClassLinkOptions, ClassLinkQuirk};
use rollcall_vendor_sim::oneroster::History;
use rollcall_vendor_sim::{Churn, District, server};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt as _;

const STUDENTS: usize = 60;
const NOW: &str = "2026-12-01T08:00:00Z";
const API: &str = "/ims/oneroster/v1p1";

/// What is encoded: RFC 5849 section 3.6.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A clock that stands still.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }
}

struct Sim(Router);

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Sim {
    fn with(tenants: u64, students: usize, change: impl FnOnce(&mut ClassLinkOptions)) -> Self {
        let histories = (0..tenants).map(|number| History {
            district: District::new(students, 7 + number).unwrap(),
            generations: 0,
            churn: Churn::new(0.05).unwrap(),
        });
        let mut options = ClassLinkOptions::new("me", "s3cret".into());
        change(&mut options);
        let clock: Arc<dyn Clock> = Arc::new(Noon);
        let vendor =
            ClassLink::over_districts("http://classlink.example", histories.collect(), options, &clock, &|_, _| {});
        Self(server::router(Arc::new(vendor)))
    }

    fn new() -> Self {
        Self::with(3, STUDENTS, |_| {})
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.0.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.map(|bytes| bytes.to_vec()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, authorization: &str) -> Answer {
        let request = Request::get(path).header("host", "classlink.example").header("authorization", authorization);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn applications(&self) -> Vec<Value> {
        self.get("/applications", "Bearer s3cret").await.json()["applications"].as_array().unwrap().clone()
    }

    /// Asks a tenant for something through the proxy, with what the list says now.
    async fn proxied(&self, tenant: usize, path: &str) -> Answer {
        let application = self.applications().await.swap_remove(tenant);
        let bearer = application["bearer"].as_str().unwrap_or("none");
        let id = text(&application["oneroster_application_id"]);
        self.get(&format!("/{id}{API}/{path}"), &format!("Bearer {bearer}")).await
    }

    /// Asks a server itself, with a signed request.
    async fn direct(&self, path: &str, key: &str, secret: &str) -> Answer {
        let path = format!("{API}/{path}");
        self.get(&path, &signed(&path, key, secret)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.send(Request::post(path).body(Body::from(body.to_string())).unwrap()).await.json()
    }
}

/// `OAuth …` for a GET of a path without a query: RFC 5849, HMAC-SHA256.
fn signed(path: &str, key: &str, secret: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let second = NOW.parse::<Timestamp>().unwrap().as_second();
    let nonce = uuid::Uuid::new_v4().simple();
    let parameters = format!(
        "oauth_consumer_key={key}&oauth_nonce={nonce}&oauth_signature_method=HMAC-SHA256&oauth_timestamp={second}"
    );
    let base = format!("GET&{}&{}", encode(&format!("http://classlink.example{path}")), encode(&parameters));
    let mac = Hmac::<Sha256>::new_from_slice(format!("{secret}&").as_bytes()).unwrap().chain_update(base);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let pairs = parameters.replace('=', "=\"").replace('&', "\",");
    format!("OAuth {pairs}\",oauth_signature=\"{}\"", encode(&signature))
}

#[tokio::test]
async fn a_district_is_the_same_both_ways() {
    let sim = Sim::new();
    for kind in Kind::ALL {
        let expected = District::new(STUDENTS, 7).unwrap().records(kind).count();
        let through = sim.proxied(0, kind.as_str()).await;
        let (total, count) = (through.header("x-total-count").unwrap(), through.header("x-count").unwrap());
        assert_eq!((total.parse(), count.parse()), (Ok(expected), Ok(expected.min(100))), "{kind}");
        assert!(through.header("link").is_none());
        let direct = sim.direct(kind.as_str(), "me", "s3cret").await;
        assert_eq!(through.json(), direct.json());
        assert_eq!(through.header("x-perm-rev"), direct.header("x-perm-rev"));
    }
    // The key is the type of the resource, whatever the path is called.
    assert!(sim.proxied(0, "students").await.json()["users"].is_array());
    let user = sim.proxied(0, "users?limit=1").await.json()["users"][0].clone();
    assert!(user["enabledUser"].is_string() && !user["agents"].is_null());
    assert!(text(&user["orgs"][0]["href"]).contains("rosterserver"));
}

#[tokio::test]
async fn the_list_has_pages_and_no_count() {
    let sim = Sim::with(130, 5, |_| {});
    let first = sim.get("/applications", "Bearer s3cret").await;
    assert_eq!((first.header("x-total-count"), first.header("x-count")), (None, None));
    assert_eq!(first.json()["applications"].as_array().unwrap().len(), 100);
    let second = sim.get("/applications?limit=1000&offset=100", "Bearer s3cret").await.json();
    assert_eq!(second["applications"].as_array().unwrap().len(), 30);
    assert_eq!(second["applications"][29]["tenant_id"], 2351);
    let beyond = sim.get("/applications?limit=1000&offset=130", "Bearer s3cret").await.json();
    assert_eq!(beyond, json!({"status": 1, "applications": []}));
    assert_eq!(sim.get("/applications", "Bearer nobody").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_application_id_is_taken_as_it_is_listed() {
    let sim = Sim::new();
    let application = sim.applications().await.swap_remove(0);
    let (id, bearer) = (text(&application["oneroster_application_id"]), text(&application["bearer"]));
    assert!(id.starts_with("%2F") && id.ends_with("%3D"), "{id}");
    let twice = id.replace('%', "%25");
    for wrong in [twice, application["id"].to_string(), application["application_id"].to_string()] {
        let answer = sim.get(&format!("/{wrong}{API}/orgs"), &format!("Bearer {bearer}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    // What is encoded in the rest of a path and in a query arrives as it was sent.
    let user = text(&sim.proxied(0, "users?limit=1").await.json()["users"][0]["sourcedId"]);
    let escaped = user.replace('-', "%2D");
    assert_eq!(sim.proxied(0, &format!("users/{escaped}")).await.json()["user"]["sourcedId"], user);
    let filtered = sim.proxied(0, &format!("users?filter=sourcedId%3D%27{escaped}%27")).await.json();
    assert_eq!(filtered["users"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_tenant_has_keys_of_its_own() {
    let sim = Sim::new();
    let applications = sim.applications().await;
    let second = text(&applications[1]["oneroster_application_id"]);
    let foreign = format!("Bearer {}", text(&applications[0]["bearer"]));
    assert_eq!(sim.get(&format!("/{second}{API}/orgs"), &foreign).await.status, StatusCode::UNAUTHORIZED);
    let signed_for = signed(&format!("/{second}{API}/orgs"), "me", "s3cret");
    assert_eq!(sim.get(&format!("/{second}{API}/orgs"), &signed_for).await.status, StatusCode::UNAUTHORIZED);

    let server = sim.get(&format!("/applications/{second}/server"), "Bearer s3cret").await.json()["server"].clone();
    assert_eq!(server["endpoint_url"], "http://classlink.example");
    let (key, secret) = (text(&server["client_id"]), text(&server["client_secret"]));
    let own = sim.direct("orgs", &key, &secret).await.json();
    assert_eq!(own, sim.proxied(1, "orgs").await.json());
    for (key, secret) in [(key.as_str(), "wrong"), ("unknown", secret.as_str()), ("me", secret.as_str())] {
        assert_eq!(sim.direct("orgs", key, secret).await.status, StatusCode::UNAUTHORIZED);
    }
    let bearer = format!("Bearer {}", text(&applications[1]["bearer"]));
    assert_eq!(sim.get(&format!("{API}/orgs"), &bearer).await.status, StatusCode::UNAUTHORIZED);
    sim.post("/_sim/tenant", &json!({"tenant": "2223", "shares_key": false})).await;
    let server = sim.get(&format!("/applications/{second}/server"), "Bearer s3cret").await.json();
    assert_eq!(server["server"]["client_secret"], "");
}

#[tokio::test]
async fn a_tenant_can_leave_and_leaves_the_others_alone() {
    for order in [json!({"enabled": false}), json!({"status": "Inactive"}), json!({"bearer": false})] {
        let sim = Sim::new();
        let mut full = order.clone();
        full["tenant"] = json!("2222");
        sim.post("/_sim/tenant", &full).await;
        assert_eq!(sim.proxied(0, "orgs").await.status, StatusCode::UNAUTHORIZED, "{order}");
        assert_eq!(sim.proxied(1, "orgs").await.status, StatusCode::OK);
        let direct = sim.direct("orgs", "me", "s3cret").await.status;
        assert_eq!(direct == StatusCode::OK, order.get("bearer").is_some());
    }
    let sim = Sim::new();
    sim.post("/_sim/tenant", &json!({"tenant": "2223", "enabled": false})).await;
    assert_eq!(sim.applications().await[1]["enabled"], "false");
    sim.post("/_sim/tenant", &json!({"tenant": "2222", "listed": false})).await;
    assert_eq!(sim.applications().await.len(), 2);
    sim.post("/_sim/tenant", &json!({"tenant": "2224", "failing": true})).await;
    assert_eq!(sim.proxied(1, "orgs").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_bearer_that_expires_is_replaced_in_the_list() {
    let sim = Sim::new();
    let before = sim.applications().await;
    sim.post("/_sim/fault", &json!({"kind": "expired_token", "times": 1})).await;
    assert_eq!(sim.proxied(0, "orgs").await.status, StatusCode::UNAUTHORIZED);
    let after = sim.applications().await;
    assert_ne!(before[0]["bearer"], after[0]["bearer"]);
    assert_eq!(before[1]["bearer"], after[1]["bearer"]);
    assert_eq!(sim.proxied(0, "orgs").await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_revision_moves_with_the_days_and_on_demand() {
    let sim = Sim::new();
    let mut seen = Vec::new();
    for tenant in [0, 0, 1] {
        seen.push(sim.proxied(tenant, "orgs").await.header("x-perm-rev").unwrap().to_owned());
    }
    assert_eq!(seen[0], seen[1]);
    sim.post("/_sim/fault", &json!({"kind": "moved_revision", "times": 1, "after": 1, "collection": "users"})).await;
    let first = sim.proxied(0, "users?limit=5").await;
    assert_eq!(first.header("x-perm-rev").unwrap(), seen[0]);
    let second = sim.proxied(0, "users?limit=5&offset=5").await;
    let moved = second.header("x-perm-rev").unwrap().to_owned();
    assert_ne!(moved, seen[0]);
    assert_eq!(second.json()["users"].as_array().unwrap().len(), 5);
    assert_eq!(sim.proxied(0, "orgs").await.header("x-perm-rev").unwrap(), moved);
    assert_eq!(sim.proxied(1, "orgs").await.header("x-perm-rev").unwrap(), seen[2]);

    assert_eq!(sim.post("/_sim/advance", &json!({})).await["generation"], 1);
    assert_ne!(sim.proxied(0, "orgs").await.header("x-perm-rev").unwrap(), moved);
    let bare = Sim::with(1, STUDENTS, |options| {
        options.quirks = vec![ClassLinkQuirk::NoRevision, ClassLinkQuirk::NoCounts];
        options.mode = ClassLinkMode::Direct;
    });
    let answer = bare.direct("orgs", "me", "s3cret").await;
    for header in ["x-perm-rev", "x-count", "x-total-count"] {
        assert_eq!(answer.header(header), None);
    }
}

#[tokio::test]
async fn faults_befall_servers_and_not_the_list() {
    let sim = Sim::new();
    sim.post("/_sim/fault", &json!({"kind": "rate_limited", "times": 1})).await;
    let busy = sim.proxied(0, "users").await;
    assert_eq!((busy.status, busy.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, None));
    sim.post("/_sim/fault", &json!({"kind": "rate_limited", "times": 1, "retry_after": 3})).await;
    assert_eq!(sim.direct("users", "me", "s3cret").await.header("retry-after"), Some("3"));
    sim.post("/_sim/fault", &json!({"kind": "missing_envelope", "times": 1})).await;
    assert_eq!(sim.proxied(0, "users").await.json(), json!({}));
    assert!(sim.proxied(0, "users").await.json()["users"].is_array());
}

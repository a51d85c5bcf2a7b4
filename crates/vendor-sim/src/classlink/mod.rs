//! A simulated ClassLink: districts' OneRoster 1.1 servers, the proxy before them, and the list of both.
//!
//! Every district (a tenant) has a [`OneRoster`] server of its own. It is reached in two ways: directly, with requests
//! that are signed with its key, or through the proxy with its bearer, below the id that the list of applications
//! names. All servers share one address here: the key of a signed request tells whom it is for.

mod tenant;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use percent_encoding::percent_decode_str;
use rollcall_domain::ports::Clock;
use rollcall_domain::{Kind, PerKind};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use self::tenant::{FIRST_TENANT, Tenant, TenantOrder};
use crate::Changes;
use crate::auth::same;
use crate::district::Churn;
use crate::oneroster::{History, Progress, Quirk, Told, Version};
use crate::server::{Advance, Announcement, CannotAdvance, FaultKind, Faults, Vendor, control};

/// Where a OneRoster server's API lies.
const API: &str = Version::V1_1.base_path();

/// How many applications a list has unless it is asked for more or fewer.
const DEFAULT_LIMIT: usize = 100;

/// What an unauthorised request is told, by the proxy at least.
const UNAUTHORISED: &str = "401 UNAUTHORIZED - the Request requires authorization";

const PERM_REV: HeaderName = HeaderName::from_static("x-perm-rev");
const COUNT: HeaderName = HeaderName::from_static("x-count");

/// Which way the announced source goes. Both are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClassLinkMode {
    /// Through the proxy, with the partner's key for the list of tenants.
    #[default]
    Proxy,
    /// To the first tenant's own server, with its consumer key.
    Direct,
}

/// What the servers leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassLinkQuirk {
    /// No `x-perm-rev`.
    NoRevision,
    /// Neither `x-total-count` nor `x-count`.
    NoCounts,
}

/// How a simulated ClassLink is set up.
#[derive(Debug)]
pub struct ClassLinkOptions {
    /// Which way the announced source goes.
    pub mode: ClassLinkMode,
    /// The consumer key of the first tenant; the others have keys of their own.
    pub consumer_key: String,
    /// The partner's key, and the consumer secret of the first tenant.
    pub secret: SecretString,
    /// What the servers leave out.
    pub quirks: Vec<ClassLinkQuirk>,
}

impl ClassLinkOptions {
    /// Servers that leave out nothing, and a source that goes through the proxy.
    pub fn new(consumer_key: impl Into<String>, secret: SecretString) -> Self {
        Self { mode: ClassLinkMode::Proxy, consumer_key: consumer_key.into(), secret, quirks: Vec::new() }
    }
}

/// A simulated ClassLink.
pub struct ClassLink {
    origin: String,
    options: ClassLinkOptions,
    faults: Arc<Faults>,
    tenants: Vec<Tenant>,
}

impl std::fmt::Debug for ClassLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClassLink").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl ClassLink {
    /// Serves one tenant for each district, at an origin (scheme, host and port).
    pub fn over_districts(
        origin: &str,
        histories: Vec<History>,
        options: ClassLinkOptions,
        clock: &Arc<dyn Clock>,
        progress: Progress<'_>,
    ) -> Self {
        let faults = Arc::<Faults>::default();
        let mut quirks = vec![Quirk::NoLinks];
        quirks.extend(options.quirks.contains(&ClassLinkQuirk::NoCounts).then_some(Quirk::NoTotals));
        let tenants = histories.into_iter().enumerate().map(|(place, history)| {
            let first = (place == 0).then(|| (options.consumer_key.clone(), options.secret.clone()));
            Tenant::new(place, history, first, quirks.clone(), Arc::clone(&faults), Arc::clone(clock), progress)
        });
        let tenants = tenants.collect();
        Self { origin: origin.to_owned(), options, faults, tenants }
    }

    /// What to print when the server listens: the address of the list or of the first server, and a source that
    /// reaches it. `secret` is the file in which the partner's key and the first consumer secret lie.
    pub fn announcement(&self, secret: &Path) -> Announcement {
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let file = text(&secret.display().to_string());
        let base_url = match self.options.mode {
            ClassLinkMode::Proxy => self.origin.clone(),
            ClassLinkMode::Direct => format!("{}{API}", self.origin),
        };
        let reached = match self.options.mode {
            ClassLinkMode::Proxy => {
                let tenants = if self.tenants.len() == 1 {
                    format!("tenant = \"{FIRST_TENANT}\"")
                } else {
                    "tenants = \"all\"".to_owned()
                };
                format!(
                    "mode = \"proxy\"\nproxy_url = {}\npartner_key = {{ file = {file} }}\n{tenants}\n",
                    text(&base_url)
                )
            }
            ClassLinkMode::Direct => format!(
                "mode = \"direct\"\nbase_url = {}\nconsumer_key = {}\nconsumer_secret = {{ file = {file} }}\n",
                text(&base_url),
                text(&self.options.consumer_key)
            ),
        };
        let config = format!("[[source]]\nname = \"simulated-classlink\"\nkind = \"classlink\"\n{reached}");
        Announcement { base_url, config }
    }

    /// Answers every request.
    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let parts: Vec<_> = path.split('/').skip(1).collect();
        match parts.as_slice() {
            ["applications"] => self.list(&request),
            ["applications", id, "server"] => self.server_of(&request, id),
            _ if path.starts_with(&format!("{API}/")) => self.direct(request).await,
            [id, ..] => self.proxied(id, &path, request).await,
            [] => not_found(),
        }
    }

    /// Whether a request has the partner's key.
    fn is_partner(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|given| same(given, self.options.secret.expose_secret()))
    }

    /// The applications, page by page. No header says how many there are.
    fn list(&self, request: &Request) -> Response {
        if let Some(refusal) = self.refuse(request) {
            return refusal;
        }
        let query = request.uri().query().unwrap_or_default();
        let number = |name: &str, otherwise: usize| {
            let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map_or(Some(otherwise), |value| value.parse().ok())
        };
        let (Some(limit), Some(offset)) = (number("limit", DEFAULT_LIMIT), number("offset", 0)) else {
            return message(StatusCode::BAD_REQUEST, "limit and offset are whole numbers");
        };
        let listed = self.tenants.iter().filter(|tenant| tenant.is_listed());
        let applications: Vec<_> = listed.skip(offset).take(limit).map(Tenant::application).collect();
        let mut answer = document(StatusCode::OK, &json!({"status": 1, "applications": applications}));
        // It promises a header that never comes.
        let promised = HeaderName::from_static("access-control-expose-headers");
        answer.headers_mut().insert(promised, HeaderValue::from_static("x-total-count"));
        answer.headers_mut().insert(HeaderName::from_static("x-host-name"), HeaderValue::from_static("undefined"));
        answer
    }

    /// The server of one application, with its key.
    fn server_of(&self, request: &Request, id: &str) -> Response {
        if let Some(refusal) = self.refuse(request) {
            return refusal;
        }
        let Some(tenant) = self.tenants.iter().find(|tenant| tenant.is_listed() && tenant.is_named(id)) else {
            return not_found();
        };
        let server = tenant.server_document(&self.origin);
        document(StatusCode::OK, &json!({"status": 1, "server": server, "message": ""}))
    }

    fn refuse(&self, request: &Request) -> Option<Response> {
        if request.method() != Method::GET {
            return Some(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        (!self.is_partner(request.headers())).then(unauthorised)
    }

    /// A request to a server itself: its consumer key says to which.
    async fn direct(&self, request: Request) -> Response {
        if bearer(request.headers()).is_some() {
            return unauthorised();
        }
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let sought = consumer_key(header);
        match self.tenants.iter().find(|tenant| Some(tenant.consumer_key()) == sought.as_deref()) {
            Some(tenant) if tenant.is_active() => self.served(tenant, request).await,
            _ => unauthorised(),
        }
    }

    /// A request through the proxy.
    async fn proxied(&self, id: &str, path: &str, request: Request) -> Response {
        let Some(tenant) = self.tenants.iter().find(|tenant| tenant.is_listed() && tenant.is_named(id)) else {
            return not_found();
        };
        let below = &path[1 + id.len()..];
        if !below.starts_with(&format!("{API}/")) {
            return not_found();
        }
        // The proxy takes bearers only, and signs what it passes on.
        if !tenant.is_active() || bearer(request.headers()).is_none() {
            return unauthorised();
        }
        let (mut parts, body) = request.into_parts();
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        // A part of a path that was one is one.
        let Ok(uri) = format!("{below}{query}").parse() else { return not_found() };
        parts.uri = uri;
        self.served(tenant, Request::from_parts(parts, body)).await
    }

    /// What a tenant's server answers, with what ClassLink adds.
    async fn served(&self, tenant: &Tenant, request: Request) -> Response {
        if tenant.is_failing() {
            return message(StatusCode::BAD_GATEWAY, "502 Bad Gateway");
        }
        let mut answer = Arc::clone(&tenant.server).answer(request).await;
        let told = answer.extensions().get::<Told>().copied();
        if told.is_some_and(|told| told.fault == Some(FaultKind::MovedRevision)) {
            tenant.move_revision();
        }
        if let Some(told) = told {
            let has = |quirk| self.options.quirks.contains(&quirk);
            let headers = answer.headers_mut();
            if !has(ClassLinkQuirk::NoRevision) {
                headers.insert(PERM_REV, HeaderValue::from(tenant.revision()));
            }
            if !has(ClassLinkQuirk::NoCounts) {
                headers.insert(COUNT, HeaderValue::from(told.records));
            }
            for name in ["x-next-page-token", "x-obfuscated", "x-modified"] {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static(""));
            }
        }
        answer
    }

    fn standings(&self) -> Value {
        self.tenants.iter().map(Tenant::standing).collect()
    }

    /// Does what whoever tests wants of tenants.
    fn answer_order(&self, body: &[u8]) -> Response {
        let order: TenantOrder = match serde_json::from_slice(body) {
            Ok(order) => order,
            Err(error) => return document(StatusCode::BAD_REQUEST, &json!({ "error": error.to_string() })),
        };
        let meant = self.tenants.iter().filter(|tenant| order.is_for(tenant));
        if meant.map(|tenant| tenant.order(&order)).count() == 0 {
            return document(StatusCode::BAD_REQUEST, &json!({ "error": "there is no such tenant" }));
        }
        control::answer(StatusCode::OK, &json!({ "tenants": self.standings() }))
    }
}

impl Vendor for ClassLink {
    fn api(self: Arc<Self>) -> Router {
        let answer = |State(sim): State<Arc<Self>>, request: Request| async move { sim.answer(request).await };
        Router::new().fallback(answer).with_state(self)
    }

    fn controls(self: Arc<Self>) -> Router {
        let show = |State(sim): State<Arc<Self>>| async move {
            control::answer(StatusCode::OK, &json!({ "tenants": sim.standings() }))
        };
        let order = |State(sim): State<Arc<Self>>, body: Bytes| async move { sim.answer_order(&body) };
        Router::new().route("/tenant", get(show).post(order)).with_state(self)
    }

    fn base_path(&self) -> &str {
        match self.options.mode {
            ClassLinkMode::Proxy => "",
            ClassLinkMode::Direct => API,
        }
    }

    fn advance(&self, churn: Option<Churn>) -> Result<Advance, CannotAdvance> {
        let mut changes = PerKind::<Changes>::default();
        let mut last = None;
        for tenant in &self.tenants {
            let advance = tenant.server.advance(churn)?;
            for kind in Kind::ALL {
                changes[kind].created += advance.changes[kind].created;
                changes[kind].updated += advance.changes[kind].updated;
                changes[kind].deleted += advance.changes[kind].deleted;
            }
            tenant.move_revision();
            last = Some(advance);
        }
        let Advance { generation, time, .. } = last.ok_or(CannotAdvance)?;
        Ok(Advance { generation, time, changes })
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn status(&self) -> Value {
        let of_servers: Vec<_> = self.tenants.iter().map(|tenant| tenant.server.status()).collect();
        let sum = |pointer: &str| {
            let numbers = of_servers.iter().filter_map(|status| status.pointer(pointer)?.as_u64());
            json!(numbers.sum::<u64>())
        };
        let first = of_servers.first().cloned().unwrap_or_default();
        let records: serde_json::Map<_, _> =
            Kind::ALL.iter().map(|kind| (kind.as_str().to_owned(), sum(&format!("/records/{kind}")))).collect();
        json!({
            "generation": first["generation"],
            "time": first["time"],
            "records": records,
            "requests": sum("/requests"),
            "records_served": sum("/records_served"),
            "tenants": self.standings(),
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// The consumer key that a signed request names. Whether it is signed with it is for the server to say.
fn consumer_key(header: &str) -> Option<String> {
    let (_, parameters) = header.split_once(' ')?;
    let key = parameters.split(',').find_map(|parameter| parameter.trim().strip_prefix("oauth_consumer_key="))?;
    percent_decode_str(key.trim_matches('"')).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn unauthorised() -> Response {
    message(StatusCode::UNAUTHORIZED, UNAUTHORISED)
}

fn not_found() -> Response {
    message(StatusCode::NOT_FOUND, "404 page not found")
}

fn message(status: StatusCode, text: &'static str) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))], text).into_response()
}

fn document(status: StatusCode, document: &Value) -> Response {
    let content = [(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))];
    (status, content, Body::from(document.to_string())).into_response()
}

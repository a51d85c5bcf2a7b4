//! A simulated Clever: the Data API and the Events API, v3.0 or v3.1, over generated districts.
//!
//! It serves what Clever can express of a district, and says it as Clever does: people of every sort are users with
//! roles, enrollments are the members of sections, and a day that passes is told in events. What it is asked without a
//! token that covers it, it refuses.

mod account;
mod feed;
mod object_id;
mod page;
mod problem;
mod roster;
mod served;
mod shape;
mod view;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::extract::connect_info::ConnectInfo;
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::ports::Clock;
use rollcall_domain::{Kind, PerKind};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub use self::account::CleverCredentials;
use self::account::{Account, Window};
use self::feed::Events;
use self::object_id::ObjectId;
use self::page::{Listing as _, Query, single};
use self::problem::{Problem, json_answer, written};
use self::roster::Resource;
use self::served::{Alone, Day, Served, Standing};
use self::view::{Objects, View, resolve};
use crate::Changes;
use crate::collection::date_time;
use crate::district::Churn;
use crate::oneroster::{History, Progress};
use crate::server::{
    Advance, Announcement, CannotAdvance, Connection, Fault, FaultKind, Faults, RosterRequest, Vendor, control,
};

/// The scopes of a token for rosters.
const SECURE_SYNC: [&str; 10] = [
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

/// The scopes of a token that is for logins only.
const LOGINS_ONLY: [&str; 5] = [
    "read:district_admins_basic",
    "read:school_admins_basic",
    "read:students_basic",
    "read:teachers_basic",
    "read:user_id",
];

/// The version of both APIs. The paths are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiVersion {
    /// v3.0.
    V3_0,
    /// v3.1, which says more of students.
    #[default]
    V3_1,
}

impl ApiVersion {
    /// The version as paths have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3_0 => "v3.0",
            Self::V3_1 => "v3.1",
        }
    }

    const fn base_path(self) -> &'static str {
        match self {
            Self::V3_0 => "/v3.0",
            Self::V3_1 => "/v3.1",
        }
    }
}

/// What an application has not agreed upon with Clever, or what Clever does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleverQuirk {
    /// Events are switched off: the feed is empty, and stays so.
    NoEvents,
    /// Tokens are for logins only.
    SsoOnly,
    /// `ending_before=last`, which no document mentions, is answered with 400.
    NoLast,
}

/// How a simulated Clever is set up.
#[derive(Debug)]
pub struct CleverOptions {
    /// How it knows who asks.
    pub credentials: CleverCredentials,
    /// How many requests a token may make in a minute.
    pub rate_limit: u32,
    /// How long events are kept.
    pub retention: SignedDuration,
    /// What was not agreed upon.
    pub quirks: Vec<CleverQuirk>,
}

impl CleverOptions {
    /// 1,200 requests in a minute, and events for 30 days.
    pub const fn new(credentials: CleverCredentials) -> Self {
        Self { credentials, rate_limit: 1200, retention: SignedDuration::from_hours(30 * 24), quirks: Vec::new() }
    }
}

/// A simulated Clever.
pub struct Clever {
    clock: Arc<dyn Clock>,
    origin: String,
    version: ApiVersion,
    retention: SignedDuration,
    knows_last: bool,
    account: Account,
    districts: Vec<RwLock<Served>>,
    /// Held while a day passes.
    days: Mutex<()>,
    faults: Faults,
    requests: AtomicUsize,
    objects: AtomicUsize,
}

impl std::fmt::Debug for Clever {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clever").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What whoever tests wants of a district, or of all of them. What is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StandingOrder {
    /// The id of the district.
    district: Option<String>,
    state: Option<String>,
    error: Option<String>,
    events: Option<bool>,
    shared: Option<bool>,
    secure_sync: Option<bool>,
    connected: Option<bool>,
    /// Drops all events, as time does.
    forget_events: bool,
}

impl Clever {
    /// Serves generated districts at an origin (scheme, host and port). Districts of equal seeds would have equal ids.
    pub fn over_districts(
        origin: &str,
        version: ApiVersion,
        histories: Vec<History>,
        options: CleverOptions,
        clock: Arc<dyn Clock>,
        progress: Progress<'_>,
    ) -> Self {
        let CleverOptions { credentials, rate_limit, retention, quirks } = options;
        let now = to_the_millisecond(clock.now());
        let standing = Standing {
            state: "running".to_owned(),
            error: String::new(),
            events: !quirks.contains(&CleverQuirk::NoEvents),
            shared: true,
            secure_sync: !quirks.contains(&CleverQuirk::SsoOnly),
        };
        let districts: Vec<_> = histories
            .into_iter()
            .map(|history| RwLock::new(Served::new(history, version, now, progress, standing.clone())))
            .collect();
        Self {
            clock,
            origin: origin.to_owned(),
            version,
            retention,
            knows_last: !quirks.contains(&CleverQuirk::NoLast),
            account: Account::new(credentials, rate_limit, districts.len()),
            districts,
            days: Mutex::default(),
            faults: Faults::default(),
            requests: AtomicUsize::new(0),
            objects: AtomicUsize::new(0),
        }
    }

    /// What to print when the server listens: its base URL, and a source for every district. `secret` is the file in
    /// which the client secret (or the district's token) lies.
    pub fn announcement(&self, secret: &Path) -> Announcement {
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let file = text(&secret.display().to_string());
        let origin = text(&self.origin);
        let districts = match self.districts.as_slice() {
            [only] => format!("district = \"{}\"", read(only).id),
            _ => "districts = \"all\"".to_owned(),
        };
        let credentials = match &self.account.credentials {
            CleverCredentials::Application { client_id, .. } => {
                format!("client_id = {}\nclient_secret = {{ file = {file} }}\n{districts}", text(client_id))
            }
            CleverCredentials::DistrictToken(_) => format!("district_token = {{ file = {file} }}"),
        };
        let config = format!(
            "[[source]]\nname = \"simulated-clever\"\nkind = \"clever\"\n{credentials}\napi_url = {origin}\noauth_url = \
             {origin}\napi_version = \"{}\"\n",
            self.version.as_str()
        );
        Announcement { base_url: format!("{}{}", self.origin, self.version.base_path()), config }
    }

    /// Answers every request.
    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let (request, _) = request.into_parts();
        let (method, path) = (request.method.clone(), request.uri.path().to_owned());
        let mut answer = match path.strip_prefix(self.version.base_path()) {
            Some(below) if below.starts_with('/') => Arc::clone(&self).answer_api(request, below.to_owned()).await,
            _ => self.answer_oauth(&request).unwrap_or_else(|problem| problem.answer(&method, &path)),
        };
        if let Ok(id) = HeaderValue::from_str(&Uuid::new_v4().to_string()) {
            answer.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        answer
    }

    /// Answers what is not of a version: tokens, and what there is not.
    fn answer_oauth(&self, request: &Parts) -> Result<Response, Problem> {
        let refused = || Problem::OAuth(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed");
        match (request.uri.path(), &request.method) {
            ("/oauth/tokens", &Method::GET) => {
                if !self.account.is_application(&request.headers) {
                    return Err(refused());
                }
                let raw = request.uri.query().unwrap_or_default();
                let query = Query::parse(raw, false)?;
                let district = query.get("district");
                if query.get("owner_type").is_some_and(|owner| owner != "district")
                    || (query.get("owner_type"), district) == (None, None)
                {
                    let description = "owner_type must be district";
                    return Err(Problem::OAuth(StatusCode::BAD_REQUEST, "invalid_request", description));
                }
                let mut rows = Vec::new();
                for (place, served) in self.districts.iter().enumerate() {
                    let served = read(served);
                    let id = served.id.to_string();
                    if district.is_some_and(|only| only != id) {
                        continue;
                    }
                    let Some(token) = self.account.give(place) else { continue };
                    let row = ObjectId { rest: crate::random::mix(!served.id.rest), ..served.id };
                    let scopes: &[&str] = if served.standing.secure_sync { &SECURE_SYNC } else { &LOGINS_ONLY };
                    rows.push(json!({
                        "id": row.to_string(),
                        "created": date_time(row.time()),
                        "owner": {"type": "district", "id": id},
                        "access_token": token,
                        "scopes": scopes,
                    }));
                }
                let uri = format!("/oauth/tokens?{raw}");
                Ok(json_answer(StatusCode::OK, &json!({"data": rows, "links": [{"rel": "self", "uri": uri}]})))
            }
            // A code is what a person's login gives, and nobody logs in here.
            ("/oauth/tokens", &Method::POST) => {
                Err(Problem::OAuth(StatusCode::BAD_REQUEST, "invalid_grant", "Invalid grant: invalid code"))
            }
            ("/oauth/tokeninfo", &Method::GET) => {
                let description = "The access token is invalid";
                let unknown = Problem::OAuth(StatusCode::UNAUTHORIZED, "invalid_token", description);
                let (place, _) = self.account.district(&request.headers).ok_or(unknown)?;
                let secure_sync = self.districts.get(place).is_some_and(|served| read(served).standing.secure_sync);
                let scopes: &[&str] = if secure_sync { &SECURE_SYNC } else { &LOGINS_ONLY };
                let document = json!({"client_id": self.account.client_id(), "scopes": scopes});
                Ok(json_answer(StatusCode::OK, &document))
            }
            _ => Err(Problem::NoRoute),
        }
    }

    /// Answers a request for something below the version.
    async fn answer_api(self: Arc<Self>, request: Parts, below: String) -> Response {
        let now = self.clock.now();
        let known = self.account.district(&request.headers);
        let token = known.as_ref().map(|(_, token)| token.clone()).unwrap_or_default();
        let window = self.account.count(token, now);
        let stated = |window: Window, mut answer: Response| {
            window.state(&mut answer);
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            answer
        };
        let (method, path) = (request.method.clone(), request.uri.path().to_owned());
        let refuse = |problem: Problem| stated(window, problem.answer(&method, &path));
        let Some((place, _)) = known else { return refuse(Problem::Unauthorised) };
        if window.is_exceeded() {
            return refuse(Problem::Busy);
        }
        if method != Method::GET {
            return refuse(Problem::NoRoute);
        }
        let connection = request.extensions.get::<ConnectInfo<Connection>>().map(|ConnectInfo(info)| info.clone());
        // Paths below an object look through whole collections.
        let prepared = {
            let (sim, raw) = (Arc::clone(&self), request.uri.query().unwrap_or_default().to_owned());
            tokio::task::spawn_blocking(move || sim.prepare(place, &below, &raw)).await
        };
        let (query, view) = match prepared {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(problem)) => return refuse(problem),
            Err(_) => return refuse(Problem::Internal(StatusCode::INTERNAL_SERVER_ERROR)),
        };

        self.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.take(&RosterRequest {
            collection: view.collection(),
            is_list: view.is_list(),
            is_first_page: query.is_first(),
        });
        if let Some(fault) = &fault {
            if let Some(answer) = fault.instead(connection.as_ref()).await {
                return answer;
            }
            match fault.kind {
                FaultKind::RateLimited => {
                    // Without a header of its own the answer says when to come back by the window.
                    let seconds = fault.retry_after.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(1);
                    let answer = Problem::Busy.answer(&method, &path);
                    return fault.with_retry_after(stated(window.exhausted(now, seconds), answer));
                }
                FaultKind::ServerError => return fault.with_retry_after(refuse(Problem::of_fault(fault))),
                FaultKind::ExpiredToken => {
                    self.account.rotate(place, true);
                    return refuse(Problem::Unauthorised);
                }
                _ => {}
            }
        }

        let (sim, spoils, path) = (Arc::clone(&self), fault.clone(), path.clone());
        let wrote =
            tokio::task::spawn_blocking(move || sim.write(place, &view, &query, fault.as_ref(), &path, now)).await;
        let answer = match wrote {
            Ok(Ok(body)) => stated(window, written(StatusCode::OK, body)),
            Ok(Err(problem)) => refuse(problem),
            Err(_) => refuse(Problem::Internal(StatusCode::INTERNAL_SERVER_ERROR)),
        };
        match spoils {
            Some(fault) => fault.spoil(answer).await,
            None => answer,
        }
    }

    /// Says what a request means, if its token may ask it.
    fn prepare(&self, place: usize, below: &str, raw: &str) -> Result<(Query, View), Problem> {
        let query = Query::parse(raw, self.knows_last)?;
        let (id, roster, standing) = {
            let served = self.served(place)?;
            (served.id, Arc::clone(&served.roster), served.standing.clone())
        };
        let view = resolve(below, &query, id, &roster)?;
        match &view {
            View::Resources if !standing.secure_sync => Err(Problem::NoRoute),
            view if !view.is_of_district() && !standing.secure_sync => Err(Problem::out_of_scope()),
            View::Single { .. } if !standing.shared => Err(Problem::NotFound("no such object".to_owned())),
            _ => Ok((query, view)),
        }
    }

    fn write(
        &self,
        place: usize,
        view: &View,
        query: &Query,
        fault: Option<&Fault>,
        path: &str,
        now: Timestamp,
    ) -> Result<Vec<u8>, Problem> {
        let base = self.version.base_path();
        let (body, objects) = match view {
            View::Resources => (b"{\"resources\":[]}".to_vec(), 0),
            View::Districts => {
                let served = self.served(place)?;
                page::write(&Alone { served: &served, version: self.version }, query, base, path, fault)
            }
            View::District { own } => {
                let served = self.served(place)?;
                let written = served.object(self.version).to_string();
                let uri = if *own { path.to_owned() } else { format!("{base}/districts/{}", served.id) };
                (single(written.as_bytes(), &uri, &[]), 1)
            }
            View::List(resource, only) => {
                let (roster, shared) = {
                    let served = self.served(place)?;
                    (Arc::clone(&served.roster), served.standing.shared)
                };
                let list = Objects { roster: &roster, resource: *resource, only, shared };
                page::write(&list, query, base, path, fault)
            }
            View::Single { resource, id, own } => {
                let roster = Arc::clone(&self.served(place)?.roster);
                let collection = roster.collection(*resource);
                let found = collection.find(id).map(|place| collection.get(place));
                let object = found.ok_or_else(|| Problem::NotFound("no such object".to_owned()))?;
                let mut out = Vec::new();
                resource.write(&mut out, object.id, object.members, &object.stamp.modified);
                let uri = format!("{base}/{}/{id}", resource.name());
                (single(&out, &uri, if *own { resource.relations() } else { &[] }), 1)
            }
            View::Events | View::Event(_) => {
                let served = self.served(place)?;
                let first = served.feed.first_kept(now, self.retention);
                let types: Vec<_> = query.all("record_type").collect();
                let list = Events { feed: &served.feed, first, types: &types, school: query.get("school") };
                if let View::Event(id) = view {
                    let found = (0..list.len()).find(|&place| list.id(place) == *id);
                    let place = found.ok_or_else(|| Problem::NotFound("no such event".to_owned()))?;
                    let mut out = Vec::new();
                    list.write(place, &mut out);
                    (single(&out, path, &[]), 1)
                } else {
                    page::write(&list, query, base, path, fault)
                }
            }
        };
        self.objects.fetch_add(objects, Ordering::Relaxed);
        Ok(body)
    }

    fn served(&self, place: usize) -> Result<RwLockReadGuard<'_, Served>, Problem> {
        self.districts.get(place).map(read).ok_or(Problem::Unauthorised)
    }

    /// What the districts stand like.
    fn standings(&self) -> Value {
        let districts = self.districts.iter().enumerate();
        districts.map(|(place, served)| read(served).standing(self.account.is_connected(place))).collect()
    }

    /// Does what whoever tests wants of districts.
    fn order(&self, order: &StandingOrder) -> Result<(), String> {
        const STATES: [&str; 5] = ["running", "pending", "error", "paused", "success"];
        if let Some(state) = order.state.as_deref().filter(|state| !STATES.contains(state)) {
            return Err(format!("a district is {}, not {state}", STATES.join(", ")));
        }
        let now = to_the_millisecond(self.clock.now());
        let mut found = false;
        for (place, served) in self.districts.iter().enumerate() {
            let mut served = change(served);
            if order.district.as_ref().is_some_and(|only| *only != served.id.to_string()) {
                continue;
            }
            found = true;
            let before = served.object(self.version);
            let standing = &mut served.standing;
            for (kept, wanted) in [(&mut standing.state, &order.state), (&mut standing.error, &order.error)] {
                if let Some(wanted) = wanted {
                    kept.clone_from(wanted);
                }
            }
            for (kept, wanted) in [
                (&mut standing.events, order.events),
                (&mut standing.shared, order.shared),
                (&mut standing.secure_sync, order.secure_sync),
            ] {
                *kept = wanted.unwrap_or(*kept);
            }
            if served.object(self.version) != before {
                served.tell_of_district(self.version, before, now);
            }
            if order.forget_events {
                served.feed.forget();
            }
            if let Some(connected) = order.connected.filter(|&connected| connected != self.account.is_connected(place))
            {
                self.account.rotate(place, connected);
            }
        }
        if found { Ok(()) } else { Err("there is no such district".to_owned()) }
    }

    fn answer_order(&self, body: &[u8]) -> Response {
        let order = serde_json::from_slice(body).map_err(|error| error.to_string());
        match order.and_then(|order| self.order(&order)) {
            Ok(()) => control::answer(StatusCode::OK, &json!({ "districts": self.standings() })),
            Err(message) => control::answer(StatusCode::BAD_REQUEST, &json!({ "error": message })),
        }
    }
}

impl Vendor for Clever {
    fn api(self: Arc<Self>) -> Router {
        let answer = |State(sim): State<Arc<Self>>, request: Request| async move { sim.answer(request).await };
        Router::new().fallback(answer).with_state(self)
    }

    fn controls(self: Arc<Self>) -> Router {
        let show = |State(sim): State<Arc<Self>>| async move {
            control::answer(StatusCode::OK, &json!({ "districts": sim.standings() }))
        };
        let order = |State(sim): State<Arc<Self>>, body: Bytes| async move { sim.answer_order(&body) };
        Router::new().route("/district", get(show).post(order)).with_state(self)
    }

    fn base_path(&self) -> &str {
        self.version.base_path()
    }

    fn advance(&self, churn: Option<Churn>) -> Result<Advance, CannotAdvance> {
        // Held to the end: of two calls at once, one waits for the other.
        let _one_at_a_time = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let last = self.districts.iter().map(|served| read(served).last_sync).max().ok_or(CannotAdvance)?;
        // Later than everything so far, even if the clock stands still.
        let later = last.saturating_add(SignedDuration::from_millis(1)).unwrap_or(last);
        let time = to_the_millisecond(self.clock.now()).max(later);
        let mut changes: PerKind<Changes> = PerKind::default();
        let mut generation = 0;
        for served in &self.districts {
            // What stands still for Clever stands still: what happens meanwhile is made up for by a later day.
            if read(served).standing.syncs() {
                let churn = churn.unwrap_or_else(|| read(served).churn);
                let day = Day::of(&read(served), churn, self.version, time, &|_, _| {});
                let mut served = change(served);
                let changed = served.pass(day);
                served.feed.drop_until(time, self.retention);
                for kind in Kind::ALL {
                    changes[kind].created += changed[kind].created;
                    changes[kind].updated += changed[kind].updated;
                    changes[kind].deleted += changed[kind].deleted;
                }
            }
            generation = generation.max(read(served).district.generation());
        }
        Ok(Advance { generation, time, changes })
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn status(&self) -> Value {
        let mut records = serde_json::Map::new();
        let (mut generation, mut time) = (0, Timestamp::UNIX_EPOCH);
        for served in &self.districts {
            let served = read(served);
            generation = generation.max(served.district.generation());
            time = time.max(served.last_sync);
            for resource in Resource::ALL {
                let count = records.entry(resource.name()).or_insert_with(|| json!(0));
                *count = json!(count.as_u64().unwrap_or_default() + served.roster.collection(resource).len() as u64);
            }
        }
        json!({
            "generation": generation,
            "time": date_time(time),
            "records": records,
            "requests": self.requests.load(Ordering::Relaxed),
            "records_served": self.objects.load(Ordering::Relaxed),
            "tokens": self.account.issued(),
            "districts": self.standings(),
        })
    }
}

fn to_the_millisecond(at: Timestamp) -> Timestamp {
    at.round(jiff::Unit::Millisecond).unwrap_or(at)
}

fn read(served: &RwLock<Served>) -> RwLockReadGuard<'_, Served> {
    served.read().unwrap_or_else(PoisonError::into_inner)
}

fn change(served: &RwLock<Served>) -> RwLockWriteGuard<'_, Served> {
    served.write().unwrap_or_else(PoisonError::into_inner)
}

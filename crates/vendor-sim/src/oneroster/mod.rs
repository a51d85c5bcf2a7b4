//! A simulated student information system that serves OneRoster 1.1 or 1.2 over REST.
//!
//! It is strict where a real server is: it refuses unsigned and wrongly signed requests, unknown filters, fields and
//! paths, and plus signs for spaces. What it serves follows the standard's JSON, and not what any reader makes of it.

mod filter;
mod package;
mod page;
mod problem;
mod query;
mod roster;
mod routes;
mod shape;
mod version;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::routing::{any, post};
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::ports::Clock;
use rollcall_domain::{Kind, PerKind};
use serde_json::{Value, json};

pub use self::package::{Package, PackageError};
use self::page::Page;
use self::problem::Problem;
use self::query::Query;
use self::roster::Roster;
use self::shape::Shape;
pub use self::version::Version;
use crate::auth::Authentication;
use crate::collection::{Builder, Changes, Collection, Stamp, date_time};
use crate::district::{Churn, District, first_morning};
use crate::json::Members;
use crate::server::{
    Advance, Announcement, CannotAdvance, Connection, Fault, FaultKind, Faults, RosterRequest, Vendor,
};

/// The path at which tokens are given out.
const TOKEN_PATH: &str = "/oauth/token";

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Records between two reports of progress.
const REPORT_EVERY: usize = 20_000;

/// What a server leaves out or does not understand, as real ones do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// No `X-Total-Count`.
    NoTotals,
    /// No `Link`.
    NoLinks,
    /// `filter` changes nothing.
    IgnoresFilter,
    /// `filter` is answered with 400.
    RefusesFilter,
    /// `sort` changes nothing.
    IgnoresSort,
    /// What is deleted vanishes without a tombstone.
    NoTombstones,
}

/// How a server is set up.
#[derive(Debug)]
pub struct OneRosterOptions {
    /// How it knows who asks.
    pub authentication: Authentication,
    /// The largest page; a larger limit is silently cut.
    pub max_limit: usize,
    /// What it leaves out or does not understand.
    pub quirks: Vec<Quirk>,
    /// Whether it compresses for clients that accept it.
    pub compress: bool,
    /// The faults that are armed: several servers of one vendor may share them.
    pub faults: Arc<Faults>,
}

/// What a server did, for the vendor around it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    /// How many records the answer has.
    pub(crate) records: usize,
    /// What befell it.
    pub(crate) fault: Option<FaultKind>,
}

impl OneRosterOptions {
    /// A server with all there is, and pages of at most 10,000.
    pub fn new(authentication: Authentication) -> Self {
        Self { authentication, max_limit: 10_000, quirks: Vec::new(), compress: true, faults: Arc::default() }
    }
}

/// Told how far the making of a roster has come: a kind, and how many of it there are.
pub type Progress<'a> = &'a (dyn Fn(Kind, usize) + Sync);

/// A simulated student information system.
pub struct OneRoster {
    clock: Arc<dyn Clock>,
    options: OneRosterOptions,
    origin: String,
    shape: Shape,
    faults: Arc<Faults>,
    roster: RwLock<Arc<Roster>>,
    days: Mutex<Option<Days>>,
    asked: Asked,
}

/// A district and the days that it has behind it.
#[derive(Debug, Clone)]
pub struct History {
    /// The district on its first day.
    pub district: District,
    /// How many days have passed.
    pub generations: usize,
    /// How much of it changes each day, in the past and in the future.
    pub churn: Churn,
}

/// A district, and when it last moved.
#[derive(Debug)]
struct Days {
    district: District,
    churn: Churn,
    last: Timestamp,
}

/// What was asked for so far.
#[derive(Debug, Default)]
struct Asked {
    requests: AtomicUsize,
    records: AtomicUsize,
}

impl std::fmt::Debug for OneRoster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OneRoster").field("base_url", &self.shape.base_url).finish_non_exhaustive()
    }
}

impl OneRoster {
    /// Serves a generated district at an origin (scheme, host and port).
    ///
    /// Each record has the time of the generation in which it last changed, and what was deleted on the way is served
    /// as `tobedeleted`.
    pub fn over_district(
        origin: &str,
        version: Version,
        history: History,
        options: OneRosterOptions,
        clock: Arc<dyn Clock>,
        progress: Progress<'_>,
    ) -> Self {
        let shape = Shape { version, base_url: format!("{origin}{}", version.base_path()) };
        let History { mut district, generations, churn } = history;
        let now = clock.now();
        let mut time = first_morning().min(now);
        let mut first = collect(&district, &shape, time, progress).into_iter();
        let mut collections = PerKind::from_fn(|_| Arc::new(first.next().unwrap_or_default()));
        for _ in 0..generations {
            district = district.next_day(churn);
            // A day later, but never in the future.
            time = time.saturating_add(DAY).unwrap_or(now).min(now);
            (collections, _) = advance(&collections, collect(&district, &shape, time, progress), time);
        }
        let days = Days { district, churn, last: time };
        Self::new(origin, shape, collections, Some(days), options, clock)
    }

    /// Serves a package as it is, in its own version, at an origin (scheme, host and port). Says also what of the
    /// package no server can serve.
    pub fn over_package(
        origin: &str,
        package: &Package,
        options: OneRosterOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Vec<String>), PackageError> {
        let version = package.version();
        let shape = Shape { version, base_url: format!("{origin}{}", version.base_path()) };
        let (collections, notes) = package.read(&shape)?;
        Ok((Self::new(origin, shape, collections, None, options, clock), notes))
    }

    fn new(
        origin: &str,
        shape: Shape,
        collections: PerKind<Arc<Collection>>,
        days: Option<Days>,
        options: OneRosterOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            clock,
            faults: Arc::clone(&options.faults),
            options,
            origin: origin.to_owned(),
            shape,
            roster: RwLock::new(Arc::new(Roster::new(collections))),
            days: Mutex::new(days),
            asked: Asked::default(),
        }
    }

    /// What to print when the server listens: its base URL, and a source that reaches it. `account` is the client id or
    /// consumer key, and `secret` the file in which the secret (or the token) lies.
    pub fn announcement(&self, account: &str, secret: &Path) -> Announcement {
        let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
        let (base_url, file, account) = (&self.shape.base_url, secret.display().to_string(), text(account));
        let file = text(&file);
        let auth = match &self.options.authentication {
            Authentication::Bearer(_) => format!("{{ method = \"bearer\", token = {{ file = {file} }} }}"),
            Authentication::OAuth1(_) | Authentication::Keys(_) => format!(
                "{{ method = \"oauth1\", consumer_key = {account}, consumer_secret = {{ file = {file} }}, signature = \
                 \"HMAC-SHA256\" }}"
            ),
            Authentication::OAuth2(tokens) => {
                let url = text(&format!("{}{TOKEN_PATH}", self.origin));
                let place = if tokens.wants_form() { ", client_auth = \"body\"" } else { "" };
                format!(
                    "{{ method = \"oauth2\", token_url = {url}, client_id = {account}, client_secret = {{ file = {file} \
                     }}{place} }}"
                )
            }
        };
        let config = format!(
            "[[source]]\nname = \"simulated-oneroster\"\nkind = \"oneroster-rest\"\nbase_url = {}\nauth = {auth}\n",
            text(base_url)
        );
        Announcement { base_url: base_url.clone(), config }
    }

    fn current(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers a request for something below the base path.
    pub(crate) async fn answer(self: Arc<Self>, request: Request) -> Response {
        let (request, _) = request.into_parts();
        let version = self.shape.version;
        if request.method != Method::GET {
            return Problem::MethodNotAllowed.answer(version);
        }
        let grant = match self.options.authentication.check(&request, self.clock.now()) {
            Ok(grant) => grant,
            Err(refusal) => return Problem::Unauthorised(refusal).answer(version),
        };
        let connection = request.extensions.get::<ConnectInfo<Connection>>().map(|ConnectInfo(info)| info.clone());
        // Paths below a record and filters look through whole collections.
        let prepared = {
            let (sim, uri) = (Arc::clone(&self), request.uri.clone());
            tokio::task::spawn_blocking(move || {
                let roster = sim.current();
                let path = uri.path().strip_prefix(version.base_path()).unwrap_or_default();
                let view = routes::resolve(path, version, &roster)?;
                let scopes = version.scopes_for(view.coverage);
                if !grant.has_any(scopes) {
                    let message = format!("the token covers none of {}", scopes.join(", "));
                    return Err(Problem::Forbidden(message));
                }
                let query = uri.query().unwrap_or_default();
                let query = Query::parse(query, version, view.kind, sim.options.max_limit, &sim.options.quirks)?;
                Ok((roster, view, query))
            })
            .await
        };
        let (roster, view, query) = match prepared {
            Ok(Ok(prepared)) => prepared,
            Ok(Err(problem)) => return problem.answer(version),
            Err(_) => return Problem::Internal(StatusCode::INTERNAL_SERVER_ERROR).answer(version),
        };

        self.asked.requests.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.take(&RosterRequest {
            collection: view.collection,
            is_list: view.id.is_none(),
            is_first_page: query.offset == 0,
        });
        if let Some(fault) = &fault {
            if let Some(answer) = fault.instead(connection.as_ref()).await {
                return answer;
            }
            let problem = match fault.kind {
                FaultKind::RateLimited => Some(Problem::Busy),
                FaultKind::ServerError => {
                    Some(Problem::Internal(fault.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)))
                }
                FaultKind::ExpiredToken => {
                    self.options.authentication.void(&request);
                    Some(Problem::Unauthorised(self.options.authentication.expired()))
                }
                _ => None,
            };
            if let Some(problem) = problem {
                return fault.with_retry_after(problem.answer(version));
            }
        }

        let (sim, spoils) = (Arc::clone(&self), fault.clone());
        let answer = tokio::task::spawn_blocking(move || {
            sim.write(&roster, &view, &query, fault.as_ref(), request.uri.path(), &request.headers)
        })
        .await
        .unwrap_or_else(|_| Problem::Internal(StatusCode::INTERNAL_SERVER_ERROR).answer(version));
        match spoils {
            Some(fault) => fault.spoil(answer).await,
            None => answer,
        }
    }

    fn write(
        &self,
        roster: &Roster,
        view: &routes::View,
        query: &Query,
        fault: Option<&Fault>,
        path: &str,
        headers: &HeaderMap,
    ) -> Response {
        let version = self.shape.version;
        let with_tombstones = !self.options.quirks.contains(&Quirk::NoTombstones);
        let written = if let Some(id) = &view.id {
            let found = roster.find(view.kind, id).filter(|record| {
                view.only.iter().all(|only| only.is(*record))
                    && (with_tombstones || record.stamp.status != "tobedeleted")
            });
            let Some(record) = found else {
                let message = format!("there is no such record among the {}", view.collection);
                return Problem::Unknown(message).answer(version);
            };
            page::single(view, record, query)
        } else {
            let list = roster.list(path, view, query, with_tombstones);
            let url = format!("{}{path}", self.origin);
            let quirks = self.options.quirks.as_slice();
            Page { version, roster, view, query, list: &list, quirks, url: &url, fault }.write()
        };
        self.asked.records.fetch_add(written.records, Ordering::Relaxed);
        let told = Told { records: written.records, fault: fault.map(|fault| fault.kind) };
        let mut answer = written.answer(headers, self.options.compress);
        answer.extensions_mut().insert(told);
        answer
    }

    /// Answers a request for a token.
    fn token(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        match &self.options.authentication {
            Authentication::OAuth2(tokens) => tokens.issue(headers, body, self.clock.now()),
            Authentication::Bearer(_) | Authentication::OAuth1(_) | Authentication::Keys(_) => {
                Problem::Unknown("no tokens are given out here".to_owned()).answer(self.shape.version)
            }
        }
    }
}

impl Vendor for OneRoster {
    fn api(self: Arc<Self>) -> Router {
        let below = format!("{}/{{*path}}", self.base_path());
        let version = self.shape.version;
        let roster = |State(sim): State<Arc<Self>>, request: Request| sim.answer(request);
        let token =
            |State(sim): State<Arc<Self>>, headers: HeaderMap, body: Bytes| async move { sim.token(&headers, &body) };
        Router::new()
            .route(&below, any(roster))
            .route(TOKEN_PATH, post(token))
            .fallback(move || async move { Problem::Unknown("there is nothing here".to_owned()).answer(version) })
            .with_state(self)
    }

    fn base_path(&self) -> &str {
        self.shape.version.base_path()
    }

    fn advance(&self, churn: Option<Churn>) -> Result<Advance, CannotAdvance> {
        // Held to the end: of two calls at once, one waits for the other.
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let days = days.as_mut().ok_or(CannotAdvance)?;
        // Later than everything so far, even if the clock stands still.
        let later = days.last.saturating_add(SignedDuration::from_millis(1)).unwrap_or(days.last);
        // To the millisecond, as it is served and filtered by.
        let now = self.clock.now().round(jiff::Unit::Millisecond).unwrap_or(later);
        let time = now.max(later);
        let district = days.district.clone().next_day(churn.unwrap_or(days.churn));
        let next = collect(&district, &self.shape, time, &|_, _| {});
        let (collections, changes) = advance(self.current().collections(), next, time);
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Roster::new(collections));
        days.district = district;
        days.last = time;
        Ok(Advance { generation: days.district.generation(), time, changes })
    }

    fn faults(&self) -> &Faults {
        &self.faults
    }

    fn status(&self) -> Value {
        let roster = self.current();
        let days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let records: serde_json::Map<_, _> =
            Kind::ALL.iter().map(|&kind| (kind.as_str().to_owned(), roster.collection(kind).live().into())).collect();
        json!({
            "generation": days.as_ref().map(|days| days.district.generation()),
            "time": days.as_ref().map(|days| date_time(days.last)),
            "records": records,
            "requests": self.asked.requests.load(Ordering::Relaxed),
            "records_served": self.asked.records.load(Ordering::Relaxed),
            "tokens": match &self.options.authentication {
                Authentication::OAuth2(tokens) => tokens.issued(),
                Authentication::Bearer(_) | Authentication::OAuth1(_) | Authentication::Keys(_) => 0,
            },
        })
    }
}

/// All records of a district, stamped alike, kind by kind. The larger kinds are made at the same time.
fn collect(district: &District, shape: &Shape, time: Timestamp, progress: Progress<'_>) -> Vec<Collection> {
    std::thread::scope(|scope| {
        let threads = Kind::ALL.map(|kind| scope.spawn(move || collect_kind(district, kind, shape, time, progress)));
        // A thread that panics takes the simulator with it.
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.map(|made| made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn collect_kind(district: &District, kind: Kind, shape: &Shape, time: Timestamp, progress: Progress<'_>) -> Collection {
    let mut builder = Builder::default();
    let mut out = Members::default();
    let stamp = builder.stamp(Stamp::active(time));
    for record in district.records(kind) {
        let id = record.sourced_id().clone();
        out.clear();
        shape.write(&mut out, record);
        builder.push(id.as_str(), out.as_bytes(), stamp);
        if builder.len().is_multiple_of(REPORT_EVERY) {
            progress(kind, builder.len());
        }
    }
    builder.finish()
}

/// Moves every kind on.
fn advance(
    before: &PerKind<Arc<Collection>>,
    next: Vec<Collection>,
    time: Timestamp,
) -> (PerKind<Arc<Collection>>, PerKind<Changes>) {
    let mut changes = PerKind::default();
    let mut next = next.into_iter();
    let collections = PerKind::from_fn(|kind| {
        let (next, changed) = before[kind].advance(next.next().unwrap_or_default(), time);
        changes[kind] = changed;
        Arc::new(next)
    });
    (collections, changes)
}

//! Faults on demand.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt as _, future, stream};
use serde::{Deserialize, Serialize};

use super::Connection;

/// How many milliseconds `slow` takes unless it is told.
const SLOW: u64 = 5000;

/// What comes before a break has so long to be sent.
const UNTIL_SENT: Duration = Duration::from_millis(50);

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429, with `Retry-After` if the order has `retry_after` (in seconds).
    RateLimited,
    /// 500, or the order's `status`; with `Retry-After` if the order has one.
    ServerError,
    /// The answer breaks off in its middle.
    Truncated,
    /// A page has only half of its records; total and links are as they should be.
    ShortPage,
    /// 200 with `{}`: the key of the collection is missing.
    MissingEnvelope,
    /// The collection is empty, and its total is 0.
    EmptyCollection,
    /// 200 with an HTML page that asks for a password.
    LoginPage,
    /// The answer comes after five seconds, or after the order's `delay_ms`.
    Slow,
    /// The connection is reset before the answer.
    Reset,
    /// 401; the token that came with the request is void from now on.
    ExpiredToken,
    /// A page other than the first repeats the one before it, as if `offset` were not understood.
    RepeatedPage,
    /// The collection ends one record earlier with each request.
    ShrinkingTotal,
    /// The revision of the roster is another one from now on. Only ClassLink has revisions.
    MovedRevision,
}

impl FaultKind {
    /// Whether the fault can befall a request: some make sense only for a list, or only for a later page of it.
    fn befalls(self, request: &RosterRequest<'_>) -> bool {
        match self {
            Self::ShortPage
            | Self::MissingEnvelope
            | Self::EmptyCollection
            | Self::ShrinkingTotal
            | Self::MovedRevision => request.is_list,
            Self::RepeatedPage => request.is_list && !request.is_first_page,
            _ => true,
        }
    }
}

/// A request for a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For how many requests; 0 disarms the kind.
    pub times: u32,
    /// How many requests that it could befall it leaves alone before.
    #[serde(default)]
    pub after: u32,
    /// The collection that it befalls, as the last part of a path names it; without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// The seconds that `Retry-After` states; without it there is no such header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The status of `server_error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The milliseconds of `slow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

impl FaultOrder {
    /// A fault for the next requests.
    pub const fn new(kind: FaultKind, times: u32) -> Self {
        Self { kind, times, after: 0, collection: None, retry_after: None, status: None, delay_ms: None }
    }
}

/// What a fault must know of a request.
#[derive(Debug, Clone, Copy)]
pub struct RosterRequest<'a> {
    /// The collection, as the last part of a path names it.
    pub collection: &'a str,
    /// Whether a list is asked for, and not one record.
    pub is_list: bool,
    /// Whether it is the beginning of the list.
    pub is_first_page: bool,
}

/// The faults that are armed. Of several, the one that was armed first comes first.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Vec<Armed>>);

#[derive(Debug)]
struct Armed {
    order: FaultOrder,
    turns: u32,
}

impl Faults {
    /// Arms a fault in place of an earlier one of its kind, or disarms the kind.
    pub fn arm(&self, order: FaultOrder) {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        armed.retain(|other| other.order.kind != order.kind);
        if order.times > 0 {
            armed.push(Armed { order, turns: 0 });
        }
    }

    /// What is armed still.
    pub fn armed(&self) -> Vec<FaultOrder> {
        let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        armed.iter().map(|armed| armed.order.clone()).collect()
    }

    /// The fault that befalls a request, if one does.
    pub fn take(&self, request: &RosterRequest<'_>) -> Option<Fault> {
        let mut armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = armed.iter().position(|Armed { order, .. }| {
            order.kind.befalls(request) && order.collection.as_deref().is_none_or(|only| only == request.collection)
        })?;
        let Armed { order, turns } = &mut armed[place];
        if order.after > 0 {
            order.after -= 1;
            return None;
        }
        order.times -= 1;
        *turns += 1;
        let fault = Fault {
            kind: order.kind,
            turn: *turns,
            retry_after: order.retry_after,
            status: order.status.and_then(|status| StatusCode::from_u16(status).ok()),
            delay: Duration::from_millis(order.delay_ms.unwrap_or(SLOW)),
        };
        if order.times == 0 {
            armed.remove(place);
        }
        Some(fault)
    }
}

/// A fault that befalls one request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For the how-manieth time since it was armed, from 1.
    pub turn: u32,
    /// The seconds of `Retry-After`.
    pub retry_after: Option<u64>,
    /// The status that was asked for.
    pub status: Option<StatusCode>,
    /// How long `slow` takes.
    delay: Duration,
}

impl Fault {
    /// What comes in place of the answer, where no vendor has a say in it.
    pub(crate) async fn instead(&self, connection: Option<&Connection>) -> Option<Response> {
        match self.kind {
            FaultKind::Slow => {
                tokio::time::sleep(self.delay).await;
                None
            }
            FaultKind::Reset => {
                if let Some(connection) = connection {
                    connection.reset();
                }
                Some(broken_off(Response::default(), Bytes::new(), 1))
            }
            FaultKind::LoginPage => Some(login_page()),
            _ => None,
        }
    }

    /// What becomes of the answer on its way.
    pub(crate) async fn spoil(&self, answer: Response) -> Response {
        if self.kind != FaultKind::Truncated {
            return answer;
        }
        let (parts, body) = answer.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let half = bytes.slice(..bytes.len() / 2);
        broken_off(Response::from_parts(parts, Body::empty()), half, bytes.len())
    }

    /// Adds `Retry-After`, if the fault has it.
    pub(crate) fn with_retry_after(&self, mut answer: Response) -> Response {
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

/// An answer that promises `length` bytes and fails after fewer.
fn broken_off(answer: Response, bytes: Bytes, length: usize) -> Response {
    let (mut parts, _) = answer.into_parts();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    // A failure that follows at once would overtake the bytes before it, and nothing would be sent.
    let failure = async {
        tokio::time::sleep(UNTIL_SENT).await;
        Err(io::Error::other("the answer breaks off, as was asked for"))
    };
    let body = stream::once(future::ready(Ok(bytes))).chain(stream::once(failure));
    Response::from_parts(parts, Body::from_stream(body))
}

fn login_page() -> Response {
    let page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Your session has ended</h1>\
                <form method=\"post\" action=\"/login\"><input name=\"user\"><input name=\"password\" \
                type=\"password\"><button>Sign in</button></form></body></html>";
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: RosterRequest<'_> = RosterRequest { collection: "users", is_list: true, is_first_page: false };
    const FIRST: RosterRequest<'_> = RosterRequest { is_first_page: true, ..PAGE };
    const SINGLE: RosterRequest<'_> = RosterRequest { is_list: false, ..FIRST };

    fn kind(faults: &Faults, request: RosterRequest<'_>) -> Option<FaultKind> {
        faults.take(&request).map(|fault| fault.kind)
    }

    #[test]
    fn a_fault_befalls_as_many_requests_as_it_was_armed_for() {
        let faults = Faults::default();
        faults.arm(FaultOrder::new(FaultKind::Truncated, 2));
        assert_eq!(
            [(); 3].map(|()| kind(&faults, SINGLE)),
            [Some(FaultKind::Truncated), Some(FaultKind::Truncated), None]
        );
        faults.arm(FaultOrder::new(FaultKind::Truncated, 2));
        faults.arm(FaultOrder::new(FaultKind::Truncated, 0));
        assert_eq!(kind(&faults, FIRST), None);
    }

    #[test]
    fn a_fault_waits_for_a_request_that_it_can_befall() {
        let faults = Faults::default();
        faults.arm(FaultOrder::new(FaultKind::RepeatedPage, 1));
        faults.arm(FaultOrder {
            after: 1,
            collection: Some("orgs".to_owned()),
            ..FaultOrder::new(FaultKind::EmptyCollection, 1)
        });
        let orgs = RosterRequest { collection: "orgs", ..FIRST };
        assert_eq!(kind(&faults, FIRST), None);
        assert_eq!(kind(&faults, orgs), None);
        assert_eq!(kind(&faults, orgs), Some(FaultKind::EmptyCollection));
        assert_eq!(kind(&faults, PAGE), Some(FaultKind::RepeatedPage));
        assert!(faults.armed().is_empty());
    }
}

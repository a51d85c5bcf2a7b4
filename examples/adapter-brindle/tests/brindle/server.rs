//! A Brindle in a hundred lines: three lists, page by page, and what can go wrong with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rollcall_adapters_brindle::{BrindleConfig, BrindleSource};
use rollcall_adapters_http::RetryPolicy;
use rollcall_domain::ports::Clock;
use rollcall_testkit::source::Fault;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

pub(crate) const KEY: &str = "the key of the district";

/// How many objects a page has, whatever is asked for.
const PAGE: usize = 50;

/// The real time.
pub(crate) struct RealTime;

impl Clock for RealTime {
    #[expect(clippy::disallowed_methods, reason = "a server and its reader have to agree with each other")]
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }
}

/// What the server has, and what goes wrong with it.
pub(crate) struct State {
    pub(crate) lists: BTreeMap<String, Vec<Value>>,
    /// What goes wrong with the second page of people, and how often still.
    pub(crate) fault: Option<(Fault, usize)>,
    pub(crate) struck: usize,
}

#[derive(Clone)]
struct Answers(Arc<Mutex<State>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        if request.headers.get("authorization").is_none_or(|given| given != &format!("Bearer {KEY}")) {
            return ResponseTemplate::new(401);
        }
        let list = request.url.path().trim_start_matches("/v1/").to_owned();
        let Some(objects) = state.lists.get(&list) else { return ResponseTemplate::new(404) };
        let after = request.url.query_pairs().find(|(name, _)| name == "after").map(|(_, after)| after.into_owned());
        let first = after.and_then(|after| objects.iter().position(|object| object["id"] == after.as_str()));
        let (begin, total) = (first.map_or(0, |place| place + 1), objects.len());
        let end = total.min(begin + PAGE);
        let mut page = json!({"total": total, "items": objects[begin..end]});
        if end < total {
            page["next"] = json!(format!("/v1/{list}?after={}", objects[end - 1]["id"].as_str().unwrap()));
        }
        match &mut state.fault {
            Some((fault, times))
                if list == "people" && *times > 0 && (begin > 0 || *fault == Fault::EmptyCollection) =>
            {
                *times -= 1;
                let fault = *fault;
                state.struck += 1;
                broken(fault, page)
            }
            _ => ResponseTemplate::new(200).set_body_json(page),
        }
    }
}

/// A page with which something is wrong.
fn broken(fault: Fault, mut page: Value) -> ResponseTemplate {
    let ok = ResponseTemplate::new(200);
    match fault {
        Fault::TooManyRequests => ResponseTemplate::new(429),
        Fault::InternalError => ResponseTemplate::new(500),
        Fault::ExpiredToken => ResponseTemplate::new(401).set_body_json(json!({"message": "no such key"})),
        Fault::LoginPage => ok.set_body_raw("<!DOCTYPE html><title>Sign in</title>", "text/html"),
        Fault::MissingEnvelope => ok.set_body_json(json!({"total": 0})),
        Fault::EmptyCollection => ok.set_body_json(json!({"total": 0, "items": []})),
        Fault::Truncated => {
            let text = page.to_string();
            ok.set_body_raw(text[..text.len() / 2].to_owned(), "application/json")
        }
        Fault::ShortPage => {
            page["items"].as_array_mut().unwrap().truncate(3);
            ok.set_body_json(page)
        }
        other => panic!("the server cannot do {other:?}"),
    }
}

/// A server, and sources that read from it.
pub(crate) struct Server {
    server: MockServer,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) async fn with(lists: BTreeMap<String, Vec<Value>>) -> Self {
        let state = Arc::new(Mutex::new(State { lists, fault: None, struck: 0 }));
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(Answers(Arc::clone(&state))).mount(&server).await;
        Self { server, state }
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        self.server.uri()
    }
}

/// A source of the server at an origin.
pub(crate) fn source_at(origin: &str) -> BrindleSource {
    let mut config = BrindleConfig::new(format!("{origin}/v1").parse().unwrap(), KEY.into(), "BRINDLE_KEY".to_owned());
    let delay = Duration::from_millis(1);
    config.retry = RetryPolicy { max_tries: 2, min_delay: delay, max_delay: delay, ..RetryPolicy::default() };
    BrindleSource::new(config, Arc::new(RealTime)).unwrap()
}

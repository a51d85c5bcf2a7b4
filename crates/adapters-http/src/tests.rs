//! Sessions against real servers, most of them unkind. No test waits: what a session would have waited is noted.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::StatusCode;
use jiff::Timestamp;
use rollcall_domain::ports::{Clock, SourceError, SourceFailure};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use url::Url;
use wiremock::matchers::{body_string, header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::retry::Sleep;
use crate::{
    Auth, ClientAuth, ClientCredentials, HttpConfig, HttpError, HttpSession, OAuth1Credentials, RetryPolicy,
    SignatureMethod, Token, TokenAuth, TokenSource,
};

const NOW: &str = "2026-11-22T10:00:00Z";

/// A clock that stands until it is moved.
struct StandingClock(Mutex<Timestamp>);

impl StandingClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(NOW.parse().unwrap())))
    }

    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// Passes no time, and notes how much it was asked to pass.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<Vec<Duration>>>);

impl Noted {
    fn seconds(&self) -> Vec<f64> {
        self.0.lock().unwrap().iter().map(Duration::as_secs_f64).collect()
    }
}

#[async_trait]
impl Sleep for Noted {
    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

fn config(base: &str) -> HttpConfig {
    let mut config = HttpConfig::new(base.parse().unwrap());
    // Between one's own tries nobody waits, and token sessions are no exception.
    config.retry.min_delay = Duration::from_millis(1);
    config.retry.max_delay = Duration::from_millis(1);
    config
}

fn session(config: HttpConfig) -> (HttpSession, Noted) {
    let noted = Noted::default();
    let session = HttpSession::sleeping(config, StandingClock::new(), Box::new(noted.clone())).unwrap();
    (session, noted)
}

fn secret(text: &str) -> SecretString {
    text.into()
}

fn basic(credentials: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(credentials))
}

/// Answers one after the other, the last one for good.
struct InTurn {
    answers: Vec<ResponseTemplate>,
    given: AtomicUsize,
}

impl InTurn {
    fn new(answers: impl IntoIterator<Item = ResponseTemplate>) -> Self {
        Self { answers: answers.into_iter().collect(), given: AtomicUsize::new(0) }
    }
}

impl Respond for InTurn {
    fn respond(&self, _request: &Request) -> ResponseTemplate {
        let given = self.given.fetch_add(1, Ordering::Relaxed);
        self.answers[given.min(self.answers.len() - 1)].clone()
    }
}

fn ok() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"orgs": []}))
}

fn status(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

async fn serving(answers: impl IntoIterator<Item = ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(InTurn::new(answers)).mount(&server).await;
    server
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.unwrap()
}

/// What a server that answers so does to a request: the outcome, how often it was asked, and the waits.
async fn outcome(answers: impl IntoIterator<Item = ResponseTemplate>) -> (Result<Value, HttpError>, usize, Vec<f64>) {
    let server = serving(answers).await;
    let (session, noted) = session(config(&server.uri()));
    let outcome = session.get_json::<Value>(session.url("orgs", &[])).await.map(|json| json.value);
    (outcome, requests(&server).await.len(), noted.seconds())
}

/// What a bare server does with a connection, once it has read the request.
#[derive(Clone)]
enum Deed {
    Write(Vec<u8>),
    Drop,
    KeepSilent,
}

fn written(head: &str, body: &[u8]) -> Deed {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n{head}\r\n");
    Deed::Write([head.as_bytes(), body].concat())
}

/// A server that does one deed after the other, the last one for good, and counts.
async fn bare_server(deeds: Vec<Deed>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            read_head(&mut stream).await;
            let at = counted.fetch_add(1, Ordering::Relaxed);
            match &deeds[at.min(deeds.len() - 1)] {
                Deed::Write(bytes) => {
                    // The client may have hung up: a body that is too large is not read to its end.
                    let _ = stream.write_all(bytes).await;
                    let _ = stream.shutdown().await;
                }
                Deed::Drop => {}
                Deed::KeepSilent => silent.push(stream),
            }
        }
    });
    (base, count)
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte).await, Ok(1)) {
        head.push(byte[0]);
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_request_goes_out_as_it_was_built_and_names_its_client() {
    let server = serving([ok().append_header("X-Total-Count", "42")]).await;
    let (session, _) =
        session(config(&format!("{}/%2FMoY%3D/v1p1/", server.uri())).with_auth(Auth::Bearer(secret("t0p"))));
    let url = session.url("classes/7%7C33%2F44", &[("filter", "status='active' AND x='a+b'"), ("limit", "10")]);
    let json = session.get_json::<Value>(url).await.unwrap();
    assert_eq!((json.response.total_count(), json.response.body.len()), (Some(42), 0));
    let request = &requests(&server).await[0];
    // The test server knows itself by another name.
    assert_eq!(
        request.url.as_str().splitn(4, '/').last(),
        Some("%2FMoY%3D/v1p1/classes/7%7C33%2F44?filter=status%3D%27active%27%20AND%20x%3D%27a%2Bb%27&limit=10")
    );
    let sent = |name: &str| request.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(sent("authorization"), "Bearer t0p");
    assert_eq!(sent("accept"), "application/json");
    assert_eq!(sent("accept-encoding"), "gzip");
    assert_eq!(sent("user-agent"), concat!("rollcall/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_when_it_says_so() {
    let (json, asked, waits) = outcome([status(429).append_header("Retry-After", "7"), ok()]).await;
    json.unwrap();
    assert_eq!(asked, 2);
    assert!((waits[0] - 7.0).abs() < 1e-9, "{waits:?}");

    let (json, asked, waits) = outcome([status(429), status(503), status(502), status(504), ok()]).await;
    json.unwrap();
    assert_eq!((asked, waits.len()), (5, 4));

    let reset = (NOW.parse::<Timestamp>().unwrap().as_second() + 30).to_string();
    let limited = status(429)
        .append_header("X-RateLimit-Reset", reset.as_str())
        .append_header("Date", "Sun, 22 Nov 2026 10:00:10 GMT");
    let (json, _, waits) = outcome([limited, ok()]).await;
    json.unwrap();
    assert!((waits[0] - 20.0).abs() < 1e-9, "by the server's own clock: {waits:?}");
}

#[tokio::test]
async fn a_rate_limit_that_is_used_up_holds_the_next_request_of_the_session() {
    let used_up = ok().append_header("X-RateLimit-Remaining", "0").append_header("X-RateLimit-Reset", "60");
    let server = serving([used_up.append_header("Date", "Sun, 22 Nov 2026 10:00:00 GMT"), ok()]).await;
    let (session, noted) = session(config(&server.uri()));
    session.get(session.url("a", &[])).await.unwrap();
    assert_eq!(noted.seconds(), [0.0; 0]);
    session.clone().get(session.url("b", &[])).await.unwrap();
    let waits = noted.seconds();
    assert!(waits.len() == 1 && waits[0] > 30.0 && waits[0] <= 60.0, "{waits:?}");
}

#[tokio::test]
async fn tries_are_bounded() {
    let (error, asked, waits) = outcome([status(503)]).await;
    assert_eq!((asked, waits.len()), (5, 4));
    let error = SourceError::from(error.unwrap_err());
    assert_eq!((error.code.as_str(), error.failure), ("server_error", SourceFailure::Exhausted));
    assert!(error.message.ends_with("answered 503 Service Unavailable (tried 5 times in 0 s)"), "{}", error.message);

    let (error, asked, _) = outcome([status(500)]).await;
    assert_eq!((error.unwrap_err().code(), asked), ("server_error", 3));
    let (json, asked, _) = outcome([status(500), ok()]).await;
    json.unwrap();
    assert_eq!(asked, 2);

    // An hour is longer than anyone waits.
    let (error, asked, waits) = outcome([status(429).append_header("Retry-After", "3600")]).await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), asked, waits.len()), ("rate_limited", 1, 0));
    assert!(error.to_string().ends_with("answered 429 Too Many Requests; it asks to wait 3600 s"), "{error}");

    // Nor does a wait begin that would go beyond the time for all tries.
    let server = serving([status(429).append_header("Retry-After", "60")]).await;
    let mut config = config(&server.uri());
    config.retry.max_total = Duration::from_secs(59);
    let (session, noted) = session(config);
    session.get(session.url("orgs", &[])).await.unwrap_err();
    assert_eq!((requests(&server).await.len(), noted.seconds().len()), (1, 0));
}

#[tokio::test]
async fn what_a_server_means_is_not_asked_again() {
    let payload = json!({"imsx_codeMajor": "failure", "imsx_description": "no such field",
        "imsx_CodeMinor": {"imsx_codeMinorField": [{"imsx_codeMinorFieldValue": "invalid_filter_field"}]}});
    let (error, asked, _) = outcome([status(400).set_body_json(payload)]).await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), error.status(), asked), ("request.refused", Some(StatusCode::BAD_REQUEST), 1));
    assert!(error.payload().unwrap().is("invalid_filter_field"));
    assert!(error.to_string().ends_with("answered 400 Bad Request: no such field (invalid_filter_field)"), "{error}");

    for (given, code) in
        [(401, "unauthorized"), (403, "forbidden"), (404, "not_found"), (410, "not_found"), (501, "server_error")]
    {
        let page = status(given).set_body_raw("<pre>Cannot GET /orgs</pre>", "text/html");
        let (error, asked, _) = outcome([page]).await;
        let error = error.unwrap_err();
        assert_eq!((error.code(), asked), (code, 1), "{given}");
        assert!(!error.to_string().contains("Cannot GET"), "{error}");
        assert_eq!(SourceError::from(error).failure, SourceFailure::Permanent, "{given}");
    }
}

#[tokio::test]
async fn connections_that_break_and_bodies_that_end_early_are_asked_for_again() {
    let whole = br#"{"orgs": []}"#;
    let good = written("Content-Length: 12\r\n", whole);
    let packed = gzip(&[b"[".as_slice(), &b"\"x\",".repeat(5000), b"\"x\"]"].concat());
    let cut = &packed[..packed.len() / 2];
    let cases = [
        ("dropped", Deed::Drop, "connection"),
        ("shorter than announced", written("Content-Length: 12\r\n", &whole[..5]), "truncated"),
        ("no last chunk", written("Transfer-Encoding: chunked\r\n", b"5\r\n{\"org\r\n"), "truncated"),
        (
            "half of a gzip",
            written(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", cut.len()), cut),
            "truncated",
        ),
        ("half of a JSON", written("Content-Length: 5\r\n", &whole[..5]), "truncated"),
        ("nothing", written("Content-Length: 0\r\n", b""), "truncated"),
    ];
    for (name, deed, code) in cases {
        let (base, count) = bare_server(vec![deed.clone(), good.clone()]).await;
        let (good_in_the_end, _) = session(config(&base));
        good_in_the_end.get_json::<Value>(good_in_the_end.url("", &[])).await.expect(name);
        assert_eq!(count.load(Ordering::Relaxed), 2, "{name}");

        let (base, count) = bare_server(vec![deed]).await;
        let (bad_to_the_end, _) = session(config(&base));
        let error = bad_to_the_end.get_json::<Value>(bad_to_the_end.url("", &[])).await.expect_err(name);
        assert_eq!((error.code(), count.load(Ordering::Relaxed)), (code, 5), "{name}: {error}");
        assert_eq!(SourceError::from(error).failure, SourceFailure::Exhausted, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout_and_none_at_all_a_failed_connection() {
    let (base, count) = bare_server(vec![Deed::KeepSilent]).await;
    let mut short = config(&base);
    short.timeout = Duration::from_millis(20);
    short.retry.max_tries = 2;
    let (silent, _) = session(short);
    let error = silent.get(silent.url("", &[])).await.unwrap_err();
    assert_eq!((error.code(), count.load(Ordering::Relaxed)), ("timeout", 2));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let (nobody, noted) = session(config(&base));
    let error = nobody.get(nobody.url("", &[])).await.unwrap_err();
    assert_eq!((error.code(), noted.seconds().len()), ("connection", 4));
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_trusted_and_not_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let (session, noted) = session(config(&base));
    let error = session.get(session.url("", &[])).await.unwrap_err();
    assert_eq!((error.code(), noted.seconds().len()), ("tls", 0), "{error}");
}

#[tokio::test]
async fn bodies_are_unpacked_and_bounded() {
    let orgs = br#"{"orgs": [1]}"#;
    let packed = gzip(orgs);
    let (json, _, _) =
        outcome([status(200).append_header("Content-Encoding", "gzip").set_body_raw(packed, "application/json")]).await;
    assert_eq!(json.unwrap(), json!({"orgs": [1]}));

    let large = vec![b' '; 4096];
    let bomb = gzip(&vec![b' '; 1 << 20]);
    assert!(bomb.len() < 4096);
    for (name, deed) in [
        ("announced", written("Content-Length: 4096\r\n", b"")),
        ("not announced", written("", &large)),
        ("packed", written(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len()), &bomb)),
    ] {
        let (base, count) = bare_server(vec![deed]).await;
        let mut config = config(&base);
        config.max_body_bytes = 4095;
        let (session, _) = session(config);
        let error = session.get(session.url("", &[])).await.expect_err(name);
        assert_eq!((error.code(), count.load(Ordering::Relaxed)), ("body.too_large", 1), "{name}");
        assert!(error.to_string().contains("more than 4095 bytes"), "{error}");
    }
    let (base, _) = bare_server(vec![written("Content-Length: 4096\r\n", &large)]).await;
    let mut config = config(&base);
    config.max_body_bytes = 4096;
    let (session, _) = session(config);
    assert_eq!(session.get(session.url("", &[])).await.unwrap().body.len(), 4096);
}

#[tokio::test]
async fn a_login_page_is_no_answer() {
    let page = status(200).set_body_raw("<!DOCTYPE html><html><title>Sign in</title>", "text/html; charset=utf-8");
    let (error, asked, _) = outcome([page]).await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), asked), ("not_json", 1));
    assert!(
        error.to_string().contains("answered with an HTML page instead of JSON; it may be a login page"),
        "{error}"
    );
}

#[tokio::test]
async fn redirects_are_refused_by_the_name_of_their_target() {
    let elsewhere = serving([ok()]).await;
    let target = format!("{}/login?state=s3cret", elsewhere.uri());
    let (error, asked, _) = outcome([status(302).append_header("Location", target.as_str())]).await;
    let error = error.unwrap_err();
    assert_eq!((error.code(), asked, requests(&elsewhere).await.len()), ("redirect", 1, 0));
    let expected = format!("answered 302 Found and points to {}; redirects are not followed", elsewhere.uri());
    assert!(error.to_string().contains(&expected), "{error}");
    let (error, asked, _) = outcome([status(307).append_header("Location", "/v2/orgs?state=s3cret")]).await;
    let error = error.unwrap_err();
    assert!(asked == 1 && error.to_string().contains("points to /v2/orgs on the same server; "), "{error}");
}

#[tokio::test]
async fn credentials_go_to_one_server_only() {
    let home = serving([ok().append_header("Link", "</orgs?offset=100>; rel=\"next\"")]).await;
    let elsewhere = serving([ok()]).await;
    let (session, _) = session(config(&format!("{}/v1p1", home.uri())).with_auth(Auth::Bearer(secret("t0p"))));
    let next = session.get(session.url("orgs", &[])).await.unwrap().next_link().unwrap();
    assert_eq!(next.as_str().strip_prefix(&home.uri()), Some("/orgs?offset=100"));
    assert!(session.serves(&next));
    session.get(next).await.unwrap();

    let foreign: Url = format!("{}/orgs?access_token=s3cret", elsewhere.uri()).parse().unwrap();
    assert!(!session.serves(&foreign));
    let error = session.get(foreign).await.unwrap_err();
    assert_eq!((error.code(), requests(&elsewhere).await.len()), ("foreign_server", 0));

    let mut named: Url = session.url("orgs", &[]);
    named.set_username("ada").unwrap();
    session.get(named).await.unwrap();
    let last = requests(&home).await.pop().unwrap();
    assert_eq!(last.headers.get("authorization").unwrap(), "Bearer t0p");
}

#[tokio::test]
async fn settings_that_would_give_secrets_away_are_refused() {
    let open = |base: &str| HttpSession::new(config(base), StandingClock::new());
    for base in
        ["http://sis.example.org/v1p1", "https://ada:pw@sis.example.org/", "ftp://sis.example.org/", "http://10.0.0.1/"]
    {
        let error = open(base).unwrap_err();
        assert_eq!(error.code(), "settings.invalid", "{base}");
        assert!(!error.to_string().contains("pw"), "{error}");
    }
    for base in ["https://sis.example.org/v1p1", "http://127.0.0.1:1/", "http://localhost:1/", "http://[::1]:1/"] {
        open(base).expect(base);
    }
    let mut allowed = config("http://10.0.0.1/");
    allowed.allow_http = true;
    HttpSession::new(allowed, StandingClock::new()).unwrap();
    // What holds for the server holds for the token endpoint.
    let mut plain_tokens = config("https://sis.example.org/");
    plain_tokens.auth = oauth2("http://tokens.example.org/token", ClientAuth::Basic, "s3cret");
    assert_eq!(HttpSession::new(plain_tokens, StandingClock::new()).unwrap_err().code(), "settings.invalid");
    let mut broken = config("https://sis.example.org/");
    broken.auth = Auth::Bearer(secret("two\nlines"));
    let error = HttpSession::new(broken, StandingClock::new()).unwrap_err();
    assert!(error.to_string().contains("cannot carry") && !error.to_string().contains("lines"), "{error}");
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (active, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    tokio::spawn(async move {
        // Nobody is answered before there are two: the limit is reached, too.
        let pair = Arc::new(Barrier::new(2));
        while let Ok((mut stream, _)) = listener.accept().await {
            let (active, most, pair) = (Arc::clone(&active), Arc::clone(&seen), Arc::clone(&pair));
            tokio::spawn(async move {
                read_head(&mut stream).await;
                most.fetch_max(active.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                pair.wait().await;
                tokio::task::yield_now().await;
                active.fetch_sub(1, Ordering::SeqCst);
                let Deed::Write(bytes) = written("Content-Length: 2\r\n", b"{}") else { return };
                stream.write_all(&bytes).await.unwrap();
            });
        }
    });
    let mut config = config(&base);
    config.max_in_flight = 2;
    let (session, _) = session(config);
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.get(session.url("", &[])).await })
        })
        .collect();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

// Tokens.

fn oauth2(token_url: &str, client_auth: ClientAuth, client_secret: &str) -> Auth {
    Auth::OAuth2(ClientCredentials {
        token_url: token_url.parse().unwrap(),
        client_id: "rollcall".to_owned(),
        client_secret: secret(client_secret),
        scopes: vec!["https://purl.example.org/a".to_owned(), "b".to_owned()],
        client_auth,
    })
}

/// A server that hands out tokens and takes only the newest one.
#[derive(Clone, Default)]
struct Tokens {
    handed_out: Arc<AtomicUsize>,
    revoked: Arc<AtomicUsize>,
}

impl Tokens {
    async fn serve(&self, valid_for: Value) -> MockServer {
        let server = MockServer::start().await;
        let handed_out = Arc::clone(&self.handed_out);
        Mock::given(method("POST"))
            .and(path("/token"))
            .and(header("authorization", basic("rollcall:s3cret").as_str()))
            .and(body_string("grant_type=client_credentials&scope=https%3A%2F%2Fpurl.example.org%2Fa+b"))
            .respond_with(move |_: &Request| {
                let token = format!("token-{}", handed_out.fetch_add(1, Ordering::SeqCst) + 1);
                ResponseTemplate::new(200)
                    .set_body_json(json!({"access_token": token, "token_type": "bearer", "expires_in": valid_for}))
            })
            .mount(&server)
            .await;
        let own = self.clone();
        Mock::given(method("GET"))
            .respond_with(move |request: &Request| {
                let sent = request.headers.get("authorization").unwrap().to_str().unwrap();
                let number: usize = sent.strip_prefix("Bearer token-").unwrap().parse().unwrap();
                let good = number == own.handed_out() && number > own.revoked.load(Ordering::SeqCst);
                if good { ok() } else { status(401).set_body_json(json!({"error": format!("bad token {sent}")})) }
            })
            .mount(&server)
            .await;
        server
    }

    fn handed_out(&self) -> usize {
        self.handed_out.load(Ordering::SeqCst)
    }
}

async fn many(session: &HttpSession) {
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.get(session.url("orgs", &[])).await })
        })
        .collect();
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_serves_all_requests_and_is_renewed_once_for_all() {
    let tokens = Tokens::default();
    let server = tokens.serve(json!("3600")).await;
    let mut config =
        config(&server.uri()).with_auth(oauth2(&format!("{}/token", server.uri()), ClientAuth::Basic, "s3cret"));
    config.max_in_flight = 20;
    let clock = StandingClock::new();
    let session = HttpSession::new(config, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();

    many(&session).await;
    assert_eq!(tokens.handed_out(), 1);

    // The server forgets it: all that carry it are refused, and one renews it for all.
    tokens.revoked.store(1, Ordering::SeqCst);
    many(&session).await;
    assert_eq!(tokens.handed_out(), 2);

    // Shortly before its end it is not used any more; nobody has to be refused for that.
    clock.advance(Duration::from_secs(3539));
    many(&session).await;
    assert_eq!(tokens.handed_out(), 2);
    clock.advance(Duration::from_secs(1));
    let before = requests(&server).await.len();
    many(&session).await;
    assert_eq!((tokens.handed_out(), requests(&server).await.len() - before), (3, 21));
}

#[tokio::test]
async fn a_new_token_that_is_refused_as_well_is_the_end() {
    let tokens = Tokens::default();
    let server = tokens.serve(Value::Null).await;
    let config =
        config(&server.uri()).with_auth(oauth2(&format!("{}/token", server.uri()), ClientAuth::Basic, "s3cret"));
    let (session, noted) = session(config);
    tokens.revoked.store(99, Ordering::SeqCst);
    let error = session.get(session.url("orgs", &[])).await.unwrap_err();
    assert_eq!(
        (error.code(), error.status(), tokens.handed_out()),
        ("unauthorized", Some(StatusCode::UNAUTHORIZED), 2)
    );
    assert_eq!((requests(&server).await.len(), noted.seconds().len()), (4, 0));
    // The server quotes the token; the error does not.
    assert!(error.to_string().contains("bad token Bearer …") && !error.to_string().contains("token-"), "{error}");
}

/// Tokens from elsewhere, one after the other, the last one for good.
struct HandedOver(Vec<&'static str>, Arc<AtomicUsize>);

#[async_trait]
impl TokenSource for HandedOver {
    async fn fetch(&self) -> Result<Token, HttpError> {
        let at = self.1.fetch_add(1, Ordering::SeqCst);
        Ok(Token { value: secret(self.0[at.min(self.0.len() - 1)]), valid_for: None })
    }
}

#[tokio::test]
async fn tokens_from_elsewhere_are_fetched_again_and_tried_only_if_they_are_others() {
    let server = MockServer::start().await;
    Mock::given(header("authorization", "Bearer new")).respond_with(ok()).mount(&server).await;
    Mock::given(method("GET")).respond_with(status(401)).with_priority(9).mount(&server).await;
    let with = |tokens: Vec<&'static str>, first: Option<&str>| {
        let fetched = Arc::new(AtomicUsize::new(0));
        let mut auth = TokenAuth::new(HandedOver(tokens, Arc::clone(&fetched)), StandingClock::new());
        if let Some(first) = first {
            auth = auth.starting_with(&Token { value: secret(first), valid_for: None }).unwrap();
        }
        (session(config(&server.uri()).with_auth(Auth::Custom(Arc::new(auth)))).0, fetched)
    };
    let (rotated, fetched) = with(vec!["new"], Some("old"));
    rotated.get(rotated.url("a", &[])).await.unwrap();
    assert_eq!((fetched.load(Ordering::SeqCst), requests(&server).await.len()), (1, 2));

    let (switched_off, fetched) = with(vec!["old"], None);
    let error = switched_off.get(switched_off.url("a", &[])).await.unwrap_err();
    assert_eq!((error.status(), fetched.load(Ordering::SeqCst)), (Some(StatusCode::UNAUTHORIZED), 2));
    assert_eq!(requests(&server).await.len(), 3);
}

#[tokio::test]
async fn token_requests_carry_their_secret_as_the_settings_say() {
    // In the form.
    let server = MockServer::start().await;
    Mock::given(path("/token"))
        .and(body_string(
            "grant_type=client_credentials&scope=https%3A%2F%2Fpurl.example.org%2Fa+b&client_id=rollcall&client_secret=s%2B3%2F%3D",
        ))
        .respond_with(status(200).set_body_json(json!({"access_token": "t"})))
        .mount(&server)
        .await;
    Mock::given(header("authorization", "Bearer t")).respond_with(ok()).mount(&server).await;
    let token_url = format!("{}/token", server.uri());
    let (in_body, _) = session(config(&server.uri()).with_auth(oauth2(&token_url, ClientAuth::Body, "s+3/=")));
    in_body.get(in_body.url("orgs", &[])).await.unwrap();
    assert!(!requests(&server).await[0].headers.contains_key("authorization"));

    // In the header: as it is, and if that is refused, form-encoded.
    for accepted in ["rollcall:s+3/=", "rollcall:s%2B3%2F%3D"] {
        let server = MockServer::start().await;
        let refusal = status(401).set_body_json(json!({"error": "invalid_client"}));
        Mock::given(path("/token"))
            .and(header("authorization", basic(accepted).as_str()))
            .respond_with(status(200).set_body_json(json!({"access_token": "t"})))
            .mount(&server)
            .await;
        Mock::given(path("/token")).respond_with(refusal).with_priority(9).mount(&server).await;
        Mock::given(header("authorization", "Bearer t")).respond_with(ok()).mount(&server).await;
        let token_url = format!("{}/token", server.uri());
        let (in_header, _) = session(config(&server.uri()).with_auth(oauth2(&token_url, ClientAuth::Basic, "s+3/=")));
        in_header.get(in_header.url("orgs", &[])).await.expect(accepted);
    }
}

#[tokio::test]
async fn a_token_endpoint_that_fails_fails_the_request_and_is_named() {
    let failing = async |answer: ResponseTemplate| {
        let server = MockServer::start().await;
        Mock::given(path("/token")).respond_with(answer).mount(&server).await;
        let token_url = format!("{}/token", server.uri());
        let (session, _) = session(config(&server.uri()).with_auth(oauth2(&token_url, ClientAuth::Body, "s3cret")));
        let error = session.get(session.url("orgs", &[])).await.unwrap_err();
        assert_eq!(error.status(), None, "the request itself was never sent");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        (error, requests(&server).await.len())
    };
    let refusal = json!({"error": "invalid_client", "error_description": "no client with secret s3cret"});
    let (error, asked) = failing(status(400).set_body_json(refusal)).await;
    assert_eq!((error.code(), asked), ("request.refused", 1));
    assert!(
        error
            .to_string()
            .contains("the token endpoint gave no token; check token URL, client id, client secret and scopes: ")
            && error.to_string().ends_with("/token answered 400 Bad Request: no client with secret … (invalid_client)"),
        "{error}"
    );
    assert_eq!(SourceError::from(error).failure, SourceFailure::Permanent);
    // Tried as often as anything else is, and not as often again for the request that waits for it.
    let (error, asked) = failing(status(503)).await;
    assert_eq!((error.code(), asked), ("server_error", 5));
    assert_eq!(SourceError::from(error).failure, SourceFailure::Exhausted);
    for reply in
        [json!({"access_token": "t", "token_type": "mac"}), json!({"access_token": " "}), json!({"token": "t"})]
    {
        let (error, asked) = failing(status(200).set_body_json(&reply)).await;
        assert!(matches!(error, HttpError::Credentials { .. }), "{reply}: {error}");
        assert_eq!(asked, 1, "{reply}");
    }
}

#[tokio::test]
async fn each_try_is_signed_anew_over_the_url_as_it_is_sent() {
    let server = serving([status(503), ok()]).await;
    let (session, _) = session(config(&server.uri()).with_auth(Auth::OAuth1(OAuth1Credentials {
        consumer_key: "key".to_owned(),
        consumer_secret: secret("s3cret"),
        signature: SignatureMethod::HmacSha256,
        with_version: true,
    })));
    session.get(session.url("users", &[("offset", "0")])).await.unwrap();
    session.get(session.url("users", &[("offset", "5000")])).await.unwrap();
    let parameters: Vec<Vec<String>> = requests(&server)
        .await
        .iter()
        .map(|request| {
            let header = request.headers.get("authorization").unwrap().to_str().unwrap();
            header.strip_prefix("OAuth ").unwrap().split(", ").map(str::to_owned).collect()
        })
        .collect();
    assert_eq!(parameters.len(), 3);
    let now = NOW.parse::<Timestamp>().unwrap().as_second();
    for (at, one) in parameters.iter().enumerate() {
        assert!(one.contains(&format!("oauth_timestamp=\"{now}\"")), "{one:?}");
        for other in &parameters[..at] {
            // Nonce and signature.
            assert!(one[1] != other[1] && one[2] != other[2], "{one:?} {other:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_the_clocks_explain_says_so() {
    let (error, _, _) = outcome([status(401).append_header("Date", "Sun, 22 Nov 2026 09:50:00 GMT")]).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "check the credentials; the server's clock is 600 s behind this machine's, which alone can be the reason"
        ),
        "{error}"
    );
    let (error, _, _) = outcome([status(401).append_header("Date", "Sun, 22 Nov 2026 10:00:30 GMT")]).await;
    assert!(error.unwrap_err().to_string().ends_with("check the credentials"));
}

#[test]
fn one_try_is_one_try() {
    assert_eq!(RetryPolicy::never().max_tries, 1);
}

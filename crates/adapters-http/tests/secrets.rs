//! Nothing secret is logged or shown. A test of its own: what is logged elsewhere in the process would get in its way.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use rollcall_adapters_http::{
    Auth, BasicCredentials, ClientAuth, ClientCredentials, HttpConfig, HttpSession, OAuth1Credentials, SignatureMethod,
};
use rollcall_domain::ports::{Clock, SourceError};
use secrecy::SecretString;
use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

fn oauth2(server: &MockServer, client_auth: ClientAuth) -> Auth {
    Auth::OAuth2(ClientCredentials {
        token_url: format!("{}/token?key=s3cret-key", server.uri()).parse().unwrap(),
        client_id: "rollcall".to_owned(),
        client_secret: SecretString::from("s3cret-client"),
        scopes: Vec::new(),
        client_auth,
    })
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_or_shown() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let server = MockServer::start().await;
    let token = json!({"access_token": "s3cret-token", "error": "s3cret-token"});
    Mock::given(path("/token")).respond_with(ResponseTemplate::new(200).set_body_json(token)).mount(&server).await;
    let echo = |request: &Request| {
        let sent = request.headers.get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
        ResponseTemplate::new(503).set_body_json(
            json!({"error": "busy", "message": format!("no {sent} {} for ada@example.org", request.url)}),
        )
    };
    Mock::given(method("GET")).respond_with(echo).mount(&server).await;
    let mut shown = Vec::new();
    for auth in [
        Auth::Bearer(SecretString::from("s3cret-bearer")),
        Auth::Basic(BasicCredentials { username: "ada".to_owned(), password: SecretString::from("s3cret-password") }),
        oauth2(&server, ClientAuth::Basic),
        oauth2(&server, ClientAuth::Body),
        Auth::OAuth1(OAuth1Credentials {
            consumer_key: "key".to_owned(),
            consumer_secret: SecretString::from("s3cret-consumer"),
            signature: SignatureMethod::HmacSha1,
            with_version: true,
        }),
    ] {
        let mut config = HttpConfig::new(server.uri().parse().unwrap()).with_auth(auth);
        config.retry.max_tries = 2;
        config.retry.min_delay = Duration::from_millis(1);
        let session = HttpSession::new(config, Arc::new(StandingClock)).unwrap();
        shown.push(format!("{session:?}"));
        let url = session.url("users", &[("limit", "7")]);
        let error = session.get(url).await.unwrap_err();
        let source: SourceError = error.into();
        shown.push(format!("{source} {source:?}"));
    }
    shown.push(String::from_utf8(logged.0.lock().unwrap().clone()).unwrap());
    let shown = shown.join("\n");
    assert!(shown.contains("a request failed and is tried again") && shown.contains("/users?limit=7"), "{shown}");
    for hidden in ["s3cret", &BASE64_STANDARD.encode("ada:s3cret-password"), "ada@example.org"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

//! One client of one server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rollcall_domain::ports::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use crate::auth::{self, Authenticator, Authorization};
use crate::config::{Auth, HttpConfig};
use crate::error::{ErrorPayload, HttpError};
use crate::pace::Pace;
use crate::redact::{self, RedactedUrl};
use crate::response::{self, HttpResponse, Json};
use crate::retry::{self, RealSleep, Sleep};
use crate::url_parts;

/// As much of an error's body as is looked at.
const ERROR_BYTES: usize = 64 << 10;

/// One client of one server: see the crate's documentation. Clones share everything and cost nothing.
#[derive(Clone)]
pub struct HttpSession {
    inner: Arc<Inner>,
}

struct Inner {
    config: HttpConfig,
    client: reqwest::Client,
    authenticator: Arc<dyn Authenticator>,
    clock: Arc<dyn Clock>,
    pace: Pace,
    sleep: Box<dyn Sleep>,
}

/// A request that can be sent any number of times.
struct Outgoing {
    method: Method,
    url: Url,
    form: Option<Bytes>,
    /// Secrets in the form, to be struck from what the server says.
    secrets: Vec<SecretString>,
}

impl HttpSession {
    /// Opens a session. Nothing is sent before the first request.
    ///
    /// Refused are a base URL that is neither `https` nor `http`, plain `http` to another machine unless the settings allow it,
    /// and a name or password in the URL. The same holds for a token URL.
    pub fn new(config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self, HttpError> {
        Self::sleeping(config, clock, Box::new(RealSleep))
    }

    /// The same, with another way to pass the time between tries.
    pub(crate) fn sleeping(
        config: HttpConfig,
        clock: Arc<dyn Clock>,
        sleep: Box<dyn Sleep>,
    ) -> Result<Self, HttpError> {
        let authenticator = auth::authenticator(&config, &clock)?;
        let client = client(&config)?;
        let pace = Pace::new(config.max_in_flight, config.requests_per_second);
        Ok(Self { inner: Arc::new(Inner { config, client, authenticator, clock, pace, sleep }) })
    }

    /// The URL under which the server's resources are.
    pub fn base_url(&self) -> &Url {
        &self.inner.config.base_url
    }

    /// The settings.
    pub fn config(&self) -> &HttpConfig {
        &self.inner.config
    }

    /// The URL of a resource under the base URL. The path is appended as it is: what has to be escaped in it is escaped
    /// already (see [`encode`](crate::encode)), and is not escaped twice. Names and values of the query are given as they are.
    pub fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        url_parts::below(self.base_url(), path, query)
    }

    /// Whether a URL is on the session's server, so that a request for it can carry the session's credentials.
    pub fn serves(&self, url: &Url) -> bool {
        url_parts::same_server(self.base_url(), url)
    }

    /// Gets a resource, with as many tries as the settings allow. What comes back is complete and has a status of success.
    pub async fn get(&self, url: Url) -> Result<HttpResponse, HttpError> {
        self.send(Outgoing { method: Method::GET, url, form: None, secrets: Vec::new() }, Ok).await
    }

    /// Gets a resource that is JSON, as [`HttpResponse::json`] reads it. JSON that ends too early is asked for again.
    pub async fn get_json<T: DeserializeOwned>(&self, url: Url) -> Result<Json<T>, HttpError> {
        self.send(Outgoing { method: Method::GET, url, form: None, secrets: Vec::new() }, Json::read).await
    }

    /// Posts a form (`application/x-www-form-urlencoded`), as token endpoints want it, and reads JSON. It is sent again like a
    /// `GET` is: what it asks for must not come to harm by that. An OAuth 1.0a signature does not cover the form, so no
    /// session with such credentials can post one.
    pub async fn post_form<T: DeserializeOwned>(
        &self,
        url: Url,
        form: &[(&str, &str)],
        secrets: &[(&str, &SecretString)],
    ) -> Result<Json<T>, HttpError> {
        if matches!(self.inner.config.auth, Auth::OAuth1(_)) {
            return Err(HttpError::settings("a form cannot be posted with OAuth 1.0a credentials"));
        }
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .extend_pairs(secrets.iter().map(|(name, secret)| (name, secret.expose_secret())))
            .finish();
        let secrets = secrets.iter().map(|(_, secret)| (*secret).clone()).collect();
        self.send(Outgoing { method: Method::POST, url, form: Some(body.into()), secrets }, Json::read).await
    }

    /// Sends a request until it succeeds, or until there is no more to be hoped for.
    async fn send<T>(
        &self,
        mut request: Outgoing,
        accept: impl Fn(HttpResponse) -> Result<T, HttpError>,
    ) -> Result<T, HttpError> {
        if !self.serves(&request.url) {
            let (url, base) = (RedactedUrl::new(&request.url), RedactedUrl::new(self.base_url()));
            return Err(HttpError::ForeignServer { url, base });
        }
        request.url.set_fragment(None);
        // A server's link may name a user; our credentials are in a header. This cannot fail where there is a host.
        let _ = request.url.set_username("");
        let _ = request.url.set_password(None);

        let policy = &self.inner.config.retry;
        let begun = Instant::now();
        let mut backoff = policy.backoff();
        let mut may_renew = true;
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = self.attempt(&request, &mut may_renew).await.and_then(&accept);
            let error = match outcome {
                Ok(accepted) => return Ok(accepted),
                Err(error) => error,
            };
            let chosen = backoff.next().unwrap_or(policy.max_delay);
            let asked = if let HttpError::Status { wait, .. } = &error { *wait } else { None };
            let delay = asked.unwrap_or_default().max(chosen);
            if !policy.allows_another(&error, tries) || begun.elapsed() + delay >= policy.max_total {
                return Err(match tries {
                    1 => error,
                    _ => HttpError::GaveUp { tries, elapsed: begun.elapsed(), cause: Box::new(error) },
                });
            }
            tracing::warn!(tries, delay_ms = delay.as_millis(), code = error.code(), error = %error, "a request failed and is tried again");
            self.inner.sleep.sleep(delay).await;
        }
    }

    /// Sends a request once, and once more if it was refused for its credentials and there are now others.
    async fn attempt(&self, request: &Outgoing, may_renew: &mut bool) -> Result<HttpResponse, HttpError> {
        let inner = &*self.inner;
        loop {
            let _turn = inner.pace.turn(inner.sleep.as_ref()).await;
            // Signed after the wait: signatures have a time in them, and tokens an end.
            let authorization = inner.authenticator.authorize(&request.method, &request.url).await;
            let authorization = authorization.map_err(HttpError::before_the_request)?;
            let outcome = self.exchange(request, &authorization).await;
            match outcome {
                Err(HttpError::Status { status: StatusCode::UNAUTHORIZED, .. }) if *may_renew => {
                    *may_renew = false;
                    let renewed = inner.authenticator.renew(&authorization).await;
                    if !renewed.map_err(HttpError::before_the_request)? {
                        return outcome;
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// One request and its answer.
    async fn exchange(&self, request: &Outgoing, authorization: &Authorization) -> Result<HttpResponse, HttpError> {
        let inner = &*self.inner;
        let begun = Instant::now();
        let mut builder = inner.client.request(request.method.clone(), request.url.clone());
        if let Some(header) = authorization.header() {
            builder = builder.header(AUTHORIZATION, header.clone());
        }
        if let Some(form) = &request.form {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        let mut answer = builder.send().await.map_err(|error| self.failed(&request.url, &error))?;
        let status = answer.status();
        let headers = std::mem::take(answer.headers_mut());
        let now = inner.clock.now();
        let wait = retry::server_wait(status, &headers, now);
        let longest = inner.config.retry.max_server_delay;
        if let Some(wait) = wait.filter(|wait| status.is_success() || *wait <= longest) {
            // Whoever else is about to ask would be refused as well.
            inner.pace.hold(wait.min(longest));
        }
        let secrets = || authorization.secrets().iter().chain(&request.secrets).cloned().collect::<Vec<SecretString>>();
        if status.is_success() {
            let body = self.read(&request.url, answer).await?;
            tracing::debug!(
                url = %RedactedUrl::new(&request.url),
                status = status.as_u16(),
                bytes = body.len(),
                elapsed_ms = begun.elapsed().as_millis(),
                "a request was answered"
            );
            let secrets = secrets();
            return Ok(HttpResponse { status, headers, url: request.url.clone(), body, received_at: now, secrets });
        }
        let url = RedactedUrl::new(&request.url);
        if status.is_redirection() {
            return Err(HttpError::Redirect { url, status, to: redirected(&request.url, &headers) });
        }
        // What the server says about its refusal is worth little: if it cannot be read, so be it.
        let body = read_some(answer).await;
        let skew = response::date(&headers).map(|date| date.duration_since(now));
        Err(HttpError::Status { url, status, payload: ErrorPayload::of_bytes(&body, &secrets()), skew, wait })
    }

    /// Reads a body, but no more than is allowed.
    async fn read(&self, url: &Url, mut answer: reqwest::Response) -> Result<Bytes, HttpError> {
        let limit = self.inner.config.max_body_bytes;
        let too_large = || HttpError::TooLarge { url: RedactedUrl::new(url), limit };
        let announced = answer.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced.is_some_and(|announced| announced > limit) {
            return Err(too_large());
        }
        let mut body = BytesMut::with_capacity(announced.unwrap_or_default());
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(url, &error))? {
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// What a failed exchange means.
    fn failed(&self, url: &Url, error: &reqwest::Error) -> HttpError {
        let url = RedactedUrl::new(url);
        let config = &self.inner.config;
        let mut deepest: &dyn std::error::Error = error;
        let mut untrusted = false;
        while let Some(cause) = deepest.source() {
            untrusted |= is_of_tls(cause);
            deepest = cause;
        }
        let reason = deepest.to_string();
        if error.is_connect() && error.is_timeout() {
            let reason = format!("no connection within {} s", config.connect_timeout.as_secs_f32());
            HttpError::Connection { url, reason }
        } else if error.is_timeout() {
            HttpError::Timeout { url, within: config.timeout }
        } else if error.is_connect() && untrusted {
            HttpError::Tls { url, reason }
        } else if error.is_body() || error.is_decode() {
            HttpError::Truncated { url, reason }
        } else if error.is_builder() {
            HttpError::settings(format!("{url} cannot be asked for: {reason}"))
        } else {
            HttpError::Connection { url, reason }
        }
    }
}

impl std::fmt::Debug for HttpSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSession").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

/// Whether an error is TLS's about a peer that it does not accept. It comes in the wrappings of the layers between.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.is_some_and(|inner| is_of_tls(inner))
}

/// Where a redirect points to, as it may be shown: login pages carry state in paths and queries.
fn redirected(url: &Url, headers: &HeaderMap) -> String {
    let target = headers.get(LOCATION).and_then(|value| value.to_str().ok()).and_then(|to| url.join(to).ok());
    match target {
        None => "nowhere".to_owned(),
        Some(target) if url_parts::same_server(url, &target) => format!("{} on the same server", target.path()),
        Some(target) => redact::server(&target),
    }
}

/// The beginning of a body, as far as it comes.
async fn read_some(mut answer: reqwest::Response) -> Bytes {
    let mut body = BytesMut::new();
    while body.len() < ERROR_BYTES
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.freeze()
}

fn client(config: &HttpConfig) -> Result<reqwest::Client, HttpError> {
    let base = &config.base_url;
    let shown = RedactedUrl::new(base);
    if !base.username().is_empty() || base.password().is_some() {
        return Err(HttpError::settings(format!(
            "{shown} has a user or a password in it; give credentials as settings of their own"
        )));
    }
    let local = url_parts::is_loopback(base);
    let plain = match base.scheme() {
        "https" => false,
        "http" if local || config.allow_http => true,
        "http" => {
            return Err(HttpError::settings(format!(
                "{shown} is not encrypted: credentials and rosters would travel for everyone to read. Use https, or allow http \
                 in the settings"
            )));
        }
        other => return Err(HttpError::settings(format!("{shown} is of the unknown scheme {other}; use https"))),
    };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let mut builder = reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(&config.user_agent)
        .redirect(reqwest::redirect::Policy::none())
        // A request that is sent again is signed again, which only the session can do.
        .retry(reqwest::retry::never())
        .referer(false)
        .https_only(!plain)
        .timeout(config.timeout)
        .connect_timeout(config.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(30));
    if local {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        let mut deepest: &dyn std::error::Error = &error;
        while let Some(cause) = deepest.source() {
            deepest = cause;
        }
        HttpError::settings(format!("no HTTP client can be made for {shown}: {deepest}"))
    })
}

//! An application's account: its secret, the tokens of its districts, and how often each may ask.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::auth::{basic_credentials, same};

/// The seconds of a window in which requests are counted.
const WINDOW: i64 = 60;

/// How an application proves who it is.
#[derive(Debug)]
pub enum CleverCredentials {
    /// It asks for the tokens of its districts with its id and secret.
    Application {
        /// The client id.
        client_id: String,
        /// The client secret.
        client_secret: SecretString,
    },
    /// It has the token of the first district. There is no other way to get one.
    DistrictToken(SecretString),
}

/// The account of one application.
pub(super) struct Account {
    pub(super) credentials: CleverCredentials,
    /// What one token may ask in a window.
    limit: u32,
    /// The token of each district, by the district's place; none where it is not connected.
    tokens: Mutex<Vec<Option<String>>>,
    windows: Mutex<HashMap<String, Window>>,
    issued: AtomicUsize,
}

/// What one token has asked since a window began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    limit: u32,
    used: u32,
    /// When the next one begins, in seconds since 1970.
    reset: i64,
}

impl Window {
    pub(super) const fn is_exceeded(self) -> bool {
        self.used > self.limit
    }

    /// A window in which nothing is left, for so many seconds.
    pub(super) fn exhausted(self, now: Timestamp, seconds: i64) -> Self {
        Self { used: self.limit.saturating_add(1), reset: now.as_second().saturating_add(seconds), ..self }
    }

    /// States the window in the headers of an answer.
    pub(super) fn state(self, answer: &mut Response) {
        let headers = answer.headers_mut();
        let mut put = |name: &'static str, value: HeaderValue| {
            headers.insert(HeaderName::from_static(name), value);
        };
        put("x-ratelimit-bucket", HeaderValue::from_static("bearer"));
        put("x-ratelimit-limit", HeaderValue::from(self.limit));
        put("x-ratelimit-remaining", HeaderValue::from(self.limit.saturating_sub(self.used)));
        put("x-ratelimit-reset", HeaderValue::from(self.reset));
    }
}

impl Account {
    pub(super) fn new(credentials: CleverCredentials, limit: u32, districts: usize) -> Self {
        let mut tokens: Vec<_> = (0..districts).map(|_| Some(new_token())).collect();
        if let (CleverCredentials::DistrictToken(token), Some(first)) = (&credentials, tokens.first_mut()) {
            *first = Some(token.expose_secret().to_owned());
        }
        Self { credentials, limit, tokens: Mutex::new(tokens), windows: Mutex::default(), issued: AtomicUsize::new(0) }
    }

    /// Whether a request for tokens comes from the application.
    pub(super) fn is_application(&self, headers: &HeaderMap) -> bool {
        let CleverCredentials::Application { client_id, client_secret } = &self.credentials else { return false };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(basic_credentials);
        given.is_some_and(|(id, secret)| same(&id, client_id) && same(&secret, client_secret.expose_secret()))
    }

    pub(super) fn client_id(&self) -> &str {
        match &self.credentials {
            CleverCredentials::Application { client_id, .. } => client_id,
            CleverCredentials::DistrictToken(_) => "simulated",
        }
    }

    /// The token of a district, for an answer.
    pub(super) fn give(&self, district: usize) -> Option<String> {
        let token = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(district)?.clone()?;
        self.issued.fetch_add(1, Ordering::Relaxed);
        Some(token)
    }

    /// How many tokens were given out.
    pub(super) fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }

    /// The district that a request's token is for, and the token.
    pub(super) fn district(&self, headers: &HeaderMap) -> Option<(usize, String)> {
        let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, given) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let place = tokens.iter().position(|token| token.as_deref().is_some_and(|token| same(given, token)))?;
        Some((place, given.to_owned()))
    }

    /// Gives a district another token, or none. The one before is void.
    pub(super) fn rotate(&self, district: usize, connected: bool) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = tokens.get_mut(district) {
            *token = connected.then(new_token);
        }
    }

    pub(super) fn is_connected(&self, district: usize) -> bool {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(district).is_some_and(Option::is_some)
    }

    /// Counts a request.
    pub(super) fn count(&self, token: String, now: Timestamp) -> Window {
        let second = now.as_second();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.retain(|_, window| window.reset > second);
        let reset = second - second.rem_euclid(WINDOW) + WINDOW;
        let window = windows.entry(token).or_insert(Window { limit: self.limit, used: 0, reset });
        window.used = window.used.saturating_add(1);
        *window
    }
}

/// Forty hexadecimal digits.
fn new_token() -> String {
    let digits = [Uuid::new_v4(), Uuid::new_v4()].map(|uuid| uuid.simple().to_string()).concat();
    digits[..40].to_owned()
}

//! OAuth 2 client credentials on the server's side: RFC 6749 sections 2.3.1, 4.4 and 5.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use super::same;

/// Where a client states its id and secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// In either place.
    #[default]
    Either,
    /// With HTTP Basic only.
    Basic,
    /// In the form only.
    Body,
}

/// Gives out tokens to one client, and knows them again.
#[derive(Debug)]
pub struct OAuth2 {
    client_id: String,
    client_secret: SecretString,
    scopes: &'static [&'static str],
    lifetime: Duration,
    client_auth: ClientAuth,
    tokens: Mutex<HashMap<String, Token>>,
    issued: AtomicUsize,
}

#[derive(Debug)]
struct Token {
    expires: Timestamp,
    scopes: Vec<String>,
}

/// An error of RFC 6749 section 5.2.
struct TokenError(StatusCode, &'static str, &'static str);

impl OAuth2 {
    /// Gives out tokens for some scopes that live for a time of whole seconds.
    pub fn new(
        client_id: impl Into<String>,
        client_secret: SecretString,
        scopes: &'static [&'static str],
        lifetime: Duration,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret,
            scopes,
            lifetime,
            client_auth: ClientAuth::default(),
            tokens: Mutex::default(),
            issued: AtomicUsize::new(0),
        }
    }

    /// Accepts the client's secret in one place only.
    #[must_use]
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Whether the client must state its secret in the form.
    pub(crate) fn wants_form(&self) -> bool {
        self.client_auth == ClientAuth::Body
    }

    /// How many tokens were given out.
    pub fn issued(&self) -> usize {
        self.issued.load(Ordering::Relaxed)
    }

    /// The scopes of a token that is alive.
    pub(super) fn check(&self, token: &str, now: Timestamp) -> Option<Vec<String>> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).filter(|token| token.expires > now).map(|token| token.scopes.clone())
    }

    pub(super) fn void(&self, token: &str) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Answers a request for a token. Tokens given out before stay valid.
    pub fn issue(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Response {
        let (status, document) = match self.grant(headers, body, now) {
            Ok(document) => (StatusCode::OK, document),
            Err(TokenError(status, error, description)) => {
                (status, json!({ "error": error, "error_description": description }))
            }
        };
        let mut answer = (status, document.to_string()).into_response();
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token\""));
        }
        answer
    }

    fn grant(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Value, TokenError> {
        let invalid = |description| TokenError(StatusCode::BAD_REQUEST, "invalid_request", description);
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(invalid("the body must be application/x-www-form-urlencoded"));
        }
        let form = form(body).ok_or_else(|| invalid("the body is not a form, or repeats a parameter"))?;
        self.authenticate(headers, &form)?;
        match form.get("grant_type").map(String::as_str) {
            Some("client_credentials") => {}
            Some(_) => {
                let description = "the grant type is client_credentials";
                return Err(TokenError(StatusCode::BAD_REQUEST, "unsupported_grant_type", description));
            }
            None => return Err(invalid("grant_type is missing")),
        }
        let asked: Vec<_> = form.get("scope").map(String::as_str).unwrap_or_default().split(' ').collect();
        if !asked.iter().all(|scope| self.scopes.contains(scope)) {
            let description = "scope is missing, or names a scope that is not offered";
            return Err(TokenError(StatusCode::BAD_REQUEST, "invalid_scope", description));
        }
        let token = Uuid::new_v4().simple().to_string();
        let scopes = asked.iter().map(|scope| (*scope).to_owned()).collect();
        // A lifetime beyond the end of time is refused by the arithmetic, and no token is worse than one that ends now.
        let expires = now.checked_add(self.lifetime).unwrap_or(Timestamp::MAX);
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.expires > now);
        tokens.insert(token.clone(), Token { expires, scopes });
        self.issued.fetch_add(1, Ordering::Relaxed);
        Ok(json!({
            "access_token": token, "token_type": "Bearer", "expires_in": self.lifetime.as_secs(),
            "scope": asked.join(" "),
        }))
    }

    fn authenticate(&self, headers: &HeaderMap, form: &HashMap<String, String>) -> Result<(), TokenError> {
        let basic = headers.get(AUTHORIZATION).map(|value| value.to_str().ok().and_then(basic_credentials));
        let in_body = form.get("client_id").zip(form.get("client_secret"));
        let (id, secret) = match (basic, in_body, self.client_auth) {
            (Some(_), _, _) if form.contains_key("client_secret") => {
                let description = "the client states its secret twice";
                return Err(TokenError(StatusCode::BAD_REQUEST, "invalid_request", description));
            }
            (Some(Some(credentials)), _, ClientAuth::Either | ClientAuth::Basic) => credentials,
            (None, Some((id, secret)), ClientAuth::Either | ClientAuth::Body) => (id.clone(), secret.clone()),
            (_, _, ClientAuth::Basic) => return Err(not_authenticated("the client must use HTTP Basic")),
            (_, _, ClientAuth::Body) => return Err(not_authenticated("the client must state its secret in the form")),
            _ => return Err(not_authenticated("the client must state its id and its secret")),
        };
        if same(&id, &self.client_id) && same(&secret, self.client_secret.expose_secret()) {
            Ok(())
        } else {
            Err(not_authenticated("the client is unknown, or its secret is wrong"))
        }
    }
}

fn not_authenticated(description: &'static str) -> TokenError {
    TokenError(StatusCode::UNAUTHORIZED, "invalid_client", description)
}

/// The user and password of HTTP Basic, as section 2.3.1 has them: form-encoded before they are joined.
pub(crate) fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let joined = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = joined.split_once(':')?;
    Some((form_decoded(user)?, form_decoded(password)?))
}

/// The parameters of a form, none of which may stand there twice (section 3.2).
fn form(body: &[u8]) -> Option<HashMap<String, String>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut form = HashMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        if form.insert(form_decoded(name)?, form_decoded(value)?).is_some() {
            return None;
        }
    }
    Some(form)
}

fn form_decoded(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

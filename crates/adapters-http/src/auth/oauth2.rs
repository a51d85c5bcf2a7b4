//! OAuth 2 client credentials (RFC 6749 section 4.4).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use rollcall_domain::ports::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::auth::token::{Token, TokenSource};
use crate::config::{Auth, BasicCredentials, ClientAuth, ClientCredentials, HttpConfig};
use crate::error::HttpError;
use crate::redact::RedactedUrl;
use crate::session::HttpSession;

/// More than any token endpoint says.
const REPLY_BYTES: usize = 1 << 20;

/// A client that asks a token endpoint for tokens.
pub(super) struct ClientGrant {
    session: HttpSession,
    /// Offers the credentials form-encoded, where that differs from as they are.
    encoded: Option<HttpSession>,
    credentials: ClientCredentials,
}

#[derive(Deserialize)]
struct Reply {
    access_token: SecretString,
    #[serde(default)]
    token_type: Option<String>,
    /// Seconds; some servers write the number as a string.
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

impl ClientGrant {
    pub(super) fn new(
        config: &HttpConfig,
        credentials: &ClientCredentials,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, HttpError> {
        let session = |basic: Option<BasicCredentials>| {
            let config = HttpConfig {
                base_url: credentials.token_url.clone(),
                auth: basic.map_or(Auth::None, Auth::Basic),
                max_in_flight: 1,
                requests_per_second: None,
                max_body_bytes: REPLY_BYTES,
                ..config.clone()
            };
            HttpSession::new(config, Arc::clone(clock))
        };
        let id = &credentials.client_id;
        let secret = credentials.client_secret.expose_secret();
        let raw = BasicCredentials { username: id.clone(), password: credentials.client_secret.clone() };
        let form = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let (own, encoded) = match credentials.client_auth {
            ClientAuth::Body => (session(None)?, None),
            // A colon in the id has no other way to go.
            ClientAuth::Basic if id.contains(':') => {
                (session(Some(BasicCredentials { username: form(id), password: form(secret).into() }))?, None)
            }
            ClientAuth::Basic if form(id) != *id || form(secret) != secret => {
                let encoded = BasicCredentials { username: form(id), password: form(secret).into() };
                (session(Some(raw))?, Some(session(Some(encoded))?))
            }
            ClientAuth::Basic => (session(Some(raw))?, None),
        };
        Ok(Self { session: own, encoded, credentials: credentials.clone() })
    }

    async fn ask(&self, session: &HttpSession) -> Result<Reply, HttpError> {
        let url = &self.credentials.token_url;
        let scopes = self.credentials.scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        if !scopes.is_empty() {
            form.push(("scope", &scopes));
        }
        let mut secrets = Vec::new();
        if self.credentials.client_auth == ClientAuth::Body {
            form.push(("client_id", &self.credentials.client_id));
            secrets.push(("client_secret", &self.credentials.client_secret));
        }
        Ok(session.post_form(url.clone(), &form, &secrets).await?.value)
    }
}

#[async_trait]
impl TokenSource for ClientGrant {
    async fn fetch(&self) -> Result<Token, HttpError> {
        let mut reply = self.ask(&self.session).await;
        if let (Err(error), Some(encoded)) = (&reply, &self.encoded)
            && matches!(error.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST))
        {
            reply = self.ask(encoded).await;
        }
        let reply = reply.map_err(|cause| HttpError::Credentials {
            message: "the token endpoint gave no token; check token URL, client id, client secret and scopes"
                .to_owned(),
            cause: Some(Box::new(cause)),
        })?;
        let url = RedactedUrl::new(&self.credentials.token_url);
        if let Some(other) = reply.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer") && !kind.is_empty()) {
            // The server's word, not shown in full: nobody knows what else it puts there.
            let other: String = other.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
            return Err(HttpError::credentials(format!(
                "{url} gave a token of type {other}; only bearer tokens are known"
            )));
        }
        if reply.access_token.expose_secret().trim().is_empty() {
            return Err(HttpError::credentials(format!("{url} gave an empty token")));
        }
        Ok(Token { value: reply.access_token, valid_for: reply.expires_in.as_ref().and_then(seconds) })
    }
}

fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let seconds = match value {
        serde_json::Value::Number(number) => number.as_f64()?,
        serde_json::Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // A token that is never valid is a server that does not know.
    Duration::try_from_secs_f64(seconds).ok().filter(|valid| !valid.is_zero())
}

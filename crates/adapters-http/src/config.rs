//! The settings of a session. They are plain values; where they come from is the application's business.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::auth::Authenticator;
use crate::redact::RedactedUrl;

/// The settings of an [`HttpSession`](crate::HttpSession). `Debug` shows no secret.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpConfig {
    /// The server and the path under which its resources are. No request of the session leaves this server: scheme, host
    /// and port are the same in all of them.
    pub base_url: Url,
    /// How requests prove who asks.
    pub auth: Auth,
    /// How long one try may take, from the first byte sent to the last byte received. 2 minutes if nothing is said: a
    /// page of 10,000 records can take one.
    pub timeout: Duration,
    /// How long a connection may take to come about. 10 seconds if nothing is said.
    pub connect_timeout: Duration,
    /// How many requests may be under way at once. 4 if nothing is said. Zero counts as one.
    pub max_in_flight: usize,
    /// How many requests may begin in one second; as many as go if nothing is said.
    pub requests_per_second: Option<NonZeroU32>,
    /// The most bytes that one body may have, once unpacked. 128 MiB if nothing is said.
    pub max_body_bytes: usize,
    /// When and how often a failed request is tried again.
    pub retry: RetryPolicy,
    /// How the client names itself: `rollcall/VERSION` if nothing is said.
    pub user_agent: String,
    /// Lets plain `http` leave the machine. Credentials and rosters then travel for everyone to read.
    pub allow_http: bool,
}

impl HttpConfig {
    /// The settings of a session that says nothing but where the server is.
    pub fn new(base_url: Url) -> Self {
        Self {
            base_url,
            auth: Auth::None,
            timeout: Duration::from_mins(2),
            connect_timeout: Duration::from_secs(10),
            max_in_flight: 4,
            requests_per_second: None,
            max_body_bytes: 128 << 20,
            retry: RetryPolicy::default(),
            user_agent: concat!("rollcall/", env!("CARGO_PKG_VERSION")).to_owned(),
            allow_http: false,
        }
    }

    /// With a way to prove who asks.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("base_url", &RedactedUrl::new(&self.base_url))
            .field("auth", &self.auth)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_in_flight", &self.max_in_flight)
            .field("requests_per_second", &self.requests_per_second)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("retry", &self.retry)
            .field("user_agent", &self.user_agent)
            .field("allow_http", &self.allow_http)
            .finish()
    }
}

/// When and how often a failed request is tried again.
///
/// Tried again are the statuses 408, 429, 500, 502, 503, 504 and 520 to 524, timeouts, connections that fail or break, and bodies that end
/// too early. The wait doubles from try to try and has jitter; where the server says how long to wait (`Retry-After`, or
/// the reset of its rate limit), that is waited if it is longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is tried in all. Zero counts as one.
    pub max_tries: u32,
    /// How often a request that is answered with 500 is tried in all: many servers mean it.
    pub max_tries_internal_error: u32,
    /// The wait after the first try, before jitter.
    pub min_delay: Duration,
    /// The longest wait between two tries that the session chooses by itself, before jitter.
    pub max_delay: Duration,
    /// The longest wait that a server may ask for. One that asks for more ends the request.
    pub max_server_delay: Duration,
    /// How long a request may take with all its tries and waits; no further try begins after that.
    pub max_total: Duration,
}

impl Default for RetryPolicy {
    /// Five tries with waits of about 1, 2, 4 and 8 seconds, 10 minutes in all.
    fn default() -> Self {
        Self {
            max_tries: 5,
            max_tries_internal_error: 3,
            min_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(32),
            max_server_delay: Duration::from_mins(2),
            max_total: Duration::from_mins(10),
        }
    }
}

impl RetryPolicy {
    /// One try and no more.
    pub fn never() -> Self {
        Self { max_tries: 1, max_tries_internal_error: 1, ..Self::default() }
    }
}

/// How requests prove who asks.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// HTTP Basic (RFC 7617).
    Basic(BasicCredentials),
    /// A token that somebody handed over and that does not change.
    Bearer(SecretString),
    /// OAuth 2 client credentials (RFC 6749 section 4.4): a bearer token fetched from a token endpoint.
    OAuth2(ClientCredentials),
    /// OAuth 1.0a without a token ("two-legged", RFC 5849): each request is signed.
    OAuth1(OAuth1Credentials),
    /// Something else.
    Custom(Arc<dyn Authenticator>),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Basic(credentials) => credentials.fmt(f),
            Self::Bearer(_) => f.write_str("Bearer([REDACTED])"),
            Self::OAuth2(credentials) => credentials.fmt(f),
            Self::OAuth1(credentials) => credentials.fmt(f),
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

/// A name and a password for HTTP Basic.
#[derive(Debug, Clone)]
pub struct BasicCredentials {
    /// The user's or the client's name. It cannot have a colon.
    pub username: String,
    /// The password or the client's secret.
    pub password: SecretString,
}

/// What OAuth 2 client credentials need.
#[derive(Clone)]
pub struct ClientCredentials {
    /// The token endpoint. It cannot be derived from the base URL, and may be another server. Its query is kept.
    pub token_url: Url,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretString,
    /// The scopes to ask for. The parameter is left out if there are none, because some servers stumble over it.
    pub scopes: Vec<String>,
    /// Where id and secret go.
    pub client_auth: ClientAuth,
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("token_url", &RedactedUrl::new(&self.token_url))
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("scopes", &self.scopes)
            .field("client_auth", &self.client_auth)
            .finish()
    }
}

/// Where a token request carries the client's id and secret (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// In the `Authorization` header, as HTTP Basic. They go as they are; a server that refuses them is offered them
    /// form-encoded, as the letter of the standard has it, if that makes a difference.
    #[default]
    Basic,
    /// In the form, as `client_id` and `client_secret`.
    Body,
}

/// What OAuth 1.0a needs.
#[derive(Debug, Clone)]
pub struct OAuth1Credentials {
    /// The consumer key.
    pub consumer_key: String,
    /// The consumer secret.
    pub consumer_secret: SecretString,
    /// How requests are signed.
    pub signature: SignatureMethod,
    /// Whether `oauth_version="1.0"` is sent. The standard has it optional; some servers want it, some clients never send it.
    pub with_version: bool,
}

/// The signature methods of OAuth 1.0a that servers of rosters take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SignatureMethod {
    /// `HMAC-SHA1`, the one of RFC 5849.
    HmacSha1,
    /// `HMAC-SHA256`.
    #[default]
    HmacSha256,
}

impl SignatureMethod {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC-SHA1",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

impl fmt::Display for SignatureMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! How requests prove who asks.

mod oauth1;
mod oauth2;
mod token;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, Method};
use rollcall_domain::ports::Clock;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub use self::token::{Token, TokenAuth, TokenSource};
use crate::config::{Auth, BasicCredentials, HttpConfig};
use crate::error::HttpError;

/// Proves to a server who asks.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// What a request carries. Called for every try anew, with the URL as it will be sent.
    async fn authorize(&self, method: &Method, url: &Url) -> Result<Authorization, HttpError>;

    /// Called when a request was answered with 401, once for each request. Gives whether there is now something else to
    /// try; the request is then sent once more.
    ///
    /// Many requests under way can be refused for the same reason: an authenticator that renews something MUST tell by
    /// `refused` whether it has done so already.
    async fn renew(&self, refused: &Authorization) -> Result<bool, HttpError> {
        let _ = refused;
        Ok(false)
    }
}

/// What one request carries to prove who asks.
#[derive(Debug, Clone)]
pub struct Authorization {
    header: Option<HeaderValue>,
    secrets: Vec<SecretString>,
    generation: u64,
}

impl Authorization {
    /// Nothing.
    pub const fn none() -> Self {
        Self { header: None, secrets: Vec::new(), generation: 0 }
    }

    /// A bearer token (RFC 6750).
    pub fn bearer(token: &SecretString) -> Result<Self, HttpError> {
        let token = token.expose_secret().trim();
        Self::new(&format!("Bearer {token}"), vec![token.into()])
    }

    /// A name and a password (RFC 7617).
    pub fn basic(credentials: &BasicCredentials) -> Result<Self, HttpError> {
        let BasicCredentials { username, password } = credentials;
        if username.contains(':') {
            return Err(HttpError::settings("a client id or user name for HTTP Basic cannot have a colon"));
        }
        let encoded = BASE64_STANDARD.encode(format!("{username}:{}", password.expose_secret()));
        let header = format!("Basic {encoded}");
        Self::new(&header, vec![password.clone(), encoded.into()])
    }

    /// Any other value of the `Authorization` header, and the secrets in it, which are struck from what the server says.
    pub fn new(header: &str, secrets: Vec<SecretString>) -> Result<Self, HttpError> {
        let mut header = HeaderValue::from_str(header)
            .map_err(|_| HttpError::settings("the credentials have characters that an HTTP header cannot carry"))?;
        header.set_sensitive(true);
        Ok(Self { header: Some(header), secrets, generation: 0 })
    }

    /// The same with a number that tells one token from the next.
    #[must_use]
    pub const fn of_generation(mut self, generation: u64) -> Self {
        self.generation = generation;
        self
    }

    /// The number given to it, or zero.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn header(&self) -> Option<&HeaderValue> {
        self.header.as_ref()
    }

    pub(crate) fn secrets(&self) -> &[SecretString] {
        &self.secrets
    }
}

/// Always the same.
struct Fixed(Authorization);

#[async_trait]
impl Authenticator for Fixed {
    async fn authorize(&self, _method: &Method, _url: &Url) -> Result<Authorization, HttpError> {
        Ok(self.0.clone())
    }
}

/// The authenticator that the settings ask for.
pub(crate) fn authenticator(config: &HttpConfig, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Authenticator>, HttpError> {
    Ok(match &config.auth {
        Auth::None => Arc::new(Fixed(Authorization::none())),
        Auth::Basic(credentials) => Arc::new(Fixed(Authorization::basic(credentials)?)),
        Auth::Bearer(token) => Arc::new(Fixed(Authorization::bearer(token)?)),
        Auth::OAuth1(credentials) => Arc::new(oauth1::Signer::new(credentials.clone(), Arc::clone(clock))),
        Auth::OAuth2(credentials) => {
            Arc::new(TokenAuth::new(oauth2::ClientGrant::new(config, credentials, clock)?, Arc::clone(clock)))
        }
        Auth::Custom(custom) => Arc::clone(custom),
    })
}

//! How simulated vendors know who asks. Written from the RFCs, and shared with no client.

mod keys;
mod oauth1;
mod oauth2;

use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

pub use self::keys::DistrictKeys;
pub use self::oauth1::OAuth1;
pub(crate) use self::oauth2::basic_credentials;
pub use self::oauth2::{ClientAuth, OAuth2};

/// How a vendor knows who asks.
#[derive(Debug)]
pub enum Authentication {
    /// One token for ever, as `Authorization: Bearer`.
    Bearer(SecretString),
    /// Signed requests.
    OAuth1(OAuth1),
    /// Tokens that expire.
    OAuth2(OAuth2),
    /// Signed requests, or a bearer that can be replaced.
    Keys(Arc<DistrictKeys>),
}

/// What a request may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// Everything.
    Everything,
    /// What the scopes cover.
    Scopes(Vec<String>),
}

impl Grant {
    /// Whether one of some scopes was granted.
    pub fn has_any(&self, scopes: &[&str]) -> bool {
        match self {
            Self::Everything => true,
            Self::Scopes(granted) => granted.iter().any(|scope| scopes.contains(&scope.as_str())),
        }
    }
}

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What is wrong with it.
    pub message: String,
    /// The value of `WWW-Authenticate`.
    pub challenge: &'static str,
}

impl Authentication {
    /// Says what a request may see.
    pub fn check(&self, request: &Parts, now: Timestamp) -> Result<Grant, Refusal> {
        match self {
            Self::Bearer(token) => {
                let given = bearer(request)?;
                if same(given, token.expose_secret()) { Ok(Grant::Everything) } else { Err(unknown_token()) }
            }
            Self::OAuth1(verifier) => verifier.check(request, now).map(|()| Grant::Everything),
            Self::Keys(keys) => keys.check(request, now).map(|()| Grant::Everything),
            Self::OAuth2(tokens) => tokens.check(bearer(request)?, now).ok_or_else(unknown_token).map(Grant::Scopes),
        }
    }

    /// Voids the token that came with a request, where tokens are given out.
    pub fn void(&self, request: &Parts) {
        match (self, bearer(request)) {
            (Self::OAuth2(tokens), Ok(token)) => tokens.void(token),
            (Self::Keys(keys), _) => keys.void(request),
            _ => {}
        }
    }

    /// What a request is told whose token has expired.
    pub fn expired(&self) -> Refusal {
        match self {
            Self::OAuth1(_) => oauth1::refusal("the credentials have expired"),
            Self::Bearer(_) | Self::OAuth2(_) | Self::Keys(_) => unknown_token(),
        }
    }
}

fn bearer(request: &Parts) -> Result<&str, Refusal> {
    let refusal = |message: &str| Refusal { message: message.to_owned(), challenge: "Bearer" };
    let mut headers = request.headers.get_all(AUTHORIZATION).iter();
    let (Some(header), None) = (headers.next(), headers.next()) else {
        return Err(refusal("the request needs one Authorization header"));
    };
    let header = header.to_str().map_err(|_| refusal("the Authorization header is no text"))?;
    match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() => Ok(token),
        _ => Err(refusal("the Authorization header is not `Bearer` and a token")),
    }
}

fn unknown_token() -> Refusal {
    Refusal {
        message: "the access token is unknown or has expired".to_owned(),
        challenge: "Bearer error=\"invalid_token\"",
    }
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub(crate) fn same(given: &str, expected: &str) -> bool {
    let differs = given.bytes().zip(expected.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    given.len() == expected.len() && differs == 0
}

//! What every source over HTTP shares.
//!
//! An [`HttpSession`] talks to one server, the one of its base URL, as one client. It signs each request anew, keeps to
//! the server's rate limits and its own, tries again what can succeed if tried again, reads no more than it should, and
//! answers with a complete [`HttpResponse`] or an [`HttpError`] that says what to do.
//!
//! Three rules run through the crate. Credentials go to one server only: a request for another one is refused, redirects are
//! not followed, and plain `http` is spoken with the machine itself alone. Nothing secret is shown: not in a log, an error
//! or `Debug`. And everything ends: tries, waits, bodies and the time a request may take are bounded.
//!
//! A vendor whose credentials work in another way brings an [`Authenticator`], or a [`TokenSource`] where only the way to
//! get a token differs.

mod auth;
mod config;
mod error;
mod link;
mod pace;
mod redact;
mod response;
mod retry;
mod session;
#[cfg(test)]
mod tests;
mod url_parts;

pub use auth::{Authenticator, Authorization, Token, TokenAuth, TokenSource};
pub use config::{
    Auth, BasicCredentials, ClientAuth, ClientCredentials, HttpConfig, OAuth1Credentials, RetryPolicy, SignatureMethod,
};
pub use error::{ErrorPayload, HttpError};
pub use redact::RedactedUrl;
pub use response::{HttpResponse, Json};
pub use session::HttpSession;
pub use url_parts::{encode, query_string};

pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use url::Url;

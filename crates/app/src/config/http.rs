//! What every source over HTTP can be told about its requests.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Range;

use rollcall_adapters_clever::CleverConfig;
use rollcall_adapters_http::{HttpConfig, Url};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::duration::Length;
use super::mistake::Mistake;

/// How hard a source over HTTP may press its server. What is not said is left as the vendor's adapter has it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HttpSettings {
    /// How many requests may be under way at once.
    max_in_flight: Option<NonZeroUsize>,
    /// How many requests may begin in one second.
    requests_per_second: Option<NonZeroU32>,
    /// How long one try of a request may take.
    timeout: Option<Length>,
    /// Plain `http` to another machine.
    #[serde(default)]
    allow_http: bool,
}

impl HttpSettings {
    /// Puts what is said in the place of what the adapter has.
    pub(crate) fn apply(&self, mut http: HttpConfig) -> HttpConfig {
        http.max_in_flight = self.max_in_flight.map_or(http.max_in_flight, NonZeroUsize::get);
        http.requests_per_second = self.requests_per_second.or(http.requests_per_second);
        http.timeout = self.timeout.map_or(http.timeout, |timeout| timeout.0);
        http.allow_http |= self.allow_http;
        http
    }

    /// The same for Clever, whose adapter opens several sessions.
    pub(crate) fn apply_to_clever(&self, clever: &mut CleverConfig) {
        clever.max_in_flight = self.max_in_flight.or(clever.max_in_flight);
        clever.requests_per_second = self.requests_per_second.or(clever.requests_per_second);
        clever.timeout = self.timeout.map_or(clever.timeout, |timeout| timeout.0);
        clever.allow_http |= self.allow_http;
    }
}

const WITH_CREDENTIALS: &str = "an address has no user and no password in it; credentials are settings of their own";

/// Refuses the address of a service with a user or a password in it.
pub(super) fn check_root(root: &Url, place: Range<usize>) -> Result<(), Mistake> {
    if root.username().is_empty() && root.password().is_none() {
        return Ok(());
    }
    Err(Mistake::at(place, WITH_CREDENTIALS))
}

/// Reads an address. A wrong one is not quoted: there may be a password in it.
pub(super) fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.parse::<Url>() {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => Err(D::Error::custom(WITH_CREDENTIALS)),
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(url),
        _ => Err(D::Error::custom("this is no address of a server; expected `https://HOST/PATH`")),
    }
}

/// Reads the address of a server that paths are added to.
pub(super) fn some_root<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let address = url(deserializer)?;
    if address.query().is_some() || address.fragment().is_some() {
        return Err(D::Error::custom("an address that paths are added to has no `?` and no `#`"));
    }
    Ok(Some(address))
}

/// Reads an address that may be left out.
pub(super) fn some_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    url(deserializer).map(Some)
}

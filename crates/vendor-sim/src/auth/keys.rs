//! The keys of one district that can be reached in two ways: signed requests, and a bearer.

use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use jiff::Timestamp;
use uuid::Uuid;

use super::{OAuth1, Refusal, bearer, same, unknown_token};

/// Signed requests, or a bearer that can be replaced.
#[derive(Debug)]
pub struct DistrictKeys {
    oauth1: OAuth1,
    bearer: Mutex<Bearer>,
}

/// A bearer, which no output shows.
struct Bearer(Option<String>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer")
    }
}

impl DistrictKeys {
    /// Verifies requests of a consumer, and makes a bearer.
    pub fn new(oauth1: OAuth1) -> Self {
        Self { oauth1, bearer: Mutex::new(Bearer(Some(Uuid::new_v4().to_string()))) }
    }

    /// The bearer, if there is one.
    pub fn bearer(&self) -> Option<String> {
        self.bearer.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Makes another bearer, or none. The one before is void.
    pub fn replace_bearer(&self, wanted: bool) {
        let mut bearer = self.bearer.lock().unwrap_or_else(PoisonError::into_inner);
        bearer.0 = wanted.then(|| Uuid::new_v4().to_string());
    }

    pub(super) fn check(&self, request: &Parts, now: Timestamp) -> Result<(), Refusal> {
        match bearer(request) {
            Ok(given) if self.bearer().is_some_and(|bearer| same(given, &bearer)) => Ok(()),
            Ok(_) => Err(unknown_token()),
            Err(_) => self.oauth1.check(request, now),
        }
    }

    /// Replaces the bearer that came with a request.
    pub(super) fn void(&self, request: &Parts) {
        if bearer(request).is_ok() {
            self.replace_bearer(true);
        }
    }
}

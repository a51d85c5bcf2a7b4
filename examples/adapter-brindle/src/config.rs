//! The settings of a source. They are plain values; where they come from is the application's business.

use rollcall_adapters_http::{RetryPolicy, Url};
use secrecy::SecretString;

/// The settings of a [`BrindleSource`](crate::BrindleSource). `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct BrindleConfig {
    /// Where the lists are, as in `https://api.brindle.example/v1`.
    pub base_url: Url,
    /// The key of the district.
    pub key: SecretString,
    /// When and how often a failed request is tried again.
    pub retry: RetryPolicy,
}

impl BrindleConfig {
    /// The settings of a source that says nothing but where its district is.
    pub fn new(base_url: Url, key: SecretString) -> Self {
        Self { base_url, key, retry: RetryPolicy::default() }
    }
}

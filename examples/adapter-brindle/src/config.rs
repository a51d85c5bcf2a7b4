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
    /// What the key is called. It stands for what the key may see: a new key under the same name sees the same.
    pub credential: String,
    /// When and how often a failed request is tried again.
    pub retry: RetryPolicy,
}

impl BrindleConfig {
    /// The settings of a source that says nothing but where its district is, and with which key it is opened.
    pub fn new(base_url: Url, key: SecretString, credential: String) -> Self {
        Self { base_url, key, credential, retry: RetryPolicy::default() }
    }
}

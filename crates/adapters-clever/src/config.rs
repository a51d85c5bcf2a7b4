//! The settings of a Clever source. They are plain values; where they come from is the application's business.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use rollcall_adapters_http::{HttpConfig, RetryPolicy, Url};
use rollcall_domain::sync::Totals;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::CleverError;

/// The most objects that Clever sends in one page; it answers 413 to more.
const MAX_PAGE: u32 = 10_000;

/// The settings of a [`CleverSource`](crate::CleverSource) or a [`CleverDirectory`](crate::CleverDirectory). `Debug` shows
/// no secret.
#[derive(Debug, Clone)]
pub struct CleverConfig {
    /// How the application proves who it is.
    pub credentials: CleverCredentials,
    /// The Clever id of the district. It may be left out where a token of one district is configured; a directory does
    /// not look at it.
    pub district: Option<String>,
    /// Where the Data API and the Events API are, without a version: `https://api.clever.com` if nothing is said.
    pub api_url: Url,
    /// Where tokens are given out: `https://clever.com` if nothing is said.
    pub oauth_url: Url,
    /// The version of both APIs. v3.1 if nothing is said.
    pub api_version: ApiVersion,
    /// How many objects to ask for at a time: 1,000 if nothing is said, 10,000 at most.
    pub page_size: u32,
    /// How often everything is read even though events could be. A week if nothing is said.
    pub full_every: Duration,
    /// What to make of the numbers of objects that Clever says its lists have. Trusted if nothing is said.
    pub totals: Totals,
    /// How many requests to each of Clever's servers may be under way at once; 4 if nothing is said.
    pub max_in_flight: Option<NonZeroUsize>,
    /// How many requests may begin in one second; as many as Clever's own limit lets through if nothing is said.
    pub requests_per_second: Option<NonZeroU32>,
    /// How long one try of a request may take. 2 minutes if nothing is said.
    pub timeout: Duration,
    /// When and how often a failed request is tried again.
    pub retry: RetryPolicy,
    /// Lets plain `http` leave the machine. Credentials and rosters then travel for everyone to read.
    pub allow_http: bool,
}

/// How the application proves who it is.
#[derive(Debug, Clone)]
pub enum CleverCredentials {
    /// The application's own id and secret, for which Clever gives the token of each district that is connected.
    Application {
        /// The client id.
        client_id: String,
        /// The client secret.
        client_secret: SecretString,
    },
    /// The token of one district, as the application's dashboard shows it.
    DistrictToken(SecretString),
}

/// A version of Clever's Data API. Both have the same paths; v3.1 knows more fields of students.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum ApiVersion {
    /// v3.0.
    #[serde(rename = "v3.0")]
    V3_0,
    /// v3.1.
    #[default]
    #[serde(rename = "v3.1")]
    V3_1,
}

impl ApiVersion {
    /// The version as the path spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3_0 => "v3.0",
            Self::V3_1 => "v3.1",
        }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl CleverConfig {
    /// The settings of a source that says nothing but its credentials and its district.
    #[expect(clippy::expect_used, reason = "the two addresses are written here")]
    pub fn new(credentials: CleverCredentials, district: Option<String>) -> Self {
        let url = |text: &str| text.parse().expect("a valid URL");
        Self {
            credentials,
            district,
            api_url: url("https://api.clever.com"),
            oauth_url: url("https://clever.com"),
            api_version: ApiVersion::default(),
            page_size: 1_000,
            full_every: Duration::from_hours(7 * 24),
            totals: Totals::Trust,
            max_in_flight: None,
            requests_per_second: None,
            timeout: Duration::from_mins(2),
            retry: RetryPolicy::default(),
            allow_http: false,
        }
    }

    /// The settings of a session with one of Clever's two servers.
    pub(crate) fn session(&self, base_url: Url) -> HttpConfig {
        let mut config = HttpConfig::new(base_url);
        config.max_in_flight = self.max_in_flight.map_or(config.max_in_flight, NonZeroUsize::get);
        config.requests_per_second = self.requests_per_second;
        config.timeout = self.timeout;
        config.retry = self.retry;
        config.allow_http = self.allow_http;
        config
    }

    /// The URL that the API's resources stand under.
    pub(crate) fn api_base(&self) -> Result<Url, CleverError> {
        let text = format!("{}/{}", self.api_url.as_str().trim_end_matches('/'), self.api_version);
        text.parse().map_err(|_| CleverError::Settings {
            message: "`api_url` cannot have the version added to its path; expected https://HOST".to_owned(),
        })
    }

    pub(crate) fn limit(&self) -> u32 {
        self.page_size.clamp(1, MAX_PAGE)
    }
}

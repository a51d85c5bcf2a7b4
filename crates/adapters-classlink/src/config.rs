//! The settings of a ClassLink source. They are plain values; where they come from is the application's business.

use std::time::Duration;

use rollcall_adapters_http::{HttpConfig, SignatureMethod, Url};
use rollcall_adapters_oneroster::{RestConfig, RestVersion};
use secrecy::SecretString;

/// As many requests as may be under way at one tenant's server: above that it answers slower and slower.
pub(crate) const MAX_IN_FLIGHT: usize = 4;

/// The settings of a [`ClassLinkSource`](crate::ClassLinkSource) or a [`ClassLinkDirectory`](crate::ClassLinkDirectory).
/// `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct ClassLinkConfig {
    /// What opens a roster.
    pub access: ClassLinkAccess,
    /// ClassLink's id of the tenant. A partner's key opens many and needs it; elsewhere it is only what the roster's orgs
    /// are marked with. A directory does not look at it.
    pub tenant: Option<String>,
    /// Where the proxy is, and the list of applications: `https://oneroster-proxy.apis.classlink.com` if nothing is said.
    /// It may have a path, below which both are.
    pub proxy_url: Url,
    /// How requests to a district's own server prove who asks. The proxy takes bearers only.
    pub server_auth: ServerAuth,
    /// How hard ClassLink's servers may be pressed. The address and the credentials in it count for nothing, because they
    /// follow from everything else, and more than 4 requests at once are 4.
    pub http: HttpConfig,
    /// What is asked of the server, as of any that speaks OneRoster. If nothing is said everything is read every 20 hours, so
    /// that each nightly run does, whether it begins a little earlier or later than the one before.
    pub roster: RestConfig,
}

/// What opens a roster.
#[derive(Debug, Clone)]
pub enum ClassLinkAccess {
    /// The partner's key, with which the list of applications says the rest.
    Partner {
        /// The key, as the partner's portal shows it.
        partner_key: SecretString,
        /// Which way the roster is read.
        mode: Mode,
    },
    /// What the list says of one tenant, handed over by somebody: it is read through the proxy.
    Bearer {
        /// The id of the application at the tenant, percent-encoded as the list has it.
        application_id: String,
        /// The tenant's bearer.
        bearer: SecretString,
    },
    /// The key of a district's own server.
    Consumer {
        /// Where the server is, with the path of OneRoster or without it.
        base_url: Url,
        /// The consumer key, or the client's id.
        consumer_key: String,
        /// The consumer secret, or the client's.
        consumer_secret: SecretString,
    },
}

/// Which way the roster of a listed tenant is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Through ClassLink's proxy, with the tenant's bearer.
    #[default]
    Proxy,
    /// From the district's own server, with its consumer key.
    Direct,
}

impl Mode {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Direct => "direct",
        }
    }
}

/// How requests to a district's own server prove who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerAuth {
    /// OAuth 1.0a without a token: every request is signed.
    OAuth1 {
        /// How.
        signature: SignatureMethod,
        /// Whether `oauth_version` is sent. Servers take requests with it and without it.
        with_version: bool,
    },
    /// OAuth 2 client credentials, with the same key and secret, which some servers have. The client's id and secret go as
    /// HTTP Basic, and no scopes are asked for.
    OAuth2 {
        /// The token endpoint: `/token` at the root of the server if nothing is said.
        token_url: Option<Url>,
    },
}

impl Default for ServerAuth {
    fn default() -> Self {
        Self::OAuth1 { signature: SignatureMethod::HmacSha256, with_version: true }
    }
}

impl ClassLinkConfig {
    /// The settings of a source that says nothing but what opens it. `credential` names that without being a secret: see
    /// [`RestConfig::credential`].
    #[expect(clippy::expect_used, reason = "the address is written here")]
    pub fn new(access: ClassLinkAccess, credential: impl Into<String>) -> Self {
        let proxy_url: Url = "https://oneroster-proxy.apis.classlink.com".parse().expect("a valid URL");
        let mut roster = RestConfig::new(RestVersion::V1_1, credential);
        roster.full_every = Duration::from_hours(20);
        Self {
            access,
            tenant: None,
            http: HttpConfig::new(proxy_url.clone()),
            proxy_url,
            server_auth: ServerAuth::default(),
            roster,
        }
    }

    /// The settings of a session with one of ClassLink's servers.
    pub(crate) fn session(&self, base_url: Url) -> HttpConfig {
        let mut http = self.http.clone();
        http.base_url = base_url;
        http.max_in_flight = http.max_in_flight.min(MAX_IN_FLIGHT);
        http
    }

    /// What tells this roster from another, before anything is asked.
    pub(crate) fn place(&self) -> String {
        let proxy = self.proxy_url.as_str().trim_end_matches('/');
        let tenant = self.tenant.as_deref().unwrap_or_default();
        match &self.access {
            ClassLinkAccess::Partner { mode, .. } => format!("{} {proxy} {tenant}", mode.as_str()),
            ClassLinkAccess::Bearer { application_id, .. } => format!("bearer {proxy} {application_id}"),
            ClassLinkAccess::Consumer { base_url, .. } => base_url.as_str().trim_end_matches('/').to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_asked_for_four_things_at_once_at_most_and_has_two_minutes_for_each() {
        let access = ClassLinkAccess::Partner { partner_key: "k".into(), mode: Mode::Proxy };
        let mut config = ClassLinkConfig::new(access, "k");
        let session = config.session(config.proxy_url.clone());
        assert_eq!((session.max_in_flight, session.timeout), (4, Duration::from_mins(2)));
        config.http.max_in_flight = 64;
        assert_eq!(config.session(config.proxy_url.clone()).max_in_flight, 4);
        config.http.max_in_flight = 2;
        assert_eq!(config.session(config.proxy_url.clone()).max_in_flight, 2);
    }
}

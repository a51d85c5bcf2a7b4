//! The settings of a REST source. They are plain values; where they come from is the application's business.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rollcall_adapters_http::{RedactedUrl, Url};
use rollcall_domain::Kind;
use rollcall_domain::entities::ExternalId;
use rollcall_domain::ports::{Capabilities, EmptySnapshot, Repeats, ScopeDigest, SourceDescription};
use rollcall_domain::sync::Totals;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::RestError;
use super::profile::RestProfile;
use crate::config::{EndDates, SlashDates};

/// The settings of a [`RestSource`](crate::RestSource). Server, credentials, pace and patience are the session's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestConfig {
    /// The version that the server speaks.
    pub version: RestVersion,
    /// What names the credentials: a client id, a consumer key, the name of a token. Only a hash of it is ever used, to
    /// notice that other credentials may see other records.
    pub credential: String,
    /// How many records to ask for at a time. Servers may send fewer. 5,000 if nothing is said.
    pub page_size: u32,
    /// How often everything is read even though changes could be. A week if nothing is said. Only a full pull finds records
    /// that vanished without a word.
    pub full_every: Duration,
    /// How far an incremental pull reaches back behind the last one. An hour if nothing is said; more for servers whose
    /// clocks or time zones cannot be trusted.
    pub overlap: Duration,
    /// Conditions by kind, in OneRoster's filter language: `status='active'`. They are sent as they are and narrow what the
    /// source sees: a record that does not fit does not exist for it. A filter of two conditions leaves no room for the
    /// date, so that its kind is always read in full.
    pub filters: BTreeMap<Kind, String>,
    /// The sourcedIds of the schools to read; all if there are none. Other schools are left out, with their courses and
    /// classes, what belongs to these, and the users who are at other schools only. Orgs that are no schools stay. Such a
    /// source is always read in full.
    pub schools: Vec<String>,
    /// What to make of the totals that the server announces.
    pub totals: Totals,
    /// How dates with slashes are to be read. Without it they are not guessed.
    pub slash_dates: Option<SlashDates>,
    /// Whether the source means end dates as the last day or as the day after it.
    pub end_dates: EndDates,
    /// Ids that every org gets beside its own: what the vendor calls the tenant whose roster this is.
    pub org_ids: Vec<ExternalId>,
}

impl RestConfig {
    /// The settings of a source that says nothing but its version and credentials.
    pub fn new(version: RestVersion, credential: impl Into<String>) -> Self {
        Self {
            version,
            credential: credential.into(),
            page_size: 5_000,
            full_every: Duration::from_hours(7 * 24),
            overlap: Duration::from_hours(1),
            filters: BTreeMap::new(),
            schools: Vec::new(),
            totals: Totals::Trust,
            slash_dates: None,
            end_dates: EndDates::default(),
            org_ids: Vec::new(),
        }
    }

    /// What a source with these settings is and can do. `place` tells one roster from another: where the service is, or
    /// what the vendor calls it.
    pub fn describe(&self, profile: &RestProfile, place: &str) -> SourceDescription {
        SourceDescription {
            kind: profile.source_kind,
            capabilities: Capabilities {
                incremental: profile.incremental && self.schools.is_empty(),
                // Pages that move are read again, so what is left claims to be one record, as it does in a file.
                repeats: Repeats::Conflict,
                empty_snapshot: EmptySnapshot::Fail,
            },
            scope: self.scope(profile.source_kind, place),
        }
    }

    /// What shapes the records that are made of an answer, and not which answer comes: another program may read otherwise.
    pub(crate) fn reading(&self) -> String {
        let Self { slash_dates, end_dates, .. } = self;
        format!("{} {slash_dates:?} {end_dates:?}", env!("CARGO_PKG_VERSION"))
    }

    /// The digest of everything that shapes what the source shows.
    fn scope(&self, kind: &str, place: &str) -> ScopeDigest {
        let Self { version, credential, filters, schools, org_ids, .. } = self;
        let mut schools: Vec<_> = schools.iter().collect();
        schools.sort_unstable();
        let filters: Vec<_> = filters.iter().map(|(kind, filter)| (kind.as_str(), filter.trim())).collect();
        let mut shaping =
            vec![json!(kind), json!(place), json!(version), json!(credential), json!(filters), json!(schools)];
        if !org_ids.is_empty() {
            shaping.push(json!(org_ids));
        }
        let digest = blake3::hash(json!(shaping).to_string().as_bytes()).to_hex();
        ScopeDigest(format!("{kind}/1:{}", &digest[..32]))
    }
}

/// A version of the REST binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RestVersion {
    /// April 2017: a user has one role.
    #[serde(rename = "1.1")]
    V1_1,
    /// June 2022: a user has roles at orgs.
    #[serde(rename = "1.2")]
    V1_2,
}

impl RestVersion {
    /// The number of the version.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// The path under which the standard puts the rostering service (binding, section on base URLs).
    pub const fn path(self) -> &'static str {
        match self {
            Self::V1_1 => "/ims/oneroster/v1p1",
            Self::V1_2 => "/ims/oneroster/rostering/v1p2",
        }
    }

    /// The scopes that a client asks for to read rosters (binding, section on security), demographics only where they are
    /// wanted: a server that does not grant a scope may refuse them all.
    pub fn scopes(self, demographics: bool) -> Vec<String> {
        let version = match self {
            Self::V1_1 => "v1p1",
            Self::V1_2 => "v1p2",
        };
        let names = ["roster-core.readonly", "roster-demographics.readonly"];
        let wanted = names.into_iter().take(if demographics { 2 } else { 1 });
        wanted.map(|name| format!("https://purl.imsglobal.org/spec/or/{version}/scope/{name}")).collect()
    }

    pub(crate) const fn table_version(self) -> crate::csv::table::Version {
        match self {
            Self::V1_1 => crate::csv::table::Version::V1_1,
            Self::V1_2 => crate::csv::table::Version::V1_2,
        }
    }
}

impl fmt::Display for RestVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a service is, and which version it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRoot {
    /// The URL that collections stand under, for [`HttpConfig`](rollcall_adapters_http::HttpConfig).
    pub base_url: Url,
    /// The version.
    pub version: RestVersion,
}

impl ServiceRoot {
    /// Works out where a service is from the URL that a person was given: with the standard's path, from which the version
    /// is read, or without it, which is then added for the version that is named. Escapes in the URL are kept.
    ///
    /// A path that ends in neither version's way is taken as it is if the version is named.
    pub fn find(url: &str, version: Option<RestVersion>) -> Result<Self, RestError> {
        let settings = |message: String| RestError::Settings { message };
        let trimmed = url.trim().trim_end_matches('/');
        let parsed: Url = trimmed.parse().map_err(|_| {
            settings("the base URL cannot be read; expected https://HOST/ims/oneroster/v1p1 or the like".to_owned())
        })?;
        let path = parsed.path().trim_end_matches('/').to_ascii_lowercase();
        let told = match path.rsplit('/').next() {
            Some("v1p1") => Some(RestVersion::V1_1),
            Some("v1p2") => Some(RestVersion::V1_2),
            _ => None,
        };
        let shown = RedactedUrl::new(&parsed);
        match (told, version) {
            (Some(told), Some(named)) if told != named => Err(settings(format!(
                "{shown} is the address of OneRoster {told}, and `version` says {named}; correct one of them"
            ))),
            (Some(version), _) => Ok(Self { base_url: parsed, version }),
            (None, None) => Err(settings(format!(
                "{shown} does not tell the version; add the path `{}` or `{}`, or set `version`",
                RestVersion::V1_1.path(),
                RestVersion::V1_2.path()
            ))),
            // Some services stand under a path of their own; the standard's is only added where there is none of it.
            (None, Some(version)) if path.contains("/ims/oneroster") => Ok(Self { base_url: parsed, version }),
            (None, Some(version)) => {
                let joined = format!("{trimmed}{}", version.path());
                let base_url = joined.parse().map_err(|_| settings(format!("{shown} cannot have a path added")))?;
                Ok(Self { base_url, version })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_url_or_the_path_is_added_for_it() {
        use RestVersion::{V1_1, V1_2};
        let found = |url: &str, version| match ServiceRoot::find(url, version) {
            Ok(root) => format!("{} {}", root.version, root.base_url),
            Err(error) => error.to_string(),
        };
        let cases = [
            found("https://sis.example.org/ims/oneroster/v1p1/", None),
            found("https://sis.example.org/aeries/ims/oneroster/rostering/v1p2", None),
            found("https://sis.example.org/aeries", Some(V1_1)),
            found("https://sis.example.org", Some(V1_2)),
            found("https://proxy.example.org/%2FgVa%3D/ims/oneroster/v1p1", Some(V1_1)),
            found("https://sis.example.org/ims/oneroster/v1p1", Some(V1_2)),
            found("https://sis.example.org/ims/oneroster/beta", Some(V1_1)),
            found("https://sis.example.org/roster", None),
            found("sis.example.org", None),
        ];
        insta::assert_snapshot!(cases.join("\n"));
    }
}

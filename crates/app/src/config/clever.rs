//! `kind = "clever"`

use std::num::NonZeroU32;

use rollcall_adapters_clever::ApiVersion;
use rollcall_adapters_http::Url;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use toml::Spanned;

use super::duration::Length;
use super::http::{HttpSettings, url};
use super::keys::Keys;
use super::mistake::Mistake;
use super::secret::SecretPlace;

/// What to write, for whoever gave no credentials, or half of them.
const CREDENTIALS: &str =
    "give the application's `client_id` and `client_secret`, or the `district_token` of one district";

/// What a source over Clever can be told.
#[derive(Debug, Clone)]
pub(crate) struct CleverSettings {
    /// How Clever is asked.
    pub(crate) credentials: CleverPlace,
    /// Of which district.
    pub(crate) districts: Districts,
    /// Where Clever is.
    pub(crate) address: Address,
    /// How hard it may be pressed.
    pub(crate) http: HttpSettings,
    /// What is asked.
    pub(crate) asking: CleverAsking,
}

/// Where the credentials are.
#[derive(Debug, Clone)]
pub(crate) enum CleverPlace {
    /// An application's.
    Application {
        /// Its id.
        client_id: String,
        /// Where its secret is.
        client_secret: SecretPlace,
    },
    /// One district's token.
    DistrictToken(SecretPlace),
}

/// Which districts a source is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Districts {
    /// That of the token, or none yet.
    Unsaid,
    /// This one.
    One(String),
    /// Every one that the application is connected to: each is a source of its own.
    All,
}

/// Where Clever is, where it is not at its usual place.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Address {
    /// The Data API and the Events API, without a version.
    #[serde(default, deserialize_with = "some_url")]
    pub(crate) api_url: Option<Url>,
    /// Where tokens are given out.
    #[serde(default, deserialize_with = "some_url")]
    pub(crate) oauth_url: Option<Url>,
    /// The version of the APIs.
    #[serde(default)]
    pub(crate) api_version: ApiVersion,
}

/// What Clever is asked for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CleverAsking {
    /// How many objects one page may have.
    pub(crate) page_size: Option<NonZeroU32>,
    /// How often everything is read.
    pub(crate) full_every: Option<Length>,
}

#[derive(Deserialize)]
struct CredentialKeys {
    client_id: Option<Spanned<String>>,
    client_secret: Option<SecretPlace>,
    district_token: Option<SecretPlace>,
}

#[derive(Deserialize)]
struct DistrictKeys {
    district: Option<Spanned<String>>,
    districts: Option<Spanned<String>>,
}

impl CleverSettings {
    /// Takes the keys of such a source.
    pub(super) fn take(keys: &mut Keys<'_>) -> Result<Self, Mistake> {
        let place = keys.span();
        let credentials = match keys.take()? {
            CredentialKeys { client_id: Some(client_id), client_secret: Some(client_secret), district_token: None } => {
                let client_id = not_blank("client_id", client_id)?;
                CleverPlace::Application { client_id, client_secret }
            }
            CredentialKeys { client_id: None, client_secret: None, district_token: Some(token) } => {
                CleverPlace::DistrictToken(token)
            }
            CredentialKeys { client_id: None, client_secret: None, district_token: None } => {
                return Err(Mistake::at(place, format!("missing credentials; {CREDENTIALS}")));
            }
            CredentialKeys { district_token: Some(_), .. } => {
                return Err(Mistake::at(place, format!("two sorts of credentials; {CREDENTIALS}")));
            }
            CredentialKeys { client_id, .. } => {
                let missing = if client_id.is_none() { "client_id" } else { "client_secret" };
                return Err(Mistake::at(place, format!("missing `{missing}`; {CREDENTIALS}")));
            }
        };
        let districts = match keys.take()? {
            DistrictKeys { district: None, districts: None } => Districts::Unsaid,
            DistrictKeys { district: Some(district), districts: None } => {
                Districts::One(not_blank("district", district)?)
            }
            DistrictKeys { district: None, districts: Some(all) } if all.get_ref() != "all" => {
                let message = "`districts` is \"all\"; one district is `district = \"ID\"`";
                return Err(Mistake::at(all.span(), message));
            }
            DistrictKeys { district: None, districts: Some(all) } => {
                if matches!(credentials, CleverPlace::DistrictToken(_)) {
                    let message = "a district's token opens that district alone; `districts = \"all\"` needs the \
                                   application's `client_id` and `client_secret`";
                    return Err(Mistake::at(all.span(), message));
                }
                Districts::All
            }
            DistrictKeys { district: Some(_), districts: Some(all) } => {
                return Err(Mistake::at(all.span(), "a source has `district` or `districts`, not both"));
            }
        };
        Ok(Self { credentials, districts, address: keys.take()?, http: keys.take()?, asking: keys.take()? })
    }
}

fn not_blank(key: &str, value: Spanned<String>) -> Result<String, Mistake> {
    if value.get_ref().trim().is_empty() {
        return Err(Mistake::at(value.span(), format!("`{key}` is blank")));
    }
    Ok(value.into_inner().trim().to_owned())
}

fn some_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let address = url(deserializer)?;
    // The version and the paths are added to it.
    if address.query().is_some() || address.fragment().is_some() {
        return Err(D::Error::custom("an address that paths are added to has no `?` and no `#`"));
    }
    Ok(Some(address))
}

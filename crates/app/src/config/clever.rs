//! `kind = "clever"`

use std::num::NonZeroU32;

use rollcall_adapters_clever::ApiVersion;
use rollcall_adapters_http::Url;
use serde::Deserialize;
use toml::Spanned;

use super::duration::Length;
use super::http::{HttpSettings, some_root};
use super::keys::Keys;
use super::mistake::Mistake;
use super::secret::SecretPlace;
use super::tenants::{TenantKeys, Tenants, not_blank};

/// What to write, for whoever gave no credentials, or half of them.
const CREDENTIALS: &str =
    "give the application's `client_id` and `client_secret`, or the `district_token` of one district";

/// What a source over Clever can be told.
#[derive(Debug, Clone)]
pub(crate) struct CleverSettings {
    /// How Clever is asked.
    pub(crate) credentials: CleverPlace,
    /// Of which district.
    pub(crate) districts: Tenants,
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

/// How a source names its districts.
pub(super) const DISTRICTS: TenantKeys = TenantKeys { one: "district", all: "districts" };

/// Where Clever is, where it is not at its usual place.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Address {
    /// The Data API and the Events API, without a version.
    #[serde(default, deserialize_with = "some_root")]
    pub(crate) api_url: Option<Url>,
    /// Where tokens are given out.
    #[serde(default, deserialize_with = "some_root")]
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

impl CleverSettings {
    /// Takes the keys of such a source.
    pub(super) fn take(keys: &mut Keys<'_>) -> Result<Self, Mistake> {
        let place = keys.span();
        keys.know::<CredentialKeys>();
        DISTRICTS.make_known(keys);
        keys.know::<Address>();
        keys.know::<HttpSettings>();
        keys.know::<CleverAsking>();
        keys.refuse_unknown(|_| None)?;
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
        let alone = matches!(credentials, CleverPlace::DistrictToken(_)).then_some(
            "a district's token opens that district alone; `districts = \"all\"` needs the application's `client_id` and \
             `client_secret`",
        );
        let districts = Tenants::take(keys, DISTRICTS, alone)?;
        Ok(Self { credentials, districts, address: keys.take()?, http: keys.take()?, asking: keys.take()? })
    }
}

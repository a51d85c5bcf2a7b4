//! `auth`: how a source over HTTP proves who asks.

use rollcall_adapters_http::{Auth, ClientAuth, ClientCredentials, OAuth1Credentials, SignatureMethod, Url};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::http::url;
use super::keys::Keys;
use super::mistake::Mistake;
use super::secret::SecretPlace;
use crate::failure::Failure;

const EXPECTED: &str = "`auth` is a table, such as `auth = { method = \"bearer\", token = { env = \"NAME\" } }`";

/// A method: its word, and how its keys are read.
type Method = (&'static str, fn(&mut Keys<'_>) -> Result<AuthSettings, Mistake>);

const METHODS: [Method; 3] = [
    ("oauth2", |keys| Ok(AuthSettings::OAuth2(keys.take()?))),
    ("oauth1", |keys| Ok(AuthSettings::OAuth1(keys.take()?))),
    ("bearer", |keys| Ok(AuthSettings::Bearer(keys.take()?))),
];

/// How a source over HTTP proves who asks; where its secrets are, not what they are.
#[derive(Debug, Clone)]
pub(crate) enum AuthSettings {
    /// OAuth 2 client credentials.
    OAuth2(OAuth2Settings),
    /// OAuth 1.0a.
    OAuth1(OAuth1Settings),
    /// A token that does not change.
    Bearer(BearerSettings),
}

/// `method = "oauth2"`
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OAuth2Settings {
    #[serde(deserialize_with = "url")]
    token_url: Url,
    client_id: String,
    client_secret: SecretPlace,
    /// The standard's where nothing is said; none where the list is empty.
    scopes: Option<Vec<String>>,
    #[serde(default, with = "ClientAuthWord")]
    client_auth: ClientAuth,
}

/// `method = "oauth1"`
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OAuth1Settings {
    consumer_key: String,
    consumer_secret: SecretPlace,
    #[serde(default, with = "SignatureWord")]
    signature: SignatureMethod,
    /// Whether `oauth_version` is sent.
    #[serde(default = "yes")]
    send_version: bool,
}

/// `method = "bearer"`
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BearerSettings {
    token: SecretPlace,
}

/// The words for [`ClientAuth`].
#[derive(Deserialize)]
#[serde(remote = "ClientAuth", rename_all = "lowercase")]
enum ClientAuthWord {
    Basic,
    Body,
}

/// The words for [`SignatureMethod`].
#[derive(Deserialize)]
#[serde(remote = "SignatureMethod")]
pub(super) enum SignatureWord {
    #[serde(rename = "HMAC-SHA1")]
    HmacSha1,
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
}

fn yes() -> bool {
    true
}

impl AuthSettings {
    /// Takes `auth` out of a source's keys.
    pub(super) fn take(keys: &mut Keys<'_>) -> Result<Self, Mistake> {
        let place = keys.span();
        let value = keys.value("auth").ok_or_else(|| Mistake::at(place, format!("missing `auth`; {EXPECTED}")))?;
        Self::read(value)
    }

    fn read(value: Spanned<DeValue<'_>>) -> Result<Self, Mistake> {
        let mut keys = Keys::of(value, EXPECTED)?;
        let (_, method) = keys.choice("method", "`auth`", &METHODS)?;
        let auth = method(&mut keys)?;
        keys.end()?;
        Ok(auth)
    }

    /// What names the credentials without being one: it tells one credential from another.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::OAuth2(oauth2) => oauth2.client_id.clone(),
            Self::OAuth1(oauth1) => oauth1.consumer_key.clone(),
            Self::Bearer(bearer) => bearer.token.to_string(),
        }
    }

    /// Fetches the secrets. `scopes` are asked for where the configuration names none.
    pub(crate) async fn open(&self, scopes: Vec<String>) -> Result<Auth, Failure> {
        Ok(match self {
            Self::OAuth2(oauth2) => Auth::OAuth2(ClientCredentials {
                token_url: oauth2.token_url.clone(),
                client_id: oauth2.client_id.clone(),
                client_secret: oauth2.client_secret.fetch().await?,
                scopes: oauth2.scopes.clone().unwrap_or(scopes),
                client_auth: oauth2.client_auth,
            }),
            Self::OAuth1(oauth1) => Auth::OAuth1(OAuth1Credentials {
                consumer_key: oauth1.consumer_key.clone(),
                consumer_secret: oauth1.consumer_secret.fetch().await?,
                signature: oauth1.signature,
                with_version: oauth1.send_version,
            }),
            Self::Bearer(bearer) => Auth::Bearer(bearer.token.fetch().await?),
        })
    }
}

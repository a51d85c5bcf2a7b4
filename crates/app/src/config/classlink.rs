//! `kind = "classlink"`

use std::ops::Range;

use rollcall_adapters_classlink::{Mode, ServerAuth};
use rollcall_adapters_http::{SignatureMethod, Url};
use rollcall_adapters_oneroster::{RestVersion, ServiceRoot};
use serde::Deserialize;
use toml::Spanned;

use super::auth::SignatureWord;
use super::http::{HttpSettings, check_root, some_root, some_url};
use super::keys::{Keys, fields_of};
use super::mistake::Mistake;
use super::rest::Asking;
use super::secret::SecretPlace;
use super::tenants::{TenantKeys, Tenants, not_blank};

const MODES: [(&str, Mode); 2] = [(Mode::Proxy.as_str(), Mode::Proxy), (Mode::Direct.as_str(), Mode::Direct)];

/// How a source names its tenants.
pub(super) const TENANTS: TenantKeys = TenantKeys { one: "tenant", all: "tenants" };

/// What to write, for whoever gave nothing that opens a roster, or half of it.
const PROXY: &str = "give the `partner_key` and a `tenant`, or one tenant's `application_id` and `bearer`";
const DIRECT: &str =
    "give the server's `base_url`, `consumer_key` and `consumer_secret`, or the `partner_key` and a `tenant`";

/// What a source over ClassLink can be told.
#[derive(Debug, Clone)]
pub(crate) struct ClassLinkSettings {
    /// What opens the roster.
    pub(crate) access: ClassLinkPlace,
    /// Of which tenant.
    pub(crate) tenants: Tenants,
    /// Where the proxy is, where it is not at its usual place.
    pub(crate) proxy_url: Option<Url>,
    /// The version of OneRoster.
    pub(crate) version: RestVersion,
    /// How a server itself is asked.
    pub(crate) server_auth: ServerAuth,
    /// How hard the servers may be pressed.
    pub(crate) http: HttpSettings,
    /// What is asked.
    pub(crate) asking: Asking,
}

/// What opens a roster, and where its secrets are.
#[derive(Debug, Clone)]
pub(crate) enum ClassLinkPlace {
    /// A partner's key.
    Partner {
        /// Where it is.
        partner_key: SecretPlace,
        /// Which way the roster is read.
        mode: Mode,
    },
    /// One tenant, through the proxy.
    Bearer {
        /// The part of the address that means it.
        application_id: String,
        /// Where its bearer is.
        bearer: SecretPlace,
    },
    /// A district's own server.
    Consumer {
        /// Where it is.
        base_url: Url,
        /// Its key.
        consumer_key: String,
        /// Where the secret is.
        consumer_secret: SecretPlace,
    },
}

#[derive(Deserialize)]
struct ProxyKeys {
    partner_key: Option<SecretPlace>,
    application_id: Option<Spanned<String>>,
    bearer: Option<SecretPlace>,
}

#[derive(Deserialize)]
struct DirectKeys {
    partner_key: Option<SecretPlace>,
    base_url: Option<Spanned<String>>,
    consumer_key: Option<Spanned<String>>,
    consumer_secret: Option<SecretPlace>,
}

#[derive(Deserialize)]
struct AddressKeys {
    #[serde(default, deserialize_with = "some_root")]
    proxy_url: Option<Url>,
    version: Option<RestVersion>,
}

#[derive(Deserialize)]
struct ServerKeys {
    #[serde(default, with = "SignatureWord")]
    signature: SignatureMethod,
    /// Whether `oauth_version` is sent.
    #[serde(default = "yes")]
    send_version: bool,
    /// OAuth 2 in the place of OAuth 1.0a.
    #[serde(default)]
    oauth2: bool,
    #[serde(default, deserialize_with = "some_url")]
    token_url: Option<Url>,
}

fn yes() -> bool {
    true
}

impl ClassLinkSettings {
    /// Takes the keys of such a source.
    pub(super) fn take(keys: &mut Keys<'_>) -> Result<Self, Mistake> {
        let place = keys.span();
        let (_, mode) = keys.choice("mode", "a source over ClassLink", &MODES)?;
        know(keys, mode)?;
        let AddressKeys { proxy_url, version } = keys.take()?;
        let (access, version, server_auth) = match mode {
            Mode::Proxy => (proxy(keys.take()?, place)?, version.unwrap_or(RestVersion::V1_1), ServerAuth::default()),
            Mode::Direct => {
                let (access, version) = direct(keys.take()?, version, place)?;
                (access, version, server_auth(keys)?)
            }
        };
        let alone = (!matches!(access, ClassLinkPlace::Partner { .. }))
            .then_some("these credentials open one tenant alone; `tenants = \"all\"` needs the `partner_key`");
        let tenants = Tenants::take(keys, TENANTS, alone)?;
        Ok(Self { access, tenants, proxy_url, version, server_auth, http: keys.take()?, asking: keys.take()? })
    }
}

/// Refuses what such a source has no use for.
fn know(keys: &mut Keys<'_>, mode: Mode) -> Result<(), Mistake> {
    keys.know::<AddressKeys>();
    let (other, of_other) = match mode {
        Mode::Proxy => {
            keys.know::<ProxyKeys>();
            (Mode::Direct, [fields_of::<DirectKeys>(), fields_of::<ServerKeys>()].concat())
        }
        Mode::Direct => {
            keys.know::<DirectKeys>();
            keys.know::<ServerKeys>();
            (Mode::Proxy, fields_of::<ProxyKeys>().to_vec())
        }
    };
    TENANTS.make_known(keys);
    keys.know::<HttpSettings>();
    keys.know::<Asking>();
    keys.refuse_unknown(|key| {
        of_other.contains(&key).then(|| format!("`{key}` belongs to `mode = \"{}\"`", other.as_str()))
    })
}

/// What opens a roster through the proxy.
fn proxy(keys: ProxyKeys, place: Range<usize>) -> Result<ClassLinkPlace, Mistake> {
    match keys {
        ProxyKeys { partner_key: Some(partner_key), application_id: None, bearer: None } => {
            Ok(ClassLinkPlace::Partner { partner_key, mode: Mode::Proxy })
        }
        ProxyKeys { partner_key: None, application_id: Some(application_id), bearer: Some(bearer) } => {
            let application_id = not_blank("application_id", application_id)?;
            Ok(ClassLinkPlace::Bearer { application_id, bearer })
        }
        ProxyKeys { partner_key: None, application_id: None, bearer: None } => {
            Err(Mistake::at(place, format!("missing credentials; {PROXY}")))
        }
        ProxyKeys { partner_key: Some(_), .. } => Err(Mistake::at(place, format!("two sorts of credentials; {PROXY}"))),
        ProxyKeys { application_id, .. } => {
            let missing = if application_id.is_none() { "application_id" } else { "bearer" };
            Err(Mistake::at(place, format!("missing `{missing}`; {PROXY}")))
        }
    }
}

/// What opens a roster at the server itself, and the version that it speaks.
fn direct(
    keys: DirectKeys,
    version: Option<RestVersion>,
    place: Range<usize>,
) -> Result<(ClassLinkPlace, RestVersion), Mistake> {
    let DirectKeys { partner_key, base_url, consumer_key, consumer_secret } = keys;
    match (partner_key, base_url, consumer_key, consumer_secret) {
        (Some(partner_key), None, None, None) => {
            let access = ClassLinkPlace::Partner { partner_key, mode: Mode::Direct };
            Ok((access, version.unwrap_or(RestVersion::V1_1)))
        }
        (None, Some(base_url), Some(consumer_key), Some(consumer_secret)) => {
            let root = root(&base_url, version)?;
            let consumer_key = not_blank("consumer_key", consumer_key)?;
            let access = ClassLinkPlace::Consumer { base_url: root.base_url, consumer_key, consumer_secret };
            Ok((access, root.version))
        }
        (None, None, None, None) => Err(Mistake::at(place, format!("missing credentials; {DIRECT}"))),
        (Some(_), ..) => Err(Mistake::at(place, format!("two sorts of credentials; {DIRECT}"))),
        (None, base_url, consumer_key, _) => {
            let missing = match (base_url, consumer_key) {
                (None, _) => "base_url",
                (_, None) => "consumer_key",
                _ => "consumer_secret",
            };
            Err(Mistake::at(place, format!("missing `{missing}`; {DIRECT}")))
        }
    }
}

/// Where a server is: districts hand out the host alone, or the whole address.
fn root(base_url: &Spanned<String>, version: Option<RestVersion>) -> Result<ServiceRoot, Mistake> {
    let url = base_url.get_ref();
    let found = match (ServiceRoot::find(url, version), version) {
        (Err(_), None) => ServiceRoot::find(url, Some(RestVersion::V1_1)),
        (found, _) => found,
    };
    let root = found.map_err(|error| Mistake::at(base_url.span(), error.to_string()))?;
    check_root(&root.base_url, base_url.span())?;
    Ok(root)
}

fn server_auth(keys: &mut Keys<'_>) -> Result<ServerAuth, Mistake> {
    let place = |keys: &Keys<'_>, key| keys.place_of(key).unwrap_or_else(|| keys.span());
    let of_signature = keys.place_of("signature").or_else(|| keys.place_of("send_version"));
    let of_token = place(keys, "token_url");
    match (keys.take()?, of_signature) {
        (ServerKeys { oauth2: true, .. }, Some(place)) => {
            Err(Mistake::at(place, "with `oauth2 = true` requests carry a token, and none is signed"))
        }
        (ServerKeys { oauth2: true, token_url, .. }, None) => Ok(ServerAuth::OAuth2 { token_url }),
        (ServerKeys { token_url: Some(_), .. }, _) => {
            Err(Mistake::at(of_token, "`token_url` belongs to `oauth2 = true`; signed requests need no token"))
        }
        (ServerKeys { signature, send_version, .. }, _) => {
            Ok(ServerAuth::OAuth1 { signature, with_version: send_version })
        }
    }
}

//! Tokens of districts, and whether they open rosters.

use std::sync::Arc;

use async_trait::async_trait;
use rollcall_adapters_http::{
    Auth, BasicCredentials, HttpError, HttpSession, RedactedUrl, RetryPolicy, Token, TokenAuth, TokenSource,
};
use rollcall_domain::ports::Clock;
use secrecy::SecretString;

use crate::config::{CleverConfig, CleverCredentials};
use crate::error::CleverError;
use crate::wire::{TokenInfo, TokenPage, TokenRow};

/// The scopes without which there is no roster. Terms and courses have none; they come with the sections.
const NEEDED: [&str; 2] = ["read:schools", "read:sections"];

/// Lists of tokens have one page as far as anybody has seen; a server that links in a circle must not hold us.
const MAX_PAGES: usize = 1_000;

/// What an application asks for its tokens.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    session: HttpSession,
}

impl Tokens {
    pub(crate) fn new(
        config: &CleverConfig,
        client_id: &str,
        client_secret: &SecretString,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CleverError> {
        let basic = BasicCredentials { username: client_id.to_owned(), password: client_secret.clone() };
        let settings = config.session(config.oauth_url.clone()).with_auth(Auth::Basic(basic));
        Ok(Self { session: HttpSession::new(settings, clock)? })
    }

    /// The districts that the application is connected to, or the one that is named if it is.
    pub(crate) async fn list(&self, district: Option<&str>) -> Result<Vec<TokenRow>, HttpError> {
        let mut query = vec![("owner_type", "district")];
        // Both parameters: one spelling is in the older documentation, one in the newer.
        query.extend(district.map(|district| ("district", district)));
        let mut next = Some(self.session.url("oauth/tokens", &query));
        let mut rows = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { return Ok(rows) };
            let page = self.session.get_json::<TokenPage>(url.clone()).await?;
            rows.extend(page.value.data);
            let link = page.value.links.into_iter().find(|link| link.rel == "next");
            next = link.and_then(|link| url.join(&link.uri).ok()).filter(|next| *next != url);
        }
        Err(HttpError::credentials(format!(
            "{} links to ever more pages of tokens",
            RedactedUrl::new(&self.session.url("oauth/tokens", &[]))
        )))
    }

    async fn of(&self, district: &str) -> Result<Option<TokenRow>, HttpError> {
        let rows = self.list(Some(district)).await?;
        Ok(rows.into_iter().find(|row| row.owner.id == district && row.is_of_a_district()))
    }
}

impl TokenRow {
    pub(crate) fn is_of_a_district(&self) -> bool {
        self.owner.owner_type.as_deref().is_none_or(|owner| owner == "district")
    }
}

/// The token of one district, fetched with the application's credentials.
struct DistrictToken {
    tokens: Tokens,
    district: String,
}

#[async_trait]
impl TokenSource for DistrictToken {
    async fn fetch(&self) -> Result<Token, HttpError> {
        let row = self.tokens.of(&self.district).await?.ok_or_else(|| {
            HttpError::credentials(CleverError::Disconnected { district: self.district.clone() }.to_string())
        })?;
        Ok(Token { value: row.access_token, valid_for: None })
    }
}

/// How requests for a district's data prove who asks, and what is known of that before the first one.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// By a token that Clever gives for the application's credentials.
    Exchanged { tokens: Tokens, district: String },
    /// By a configured token, about which Clever can be asked.
    Configured { info: HttpSession },
}

impl Access {
    /// The access that the settings describe, and how the session with the API is to use it.
    pub(crate) fn new(config: &CleverConfig, clock: &Arc<dyn Clock>) -> Result<(Self, Auth), CleverError> {
        match &config.credentials {
            CleverCredentials::Application { client_id, client_secret } => {
                let district = config.district.clone().filter(|id| !id.trim().is_empty()).ok_or_else(|| {
                    CleverError::Settings {
                        message: "`district` is missing: the application's credentials open many districts. `rollcall \
                                  sources discover` lists them"
                            .to_owned(),
                    }
                })?;
                let tokens = Tokens::new(config, client_id, client_secret, Arc::clone(clock))?;
                let source = DistrictToken { tokens: tokens.clone(), district: district.clone() };
                let auth = Auth::Custom(Arc::new(TokenAuth::new(source, Arc::clone(clock))));
                Ok((Self::Exchanged { tokens, district }, auth))
            }
            CleverCredentials::DistrictToken(token) => {
                let auth = Auth::Bearer(token.clone());
                let mut settings = config.session(config.oauth_url.clone()).with_auth(auth.clone());
                // It is only for a better word about a token that will not do: not worth waiting for.
                settings.retry = RetryPolicy::never();
                Ok((Self::Configured { info: HttpSession::new(settings, Arc::clone(clock))? }, auth))
            }
        }
    }

    /// Refuses a token that opens no rosters, before anything is asked with it. Gives its scopes if they are known.
    pub(crate) async fn preflight(&self) -> Result<Option<Vec<String>>, CleverError> {
        let scopes = match self {
            Self::Exchanged { tokens, district } => {
                let row = tokens.of(district).await?;
                row.ok_or_else(|| CleverError::Disconnected { district: district.clone() })?.scopes
            }
            Self::Configured { info } => {
                let asked = info.get_json::<TokenInfo>(info.url("oauth/tokeninfo", &[])).await;
                match asked {
                    Ok(answer) => answer.value.scopes,
                    // Some tokens of Clever's own demo districts are known to the API alone: it will say no by itself.
                    Err(error) => {
                        tracing::debug!(error = %error, "Clever does not say what the token is good for");
                        return Ok(None);
                    }
                }
            }
        };
        if login_only(&scopes) {
            return Err(CleverError::LoginOnly { scopes: scopes.join(" ") });
        }
        Ok((!scopes.is_empty()).then_some(scopes))
    }
}

/// Whether a token with these scopes opens logins alone. One of which no scopes are known has to show it.
pub(crate) fn login_only(scopes: &[String]) -> bool {
    !scopes.is_empty() && !NEEDED.iter().all(|needed| scopes.iter().any(|scope| scope == needed))
}

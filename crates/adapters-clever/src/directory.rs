//! The districts that an application is connected to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use rollcall_domain::ports::{Clock, SourceError, Tenant, TenantDirectory};

use crate::check::{LISTS, how_many};
use crate::config::{CleverConfig, CleverCredentials};
use crate::error::CleverError;
use crate::pull::Identity;
use crate::source::CleverSource;
use crate::tokens::{Tokens, login_only};
use crate::wire::TokenRow;

/// How many districts are asked at once. Clever's limits are per district.
const AT_ONCE: usize = 8;

/// The list of the districts that an application is connected to.
#[derive(Clone)]
pub struct CleverDirectory {
    config: CleverConfig,
    tokens: Tokens,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for CleverDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleverDirectory").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A source for each district of an application.
#[derive(Debug, Default)]
pub struct DistrictSources {
    /// The districts that can be synced, in the order of their ids.
    pub sources: Vec<DistrictSource>,
    /// Those that the application is connected to and that cannot be synced.
    pub unusable: Vec<UnusableDistrict>,
    /// Those that were known and that the application is connected to no more. Nothing of them is deleted by that.
    pub vanished: Vec<String>,
}

/// The source of one district.
#[derive(Debug)]
pub struct DistrictSource {
    /// The Clever id of the district.
    pub district: String,
    /// Its source.
    pub source: CleverSource,
}

/// A district that cannot be synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusableDistrict {
    /// The Clever id of the district.
    pub district: String,
    /// Why not, and what to do.
    pub reason: String,
}

impl CleverDirectory {
    /// The directory of an application. The settings are those of every source that it makes; `district` is not looked
    /// at. A token of one district opens no directory.
    pub fn new(config: CleverConfig, clock: Arc<dyn Clock>) -> Result<Self, CleverError> {
        let CleverCredentials::Application { client_id, client_secret } = &config.credentials else {
            return Err(CleverError::Settings {
                message: "a district's token shows its own district alone; to list districts, give the application's \
                          `client_id` and `client_secret`"
                    .to_owned(),
            });
        };
        let tokens = Tokens::new(&config, client_id, client_secret, Arc::clone(&clock))?;
        Ok(Self { config, tokens, clock })
    }

    /// A source of one district, whether the application is connected to it or not.
    pub fn source(&self, district: &str) -> Result<CleverSource, CleverError> {
        let config = CleverConfig { district: Some(district.to_owned()), ..self.config.clone() };
        CleverSource::new(config, Arc::clone(&self.clock))
    }

    /// A source for every district that the application is connected to. `known` are the districts of earlier times; those
    /// of them that are not connected any more are named.
    pub async fn sources(&self, known: &[String]) -> Result<DistrictSources, SourceError> {
        let rows = self.rows().await?;
        let mut found = DistrictSources::default();
        for (district, row) in &rows {
            match unusable(row) {
                None => {
                    let (district, source) = (district.clone(), self.source(district)?);
                    found.sources.push(DistrictSource { district, source });
                }
                Some(reason) => found.unusable.push(UnusableDistrict { district: district.clone(), reason }),
            }
        }
        found.vanished = known.iter().filter(|district| !rows.contains_key(*district)).cloned().collect();
        Ok(found)
    }

    async fn rows(&self) -> Result<BTreeMap<String, TokenRow>, CleverError> {
        let rows = self.tokens.list(None).await?;
        let mut districts: BTreeMap<String, TokenRow> = BTreeMap::new();
        for row in rows.into_iter().filter(TokenRow::is_of_a_district) {
            match districts.get(&row.owner.id) {
                // Of two tokens for one district, the one that opens more.
                Some(other) if unusable(other).is_none() => {}
                _ => {
                    districts.insert(row.owner.id.clone(), row);
                }
            }
        }
        Ok(districts)
    }

    /// Looks at a district: how it stands, and what it shares.
    async fn tenant(&self, district: String, row: TokenRow) -> Tenant {
        let mut tenant =
            Tenant { name: district.clone(), id: district, unusable: unusable(&row), details: BTreeMap::new() };
        tenant.details.insert("scopes".to_owned(), row.scopes.join(" "));
        if let Err(error) = self.describe(row, &mut tenant).await {
            // One district in trouble hides no other.
            tenant.unusable.get_or_insert(error.to_string());
        }
        tenant
    }

    async fn describe(&self, row: TokenRow, tenant: &mut Tenant) -> Result<(), CleverError> {
        let config = CleverConfig {
            credentials: CleverCredentials::DistrictToken(row.access_token),
            district: Some(tenant.id.clone()),
            ..self.config.clone()
        };
        let source = CleverSource::new(config, Arc::clone(&self.clock))?;
        let identity = Identity::ask(&source.client, Some(&tenant.id)).await?;
        identity.name().clone_into(&mut tenant.name);
        let district = &identity.district;
        for (name, value) in
            [("state", &district.state), ("sis", &district.sis_type), ("last sync", &district.last_sync)]
        {
            if let Some(value) = value.as_deref() {
                tenant.details.insert(name.to_owned(), value.to_owned());
            }
        }
        match identity.standstill() {
            // It can be synced, and changes nothing for the time being.
            Ok(note) => tenant.details.extend(note.map(|note| ("note".to_owned(), note))),
            Err(error) => {
                tenant.unusable.get_or_insert(error.to_string());
            }
        }
        if tenant.unusable.is_none() {
            for list in LISTS {
                let found = how_many(&source.client, list).await?;
                tenant.details.insert(list.to_owned(), found);
            }
        }
        Ok(())
    }
}

/// Why a district cannot be synced with its token, if so.
fn unusable(row: &TokenRow) -> Option<String> {
    login_only(&row.scopes).then(|| CleverError::LoginOnly { scopes: row.scopes.join(" ") }.to_string())
}

#[async_trait]
impl TenantDirectory for CleverDirectory {
    async fn tenants(&self) -> Result<Vec<Tenant>, SourceError> {
        let rows = self.rows().await?;
        let looking = rows.into_iter().map(|(district, row)| self.tenant(district, row));
        Ok(stream::iter(looking).buffered(AT_ONCE).collect().await)
    }
}

//! `kind = "oneroster-rest"`

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use rollcall_adapters_oneroster::{RestVersion, ServiceRoot};
use rollcall_domain::Kind;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use toml::Spanned;

use super::auth::AuthSettings;
use super::duration::Length;
use super::http::{HttpSettings, check_root};
use super::keys::Keys;
use super::mistake::Mistake;

/// What a source over OneRoster REST can be told.
#[derive(Debug, Clone)]
pub(crate) struct RestSettings {
    /// Where the service is, and its version.
    pub(crate) root: ServiceRoot,
    /// How it is asked.
    pub(crate) auth: AuthSettings,
    /// How hard it may be pressed.
    pub(crate) http: HttpSettings,
    /// What is asked.
    pub(crate) asking: Asking,
}

/// What a service is asked for.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Asking {
    /// How many records one page may have.
    pub(crate) page_size: Option<NonZeroU32>,
    /// How often everything is read.
    pub(crate) full_every: Option<Length>,
    /// How far an incremental pull reaches back behind the last one.
    pub(crate) overlap: Option<Length>,
    /// Conditions by kind.
    #[serde(default)]
    pub(crate) filter: Filters,
    /// The schools to read; all if there are none.
    #[serde(default)]
    pub(crate) schools: Vec<String>,
}

/// Where a service is.
#[derive(serde::Deserialize)]
struct Place {
    base_url: Spanned<String>,
    version: Option<RestVersion>,
}

/// Conditions by kind: one for all kinds, or a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters(pub(crate) BTreeMap<Kind, String>);

impl RestSettings {
    /// Takes the keys of such a source.
    pub(super) fn take(keys: &mut Keys<'_>) -> Result<Self, Mistake> {
        let place: Place = keys.take()?;
        let root = ServiceRoot::find(place.base_url.get_ref(), place.version)
            .map_err(|error| Mistake::at(place.base_url.span(), error.to_string()))?;
        check_root(&root.base_url, place.base_url.span())?;
        Ok(Self { root, http: keys.take()?, asking: keys.take()?, auth: AuthSettings::take(keys)? })
    }
}

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FiltersVisitor)
    }
}

struct FiltersVisitor;

impl<'de> Visitor<'de> for FiltersVisitor {
    type Value = Filters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a filter such as \"status='active'\", or a table of them by kind")
    }

    fn visit_str<E: Error>(self, filter: &str) -> Result<Filters, E> {
        Ok(Filters(Kind::ALL.into_iter().map(|kind| (kind, filter.to_owned())).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Filters, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(Filters)
    }
}

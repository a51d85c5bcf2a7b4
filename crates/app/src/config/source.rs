//! `[[source]]`: where rosters come from.

use std::fmt::{self, Write as _};

use rollcall_adapters_oneroster::{EndDates, SlashDates};
use rollcall_domain::sync::{Guards, Totals};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::DeValue;

use super::classlink::{self, ClassLinkSettings};
use super::clever::{self, CleverSettings};
use super::csv::CsvSettings;
use super::keys::Keys;
use super::mistake::Mistake;
use super::rest::RestSettings;
use super::tenants::{TenantKeys, Tenants};
use crate::failure::Failure;

/// A sort of source: its word, and how its own keys are read.
type Sort = (&'static str, fn(&mut Keys<'_>) -> Result<Settings, Mistake>);

/// The sorts of sources that this version knows.
const SORTS: [Sort; 4] = [
    ("oneroster-csv", |keys| Ok(Settings::Csv(keys.take()?))),
    ("oneroster-rest", |keys| Ok(Settings::Rest(Box::new(RestSettings::take(keys)?)))),
    ("clever", |keys| Ok(Settings::Clever(Box::new(CleverSettings::take(keys)?)))),
    ("classlink", |keys| Ok(Settings::ClassLink(Box::new(ClassLinkSettings::take(keys)?)))),
];

/// Keys that belong to commands of later versions.
const NOT_YET: [&str; 2] = ["schedule", "timezone"];

/// A configured source.
#[derive(Debug, Clone)]
pub(crate) struct SourceConfig {
    /// The word for its sort.
    pub(crate) kind: &'static str,
    /// What every source can be told.
    pub(crate) common: Common,
    /// What only sources of its sort can be told.
    pub(crate) settings: Settings,
    written: Written,
}

/// A source as it is in the file: its keys, and its place.
#[derive(Clone)]
struct Written {
    keys: toml::Table,
    place: String,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Written").finish_non_exhaustive()
    }
}

impl SourceConfig {
    /// The name that commands and the store know it by.
    pub(crate) fn name(&self) -> &str {
        &self.common.name
    }

    /// What is said where a key is missing that its use needs.
    pub(crate) fn lacks(&self, key: &str, hint: String) -> Failure {
        let message =
            format!("{}: the configuration has no `{key}` for the source `{}`", self.written.place, self.name());
        Failure::usage("config.invalid", message).hint(hint)
    }

    /// Whether it stands for every tenant that its vendor knows, each of which is a source of its own.
    pub(crate) fn is_for_all_tenants(&self) -> bool {
        match &self.settings {
            Settings::Csv(_) | Settings::Rest(_) => false,
            Settings::Clever(clever) => clever.districts == Tenants::All,
            Settings::ClassLink(classlink) => classlink.tenants == Tenants::All,
        }
    }

    /// The name of the source of one tenant.
    pub(crate) fn tenant_name(&self, tenant: &str) -> String {
        format!("{}/{tenant}", self.name())
    }

    /// Which tenant a source's name means, if this source stands for all of them.
    pub(crate) fn tenant_in<'n>(&self, name: &'n str) -> Option<&'n str> {
        let tenant = name.strip_prefix(self.name())?.strip_prefix('/')?;
        (self.is_for_all_tenants() && !tenant.is_empty()).then_some(tenant)
    }

    /// The source of one tenant, if this source stands for all of them.
    pub(super) fn of_tenant(&self, tenant: &str) -> Option<Self> {
        if !self.is_for_all_tenants() {
            return None;
        }
        let mut source = self.clone();
        source.common.name = self.tenant_name(tenant);
        let tenants = match &mut source.settings {
            Settings::Csv(_) | Settings::Rest(_) => return None,
            Settings::Clever(clever) => &mut clever.districts,
            Settings::ClassLink(classlink) => &mut classlink.tenants,
        };
        *tenants = Tenants::One(tenant.to_owned());
        Some(source)
    }

    /// The `[[source]]` of one tenant, with everything else as this source has it; nothing if there are no tenants in
    /// sources of this sort.
    pub(crate) fn block_of_tenant(&self, tenant: &str) -> Option<String> {
        let keys = self.settings.tenant_keys()?;
        let text = |value: &str| toml::Value::from(value).to_string();
        let mut block = format!(
            "[[source]]\nname = {}\nkind = {}\n{} = {}\n",
            text(&self.tenant_name(tenant)),
            text(self.kind),
            keys.one,
            text(tenant),
        );
        let own = ["name", "kind", keys.one, keys.all];
        for (key, value) in self.written.keys.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            let _ = writeln!(block, "{key} = {value}");
        }
        Some(block)
    }
}

/// What only sources of one sort can be told.
#[derive(Debug, Clone)]
pub(crate) enum Settings {
    /// OneRoster CSV packages.
    Csv(CsvSettings),
    /// OneRoster REST.
    Rest(Box<RestSettings>),
    /// Clever.
    Clever(Box<CleverSettings>),
    /// ClassLink.
    ClassLink(Box<ClassLinkSettings>),
}

impl Settings {
    /// How such a source names its tenants, if its vendor has many.
    fn tenant_keys(&self) -> Option<TenantKeys> {
        match self {
            Self::Csv(_) | Self::Rest(_) => None,
            Self::Clever(_) => Some(clever::DISTRICTS),
            Self::ClassLink(_) => Some(classlink::TENANTS),
        }
    }
}

/// What every source can be told.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Common {
    name: String,
    /// Whether demographics are stored.
    #[serde(default)]
    pub(crate) demographics: bool,
    /// How dates with slashes are read.
    pub(crate) slash_dates: Option<SlashDates>,
    /// What an end date means.
    #[serde(default)]
    pub(crate) end_dates: EndDates,
    /// What to make of announced totals.
    #[serde(default, with = "TotalsWord")]
    pub(crate) totals: Totals,
    /// How much one run may change.
    #[serde(default)]
    pub(crate) guards: Guards,
}

/// The words for [`Totals`].
#[derive(Deserialize)]
#[serde(remote = "Totals", rename_all = "lowercase")]
enum TotalsWord {
    Trust,
    Ignore,
}

/// Reads one `[[source]]`.
pub(super) fn read(table: Spanned<DeValue<'_>>, place: String) -> Result<SourceConfig, Mistake> {
    let written = table.clone();
    let mut keys = Keys::of(table, "a source is a table; write `[[source]]` and its keys below")?;
    for key in NOT_YET {
        if let Some(place) = keys.place_of(key) {
            let message = format!(
                "`{key}` belongs to `rollcall serve`, which this version does not have; remove the key and let cron call \
                 `rollcall sync`"
            );
            return Err(Mistake::at(place, message));
        }
    }
    let (kind, settings) = keys.choice("kind", "a source", &SORTS)?;
    let of_name = keys.place_of("name").unwrap_or_else(|| keys.span());
    let common: Common = keys.take()?;
    check_source_name(&common.name).map_err(|message| Mistake::at(of_name, message))?;
    let guards = &common.guards;
    if guards.delete_percent > 100 || guards.update_percent > 100 || guards.reject_percent > 100 {
        return Err(Mistake::at(keys.span(), "`guards`: a percentage is at most 100"));
    }
    let settings = settings(&mut keys)?;
    keys.end()?;
    let written = Written { keys: toml::Table::deserialize(written.into_deserializer())?, place };
    Ok(SourceConfig { kind, common, settings, written })
}

/// A source's name stands in command lines, listings and logs: it has no line breaks, and can be told from its
/// neighbours.
pub(crate) fn check_source_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a source's name cannot be blank".to_owned());
    }
    if name.trim() != name || name.chars().any(char::is_control) || name.chars().count() > 100 {
        return Err("a source's name has at most 100 characters, no line breaks, and no spaces at its ends".to_owned());
    }
    Ok(())
}

//! `[[source]]`: where rosters come from.

use rollcall_adapters_oneroster::{EndDates, SlashDates};
use rollcall_domain::sync::{Guards, Totals};
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::csv::CsvSettings;
use super::keys::Keys;
use super::mistake::Mistake;
use super::rest::RestSettings;

/// A sort of source: its word, and how its own keys are read.
type Sort = (&'static str, fn(&mut Keys<'_>) -> Result<Settings, Mistake>);

/// The sorts of sources that this version knows.
const SORTS: [Sort; 2] = [
    ("oneroster-csv", |keys| Ok(Settings::Csv(keys.take()?))),
    ("oneroster-rest", |keys| Ok(Settings::Rest(Box::new(RestSettings::take(keys)?)))),
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
}

impl SourceConfig {
    /// The name that commands and the store know it by.
    pub(crate) fn name(&self) -> &str {
        &self.common.name
    }
}

/// What only sources of one sort can be told.
#[derive(Debug, Clone)]
pub(crate) enum Settings {
    /// OneRoster CSV packages.
    Csv(CsvSettings),
    /// OneRoster REST.
    Rest(Box<RestSettings>),
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
pub(super) fn read(table: Spanned<DeValue<'_>>) -> Result<SourceConfig, Mistake> {
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
    let place = keys.place_of("name").unwrap_or_else(|| keys.span());
    let common: Common = keys.take()?;
    check_source_name(&common.name).map_err(|message| Mistake::at(place, message))?;
    let guards = &common.guards;
    if guards.delete_percent > 100 || guards.update_percent > 100 || guards.reject_percent > 100 {
        return Err(Mistake::at(keys.span(), "`guards`: a percentage is at most 100"));
    }
    let settings = settings(&mut keys)?;
    keys.end()?;
    Ok(SourceConfig { kind, common, settings })
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

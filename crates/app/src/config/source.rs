//! `[[source]]`: where rosters come from.

use std::path::PathBuf;

use rollcall_adapters_oneroster::{EndDates, PackageMode, SlashDates, TextEncoding};
use rollcall_domain::sync::{Guards, Totals};
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::DeValue;

use super::mistake::{Mistake, nearest};

/// The sorts of sources that this version knows.
const KINDS: [&str; 1] = ["oneroster-csv"];

/// Keys that belong to commands of later versions.
const NOT_YET: [&str; 2] = ["schedule", "timezone"];

/// A configured source.
#[derive(Debug, Clone)]
pub(crate) enum SourceConfig {
    /// OneRoster CSV packages.
    Csv(CsvSource),
}

impl SourceConfig {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Csv(csv) => &csv.name,
        }
    }

    /// The word for its sort.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Csv(_) => KINDS[0],
        }
    }

    /// Whether demographics are stored.
    pub(crate) fn demographics(&self) -> bool {
        match self {
            Self::Csv(csv) => csv.demographics,
        }
    }
}

/// A source of OneRoster CSV packages.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CsvSource {
    /// The name that commands and the store know it by.
    pub(crate) name: String,
    #[expect(dead_code, reason = "it chose this struct")]
    kind: String,
    /// A folder of CSV files, a zip, or a folder into which zips are dropped.
    pub(crate) path: Option<PathBuf>,
    /// Whether files hold everything or only changes, whatever the manifest says.
    pub(crate) mode: Option<PackageMode>,
    /// The encoding of the files.
    #[serde(default)]
    pub(crate) encoding: TextEncoding,
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
    let span = table.span();
    let DeValue::Table(keys) = table.get_ref() else {
        return Err(Mistake::at(span, "a source is a table; write `[[source]]` and its keys below"));
    };
    for (key, _) in keys {
        if NOT_YET.contains(&key.get_ref().as_ref()) {
            let message = format!(
                "`{}` belongs to `rollcall serve`, which this version does not have; remove the key and let cron call \
                 `rollcall import`",
                key.get_ref()
            );
            return Err(Mistake::at(key.span(), message));
        }
    }
    let Some(kind) = keys.get("kind") else {
        return Err(Mistake::at(span, format!("a source needs a `kind`; {}", nearest("", &KINDS))));
    };
    match kind.get_ref().as_str() {
        Some("oneroster-csv") => {}
        Some(unknown) => {
            let message = format!("unknown kind of source `{unknown}`; {}", nearest(unknown, &KINDS));
            return Err(Mistake::at(kind.span(), message));
        }
        None => return Err(Mistake::at(kind.span(), "`kind` is a text")),
    }
    let name = keys.get("name").map(|name| (name.span(), name.get_ref().as_str().unwrap_or_default().to_owned()));
    let source = CsvSource::deserialize(table.into_deserializer())?;
    if let Some((span, name)) = name {
        check_source_name(&name).map_err(|message| Mistake::at(span, message))?;
    }
    if source.guards.delete_percent > 100 || source.guards.update_percent > 100 || source.guards.reject_percent > 100 {
        return Err(Mistake::at(span, "`guards`: a percentage is at most 100"));
    }
    Ok(SourceConfig::Csv(source))
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

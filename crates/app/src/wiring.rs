//! Where sources, stores and settings come together.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rollcall_adapters_oneroster::CsvConfig;
use rollcall_domain::sync::SyncOptions;
use rollcall_persistence::Database;
use secrecy::SecretString;

use crate::cli::{Import, Reading};
use crate::config::SourceConfig;
use crate::documents;
use crate::failure::Failure;

/// Opens the store and brings its tables up to date.
pub(crate) async fn database(url: &SecretString) -> Result<Database> {
    Ok(rollcall_persistence::open(url).await?)
}

/// Refuses a path that cannot be there before anything is written about it.
pub(crate) fn check_path(path: &Path) -> Result<()> {
    let opened = fs::metadata(path)
        .and_then(|found| if found.is_dir() { fs::read_dir(path).map(drop) } else { fs::File::open(path).map(drop) });
    opened.map_err(|error| {
        Failure::new("package.unreadable", format!("cannot read `{}`: {error}", path.display()))
            .hint("give a folder of CSV files, a `.zip`, or a folder into which zips are dropped")
            .into()
    })
}

/// The settings of an import: the command line before the configuration before the defaults.
pub(crate) fn import(configured: Option<&SourceConfig>, arguments: &Import) -> (CsvConfig, SyncOptions) {
    let mut csv = CsvConfig::new(&arguments.path);
    let mut options = SyncOptions {
        dry_run: arguments.dry_run,
        allow_mass_change: arguments.allow_mass_change,
        demographics: arguments.with_demographics,
        ..SyncOptions::default()
    };
    if let Some(SourceConfig::Csv(source)) = configured {
        csv.mode = source.mode;
        csv.slash_dates = source.slash_dates;
        csv.end_dates = source.end_dates;
        csv.encoding = source.encoding;
        options.demographics |= source.demographics;
        options.totals = source.totals;
        options.guards = source.guards;
    }
    override_reading(&mut csv, arguments.reading);
    (csv, options)
}

/// The settings of a validation.
pub(crate) fn validation(path: &Path, reading: Reading) -> (CsvConfig, SyncOptions) {
    let mut csv = CsvConfig::new(path);
    override_reading(&mut csv, reading);
    (csv, SyncOptions { dry_run: true, demographics: true, ..SyncOptions::default() })
}

fn override_reading(csv: &mut CsvConfig, reading: Reading) {
    if let Some(mode) = reading.mode {
        csv.mode = Some(mode.into());
    }
    if let Some(order) = reading.slash_dates {
        csv.slash_dates = Some(order.into());
    }
}

/// Which migrations a database has had.
pub(crate) async fn migrations(url: &SecretString) -> Result<documents::Database> {
    let status = rollcall_persistence::status(url).await?;
    Ok(documents::Database { database: status.database, applied: status.applied, pending: status.pending })
}

//! Where sources, stores and settings come together.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rollcall_adapters_oneroster::CsvConfig;
use rollcall_domain::ports::RosterStore;
use rollcall_domain::sync::SyncOptions;
use rollcall_persistence::{Access, Database, MigrationStatus, OpenOptions};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::{Import, Reading};
use crate::config::SourceConfig;
use crate::documents;
use crate::failure::Failure;

/// Opens the store; for writing its tables are brought up to date.
pub(crate) async fn store(url: &SecretString, access: Access) -> Result<Arc<dyn RosterStore>> {
    Ok(rollcall_persistence::open(url, OpenOptions { access }).await?)
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

/// Where an import reads: the command line before the configuration.
pub(crate) fn import_path<'a>(configured: Option<&'a SourceConfig>, arguments: &'a Import) -> Result<&'a Path> {
    let of_source = match configured {
        Some(SourceConfig::Csv(source)) => source.path.as_deref(),
        None => None,
    };
    arguments.path.as_deref().or(of_source).ok_or_else(|| {
        let message = format!("no path is given, and the configuration has none for the source `{}`", arguments.source);
        Failure::new("usage", message)
            .hint("give a folder of CSV files, a `.zip`, or a folder into which zips are dropped")
            .into()
    })
}

/// The settings of an import: the command line before the configuration before the defaults.
pub(crate) fn import(path: &Path, configured: Option<&SourceConfig>, arguments: &Import) -> (CsvConfig, SyncOptions) {
    let mut csv = CsvConfig::new(path);
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

/// Which migrations a database has had; with `migrate`, after those that were missing.
pub(crate) async fn migrations(url: &SecretString, migrate: bool) -> Result<documents::Migrations> {
    let access = if migrate { Access::Write } else { Access::Read };
    let database = Database::connect(url, access).await?;
    if migrate {
        database.migrate().await?;
    }
    let (applied, pending) = database.migration_status().await?.into_iter().partition(|migration| migration.applied);
    let names = |migrations: Vec<MigrationStatus>| migrations.into_iter().map(|migration| migration.name).collect();
    Ok(documents::Migrations {
        database: address(url.expose_secret()),
        applied: names(applied),
        pending: names(pending),
    })
}

/// The address of a database without its user, its password and its parameters.
fn address(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    if scheme == "sqlite" {
        return url.to_owned();
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_no_credentials() {
        assert_eq!(address("sqlite://a@b.db"), "sqlite://a@b.db");
        assert_eq!(address("postgres://u:p@ss@host:5432/db?password=x"), "postgres://host:5432/db");
        assert_eq!(address("postgres:///db?host=/run/postgresql"), "postgres:///db");
    }
}

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

use crate::cli::{Import, Reading, Validate};
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

/// Where a package is read: the command line before the configuration. The second value says whether the configuration
/// has packages come there time and again.
pub(crate) fn package_path<'a>(
    configured: Option<&'a SourceConfig>,
    given: Option<&'a Path>,
    name: &str,
) -> Result<(&'a Path, bool)> {
    let of_source = match configured {
        Some(SourceConfig::Csv(source)) => source.path.as_deref(),
        None => None,
    };
    let path = given.or(of_source).ok_or_else(|| {
        let message = format!("no path is given, and the configuration has none for the source `{name}`");
        Failure::usage("usage", message)
            .hint("give a folder of CSV files, a `.zip`, or a folder into which zips are dropped")
    })?;
    Ok((path, of_source == Some(path)))
}

/// The settings of an import: the command line before the configuration before the defaults.
pub(crate) fn import(configured: Option<&SourceConfig>, arguments: &Import) -> Result<(CsvConfig, SyncOptions)> {
    let (path, recurring) = package_path(configured, arguments.path.as_deref(), &arguments.source)?;
    let csv = csv_config(path, recurring, configured, arguments.reading);
    let mut options = SyncOptions {
        dry_run: arguments.dry_run,
        allow_mass_change: arguments.allow_mass_change,
        demographics: arguments.with_demographics,
        ..SyncOptions::default()
    };
    if let Some(SourceConfig::Csv(source)) = configured {
        options.demographics |= source.demographics;
        options.totals = source.totals;
        options.guards = source.guards;
    }
    Ok((csv, options))
}

/// The settings of a validation.
pub(crate) fn validation(configured: Option<&SourceConfig>, arguments: &Validate) -> Result<(CsvConfig, SyncOptions)> {
    let name = arguments.source.as_deref().unwrap_or_default();
    let (path, recurring) = package_path(configured, arguments.path.as_deref(), name)?;
    let csv = csv_config(path, recurring, configured, arguments.reading);
    Ok((csv, SyncOptions { dry_run: true, demographics: true, ..SyncOptions::default() }))
}

fn csv_config(path: &Path, recurring: bool, configured: Option<&SourceConfig>, reading: Reading) -> CsvConfig {
    let mut csv = CsvConfig { recurring, ..CsvConfig::new(path) };
    if let Some(SourceConfig::Csv(source)) = configured {
        csv.mode = source.mode;
        csv.slash_dates = source.slash_dates;
        csv.end_dates = source.end_dates;
        csv.encoding = source.encoding;
    }
    csv.mode = reading.mode.map(Into::into).or(csv.mode);
    csv.slash_dates = reading.slash_dates.map(Into::into).or(csv.slash_dates);
    csv.encoding = reading.encoding.map_or(csv.encoding, Into::into);
    csv
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

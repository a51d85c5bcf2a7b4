//! Where sources, stores and settings come together.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rollcall_adapters_classlink::{ClassLinkAccess, ClassLinkConfig, ClassLinkDirectory, ClassLinkSource};
use rollcall_adapters_clever::{CleverConfig, CleverCredentials, CleverDirectory, CleverSource};
use rollcall_adapters_http::{HttpConfig, HttpSession};
use rollcall_adapters_oneroster::{CsvConfig, CsvSource, RestConfig, RestSource};
use rollcall_domain::ports::{Clock, RosterSource, RosterStore, SourceError, TenantDirectory};
use rollcall_domain::sync::SyncOptions;
use rollcall_persistence::{Access, Database, MigrationStatus, OpenOptions};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::fs;

use crate::cli::{Import, Reading, Validate};
use crate::clock::SystemClock;
use crate::config::{
    Asking, ClassLinkPlace, ClassLinkSettings, CleverPlace, CleverSettings, Common, CsvSettings, RestSettings,
    Settings, SourceConfig, Tenants,
};
use crate::documents;
use crate::failure::Failure;

/// Opens the store; for writing its tables are brought up to date.
pub(crate) async fn store(url: &SecretString, access: Access) -> Result<Arc<dyn RosterStore>> {
    Ok(rollcall_persistence::open(url, OpenOptions { access }).await?)
}

/// A source that is ready to be synced or checked, as it is configured.
///
/// This is the one place that knows every sort of source.
pub(crate) async fn source(config: &SourceConfig) -> Result<Box<dyn RosterSource>> {
    match &config.settings {
        Settings::Csv(settings) => {
            if settings.path.is_none() {
                let name = config.name();
                let hint = format!("add one, or bring packages in with `rollcall import PATH --source {name}`");
                return Err(config.lacks("path", hint).into());
            }
            let csv = csv_config(config.name(), Some((&config.common, settings)), None, Reading::default())?;
            check_path(&csv.path).await?;
            Ok(Box::new(CsvSource::new(csv, Arc::new(SystemClock))))
        }
        Settings::Rest(settings) => Ok(Box::new(rest_source(&config.common, settings).await?)),
        Settings::Clever(settings) => Ok(Box::new(clever_source(config, settings).await?)),
        Settings::ClassLink(settings) => Ok(Box::new(classlink_source(config, settings).await?)),
    }
}

/// The sources of all tenants that a configured source stands for.
pub(crate) struct TenantSources {
    /// Those that can be synced: the tenant and its source.
    pub(crate) sources: Vec<(String, Box<dyn RosterSource>)>,
    /// Tenants that the vendor names and that cannot be synced, and why not.
    pub(crate) unusable: Vec<(String, String)>,
    /// Tenants that were known and that the vendor names no more.
    pub(crate) vanished: Vec<String>,
}

/// Asks the vendor which tenants there are, and makes a source of each. `known` are those of earlier times.
pub(crate) async fn tenant_sources(config: &SourceConfig, known: &[String]) -> Result<TenantSources> {
    match &config.settings {
        Settings::Csv(_) | Settings::Rest(_) => Err(no_directory(config).into()),
        Settings::Clever(settings) => {
            let found = clever_directory(&config.common, settings).await?.sources(known).await?;
            let boxed = |source: CleverSource| -> Box<dyn RosterSource> { Box::new(source) };
            Ok(TenantSources {
                sources: found.sources.into_iter().map(|one| (one.district, boxed(one.source))).collect(),
                unusable: found.unusable.into_iter().map(|one| (one.district, one.reason)).collect(),
                vanished: found.vanished,
            })
        }
        Settings::ClassLink(settings) => {
            let listed = classlink_directory(&config.common, settings).await?.sources().await?;
            let is_gone = |tenant: &&String| !listed.iter().any(|one| one.tenant == **tenant);
            let vanished = known.iter().filter(is_gone).cloned().collect();
            let mut found = TenantSources { sources: Vec::new(), unusable: Vec::new(), vanished };
            for one in listed {
                match one.source {
                    Ok(source) => found.sources.push((one.tenant, Box::new(source))),
                    Err(error) => found.unusable.push((one.tenant, error.to_string())),
                }
            }
            Ok(found)
        }
    }
}

/// The vendor's list of tenants, for a source whose vendor has one.
pub(crate) async fn directory(config: &SourceConfig) -> Result<Box<dyn TenantDirectory>> {
    match &config.settings {
        Settings::Csv(_) | Settings::Rest(_) => Err(no_directory(config).into()),
        Settings::Clever(settings) => Ok(Box::new(clever_directory(&config.common, settings).await?)),
        Settings::ClassLink(settings) => Ok(Box::new(classlink_directory(&config.common, settings).await?)),
    }
}

fn no_directory(config: &SourceConfig) -> Failure {
    let (name, kind) = (config.name(), config.kind);
    let message = format!("`{name}` is of the kind `{kind}`, which has one roster and no list of districts or tenants");
    Failure::usage("source.no_directory", message).hint(format!("`rollcall sources check {name}` tries it"))
}

async fn clever_source(config: &SourceConfig, settings: &CleverSettings) -> Result<CleverSource> {
    let mut clever = clever_config(&config.common, settings).await?;
    if let Tenants::One(district) = &settings.districts {
        clever.district = Some(district.clone());
    }
    if clever.district.is_none() && matches!(settings.credentials, CleverPlace::Application { .. }) {
        let name = config.name();
        let hint = format!(
            "`rollcall sources discover {name}` lists those that the application is connected to; `districts = \"all\"` \
             makes a source of each"
        );
        return Err(config.lacks("district", hint).into());
    }
    Ok(CleverSource::new(clever, Arc::new(SystemClock)).map_err(SourceError::from)?)
}

async fn clever_directory(common: &Common, settings: &CleverSettings) -> Result<CleverDirectory> {
    if let CleverPlace::DistrictToken(_) = settings.credentials {
        let message = "a district's token shows its own district alone";
        let hint = "to list districts, give the application's `client_id` and `client_secret`";
        return Err(Failure::usage("source.no_directory", message).hint(hint).into());
    }
    let clever = clever_config(common, settings).await?;
    Ok(CleverDirectory::new(clever, Arc::new(SystemClock)).map_err(SourceError::from)?)
}

/// The settings that all districts have in common.
async fn clever_config(common: &Common, settings: &CleverSettings) -> Result<CleverConfig> {
    let CleverSettings { credentials, districts: _, address, http, asking } = settings;
    let credentials = match credentials {
        CleverPlace::Application { client_id, client_secret } => {
            CleverCredentials::Application { client_id: client_id.clone(), client_secret: client_secret.fetch().await? }
        }
        CleverPlace::DistrictToken(token) => CleverCredentials::DistrictToken(token.fetch().await?),
    };
    let mut clever = CleverConfig::new(credentials, None);
    clever.api_url = address.api_url.clone().unwrap_or(clever.api_url);
    clever.oauth_url = address.oauth_url.clone().unwrap_or(clever.oauth_url);
    clever.api_version = address.api_version;
    clever.page_size = asking.page_size.map_or(clever.page_size, NonZeroU32::get);
    clever.full_every = asking.full_every.map_or(clever.full_every, |length| length.0);
    clever.totals = common.totals;
    http.apply_to_clever(&mut clever);
    Ok(clever)
}

async fn rest_source(common: &Common, settings: &RestSettings) -> Result<RestSource> {
    let RestSettings { root, auth, http, asking } = settings;
    let rest = asked(RestConfig::new(root.version, auth.name()), common, asking);
    let auth = auth.open(root.version.scopes(common.demographics)).await?;
    let http = http.apply(HttpConfig::new(root.base_url.clone())).with_auth(auth);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let session = HttpSession::new(http, Arc::clone(&clock)).map_err(SourceError::from)?;
    Ok(RestSource::new(rest, session, clock))
}

/// Puts what the configuration asks of a OneRoster service in the place of what the adapter has.
fn asked(mut rest: RestConfig, common: &Common, asking: &Asking) -> RestConfig {
    rest.page_size = asking.page_size.map_or(rest.page_size, NonZeroU32::get);
    rest.full_every = asking.full_every.map_or(rest.full_every, |length| length.0);
    rest.overlap = asking.overlap.map_or(rest.overlap, |length| length.0);
    rest.filters.clone_from(&asking.filter.0);
    rest.schools.clone_from(&asking.schools);
    rest.totals = common.totals;
    rest.slash_dates = common.slash_dates;
    rest.end_dates = common.end_dates;
    rest
}

async fn classlink_source(config: &SourceConfig, settings: &ClassLinkSettings) -> Result<ClassLinkSource> {
    let mut classlink = classlink_config(&config.common, settings).await?;
    if let Tenants::One(tenant) = &settings.tenants {
        classlink.tenant = Some(tenant.clone());
    }
    if classlink.tenant.is_none() && matches!(settings.access, ClassLinkPlace::Partner { .. }) {
        let name = config.name();
        let hint = format!(
            "`rollcall sources discover {name}` lists those that the partner's key opens; `tenants = \"all\"` makes a source \
             of each"
        );
        return Err(config.lacks("tenant", hint).into());
    }
    Ok(ClassLinkSource::new(classlink, Arc::new(SystemClock)).map_err(SourceError::from)?)
}

async fn classlink_directory(common: &Common, settings: &ClassLinkSettings) -> Result<ClassLinkDirectory> {
    if !matches!(settings.access, ClassLinkPlace::Partner { .. }) {
        let message = "what is configured opens one tenant alone";
        let hint = "to list tenants, give the `partner_key`";
        return Err(Failure::usage("source.no_directory", message).hint(hint).into());
    }
    let classlink = classlink_config(common, settings).await?;
    Ok(ClassLinkDirectory::new(classlink, Arc::new(SystemClock)).map_err(SourceError::from)?)
}

/// The settings that all tenants have in common.
async fn classlink_config(common: &Common, settings: &ClassLinkSettings) -> Result<ClassLinkConfig> {
    let ClassLinkSettings { access, tenants: _, proxy_url, version, server_auth, http, asking } = settings;
    let (access, credential) = match access {
        ClassLinkPlace::Partner { partner_key, mode } => {
            let access = ClassLinkAccess::Partner { partner_key: partner_key.fetch().await?, mode: *mode };
            (access, partner_key.to_string())
        }
        ClassLinkPlace::Bearer { application_id, bearer } => {
            let application_id = application_id.clone();
            (ClassLinkAccess::Bearer { application_id, bearer: bearer.fetch().await? }, bearer.to_string())
        }
        ClassLinkPlace::Consumer { base_url, consumer_key, consumer_secret } => {
            let access = ClassLinkAccess::Consumer {
                base_url: base_url.clone(),
                consumer_key: consumer_key.clone(),
                consumer_secret: consumer_secret.fetch().await?,
            };
            (access, consumer_key.clone())
        }
    };
    let mut classlink = ClassLinkConfig::new(access, credential);
    classlink.proxy_url = proxy_url.clone().unwrap_or(classlink.proxy_url);
    classlink.server_auth = server_auth.clone();
    classlink.http = http.apply(classlink.http);
    classlink.roster.version = *version;
    classlink.roster = asked(classlink.roster, common, asking);
    Ok(classlink)
}

/// Whether the configuration says where a source is.
pub(crate) fn can_be_pulled(config: &SourceConfig) -> bool {
    match &config.settings {
        Settings::Csv(settings) => settings.path.is_some(),
        Settings::Rest(_) | Settings::Clever(_) | Settings::ClassLink(_) => true,
    }
}

/// How a configured source is synced.
pub(crate) fn sync_options(common: &Common) -> SyncOptions {
    SyncOptions {
        demographics: common.demographics,
        guards: common.guards,
        totals: common.totals,
        ..SyncOptions::default()
    }
}

/// A source of packages for one import: the command line before the configuration before the defaults.
pub(crate) async fn import(configured: Option<&SourceConfig>, arguments: &Import) -> Result<(CsvSource, SyncOptions)> {
    let csv = csv_config(&arguments.source, csv_settings(configured), arguments.path.as_deref(), arguments.reading)?;
    check_path(&csv.path).await?;
    let mut options = configured.map_or_else(SyncOptions::default, |source| sync_options(&source.common));
    options.dry_run = arguments.dry_run;
    options.allow_mass_change = arguments.allow_mass_change;
    options.demographics |= arguments.with_demographics;
    Ok((CsvSource::new(csv, Arc::new(SystemClock)), options))
}

/// A source of packages for a validation, by the same rules.
pub(crate) async fn validation(
    configured: Option<&SourceConfig>,
    arguments: &Validate,
) -> Result<(CsvSource, SyncOptions)> {
    let name = arguments.source.as_deref().unwrap_or_default();
    let csv = csv_config(name, csv_settings(configured), arguments.path.as_deref(), arguments.reading)?;
    check_path(&csv.path).await?;
    let options = SyncOptions { dry_run: true, demographics: true, ..SyncOptions::default() };
    Ok((CsvSource::new(csv, Arc::new(SystemClock)), options))
}

fn csv_settings(configured: Option<&SourceConfig>) -> Option<(&Common, &CsvSettings)> {
    match configured {
        Some(SourceConfig { common, settings: Settings::Csv(settings), .. }) => Some((common, settings)),
        Some(SourceConfig { settings: Settings::Rest(_) | Settings::Clever(_) | Settings::ClassLink(_), .. })
        | None => None,
    }
}

/// How packages are read, and where they are: the command line before the configuration.
fn csv_config(
    name: &str,
    configured: Option<(&Common, &CsvSettings)>,
    given: Option<&Path>,
    reading: Reading,
) -> Result<CsvConfig> {
    let of_source = configured.and_then(|(_, settings)| settings.path.as_deref());
    let path = given.or(of_source).ok_or_else(|| {
        let message = format!("no path is given, and the configuration has none for the source `{name}`");
        Failure::usage("usage", message).hint(WHAT_A_PATH_IS)
    })?;
    let mut csv = CsvConfig::new(path);
    // Where the configuration has packages come they come time and again.
    csv.recurring = of_source == Some(path);
    if let Some((common, settings)) = configured {
        csv.slash_dates = common.slash_dates;
        csv.end_dates = common.end_dates;
        csv.mode = settings.mode;
        csv.encoding = settings.encoding;
    }
    csv.mode = reading.mode.map(Into::into).or(csv.mode);
    csv.slash_dates = reading.slash_dates.map(Into::into).or(csv.slash_dates);
    csv.encoding = reading.encoding.map_or(csv.encoding, Into::into);
    Ok(csv)
}

const WHAT_A_PATH_IS: &str = "give a folder of CSV files, a `.zip`, or a folder into which zips are dropped";

/// Refuses a path that cannot be there before anything is written about it.
async fn check_path(path: &Path) -> Result<()> {
    let open = async {
        if fs::metadata(path).await?.is_dir() {
            fs::read_dir(path).await.map(drop)
        } else {
            fs::File::open(path).await.map(drop)
        }
    };
    open.await.map_err(|error| {
        Failure::new("package.unreadable", format!("cannot read `{}`: {error}", path.display()))
            .hint(WHAT_A_PATH_IS)
            .into()
    })
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

//! `rollcall sources`

use std::borrow::Cow;

use anyhow::Result;
use rollcall_domain::ports::{CheckReport, Problem, RosterStore, SourceState, Tenant};
use rollcall_domain::{Code, PerKind};

use super::Context;
use crate::cli::Sources;
use crate::config::{Config, SourceConfig};
use crate::documents::{self, Discovered, Source};
use crate::failure::{self, Exit, Failure};
use crate::screens;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &Sources) -> Result<Exit> {
    match arguments {
        Sources::List => list(context).await,
        Sources::Check { name } => check(context, name).await,
        Sources::Discover { name } => discover(context, name).await,
    }
}

async fn list(context: &mut Context) -> Result<Exit> {
    let config = context.config()?;
    let store = context.reading(&config).await?;
    let stored = store.source_list().await?;

    let mut sources: Vec<Source<'_>> = stored
        .iter()
        .map(|row| Source {
            name: &row.state.name,
            kind: &row.state.kind,
            configured: config.source(&row.state.name).is_some(),
            demographics: row.state.demographics,
            live: row.live,
            last_run: row.last_run.as_ref().map(|run| &run.report),
        })
        .collect();
    for configured in config.sources() {
        let is_of_it = |name: &str| name == configured.name() || configured.tenant_in(name).is_some();
        if !stored.iter().any(|row| is_of_it(&row.state.name)) {
            sources.push(Source {
                name: configured.name(),
                kind: configured.kind,
                configured: true,
                demographics: configured.common.demographics,
                live: PerKind::default(),
                last_run: None,
            });
        }
    }
    sources.sort_by(|one, other| one.name.cmp(other.name));
    if context.output.is_json() {
        context.output.json(&documents::Sources { sources })?;
    } else {
        context.output.text(&screens::listing::sources(&sources))?;
    }
    Ok(Exit::Done)
}

async fn check(context: &mut Context, name: &str) -> Result<Exit> {
    let config = context.config()?;
    let configured = configured(context, &config, name).await?;
    let found = if configured.is_for_all_tenants() {
        check_all(&configured).await
    } else {
        match wiring::source(&configured).await {
            Ok(source) => source.check().await.map_err(Into::into),
            Err(error) => Err(error),
        }
    };
    let found = documents::Check::new(name, configured.kind, found.map_err(|error| failure::explain(&error)));
    if context.output.is_json() {
        context.output.json(&found)?;
    } else {
        context.output.text(&screens::listing::check(&found))?;
    }
    Ok(if found.ok { Exit::Done } else { Exit::Failed })
}

/// Tries every tenant that a source stands for.
async fn check_all(configured: &SourceConfig) -> Result<CheckReport> {
    let tenants = wiring::directory(configured).await?.tenants().await?;
    let mut report = CheckReport::default();
    report.facts.push(("sources".to_owned(), tenants.len().to_string()));
    for tenant in &tenants {
        report.facts.push((configured.tenant_name(&tenant.id), tenant.name.clone()));
        if let Some(reason) = &tenant.unusable {
            let place = Some(configured.tenant_name(&tenant.id));
            report.problems.push(Problem { code: Code::FileMissing, place, message: reason.clone() });
        }
    }
    if tenants.is_empty() {
        let message = "the credentials work, and the vendor lists nobody whose roster could be synced".to_owned();
        report.problems.push(Problem { code: Code::FileMissing, place: None, message });
    }
    Ok(report)
}

async fn discover(context: &mut Context, name: &str) -> Result<Exit> {
    let config = context.config()?;
    let configured = configured(context, &config, name).await?;
    let tenants = wiring::directory(&configured).await?.tenants().await?;
    let discovered = |tenant: Tenant| Discovered {
        config: configured.block_of_tenant(&tenant.id).unwrap_or_default(),
        usable: tenant.unusable.is_none(),
        id: tenant.id,
        name: tenant.name,
        reason: tenant.unusable,
        details: tenant.details,
    };
    let tenants = tenants.into_iter().map(discovered).collect();
    let found = documents::Discovery { source: name, kind: configured.kind, tenants };
    if context.output.is_json() {
        context.output.json(&found)?;
    } else {
        context.output.text(&screens::listing::discovery(&found))?;
    }
    Ok(Exit::Done)
}

/// Finds a source of the configuration by name, or says what to do.
pub(super) async fn configured<'c>(context: &Context, config: &'c Config, name: &str) -> Result<Cow<'c, SourceConfig>> {
    let unknown = match config.known_source(name) {
        Ok(source) => return Ok(source),
        Err(unknown) => unknown,
    };
    // Where there is no store, or none that can be read, the source is not in it.
    let is_stored = match context.reading(config).await {
        Ok(store) => store.source_find(name).await.is_ok_and(|found| found.is_some()),
        Err(_) => false,
    };
    if is_stored {
        let message = format!("the source `{name}` is in the store, but not in the configuration");
        let hint = format!(
            "add a `[[source]]` with the name `{name}` to `rollcall.toml`, or bring packages in with `rollcall import PATH \
             --source {name}`"
        );
        return Err(Failure::usage("source.unconfigured", message).hint(hint).into());
    }
    Err(unknown.into())
}

/// Finds a source by name, or says which there are.
pub(super) async fn known(store: &dyn RosterStore, name: &str) -> Result<SourceState> {
    if let Some(state) = store.source_find(name).await? {
        return Ok(state);
    }
    let sources = store.source_list().await?;
    let known: Vec<_> = sources.iter().map(|row| format!("`{}`", row.state.name)).collect();
    let hint = if known.is_empty() {
        "there are no sources yet; `rollcall import PATH --source NAME` makes one".to_owned()
    } else {
        format!("known sources: {}", known.join(", "))
    };
    Err(Failure::new("source.unknown", format!("there is no source `{name}`")).hint(hint).into())
}

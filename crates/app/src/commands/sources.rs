//! `rollcall sources`

use std::borrow::Cow;

use anyhow::Result;
use futures::{StreamExt as _, stream};
use rollcall_domain::PerKind;
use rollcall_domain::ports::{RosterStore, SourceState, StoreError, Tenant};

use super::Context;
use crate::cli::Sources;
use crate::config::{Config, SourceConfig};
use crate::documents::{self, CheckProblem, Discovered, Findings, Source};
use crate::failure::{self, Exit, Failure};
use crate::screens;
use crate::wiring;

/// How many tenants are tried at once.
const TENANTS_AT_ONCE: usize = 4;

pub(super) async fn run(context: &mut Context, arguments: &Sources) -> Result<Exit> {
    match arguments {
        Sources::List => list(context).await,
        Sources::Check { name } => check(context, name).await,
        Sources::Discover { name } => discover(context, name).await,
    }
}

async fn list(context: &mut Context) -> Result<Exit> {
    let config = context.config()?;
    let stored = match context.reading(&config).await {
        Ok(store) => store.source_list().await?,
        // What is configured can be listed before anything was synced.
        Err(error) if !config.sources().is_empty() && is_absent(&error) => Vec::new(),
        Err(error) => return Err(error),
    };

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

fn is_absent(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::Absent { .. }))
}

async fn check(context: &mut Context, name: &str) -> Result<Exit> {
    let config = context.config()?;
    let configured = configured(context, &config, name).await?;
    let found = if configured.is_for_all_tenants() {
        check_all(&config, &configured).await
    } else {
        check_one(&configured).await
    };
    let found = found.map_err(|error| failure::explain(&error));
    let exit = found.as_ref().err().map_or(Exit::Failed, |explained| explained.exit);
    let found = documents::Check::new(name, configured.kind, found);
    if context.output.is_json() {
        context.output.json(&found)?;
    } else {
        context.output.text(&screens::listing::check(&found))?;
    }
    Ok(if found.ok { Exit::Done } else { exit })
}

async fn check_one(configured: &SourceConfig) -> Result<Findings> {
    let report = wiring::source(configured).await?.check().await?;
    Ok((report.facts, report.problems.into_iter().map(Into::into).collect()))
}

/// Tries every tenant that a source stands for.
async fn check_all(config: &Config, configured: &SourceConfig) -> Result<Findings> {
    let tenants = wiring::directory(configured).await?.tenants().await?;
    if tenants.is_empty() {
        let message = "the credentials work, and the vendor lists nobody whose roster could be synced";
        return Err(Failure::new("tenant.none", message).into());
    }
    let mut facts = vec![("sources".to_owned(), tenants.len().to_string())];
    let checked = tenants.into_iter().map(|tenant| async move {
        let name = configured.tenant_name(&tenant.id);
        let mut problems = match config.known_source(&name) {
            Ok(source) => check_one(&source)
                .await
                .map_or_else(|error| CheckProblem::of_failure(failure::explain(&error)), |(_, problems)| problems),
            Err(unknown) => CheckProblem::of_failure(failure::explain(&unknown.into())),
        };
        if let (true, Some(message)) = (problems.is_empty(), tenant.unusable) {
            problems.push(CheckProblem { code: "tenant.unusable".to_owned(), place: None, message });
        }
        for problem in &mut problems {
            problem.place = Some(problem.place.take().map_or(name.clone(), |place| format!("{name}: {place}")));
        }
        ((name, tenant.name), problems)
    });
    let mut checked = stream::iter(checked).buffered(TENANTS_AT_ONCE);
    let mut problems = Vec::new();
    while let Some((fact, of_tenant)) = checked.next().await {
        facts.push(fact);
        problems.extend(of_tenant);
    }
    Ok((facts, problems))
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
            "add a `[[source]]` with the name `{name}` to `{}`, or bring packages in with `rollcall import PATH --source \
             {name}`",
            config.file()
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

//! `rollcall sync`

use std::borrow::Cow;

use anyhow::Result;
use rollcall_domain::ports::RosterStore;
use rollcall_domain::sync::SyncOptions;

use super::Context;
use super::runner::Runner;
use crate::cli::SyncSources;
use crate::config::{Config, SourceConfig};
use crate::documents::LeftOut;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &SyncSources) -> Result<Exit> {
    let config = context.config()?;
    let sources = if arguments.all { all(&config)? } else { named(context, &config, &arguments.names).await? };
    let store = context.writing(&config).await?;
    let mut runner = Runner::new(&*store, &mut context.output, false);
    for source in sources.iter().map(AsRef::as_ref) {
        let options = SyncOptions {
            full: arguments.full,
            dry_run: arguments.dry_run,
            allow_mass_change: arguments.allow_mass_change,
            ..wiring::sync_options(&source.common)
        };
        let synced = if source.is_for_all_tenants() {
            sync_tenants(&mut runner, &*store, &config, source, &options).await
        } else {
            match wiring::source(source).await {
                Ok(ready) => runner.sync(source.name(), &*ready, &options).await,
                Err(error) => Err(error),
            }
        };
        // What is wrong with one source does not keep the others from theirs.
        if let Err(error) = synced {
            runner.never_ran(source.name(), &error);
        }
    }
    let as_list = arguments.all || sources.len() > 1 || sources.iter().any(|source| source.is_for_all_tenants());
    runner.finish(as_list)
}

/// Gives each tenant of a vendor a run of its own. Nothing is deleted of those that the vendor names no more.
async fn sync_tenants(
    runner: &mut Runner<'_>,
    store: &dyn RosterStore,
    config: &Config,
    source: &SourceConfig,
    options: &SyncOptions,
) -> Result<()> {
    let stored = store.source_list().await?;
    let names = stored.iter().map(|row| row.state.name.as_str());
    // A tenant that the configuration names is a source like any other.
    let known: Vec<String> =
        names.filter(|name| !config.names(name)).filter_map(|name| source.tenant_in(name)).map(str::to_owned).collect();
    let found = wiring::tenant_sources(source, &known).await?;
    for tenant in found.vanished {
        let message = "the vendor does not list it any more; what is stored of it stays as it is".to_owned();
        runner.leave_out(LeftOut { source: source.tenant_name(&tenant), code: "tenant.vanished", message });
    }
    let mut is_any_usable = false;
    for (tenant, ready) in found.sources {
        is_any_usable = true;
        let name = source.tenant_name(&tenant);
        if config.names(&name) {
            let message = "the configuration has a source of its own for it".to_owned();
            runner.leave_out(LeftOut { source: name, code: "tenant.configured", message });
            continue;
        }
        // One tenant in trouble does not keep the others from their runs.
        if let Err(error) = runner.sync(&name, &*ready, options).await {
            runner.never_ran(&name, &error);
        }
    }
    for (tenant, reason) in found.unusable {
        let name = source.tenant_name(&tenant);
        if known.contains(&tenant) {
            // Somebody relies on a roster that is not kept any more.
            runner.never_ran(&name, &Failure::new("tenant.unusable", reason).into());
        } else {
            runner.leave_out(LeftOut { source: name, code: "tenant.unusable", message: reason });
        }
    }
    if is_any_usable {
        return Ok(());
    }
    let hint = format!("`rollcall sources discover {}` shows what the vendor lists", source.name());
    Err(Failure::new("tenant.none", "the vendor lists nobody whose roster could be synced").hint(hint).into())
}

/// Every source that says where it is. One without a path is fed by hand with `rollcall import`.
fn all(config: &Config) -> Result<Vec<Cow<'_, SourceConfig>>> {
    let (pulled, fed): (Vec<_>, Vec<_>) = config.sources().iter().partition(|source| wiring::can_be_pulled(source));
    for source in fed {
        output::note(&format!("note: `{}` has no `path` in the configuration and is left out", source.name()));
    }
    if pulled.is_empty() {
        let failure = Failure::usage("source.unconfigured", "the configuration has no source that could be synced");
        return Err(failure.hint("add a `[[source]]` with its `path` to `rollcall.toml`").into());
    }
    Ok(pulled.into_iter().map(Cow::Borrowed).collect())
}

/// The named sources, each once.
async fn named<'c>(context: &Context, config: &'c Config, names: &[String]) -> Result<Vec<Cow<'c, SourceConfig>>> {
    let mut sources: Vec<Cow<'c, SourceConfig>> = Vec::new();
    for name in names {
        let source = super::sources::configured(context, config, name).await?;
        if !sources.iter().any(|known| known.name() == name) {
            sources.push(source);
        }
    }
    Ok(sources)
}

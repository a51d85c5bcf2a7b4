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
use crate::failure::{self, Exit, Failure};
use crate::output;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &SyncSources) -> Result<Exit> {
    if arguments.names.is_empty() && !arguments.all {
        let failure = Failure::usage("usage", "nothing is said of what to sync; give the name of a source, or `--all`");
        return Err(failure.hint("`rollcall sources list` shows which sources there are").into());
    }
    let config = context.config()?;
    let sources = if arguments.all { all(&config)? } else { named(context, &config, &arguments.names).await? };
    let store = context.writing(&config).await?;
    let mut runner = Runner::new(&*store, &mut context.output, false);
    let given = SyncOptions {
        full: arguments.full,
        dry_run: arguments.dry_run,
        allow_mass_change: arguments.allow_mass_change,
        ..SyncOptions::default()
    };
    for source in sources.iter().map(AsRef::as_ref) {
        let options = options_of(source, &given);
        let synced = if source.is_for_all_tenants() {
            let others: Vec<&str> = sources.iter().map(|source| source.name()).collect();
            let tenants = Tenants { config: &config, store: &*store, of: source, others: &others };
            tenants.sync(&mut runner, &options).await
        } else {
            sync_one(&mut runner, &*store, &config, source, &options).await
        };
        // Alone it is a mistake like any other.
        if let (Err(error), [_], false) = (&synced, &sources[..], arguments.all)
            && failure::explain(error).exit == Exit::Usage
        {
            return synced.map(|()| Exit::Done);
        }
        // What is wrong with one source does not keep the others from theirs.
        if let Err(error) = synced {
            runner.never_ran(source.name(), &error);
        }
    }
    let as_list = arguments.all || sources.len() > 1 || sources.iter().any(|source| source.is_for_all_tenants());
    runner.finish(as_list)
}

/// Syncs one source as it is configured.
async fn sync_one(
    runner: &mut Runner<'_>,
    store: &dyn RosterStore,
    config: &Config,
    source: &SourceConfig,
    options: &SyncOptions,
) -> Result<()> {
    let name = source.name();
    if let Some((all, tenant)) = config.tenant_of_all(name) {
        // A slip of the pen would otherwise be a source for ever.
        let is_stored = store.source_find(name).await?.is_some();
        if !is_stored && !wiring::tenant_sources(all, &[tenant.to_owned()]).await?.vanished.is_empty() {
            let message = format!("the vendor does not list `{tenant}`, and nothing is stored of it");
            let hint = format!("`rollcall sources discover {}` shows what the vendor lists", all.name());
            return Err(Failure::new("tenant.missing", message).hint(hint).into());
        }
    }
    let ready = wiring::source(source).await?;
    runner.sync(name, &*ready, options).await
}

/// The tenants of a source that stands for all of them.
struct Tenants<'a> {
    config: &'a Config,
    store: &'a dyn RosterStore,
    of: &'a SourceConfig,
    /// The sources that the same command syncs.
    others: &'a [&'a str],
}

impl Tenants<'_> {
    /// Gives each tenant a run of its own. Nothing is deleted of those that the vendor names no more.
    async fn sync(&self, runner: &mut Runner<'_>, options: &SyncOptions) -> Result<()> {
        let stored = self.store.source_list().await?;
        let names = stored.iter().map(|row| row.state.name.as_str());
        // A tenant that the configuration names is a source like any other.
        let known: Vec<String> = names
            .filter(|name| !self.config.names(name))
            .filter_map(|name| self.of.tenant_in(name))
            .map(str::to_owned)
            .collect();
        let found = wiring::tenant_sources(self.of, &known).await?;
        for tenant in found.vanished {
            let message = "the vendor does not list it any more; what is stored of it stays as it is".to_owned();
            runner.leave_out(LeftOut { source: self.of.tenant_name(&tenant), code: "tenant.vanished", message });
        }
        let is_any_usable = !found.sources.is_empty();
        for (tenant, ready) in found.sources {
            let name = self.of.tenant_name(&tenant);
            // One tenant in trouble does not keep the others from their runs.
            let synced = if !self.config.names(&name) {
                runner.sync(&name, &*ready, options).await
            } else if self.others.contains(&name.as_str()) {
                let message = "the configuration has a source of its own for it, which is synced as such".to_owned();
                runner.leave_out(LeftOut { source: name, code: "tenant.configured", message });
                continue;
            } else {
                self.sync_alone(runner, &name, options).await
            };
            if let Err(error) = synced {
                runner.never_ran(&name, &error);
            }
        }
        for (tenant, reason) in found.unusable {
            let name = self.of.tenant_name(&tenant);
            if !known.contains(&tenant) {
                runner.leave_out(LeftOut { source: name, code: "tenant.unusable", message: reason });
                continue;
            }
            // Somebody relies on a roster that is not kept any more: a run that fails says so, and says why.
            if let Err(error) = self.sync_alone(runner, &name, options).await {
                runner.never_ran(&name, &error);
            }
        }
        if is_any_usable {
            return Ok(());
        }
        let hint = format!("`rollcall sources discover {}` shows what the vendor lists", self.of.name());
        Err(Failure::new("tenant.none", "the vendor lists nobody whose roster could be synced").hint(hint).into())
    }

    /// Syncs one tenant as if it had been named.
    async fn sync_alone(&self, runner: &mut Runner<'_>, name: &str, options: &SyncOptions) -> Result<()> {
        let source = self.config.known_source(name)?;
        let options = options_of(&source, options);
        let ready = wiring::source(&source).await?;
        runner.sync(name, &*ready, &options).await
    }
}

/// How a source is synced, with what the command line says.
fn options_of(source: &SourceConfig, given: &SyncOptions) -> SyncOptions {
    SyncOptions {
        full: given.full,
        dry_run: given.dry_run,
        allow_mass_change: given.allow_mass_change,
        ..wiring::sync_options(&source.common)
    }
}

/// Every source that says where it is. One without a path is fed by hand with `rollcall import`.
fn all(config: &Config) -> Result<Vec<Cow<'_, SourceConfig>>> {
    let (pulled, fed): (Vec<_>, Vec<_>) = config.sources().iter().partition(|source| wiring::can_be_pulled(source));
    for source in fed {
        output::note(&format!("note: `{}` has no `path` in the configuration and is left out", source.name()));
    }
    if pulled.is_empty() {
        let failure = Failure::usage("source.unconfigured", "the configuration has no source that could be synced");
        return Err(failure
            .hint(format!("add a `[[source]]` that says where its roster is to `{}`", config.file()))
            .into());
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

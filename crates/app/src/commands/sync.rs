//! `rollcall sync`

use anyhow::Result;
use rollcall_domain::sync::SyncOptions;

use super::Context;
use super::runner::Runner;
use crate::cli::SyncSources;
use crate::config::{Config, SourceConfig};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &SyncSources) -> Result<Exit> {
    let config = context.config()?;
    let sources = if arguments.all { all(&config)? } else { named(context, &config, &arguments.names).await? };
    let store = context.writing(&config).await?;
    let mut runner = Runner::new(&*store, &mut context.output, false);
    for source in &sources {
        let options = SyncOptions {
            full: arguments.full,
            dry_run: arguments.dry_run,
            allow_mass_change: arguments.allow_mass_change,
            ..wiring::sync_options(&source.common)
        };
        let synced = match wiring::source(source).await {
            Ok(ready) => runner.sync(source.name(), &*ready, &options).await,
            Err(error) => Err(error),
        };
        // What is wrong with one source does not keep the others from theirs.
        if let Err(error) = synced {
            runner.never_ran(source.name(), &error);
        }
    }
    runner.finish(arguments.all || sources.len() > 1)
}

/// Every source that says where it is. One without a path is fed by hand with `rollcall import`.
fn all(config: &Config) -> Result<Vec<&SourceConfig>> {
    let (pulled, fed): (Vec<_>, Vec<_>) = config.sources().iter().partition(|source| wiring::can_be_pulled(source));
    for source in fed {
        output::note(&format!("note: `{}` has no `path` in the configuration and is left out", source.name()));
    }
    if pulled.is_empty() {
        let failure = Failure::usage("source.unconfigured", "the configuration has no source that could be synced");
        return Err(failure.hint("add a `[[source]]` with its `path` to `rollcall.toml`").into());
    }
    Ok(pulled)
}

/// The named sources, each once.
async fn named<'c>(context: &Context, config: &'c Config, names: &[String]) -> Result<Vec<&'c SourceConfig>> {
    let mut sources: Vec<&SourceConfig> = Vec::new();
    for name in names {
        let source = super::sources::configured(context, config, name).await?;
        if !sources.iter().any(|known| known.name() == name) {
            sources.push(source);
        }
    }
    Ok(sources)
}

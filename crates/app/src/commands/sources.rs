//! `rollcall sources`

use anyhow::Result;
use rollcall_domain::PerKind;
use rollcall_domain::ports::{RosterStore, SourceState};

use super::Context;
use crate::cli::Sources;
use crate::config::{Config, SourceConfig};
use crate::documents::{self, Source};
use crate::failure::{self, Exit, Failure};
use crate::screens;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &Sources) -> Result<Exit> {
    match arguments {
        Sources::List => list(context).await,
        Sources::Check { name } => check(context, name).await,
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
        if stored.iter().all(|row| row.state.name != configured.name()) {
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
    let found = match wiring::source(configured).await {
        Ok(source) => source.check().await.map_err(Into::into),
        Err(error) => Err(error),
    };
    let found = documents::Check::new(name, configured.kind, found.map_err(|error| failure::explain(&error)));
    if context.output.is_json() {
        context.output.json(&found)?;
    } else {
        context.output.text(&screens::listing::check(&found))?;
    }
    Ok(if found.ok { Exit::Done } else { Exit::Failed })
}

/// Finds a source of the configuration by name, or says what to do.
pub(super) async fn configured<'c>(context: &Context, config: &'c Config, name: &str) -> Result<&'c SourceConfig> {
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

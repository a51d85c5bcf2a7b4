//! `rollcall sources`

use anyhow::Result;
use rollcall_domain::PerKind;
use rollcall_domain::ports::{RosterStore, SourceState};

use super::Context;
use crate::cli::Sources;
use crate::documents::{self, Source};
use crate::failure::{Exit, Failure};
use crate::screens;

pub(super) async fn run(context: &mut Context, arguments: &Sources) -> Result<Exit> {
    let Sources::List = arguments;
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
                kind: configured.kind(),
                configured: true,
                demographics: configured.demographics(),
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

//! `rollcall runs`

use std::io::Write as _;

use anyhow::Result;
use futures::StreamExt as _;
use jiff::tz::TimeZone;
use rollcall_domain::RunId;
use rollcall_domain::ports::{RosterStore, RunFilter, RunRow};

use super::Context;
use crate::cli::{RejectFormat, Runs};
use crate::documents::{self, Reject, RejectGroup, RejectSummary, RejectTally, joined_messages};
use crate::failure::{Exit, Failure};
use crate::screens;

/// A beginning of an id is looked for among this many of the newest runs.
const SEARCHED: u32 = 100_000;

pub(super) async fn run(context: &mut Context, arguments: Runs) -> Result<Exit> {
    let config = context.config()?;
    let store = context.reading(&config).await?;
    match arguments {
        Runs::List { source, limit } => {
            if let Some(name) = &source {
                super::sources::known(&*store, name).await?;
            }
            let rows = store.run_list(&RunFilter { source }, limit).await?;
            if context.output.is_json() {
                context.output.json(&documents::Runs::new(rows.iter().map(|row| &row.report).collect()))?;
            } else {
                context.output.text(&screens::listing::runs(&rows, &TimeZone::system()))?;
            }
        }
        Runs::Show { id } => {
            let row = find(&*store, &id).await?;
            if context.output.is_json() {
                context.output.json(&row.report)?;
            } else {
                context.output.text(&screens::run::report(&row.report))?;
            }
        }
        Runs::Rejects { id, format, summary } => {
            let row = find(&*store, &id).await?;
            let format = format.or(context.output.is_json().then_some(RejectFormat::Json));
            if summary {
                summarise(context, &*store, row.id, format).await?;
            } else {
                list_rejects(context, &*store, row.id, format).await?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Finds a run by its id, by the beginning of its id, or as the newest one.
async fn find(store: &dyn RosterStore, id: &str) -> Result<RunRow> {
    let id = id.trim().to_ascii_lowercase();
    if id == "latest" || id == "last" {
        let newest = store.run_list(&RunFilter::default(), 1).await?.into_iter().next();
        return Ok(newest.ok_or_else(|| Failure::new("run.unknown", "there are no runs yet"))?);
    }
    let unknown = || {
        Failure::new("run.unknown", format!("there is no run whose id is or begins with `{id}`"))
            .hint("`rollcall runs list` lists the runs")
    };
    if let Ok(whole) = id.parse() {
        return Ok(store.run_find(RunId(whole)).await?.ok_or_else(unknown)?);
    }
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(unknown().into());
    }
    let mut matches: Vec<RunRow> = store.run_list(&RunFilter::default(), SEARCHED).await?;
    matches.retain(|row| row.id.to_string().starts_with(&id));
    let first = matches.pop().ok_or_else(unknown)?;
    if matches.is_empty() {
        return Ok(first);
    }
    let message = format!("{} runs have ids that begin with `{id}`", matches.len() + 1);
    Err(Failure::new("run.ambiguous", message).hint("give more of the id").into())
}

/// Prints the rejects of a run as they come from the store; a million of them take no more memory than one page.
async fn list_rejects(
    context: &mut Context,
    store: &dyn RosterStore,
    run: RunId,
    format: Option<RejectFormat>,
) -> Result<()> {
    let output = &mut context.output;
    let mut pages = store.run_rejects(run);
    let mut is_first = true;
    // The first page is fetched before the document is begun, so that a store that fails at once can still say so.
    let mut page = pages.next().await.transpose()?;
    let mut line = csv::WriterBuilder::new().from_writer(Vec::new());
    match format {
        Some(RejectFormat::Csv) => line.write_record(Reject::COLUMNS)?,
        Some(RejectFormat::Json) => output.text("{\"rejects\":[")?,
        None => {}
    }
    while let Some(rows) = page {
        for row in &rows {
            match format {
                Some(RejectFormat::Csv) => line.write_record(Reject::new(row).into_cells())?,
                Some(RejectFormat::Json) => {
                    output.text(if is_first { "\n" } else { ",\n" })?;
                    serde_json::to_writer(&mut *output, &Reject::new(row))?;
                }
                None => output.text(&screens::listing::reject(row, &joined_messages(row)))?,
            }
            is_first = false;
        }
        if format == Some(RejectFormat::Csv) {
            line.flush()?;
            output.write_all(line.get_ref())?;
            line = csv::WriterBuilder::new().from_writer(Vec::new());
        }
        if output.is_closed() {
            return Ok(());
        }
        page = pages.next().await.transpose()?;
    }
    match format {
        Some(RejectFormat::Csv) => output.write_all(&line.into_inner()?)?,
        Some(RejectFormat::Json) => output.text("\n]}\n")?,
        None if is_first => output.text("no rejects\n")?,
        None => {}
    }
    Ok(())
}

/// Prints how many rejects of a run say the same.
async fn summarise(
    context: &mut Context,
    store: &dyn RosterStore,
    run: RunId,
    format: Option<RejectFormat>,
) -> Result<()> {
    let mut tally = RejectTally::new();
    let mut pages = store.run_rejects(run);
    while let Some(page) = pages.next().await {
        for row in page? {
            let Some(first) = row.findings.first() else { continue };
            let field = first.field.as_ref().map(ToString::to_string);
            *tally.entry((row.kind, first.code.to_string(), field)).or_default() += 1;
        }
    }
    let summary = tally.into_iter().map(|((kind, code, field), count)| RejectGroup { kind, code, field, count });
    let summary = RejectSummary { summary: summary.collect() };
    match format {
        Some(RejectFormat::Json) => context.output.json(&summary)?,
        Some(RejectFormat::Csv) => {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["kind", "code", "field", "count"])?;
            for group in &summary.summary {
                let field = group.field.as_deref().unwrap_or_default();
                writer.write_record([group.kind.as_str(), &group.code, field, &group.count.to_string()])?;
            }
            context.output.write_all(&writer.into_inner()?)?;
        }
        None => context.output.text(&screens::listing::reject_summary(&summary))?,
    }
    Ok(())
}

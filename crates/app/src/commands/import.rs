//! `rollcall import`

use std::sync::Arc;

use anyhow::Result;
use rollcall_adapters_oneroster::CsvSource;
use rollcall_domain::RunId;
use rollcall_domain::ports::RunStatus;
use rollcall_domain::report::RunReport;
use rollcall_domain::sync::Sync;
use uuid::Uuid;

use super::Context;
use crate::cli::Import;
use crate::clock::SystemClock;
use crate::documents::Runs;
use crate::failure::Exit;
use crate::output;
use crate::progress::Meter;
use crate::screens;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &Import) -> Result<Exit> {
    let config = context.config()?;
    let configured = config.source(&arguments.source);
    let (csv, options) = wiring::import(configured, arguments)?;
    wiring::check_path(&csv.path)?;
    let source = CsvSource::new(csv, Arc::new(SystemClock));
    let store = context.writing(&config).await?;
    if configured.is_none() && !config.sources().is_empty() && store.source_find(&arguments.source).await?.is_none() {
        let known = config.nearest_source(&arguments.source);
        output::note(&format!("note: the source `{}` is new, and not in the configuration; {known}", arguments.source));
    }

    let mut exit = Exit::Done;
    let mut reports: Vec<RunReport> = Vec::new();
    loop {
        let outcome = {
            let meter = Meter::start(&arguments.source);
            let sync = Sync { store: &*store, clock: &SystemClock, progress: &meter };
            sync.run(RunId(Uuid::now_v7()), &arguments.source, &source, &options).await?
        };
        exit = exit.worst(Exit::of_run(&outcome.report, arguments.strict));
        // A dry run leaves the cursor where it is and would read the same package for ever.
        let goes_on = outcome.more && outcome.report.status == RunStatus::Succeeded;
        if !context.output.is_json() {
            show(&mut context.output, &outcome.report, !reports.is_empty())?;
        }
        reports.push(outcome.report);
        if !goes_on {
            break;
        }
    }
    if context.output.is_json() {
        match reports.as_slice() {
            [only] => context.output.json(only)?,
            several => context.output.json(&Runs { runs: several.iter().rev().collect() })?,
        }
    }
    Ok(exit)
}

/// Shows a run: what it did on stdout, why it failed on stderr.
fn show(output: &mut output::Output, report: &RunReport, is_further: bool) -> Result<()> {
    let screen = screens::run::report(report);
    if report.status == RunStatus::Failed {
        output::note(screen.trim_end());
        return Ok(());
    }
    if is_further {
        output.text("\n")?;
    }
    output.text(&screen)?;
    output.finish()?;
    Ok(())
}

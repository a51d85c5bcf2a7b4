//! `rollcall import`

use anyhow::Result;

use super::Context;
use super::runner::Runner;
use crate::cli::Import;
use crate::failure::Exit;
use crate::output;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &Import) -> Result<Exit> {
    let config = context.config()?;
    let configured = config.source(&arguments.source);
    let (source, options) = wiring::import(configured.as_deref(), arguments).await?;
    let store = context.writing(&config).await?;
    if configured.is_none() && !config.sources().is_empty() && store.source_find(&arguments.source).await?.is_none() {
        let known = config.nearest_source(&arguments.source);
        output::note(&format!("note: the source `{}` is new, and not in the configuration; {known}", arguments.source));
    }
    let mut runner = Runner::new(&*store, &mut context.output, arguments.strict);
    runner.sync(&arguments.source, &source, &options).await?;
    runner.finish(false)
}

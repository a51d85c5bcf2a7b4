//! The commands: each reads its arguments, asks the domain or the store, and shows the answer.

mod db;
mod export;
mod generate;
mod import;
mod runner;
mod runs;
mod simulate;
mod sources;
mod sync;
mod validate;

use std::sync::Arc;

use anyhow::Result;
use rollcall_domain::ports::RosterStore;
use rollcall_persistence::Access;

use crate::cli::{Cli, Command, Global, OutputFormat, RejectFormat, Runs, Sources};
use crate::config::Config;
use crate::failure::Exit;
use crate::output::{self, Output};
use crate::wiring;

/// What every command works with.
#[derive(Debug)]
struct Context {
    global: Global,
    output: Output,
}

impl Context {
    fn config(&self) -> Result<Config> {
        Config::load(self.global.config.as_deref())
    }

    /// The store, opened for reading: it is left as it is.
    async fn reading(&self, config: &Config) -> Result<Arc<dyn RosterStore>> {
        wiring::store(&config.database_url(self.global.database_url.as_ref()), Access::Read).await
    }

    /// The store, opened for writing.
    async fn writing(&self, config: &Config) -> Result<Arc<dyn RosterStore>> {
        wiring::store(&config.database_url(self.global.database_url.as_ref()), Access::Write).await
    }
}

/// Runs a command and shows how it went.
pub(crate) async fn run(cli: Cli) -> Exit {
    let Cli { global, command } = cli;
    let format = if let Command::Runs(Runs::Rejects { format: Some(RejectFormat::Json), .. }) = command {
        OutputFormat::Json
    } else {
        global.output
    };
    let source = match &command {
        Command::Import(import) => Some(import.source.clone()),
        Command::Export(export) => Some(export.source.clone()),
        Command::Sync(sync) if sync.names.len() == 1 => sync.names.first().cloned(),
        Command::Sources(Sources::Check { name } | Sources::Discover { name }) => Some(name.clone()),
        _ => None,
    };
    let validates = matches!(command, Command::Validate(_));
    let mut context = Context { global, output: Output::new(format) };
    let exit = match command {
        Command::Import(arguments) => import::run(&mut context, &arguments).await,
        Command::Validate(arguments) => validate::run(&mut context, &arguments).await,
        Command::Sync(arguments) => sync::run(&mut context, &arguments).await,
        Command::Runs(arguments) => runs::run(&mut context, arguments).await,
        Command::Export(arguments) => export::run(&mut context, &arguments).await,
        Command::Sources(arguments) => sources::run(&mut context, &arguments).await,
        Command::Db(arguments) => db::run(&mut context, &arguments).await,
        Command::Generate(arguments) => generate::run(&mut context, &arguments).await,
        Command::Simulate(arguments) => simulate::run(&mut context, &arguments).await,
    };
    let exit = exit.and_then(|exit| context.output.finish().map(|()| exit).map_err(Into::into));
    match exit {
        Ok(exit) => exit,
        Err(error) => output::failed(&mut context.output, source.as_deref(), validates, &error),
    }
}

//! The `rollcall` program: it keeps a class management system's rosters true.
//!
//! This crate is thin. It reads the command line and the configuration, wires a source to a store, and shows what came
//! of it; no roster rule lives here.

mod cli;
mod clock;
mod commands;
mod config;
mod documents;
mod failure;
mod logging;
mod output;
mod progress;
mod screens;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return output::usage(&usage).into(),
    };
    logging::start();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fatal(&cli, &anyhow::Error::new(error).context("cannot start threads")).into(),
    };
    let hears_ctrl_c = cli.command.hears_ctrl_c();
    // The command has a task of its own, so that Ctrl-C is heard while it is busy.
    let command = runtime.spawn(commands::run(cli));
    let exit = runtime.block_on(async {
        tokio::select! {
            exit = command => exit.unwrap_or(Exit::Failed),
            interrupted = tokio::signal::ctrl_c(), if !hears_ctrl_c => {
                if interrupted.is_err() {
                    output::note("warning: Ctrl-C cannot be caught here");
                }
                output::note("interrupted: the run is abandoned, and nothing of it was applied unless it had ended");
                Exit::Interrupted
            }
        }
    });
    // Not waited for: a statement in flight is rolled back by the database when the process is gone.
    runtime.shutdown_background();
    exit.into()
}

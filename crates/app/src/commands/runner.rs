//! Makes runs and shows what came of them, for every command that makes any.

use anyhow::Result;
use rollcall_domain::RunId;
use rollcall_domain::ports::{RosterSource, RosterStore, RunStatus, StoreError};
use rollcall_domain::report::RunReport;
use rollcall_domain::sync::{Sync, SyncOptions, SyncOutcome};
use serde::Serialize;
use uuid::Uuid;

use crate::clock::SystemClock;
use crate::documents::{FailedEarly, LeftOut, Runs};
use crate::failure::{self, Exit, Explained};
use crate::output::{self, Output};
use crate::progress::Meter;
use crate::screens;

/// Makes runs, shows each as it ends, and remembers them for the document at the end.
pub(super) struct Runner<'a> {
    store: &'a dyn RosterStore,
    output: &'a mut Output,
    /// Rejects make the exit code 4.
    strict: bool,
    exit: Exit,
    ended: Vec<Ended>,
    left_out: Vec<LeftOut>,
    /// A screen is on stdout; the next one keeps its distance.
    printed: bool,
}

/// What a run came to.
enum Ended {
    /// It has a report.
    Ran(Box<RunReport>),
    /// It failed before it became a run.
    Never { source: String, why: Explained },
}

impl Ended {
    fn document(&self) -> Document<'_> {
        match self {
            Self::Ran(report) => Document::Report(report),
            Self::Never { source, why } => {
                Document::Early(Box::new(FailedEarly::new(Some(source), &why.error, why.hint.as_deref())))
            }
        }
    }
}

/// A run in a document.
#[derive(Serialize)]
#[serde(untagged)]
enum Document<'a> {
    Report(&'a RunReport),
    Early(Box<FailedEarly<'a>>),
}

impl<'a> Runner<'a> {
    /// A runner over a store.
    pub(super) fn new(store: &'a dyn RosterStore, output: &'a mut Output, strict: bool) -> Self {
        Self { store, output, strict, exit: Exit::Done, ended: Vec::new(), left_out: Vec::new(), printed: false }
    }

    /// Runs a source until nothing waits.
    ///
    /// # Errors
    ///
    /// Where a run cannot even be recorded, or not be shown. Everything else that goes wrong is in the reports.
    pub(super) async fn sync(&mut self, name: &str, source: &dyn RosterSource, options: &SyncOptions) -> Result<()> {
        let mut options = options.clone();
        loop {
            let SyncOutcome { report, more } = self.sync_once(name, source, &options).await?;
            // A dry run leaves the cursor where it is and would read the same package for ever.
            let goes_on = more && report.status == RunStatus::Succeeded;
            // What follows on a full pull goes on where that one ended.
            options.full = false;
            self.show(report)?;
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn sync_once(
        &self,
        name: &str,
        source: &dyn RosterSource,
        options: &SyncOptions,
    ) -> Result<SyncOutcome, StoreError> {
        let meter = Meter::start(name);
        let sync = Sync { store: self.store, clock: &SystemClock, progress: &meter };
        sync.run(RunId(Uuid::now_v7()), name, source, options).await
    }

    /// Shows a run: what it did on stdout, why it failed on stderr.
    fn show(&mut self, report: RunReport) -> Result<()> {
        self.exit = self.exit.worst(Exit::of_run(&report, self.strict));
        if !self.output.is_json() {
            let screen = screens::run::report(&report);
            if report.status == RunStatus::Failed {
                output::note(screen.trim_end());
            } else {
                if self.printed {
                    self.output.text("\n")?;
                }
                self.printed = true;
                self.output.text(&screen)?;
                self.output.finish()?;
            }
        }
        self.ended.push(Ended::Ran(Box::new(report)));
        Ok(())
    }

    /// Takes down that a source failed before it had a run, and goes on.
    pub(super) fn never_ran(&mut self, source: &str, error: &anyhow::Error) {
        let why = failure::explain(error);
        self.exit = self.exit.worst(Exit::Failed);
        if !self.output.is_json() {
            let screen = screens::run::failure(&why.error, why.hint.as_deref());
            output::note(&format!("`{source}`: failed; nothing is applied\n{}", screen.trim_end()));
        }
        self.ended.push(Ended::Never { source: source.to_owned(), why });
    }

    /// Takes down that a tenant gets no run, which is no failure.
    pub(super) fn leave_out(&mut self, left_out: LeftOut) {
        if !self.output.is_json() {
            output::note(&format!("note: `{}` is left out: {}", left_out.source, left_out.message));
        }
        self.left_out.push(left_out);
    }

    /// Prints the document, where one is wanted: of several runs as a list, newest first.
    pub(super) fn finish(self, as_list: bool) -> Result<Exit> {
        if self.output.is_json() {
            let mut runs: Vec<_> = self.ended.iter().rev().map(Ended::document).collect();
            match runs.pop() {
                Some(only) if runs.is_empty() && !as_list => self.output.json(&only)?,
                last => {
                    runs.extend(last);
                    self.output.json(&Runs { runs, left_out: self.left_out })?;
                }
            }
        }
        Ok(self.exit)
    }
}

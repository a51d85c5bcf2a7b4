//! The sync use case: the only place where the order of things is decided.
//!
//! A run
//!
//! 1. takes the source's lease, so that there is one sync per source at a time,
//! 2. pulls; validates each record as it arrives, compares its fingerprint with the stored one, and stages what differs
//!    ([`session`]),
//! 3. settles what could not be decided on arrival: early references, repeated ids, and what earlier runs refused
//!    ([`settle`]); what records own ([`owned`]),
//! 4. derives deletions from absence, and what they take along or bring back ([`deletions`]),
//! 5. holds the outcome against the [guards],
//! 6. and applies it in one transaction, or shows it, or holds it.
//!
//! Where it stops, nothing of the roster has changed.

mod deletions;
mod foresight;
mod guards;
mod options;
mod owned;
mod session;
mod settle;
mod table;
#[cfg(test)]
mod tests;
mod warnings;

use std::pin::pin;

use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{SinkExt, StreamExt};
use jiff::Timestamp;

pub use self::guards::Guards;
pub use self::options::{NoProgress, Progress, ProgressEvent, SyncOptions, Totals};
use self::session::Session;
use crate::ports::{
    BatchSink, Clock, Commit, Coverage, Item, NewRun, PullRequest, PullSummary, RosterSource, RosterStore, RunMode,
    RunOutcome, RunStatus, SinkClosed, SourceDescription, SourceError, SourceFailure, SourceState, StoreError,
};
use crate::report::{RunError, RunReport};
use crate::{Kind, PerKind, RunId};

/// How many batches may wait between a source and the run.
const BATCHES_IN_FLIGHT: usize = 3;

/// Brings one source's rosters into a store.
#[derive(Clone, Copy)]
pub struct Sync<'a> {
    /// Where the rosters are kept.
    pub store: &'a dyn RosterStore,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Who is told how far it has come.
    pub progress: &'a dyn Progress,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncOutcome {
    /// The report, as the store keeps it.
    pub report: RunReport,
    /// The source has more: another run brings it.
    pub more: bool,
}

/// Why a pull could not become a plan.
#[derive(Debug)]
enum Failure {
    Source(SourceError),
    Store(StoreError),
    /// The upstream contradicts itself: a stable code and a message.
    Incomplete(&'static str, String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Sync<'_> {
    /// Makes one run.
    ///
    /// # Errors
    ///
    /// Only where the store cannot even record the run. Everything else that goes wrong is in the report, with the
    /// status `failed` and nothing applied.
    pub async fn run(
        &self,
        run: RunId,
        source_name: &str,
        source: &dyn RosterSource,
        options: &SyncOptions,
    ) -> Result<SyncOutcome, StoreError> {
        let started = self.clock.now();
        let description = source.describe();
        let opened = self.store.source_open(source_name, description.kind).await?;

        let mut report = RunReport::begun(run, source_name);
        let _lease = match self.store.lease(opened.id, run).await {
            Ok(lease) => lease,
            Err(busy @ StoreError::Busy { .. }) => {
                report.status = RunStatus::Failed;
                report.error = Some(run_error(&Failure::Store(busy)));
                let finished = self.clock.now();
                let new = NewRun { id: run, source: opened.id, started };
                let outcome = RunOutcome { run, source: opened.id, report, finished };
                // The run can be looked up later like any other; that it is turned away stands without that.
                if let Err(error) = self.store.run_turned_away(&new, &outcome).await {
                    tracing::error!(run.id = %run, error = %error, "the run that was turned away could not be recorded");
                }
                return Ok(SyncOutcome { report: outcome.report, more: false });
            }
            Err(other) => return Err(other),
        };
        // Another run may have applied something before the lease was ours.
        let state = self.store.source_find(source_name).await?.unwrap_or(opened);
        self.store.run_start(&NewRun { id: run, source: state.id, started }).await?;

        let attempt = Attempt { sync: *self, run, source, description, state, options, started };
        let planned = attempt.plan(&mut report).await;
        let (ending, more) = match planned {
            Ok(planned) => {
                let more = planned.more;
                (attempt.carry_out(planned, &mut report).await, more)
            }
            Err(failure) => (Err(failure), false),
        };
        match ending {
            Ok(()) => {
                let more = more && report.status == RunStatus::Succeeded;
                Ok(SyncOutcome { report, more })
            }
            Err(failure) => {
                report.status = RunStatus::Failed;
                report.counts = PerKind::default();
                report.held_by = Vec::new();
                report.error = Some(run_error(&failure));
                let outcome = attempt.outcome(&mut report);
                // The failure is what the reader needs; a store that cannot record it shows the run as interrupted.
                if let Err(error) = self.store.run_finish(&outcome).await {
                    tracing::error!(run.id = %run, error = %error, "the failed run could not be recorded");
                }
                Ok(SyncOutcome { report: outcome.report, more: false })
            }
        }
    }
}

/// What a pull amounts to.
struct Planned {
    summary: PullSummary,
    /// How many records would change.
    changes: u64,
    more: bool,
}

/// One run under way.
struct Attempt<'a> {
    sync: Sync<'a>,
    run: RunId,
    source: &'a dyn RosterSource,
    description: SourceDescription,
    state: SourceState,
    options: &'a SyncOptions,
    started: Timestamp,
}

impl Attempt<'_> {
    fn scope_changed(&self) -> bool {
        self.state.scope.as_ref().is_some_and(|scope| *scope != self.description.scope)
    }

    /// Pulls, and works out what would change.
    async fn plan(&self, report: &mut RunReport) -> Result<Planned, Failure> {
        let request = PullRequest {
            cursor: if self.scope_changed() { None } else { self.state.cursor.clone() },
            full: self.options.full,
            demographics: self.options.demographics,
        };
        let mut session = Session::new(self.sync.store, &self.state, self.run, self.options, &self.description);
        let mut summary = self.pull(&request, &mut session).await?;
        if !self.options.demographics {
            // What is not stored is neither empty nor absent (R12).
            summary.coverage[Kind::Demographics] = Coverage::Absent;
        }

        report.note.clone_from(&summary.note);
        report.skipped.clone_from(&summary.skipped);
        if !self.options.demographics {
            report.skipped.push(Kind::Demographics.as_str().to_owned());
            if self.state.demographics && !summary.nothing_new {
                let erased = "demographics are switched off for this source, and what is stored of them is erased";
                report.note = Some(report.note.take().map_or(erased.to_owned(), |note| format!("{note}; {erased}")));
            }
        }
        report.mode = mode(&summary);
        let more = summary.more;
        if summary.nothing_new {
            return Ok(Planned { summary, changes: 0, more });
        }

        self.sync.progress.report(ProgressEvent::Checking);
        session.check_complete(&summary).await?;
        session.settle(&summary).await?;
        let deletions = session.derive_deletions(&summary).await?;
        session.resolve_links().await?;
        session.flush().await?;

        report.held_by = session.holds(&summary, &deletions, self.scope_changed());
        if self.options.allow_mass_change {
            report.held_by.clear();
        }
        report.counts = session.counts();
        report.warnings = session.into_warnings();
        let changes = report
            .counts
            .iter()
            .map(|(_, counts)| counts.created + counts.updated + counts.deleted + counts.restored)
            .sum();
        Ok(Planned { summary, changes, more })
    }

    /// Lets the source push into the session until it is done. At most three times it may say that the upstream moved.
    async fn pull(&self, request: &PullRequest, session: &mut Session<'_>) -> Result<PullSummary, Failure> {
        let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
        let pulling = self.source.pull(request, Box::new(ChannelSink(sender)));
        // A failed session drops the receiver, which stops the source: its own error is then the one to report.
        let taking = self.take_all(receiver, session);
        let (pulled, taken) = futures::join!(pulling, taking);
        match (pulled, taken) {
            (Err(stopped), Err(failure)) if stopped.failure == SourceFailure::Stopped => Err(failure),
            (Err(error), _) => Err(Failure::Source(error)),
            (Ok(_), Err(failure)) => Err(failure),
            (Ok(summary), Ok(())) => Ok(summary),
        }
    }

    async fn take_all(&self, mut batches: mpsc::Receiver<Vec<Item>>, session: &mut Session<'_>) -> Result<(), Failure> {
        loop {
            // What the store knows comes first: nothing can be decided before it is there, and then no time is lost.
            let batch = if session.is_looking_ahead() {
                match select(pin!(session.look_ahead()), batches.next()).await {
                    Either::Left((read, _)) => {
                        read?;
                        continue;
                    }
                    Either::Right((batch, _)) => batch,
                }
            } else {
                batches.next().await
            };
            let Some(batch) = batch else { break };
            if let Some(kind) = session.take(batch).await? {
                self.sync.progress.report(ProgressEvent::Received { kind, total: session.received() });
            }
        }
        session.finish_arrival().await
    }

    /// Applies the plan, or shows it, or holds it.
    async fn carry_out(&self, planned: Planned, report: &mut RunReport) -> Result<(), Failure> {
        let store = self.sync.store;
        if planned.summary.nothing_new {
            report.status = if self.options.dry_run { RunStatus::Planned } else { RunStatus::Succeeded };
            let outcome = self.outcome(report);
            return Ok(store.run_finish(&outcome).await?);
        }
        report.status = match (report.held_by.is_empty(), self.options.dry_run) {
            (false, false) => RunStatus::Held,
            (_, true) => RunStatus::Planned,
            (true, false) => RunStatus::Succeeded,
        };
        if report.status == RunStatus::Succeeded {
            self.sync.progress.report(ProgressEvent::Applying { changes: planned.changes });
        }
        let outcome = self.outcome(report);
        let coverage = planned.summary.coverage;
        let commit = Commit {
            outcome,
            basis: self.state.revision,
            cursor: planned.summary.cursor,
            scope: self.description.scope.clone(),
            full: report.mode == RunMode::Full,
            pending_void: coverage
                .iter()
                .filter(|(_, covered)| **covered == Coverage::Snapshot)
                .map(|(kind, _)| kind)
                .collect(),
            demographics: self.options.demographics,
        };
        match report.status {
            RunStatus::Succeeded => {
                store.apply(&commit).await?;
                let outcome = self.outcome(report);
                if let Err(error) = store.run_finish(&outcome).await {
                    tracing::warn!(run.id = %self.run, error = %error, "the applied run shows too short a duration");
                }
            }
            RunStatus::Held => store.plan_keep(&commit).await?,
            _ => store.run_finish(&commit.outcome).await?,
        }
        Ok(())
    }

    fn outcome(&self, report: &mut RunReport) -> RunOutcome {
        let finished = self.sync.clock.now();
        let elapsed = finished.duration_since(self.started).as_millis();
        report.duration_ms = u64::try_from(elapsed).unwrap_or(0);
        RunOutcome { run: self.run, source: self.state.id, report: report.clone(), finished }
    }
}

fn mode(summary: &PullSummary) -> RunMode {
    let read =
        |wanted| summary.coverage.iter().any(|(_, coverage)| *coverage == wanted) || summary.roles == Some(wanted);
    // Where the vendor proves that nothing changed, the changes are what was asked for: there are none.
    match (read(Coverage::Snapshot), read(Coverage::Delta) || read(Coverage::Unchanged)) {
        (true, true) => RunMode::Mixed,
        (false, true) => RunMode::Incremental,
        _ => RunMode::Full,
    }
}

fn run_error(failure: &Failure) -> RunError {
    match failure {
        Failure::Source(error) => {
            RunError { code: error.code.clone(), message: chain(error), problems: error.problems.clone() }
        }
        Failure::Store(error) => {
            RunError { code: error.code().to_owned(), message: chain(error), problems: Vec::new() }
        }
        Failure::Incomplete(code, message) => {
            RunError { code: (*code).to_owned(), message: message.clone(), problems: Vec::new() }
        }
    }
}

/// The message with those of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        message.push_str(": ");
        message.push_str(&inner.to_string());
        cause = inner.source();
    }
    message
}

struct ChannelSink(mpsc::Sender<Vec<Item>>);

#[async_trait::async_trait]
impl BatchSink for ChannelSink {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        self.0.send(batch).await.map_err(|_| SinkClosed)
    }
}

//! The port: finds the package, reads it on a thread of its own, and hands over batches as they come.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rollcall_domain::ports::{
    BatchSink, Capabilities, CheckReport, Clock, EmptySnapshot, Item, PullRequest, PullSummary, Repeats, RosterSource,
    ScopeDigest, SourceDescription, SourceError,
};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::cursor::Memory;
use super::drop_folder::{self, Found, PathKind};
use super::output::Output;
use super::package::{Package, file_name};
use super::reader;
use super::survey::{self, Survey};
use crate::config::CsvConfig;
use crate::error::CsvError;

/// How many batches may wait for the sync, which takes none while it reads what the store knows of their kind.
const WAITING_BATCHES: usize = 16;

/// How the note of a run begins for which a drop folder had no package.
pub const NO_NEW_PACKAGE: &str = "no new package";

/// A source of OneRoster CSV packages.
#[derive(Clone)]
pub struct CsvSource {
    config: CsvConfig,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for CsvSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl CsvSource {
    /// A source with these settings. The clock tells how long a package in a drop folder has been still.
    pub fn new(config: CsvConfig, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock }
    }
}

#[async_trait]
impl RosterSource for CsvSource {
    fn describe(&self) -> SourceDescription {
        SourceDescription {
            kind: "oneroster-csv",
            capabilities: Capabilities {
                // Whether a package is a delta is in the package, not for the caller to choose.
                incremental: false,
                repeats: Repeats::Conflict,
                empty_snapshot: EmptySnapshot::Hold,
            },
            // Whichever folder this week's export lies in, the source sees the same district.
            scope: ScopeDigest("oneroster-csv/1".to_owned()),
        }
    }

    async fn check(&self) -> Result<CheckReport, SourceError> {
        let config = self.config.clone();
        let now = self.clock.now();
        let report =
            spawn_blocking(move || check(&config, now)).await.map_err(|cause| CsvError::Worker { cause })??;
        Ok(report)
    }

    async fn pull(&self, request: &PullRequest, mut sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError> {
        let (sender, mut receiver) = mpsc::channel::<Vec<Item>>(WAITING_BATCHES);
        let config = self.config.clone();
        let request = request.clone();
        let now = self.clock.now();
        let reading = spawn_blocking(move || pull(&config, &request, now, Output::new(sender)));
        let mut stopped = None;
        while let Some(batch) = receiver.recv().await {
            if let Err(closed) = sink.push(batch).await {
                stopped = Some(closed);
                break;
            }
        }
        // The reader notices at its next batch that nobody listens.
        drop(receiver);
        let summary = reading.await.map_err(|cause| CsvError::Worker { cause })?;
        match stopped {
            Some(closed) => Err(closed.into()),
            None => Ok(summary?),
        }
    }
}

fn pull(
    config: &CsvConfig,
    request: &PullRequest,
    now: Timestamp,
    mut output: Output,
) -> Result<PullSummary, CsvError> {
    let mut memory = Memory::of(request.cursor.as_ref())?;
    let was_drop_folder = memory.applied.is_some();
    // Packages that were read without demographics are read again for them.
    let lacks_demographics = request.demographics && !memory.demographics;
    memory.demographics = request.demographics;
    match drop_folder::kind_of(&config.path)? {
        PathKind::Package => {
            let (package, survey) = survey::open(&config.path, config, request.demographics)?;
            read(package, &survey, config, memory, &mut output)
        }
        PathKind::Neither if !is_drop_folder(config, was_drop_folder) => {
            let (package, survey) = survey::open(&config.path, config, request.demographics)?;
            read(package, &survey, config, memory, &mut output)
        }
        PathKind::Neither | PathKind::DropFolder => {
            let applied = memory.applied.as_ref().filter(|_| !request.full && !lacks_demographics);
            let found = drop_folder::look(&config.path, config, request.demographics, applied, now)?;
            let notes = notes_of(&found);
            let Some(next) = found.next else {
                return Ok(PullSummary {
                    cursor: request.cursor.clone(),
                    nothing_new: true,
                    note: Some(join_notes(NO_NEW_PACKAGE.to_owned(), notes)),
                    ..PullSummary::default()
                });
            };
            memory.applied = Some(next.mark);
            let (package, survey) = survey::open(&next.path, config, request.demographics)?;
            let mut summary = read(package, &survey, config, memory, &mut output)?;
            summary.more = next.more;
            summary.note = summary.note.map(|note| join_notes(note, notes));
            Ok(summary)
        }
    }
}

/// Whether a folder without any package is one into which packages are dropped. One from which somebody took the last
/// package still is.
fn is_drop_folder(config: &CsvConfig, was_drop_folder: bool) -> bool {
    config.recurring || (was_drop_folder && config.path.read_dir().is_ok_and(|mut files| files.next().is_none()))
}

fn read(
    mut package: Package,
    survey: &Survey,
    config: &CsvConfig,
    mut memory: Memory,
    output: &mut Output,
) -> Result<PullSummary, CsvError> {
    let name = package.name();
    let origin = survey.system.as_ref().map_or_else(String::new, |system| format!(" from {system}"));
    let note = format!("{name}: OneRoster {}{origin}", survey.version.as_str());
    let is_empty = survey.files.is_empty() && survey.has_manifest;
    let mut summary = reader::read(&mut package, survey, config, &mut memory, output)?;
    summary.cursor = Some(memory.into_cursor()?);
    summary.nothing_new = is_empty;
    summary.note = Some(if is_empty { format!("{note}; the package says that nothing changed") } else { note });
    Ok(summary)
}

fn notes_of(found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    if !found.replaced.is_empty() {
        notes.push(format!("not read because a later package replaces them: {}", found.replaced.join(", ")));
    }
    if !found.late.is_empty() {
        notes.push(format!(
            "not read because they came after a newer package was applied: {}; write them anew to have them applied",
            found.late.join(", ")
        ));
    }
    if !found.unsettled.is_empty() {
        notes.push(format!("still being written: {}", found.unsettled.join(", ")));
    }
    notes
}

fn join_notes(first: String, others: Vec<String>) -> String {
    std::iter::once(first).chain(others).collect::<Vec<_>>().join("; ")
}

/// Surveys the package that a pull would read.
fn check(config: &CsvConfig, now: Timestamp) -> Result<CheckReport, CsvError> {
    let mut report = CheckReport::default();
    let mut fact = |name: &str, value: String| report.facts.push((name.to_owned(), value));
    let path = match drop_folder::kind_of(&config.path)? {
        PathKind::Package => config.path.clone(),
        PathKind::Neither if !is_drop_folder(config, false) => config.path.clone(),
        PathKind::Neither | PathKind::DropFolder => {
            fact("drop folder", config.path.display().to_string());
            let found = drop_folder::look(&config.path, config, true, None, now)?;
            for note in notes_of(&found) {
                fact("note", note);
            }
            let Some(next) = found.next else {
                fact("package", "no package is ready".to_owned());
                return Ok(report);
            };
            next.path
        }
    };
    fact("package", file_name(&path));
    let survey = match survey::open(&path, config, true) {
        Ok((_, survey)) => survey,
        Err(CsvError::Refused { problems, .. }) => {
            report.problems = problems;
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    fact("version", format!("OneRoster {}", survey.version.as_str()));
    fact("manifest", if survey.has_manifest { "yes" } else { "no" }.to_owned());
    if let Some(system) = survey.system {
        fact("source system", system);
    }
    for file in &survey.files {
        let columns = file.header.columns_read(file.table).join(", ");
        fact(&file.entry.place, format!("{}, columns {columns}", file.mode.as_str()));
    }
    for skipped in survey.skipped {
        fact("skipped", skipped);
    }
    Ok(report)
}

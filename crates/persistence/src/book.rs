//! The book of sources, runs and plans.

use std::collections::HashMap;

use rollcall_domain::ports::{
    Commit, Cursor, NewRun, RejectRow, RunFilter, RunOutcome, RunRow, RunStatus, ScopeDigest, SourceRow, SourceState,
    StoreError,
};
use rollcall_domain::report::{RunError, RunReport};
use rollcall_domain::{PerKind, RunId, SourceId, SourcedId};

use crate::connection::{Bind, Connection, Row};
use crate::error::failed;
use crate::layout::LAYOUTS;
use crate::reads::{Sink, instant};
use crate::staging::json;

const SOURCE: &str = "SELECT id, name, kind, cursor, scope, demographics, revision, last_full_us FROM sources";
const RUN: &str = "SELECT r.id, r.run_id, r.source_id, s.name, r.status, r.started_us, r.finished_us, r.report FROM runs r \
                   JOIN sources s ON s.id = r.source_id";

fn source_state(mut row: Row) -> Result<SourceState, StoreError> {
    Ok(SourceState {
        id: SourceId(row.int(0).unwrap_or(0)),
        name: row.string(1).unwrap_or_default(),
        kind: row.string(2).unwrap_or_default(),
        cursor: row.string(3).map(Cursor),
        scope: row.string(4).map(ScopeDigest),
        demographics: row.int(5) == Some(1),
        revision: row.int(6).unwrap_or(0),
        last_full: row.int(7).map(|us| instant(Some(us), "sources", "last_full_us")).transpose()?,
    })
}

pub(crate) fn source_find(connection: &mut Connection, name: &str) -> Result<Option<SourceState>, StoreError> {
    let sql = format!("{SOURCE} WHERE name = ?");
    connection.first("find a source", &sql, &[Bind::text(name)])?.map(source_state).transpose()
}

pub(crate) fn source_open(connection: &mut Connection, name: &str, kind: &str) -> Result<SourceState, StoreError> {
    if let Some(state) = source_find(connection, name)?
        && state.kind == kind
    {
        return Ok(state);
    }
    connection.execute(
        "make a source",
        "INSERT INTO sources (name, kind) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET kind = excluded.kind",
        &[Bind::text(name), Bind::text(kind)],
    )?;
    source_find(connection, name)?.ok_or_else(|| failed("make a source", "it was not there afterwards"))
}

pub(crate) fn source_by_id(connection: &mut Connection, source: SourceId) -> Result<SourceState, StoreError> {
    let sql = format!("{SOURCE} WHERE id = ?");
    let row = connection.first("find a source", &sql, &[Bind::int(source.0)])?;
    row.map(source_state).transpose()?.ok_or_else(|| failed("find a source", "there is no source of that number"))
}

/// A source with its live records and its last run.
type Listed = (SourceState, PerKind<u64>, Option<Book>);

/// All sources with their live records and the rows of their last runs.
pub(crate) fn source_list(connection: &mut Connection) -> Result<Vec<Listed>, StoreError> {
    let mut live: HashMap<i64, PerKind<u64>> = HashMap::new();
    for layout in &LAYOUTS {
        let sql =
            format!("SELECT source_id, count(*) FROM {} WHERE deleted_at_us IS NULL GROUP BY source_id", layout.table);
        connection.each("count records", &sql, &[], |row| {
            live.entry(row.int(0).unwrap_or(0)).or_default()[layout.kind] = row.int(1).unwrap_or(0).unsigned_abs();
            Ok(())
        })?;
    }
    let mut last = HashMap::new();
    let sql = format!("{RUN} WHERE r.id IN (SELECT max(id) FROM runs GROUP BY source_id)");
    for row in connection.rows("read runs", &sql, &[])? {
        let book = Book::read(row)?;
        last.insert(book.source, book);
    }
    let mut sources = Vec::new();
    for row in connection.rows("list the sources", &format!("{SOURCE} ORDER BY name"), &[])? {
        let state = source_state(row)?;
        let live = live.remove(&state.id.0).unwrap_or_default();
        let last = last.remove(&state.id);
        sources.push((state, live, last));
    }
    sources.sort_by(|one, other| one.0.name.cmp(&other.0.name));
    Ok(sources)
}

/// A run as the book has it.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) number: i64,
    pub(crate) source: SourceId,
    pub(crate) row: RunRow,
}

impl Book {
    fn read(mut row: Row) -> Result<Self, StoreError> {
        let number = row.int(0).unwrap_or(0);
        let bad = |column| StoreError::Inconsistent { table: "runs", column, row: number };
        let id = row.text(1).and_then(|text| text.parse().ok()).map(RunId).ok_or_else(|| bad("run_id"))?;
        let source = SourceId(row.int(2).unwrap_or(0));
        let name = row.string(3).unwrap_or_default();
        let status = row.text(4).as_deref().and_then(RunStatus::from_token).ok_or_else(|| bad("status"))?;
        let mut report = match row.text(7) {
            None => RunReport::begun(id, &name),
            Some(text) => serde_json::from_str(&text).map_err(|_| bad("report"))?,
        };
        report.status = status;
        let started = instant(row.int(5), "runs", "started_us")?;
        let finished = row.int(6).map(|us| instant(Some(us), "runs", "finished_us")).transpose()?;
        Ok(Self { number, source, row: RunRow { id, source: name, started, finished, report } })
    }

    /// Shows a run whose process is gone as what it is.
    pub(crate) fn interrupt(&mut self) {
        self.row.report.status = RunStatus::Failed;
        self.row.report.error = Some(RunError {
            code: "interrupted".to_owned(),
            message: "the process of this run ended before the run did; nothing of it was applied, and it can be started again"
                .to_owned(),
            problems: Vec::new(),
        });
    }

    pub(crate) fn is_running(&self) -> bool {
        self.row.report.status == RunStatus::Running
    }
}

pub(crate) fn run_find(connection: &mut Connection, run: RunId) -> Result<Option<Book>, StoreError> {
    let sql = format!("{RUN} WHERE r.run_id = ?");
    connection.first("find a run", &sql, &[Bind::owned(run.to_string())])?.map(Book::read).transpose()
}

pub(crate) fn run_list(connection: &mut Connection, filter: &RunFilter, limit: u32) -> Result<Vec<Book>, StoreError> {
    let limit = Bind::int(i64::from(limit));
    let order = "ORDER BY r.started_us DESC, r.id DESC LIMIT ?";
    let rows = match &filter.source {
        None => connection.rows("list the runs", &format!("{RUN} {order}"), &[limit])?,
        Some(source) => connection.rows(
            "list the runs",
            &format!("{RUN} WHERE s.name = ? {order}"),
            &[Bind::text(source), limit],
        )?,
    };
    rows.into_iter().map(Book::read).collect()
}

/// The number of a run's row.
pub(crate) fn run_number(connection: &mut Connection, run: RunId) -> Result<i64, StoreError> {
    run_find(connection, run)?
        .map(|book| book.number)
        .ok_or_else(|| failed("find a run", format!("there is no run {run}")))
}

/// Begins a run, and ends those of its source whose processes are gone.
pub(crate) fn run_start(connection: &mut Connection, run: &NewRun) -> Result<(), StoreError> {
    let sql = format!("{RUN} WHERE r.source_id = ? AND r.status = 'running'");
    for row in connection.rows("look for interrupted runs", &sql, &[Bind::int(run.source.0)])? {
        let mut book = Book::read(row)?;
        book.interrupt();
        connection.execute(
            "end an interrupted run",
            "UPDATE runs SET status = 'failed', report = ? WHERE id = ?",
            &[Bind::owned(json(&book.row.report)), Bind::int(book.number)],
        )?;
    }
    run_insert(connection, run)
}

/// Enters a run and looks at no other.
pub(crate) fn run_insert(connection: &mut Connection, run: &NewRun) -> Result<(), StoreError> {
    connection.execute(
        "begin a run",
        "INSERT INTO runs (run_id, source_id, status, started_us) VALUES (?, ?, 'running', ?)",
        &[Bind::owned(run.id.to_string()), Bind::int(run.source.0), Bind::int(run.started.as_microsecond())],
    )?;
    Ok(())
}

/// Ends a run.
pub(crate) fn run_end(connection: &mut Connection, outcome: &RunOutcome) -> Result<(), StoreError> {
    let touched = connection.execute(
        "end a run",
        "UPDATE runs SET status = ?, finished_us = ?, report = ? WHERE run_id = ?",
        &[
            Bind::text(outcome.report.status.as_str()),
            Bind::int(outcome.finished.as_microsecond()),
            Bind::owned(json(&outcome.report)),
            Bind::owned(outcome.run.to_string()),
        ],
    )?;
    if touched == 1 { Ok(()) } else { Err(failed("end a run", format!("there is no run {}", outcome.run))) }
}

pub(crate) fn run_rejects(
    connection: &mut Connection,
    run: RunId,
    sink: Sink<'_, RejectRow>,
) -> Result<(), StoreError> {
    let Some(book) = run_find(connection, run)? else { return Ok(()) };
    let sql = "SELECT number, kind, sourced_id, location, findings, record FROM rejects \
               WHERE run_id = ? AND number > ? ORDER BY number LIMIT 2000";
    let mut after = 0;
    loop {
        let mut page = Vec::new();
        connection.each("read rejects", sql, &[Bind::int(book.number), Bind::int(after)], |mut row| {
            let number = row.int(0).unwrap_or(0);
            after = number;
            let bad = |column| StoreError::Inconsistent { table: "rejects", column, row: number };
            page.push(RejectRow {
                number,
                kind: row.text(1).and_then(|text| text.parse().ok()).ok_or_else(|| bad("kind"))?,
                sourced_id: row.text(2).and_then(|text| SourcedId::try_from(text).ok()),
                location: row.string(3).unwrap_or_default(),
                findings: row
                    .text(4)
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .ok_or_else(|| bad("findings"))?,
                record: row.text(5).map(|text| serde_json::from_str(&text)).transpose().map_err(|_| bad("record"))?,
            });
            Ok(())
        })?;
        if page.is_empty() || !sink(page) {
            return Ok(());
        }
    }
}

/// A kept plan as the book has it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) encoding: i16,
    pub(crate) commit: Commit,
    pub(crate) lapsed: bool,
}

const PLAN: &str = "SELECT p.encoding, p.plan, s.revision <> p.basis FROM plans p \
                    JOIN runs r ON r.id = p.run_id JOIN sources s ON s.id = p.source_id";

fn plan(mut row: Row) -> Result<Plan, StoreError> {
    let bad = |column| StoreError::Inconsistent { table: "plans", column, row: 0 };
    Ok(Plan {
        encoding: row.int(0).and_then(|version| i16::try_from(version).ok()).unwrap_or(0),
        commit: row.text(1).and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| bad("plan"))?,
        lapsed: row.int(2) == Some(1),
    })
}

pub(crate) fn plan_find(connection: &mut Connection, run: RunId) -> Result<Option<Plan>, StoreError> {
    let sql = format!("{PLAN} WHERE r.run_id = ?");
    connection.first("find a plan", &sql, &[Bind::owned(run.to_string())])?.map(plan).transpose()
}

/// The runs whose plans are kept, of one source or of all.
pub(crate) fn plan_runs(connection: &mut Connection, source: Option<SourceId>) -> Result<Vec<RunId>, StoreError> {
    let of = source.map_or_else(String::new, |source| format!(" WHERE p.source_id = {}", source.0));
    let sql = format!("SELECT r.run_id FROM plans p JOIN runs r ON r.id = p.run_id{of}");
    let rows = connection.rows("list the plans", &sql, &[])?;
    Ok(rows.into_iter().filter_map(|mut row| row.text(0)?.parse().ok().map(RunId)).collect())
}

/// Ends the held runs of a source's plans, but for one run's.
pub(crate) fn plans_end(
    connection: &mut Connection,
    source: SourceId,
    but: RunId,
    status: RunStatus,
) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET status = ? WHERE status = 'held' AND run_id <> ? \
               AND id IN (SELECT run_id FROM plans WHERE source_id = ?)";
    let binds = [Bind::text(status.as_str()), Bind::owned(but.to_string()), Bind::int(source.0)];
    connection.execute("end a held run", sql, &binds)?;
    Ok(())
}

pub(crate) fn plan_write(connection: &mut Connection, commit: &Commit, number: i64) -> Result<(), StoreError> {
    connection.execute(
        "keep a plan",
        "INSERT INTO plans (run_id, source_id, basis, encoding, plan) VALUES (?, ?, ?, ?, ?)",
        &[
            Bind::int(number),
            Bind::int(commit.outcome.source.0),
            Bind::int(commit.basis),
            Bind::int(i64::from(rollcall_domain::ENCODING_VERSION)),
            Bind::owned(json(commit)),
        ],
    )?;
    Ok(())
}

pub(crate) fn plan_drop(connection: &mut Connection, run: RunId) -> Result<(), StoreError> {
    connection.execute(
        "drop a plan",
        "DELETE FROM plans WHERE run_id IN (SELECT id FROM runs WHERE run_id = ?)",
        &[Bind::owned(run.to_string())],
    )?;
    Ok(())
}

/// Puts a listing's row together.
pub(crate) fn source_row(state: SourceState, live: PerKind<u64>, last_run: Option<Book>) -> SourceRow {
    SourceRow { state, live, last_run: last_run.map(|book| book.row) }
}

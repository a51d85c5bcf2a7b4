//! The port, on top of the rest: connections, blocking work off the runtime's threads, and the staging of running runs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt as _;
use rollcall_domain::ports::{
    Applied, ChangeEntry, ChildKey, Commit, DanglingLink, Fetched, KeptPlan, Lease, NewRun, Pages, RejectRow, RoleBook,
    RosterStore, RunFilter, RunOutcome, RunRow, RunStatus, SourceRow, SourceState, StagedChange, StoreError,
    StoredFingerprint,
};
use rollcall_domain::{ENCODING_VERSION, Kind, PendingRecord, PerKind, Record, RefField, RunId, SourceId, SourcedId};
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::ahead::Ahead;
use crate::connection::{Bind, Connection, Engine};
use crate::error::{Origin, failed};
use crate::layout::{LAYOUTS, Layout};
use crate::merge::{self, Dying, Merge};
use crate::migrate::{self, MigrationStatus};
use crate::staging::Staging;
use crate::url::Target;
use crate::{book, load, postgres, reads, role_books, sqlite};

/// How many idle connections are kept.
const IDLE: usize = 4;

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Reading only: the schema is not touched, and neither database nor folder need be writable.
    Read,
    /// Reading and writing: the schema is brought up to date, and what dead runs have left is swept up.
    #[default]
    Write,
}

/// How to open a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// What for.
    pub access: Access,
}

/// A database that Rollcall keeps rosters in.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("origin", &self.0.origin).finish_non_exhaustive()
    }
}

struct Inner {
    target: Target,
    url: SecretString,
    access: Access,
    origin: Arc<Origin>,
    idle: Mutex<Vec<Connection>>,
    stagings: Mutex<HashMap<RunId, Arc<Mutex<Staging>>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic may have left half done is a transaction, and that has been rolled back.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the store behind a database URL: `sqlite://rollcall.db`, or `postgres://user@host/database`.
///
/// # Errors
///
/// See [`Database::open`].
pub async fn open(url: &SecretString, options: OpenOptions) -> Result<Arc<dyn RosterStore>, StoreError> {
    Ok(Database::open(url, options).await?.store())
}

impl Database {
    /// Connects, without looking at the schema.
    ///
    /// For PostgreSQL the URL is libpq's: how strictly TLS is asked for is its `sslmode`. libpq's default, `prefer`,
    /// falls back to clear text; across a network ask for `sslmode=verify-full`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`], [`StoreError::Denied`] or [`StoreError::NotWritable`], with what to do.
    pub async fn connect(url: &SecretString, access: Access) -> Result<Self, StoreError> {
        let target = Target::parse(url)?;
        let origin = Arc::new(target.origin());
        let inner =
            Inner { target, url: url.clone(), access, origin, idle: Mutex::default(), stagings: Mutex::default() };
        let database = Self(Arc::new(inner));
        database.run(|inner| inner.with(|_| Ok(()))).await?;
        Ok(database)
    }

    /// Connects and sees that the schema is this program's: for writing it is brought up to date, for reading it has to
    /// be so already.
    ///
    /// # Errors
    ///
    /// As for [`Database::connect`], and [`StoreError::Schema`]; for reading also
    /// [`StoreError::Absent`].
    pub async fn open(url: &SecretString, options: OpenOptions) -> Result<Self, StoreError> {
        let database = Self::connect(url, options.access).await?;
        let migrations = database.migration_status().await?;
        let pending = migrations.iter().any(|migration| !migration.applied);
        if options.access == Access::Read && migrations.iter().all(|migration| !migration.applied) {
            return Err(StoreError::Absent {
                message: format!(
                    "the database {} has no tables of Rollcall's yet; the first import or `rollcall db migrate` makes \
                     them, or name another one",
                    database.0.origin.shown
                ),
            });
        }
        match (options.access, pending) {
            (Access::Write, true) => database.migrate().await?,
            (Access::Read, true) => {
                return Err(StoreError::Schema {
                    message: format!(
                        "the schema of the database {} is older than this program; run `rollcall db migrate`",
                        database.0.origin.shown
                    ),
                });
            }
            (_, false) => {}
        }
        if options.access == Access::Write {
            database.run(Inner::sweep).await?;
        }
        Ok(database)
    }

    /// Applies the migrations that are missing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if the database is not Rollcall's or is newer.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.run(|inner| inner.migrating(migrate::run)).await
    }

    /// Takes every migration back, and all rosters with them. For tests of the migrations.
    #[doc(hidden)]
    pub async fn revert_migrations(&self) -> Result<(), StoreError> {
        self.run(|inner| inner.migrating(migrate::revert)).await
    }

    /// Every migration with whether it has been applied, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Schema`] if the database is not Rollcall's or is newer.
    pub async fn migration_status(&self) -> Result<Vec<MigrationStatus>, StoreError> {
        self.run(|inner| inner.with(migrate::status)).await
    }

    /// The store in it.
    pub fn store(&self) -> Arc<dyn RosterStore> {
        Arc::new(self.clone())
    }

    /// Runs blocking work off the runtime's threads.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .unwrap_or_else(|error| Err(failed("finish its work", error)))
    }

    /// Streams the pages of a read, all of one unmoving view of the store. The reader waits while nobody takes them.
    fn pages<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection, reads::Sink<'_, T>) -> Result<(), StoreError> + Send + 'static,
    ) -> Pages<T> {
        let inner = Arc::clone(&self.0);
        let begin = async move {
            let (sender, receiver) = mpsc::channel(2);
            tokio::task::spawn_blocking(move || {
                let done = inner.with(|connection| {
                    connection.reading("read", |connection| {
                        read(connection, &mut |page| sender.blocking_send(Ok(page)).is_ok())
                    })?;
                    connection.forget_pages()
                });
                if let Err(error) = done {
                    let _ = sender.blocking_send(Err(error));
                }
            });
            futures::stream::unfold(receiver, |mut receiver| async {
                receiver.recv().await.map(|page| (page, receiver))
            })
        };
        futures::stream::once(begin).flatten().boxed()
    }
}

impl Inner {
    fn connect(&self) -> Result<Connection, StoreError> {
        match (&self.target, self.access) {
            (Target::Sqlite(path), Access::Write) => {
                let mut connection = sqlite::open(path, &self.origin)?;
                // The mode is a property of the file; on a read-only one it stays what it is.
                match connection.rows("open it", "PRAGMA journal_mode = WAL", &[]) {
                    Ok(_) | Err(StoreError::NotWritable { .. }) => Ok(connection),
                    Err(error) => Err(error),
                }
            }
            (Target::Sqlite(path), Access::Read) => sqlite::open_read_only(path, &self.origin),
            (Target::Postgres(_), _) => postgres::open(&self.url, &self.origin),
        }
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = locked(&self.idle).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.connect(),
        }
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = locked(&self.idle);
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }

    /// Works on a connection. One on which something failed is not used again.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut connection = self.take()?;
        let value = work(&mut connection)?;
        self.give_back(connection);
        Ok(value)
    }

    fn writing<T>(
        &self,
        action: &str,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with(|connection| connection.writing(action, work))
    }

    fn migrating(&self, work: impl FnOnce(&mut Connection) -> Result<(), StoreError>) -> Result<(), StoreError> {
        match &self.target {
            Target::Sqlite(path) => {
                let _lock = sqlite::migration_lock(path)?;
                self.with(work)
            }
            Target::Postgres(_) => self.with(|connection| {
                postgres::migration_lock(connection, true)?;
                let done = work(connection);
                postgres::migration_lock(connection, false).and(done)
            }),
        }
    }

    fn database(&self) -> Option<&Path> {
        match &self.target {
            Target::Sqlite(path) => Some(path),
            Target::Postgres(_) => None,
        }
    }

    // -- leases and what dead runs leave --------------------------------------------------------------------------------

    fn leased(&self, connection: &mut Connection, source: SourceId) -> Result<bool, StoreError> {
        match &self.target {
            Target::Sqlite(path) => Ok(sqlite::leased(path, source)),
            Target::Postgres(_) => postgres::leased(connection, source),
        }
    }

    /// Removes staged data that belongs to no kept plan and to no process.
    fn sweep(&self) -> Result<(), StoreError> {
        self.with(|connection| {
            match &self.target {
                Target::Sqlite(path) => {
                    for (file, source, run) in sqlite::leftovers(path) {
                        let free = sqlite::lease(path, source).ok().flatten();
                        if free.is_some() && !book::plan_runs(connection, Some(source))?.contains(&run) {
                            let _ = std::fs::remove_file(file);
                        }
                    }
                }
                Target::Postgres(_) => {
                    for (schema, source, run) in postgres::plan_schemas(connection)? {
                        let kept = book::plan_runs(connection, Some(source))?.contains(&run);
                        if !kept && !postgres::leased(connection, source)? {
                            let sql = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
                            connection.batch("remove a dropped plan", &sql)?;
                        }
                    }
                }
            }
            Ok(())
        })
    }

    /// Shows the running runs whose processes are gone as failed.
    fn shown(&self, connection: &mut Connection, books: &mut [book::Book]) -> Result<(), StoreError> {
        let mut leased = HashMap::new();
        for book in books.iter_mut().filter(|book| book.is_running()) {
            let taken = if let Some(taken) = leased.get(&book.source) {
                *taken
            } else {
                let taken = self.leased(connection, book.source)?;
                leased.insert(book.source, taken);
                taken
            };
            if !taken {
                book.interrupt();
            }
        }
        Ok(())
    }

    // -- staging --------------------------------------------------------------------------------------------------------

    fn staging(&self, run: RunId) -> Option<Arc<Mutex<Staging>>> {
        locked(&self.stagings).get(&run).map(Arc::clone)
    }

    fn new_staging(&self, source: SourceId, run: RunId) -> Result<Staging, StoreError> {
        let mut connection = self.connect()?;
        let is_new = !load::has_records(&mut connection, source, None)?;
        let file = match self.database() {
            None => None,
            Some(path) => {
                sqlite::make_folder(path)?;
                let file = sqlite::scratch_file(path, source, run);
                // A run that is staged anew begins with nothing.
                let _ = std::fs::remove_file(&file);
                sqlite::attach(&mut connection, &file)?;
                Some(file)
            }
        };
        let mut staging = Staging::new(connection, file);
        if is_new {
            staging.keep_ordinals();
        }
        Ok(staging)
    }

    fn staging_or_new(&self, source: SourceId, run: RunId) -> Result<Arc<Mutex<Staging>>, StoreError> {
        if let Some(staging) = self.staging(run) {
            return Ok(staging);
        }
        let staging = Arc::new(Mutex::new(self.new_staging(source, run)?));
        Ok(Arc::clone(locked(&self.stagings).entry(run).or_insert(staging)))
    }

    fn forget(&self, run: RunId) {
        let staging = locked(&self.stagings).remove(&run);
        drop(staging);
    }

    /// Takes up the staging of a kept plan.
    fn kept_staging(&self, source: SourceId, run: RunId) -> Result<Staging, StoreError> {
        let mut connection = self.connect()?;
        let mut present = HashSet::new();
        let sql = match &self.target {
            Target::Sqlite(path) => {
                let file = sqlite::scratch_file(path, source, run);
                if !file.exists() {
                    return Err(failed("find what a held run has staged", format!("{} is gone", file.display())));
                }
                sqlite::attach(&mut connection, &file)?;
                "SELECT name FROM staging.sqlite_master WHERE type = 'table'".to_owned()
            }
            Target::Postgres(_) => {
                let schema = postgres::plan_schema(source, run);
                let path = connection
                    .first("find what a held run has staged", "SELECT current_setting('search_path')", &[])?
                    .and_then(|mut row| row.string(0))
                    .unwrap_or_else(|| "public".to_owned());
                connection.batch("find what a held run has staged", &format!("SET search_path TO {path}, {schema}"))?;
                format!("SELECT table_name::text FROM information_schema.tables WHERE table_schema = '{schema}'")
            }
        };
        connection.each("find what a held run has staged", &sql, &[], |mut row| {
            present.extend(row.string(0));
            Ok(())
        })?;
        Staging::resume(connection, &present)
    }

    /// Drops what held runs have staged, inside the transaction where the engine can.
    fn drop_kept(
        &self,
        connection: &mut Connection,
        source: SourceId,
        runs: &[RunId],
    ) -> Result<Vec<PathBuf>, StoreError> {
        let mut files = Vec::new();
        for run in runs {
            match &self.target {
                Target::Sqlite(path) => files.push(sqlite::scratch_file(path, source, *run)),
                Target::Postgres(_) => {
                    let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", postgres::plan_schema(source, *run));
                    connection.batch("drop what a held run has staged", &sql)?;
                }
            }
        }
        Ok(files)
    }

    // -- ends of runs -----------------------------------------------------------------------------------------------------

    fn finish(&self, outcome: &RunOutcome) -> Result<(), StoreError> {
        match self.staging(outcome.run) {
            None => self.writing("end a run", |connection| book::run_end(connection, outcome))?,
            Some(staging) => {
                let staging = &mut *locked(&staging);
                in_transaction(staging, "end a run", |staging| {
                    book::run_end(&mut staging.connection, outcome)?;
                    let run = book::run_number(&mut staging.connection, outcome.run)?;
                    merge(staging, outcome, run, 0, ENCODING_VERSION).rejects()
                })?;
            }
        }
        self.forget(outcome.run);
        Ok(())
    }

    fn apply(&self, commit: &Commit) -> Result<Applied, StoreError> {
        let (source, run) = (commit.outcome.source, commit.outcome.run);
        let plan = self.with(|connection| book::plan_find(connection, run))?;
        let (staging, encoding) = match (self.staging(run), &plan) {
            (Some(staging), _) => (staging, ENCODING_VERSION),
            (None, Some(plan)) if plan.lapsed => return Err(StoreError::MovedOn),
            (None, Some(plan)) => (Arc::new(Mutex::new(self.kept_staging(source, run)?)), plan.encoding),
            (None, None) => {
                let connection = self.take()?;
                (Arc::new(Mutex::new(Staging::new(connection, None))), ENCODING_VERSION)
            }
        };
        let staging = &mut *locked(&staging);
        let (applied, files, erased) = self.apply_checked(staging, commit, encoding)?;
        if erased && staging.connection.engine() == Engine::Sqlite {
            // Erased rows may leave copies in the free space of pages that are still used; rewriting the file ends them.
            // What is applied stays applied if that fails.
            let _ = staging.connection.batch("rewrite the file", "VACUUM main");
        }
        for file in files {
            let _ = std::fs::remove_file(file);
        }
        self.forget(run);
        Ok(applied)
    }

    /// Applies in a transaction; the first one of all with the foreign keys checked at its end.
    fn apply_checked(&self, staging: &mut Staging, commit: &Commit, encoding: i16) -> Result<Done, StoreError> {
        const ACTION: &str = "apply the changes";
        load::make_room(&mut staging.connection, commit.outcome.source)?;
        if load::is_first(&mut staging.connection)? {
            let records = staging.puts.iter().map(|(_, puts)| puts).sum();
            load::prepare_first(&mut staging.connection, records)?;
            let applied = in_transaction(staging, ACTION, |staging| {
                // Somebody else may have been first.
                if !load::is_first(&mut staging.connection)? {
                    return Ok(None);
                }
                let done = self.apply_in_transaction(staging, commit, encoding)?;
                load::check_keys(&mut staging.connection, LAYOUTS.iter().flat_map(Layout::tables))?;
                Ok(Some(done))
            });
            let ended = load::end_first(&mut staging.connection);
            if let Some(done) = applied? {
                // What is applied is applied; the connection goes with the staging.
                return Ok(done);
            }
            ended?;
        }
        in_transaction(staging, ACTION, |staging| self.apply_in_transaction(staging, commit, encoding))
    }

    fn apply_in_transaction(&self, staging: &mut Staging, commit: &Commit, encoding: i16) -> Result<Done, StoreError> {
        let (source, run) = (commit.outcome.source, commit.outcome.run);
        let connection = &mut staging.connection;
        let lock = match connection.engine() {
            Engine::Sqlite => "",
            Engine::Postgres => " FOR UPDATE",
        };
        let sql = format!("SELECT revision, last_sequence, demographics FROM sources WHERE id = ?{lock}");
        let row = connection
            .first("lock the source", &sql, &[Bind::int(source.0)])?
            .ok_or_else(|| failed("lock the source", "there is no source of that number"))?;
        let revision = row.int(0).unwrap_or(0);
        if revision != commit.basis {
            return Err(StoreError::MovedOn);
        }
        let erase = row.int(2) == Some(1) && !commit.demographics;
        let number = book::run_number(connection, run)?;
        let sequence = {
            let mut merge = merge(staging, &commit.outcome, number, row.int(1).unwrap_or(0), encoding);
            self.read_ahead(&mut merge)?;
            merge.records()?;
            if let Some(connection) = std::mem::take(&mut merge.ahead).end() {
                self.give_back(connection);
            }
            merge.rejects()?;
            merge.pending(&commit.pending_void)?;
            merge.sequence
        };
        role_books::apply(staging, source)?;
        let connection = &mut staging.connection;
        if erase {
            merge::erase_demographics(connection, source)?;
        }
        merge::source_row(connection, commit, revision + 1, sequence)?;
        book::run_end(connection, &commit.outcome)?;
        // Whatever else was held for this source can never be applied any more.
        let kept = book::plan_runs(connection, Some(source))?;
        let mut files = Vec::new();
        if !kept.is_empty() {
            book::plans_end(connection, source, run, RunStatus::Lapsed)?;
            book::plan_drop(connection, run)?;
            files = self.drop_kept(connection, source, &kept)?;
        }
        Ok((Applied { revision: revision + 1 }, files, erase))
    }

    /// Lets another connection read what this transaction is going to delete.
    fn read_ahead(&self, merge: &mut Merge<'_>) -> Result<(), StoreError> {
        if merge.dying.is_empty() {
            return Ok(());
        }
        let connection = &mut merge.staging.connection;
        // Without the log a writer keeps readers off.
        let mode = match connection.engine() {
            Engine::Sqlite => connection.first("see how the file is kept", "PRAGMA main.journal_mode", &[])?,
            Engine::Postgres => None,
        };
        let can_be_read = mode.is_none_or(|mut mode| mode.text(0).is_some_and(|mode| mode == "wal"));
        if can_be_read && let Ok(connection) = self.take() {
            merge.ahead = Ahead::on(connection, merge.source);
        }
        merge.ask_ahead()
    }

    fn keep(&self, plan: &Commit) -> Result<(), StoreError> {
        let (source, run) = (plan.outcome.source, plan.outcome.run);
        let staging = self.staging_or_new(source, run)?;
        let staging = &mut *locked(&staging);
        if let Some(file) = &staging.file {
            let synced = std::fs::File::open(file).and_then(|file| file.sync_all());
            synced.map_err(|error| crate::error::file_failed("keep what a held run has staged", file, error))?;
        }
        let files = in_transaction(staging, "keep a plan", |staging| {
            book::run_end(&mut staging.connection, &plan.outcome)?;
            let number = book::run_number(&mut staging.connection, run)?;
            // What was refused is what somebody reads before the plan is approved.
            merge(staging, &plan.outcome, number, 0, ENCODING_VERSION).rejects()?;
            let older: Vec<_> = book::plan_runs(&mut staging.connection, Some(source))?;
            book::plans_end(&mut staging.connection, source, run, RunStatus::Superseded)?;
            for older in &older {
                book::plan_drop(&mut staging.connection, *older)?;
            }
            let files = self.drop_kept(&mut staging.connection, source, &older)?;
            book::plan_write(&mut staging.connection, plan, number)?;
            if staging.connection.engine() == Engine::Postgres {
                let schema = postgres::plan_schema(source, run);
                let mut sql = format!("CREATE SCHEMA {schema};");
                for table in staging.tables() {
                    sql += &format!("CREATE TABLE {schema}.{table} AS TABLE {table};");
                }
                staging.connection.batch("keep a plan", &sql)?;
            }
            Ok(files)
        })?;
        for file in files {
            let _ = std::fs::remove_file(file);
        }
        // The file stays for whoever applies the plan.
        staging.file = None;
        self.forget(run);
        Ok(())
    }

    fn discard(&self, run: RunId) -> Result<(), StoreError> {
        let files = self.writing("drop a plan", |connection| {
            let Some(plan) = book::plan_find(connection, run)? else { return Ok(Vec::new()) };
            let source = plan.commit.outcome.source;
            book::plan_drop(connection, run)?;
            connection.execute(
                "drop a plan",
                "UPDATE runs SET status = 'discarded' WHERE run_id = ?",
                &[Bind::owned(run.to_string())],
            )?;
            self.drop_kept(connection, source, &[run])
        })?;
        for file in files {
            let _ = std::fs::remove_file(file);
        }
        Ok(())
    }

    fn fetch(&self, source: SourceId, run: RunId, kind: Kind, ids: &[SourcedId]) -> Result<Vec<Fetched>, StoreError> {
        let stored = self.with(|connection| reads::stored(connection, source, kind, ids))?;
        let staged = match self.staging(run) {
            Some(staging) => reads::staged(&mut locked(&staging), kind, ids)?,
            None => Vec::new(),
        };
        Ok(reads::join_fetched(ids, stored, staged))
    }

    fn holders(
        &self,
        source: SourceId,
        run: RunId,
        field: RefField,
        targets: &[SourcedId],
    ) -> Result<Vec<ChildKey>, StoreError> {
        let mut stored = self.with(|connection| reads::stored_holders(connection, source, field, targets))?;
        let Some(staging) = self.staging(run) else { return Ok(stored) };
        let staging = &mut *locked(&staging);
        let staged = reads::staged_holders(staging, field, targets)?;
        let ids: Vec<SourcedId> = stored.iter().map(|key| key.sourced_id.clone()).collect();
        if !ids.is_empty() {
            let again = reads::staged_ids(staging, field.holder(), &ids)?;
            stored.retain(|key| !again.contains(&key.sourced_id));
        }
        stored.extend(staged);
        Ok(stored)
    }
}

fn merge<'a>(staging: &'a mut Staging, outcome: &RunOutcome, run: i64, sequence: i64, encoding: i16) -> Merge<'a> {
    let dying = Dying::of(staging);
    Merge {
        staging,
        source: outcome.source,
        run,
        at_us: outcome.finished.as_microsecond(),
        sequence,
        encoding,
        ahead: Ahead::default(),
        dying,
        numberings: PerKind::default(),
    }
}

/// What was applied, files to remove, and whether demographics were erased.
type Done = (Applied, Vec<PathBuf>, bool);

/// Runs `work` in a transaction of the staging's connection.
fn in_transaction<T>(
    staging: &mut Staging,
    action: &str,
    work: impl FnOnce(&mut Staging) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let begin = match staging.connection.engine() {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN",
    };
    staging.connection.batch(action, begin)?;
    match work(staging).and_then(|value| staging.connection.batch(action, "COMMIT").map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => {
            // The first error is the one to tell; after some of them the engine has rolled back by itself.
            let _ = staging.connection.batch(action, "ROLLBACK");
            staging.rolled_back();
            Err(error)
        }
    }
}

#[async_trait]
impl RosterStore for Database {
    async fn source_open(&self, name: &str, kind: &str) -> Result<SourceState, StoreError> {
        let (name, kind) = (name.to_owned(), kind.to_owned());
        self.run(move |inner| inner.with(|connection| book::source_open(connection, &name, &kind))).await
    }

    async fn source_find(&self, name: &str) -> Result<Option<SourceState>, StoreError> {
        let name = name.to_owned();
        self.run(move |inner| inner.with(|connection| book::source_find(connection, &name))).await
    }

    async fn source_list(&self) -> Result<Vec<SourceRow>, StoreError> {
        self.run(|inner| {
            inner.with(|connection| {
                let mut rows = Vec::new();
                for (state, live, last) in book::source_list(connection)? {
                    let mut last = last.into_iter().collect::<Vec<_>>();
                    inner.shown(connection, &mut last)?;
                    rows.push(book::source_row(state, live, last.pop()));
                }
                Ok(rows)
            })
        })
        .await
    }

    async fn lease(&self, source: SourceId, _run: RunId) -> Result<Box<dyn Lease>, StoreError> {
        self.run(move |inner| {
            let lease = match inner.database() {
                Some(path) => sqlite::lease(path, source)?,
                None => postgres::lease(inner.connect()?, source)?,
            };
            if let Some(lease) = lease {
                return Ok(lease);
            }
            let state = inner.with(|connection| book::source_by_id(connection, source))?;
            Err(StoreError::Busy { source_name: state.name })
        })
        .await
    }

    async fn run_start(&self, run: &NewRun) -> Result<(), StoreError> {
        let run = run.clone();
        self.run(move |inner| inner.writing("begin a run", |connection| book::run_start(connection, &run))).await
    }

    async fn run_finish(&self, outcome: &RunOutcome) -> Result<(), StoreError> {
        let outcome = outcome.clone();
        self.run(move |inner| inner.finish(&outcome)).await
    }

    async fn run_turned_away(&self, run: &NewRun, outcome: &RunOutcome) -> Result<(), StoreError> {
        let (run, outcome) = (run.clone(), outcome.clone());
        let record = move |inner: &Inner| {
            inner.writing("record a run", |connection| {
                book::run_insert(connection, &run)?;
                book::run_end(connection, &outcome)
            })
        };
        self.run(record).await
    }

    async fn run_find(&self, run: RunId) -> Result<Option<RunRow>, StoreError> {
        self.run(move |inner| {
            inner.with(|connection| {
                let mut books: Vec<_> = book::run_find(connection, run)?.into_iter().collect();
                inner.shown(connection, &mut books)?;
                Ok(books.pop().map(|book| book.row))
            })
        })
        .await
    }

    async fn run_list(&self, filter: &RunFilter, limit: u32) -> Result<Vec<RunRow>, StoreError> {
        let filter = filter.clone();
        self.run(move |inner| {
            inner.with(|connection| {
                let mut books = book::run_list(connection, &filter, limit)?;
                inner.shown(connection, &mut books)?;
                Ok(books.into_iter().map(|book| book.row).collect())
            })
        })
        .await
    }

    fn run_rejects(&self, run: RunId) -> Pages<RejectRow> {
        self.pages(move |connection, sink| book::run_rejects(connection, run, sink))
    }

    fn fingerprints(&self, source: SourceId, kind: Kind) -> Pages<StoredFingerprint> {
        self.pages(move |connection, sink| reads::fingerprints(connection, source, kind, sink))
    }

    async fn sourced_ids(
        &self,
        source: SourceId,
        kind: Kind,
        internal_ids: &[i64],
    ) -> Result<Vec<SourcedId>, StoreError> {
        let ids = internal_ids.to_vec();
        self.run(move |inner| inner.with(|connection| reads::sourced_ids(connection, source, kind, &ids))).await
    }

    async fn fetch(
        &self,
        source: SourceId,
        run: RunId,
        kind: Kind,
        ids: &[SourcedId],
    ) -> Result<Vec<Fetched>, StoreError> {
        let ids = ids.to_vec();
        self.run(move |inner| inner.fetch(source, run, kind, &ids)).await
    }

    async fn holders(
        &self,
        source: SourceId,
        run: RunId,
        field: RefField,
        targets: &[SourcedId],
    ) -> Result<Vec<ChildKey>, StoreError> {
        let targets = targets.to_vec();
        self.run(move |inner| inner.holders(source, run, field, &targets)).await
    }

    fn dangling(&self, source: SourceId, target: Kind) -> Pages<DanglingLink> {
        self.pages(move |connection, sink| reads::dangling(connection, source, target, sink))
    }

    fn pending(&self, source: SourceId, kind: Kind) -> Pages<PendingRecord> {
        self.pages(move |connection, sink| reads::pending(connection, source, kind, sink))
    }

    async fn role_books(&self, source: SourceId, users: &[SourcedId]) -> Result<Vec<RoleBook>, StoreError> {
        let users = users.to_vec();
        self.run(move |inner| inner.with(|connection| role_books::of_users(connection, source, &users))).await
    }

    fn waiting_roles(&self, source: SourceId) -> Pages<RoleBook> {
        self.pages(move |connection, sink| role_books::waiting(connection, source, sink))
    }

    async fn role_holders(
        &self,
        source: SourceId,
        roles: &[SourcedId],
    ) -> Result<Vec<(SourcedId, SourcedId)>, StoreError> {
        let roles = roles.to_vec();
        self.run(move |inner| inner.with(|connection| role_books::holders(connection, source, &roles))).await
    }

    fn records(&self, source: SourceId, kind: Kind) -> Pages<Record> {
        self.pages(move |connection, sink| reads::records(connection, source, kind, sink))
    }

    async fn stage(&self, source: SourceId, run: RunId, changes: Vec<StagedChange>) -> Result<(), StoreError> {
        self.run(move |inner| {
            let staging = inner.staging_or_new(source, run)?;
            locked(&staging).stage(&changes)
        })
        .await
    }

    async fn stage_clear(&self, _source: SourceId, run: RunId) -> Result<(), StoreError> {
        self.run(move |inner| {
            inner.forget(run);
            Ok(())
        })
        .await
    }

    async fn apply(&self, commit: &Commit) -> Result<Applied, StoreError> {
        let commit = commit.clone();
        self.run(move |inner| inner.apply(&commit)).await
    }

    async fn plan_keep(&self, plan: &Commit) -> Result<(), StoreError> {
        let plan = plan.clone();
        self.run(move |inner| inner.keep(&plan)).await
    }

    async fn plan_find(&self, run: RunId) -> Result<Option<KeptPlan>, StoreError> {
        self.run(move |inner| {
            let plan = inner.with(|connection| book::plan_find(connection, run))?;
            Ok(plan.map(|plan| KeptPlan { commit: plan.commit, lapsed: plan.lapsed }))
        })
        .await
    }

    async fn plan_discard(&self, run: RunId) -> Result<(), StoreError> {
        self.run(move |inner| inner.discard(run)).await
    }

    fn changes(&self, source: SourceId, after: i64, record: Option<(Kind, SourcedId)>) -> Pages<ChangeEntry> {
        self.pages(move |connection, sink| reads::changes(connection, source, after, record.as_ref(), sink))
    }
}

//! What only SQLite does: opening files, scratch files for staging, leases as file locks, rows by prepared statements.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use diesel::{Connection as _, SqliteConnection};
use rollcall_domain::ports::{Lease, StoreError};
use rollcall_domain::{RunId, SourceId};

use crate::connection::{Bind, Connection, Raw};
use crate::error::{Origin, file_failed};

/// How many rows one statement inserts.
const ROWS: usize = 32;

/// The cache of a connection, in KiB. It is small: a district's hot index pages fit, and memory stays bounded.
pub(crate) const CACHE: u64 = 32 * 1024;
/// The largest that it may be while a run is applied, in KiB.
pub(crate) const LARGEST_CACHE: u64 = 128 * 1024;

/// What every connection sets.
fn settings() -> String {
    format!(
        "PRAGMA busy_timeout = 60000;
         PRAGMA foreign_keys = ON;
         PRAGMA synchronous = NORMAL;
         PRAGMA cache_size = -{CACHE};
         PRAGMA threads = 2;"
    )
}

/// Opens the file for reading and writing, and makes it if it is not there.
pub(crate) fn open(path: &Path, origin: &Arc<Origin>) -> Result<Connection, StoreError> {
    let mut connection = establish(&path.display().to_string(), origin)?;
    connection.batch("open it", &settings())?;
    Ok(connection)
}

/// Opens the file for reading only.
pub(crate) fn open_read_only(path: &Path, origin: &Arc<Origin>) -> Result<Connection, StoreError> {
    if !path.exists() {
        return Err(StoreError::Absent {
            message: format!("there is no database {}; the first import makes it, or name another one", path.display()),
        });
    }
    // A database in WAL mode needs files beside it. Where they cannot be made nobody can be writing either, and the
    // file may be taken as it stands.
    let escaped = path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut last = None;
    for mode in ["mode=rw", "mode=ro", "mode=ro&immutable=1"] {
        let opened = establish(&format!("file:{escaped}?{mode}"), origin).and_then(|mut connection| {
            connection.batch("open it", &settings())?;
            connection.batch("open it", "PRAGMA query_only = ON")?;
            connection.rows("open it", "SELECT count(*) FROM sqlite_master", &[])?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => return Ok(connection),
            Err(error) => last = last.or(Some(error)),
        }
    }
    Err(last.unwrap_or_else(|| crate::error::failed("open it", "no way to open the file")))
}

fn establish(name: &str, origin: &Arc<Origin>) -> Result<Connection, StoreError> {
    let connection = SqliteConnection::establish(name).map_err(|error| origin.unreachable(error))?;
    Ok(Connection { raw: Raw::Sqlite(connection), origin: Arc::clone(origin) })
}

/// The folder beside the database in which leases and scratch files are.
pub(crate) fn folder(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".work");
    PathBuf::from(name)
}

/// Makes the folder beside the database.
pub(crate) fn make_folder(database: &Path) -> Result<PathBuf, StoreError> {
    let folder = folder(database);
    std::fs::create_dir_all(&folder)
        .map_err(|error| file_failed("make the folder for leases and scratch files", &folder, error))?;
    Ok(folder)
}

/// The scratch file of a run. It stays where it is when the run's plan is kept.
pub(crate) fn scratch_file(database: &Path, source: SourceId, run: RunId) -> PathBuf {
    folder(database).join(format!("stage-{}-{run}.db", source.0))
}

/// Gives a connection its place for staging tables.
pub(crate) fn attach(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    let file = file.display().to_string();
    connection.execute_once("attach a scratch file", "ATTACH ? AS staging", &[Bind::text(&file)])?;
    connection.batch(
        "attach a scratch file",
        "PRAGMA staging.journal_mode = MEMORY; PRAGMA staging.synchronous = OFF; PRAGMA staging.cache_size = -16384;",
    )
}

/// The scratch files that are there: the file, its source and its run.
pub(crate) fn leftovers(database: &Path) -> Vec<(PathBuf, SourceId, RunId)> {
    let Ok(entries) = std::fs::read_dir(folder(database)) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let parts = name
            .strip_prefix("stage-")
            .and_then(|name| name.strip_suffix(".db").or_else(|| name.strip_suffix(".db-journal")))
            .and_then(|name| name.split_once('-'));
        if let Some((source, run)) = parts
            && let (Ok(source), Ok(run)) = (source.parse(), run.parse())
        {
            found.push((path, SourceId(source), RunId(run)));
        }
    }
    found
}

#[derive(Debug)]
struct FileLease(#[expect(dead_code, reason = "held for its lock, which the operating system drops with it")] File);

impl Lease for FileLease {}

fn lease_file(database: &Path, source: SourceId) -> PathBuf {
    folder(database).join(format!("lease-{}.lock", source.0))
}

/// Takes a source; none if another has it.
pub(crate) fn lease(database: &Path, source: SourceId) -> Result<Option<Box<dyn Lease>>, StoreError> {
    make_folder(database)?;
    let path = lease_file(database, source);
    let fail = |error| file_failed("take the source's lease", &path, error);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    // A reader that asks whether the lease is free holds it for an instant.
    for attempt in 0..4 {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        match file.try_lock() {
            Ok(()) => return Ok(Some(Box::new(FileLease(file)))),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(fail(error)),
        }
    }
    Ok(None)
}

/// Whether a process has the source. Writes nothing.
pub(crate) fn leased(database: &Path, source: SourceId) -> bool {
    match File::open(lease_file(database, source)) {
        Ok(file) => matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// Keeps other processes from migrating at the same time until it is dropped.
pub(crate) fn migration_lock(database: &Path) -> Result<File, StoreError> {
    let path = make_folder(database)?.join("migration.lock");
    let fail = |error| file_failed("take the lock for migrations", &path, error);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    file.lock().map_err(fail)?;
    Ok(file)
}

/// Inserts rows by prepared statements of many rows each.
pub(crate) fn insert(
    connection: &mut Connection,
    table: &str,
    columns: &[&str],
    values: &[Bind<'_>],
) -> Result<(), StoreError> {
    let width = columns.len();
    let row = format!("({})", vec!["?"; width].join(", "));
    let statement = |rows: usize| {
        let values = vec![row.as_str(); rows].join(", ");
        format!("INSERT INTO {table} ({}) VALUES {values}", columns.join(", "))
    };
    let chunks = values.chunks_exact(width * ROWS);
    let rest = chunks.remainder();
    if chunks.len() > 0 {
        let many = statement(ROWS);
        for chunk in chunks {
            connection.execute("write rows", &many, chunk)?;
        }
    }
    if !rest.is_empty() {
        let one = statement(1);
        for row in rest.chunks_exact(width) {
            connection.execute("write rows", &one, row)?;
        }
    }
    Ok(())
}

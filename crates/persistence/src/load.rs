//! Loading much at once: keys and indexes are put aside first and made afterwards, in one go each.
//!
//! On SQLite that is worth it for the first roster of any source that adds much to what is there: entries in random order
//! touch every page of an index, and most of them several times.
//!
//! On PostgreSQL a foreign key that is there costs a query for every row, and one that is added costs a join. That takes
//! locks which keep others off the tables, so it is done only where nobody can miss them: for a first large import into
//! tables that are still empty. If anybody has one of the tables in hand at that moment, the rows go in the slow way.

use rollcall_domain::ports::StoreError;
use rollcall_domain::{Kind, SourceId};

use crate::connection::{Bind, Connection, Engine};
use crate::error::failed;
use crate::layout::LAYOUTS;
use crate::sqlite;
use crate::staging::{EXTERNAL_IDS, Staging};

/// From how many new records of a kind on they are written in bulk.
pub(crate) const LARGE: u64 = 20_000;
/// How often as many rows as are added may have been given ids in a table, so that its indexes are still made anew.
const WORTH: u32 = 4;

/// Whether a source has records, of a kind or of any.
pub(crate) fn has_records(
    connection: &mut Connection,
    source: SourceId,
    kind: Option<Kind>,
) -> Result<bool, StoreError> {
    let (mut sql, mut binds) = ("SELECT 1 FROM creations WHERE source_id = ?".to_owned(), vec![Bind::int(source.0)]);
    if let Some(kind) = kind {
        sql += " AND kind = ?";
        binds.push(Bind::text(kind.as_str()));
    }
    Ok(connection.first("look for records", &(sql + " LIMIT 1"), &binds)?.is_some())
}

/// Whether nothing is in the rosters of a SQLite database yet. To be asked before the transaction begins, because
/// [`prepare_first`] has no effect inside of it, and once more when it has begun.
pub(crate) fn is_first(connection: &mut Connection) -> Result<bool, StoreError> {
    Ok(connection.engine() == Engine::Sqlite && is_empty(connection, "creations")?)
}

/// Gives a connection to SQLite room for the index pages that the next roster of a source changes: what has no room is
/// written once for every entry that goes to it. The memory in which the records were compared is free by now, and was
/// more. (Of the first roster of a source indexes are made by sorting, and each sort takes as much memory as the cache.)
pub(crate) fn make_room(connection: &mut Connection, source: SourceId) -> Result<(), StoreError> {
    if connection.engine() == Engine::Postgres || !has_records(connection, source, None)? {
        return Ok(());
    }
    let sql = "SELECT coalesce(sum(seq), 0) FROM main.sqlite_sequence";
    let records = connection.number("count the records", sql, &[])?;
    // 25 bytes a record.
    let kibibytes = u64::try_from(records / 40).unwrap_or(0).clamp(sqlite::CACHE, sqlite::LARGEST_CACHE);
    connection.batch("make room for index pages", &format!("PRAGMA main.cache_size = -{kibibytes}"))
}

/// Makes a connection to SQLite ready for a first load of so many records: no foreign key is looked up row by row, which
/// obliges the caller to [`check_keys`] before the transaction ends, and the index in which references are looked up has
/// room in memory. Both are settings of the connection; nothing of them is in the file.
pub(crate) fn prepare_first(connection: &mut Connection, records: u64) -> Result<(), StoreError> {
    // Of ten records one is a user, to whom others refer; its entry in the index has some 60 bytes and as much air.
    let kibibytes = (records / 100).clamp(sqlite::CACHE, sqlite::LARGEST_CACHE);
    connection.batch("prepare a first load", &format!("PRAGMA foreign_keys = OFF; PRAGMA cache_size = -{kibibytes}"))
}

/// Takes back what [`prepare_first`] has set.
pub(crate) fn end_first(connection: &mut Connection) -> Result<(), StoreError> {
    connection.batch("end a first load", &format!("PRAGMA foreign_keys = ON; PRAGMA cache_size = -{}", sqlite::CACHE))
}

/// Checks the foreign keys of these tables, each distinct value once and in order. That is much faster than row by row:
/// the parents of millions of rows, in the order of their arrival, lie all over a large table.
pub(crate) fn check_keys(
    connection: &mut Connection,
    tables: impl Iterator<Item = &'static str>,
) -> Result<(), StoreError> {
    const ACTION: &str = "check foreign keys";
    let sql = "SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?, 'main')";
    for table in tables {
        for mut key in connection.rows(ACTION, sql, &[Bind::text(table)])? {
            let [Some(column), Some(parent), Some(to)] = [0, 1, 2].map(|index| key.string(index)) else {
                return Err(failed(ACTION, format!("a foreign key of {table} names no columns")));
            };
            let sql = format!(
                "SELECT 1 FROM (SELECT DISTINCT {column} AS value FROM main.{table} WHERE {column} IS NOT NULL) AS child \
                 WHERE NOT EXISTS (SELECT 1 FROM main.{parent} AS parent WHERE parent.{to} = child.value) LIMIT 1"
            );
            if connection.first(ACTION, &sql, &[])?.is_some() {
                return Err(failed(ACTION, format!("{table}.{column} refers to a row that {parent} does not have")));
            }
        }
    }
    Ok(())
}

/// What has been put aside, by table, as the statements that make it again.
#[derive(Debug, Default)]
pub(crate) struct Aside(Vec<(&'static str, String)>);

impl Aside {
    /// Whether something of a table is aside.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.0.iter().any(|(of, _)| *of == table)
    }
}

/// The tables of which it pays to put keys and indexes aside, if that can be done: much is added to them. On SQLite others
/// may have rows there, but the source may have none, for what is there could not be found; nobody else can write at that
/// moment anyway, and nobody who reads is in the way.
pub(crate) fn worth_it(staging: &mut Staging, source: SourceId) -> Result<Vec<&'static str>, StoreError> {
    let mut tables = Vec::new();
    let mut has_external_ids = false;
    for layout in LAYOUTS.iter().filter(|layout| staging.puts[layout.kind] >= LARGE) {
        let connection = &mut staging.connection;
        if connection.engine() == Engine::Sqlite {
            let sql = format!("SELECT max(id) FROM {}", layout.table);
            let last = connection.number("find the last internal id", &sql, &[])?;
            if is_more(last, staging.puts[layout.kind]) || has_records(connection, source, Some(layout.kind))? {
                continue;
            }
        }
        tables.extend(layout.tables());
        has_external_ids |= staging.external_ids[layout.kind];
    }
    if has_external_ids && is_worth_it_for_external_ids(&mut staging.connection)? {
        tables.push("external_ids");
    }
    Ok(tables)
}

/// Whether more rows are there than make it worth while for those that are added.
fn is_more(there: i64, added: u64) -> bool {
    u64::try_from(there).is_ok_and(|there| there > added.saturating_mul(WORTH.into()))
}

/// The ids of all kinds share one table, which has no ids of its own.
fn is_worth_it_for_external_ids(connection: &mut Connection) -> Result<bool, StoreError> {
    const ACTION: &str = "count external ids";
    if connection.engine() == Engine::Postgres {
        return Ok(true);
    }
    let added = connection.number(ACTION, &format!("SELECT count(*) FROM {EXTERNAL_IDS}"), &[])?;
    let most = added.saturating_mul(WORTH.into());
    let sql = "SELECT count(*) FROM (SELECT 1 FROM external_ids LIMIT ?)";
    Ok(connection.number(ACTION, sql, &[Bind::int(most.saturating_add(1))])? <= most)
}

/// Puts aside what it can of these tables; on PostgreSQL only of the empty ones.
pub(crate) fn put_aside(connection: &mut Connection, tables: &[&'static str]) -> Result<Aside, StoreError> {
    match connection.engine() {
        Engine::Sqlite => put_aside_sqlite(connection, tables),
        Engine::Postgres => {
            let mut empty = Vec::new();
            for table in tables {
                if is_empty(connection, table)? {
                    empty.push(*table);
                }
            }
            if empty.is_empty() { Ok(Aside::default()) } else { put_aside_postgres(connection, &empty) }
        }
    }
}

/// Makes again what was put aside of a table.
pub(crate) fn put_back(connection: &mut Connection, aside: &mut Aside, table: &str) -> Result<(), StoreError> {
    let (of_table, others) = std::mem::take(&mut aside.0).into_iter().partition(|(of, _)| *of == table);
    aside.0 = others;
    for (_, statement) in of_table {
        connection.execute_once("make keys and indexes", &statement, &[])?;
    }
    Ok(())
}

fn is_empty(connection: &mut Connection, table: &str) -> Result<bool, StoreError> {
    Ok(connection.first("see whether a table is empty", &format!("SELECT 1 FROM {table} LIMIT 1"), &[])?.is_none())
}

fn put_aside_sqlite(connection: &mut Connection, tables: &[&'static str]) -> Result<Aside, StoreError> {
    let mut aside = Aside::default();
    for table in tables {
        let sql = "SELECT name, sql FROM main.sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL";
        for mut row in connection.rows("read the schema", sql, &[Bind::text(table)])? {
            if let (Some(name), Some(sql)) = (row.string(0), row.string(1)) {
                connection.batch("put an index aside", &format!("DROP INDEX main.{name}"))?;
                aside.0.push((*table, sql));
            }
        }
    }
    Ok(aside)
}

/// Foreign keys of a table to others than `sources`, which everybody writes to.
const FOREIGN_KEYS: &str = "SELECT conname::text, pg_get_constraintdef(oid), confrelid::regclass::text FROM pg_constraint \
                            WHERE contype = 'f' AND conrelid = ?::regclass AND confrelid <> 'sources'::regclass";
/// Indexes of a table that are not its primary key.
const INDEXES: &str = "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index \
                       WHERE indrelid = ?::regclass AND NOT indisprimary";

fn put_aside_postgres(connection: &mut Connection, tables: &[&'static str]) -> Result<Aside, StoreError> {
    let mut keys = Vec::new();
    let mut targets = Vec::new();
    for table in tables {
        for mut row in connection.rows("read the schema", FOREIGN_KEYS, &[Bind::text(table)])? {
            if let (Some(name), Some(definition), Some(target)) = (row.string(0), row.string(1), row.string(2)) {
                keys.push((*table, name, definition));
                targets.push(target);
            }
        }
    }
    targets.sort();
    targets.dedup();
    targets.retain(|target| !tables.contains(&target.as_str()));
    // All locks at once and without waiting, so that nobody can wait for us while we wait for them.
    let mut locks = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT;", tables.join(", "));
    if !targets.is_empty() {
        locks += &format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE NOWAIT;", targets.join(", "));
    }
    connection.batch("lock the tables", "SAVEPOINT put_aside")?;
    if connection.batch("lock the tables", &locks).is_err() {
        connection.batch("lock the tables", "ROLLBACK TO SAVEPOINT put_aside")?;
        return Ok(Aside::default());
    }
    for table in tables {
        if !is_empty(connection, table)? {
            connection.batch("lock the tables", "ROLLBACK TO SAVEPOINT put_aside")?;
            return Ok(Aside::default());
        }
    }
    let mut aside = Aside::default();
    for table in tables {
        for mut row in connection.rows("read the schema", INDEXES, &[Bind::text(table)])? {
            if let (Some(name), Some(definition)) = (row.string(0), row.string(1)) {
                aside.0.push((*table, definition));
                if connection.batch("put an index aside", &format!("DROP INDEX {name}")).is_err() {
                    // Not our table: the role may write to it and not change it.
                    connection.batch("put an index aside", "ROLLBACK TO SAVEPOINT put_aside")?;
                    return Ok(Aside::default());
                }
            }
        }
    }
    for (table, name, definition) in keys {
        connection.batch("put a key aside", &format!("ALTER TABLE {table} DROP CONSTRAINT {name}"))?;
        aside.0.push((table, format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")));
    }
    connection.batch("lock the tables", "RELEASE SAVEPOINT put_aside")?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::Origin;

    #[test]
    fn a_key_that_points_nowhere_is_found_at_the_end_of_a_first_load() {
        let folder = tempfile::tempdir().unwrap();
        let origin = Arc::new(Origin { engine: Engine::Sqlite, shown: "x.db".to_owned() });
        let mut connection = sqlite::open(&folder.path().join("x.db"), &origin).unwrap();
        let schema = "CREATE TABLE parents (id INTEGER PRIMARY KEY); CREATE TABLE creations (id INTEGER PRIMARY KEY);
                      CREATE TABLE children (one BIGINT REFERENCES parents (id), other BIGINT REFERENCES parents (id));
                      INSERT INTO parents VALUES (1), (3);";
        connection.batch("make tables", schema).unwrap();
        assert!(is_first(&mut connection).unwrap());
        prepare_first(&mut connection, 10_000_000).unwrap();
        let insert = |connection: &mut Connection, values: &str| {
            connection.batch("write", &format!("INSERT INTO children VALUES {values}"))
        };
        insert(&mut connection, "(1, NULL), (3, 1), (1, 1)").unwrap();
        check_keys(&mut connection, ["children"].into_iter()).unwrap();
        insert(&mut connection, "(1, 2)").unwrap();
        let error = check_keys(&mut connection, ["parents", "children"].into_iter()).unwrap_err();
        let StoreError::Failed { cause, .. } = error else { panic!("{error}") };
        assert_eq!(cause.to_string(), "children.other refers to a row that parents does not have");
        end_first(&mut connection).unwrap();
        insert(&mut connection, "(2, NULL)").unwrap_err();
    }
}

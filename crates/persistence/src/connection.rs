//! One connection of either engine, and the only place where the two are told apart on every statement.
//!
//! Statements are written once, with `?` for each value. The engines' row types meet in [`Cell`]: primitives only, from
//! which [`rows`](crate::rows) builds records.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use diesel::backend::Backend;
use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::row::Field;
use diesel::serialize::ToSql;
use diesel::sql_types::{self, BigInt, Binary, Bool, HasSqlType, Nullable, SmallInt, Untyped};
use diesel::sqlite::{Sqlite, SqliteType};
use diesel::{PgConnection, QueryResult, RunQueryDsl, SqliteConnection};
use rollcall_domain::ports::StoreError;
use rollcall_domain::{Fingerprint, Text};

use crate::error::Origin;

/// The engine behind a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// What PostgreSQL shall plan for. It has no statistics of rows that are minutes old, and reads a whole table to find
/// one row in it if it believes that the table is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Records by id, or in pages: through indexes.
    Keys,
    /// Everything that is staged at once: as it sees fit.
    Sets,
    /// The same, of tens of thousands of records: never one by one.
    LargeSets,
    /// All records of a kind, from one end to the other: as it sees fit, but to the end.
    Everything,
}

/// A connection, and the words for errors on it.
pub(crate) struct Connection {
    pub(crate) raw: Raw,
    pub(crate) origin: Arc<Origin>,
}

/// The engine's own connection.
pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A value of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Bind<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<Cow<'a, [u8]>>),
    Bool(Option<bool>),
}

impl<'a> Bind<'a> {
    pub(crate) fn text(text: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }

    pub(crate) fn maybe(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }

    pub(crate) fn owned(text: String) -> Self {
        Self::Text(Some(Cow::Owned(text)))
    }

    pub(crate) const fn int(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(Text),
    /// The only bytes that are kept.
    Fingerprint(Fingerprint),
}

/// A row as it comes.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) Vec<Cell>);

impl Row {
    /// Rows from a JSON list of lists; none if it is something else.
    pub(crate) fn list_from_json(json: &str) -> Option<Vec<Self>> {
        let rows: Vec<Vec<serde_json::Value>> = serde_json::from_str(json).ok()?;
        let cell = |value| match value {
            serde_json::Value::String(text) => Cell::Text(text.into()),
            serde_json::Value::Number(number) => number.as_i64().map_or(Cell::Null, Cell::Int),
            _ => Cell::Null,
        };
        Some(rows.into_iter().map(|cells| Self(cells.into_iter().map(cell).collect())).collect())
    }

    /// Takes a text; anything else is none.
    pub(crate) fn text(&mut self, index: usize) -> Option<Text> {
        match self.0.get_mut(index).map(|cell| std::mem::replace(cell, Cell::Null)) {
            Some(Cell::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Takes a text that is no roster's; anything else is none.
    pub(crate) fn string(&mut self, index: usize) -> Option<String> {
        self.text(index).map(String::from)
    }

    /// A number; anything else is none.
    pub(crate) fn int(&self, index: usize) -> Option<i64> {
        match self.0.get(index) {
            Some(Cell::Int(number)) => Some(*number),
            _ => None,
        }
    }

    /// A fingerprint; anything else is none.
    pub(crate) fn fingerprint(&self, index: usize) -> Option<Fingerprint> {
        match self.0.get(index) {
            Some(Cell::Fingerprint(fingerprint)) => Some(*fingerprint),
            _ => None,
        }
    }
}

/// Bytes as the engine gives them.
fn fingerprint(bytes: &[u8]) -> Cell {
    bytes.try_into().map_or(Cell::Null, |bytes| Cell::Fingerprint(Fingerprint::from_bytes(bytes)))
}

struct Statement<'a> {
    sql: &'a str,
    binds: &'a [Bind<'a>],
    /// Whether the statement will come again and is worth keeping prepared.
    keep: bool,
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

impl<DB> QueryFragment<DB> for Statement<'_>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<sql_types::Text> + HasSqlType<Binary> + HasSqlType<Bool>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
    Option<bool>: ToSql<Nullable<Bool>, DB>,
    for<'b> Option<Cow<'b, str>>: ToSql<Nullable<sql_types::Text>, DB>,
    for<'b> Option<Cow<'b, [u8]>>: ToSql<Nullable<Binary>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if !self.keep {
            out.unsafe_to_cache_prepared();
        }
        let mut binds = self.binds.iter();
        let mut rest = self.sql;
        while let Some((before, after)) = rest.split_once('?') {
            out.push_sql(before);
            rest = after;
            match binds.next() {
                Some(Bind::Int(value)) => out.push_bind_param::<Nullable<BigInt>, _>(value)?,
                Some(Bind::Text(value)) => out.push_bind_param::<Nullable<sql_types::Text>, _>(value)?,
                Some(Bind::Bytes(value)) => out.push_bind_param::<Nullable<Binary>, _>(value)?,
                Some(Bind::Bool(value)) => out.push_bind_param::<Nullable<Bool>, _>(value)?,
                None => return Err(diesel::result::Error::QueryBuilderError("a value is missing".into())),
            }
        }
        out.push_sql(rest);
        Ok(())
    }
}

impl<C> RunQueryDsl<C> for Statement<'_> {}

impl FromSqlRow<Untyped, Sqlite> for Row {
    fn build_from_row<'a>(row: &impl diesel::row::Row<'a, Sqlite>) -> deserialize::Result<Self> {
        let mut cells = Vec::with_capacity(row.field_count());
        for index in 0..row.field_count() {
            let field = row.get(index).ok_or("a column is missing")?;
            let cell = match field.value() {
                None => Cell::Null,
                Some(mut value) => match value.value_type() {
                    None => Cell::Null,
                    Some(SqliteType::Text) => {
                        Cell::Text(<String as FromSql<sql_types::Text, Sqlite>>::from_sql(value)?.into())
                    }
                    Some(SqliteType::Binary) => fingerprint(value.read_blob()),
                    Some(_) => Cell::Int(<i64 as FromSql<BigInt, Sqlite>>::from_sql(value)?),
                },
            };
            cells.push(cell);
        }
        Ok(Self(cells))
    }
}

impl FromSqlRow<Untyped, Pg> for Row {
    fn build_from_row<'a>(row: &impl diesel::row::Row<'a, Pg>) -> deserialize::Result<Self> {
        let mut cells = Vec::with_capacity(row.field_count());
        for index in 0..row.field_count() {
            let field = row.get(index).ok_or("a column is missing")?;
            cells.push(match field.value() {
                None => Cell::Null,
                Some(value) => postgres_cell(value)?,
            });
        }
        Ok(Self(cells))
    }
}

fn postgres_cell(value: PgValue<'_>) -> deserialize::Result<Cell> {
    // The numbers of PostgreSQL's built-in types do not change.
    Ok(match value.get_oid().get() {
        16 => Cell::Int(i64::from(<bool as FromSql<Bool, Pg>>::from_sql(value)?)),
        17 => fingerprint(value.as_bytes()),
        20 => Cell::Int(<i64 as FromSql<BigInt, Pg>>::from_sql(value)?),
        21 => Cell::Int(i64::from(<i16 as FromSql<SmallInt, Pg>>::from_sql(value)?)),
        23 => Cell::Int(i64::from(<i32 as FromSql<sql_types::Integer, Pg>>::from_sql(value)?)),
        _ => Cell::Text(std::str::from_utf8(value.as_bytes())?.into()),
    })
}

impl Connection {
    pub(crate) fn engine(&self) -> Engine {
        match self.raw {
            Raw::Sqlite(_) => Engine::Sqlite,
            Raw::Postgres(_) => Engine::Postgres,
        }
    }

    /// Whether this connection waits, on `PostgreSQL`, for a table that others have locked. Those who read in `SQLite` wait
    /// for nobody.
    pub(crate) fn wait_for_locks(&mut self, wait: bool) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite => Ok(()),
            Engine::Postgres if wait => self.batch("wait for locks", "RESET lock_timeout"),
            Engine::Postgres => self.batch("wait for no locks", "SET lock_timeout = '100ms'"),
        }
    }

    /// Runs a statement that may come again; answers how many rows it touched.
    pub(crate) fn execute(&mut self, action: &str, sql: &str, binds: &[Bind<'_>]) -> Result<usize, StoreError> {
        self.execute_as(action, sql, binds, true)
    }

    /// Runs a statement that will not come again in this form.
    pub(crate) fn execute_once(&mut self, action: &str, sql: &str, binds: &[Bind<'_>]) -> Result<usize, StoreError> {
        let begin = Instant::now();
        let rows = self.execute_as(action, sql, binds, false)?;
        tracing::debug!(action, rows, elapsed_ms = begin.elapsed().as_millis(), "ran a large statement");
        Ok(rows)
    }

    fn execute_as(&mut self, action: &str, sql: &str, binds: &[Bind<'_>], keep: bool) -> Result<usize, StoreError> {
        let statement = Statement { sql, binds, keep };
        let result = match &mut self.raw {
            Raw::Sqlite(connection) => statement.execute(connection),
            Raw::Postgres(connection) => statement.execute(connection),
        };
        result.map_err(|error| self.origin.translate(action, error))
    }

    /// Runs statements without values.
    pub(crate) fn batch(&mut self, action: &str, sql: &str) -> Result<(), StoreError> {
        match &mut self.raw {
            Raw::Sqlite(connection) => connection.batch_execute(sql),
            Raw::Postgres(connection) => connection.batch_execute(sql),
        }
        .map_err(|error| self.origin.translate(action, error))
    }

    /// Hands each row of an answer to `visit`.
    pub(crate) fn each(
        &mut self,
        action: &str,
        sql: &str,
        binds: &[Bind<'_>],
        mut visit: impl FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_while(action, sql, binds, |row| visit(row).map(|()| true))
    }

    /// Hands rows of an answer to `visit` until it wants no more.
    pub(crate) fn each_while(
        &mut self,
        action: &str,
        sql: &str,
        binds: &[Bind<'_>],
        mut visit: impl FnMut(Row) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let statement = Statement { sql, binds, keep: true };
        let origin = Arc::clone(&self.origin);
        let mut take = |rows: &mut dyn Iterator<Item = QueryResult<Row>>| {
            for row in rows {
                if !visit(row.map_err(|error| origin.translate(action, error))?)? {
                    break;
                }
            }
            Ok(())
        };
        let fail = |error| self.origin.translate(action, error);
        match &mut self.raw {
            Raw::Sqlite(connection) => take(&mut statement.load_iter::<Row, _>(connection).map_err(fail)?),
            Raw::Postgres(connection) => {
                take(&mut statement.load_iter::<Row, DefaultLoadingMode>(connection).map_err(fail)?)
            }
        }
    }

    /// All rows of an answer.
    pub(crate) fn rows(&mut self, action: &str, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        self.each(action, sql, binds, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row of an answer.
    pub(crate) fn first(&mut self, action: &str, sql: &str, binds: &[Bind<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(action, sql, binds)?.into_iter().next())
    }

    /// The number that an answer consists of; zero for none.
    pub(crate) fn number(&mut self, action: &str, sql: &str, binds: &[Bind<'_>]) -> Result<i64, StoreError> {
        Ok(self.first(action, sql, binds)?.and_then(|row| row.int(0)).unwrap_or(0))
    }

    /// The first of so many internal ids that follow each other, none of which is given to anything else, in a transaction
    /// that writes. None if they cannot be had. An id is never given twice, though its record be erased.
    pub(crate) fn reserve_ids(&mut self, table: &str, count: i64) -> Result<Option<i64>, StoreError> {
        const ACTION: &str = "reserve internal ids";
        match self.engine() {
            Engine::Sqlite => {
                let sql = "SELECT seq FROM main.sqlite_sequence WHERE name = ?";
                Ok(Some(self.number(ACTION, sql, &[Bind::text(table)])? + 1))
            }
            Engine::Postgres => {
                // Who may write to a table need not be allowed to use its sequence.
                let sql = "SELECT quote_literal(name) FROM pg_get_serial_sequence(?, 'id') AS name \
                           WHERE has_sequence_privilege(name, 'USAGE')";
                let Some(sequence) = self.first(ACTION, sql, &[Bind::text(table)])?.and_then(|mut row| row.string(0))
                else {
                    return Ok(None);
                };
                // Others take ids meanwhile: there may be theirs among these.
                let sql = format!(
                    "SELECT min(id), max(id) FROM (SELECT nextval({sequence}) AS id FROM generate_series(1, ?)) AS reserved"
                );
                let reserved = self.first(ACTION, &sql, &[Bind::int(count)])?;
                let (first, last) = reserved.map_or((None, None), |row| (row.int(0), row.int(1)));
                Ok(first.filter(|first| last == Some(first + count - 1)))
            }
        }
    }

    /// Runs `work` between `begin` and COMMIT, or ROLLBACK if it fails.
    fn between<T>(
        &mut self,
        begin: &str,
        action: &str,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.batch(action, begin)?;
        match work(self).and_then(|value| self.batch(action, "COMMIT").map(|()| value)) {
            Ok(value) => Ok(value),
            Err(error) => {
                // The first error is the one to tell; after some of them the engine has rolled back by itself.
                let _ = self.batch(action, "ROLLBACK");
                Err(error)
            }
        }
    }

    /// Runs `work` in a transaction that may write to the rosters.
    pub(crate) fn writing<T>(
        &mut self,
        action: &str,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begin = match self.engine() {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            Engine::Postgres => "BEGIN",
        };
        self.between(begin, action, work)
    }

    /// Runs `work` on one unmoving view of the store.
    pub(crate) fn reading<T>(
        &mut self,
        action: &str,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let begin = match self.engine() {
            Engine::Sqlite => "BEGIN",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.between(begin, action, work)
    }

    /// Gives back the memory of what was read from one end to the other: SQLite would keep it for the next reader.
    pub(crate) fn forget_pages(&mut self) -> Result<(), StoreError> {
        match self.engine() {
            Engine::Sqlite => self.batch("give back memory", "PRAGMA shrink_memory"),
            Engine::Postgres => Ok(()),
        }
    }

    /// Says what the following statements of the transaction are like. Connections are made for keys.
    pub(crate) fn plan_for(&mut self, work: Work) -> Result<(), StoreError> {
        if self.engine() == Engine::Sqlite {
            return Ok(());
        }
        let switch = |on: bool| if on { "on" } else { "off" };
        let sets = ["hashjoin", "mergejoin", "seqscan", "bitmapscan"]
            .map(|way| format!("SET LOCAL enable_{way} = {};", switch(work != Work::Keys)));
        // What a small set asks for lies in memory: the run has just read the fingerprints of all that it may change.
        let page_cost = if work == Work::Sets { "0.1" } else { "DEFAULT" };
        let sql = format!(
            "{} SET LOCAL enable_nestloop = {}; SET LOCAL random_page_cost = {page_cost}; SET LOCAL cursor_tuple_fraction = 1",
            sets.concat(),
            switch(work != Work::LargeSets)
        );
        self.batch("prepare", &sql)
    }

    /// What a statement says after a column that is one of the texts of a JSON list.
    ///
    /// As an array: PostgreSQL can look each element of it up in an index. Without statistics it may prefer to compare every
    /// record of the source with every row of a subquery.
    pub(crate) fn in_texts(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => "IN (SELECT value FROM json_each(?))",
            Engine::Postgres => "= ANY (ARRAY(SELECT jsonb_array_elements_text(?::jsonb)))",
        }
    }

    /// What a statement says after a column that is one of the numbers of a JSON list.
    pub(crate) fn in_numbers(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => "IN (SELECT value FROM json_each(?))",
            Engine::Postgres => "= ANY (ARRAY(SELECT jsonb_array_elements_text(?::jsonb)::bigint))",
        }
    }

    /// The part of a statement that stands for the objects of a JSON list, as a table `v` with these columns.
    pub(crate) fn objects(&self, columns: &[(&str, crate::layout::Type)]) -> String {
        use crate::layout::Type;
        match self.engine() {
            Engine::Sqlite => {
                let columns: Vec<_> = columns.iter().map(|(name, _)| format!("value ->> '{name}' AS {name}")).collect();
                format!("(SELECT {} FROM json_each(?)) AS v", columns.join(", "))
            }
            Engine::Postgres => {
                let columns: Vec<_> = columns
                    .iter()
                    .map(|(name, ty)| {
                        let ty = match ty {
                            Type::Text => "text",
                            Type::Int => "bigint",
                            Type::Bool => "boolean",
                        };
                        format!("{name} {ty}")
                    })
                    .collect();
                format!("jsonb_to_recordset(?::jsonb) AS v({})", columns.join(", "))
            }
        }
    }

    /// A join whose sides SQLite shall not change: it has no statistics.
    pub(crate) fn ordered_join(&self) -> &'static str {
        match self.engine() {
            Engine::Sqlite => "CROSS JOIN",
            Engine::Postgres => "JOIN",
        }
    }
}

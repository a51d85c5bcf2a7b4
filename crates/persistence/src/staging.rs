//! What a run has put aside, and where: temporary tables on PostgreSQL, a scratch file beside the database on SQLite.
//!
//! The tables have no keys and no indexes until something asks for them by id, so that writing costs little. A record
//! that is put is one row of its kind's table under an ordinal; the rows that it owns carry the same ordinal, and
//! withdrawing the record leaves them behind as orphans that nothing joins to.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::PathBuf;

use rollcall_domain::ports::{DeleteReason, RoleBook, StagedChange, StoreError};
use rollcall_domain::{Fingerprint, Kind, PerKind, Record, SourcedId};
use serde::{Deserialize, Serialize};

use crate::connection::{Bind, Connection, Engine};
use crate::layout::{LAYOUTS, Layout, Type, layout};
use crate::ordinals::{self, Ordinals};
use crate::rows;
use crate::{postgres, sqlite};

/// The operations that are not puts.
pub(crate) const OPERATIONS: &str = "s_operations";
/// The word for role books where other operations name a kind, so that withdrawing a user leaves its book alone.
pub(crate) const BOOKS: &str = "roleBooks";
/// External ids of the staged records of all kinds.
pub(crate) const EXTERNAL_IDS: &str = "s_external_ids";
/// Refused records.
pub(crate) const REJECTS: &str = "s_rejects";

/// An operation on a record that is not a put, in the words of the staging table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Operation {
    Delete {
        reason: DeleteReason,
        modified_ms: Option<i64>,
    },
    Revive,
    Attach {
        field: rollcall_domain::RefField,
        target: SourcedId,
    },
    Touch {
        modified_ms: Option<i64>,
        fingerprint: Option<Fingerprint>,
        reason: Option<DeleteReason>,
        roles: Option<Vec<rollcall_domain::entities::Role>>,
    },
    Settle,
    Book(RoleBook),
}

impl Operation {
    /// How the text of a deletion begins.
    pub(crate) const DELETION: &str = "{\"Delete\"";
}

/// What a run has put aside.
pub(crate) struct Staging {
    pub(crate) connection: Connection,
    /// How many puts of each kind are staged.
    pub(crate) puts: PerKind<u64>,
    /// Which kinds have external ids among them.
    pub(crate) external_ids: PerKind<bool>,
    pub(crate) operations: u64,
    /// Which kinds have deletions among the operations.
    pub(crate) deletions: PerKind<bool>,
    /// Which kinds have other operations on records.
    pub(crate) others: PerKind<bool>,
    pub(crate) rejects: u64,
    /// What the staging of a first load knows of its records.
    pub(crate) ordinals: Option<Ordinals>,
    next: i64,
    tables: HashSet<&'static str>,
    indexes: HashSet<String>,
    /// The scratch file, to be removed with the staging unless it is kept.
    pub(crate) file: Option<PathBuf>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Some(path) = &self.file {
            // The next process that opens the store for writing sweeps up what cannot be removed now.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Staging {
    /// Begins with nothing. The connection has its place for staging tables already.
    pub(crate) fn new(connection: Connection, file: Option<PathBuf>) -> Self {
        Self {
            connection,
            puts: PerKind::default(),
            external_ids: PerKind::default(),
            operations: 0,
            deletions: PerKind::default(),
            others: PerKind::default(),
            rejects: 0,
            ordinals: None,
            next: 1,
            tables: HashSet::new(),
            indexes: HashSet::new(),
            file,
        }
    }

    /// Keeps the references of records as ordinals too. Before anything is staged.
    pub(crate) fn keep_ordinals(&mut self) {
        self.ordinals = Some(Ordinals::default());
    }

    /// Takes up what another process has kept: `present` are the staging tables that are there.
    pub(crate) fn resume(connection: Connection, present: &HashSet<String>) -> Result<Self, StoreError> {
        let mut staging = Self::new(connection, None);
        for layout in &LAYOUTS {
            if present.contains(layout.staging) {
                staging.tables.insert(layout.staging);
                staging.puts[layout.kind] = staging.count(layout.staging)?;
                staging.tables.extend(layout.children.iter().map(|child| child.staging));
            }
        }
        for name in [OPERATIONS, EXTERNAL_IDS, REJECTS] {
            if present.contains(name) {
                staging.tables.insert(name);
            }
        }
        if present.contains(EXTERNAL_IDS) {
            let sql = format!("SELECT DISTINCT kind FROM {EXTERNAL_IDS}");
            for mut row in staging.connection.rows("count what is staged", &sql, &[])? {
                if let Some(kind) = row.text(0).and_then(|kind| kind.parse::<Kind>().ok()) {
                    staging.external_ids[kind] = true;
                }
            }
        }
        if present.contains(OPERATIONS) {
            staging.operations = staging.count(OPERATIONS)?;
            // Which of which is not worth asking.
            staging.deletions = PerKind::from_fn(|_| true);
            staging.others = PerKind::from_fn(|_| true);
        }
        if present.contains(REJECTS) {
            staging.rejects = staging.count(REJECTS)?;
        }
        Ok(staging)
    }

    fn count(&mut self, table: &str) -> Result<u64, StoreError> {
        let count = self.connection.number("count what is staged", &format!("SELECT count(*) FROM {table}"), &[])?;
        Ok(count.unsigned_abs())
    }

    /// Indexes that were made in a transaction are gone with it.
    pub(crate) fn rolled_back(&mut self) {
        self.indexes.clear();
    }

    /// The staging tables that are there.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static str> {
        self.tables.iter().copied()
    }

    /// Whether a staging table is there.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.tables.contains(table)
    }

    fn table(&mut self, name: &'static str, columns: impl FnOnce(Engine) -> String) -> Result<(), StoreError> {
        if self.tables.contains(name) {
            return Ok(());
        }
        let engine = self.connection.engine();
        let place = match engine {
            Engine::Sqlite => "CREATE TABLE staging.",
            Engine::Postgres => "CREATE TEMPORARY TABLE ",
        };
        self.connection.batch("make room for staging", &format!("{place}{name} ({})", columns(engine)))?;
        self.tables.insert(name);
        Ok(())
    }

    fn record_tables(&mut self, layout: &'static Layout) -> Result<(), StoreError> {
        self.table(layout.staging, |engine| {
            let mut columns = format!(
                "ord {}, sourced_id {}, replaces BIGINT, fingerprint {}, modified_ms BIGINT",
                ordinal(engine),
                id_type(engine),
                bytes(engine)
            );
            for column in layout.columns {
                columns += &format!(", {} {}", column.name, column_type(engine, column.name, column.ty));
            }
            for link in layout.links {
                columns += &format!(", {}_ref {}", link.stem, id_type(engine));
            }
            for link in ordinals::links(layout) {
                columns += &format!(", {}_ord BIGINT", link.stem);
            }
            columns
        })?;
        for child in layout.children {
            self.table(child.staging, |engine| {
                let mut columns = "ord BIGINT NOT NULL, position BIGINT NOT NULL".to_owned();
                for column in child.columns {
                    columns += &format!(", {} {}", column.name, column_type(engine, column.name, column.ty));
                }
                columns + &format!(", {}_ref {}", child.link.stem, id_type(engine))
            })?;
        }
        Ok(())
    }

    /// Makes sure that staged rows of a table can be found by a column.
    pub(crate) fn index(&mut self, table: &str, column: &str) -> Result<(), StoreError> {
        let name = format!("{table}_by_{column}");
        if self.indexes.contains(&name) {
            return Ok(());
        }
        let place = match self.connection.engine() {
            Engine::Sqlite => "staging.",
            Engine::Postgres => "",
        };
        let sql = format!("CREATE INDEX IF NOT EXISTS {place}{name} ON {table} ({column})");
        self.connection.batch("index what is staged", &sql)?;
        self.indexes.insert(name);
        Ok(())
    }

    /// Puts changes aside.
    pub(crate) fn stage(&mut self, changes: &[StagedChange]) -> Result<(), StoreError> {
        // A withdrawal must see the puts before it, and the puts after it must not be seen by it.
        let mut rest = changes;
        let sqlite = self.connection.engine() == Engine::Sqlite;
        if sqlite {
            self.connection.batch("stage changes", "BEGIN")?;
        }
        let mut result = Ok(());
        while !rest.is_empty() && result.is_ok() {
            let end =
                rest.iter().position(|change| matches!(change, StagedChange::Withdraw { .. })).unwrap_or(rest.len());
            let (before, from) = rest.split_at(end);
            result = self.stage_additions(before);
            let withdrawals = from.iter().take_while(|change| matches!(change, StagedChange::Withdraw { .. })).count();
            let (withdrawn, after) = from.split_at(withdrawals);
            if result.is_ok() {
                result = self.withdraw(withdrawn);
            }
            rest = after;
        }
        if sqlite {
            let end = self.connection.batch("stage changes", if result.is_ok() { "COMMIT" } else { "ROLLBACK" });
            result = result.and(end);
        }
        result
    }

    fn withdraw(&mut self, changes: &[StagedChange]) -> Result<(), StoreError> {
        for layout in &LAYOUTS {
            let ids: Vec<&SourcedId> = changes
                .iter()
                .filter_map(|change| match change {
                    StagedChange::Withdraw { kind, sourced_id } if *kind == layout.kind => Some(sourced_id),
                    _ => None,
                })
                .collect();
            if ids.is_empty() {
                continue;
            }
            let ids = Bind::owned(json(&ids));
            let in_texts = self.connection.in_texts();
            if self.has(layout.staging) {
                self.index(layout.staging, "sourced_id")?;
                let sql = format!("DELETE FROM {} WHERE sourced_id {in_texts}", layout.staging);
                let rows = self.connection.execute("withdraw a staged record", &sql, std::slice::from_ref(&ids))?;
                self.puts[layout.kind] -= rows as u64;
            }
            if self.has(OPERATIONS) {
                self.index(OPERATIONS, "sourced_id")?;
                let sql = format!("DELETE FROM {OPERATIONS} WHERE kind = ? AND sourced_id {in_texts}");
                let kind = Bind::text(layout.kind.as_str());
                self.connection.execute("withdraw a staged record", &sql, &[kind, ids])?;
            }
        }
        Ok(())
    }

    fn stage_additions(&mut self, changes: &[StagedChange]) -> Result<(), StoreError> {
        let first = self.next;
        for layout in &LAYOUTS {
            let puts = || {
                (first..).zip(changes).filter_map(|(ord, change)| match change {
                    StagedChange::Put { record, fingerprint, modified_ms, .. } if record.kind() == layout.kind => {
                        Some((ord, record, *fingerprint, *modified_ms))
                    }
                    _ => None,
                })
            };
            let mut batch = Batch::default();
            let mut any = false;
            let links = ordinals::links(layout).count();
            let mut ordinals = (self.ordinals.as_ref().filter(|_| links > 0))
                .map(|ordinals| ordinals.of_links(layout, puts().map(|(_, record, ..)| record)));
            for (ord, record, fingerprint, modified_ms) in puts() {
                any = true;
                self.puts[layout.kind] += 1;
                batch.put(ord, record, fingerprint, modified_ms);
                for _ in 0..links {
                    batch.records.push(Bind::Int(ordinals.as_mut().and_then(Iterator::next).flatten()));
                }
            }
            drop(ordinals);
            if let Some(ordinals) = &mut self.ordinals {
                puts().for_each(|(ord, record, ..)| ordinals.note(record, ord));
            }
            if any {
                self.record_tables(layout)?;
                self.write(layout, &batch)?;
            }
        }
        let mut operations = Vec::new();
        let mut rejects = Vec::new();
        for (ord, change) in (first..).zip(changes) {
            if let Some((kind, sourced_id, operation)) = operation(change) {
                operations.extend([
                    Bind::int(ord),
                    Bind::text(kind),
                    Bind::text(sourced_id.as_str()),
                    Bind::owned(json(&operation)),
                ]);
                self.operations += 1;
                match change {
                    StagedChange::Delete { kind, .. } => self.deletions[*kind] = true,
                    StagedChange::Revive { kind, .. } | StagedChange::Touch { kind, .. } => self.others[*kind] = true,
                    StagedChange::Attach(link) => self.others[link.field.holder()] = true,
                    _ => {}
                }
            }
            if let StagedChange::Reject { reject, pending } = change {
                rejects.extend([
                    Bind::int(ord),
                    Bind::text(reject.kind.as_str()),
                    Bind::maybe(reject.sourced_id.as_ref().map(SourcedId::as_str)),
                    Bind::owned(reject.location.to_string()),
                    Bind::owned(json(&reject.findings)),
                    Bind::Text(reject.record.as_ref().map(|record| Cow::Owned(record.to_string()))),
                    Bind::maybe(pending.as_ref().map(|pending| pending.record.sourced_id().as_str())),
                    Bind::Text(pending.as_ref().map(|pending| Cow::Owned(json(&pending.record)))),
                    Bind::Bytes(pending.as_ref().map(|pending| Cow::Owned(pending.fingerprint.to_bytes().to_vec()))),
                    Bind::Int(pending.as_ref().and_then(|pending| pending.modified_ms)),
                ]);
                self.rejects += 1;
            }
        }
        if !operations.is_empty() {
            self.table(OPERATIONS, |engine| {
                format!("ord {}, kind TEXT, sourced_id {}, operation TEXT", ordinal(engine), id_type(engine))
            })?;
            insert(&mut self.connection, OPERATIONS, &["ord", "kind", "sourced_id", "operation"], &operations)?;
        }
        if !rejects.is_empty() {
            self.table(REJECTS, |engine| {
                format!(
                    "ord {}, kind TEXT, sourced_id {id}, location TEXT, findings TEXT, record TEXT, pending_sourced_id {id}, pending TEXT, fingerprint {}, modified_ms BIGINT",
                    ordinal(engine),
                    bytes(engine),
                    id = id_type(engine)
                )
            })?;
            let columns = [
                "ord",
                "kind",
                "sourced_id",
                "location",
                "findings",
                "record",
                "pending_sourced_id",
                "pending",
                "fingerprint",
                "modified_ms",
            ];
            insert(&mut self.connection, REJECTS, &columns, &rejects)?;
        }
        self.next += i64::try_from(changes.len()).unwrap_or(i64::MAX);
        Ok(())
    }

    fn write(&mut self, layout: &'static Layout, batch: &Batch<'_>) -> Result<(), StoreError> {
        let mut columns = staged_columns(layout);
        let ords: Vec<_> = ordinals::links(layout).map(|link| format!("{}_ord", link.stem)).collect();
        columns.extend(ords.iter().map(String::as_str));
        insert(&mut self.connection, layout.staging, &columns, &batch.records)?;
        for (child, rows) in layout.children.iter().zip([&batch.first, &batch.second]) {
            let mut columns = vec!["ord", "position"];
            columns.extend(child.columns.iter().map(|column| column.name));
            let link = format!("{}_ref", child.link.stem);
            columns.push(&link);
            insert(&mut self.connection, child.staging, &columns, rows)?;
        }
        if !batch.external_ids.is_empty() {
            self.external_ids[layout.kind] = true;
            self.table(EXTERNAL_IDS, |engine| {
                format!("ord BIGINT NOT NULL, kind TEXT NOT NULL, scheme {id}, value {id}", id = id_type(engine))
            })?;
            insert(&mut self.connection, EXTERNAL_IDS, &["ord", "kind", "scheme", "value"], &batch.external_ids)?;
        }
        Ok(())
    }
}

/// The rows of staged records of one kind.
#[derive(Default)]
struct Batch<'a> {
    records: Vec<Bind<'a>>,
    /// Rows of the first child table: terms of classes, roles of users.
    first: Vec<Bind<'a>>,
    /// Rows of the second child table: agents of users.
    second: Vec<Bind<'a>>,
    external_ids: Vec<Bind<'a>>,
}

impl<'a> Batch<'a> {
    fn put(&mut self, ord: i64, record: &'a Record, fingerprint: Fingerprint, modified_ms: Option<i64>) {
        self.records.extend([
            Bind::int(ord),
            Bind::text(record.sourced_id().as_str()),
            Bind::Bytes(Some(Cow::Owned(fingerprint.to_bytes().to_vec()))),
            Bind::Int(modified_ms),
        ]);
        rows::write(record, &mut self.records);
        match record {
            Record::Classes(class) => {
                for (position, term) in (0..).zip(&class.terms) {
                    self.first.extend([Bind::int(ord), Bind::int(position), Bind::text(term.as_str())]);
                }
            }
            Record::Users(user) => {
                for (position, role) in (0..).zip(&user.roles) {
                    self.first.extend([Bind::int(ord), Bind::int(position)]);
                    rows::write_role(role, &mut self.first);
                }
                for (position, agent) in (0..).zip(&user.agents) {
                    self.second.extend([Bind::int(ord), Bind::int(position), Bind::text(agent.as_str())]);
                }
            }
            _ => {}
        }
        for id in record.external_ids() {
            self.external_ids.extend([
                Bind::int(ord),
                Bind::text(record.kind().as_str()),
                Bind::text(&id.scheme),
                Bind::text(&id.value),
            ]);
        }
    }
}

/// The operation, with the word for what it is about.
fn operation(change: &StagedChange) -> Option<(&'static str, &SourcedId, Operation)> {
    let (kind, sourced_id, operation) = match change {
        StagedChange::RoleBook(book) => return Some((BOOKS, &book.user, Operation::Book(book.clone()))),
        StagedChange::Delete { kind, sourced_id, reason, modified_ms } => {
            (*kind, sourced_id, Operation::Delete { reason: *reason, modified_ms: *modified_ms })
        }
        StagedChange::Revive { kind, sourced_id } => (*kind, sourced_id, Operation::Revive),
        StagedChange::Attach(link) => {
            (link.field.holder(), &link.holder, Operation::Attach { field: link.field, target: link.target.clone() })
        }
        StagedChange::Touch { kind, sourced_id, modified_ms, fingerprint, reason, roles } => (
            *kind,
            sourced_id,
            Operation::Touch {
                modified_ms: *modified_ms,
                fingerprint: *fingerprint,
                reason: *reason,
                roles: roles.clone(),
            },
        ),
        StagedChange::Settle { kind, sourced_id } => (*kind, sourced_id, Operation::Settle),
        StagedChange::Put { .. } | StagedChange::Withdraw { .. } | StagedChange::Reject { .. } => return None,
    };
    Some((kind.as_str(), sourced_id, operation))
}

/// The columns of a kind's staging table.
pub(crate) fn staged_columns(layout: &'static Layout) -> Vec<&'static str> {
    let mut columns = vec!["ord", "sourced_id", "fingerprint", "modified_ms"];
    columns.extend(layout.columns.iter().map(|column| column.name));
    columns.extend(layout.links.iter().map(|link| match link.stem {
        "parent" => "parent_ref",
        "school_year" => "school_year_ref",
        "org" => "org_ref",
        "course" => "course_ref",
        "school" => "school_ref",
        "primary_org" => "primary_org_ref",
        "class" => "class_ref",
        _ => "user_ref",
    }));
    columns
}

/// Writes many rows at once, as each engine does it fastest. `values` holds the rows one after the other.
pub(crate) fn insert(
    connection: &mut Connection,
    table: &'static str,
    columns: &[&str],
    values: &[Bind<'_>],
) -> Result<(), StoreError> {
    match connection.engine() {
        Engine::Sqlite => sqlite::insert(connection, table, columns, values),
        Engine::Postgres => postgres::copy(connection, table, columns.len(), values),
    }
}

/// JSON of a value that has no keys but texts, and so cannot fail.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn ordinal(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "INTEGER PRIMARY KEY",
        Engine::Postgres => "BIGINT NOT NULL",
    }
}

fn id_type(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "TEXT",
        Engine::Postgres => "TEXT COLLATE \"C\"",
    }
}

fn bytes(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "BLOB",
        Engine::Postgres => "BYTEA",
    }
}

fn column_type(engine: Engine, name: &str, ty: Type) -> &'static str {
    match ty {
        Type::Text if name.ends_with("_ref") || name == "sourced_id" => id_type(engine),
        Type::Text => "TEXT",
        Type::Int => "BIGINT",
        Type::Bool => "BOOLEAN",
    }
}

/// The layout's staging table, if anything is staged in it.
pub(crate) fn staged(staging: &Staging, kind: Kind) -> Option<&'static Layout> {
    let layout = layout(kind);
    (staging.puts[kind] > 0).then_some(layout)
}

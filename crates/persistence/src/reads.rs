//! Reading records back: fingerprints, records as sent, the live roster, links that dangle, the change feed.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rollcall_domain::entities::ExternalId;
use rollcall_domain::ports::{
    ChangeEntry, ChangeKind, ChildKey, DanglingLink, DeleteReason, Fetched, StoreError, StoredFingerprint, StoredRecord,
};
use rollcall_domain::{
    ENCODING_VERSION, Fingerprint, Kind, PendingRecord, Record, RefField, RunId, SourceId, SourcedId, Text,
};

use crate::connection::{Bind, Connection, Engine, Row, Work};
use crate::layout::{Child, Layout, Place, layout, place};
use crate::rows::{HEAD, Owned, Reader, sourced_id};
use crate::staging::{EXTERNAL_IDS, Staging, json};

/// Rows in a page of whole records.
const PAGE: usize = 5_000;
/// Internal ids in a page of fingerprints.
const FINGERPRINTS: i64 = 20_000;
/// Internal ids between two runs' records that are read over rather than asked for apart.
const GAP: i64 = 20_000;

/// Takes a page; answers whether more are wanted.
pub(crate) type Sink<'a, T> = &'a mut dyn FnMut(Vec<T>) -> bool;

/// Hands over in pages what `make` makes of the rows of an answer; says whether more are wanted.
fn in_pages<T>(
    connection: &mut Connection,
    action: &str,
    sql: &str,
    binds: &[Bind<'_>],
    sink: Sink<'_, T>,
    make: impl Fn(Row) -> Result<T, StoreError>,
) -> Result<bool, StoreError> {
    let mut page = Vec::new();
    let mut wanted = true;
    connection.each_while(action, sql, binds, |row| {
        page.push(make(row)?);
        if page.len() == PAGE {
            wanted = sink(std::mem::take(&mut page));
        }
        Ok(wanted)
    })?;
    Ok(wanted && (page.is_empty() || sink(page)))
}

/// How the references of a record are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// As the source wrote them.
    Sent,
    /// Only those to live records.
    Live,
}

/// The blocks of internal ids that were given to a source's records of a kind, near ones joined.
fn blocks(connection: &mut Connection, source: SourceId, kind: Kind) -> Result<Vec<(i64, i64)>, StoreError> {
    let sql = "SELECT first_id, last_id FROM creations WHERE source_id = ? AND kind = ? ORDER BY first_id";
    let mut blocks: Vec<(i64, i64)> = Vec::new();
    connection.each("read the creations", sql, &[Bind::int(source.0), Bind::text(kind.as_str())], |row| {
        let (first, last) = (row.int(0).unwrap_or(0), row.int(1).unwrap_or(0));
        match blocks.last_mut() {
            Some(block) if first - block.1 <= GAP => block.1 = last.max(block.1),
            _ => blocks.push((first, last)),
        }
        Ok(())
    })?;
    Ok(blocks)
}

pub(crate) fn fingerprints(
    connection: &mut Connection,
    source: SourceId,
    kind: Kind,
    sink: Sink<'_, StoredFingerprint>,
) -> Result<(), StoreError> {
    let table = layout(kind).table;
    let switched_off = if kind == Kind::Users { "NOT enabled_user" } else { "FALSE" };
    // What is as usual comes as one null, which costs least. The plus keeps the engines from the index that begins with
    // the source: the records are wanted in the order in which they lie.
    let sql = format!(
        "SELECT sourced_id, fingerprint, modified_ms, id, \
         CASE WHEN encoding <> {ENCODING_VERSION} OR delete_reason IS NOT NULL OR {switched_off} \
         THEN encoding || ' ' || CASE WHEN {switched_off} THEN 'off' ELSE 'on' END || ' ' || coalesce(delete_reason, '') END \
         FROM {table} WHERE id >= ? AND id <= ? AND +source_id = ? ORDER BY id"
    );
    for (first, last) in blocks(connection, source, kind)? {
        let mut from = first;
        while from <= last {
            let to = last.min(from + FINGERPRINTS - 1);
            let mut page = Vec::new();
            let binds = [Bind::int(from), Bind::int(to), Bind::int(source.0)];
            connection.each("read the fingerprints", &sql, &binds, |mut row| {
                let unusual = row.text(4);
                let mut unusual = unusual.iter().flat_map(|unusual| unusual.split(' '));
                page.push(StoredFingerprint {
                    sourced_id: sourced_id(kind, row.text(0), from)?,
                    fingerprint: fingerprint(table, &row, 1, from)?,
                    modified_ms: row.int(2),
                    internal_id: row.int(3).unwrap_or(0),
                    encoding: unusual.next().map_or(ENCODING_VERSION, |version| version.parse().unwrap_or(0)),
                    disabled: unusual.next() == Some("off"),
                    deleted: reason(unusual.next()),
                });
                Ok(())
            })?;
            if !page.is_empty() && !sink(page) {
                return Ok(());
            }
            from = to + 1;
        }
    }
    Ok(())
}

pub(crate) fn sourced_ids(
    connection: &mut Connection,
    source: SourceId,
    kind: Kind,
    internal_ids: &[i64],
) -> Result<Vec<SourcedId>, StoreError> {
    let sql = format!(
        "SELECT sourced_id, id FROM {} WHERE +source_id = ? AND id {}",
        layout(kind).table,
        connection.in_numbers()
    );
    let mut found = Vec::with_capacity(internal_ids.len());
    let binds = [Bind::int(source.0), Bind::owned(json(&internal_ids))];
    connection.each("read ids", &sql, &binds, |mut row| {
        found.push(sourced_id(kind, row.text(0), row.int(1).unwrap_or(0))?);
        Ok(())
    })?;
    Ok(found)
}

fn fingerprint(table: &'static str, row: &Row, index: usize, id: i64) -> Result<Fingerprint, StoreError> {
    row.fingerprint(index).ok_or(StoreError::Inconsistent { table, column: "fingerprint", row: id })
}

fn encoding(row: &Row, index: usize) -> i16 {
    row.int(index).and_then(|version| i16::try_from(version).ok()).unwrap_or(0)
}

fn reason(text: Option<&str>) -> Option<DeleteReason> {
    text.and_then(DeleteReason::from_token)
}

/// What to select for whole records of a kind from its table `t`, and what is to be joined to that.
fn select(connection: &Connection, layout: &'static Layout, links: Links) -> (String, String) {
    let join = connection.ordered_join();
    let mut columns = "t.id, t.sourced_id, t.fingerprint, t.encoding, t.modified_ms, t.delete_reason".to_owned();
    let mut joins = String::new();
    for column in layout.columns {
        match (layout.kind, column.name, links) {
            (Kind::Enrollments, "school_ref", Links::Live) => columns += ", class_school.sourced_id",
            (_, name, _) => columns += &format!(", t.{name}"),
        }
    }
    for link in layout.links {
        let (stem, target) = (link.stem, link.target());
        match (link.required(), links) {
            (true, _) => {
                columns += &format!(", l_{stem}.sourced_id");
                joins += &format!(" {join} {target} l_{stem} ON l_{stem}.id = t.{stem}_id");
            }
            (false, Links::Sent) => columns += &format!(", t.{stem}_ref"),
            (false, Links::Live) => {
                columns += &format!(", l_{stem}.sourced_id");
                joins += &format!(
                    " LEFT JOIN {target} l_{stem} ON l_{stem}.id = t.{stem}_id AND l_{stem}.deleted_at_us IS NULL"
                );
            }
        }
    }
    if layout.kind == Kind::Enrollments && links == Links::Live {
        joins += &format!(" {join} orgs class_school ON class_school.id = l_class.school_id");
    }
    (columns, joins)
}

/// What to select of the rows `c` that a record owns, and what is to be joined to those.
fn select_owned(child: &Child, links: Links) -> (String, String) {
    let stem = child.link.stem;
    let columns: String = child.columns.iter().map(|column| format!("c.{}, ", column.name)).collect();
    match links {
        Links::Sent => (format!("{columns}c.{stem}_ref"), String::new()),
        Links::Live => (
            format!("{columns}l.sourced_id"),
            format!(" LEFT JOIN {} l ON l.id = c.{stem}_id AND l.deleted_at_us IS NULL", child.link.target()),
        ),
    }
}

/// The rows that records own, by the records' ids.
type OwnedById = HashMap<i64, Owned>;

fn owned(
    connection: &mut Connection,
    layout: &'static Layout,
    ids: &[i64],
    links: Links,
) -> Result<OwnedById, StoreError> {
    let mut owned = OwnedById::new();
    let ids = json(&ids);
    let in_numbers = connection.in_numbers();
    for child in layout.children {
        let owner = child.owner;
        let (columns, joins) = select_owned(child, links);
        let sql = format!(
            "SELECT c.{owner}, {columns} FROM {} c{joins} WHERE c.{owner} {in_numbers} ORDER BY c.{owner}, c.position",
            child.table
        );
        read_owned(connection, layout, child.link.field, &sql, &[Bind::text(&ids)], &mut owned)?;
    }
    let sql = format!(
        "SELECT record_id, scheme, value FROM external_ids WHERE kind = ? AND record_id {in_numbers} ORDER BY record_id, scheme, value"
    );
    read_external_ids(connection, &sql, &[Bind::text(layout.kind.as_str()), Bind::text(&ids)], &mut owned)?;
    Ok(owned)
}

fn read_owned(
    connection: &mut Connection,
    layout: &'static Layout,
    field: RefField,
    sql: &str,
    binds: &[Bind<'_>],
    owned: &mut OwnedById,
) -> Result<(), StoreError> {
    connection.each("read the rows of records", sql, binds, |row| {
        let id = row.int(0).unwrap_or(0);
        owned.entry(id).or_default().add(field, Reader::new(row, 1, layout, id))
    })
}

fn read_external_ids(
    connection: &mut Connection,
    sql: &str,
    binds: &[Bind<'_>],
    owned: &mut OwnedById,
) -> Result<(), StoreError> {
    connection.each("read external ids", sql, binds, |mut row| {
        owned.entry(row.int(0).unwrap_or(0)).or_default().external_ids.push(external_id(&mut row, 1));
        Ok(())
    })
}

fn external_id(row: &mut Row, first: usize) -> ExternalId {
    let mut text = |index| row.text(index).unwrap_or_default();
    ExternalId { scheme: text(first), value: text(first + 1) }
}

fn stored_record(layout: &'static Layout, mut row: Row, owned: Owned) -> Result<StoredRecord, StoreError> {
    let internal_id = row.int(0).unwrap_or(0);
    let id = sourced_id(layout.kind, row.text(1), internal_id)?;
    let fingerprint = fingerprint(layout.table, &row, 2, internal_id)?;
    let encoding = encoding(&row, 3);
    let modified_ms = row.int(4);
    let deleted = reason(row.text(5).as_deref());
    let record = Reader::new(row, HEAD, layout, internal_id).record(id, owned)?;
    Ok(StoredRecord { internal_id, record, fingerprint, encoding, modified_ms, deleted })
}

fn stored_records(
    layout: &'static Layout,
    heads: Vec<Row>,
    mut owned: OwnedById,
) -> Result<Vec<StoredRecord>, StoreError> {
    let stored = heads.into_iter().map(|row| {
        let owned = row.int(0).and_then(|id| owned.remove(&id)).unwrap_or_default();
        stored_record(layout, row, owned)
    });
    stored.collect()
}

fn load(
    connection: &mut Connection,
    layout: &'static Layout,
    links: Links,
    sql: &str,
    binds: &[Bind<'_>],
) -> Result<Vec<StoredRecord>, StoreError> {
    let heads = connection.rows("read records", sql, binds)?;
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = heads.iter().filter_map(|row| row.int(0)).collect();
    let owned = owned(connection, layout, &ids, links)?;
    stored_records(layout, heads, owned)
}

/// Stored records by id, as the source sent them.
pub(crate) fn stored(
    connection: &mut Connection,
    source: SourceId,
    kind: Kind,
    ids: &[SourcedId],
) -> Result<Vec<StoredRecord>, StoreError> {
    let layout = layout(kind);
    let (columns, joins) = select(connection, layout, Links::Sent);
    let sql = format!(
        "SELECT {columns} FROM {} t{joins} WHERE t.source_id = ? AND t.sourced_id {}",
        layout.table,
        connection.in_texts()
    );
    load(connection, layout, Links::Sent, &sql, &[Bind::int(source.0), Bind::owned(json(&ids))])
}

/// Staged records by id.
pub(crate) fn staged(staging: &mut Staging, kind: Kind, ids: &[SourcedId]) -> Result<Vec<Record>, StoreError> {
    let Some(layout) = crate::staging::staged(staging, kind) else { return Ok(Vec::new()) };
    staging.index(layout.staging, "sourced_id")?;
    let connection = &mut staging.connection;
    let mut columns = "s.ord, s.sourced_id, s.fingerprint, 0, s.modified_ms, NULL".to_owned();
    for name in crate::staging::staged_columns(layout).iter().skip(4) {
        columns += &format!(", s.{name}");
    }
    let sql = format!("SELECT {columns} FROM {} s WHERE s.sourced_id {}", layout.staging, connection.in_texts());
    let heads = connection.rows("read staged records", &sql, &[Bind::owned(json(&ids))])?;
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let ordinals: Vec<i64> = heads.iter().filter_map(|row| row.int(0)).collect();
    let ordinals = json(&ordinals);
    let mut owned = OwnedById::new();
    for child in layout.children {
        staging.index(child.staging, "ord")?;
        let columns: String = child.columns.iter().map(|column| format!("c.{}, ", column.name)).collect();
        let sql = format!(
            "SELECT c.ord, {columns}c.{}_ref FROM {} c WHERE c.ord {} ORDER BY c.ord, c.position",
            child.link.stem,
            child.staging,
            staging.connection.in_numbers()
        );
        read_owned(&mut staging.connection, layout, child.link.field, &sql, &[Bind::text(&ordinals)], &mut owned)?;
    }
    if staging.has(EXTERNAL_IDS) {
        staging.index(EXTERNAL_IDS, "ord")?;
        let sql = format!(
            "SELECT ord, scheme, value FROM {EXTERNAL_IDS} WHERE ord {} ORDER BY ord, scheme, value",
            staging.connection.in_numbers()
        );
        read_external_ids(&mut staging.connection, &sql, &[Bind::text(&ordinals)], &mut owned)?;
    }
    Ok(stored_records(layout, heads, owned)?.into_iter().map(|stored| stored.record).collect())
}

/// Records by id, stored and staged, in the order of the question.
pub(crate) fn join_fetched(ids: &[SourcedId], stored: Vec<StoredRecord>, staged: Vec<Record>) -> Vec<Fetched> {
    let mut stored: HashMap<SourcedId, StoredRecord> =
        stored.into_iter().map(|record| (record.record.sourced_id().clone(), record)).collect();
    let mut staged: HashMap<SourcedId, Record> =
        staged.into_iter().map(|record| (record.sourced_id().clone(), record)).collect();
    ids.iter()
        .filter_map(|id| {
            let (stored, staged) = (stored.remove(id), staged.remove(id));
            (stored.is_some() || staged.is_some()).then(|| Fetched { sourced_id: id.clone(), stored, staged })
        })
        .collect()
}

/// The stored records that refer to any of `targets`.
pub(crate) fn stored_holders(
    connection: &mut Connection,
    source: SourceId,
    field: RefField,
    targets: &[SourcedId],
) -> Result<Vec<ChildKey>, StoreError> {
    let in_texts = connection.in_texts();
    let list = json(&targets);
    let source_bind = || Bind::int(source.0);
    let (sql, binds) = match place(field) {
        Place::Own(layout, link) => {
            let (table, stem, target) = (layout.table, link.stem, link.target());
            let attached = format!(
                "SELECT t.sourced_id, l.sourced_id, t.delete_reason FROM {target} l JOIN {table} t ON t.{stem}_id = l.id \
                 WHERE l.source_id = ? AND l.sourced_id {in_texts}"
            );
            let mut binds = vec![source_bind(), Bind::text(&list)];
            if link.required() {
                (attached, binds)
            } else {
                binds.extend([source_bind(), Bind::text(&list)]);
                let dangling = format!(
                    "SELECT t.sourced_id, t.{stem}_ref, t.delete_reason FROM {table} t WHERE t.source_id = ? \
                     AND t.{stem}_id IS NULL AND t.{stem}_ref IS NOT NULL AND t.{stem}_ref {in_texts}"
                );
                (format!("{attached} UNION ALL {dangling}"), binds)
            }
        }
        Place::Owned(layout, child) => {
            let (table, stem, target, owner) = (child.table, child.link.stem, child.link.target(), child.owner);
            let holder = layout.table;
            let sql = format!(
                "SELECT t.sourced_id, l.sourced_id, t.delete_reason FROM {target} l JOIN {table} c ON c.{stem}_id = l.id \
                 JOIN {holder} t ON t.id = c.{owner} WHERE l.source_id = ? AND l.sourced_id {in_texts} \
                 UNION SELECT t.sourced_id, c.{stem}_ref, t.delete_reason FROM {table} c JOIN {holder} t ON t.id = c.{owner} \
                 WHERE t.source_id = ? AND c.{stem}_id IS NULL AND c.{stem}_ref IS NOT NULL AND c.{stem}_ref {in_texts}"
            );
            (sql, vec![source_bind(), Bind::text(&list), source_bind(), Bind::text(&list)])
        }
        Place::Column(layout) => {
            let sql = format!(
                "SELECT t.sourced_id, t.school_ref, t.delete_reason FROM {} t WHERE t.source_id = ? AND t.school_ref {in_texts}",
                layout.table
            );
            (sql, vec![source_bind(), Bind::text(&list)])
        }
    };
    let mut holders = Vec::new();
    connection.each("read what refers to a record", &sql, &binds, |row| {
        holders.push(child_key(field, row, false)?);
        Ok(())
    })?;
    Ok(holders)
}

fn child_key(field: RefField, mut row: Row, staged: bool) -> Result<ChildKey, StoreError> {
    Ok(ChildKey {
        sourced_id: sourced_id(field.holder(), row.text(0), 0)?,
        target: sourced_id(field.target(), row.text(1), 0)?,
        deleted: reason(row.text(2).as_deref()),
        staged,
    })
}

/// The staged records that refer to any of `targets`.
pub(crate) fn staged_holders(
    staging: &mut Staging,
    field: RefField,
    targets: &[SourcedId],
) -> Result<Vec<ChildKey>, StoreError> {
    let Some(layout) = crate::staging::staged(staging, field.holder()) else { return Ok(Vec::new()) };
    let (sql, indexed) = match place(field) {
        Place::Own(_, link) => {
            let column = format!("{}_ref", link.stem);
            (
                format!("SELECT s.sourced_id, s.{column}, NULL FROM {} s WHERE s.{column}", layout.staging),
                (layout.staging, column),
            )
        }
        Place::Owned(_, child) => {
            let column = format!("{}_ref", child.link.stem);
            staging.index(layout.staging, "ord")?;
            (
                format!(
                    "SELECT DISTINCT s.sourced_id, c.{column}, NULL FROM {} c JOIN {} s ON s.ord = c.ord WHERE c.{column}",
                    child.staging, layout.staging
                ),
                (child.staging, column),
            )
        }
        Place::Column(_) => (
            format!("SELECT s.sourced_id, s.school_ref, NULL FROM {} s WHERE s.school_ref", layout.staging),
            (layout.staging, "school_ref".to_owned()),
        ),
    };
    staging.index(indexed.0, &indexed.1)?;
    let sql = format!("{sql} {}", staging.connection.in_texts());
    let mut holders = Vec::new();
    staging.connection.each("read what refers to a record", &sql, &[Bind::owned(json(&targets))], |row| {
        holders.push(child_key(field, row, true)?);
        Ok(())
    })?;
    Ok(holders)
}

/// Which of these records are staged.
pub(crate) fn staged_ids(
    staging: &mut Staging,
    kind: Kind,
    ids: &[SourcedId],
) -> Result<HashSet<SourcedId>, StoreError> {
    let Some(layout) = crate::staging::staged(staging, kind) else { return Ok(HashSet::new()) };
    staging.index(layout.staging, "sourced_id")?;
    let sql =
        format!("SELECT s.sourced_id FROM {} s WHERE s.sourced_id {}", layout.staging, staging.connection.in_texts());
    let mut found = HashSet::new();
    staging.connection.each("read staged records", &sql, &[Bind::owned(json(&ids))], |mut row| {
        found.insert(sourced_id(kind, row.text(0), 0)?);
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn dangling(
    connection: &mut Connection,
    source: SourceId,
    target: Kind,
    sink: Sink<'_, DanglingLink>,
) -> Result<(), StoreError> {
    for field in RefField::ALL.into_iter().filter(|field| field.target() == target && !field.is_required()) {
        let sql = match place(field) {
            Place::Own(layout, link) => {
                let stem = link.stem;
                format!(
                    "SELECT t.sourced_id, t.{stem}_ref FROM {} t WHERE t.source_id = ? AND t.{stem}_id IS NULL \
                     AND t.{stem}_ref IS NOT NULL AND t.deleted_at_us IS NULL",
                    layout.table
                )
            }
            Place::Owned(layout, child) => {
                let (stem, table, rows, owner) = (child.link.stem, layout.table, child.table, child.owner);
                let from = match connection.engine() {
                    // From the few that dangle to their records, and past those of other sources.
                    Engine::Sqlite => format!(
                        "creations b CROSS JOIN {rows} c ON c.{owner} BETWEEN b.first_id AND b.last_id \
                         AND b.source_id = {} AND b.kind = '{}' CROSS JOIN {table} t ON t.id = c.{owner}",
                        source.0, layout.kind
                    ),
                    Engine::Postgres => format!("{rows} c JOIN {table} t ON t.id = c.{owner}"),
                };
                format!(
                    "SELECT DISTINCT t.sourced_id, c.{stem}_ref FROM {from} WHERE c.{stem}_id IS NULL \
                     AND c.{stem}_ref IS NOT NULL AND t.source_id = ? AND t.deleted_at_us IS NULL"
                )
            }
            Place::Column(_) => continue,
        };
        let link = |mut row: Row| {
            Ok(DanglingLink {
                field,
                holder: sourced_id(field.holder(), row.text(0), 0)?,
                target: sourced_id(field.target(), row.text(1), 0)?,
            })
        };
        if !in_pages(connection, "read dangling references", &sql, &[Bind::int(source.0)], sink, link)? {
            return Ok(());
        }
    }
    Ok(())
}

pub(crate) fn pending(
    connection: &mut Connection,
    source: SourceId,
    kind: Kind,
    sink: Sink<'_, PendingRecord>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT sourced_id, record, fingerprint, modified_ms FROM pending_records \
         WHERE source_id = ? AND kind = ? AND sourced_id > ? ORDER BY sourced_id LIMIT {PAGE}"
    );
    let mut after = String::new();
    loop {
        let mut page = Vec::new();
        let binds = [Bind::int(source.0), Bind::text(kind.as_str()), Bind::owned(after.clone())];
        connection.each("read pending records", &sql, &binds, |mut row| {
            after = row.string(0).unwrap_or_default();
            let record = row
                .text(1)
                .and_then(|text| serde_json::from_str(&text).ok())
                .ok_or(StoreError::Inconsistent { table: "pending_records", column: "record", row: 0 })?;
            let fingerprint = fingerprint("pending_records", &row, 2, 0)?;
            page.push(PendingRecord { record, fingerprint, modified_ms: row.int(3) });
            Ok(())
        })?;
        if page.is_empty() || !sink(page) {
            return Ok(());
        }
    }
}

/// The live roster of a kind, in the order of its sourcedIds.
pub(crate) fn records(
    connection: &mut Connection,
    source: SourceId,
    kind: Kind,
    sink: Sink<'_, Record>,
) -> Result<(), StoreError> {
    // One sort of everything instead of a look into four tables for each record.
    match connection.engine() {
        Engine::Sqlite => records_of_sqlite(connection, source, layout(kind), sink),
        Engine::Postgres => records_of_postgres(connection, source, layout(kind), sink),
    }
}

/// SQLite goes through all tables in the order in which they lie, which is why it begins with the creations, and sorts whole
/// rows. They carry along what the record owns as JSON, because nothing else can be asked while the statement runs.
fn records_of_sqlite(
    connection: &mut Connection,
    source: SourceId,
    layout: &'static Layout,
    sink: Sink<'_, Record>,
) -> Result<(), StoreError> {
    let (mut columns, joins) = select(connection, layout, Links::Live);
    for child in layout.children {
        let (owned, joins) = select_owned(child, Links::Live);
        columns += &format!(
            ", (SELECT json_group_array(json_array({owned}) ORDER BY c.position) FROM {} c{joins} WHERE c.{} = t.id)",
            child.table, child.owner
        );
    }
    columns += &format!(
        ", (SELECT json_group_array(json_array(scheme, value) ORDER BY scheme, value) FROM external_ids \
         WHERE kind = '{}' AND record_id = t.id)",
        layout.kind
    );
    let sql = format!(
        "SELECT {columns} FROM creations b CROSS JOIN {} t ON t.id BETWEEN b.first_id AND b.last_id{joins} \
         WHERE b.source_id = ? AND b.kind = ? AND +t.source_id = b.source_id AND t.deleted_at_us IS NULL \
         ORDER BY t.sourced_id",
        layout.table
    );
    let binds = [Bind::int(source.0), Bind::text(layout.kind.as_str())];
    let record = |mut row| {
        let owned = carried_along(layout, &mut row)?;
        Ok(stored_record(layout, row, owned)?.record)
    };
    in_pages(connection, "read records", &sql, &binds, sink, record).map(drop)
}

/// What a record owns, from the cells that stand after its own.
fn carried_along(layout: &'static Layout, row: &mut Row) -> Result<Owned, StoreError> {
    let id = row.int(0).unwrap_or(0);
    let mut next = HEAD + layout.columns.len() + layout.links.len();
    let mut rows = || {
        next += 1;
        let inconsistent = StoreError::Inconsistent { table: layout.table, column: "id", row: id };
        row.text(next - 1).and_then(|text| Row::list_from_json(&text)).ok_or(inconsistent)
    };
    let mut owned = Owned::default();
    for child in layout.children {
        for cells in rows()? {
            owned.add(child.link.field, Reader::new(cells, 0, layout, id))?;
        }
    }
    owned.external_ids = rows()?.into_iter().map(|mut cells| external_id(&mut cells, 0)).collect();
    Ok(owned)
}

fn records_of_postgres(
    connection: &mut Connection,
    source: SourceId,
    layout: &'static Layout,
    sink: Sink<'_, Record>,
) -> Result<(), StoreError> {
    let (columns, joins) = select(connection, layout, Links::Live);
    let cursor = format!("roster_of_{}", layout.table);
    let declare = format!(
        "DECLARE {cursor} NO SCROLL CURSOR FOR SELECT {columns} FROM {} t{joins} \
         WHERE t.source_id = {} AND t.deleted_at_us IS NULL ORDER BY t.sourced_id",
        layout.table, source.0
    );
    connection.plan_for(Work::Everything)?;
    connection.batch("read records", &declare)?;
    connection.plan_for(Work::Keys)?;
    let fetch = format!("FETCH {PAGE} FROM {cursor}");
    loop {
        let page = load(connection, layout, Links::Live, &fetch, &[])?;
        if page.is_empty() || !sink(page.into_iter().map(|stored| stored.record).collect()) {
            return Ok(());
        }
    }
}

/// A block of creations.
struct Block {
    kind: Kind,
    first_id: i64,
    last_id: i64,
    first_sequence: i64,
    run: RunId,
    at: Timestamp,
}

fn run_id(text: Option<Text>) -> Result<RunId, StoreError> {
    text.and_then(|text| text.parse().ok()).map(RunId).ok_or(StoreError::Inconsistent {
        table: "runs",
        column: "run_id",
        row: 0,
    })
}

pub(crate) fn instant(us: Option<i64>, table: &'static str, column: &'static str) -> Result<Timestamp, StoreError> {
    us.and_then(|us| Timestamp::from_microsecond(us).ok()).ok_or(StoreError::Inconsistent { table, column, row: 0 })
}

fn kind_of(text: Option<Text>, table: &'static str) -> Result<Kind, StoreError> {
    text.and_then(|text| text.parse().ok()).ok_or(StoreError::Inconsistent { table, column: "kind", row: 0 })
}

/// The change feed of a source, or of one record.
pub(crate) fn changes(
    connection: &mut Connection,
    source: SourceId,
    after: i64,
    record: Option<&(Kind, SourcedId)>,
    sink: Sink<'_, ChangeEntry>,
) -> Result<(), StoreError> {
    let only = match record {
        None => None,
        Some((kind, id)) => {
            let sql = format!("SELECT id FROM {} WHERE source_id = ? AND sourced_id = ?", layout(*kind).table);
            let binds = [Bind::int(source.0), Bind::text(id.as_str())];
            match connection.first("find a record", &sql, &binds)?.and_then(|row| row.int(0)) {
                Some(id) => Some((*kind, id)),
                None => return Ok(()),
            }
        }
    };
    let mut narrowed = String::new();
    if let Some((kind, id)) = only {
        narrowed = format!(" AND c.kind = '{}' AND {id} BETWEEN c.first_id AND c.last_id", kind.as_str());
    }
    let sql = format!(
        "SELECT c.kind, c.first_id, c.last_id, c.first_sequence, r.run_id, c.at_us FROM creations c JOIN runs r ON r.id = c.run_id \
         WHERE c.source_id = ? AND c.first_sequence + c.last_id - c.first_id > ?{narrowed} ORDER BY c.first_sequence"
    );
    let mut blocks = Vec::new();
    connection.each("read the creations", &sql, &[Bind::int(source.0), Bind::int(after)], |mut row| {
        blocks.push(Block {
            kind: kind_of(row.text(0), "creations")?,
            first_id: row.int(1).unwrap_or(0),
            last_id: row.int(2).unwrap_or(0),
            first_sequence: row.int(3).unwrap_or(0),
            run: run_id(row.text(4))?,
            at: instant(row.int(5), "creations", "at_us")?,
        });
        Ok(())
    })?;
    let mut after = after;
    for block in &blocks {
        if !rest_of_feed(connection, source, &mut after, block.first_sequence, only, sink)?
            || !creations(connection, source, after, block, only, sink)?
        {
            return Ok(());
        }
        after = block.first_sequence + block.last_id - block.first_id;
    }
    rest_of_feed(connection, source, &mut after, i64::MAX, only, sink).map(drop)
}

/// The entries of `changes` between two numbers.
fn rest_of_feed(
    connection: &mut Connection,
    source: SourceId,
    after: &mut i64,
    before: i64,
    only: Option<(Kind, i64)>,
    sink: Sink<'_, ChangeEntry>,
) -> Result<bool, StoreError> {
    let narrowed =
        only.map_or_else(String::new, |(kind, id)| format!(" AND c.kind = '{}' AND c.record_id = {id}", kind.as_str()));
    let sql = format!(
        "SELECT c.sequence, r.run_id, c.at_us, c.kind, c.record_id, c.sourced_id, c.change, c.before FROM changes c \
         JOIN runs r ON r.id = c.run_id WHERE c.source_id = ? AND c.sequence > ? AND c.sequence < ?{narrowed} \
         ORDER BY c.sequence LIMIT {PAGE}"
    );
    loop {
        let mut page = Vec::new();
        let binds = [Bind::int(source.0), Bind::int(*after), Bind::int(before)];
        connection.each("read the change feed", &sql, &binds, |mut row| {
            let kind = kind_of(row.text(3), "changes")?;
            let change = row.text(6).as_deref().and_then(ChangeKind::from_token).ok_or(StoreError::Inconsistent {
                table: "changes",
                column: "change",
                row: row.int(0).unwrap_or(0),
            })?;
            page.push(ChangeEntry {
                sequence: row.int(0).unwrap_or(0),
                run: run_id(row.text(1))?,
                at: instant(row.int(2), "changes", "at_us")?,
                kind,
                internal_id: row.int(4).unwrap_or(0),
                sourced_id: sourced_id(kind, row.text(5), 0)?,
                change,
                before: row.text(7).and_then(|text| serde_json::from_str(&text).ok()),
            });
            Ok(())
        })?;
        let Some(last) = page.last() else { return Ok(true) };
        *after = last.sequence;
        if !sink(page) {
            return Ok(false);
        }
    }
}

/// The entries of a block of creations.
fn creations(
    connection: &mut Connection,
    source: SourceId,
    after: i64,
    block: &Block,
    only: Option<(Kind, i64)>,
    sink: Sink<'_, ChangeEntry>,
) -> Result<bool, StoreError> {
    let shift = block.first_sequence - block.first_id;
    let mut from = block.first_id.max(after - shift + 1);
    let mut to = block.last_id;
    if let Some((_, id)) = only {
        from = from.max(id);
        to = id;
    }
    let sql = format!(
        "SELECT id, sourced_id FROM {} WHERE id >= ? AND id <= ? AND +source_id = ? ORDER BY id LIMIT {PAGE}",
        layout(block.kind).table
    );
    while from <= to {
        let mut page = Vec::new();
        connection.each(
            "read the creations",
            &sql,
            &[Bind::int(from), Bind::int(to), Bind::int(source.0)],
            |mut row| {
                let internal_id = row.int(0).unwrap_or(0);
                from = internal_id + 1;
                page.push(ChangeEntry {
                    sequence: internal_id + shift,
                    run: block.run,
                    at: block.at,
                    kind: block.kind,
                    internal_id,
                    sourced_id: sourced_id(block.kind, row.text(1), internal_id)?,
                    change: ChangeKind::Created,
                    before: None,
                });
                Ok(())
            },
        )?;
        if page.is_empty() {
            break;
        }
        if !sink(page) {
            return Ok(false);
        }
    }
    Ok(true)
}

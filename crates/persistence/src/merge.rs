//! Applying what was staged, inside one transaction.
//!
//! New records go set by set: one INSERT … SELECT per table. What changes existing records goes in chunks, because the
//! state before has to be read for the feed; the writing is set by set there too.

use std::collections::{HashMap, VecDeque};

use rollcall_domain::ports::{ChangeKind, Commit, DeleteReason, StoreError, StoredRecord};
use rollcall_domain::{Fingerprint, Kind, PerKind, Record, RefField, SourceId, SourcedId, Text};
use serde::Serialize;

use crate::ahead::Ahead;
use crate::connection::{Bind, Connection, Engine, Work};
use crate::layout::{Child, LAYOUTS, Layout, Link, Place, Type, layout, place};
use crate::load::{self, LARGE};
use crate::ordinals;
use crate::reads;
use crate::rows;
use crate::staging::{EXTERNAL_IDS, OPERATIONS, Operation, REJECTS, Staging, insert, json};

/// Records whose state before is in memory at a time.
const CHUNK: i64 = 2_000;
/// How many such chunks are read before they are needed, at the most.
const CHUNKS_AHEAD: usize = 8;

/// What an apply needs to know everywhere.
pub(crate) struct Merge<'a> {
    pub(crate) staging: &'a mut Staging,
    pub(crate) source: SourceId,
    /// The run's row.
    pub(crate) run: i64,
    pub(crate) at_us: i64,
    /// The last number given in the feed.
    pub(crate) sequence: i64,
    /// The version of the encoding under the staged fingerprints.
    pub(crate) encoding: i16,
    /// Records that are to be deleted, read beside the transaction.
    pub(crate) ahead: Ahead,
    /// Which of them are to be asked for next.
    pub(crate) dying: Dying,
    /// Of kinds whose new records got ids in the order of their staging without a gap.
    pub(crate) numberings: PerKind<Option<Numbering>>,
}

/// Where the reading of what is to be deleted stands: kinds that refer to others come before those that they refer to.
#[derive(Debug)]
pub(crate) struct Dying {
    kinds: VecDeque<Kind>,
    /// The last id of the first kind that was asked for.
    after: String,
}

impl Dying {
    /// All that is staged.
    pub(crate) fn of(staging: &Staging) -> Self {
        let kinds = Kind::ALL.into_iter().rev().filter(|kind| staging.deletions[*kind]).collect();
        Self { kinds, after: String::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// Which operations, of those that are staged.
#[derive(Debug, Clone, Copy)]
enum Which {
    All,
    Deletions,
}

/// Ids that follow from the order of staging, so that nothing has to be looked up to find them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbering {
    first_ord: i64,
    last_ord: i64,
    /// What is to be added to the order of staging.
    shift: i64,
}

/// The operations on one record, put together.
#[derive(Debug, Default)]
struct Net {
    /// What it comes to in the end, if anything was said of that.
    end: Option<End>,
    modified_ms: Option<i64>,
    fingerprint: Option<Fingerprint>,
    reason: Option<DeleteReason>,
    roles: Option<Vec<rollcall_domain::entities::Role>>,
    attach: Vec<(RefField, SourcedId)>,
}

/// What a record comes to.
#[derive(Debug, Clone, Copy)]
enum End {
    Alive,
    Dead(DeleteReason),
}

impl Merge<'_> {
    /// Writes everything that was staged about records.
    pub(crate) fn records(&mut self) -> Result<(), StoreError> {
        self.prepare()?;
        if let Some(ordinals) = &mut self.staging.ordinals {
            ordinals.forget();
        }
        let tables = load::worth_it(self.staging, self.source)?;
        let mut aside = load::put_aside(self.connection(), &tables)?;
        self.plan_for_sets()?;
        for layout in &LAYOUTS {
            if self.staging.puts[layout.kind] > 0 {
                self.puts(layout, &mut aside)?;
            }
        }
        load::put_back(self.connection(), &mut aside, "external_ids")?;
        self.connection().plan_for(Work::Keys)?;
        for kind in Kind::ALL.into_iter().filter(|kind| self.staging.others[*kind]).collect::<Vec<_>>() {
            self.changes(kind)?;
        }
        self.deletions()
    }

    /// Sees to it that PostgreSQL does not look up a million rows one by one.
    fn plan_for_sets(&mut self) -> Result<(), StoreError> {
        let many = self.staging.puts.iter().any(|(_, puts)| *puts >= LARGE);
        self.connection().plan_for(if many { Work::LargeSets } else { Work::Sets })
    }

    fn connection(&mut self) -> &mut Connection {
        &mut self.staging.connection
    }

    /// Tells PostgreSQL how much is staged: it would plan for a handful. How much is all that it needs to know, and a
    /// sample of its usual size takes as long as writing 50,000 records.
    fn prepare(&mut self) -> Result<(), StoreError> {
        if self.connection().engine() == Engine::Postgres {
            self.connection().batch("look at what is staged", "SET LOCAL default_statistics_target = 10")?;
            let tables: Vec<_> = self.staging.tables().collect();
            for table in tables {
                self.connection().batch("look at what is staged", &format!("ANALYZE {table}"))?;
            }
        }
        Ok(())
    }

    // -- puts ---------------------------------------------------------------------------------------------------------

    fn puts(&mut self, layout: &'static Layout, aside: &mut load::Aside) -> Result<(), StoreError> {
        let (source, staging) = (self.source.0, layout.staging);
        let (table, kind) = (layout.table, layout.kind);
        let known = load::has_records(&mut self.staging.connection, self.source, Some(kind))?;
        if known {
            // What is there decides what is new, whatever the change was called. The index comes first: PostgreSQL does
            // not use one in the transaction that made it over rows that it had changed before.
            self.staging.index(staging, "replaces")?;
            let there = format!(
                "SELECT t.id FROM {table} t WHERE t.source_id = {source} AND t.sourced_id = {staging}.sourced_id"
            );
            let sql = format!("UPDATE {staging} SET replaces = ({there}) WHERE EXISTS ({there})");
            self.connection().execute_once("find what is there", &sql, &[])?;
        }
        self.create(layout, aside, known)?;
        load::put_back(self.connection(), aside, table)?;
        let updated = known && self.update(layout)?;
        self.attach_to_own_kind(layout)?;
        for child in layout.children {
            self.child_rows(layout, child, updated)?;
            load::put_back(self.connection(), aside, child.table)?;
        }
        self.external_ids(layout, updated)
    }

    /// Writes what is new. `known` says whether the source had records of the kind before.
    fn create(&mut self, layout: &'static Layout, aside: &load::Aside, known: bool) -> Result<(), StoreError> {
        let (source, table) = (self.source.0, layout.table);
        let before = self.connection().number(
            "find the last internal id",
            &format!("SELECT coalesce(max(id), 0) FROM {table}"),
            &[],
        )?;
        let mut into = "source_id, sourced_id, fingerprint, encoding, modified_ms".to_owned();
        let mut from = format!("{source}, s.sourced_id, s.fingerprint, {}, s.modified_ms", self.encoding);
        let mut joins = String::new();
        for column in layout.columns {
            into += &format!(", {}", column.name);
            from += &format!(", s.{}", column.name);
        }
        for link in layout.links {
            let (stem, target) = (link.stem, link.target());
            if !link.required() {
                into += &format!(", {stem}_ref");
                from += &format!(", s.{stem}_ref");
            }
            // Records of the same kind may be made by this very statement; they are attached after it.
            if link.field.target() != layout.kind {
                into += &format!(", {stem}_id");
                if let Some(Numbering { first_ord, last_ord, shift }) = self.numbered(layout, link) {
                    from += &format!(
                        ", CASE WHEN s.{stem}_ord BETWEEN {first_ord} AND {last_ord} THEN s.{stem}_ord + {shift} \
                         ELSE (SELECT id FROM {target} WHERE source_id = {source} AND sourced_id = s.{stem}_ref) END"
                    );
                } else {
                    from += &format!(", l_{stem}.id");
                    joins += &format!(
                        " LEFT JOIN {target} l_{stem} ON l_{stem}.source_id = {source} AND l_{stem}.sourced_id = s.{stem}_ref"
                    );
                }
            }
        }
        // Keys that come in order are faster to keep; PostgreSQL spends its time elsewhere. Where the keys are made
        // afterwards, the order of the source is better: what refers to each other stands together there.
        let many = self.staging.puts[layout.kind] >= LARGE;
        let order = match self.connection().engine() {
            Engine::Sqlite if many && !aside.has(table) => " ORDER BY s.sourced_id",
            Engine::Sqlite | Engine::Postgres => "",
        };
        let is_numbered = match self.connection().engine() {
            Engine::Sqlite => aside.has(table),
            // Each id is asked for, which pays where others need it.
            Engine::Postgres => many && !known && layout.is_needed_by_others(),
        };
        if is_numbered && let Some(numbering) = self.numbering(layout)? {
            self.numberings[layout.kind] = Some(numbering);
            into += ", id";
            from += &format!(", s.ord + {}", numbering.shift);
        }
        let sql = format!(
            "INSERT INTO {table} ({into}) SELECT {from} FROM {} s{joins} WHERE s.replaces IS NULL{order}",
            layout.staging
        );
        let created = self.connection().execute_once(&format!("create {}", layout.kind), &sql, &[])?;
        if created == 0 {
            return Ok(());
        }
        let sql = format!("SELECT min(id), max(id) FROM {table} WHERE id > {before} AND +source_id = {source}");
        let ids = self.connection().first("read the new internal ids", &sql, &[])?;
        let (first, last) = ids.map_or((0, 0), |row| (row.int(0).unwrap_or(0), row.int(1).unwrap_or(0)));
        let (run, at, sequence) = (self.run, self.at_us, self.sequence + 1);
        self.connection().execute(
            "write the creations",
            "INSERT INTO creations (source_id, kind, first_id, last_id, first_sequence, run_id, at_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
            &[
                Bind::int(source),
                Bind::text(layout.kind.as_str()),
                Bind::int(first),
                Bind::int(last),
                Bind::int(sequence),
                Bind::int(run),
                Bind::int(at),
            ],
        )?;
        self.sequence += last - first + 1;
        Ok(())
    }

    /// The ids that records get, all of which are new, if they are numbered as they are staged. None if there are gaps:
    /// the feed counts by ids.
    fn numbering(&mut self, layout: &'static Layout) -> Result<Option<Numbering>, StoreError> {
        let sql =
            format!("SELECT (SELECT min(ord) FROM {table}), (SELECT max(ord) FROM {table})", table = layout.staging);
        let Some(staged) = self.connection().first("see how records are numbered", &sql, &[])? else { return Ok(None) };
        let (Some(first_ord), Some(last_ord)) = (staged.int(0), staged.int(1)) else { return Ok(None) };
        let count = last_ord - first_ord + 1;
        if i64::try_from(self.staging.puts[layout.kind]) != Ok(count) {
            return Ok(None);
        }
        let first_id = self.connection().reserve_ids(layout.table, count)?;
        Ok(first_id.map(|first_id| Numbering { first_ord, last_ord, shift: first_id - first_ord }))
    }

    /// The numbering of what a reference points at, where it was staged with its ordinal.
    fn numbered(&self, layout: &'static Layout, link: &Link) -> Option<Numbering> {
        self.staging.ordinals.as_ref()?;
        let is_kept = ordinals::links(layout).any(|kept| kept.field == link.field);
        self.numberings[link.field.target()].filter(|_| is_kept)
    }

    /// Where the id of the record with the order of staging `ord` comes from: an expression, joins and a condition.
    fn owner(&mut self, layout: &'static Layout, ord: &str) -> (String, String, String) {
        if let Some(Numbering { first_ord, last_ord, shift }) = self.numberings[layout.kind] {
            // Rows of withdrawn records are still staged.
            return (format!("{ord} + {shift}"), String::new(), format!("{ord} BETWEEN {first_ord} AND {last_ord}"));
        }
        let (source, join) = (self.source.0, self.connection().ordered_join());
        let joins = format!(
            " {join} {} s ON s.ord = {ord} {join} {} t ON t.source_id = {source} AND t.sourced_id = s.sourced_id",
            layout.staging, layout.table
        );
        ("t.id".to_owned(), joins, "TRUE".to_owned())
    }

    /// Updates what is there already; answers whether anything was.
    fn update(&mut self, layout: &'static Layout) -> Result<bool, StoreError> {
        let (source, table, staging) = (self.source.0, layout.table, layout.staging);
        let sql = format!(
            "SELECT ord, sourced_id FROM {staging} WHERE replaces IS NOT NULL AND ord > ? ORDER BY ord LIMIT {CHUNK}"
        );
        let mut after = i64::MIN;
        let mut any = false;
        self.connection().plan_for(Work::Keys)?;
        loop {
            let mut ids = Vec::new();
            self.connection().each("read staged records", &sql, &[Bind::int(after)], |mut row| {
                after = row.int(0).unwrap_or(after);
                ids.push(rows::sourced_id(layout.kind, row.text(1), 0)?);
                Ok(())
            })?;
            if ids.is_empty() {
                break;
            }
            any = true;
            let source = self.source;
            let mut before: HashMap<_, _> = reads::stored(self.connection(), source, layout.kind, &ids)?
                .into_iter()
                .map(|stored| (stored.record.sourced_id().clone(), stored))
                .collect();
            let entries: Vec<_> = ids
                .iter()
                .filter_map(|id| before.remove(id))
                .map(|stored| {
                    let change = if stored.deleted.is_some() { ChangeKind::Restored } else { ChangeKind::Updated };
                    (stored, change)
                })
                .collect();
            self.feed(&entries)?;
        }
        self.plan_for_sets()?;
        if !any {
            return Ok(false);
        }
        let mut set = format!(
            "fingerprint = s.fingerprint, encoding = {}, modified_ms = s.modified_ms, deleted_at_us = NULL, delete_reason = NULL",
            self.encoding
        );
        for column in layout.columns {
            set += &format!(", {name} = s.{name}", name = column.name);
        }
        for link in layout.links {
            let (stem, target) = (link.stem, link.target());
            if !link.required() {
                set += &format!(", {stem}_ref = s.{stem}_ref");
            }
            set += &format!(
                ", {stem}_id = (SELECT l.id FROM {target} l WHERE l.source_id = {source} AND l.sourced_id = s.{stem}_ref)"
            );
        }
        let sql = format!("UPDATE {table} AS t SET {set} FROM {staging} s WHERE t.id = s.replaces");
        self.connection().execute_once(&format!("update {}", layout.kind), &sql, &[])?;
        // Which records are replaced was not known when PostgreSQL looked at what is staged.
        self.connection().plan_for(Work::Keys)?;
        for child in layout.children {
            self.drop_changed_rows(layout, child)?;
        }
        self.drop_changed_external_ids(layout)?;
        self.plan_for_sets()?;
        Ok(true)
    }

    /// Drops the rows of updated records that are not as staged. Most are, and stay, with all their index entries.
    fn drop_changed_rows(&mut self, layout: &'static Layout, child: &'static Child) -> Result<(), StoreError> {
        let (table, owner, stem, staging) = (child.table, child.owner, child.link.stem, layout.staging);
        let mut same = format!("n.position = c.position AND n.{stem}_ref IS NOT DISTINCT FROM c.{stem}_ref");
        for column in child.columns {
            same += &format!(" AND n.{name} IS NOT DISTINCT FROM c.{name}", name = column.name);
        }
        self.staging.index(child.staging, "ord")?;
        // A row whose reference dangles is written again: its target may be there now.
        let sql = format!(
            "DELETE FROM {table} AS c WHERE c.{owner} IN (SELECT replaces FROM {staging} WHERE replaces IS NOT NULL) AND (\
             (c.{stem}_id IS NULL AND c.{stem}_ref IS NOT NULL) OR NOT EXISTS (SELECT 1 FROM {staging} s {join} \
             {child_staging} n ON n.ord = s.ord WHERE s.replaces = c.{owner} AND {same}))",
            join = self.connection().ordered_join(),
            child_staging = child.staging,
        );
        self.connection().execute_once("drop changed rows of records", &sql, &[])?;
        Ok(())
    }

    /// The same for external ids.
    fn drop_changed_external_ids(&mut self, layout: &'static Layout) -> Result<(), StoreError> {
        let (kind, staging) = (layout.kind.as_str(), layout.staging);
        let mut sql = format!(
            "DELETE FROM external_ids AS c WHERE c.kind = '{kind}' AND c.record_id IN (SELECT replaces FROM {staging} WHERE replaces IS NOT NULL)"
        );
        if self.staging.external_ids[layout.kind] {
            self.staging.index(EXTERNAL_IDS, "ord")?;
            sql += &format!(
                " AND NOT EXISTS (SELECT 1 FROM {staging} s {join} {EXTERNAL_IDS} n ON n.ord = s.ord \
                 WHERE s.replaces = c.record_id AND n.kind = c.kind AND n.scheme = c.scheme AND n.value = c.value)",
                join = self.connection().ordered_join(),
            );
        }
        self.connection().execute_once("drop changed external ids", &sql, &[])?;
        Ok(())
    }

    /// Attaches references of new records to records of their own kind.
    fn attach_to_own_kind(&mut self, layout: &'static Layout) -> Result<(), StoreError> {
        let (source, table, staging) = (self.source.0, layout.table, layout.staging);
        for link in layout.links.iter().filter(|link| link.field.target() == layout.kind) {
            let stem = link.stem;
            let sql = format!(
                "UPDATE {table} AS t SET {stem}_id = l.id FROM {staging} s {join} {table} l ON l.source_id = {source} AND l.sourced_id = s.{stem}_ref \
                 WHERE t.source_id = {source} AND t.sourced_id = s.sourced_id AND s.replaces IS NULL",
                join = self.staging.connection.ordered_join()
            );
            self.connection().execute_once("attach references", &sql, &[])?;
        }
        Ok(())
    }

    /// Writes the rows that records own. Of updated records some are still there as they should be.
    fn child_rows(&mut self, layout: &'static Layout, child: &'static Child, updated: bool) -> Result<(), StoreError> {
        let (source, stem) = (self.source.0, child.link.stem);
        let columns: String = child.columns.iter().map(|column| format!("{}, ", column.name)).collect();
        let staged: String = child.columns.iter().map(|column| format!("c.{}, ", column.name)).collect();
        let (id, joins, condition) = self.owner(layout, "c.ord");
        let sql = format!(
            "INSERT INTO {table} ({owner}, position, {columns}{stem}_ref, {stem}_id) \
             SELECT {id}, c.position, {staged}c.{stem}_ref, l.id FROM {child_staging} c{joins} \
             LEFT JOIN {target} l ON l.source_id = {source} AND l.sourced_id = c.{stem}_ref WHERE {condition}{there}",
            table = child.table,
            owner = child.owner,
            child_staging = child.staging,
            target = child.link.target(),
            there = still_there(updated),
        );
        self.connection().execute_once("write the rows of records", &sql, &[])?;
        Ok(())
    }

    fn external_ids(&mut self, layout: &'static Layout, updated: bool) -> Result<(), StoreError> {
        if !self.staging.external_ids[layout.kind] {
            return Ok(());
        }
        let (source, kind) = (self.source.0, layout.kind.as_str());
        let (id, joins, condition) = self.owner(layout, "e.ord");
        let sql = format!(
            "INSERT INTO external_ids (kind, record_id, scheme, value, source_id) \
             SELECT '{kind}', {id}, e.scheme, e.value, {source} FROM {EXTERNAL_IDS} e{joins} \
             WHERE e.kind = '{kind}' AND {condition}{there}",
            there = still_there(updated),
        );
        self.connection().execute_once("write external ids", &sql, &[])?;
        Ok(())
    }

    /// Writes entries of the feed, with the records as they were.
    fn feed(&mut self, entries: &[(StoredRecord, ChangeKind)]) -> Result<(), StoreError> {
        let mut values = Vec::with_capacity(entries.len() * 9);
        for (stored, change) in entries {
            self.sequence += 1;
            values.extend([
                Bind::int(self.source.0),
                Bind::int(self.sequence),
                Bind::int(self.run),
                Bind::int(self.at_us),
                Bind::text(stored.record.kind().as_str()),
                Bind::int(stored.internal_id),
                Bind::text(stored.record.sourced_id().as_str()),
                Bind::text(change.as_str()),
                Bind::owned(json(&stored.record)),
            ]);
        }
        let columns =
            ["source_id", "sequence", "run_id", "at_us", "kind", "record_id", "sourced_id", "change", "before"];
        insert(self.connection(), "changes", &columns, &values)
    }

    // -- other operations ---------------------------------------------------------------------------------------------

    /// Applies the operations on records of a kind that leave them alive.
    fn changes(&mut self, kind: Kind) -> Result<(), StoreError> {
        let mut after = String::new();
        loop {
            let ids = self.operated(kind, Which::All, &after)?;
            let Some(last) = ids.last() else { return Ok(()) };
            last.as_str().clone_into(&mut after);
            let (net, _) = self.net(kind, &ids)?;
            self.apply_chunk(kind, net, false, None)?;
        }
    }

    /// Applies the operations that end in a deletion: of what refers to others before what it refers to.
    fn deletions(&mut self) -> Result<(), StoreError> {
        loop {
            self.ask_ahead()?;
            let Some(((kind, ids), ahead)) = self.ahead.next() else { return Ok(()) };
            let (net, any_put) = self.net(kind, &ids)?;
            // A record that was put in this transaction is not as it was before it.
            self.apply_chunk(kind, net, true, ahead.filter(|_| !any_put))?;
        }
    }

    /// Asks for the records that are deleted next, as many as may be in memory.
    pub(crate) fn ask_ahead(&mut self) -> Result<(), StoreError> {
        while self.ahead.len() < CHUNKS_AHEAD
            && let Some(kind) = self.dying.kinds.front().copied()
        {
            let after = std::mem::take(&mut self.dying.after);
            let ids = self.operated(kind, Which::Deletions, &after)?;
            if let Some(last) = ids.last() {
                last.as_str().clone_into(&mut self.dying.after);
                self.ahead.ask((kind, ids));
            } else {
                self.dying.kinds.pop_front();
            }
        }
        Ok(())
    }

    /// The next records of a kind that have operations.
    fn operated(&mut self, kind: Kind, which: Which, after: &str) -> Result<Vec<SourcedId>, StoreError> {
        self.staging.index(OPERATIONS, "sourced_id")?;
        let condition = match which {
            Which::All => String::new(),
            Which::Deletions => format!(" AND operation LIKE '{}%'", Operation::DELETION),
        };
        let sql = format!(
            "SELECT DISTINCT sourced_id FROM {OPERATIONS} WHERE kind = ? AND sourced_id > ?{condition} \
             ORDER BY sourced_id LIMIT {CHUNK}"
        );
        let mut ids = Vec::new();
        let binds = [Bind::text(kind.as_str()), Bind::text(after)];
        self.connection().each("read staged operations", &sql, &binds, |mut row| {
            ids.push(rows::sourced_id(kind, row.text(0), 0)?);
            Ok(())
        })?;
        Ok(ids)
    }

    /// Puts together the operations on some records, but for those that a later put has made void. Says too whether any of
    /// the records was put.
    fn net(&mut self, kind: Kind, ids: &[SourcedId]) -> Result<(HashMap<SourcedId, Net>, bool), StoreError> {
        let list = json(&ids);
        let mut put_at: HashMap<SourcedId, i64> = HashMap::new();
        if let Some(layout) = crate::staging::staged(self.staging, kind) {
            self.staging.index(layout.staging, "sourced_id")?;
            let sql = format!(
                "SELECT sourced_id, ord FROM {} WHERE sourced_id {}",
                layout.staging,
                self.staging.connection.in_texts()
            );
            self.connection().each("read staged records", &sql, &[Bind::text(&list)], |mut row| {
                let ord = row.int(1).unwrap_or(0);
                put_at.insert(rows::sourced_id(kind, row.text(0), 0)?, ord);
                Ok(())
            })?;
        }
        let sql = format!(
            "SELECT ord, sourced_id, operation FROM {OPERATIONS} WHERE kind = ? AND sourced_id {} ORDER BY ord",
            self.staging.connection.in_texts()
        );
        let mut nets: HashMap<SourcedId, Net> = HashMap::new();
        self.connection().each(
            "read staged operations",
            &sql,
            &[Bind::text(kind.as_str()), Bind::text(&list)],
            |mut row| {
                let ord = row.int(0).unwrap_or(0);
                let id = rows::sourced_id(kind, row.text(1), 0)?;
                let operation: Operation = row
                    .text(2)
                    .and_then(|text| serde_json::from_str(&text).ok())
                    .ok_or(StoreError::Inconsistent { table: OPERATIONS, column: "operation", row: ord })?;
                let put = put_at.get(&id).copied();
                if put.is_some_and(|put| put > ord) {
                    return Ok(());
                }
                let net = nets.entry(id).or_default();
                match operation {
                    Operation::Delete { reason, modified_ms } => {
                        net.end = Some(End::Dead(reason));
                        net.modified_ms = modified_ms.or(net.modified_ms);
                    }
                    Operation::Revive => net.end = Some(End::Alive),
                    // A put attaches by itself.
                    Operation::Attach { .. } if put.is_some() => {}
                    Operation::Attach { field, target } => net.attach.push((field, target)),
                    Operation::Touch { modified_ms, fingerprint, reason, roles } => {
                        net.modified_ms = modified_ms.or(net.modified_ms);
                        net.fingerprint = fingerprint.or(net.fingerprint);
                        net.reason = reason.or(net.reason);
                        net.roles = roles.or_else(|| net.roles.take());
                    }
                    Operation::Settle | Operation::Book(_) => {}
                }
                Ok(())
            },
        )?;
        Ok((nets, !put_at.is_empty()))
    }

    /// Applies what operations come to. `ahead` are their records, and maybe more, if they were read already.
    fn apply_chunk(
        &mut self,
        kind: Kind,
        nets: HashMap<SourcedId, Net>,
        deletions: bool,
        ahead: Option<Vec<StoredRecord>>,
    ) -> Result<(), StoreError> {
        let mut nets: HashMap<_, _> =
            nets.into_iter().filter(|(_, net)| matches!(net.end, Some(End::Dead(_))) == deletions).collect();
        let mut ids: Vec<SourcedId> = nets.keys().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        ids.sort_unstable();
        let source = self.source;
        let mut stored = match ahead {
            Some(stored) => stored,
            None => reads::stored(self.connection(), source, kind, &ids)?,
        };
        stored.sort_unstable_by(|one, other| one.record.sourced_id().cmp(other.record.sourced_id()));

        let mut updates = Vec::new();
        let mut entries = Vec::new();
        let mut attach: HashMap<RefField, Vec<Attachment>> = HashMap::new();
        let mut roles = Vec::new();
        let mut reroled = Vec::new();
        for stored in stored {
            let Some(net) = nets.remove(stored.record.sourced_id()) else { continue };
            let was = stored.deleted;
            let dead = match net.end {
                None => was.map(|was| net.reason.unwrap_or(was)),
                Some(End::Alive) => None,
                Some(End::Dead(reason)) => Some(net.reason.unwrap_or(reason)),
            };
            let update = Update {
                id: stored.internal_id,
                dead: dead.is_some(),
                died: was.is_none() && dead.is_some(),
                reason: dead.map(DeleteReason::as_str),
                modified_ms: net.modified_ms.or(stored.modified_ms),
                fingerprint: net.fingerprint.map(|fingerprint| hex(fingerprint.to_bytes())),
            };
            if dead != was || net.modified_ms.is_some() || net.fingerprint.is_some() {
                updates.push(update);
            }
            if let (Some(vendor), Record::Users(_)) = (net.roles, &stored.record) {
                reroled.push(stored.internal_id);
                for (position, role) in vendor.iter().enumerate() {
                    roles.push(RoleRow::new(stored.internal_id, position, role));
                }
            }
            let mut attached = false;
            for (field, target) in net.attach {
                attached = true;
                attach
                    .entry(field)
                    .or_default()
                    .push(Attachment { holder: stored.internal_id, target: Text::from(target) });
            }
            let change = match (was, dead) {
                (None, Some(_)) => Some(ChangeKind::Deleted),
                (Some(_), None) => Some(ChangeKind::Restored),
                (None, None) if attached => Some(ChangeKind::Updated),
                _ => None,
            };
            if let Some(change) = change {
                entries.push((stored, change));
            }
        }
        self.feed(&entries)?;
        drop(entries);
        self.write_updates(kind, &updates)?;
        for (field, links) in attach {
            self.attach(field, &links)?;
        }
        self.replace_roles(&reroled, &roles)
    }

    fn write_updates(&mut self, kind: Kind, updates: &[Update]) -> Result<(), StoreError> {
        if updates.is_empty() {
            return Ok(());
        }
        let from = self.connection().objects(&[
            ("id", Type::Int),
            ("dead", Type::Bool),
            ("died", Type::Bool),
            ("reason", Type::Text),
            ("modified_ms", Type::Int),
            ("fingerprint", Type::Text),
        ]);
        let bytes = match self.connection().engine() {
            Engine::Sqlite => "unhex(v.fingerprint)",
            Engine::Postgres => "decode(v.fingerprint, 'hex')",
        };
        let sql = format!(
            "UPDATE {table} AS t SET \
             deleted_at_us = CASE WHEN v.died THEN {at} WHEN v.dead THEN t.deleted_at_us END, delete_reason = v.reason, \
             modified_ms = v.modified_ms, fingerprint = coalesce({bytes}, t.fingerprint), \
             encoding = CASE WHEN v.fingerprint IS NULL THEN t.encoding ELSE {encoding} END \
             FROM {from} WHERE t.id = v.id",
            table = layout(kind).table,
            at = self.at_us,
            encoding = self.encoding,
        );
        self.connection().execute(&format!("change {kind}"), &sql, &[Bind::owned(json(&updates))])?;
        Ok(())
    }

    fn attach(&mut self, field: RefField, links: &[Attachment]) -> Result<(), StoreError> {
        let source = self.source.0;
        let (table, owner, stem, target) = match place(field) {
            Place::Own(layout, link) => (layout.table, "id", link.stem, link.target()),
            Place::Owned(_, child) => (child.table, child.owner, child.link.stem, child.link.target()),
            Place::Column(_) => return Ok(()),
        };
        let from = self.connection().objects(&[("holder", Type::Int), ("target", Type::Text)]);
        let join = self.connection().ordered_join();
        // The plus keeps SQLite from going through everything that dangles for each of the links.
        let sql = format!(
            "UPDATE {table} AS t SET {stem}_id = l.id FROM {from} {join} {target} l ON l.source_id = {source} AND l.sourced_id = v.target \
             WHERE t.{owner} = v.holder AND t.{stem}_ref = v.target AND +t.{stem}_id IS NULL"
        );
        self.connection().execute("attach references", &sql, &[Bind::owned(json(&links))])?;
        Ok(())
    }

    fn replace_roles(&mut self, users: &[i64], roles: &[RoleRow]) -> Result<(), StoreError> {
        if users.is_empty() {
            return Ok(());
        }
        let source = self.source.0;
        let sql = format!("DELETE FROM user_roles WHERE user_id {}", self.connection().in_numbers());
        self.connection().execute("replace roles", &sql, &[Bind::owned(json(&users))])?;
        let from = self.connection().objects(&[
            ("user_id", Type::Int),
            ("position", Type::Int),
            ("role", Type::Text),
            ("role_type", Type::Text),
            ("begin_date", Type::Text),
            ("end_date", Type::Text),
            ("user_profile", Type::Text),
            ("sourced_id", Type::Text),
            ("org_ref", Type::Text),
        ]);
        let sql = format!(
            "INSERT INTO user_roles (user_id, position, role, role_type, begin_date, end_date, user_profile, sourced_id, org_ref, org_id) \
             SELECT v.user_id, v.position, v.role, v.role_type, v.begin_date, v.end_date, v.user_profile, v.sourced_id, v.org_ref, l.id \
             FROM {from} LEFT JOIN orgs l ON l.source_id = {source} AND l.sourced_id = v.org_ref WHERE TRUE"
        );
        self.connection().execute("replace roles", &sql, &[Bind::owned(json(&roles))])?;
        Ok(())
    }

    // -- rejects and pending records ----------------------------------------------------------------------------------

    /// Writes the run's rejects.
    pub(crate) fn rejects(&mut self) -> Result<(), StoreError> {
        if self.staging.rejects == 0 {
            return Ok(());
        }
        let run = self.run;
        let sql = format!(
            "INSERT INTO rejects (run_id, number, kind, sourced_id, location, findings, record) \
             SELECT {run}, row_number() OVER (ORDER BY ord), kind, sourced_id, location, findings, record FROM {REJECTS}"
        );
        // A held run has written them already.
        self.connection().execute_once(
            "write the rejects",
            &format!("DELETE FROM rejects WHERE run_id = {run}"),
            &[],
        )?;
        self.connection().execute_once("write the rejects", &sql, &[])?;
        Ok(())
    }

    /// Brings the pending records up to date.
    pub(crate) fn pending(&mut self, void: &[Kind]) -> Result<(), StoreError> {
        let source = self.source.0;
        for kind in void {
            let binds = [Bind::int(source), Bind::text(kind.as_str())];
            self.connection().execute(
                "drop pending records",
                "DELETE FROM pending_records WHERE source_id = ? AND kind = ?",
                &binds,
            )?;
        }
        let settled = format!("operation = '{}'", json(&Operation::Settle));
        let operations = self.staging.operations > 0;
        if operations {
            let sql = format!(
                "DELETE FROM pending_records WHERE source_id = {source} AND EXISTS (SELECT 1 FROM {OPERATIONS} o \
                 WHERE o.kind = pending_records.kind AND o.sourced_id = pending_records.sourced_id AND o.{settled})"
            );
            self.staging.index(OPERATIONS, "sourced_id")?;
            self.connection().execute_once("drop pending records", &sql, &[])?;
        }
        if self.staging.rejects == 0 {
            return Ok(());
        }
        let still = if operations {
            format!(
                " AND NOT EXISTS (SELECT 1 FROM {OPERATIONS} o WHERE o.kind = r.kind AND o.sourced_id = r.pending_sourced_id \
                 AND o.{settled} AND o.ord > r.ord)"
            )
        } else {
            String::new()
        };
        let sql = format!(
            "INSERT INTO pending_records (source_id, kind, sourced_id, fingerprint, modified_ms, record) \
             SELECT {source}, r.kind, r.pending_sourced_id, r.fingerprint, r.modified_ms, r.pending FROM {REJECTS} r \
             WHERE r.pending IS NOT NULL AND r.ord IN (SELECT max(ord) FROM {REJECTS} WHERE pending IS NOT NULL \
             GROUP BY kind, pending_sourced_id){still} \
             ON CONFLICT (source_id, kind, sourced_id) DO UPDATE SET fingerprint = excluded.fingerprint, \
             modified_ms = excluded.modified_ms, record = excluded.record"
        );
        self.connection().execute_once("keep pending records", &sql, &[])?;
        Ok(())
    }
}

/// What an INSERT of rows that records own must end with.
fn still_there(updated: bool) -> &'static str {
    if updated { " ON CONFLICT DO NOTHING" } else { "" }
}

#[derive(Debug, Serialize)]
struct Update {
    id: i64,
    dead: bool,
    died: bool,
    reason: Option<&'static str>,
    modified_ms: Option<i64>,
    fingerprint: Option<String>,
}

#[derive(Debug, Serialize)]
struct Attachment {
    holder: i64,
    target: Text,
}

#[derive(Debug, Serialize)]
struct RoleRow {
    user_id: i64,
    position: usize,
    role: String,
    role_type: String,
    begin_date: Option<String>,
    end_date: Option<String>,
    user_profile: Option<Text>,
    sourced_id: Option<String>,
    org_ref: Option<String>,
}

impl RoleRow {
    fn new(user_id: i64, position: usize, role: &rollcall_domain::entities::Role) -> Self {
        Self {
            user_id,
            position,
            role: role.role.to_string(),
            role_type: role.role_type.to_string(),
            begin_date: role.begin_date.map(|date| date.to_string()),
            end_date: role.end_date.map(|date| date.to_string()),
            user_profile: role.user_profile.clone(),
            sourced_id: role.sourced_id.as_ref().map(ToString::to_string),
            org_ref: role.org.as_ref().map(ToString::to_string),
        }
    }
}

fn hex(bytes: [u8; 16]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Erases what is stored of a source's demographics, wherever it is (R12).
pub(crate) fn erase_demographics(connection: &mut Connection, source: SourceId) -> Result<(), StoreError> {
    let source = source.0;
    if connection.engine() == Engine::Sqlite {
        // What is deleted is overwritten, not only forgotten.
        connection.batch("erase demographics", "PRAGMA secure_delete = ON")?;
    }
    connection.batch(
        "erase demographics",
        &format!(
            "DELETE FROM external_ids WHERE source_id = {source} AND kind = 'demographics';
             DELETE FROM changes WHERE source_id = {source} AND kind = 'demographics';
             DELETE FROM pending_records WHERE source_id = {source} AND kind = 'demographics';
             DELETE FROM rejects WHERE kind = 'demographics' AND run_id IN (SELECT id FROM runs WHERE source_id = {source});
             DELETE FROM creations WHERE source_id = {source} AND kind = 'demographics';
             DELETE FROM demographics WHERE source_id = {source};"
        ),
    )
}

/// Brings the source's row up to date with what was applied.
pub(crate) fn source_row(
    connection: &mut Connection,
    commit: &Commit,
    revision: i64,
    sequence: i64,
) -> Result<(), StoreError> {
    let finished = commit.outcome.finished.as_microsecond();
    connection.execute(
        "write the source",
        "UPDATE sources SET revision = ?, last_sequence = ?, cursor = coalesce(?, cursor), scope = ?, demographics = ?, \
         last_full_us = coalesce(?, last_full_us) WHERE id = ?",
        &[
            Bind::int(revision),
            Bind::int(sequence),
            Bind::maybe(commit.cursor.as_ref().map(|cursor| cursor.0.as_str())),
            Bind::text(&commit.scope.0),
            Bind::Bool(Some(commit.demographics)),
            Bind::Int(commit.full.then_some(finished)),
            Bind::int(commit.outcome.source.0),
        ],
    )?;
    Ok(())
}

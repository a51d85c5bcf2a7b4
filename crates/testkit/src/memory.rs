//! A store that keeps one source in memory: for tests of what is done to a store, not of a store.
//!
//! It holds callers to the port: what is staged twice, deleted twice or left without the target of a required reference
//! ends the test.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::{StreamExt as _, stream};
use rollcall_domain::ports::{
    Applied, ChangeEntry, ChangeKind, ChildKey, Commit, DanglingLink, DeleteReason, Fetched, KeptPlan, Lease, NewRun,
    Pages, RejectRow, RoleBook, RosterStore, RunFilter, RunOutcome, RunRow, SourceRow, SourceState, StagedChange,
    StoreError, StoredFingerprint, StoredRecord,
};
use rollcall_domain::{
    ENCODING_VERSION, Fingerprint, Kind, PendingRecord, Record, RefField, Reject, RunId, SourceId, SourcedId,
};

use crate::build;

/// What a record is known by in a source.
pub type Key = (Kind, SourcedId);

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The id of its own.
    pub internal_id: i64,
    /// The record.
    pub record: Record,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The version of the encoding under the fingerprint.
    pub encoding: i16,
    /// The newest accepted date.
    pub modified_ms: Option<i64>,
    /// Why it is deleted, if it is.
    pub deleted: Option<DeleteReason>,
    /// The optional references whose targets were found.
    pub attached: BTreeSet<(RefField, SourcedId)>,
}

#[derive(Debug, Default)]
struct State {
    source: Option<SourceState>,
    rows: BTreeMap<Key, Row>,
    pending: BTreeMap<Key, PendingRecord>,
    books: BTreeMap<SourcedId, RoleBook>,
    /// The keys of what was updated, deleted and restored.
    feed: Vec<Key>,
    rejects: Vec<Reject>,
    staged: HashMap<RunId, Vec<StagedChange>>,
    next_id: i64,
    runs: u128,
}

/// A store of one source. Clones share what is stored.
#[derive(Debug, Default, Clone)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Debug)]
struct NoLease;
impl Lease for NoLease {}

impl MemoryStore {
    /// The number of a run that has not been yet.
    pub fn next_run(&self) -> u128 {
        let mut state = self.0.lock().unwrap();
        state.runs += 1;
        state.runs
    }

    /// A row that must be there.
    pub fn row(&self, kind: Kind, id: &str) -> Row {
        self.find(kind, id).unwrap_or_else(|| panic!("no {kind} {id}"))
    }

    /// A row.
    pub fn find(&self, kind: Kind, id: &str) -> Option<Row> {
        self.0.lock().unwrap().rows.get(&(kind, build::id(id))).cloned()
    }

    /// Whether a record is there and not deleted.
    pub fn is_live(&self, kind: Kind, id: &str) -> bool {
        self.find(kind, id).is_some_and(|row| row.deleted.is_none())
    }

    /// All rows by key.
    pub fn rows(&self) -> BTreeMap<Key, Row> {
        self.0.lock().unwrap().rows.clone()
    }

    /// The live records by key.
    pub fn live(&self) -> BTreeMap<Key, Record> {
        let rows = self.rows();
        rows.into_iter().filter(|(_, row)| row.deleted.is_none()).map(|(key, row)| (key, row.record)).collect()
    }

    /// How many updates, deletions and restorations there were.
    pub fn feed_len(&self) -> usize {
        self.0.lock().unwrap().feed.len()
    }

    /// What was refused so far.
    pub fn rejects(&self) -> Vec<Reject> {
        self.0.lock().unwrap().rejects.clone()
    }

    /// What is remembered of the roles of users.
    pub fn books(&self) -> BTreeMap<SourcedId, RoleBook> {
        self.0.lock().unwrap().books.clone()
    }

    /// What is remembered of the roles of one user.
    pub fn book(&self, user: &str) -> Option<RoleBook> {
        self.0.lock().unwrap().books.get(&build::id(user)).cloned()
    }

    /// Changes rows behind everybody's back.
    pub fn tamper(&self, change: impl FnMut(&mut Row)) {
        self.0.lock().unwrap().rows.values_mut().for_each(change);
    }

    /// The source, once there is one.
    pub fn source(&self) -> Option<SourceState> {
        self.0.lock().unwrap().source.clone()
    }

    /// How many records wait for the target of a required reference.
    pub fn pending_len(&self) -> usize {
        self.0.lock().unwrap().pending.len()
    }
}

impl State {
    fn staged_puts(&self, run: RunId) -> BTreeMap<Key, Record> {
        let mut puts = BTreeMap::new();
        for change in self.staged.get(&run).into_iter().flatten() {
            match change {
                StagedChange::Put { record, .. } => {
                    let before = puts.insert((record.kind(), record.sourced_id().clone()), record.clone());
                    assert!(before.is_none(), "staged twice without a withdrawal: {:?}", record.sourced_id());
                }
                StagedChange::Withdraw { kind, sourced_id } => drop(puts.remove(&(*kind, sourced_id.clone()))),
                _ => {}
            }
        }
        puts
    }

    fn attach_all(&mut self, key: &Key) {
        let mut attached = BTreeSet::new();
        self.rows[key].record.each_reference(|reference| {
            let field = reference.field;
            if !field.is_required() && self.rows.contains_key(&(field.target(), reference.target.clone())) {
                attached.insert((field, reference.target.clone()));
            }
        });
        self.rows.get_mut(key).unwrap().attached = attached;
    }

    fn apply(&mut self, changes: Vec<StagedChange>, commit: &Commit) {
        for kind in &commit.pending_void {
            self.pending.retain(|(of, _), _| of != kind);
        }
        let mut settled: Vec<StagedChange> = Vec::new();
        for change in changes {
            if let StagedChange::Withdraw { kind, sourced_id } = &change {
                let of = (*kind, sourced_id.clone());
                settled.retain(|earlier| {
                    matches!(earlier, StagedChange::Reject { .. }) || key_of(earlier) != Some(of.clone())
                });
            } else {
                settled.push(change);
            }
        }
        let mut put = Vec::new();
        let mut changed = BTreeSet::new();
        for change in settled {
            let key = key_of(&change);
            if matches!(change, StagedChange::Put { .. } | StagedChange::Delete { .. } | StagedChange::Revive { .. }) {
                assert!(changed.insert(key.clone()), "{key:?} is changed twice");
            }
            match change {
                StagedChange::Put { record, fingerprint, modified_ms, change } => {
                    let key = key.unwrap();
                    let old = self.rows.get(&key).cloned();
                    let expected = match &old {
                        None => ChangeKind::Created,
                        Some(row) if row.deleted.is_some() => ChangeKind::Restored,
                        Some(_) => ChangeKind::Updated,
                    };
                    assert_eq!(change, expected, "{key:?}");
                    if change == ChangeKind::Created {
                        self.next_id += 1;
                    } else {
                        self.feed.push(key.clone());
                    }
                    let row = Row {
                        internal_id: old.map_or(self.next_id, |row| row.internal_id),
                        record,
                        fingerprint,
                        encoding: ENCODING_VERSION,
                        modified_ms,
                        deleted: None,
                        attached: BTreeSet::new(),
                    };
                    self.rows.insert(key.clone(), row);
                    put.push(key);
                }
                StagedChange::Delete { reason, modified_ms, .. } => {
                    let key = key.unwrap();
                    let row = self.rows.get_mut(&key).unwrap();
                    assert!(row.deleted.is_none(), "{key:?} is deleted already");
                    row.deleted = Some(reason);
                    row.modified_ms = row.modified_ms.max(modified_ms);
                    self.feed.push(key);
                }
                StagedChange::Revive { .. } => {
                    let key = key.unwrap();
                    let row = self.rows.get_mut(&key).unwrap();
                    assert_eq!(row.deleted, Some(DeleteReason::Cascade));
                    row.deleted = None;
                    self.feed.push(key);
                }
                StagedChange::Attach(link) => {
                    let key = (link.field.holder(), link.holder);
                    let row = self.rows.get_mut(&key).unwrap();
                    row.attached.insert((link.field, link.target));
                    self.feed.push(key);
                }
                StagedChange::Touch { modified_ms, fingerprint, reason, roles, .. } => {
                    let row = self.rows.get_mut(&key.unwrap()).unwrap();
                    row.modified_ms = row.modified_ms.max(modified_ms);
                    if let Some(fingerprint) = fingerprint {
                        (row.fingerprint, row.encoding) = (fingerprint, ENCODING_VERSION);
                    }
                    row.deleted = reason.or(row.deleted);
                    if let (Some(roles), Record::Users(user)) = (roles, &mut row.record) {
                        user.roles = roles;
                    }
                }
                StagedChange::Reject { reject, pending } => {
                    if let (Some(pending), Some(key)) = (pending, key) {
                        self.pending.insert(key, pending);
                    }
                    self.rejects.push(reject);
                }
                StagedChange::RoleBook(book) if book.is_empty() => drop(self.books.remove(&book.user)),
                StagedChange::RoleBook(book) => drop(self.books.insert(book.user.clone(), book)),
                StagedChange::Settle { .. } => drop(self.pending.remove(&key.unwrap())),
                StagedChange::Withdraw { .. } => unreachable!(),
            }
        }
        for key in put {
            self.attach_all(&key);
        }
        // Required references hold, as foreign keys would see to.
        for row in self.rows.values() {
            row.record.each_reference(|reference| {
                if reference.field.is_required() {
                    let target = self.rows.get(&(reference.field.target(), reference.target.clone()));
                    let target =
                        target.unwrap_or_else(|| panic!("{:?} has no {:?}", row.record.sourced_id(), reference));
                    assert!(
                        row.deleted.is_some() || target.deleted.is_none(),
                        "{:?} outlives {:?}",
                        row.record.sourced_id(),
                        reference
                    );
                }
            });
        }
        let source = self.source.as_mut().unwrap();
        source.revision += 1;
        source.cursor = commit.cursor.clone().or(source.cursor.take());
        source.scope = Some(commit.scope.clone());
        if source.demographics && !commit.demographics {
            self.rows.retain(|(kind, _), _| *kind != Kind::Demographics);
            self.feed.retain(|(kind, _)| *kind != Kind::Demographics);
            self.rejects.retain(|reject| reject.kind != Kind::Demographics);
            self.pending.retain(|(kind, _), _| *kind != Kind::Demographics);
        }
        self.source.as_mut().unwrap().demographics = commit.demographics;
    }
}

fn key_of(change: &StagedChange) -> Option<Key> {
    match change {
        StagedChange::Put { record, .. } => Some((record.kind(), record.sourced_id().clone())),
        StagedChange::Withdraw { kind, sourced_id }
        | StagedChange::Delete { kind, sourced_id, .. }
        | StagedChange::Revive { kind, sourced_id }
        | StagedChange::Touch { kind, sourced_id, .. }
        | StagedChange::Settle { kind, sourced_id } => Some((*kind, sourced_id.clone())),
        StagedChange::Attach(link) => Some((link.field.holder(), link.holder.clone())),
        StagedChange::RoleBook(_) => None,
        StagedChange::Reject { reject, .. } => reject.sourced_id.clone().map(|id| (reject.kind, id)),
    }
}

fn pages<T: Send + 'static>(items: Vec<T>) -> Pages<T> {
    stream::once(async move { Ok(items) }).boxed()
}

#[async_trait]
impl RosterStore for MemoryStore {
    async fn source_open(&self, name: &str, kind: &str) -> Result<SourceState, StoreError> {
        let mut state = self.0.lock().unwrap();
        let source = state.source.get_or_insert_with(|| SourceState {
            id: SourceId(1),
            name: name.to_owned(),
            kind: kind.to_owned(),
            cursor: None,
            scope: None,
            demographics: false,
            revision: 0,
            last_full: None,
        });
        Ok(source.clone())
    }

    async fn source_find(&self, _: &str) -> Result<Option<SourceState>, StoreError> {
        Ok(self.0.lock().unwrap().source.clone())
    }

    async fn source_list(&self) -> Result<Vec<SourceRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn lease(&self, _: SourceId, _: RunId) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(NoLease))
    }

    async fn run_start(&self, _: &NewRun) -> Result<(), StoreError> {
        Ok(())
    }

    async fn run_turned_away(&self, _: &NewRun, _: &RunOutcome) -> Result<(), StoreError> {
        Ok(())
    }

    async fn run_finish(&self, outcome: &RunOutcome) -> Result<(), StoreError> {
        let mut state = self.0.lock().unwrap();
        for change in state.staged.remove(&outcome.run).unwrap_or_default() {
            if let StagedChange::Reject { reject, .. } = change {
                state.rejects.push(reject);
            }
        }
        Ok(())
    }

    async fn run_find(&self, _: RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(None)
    }

    async fn run_list(&self, _: &RunFilter, _: u32) -> Result<Vec<RunRow>, StoreError> {
        Ok(Vec::new())
    }

    fn run_rejects(&self, _: RunId) -> Pages<RejectRow> {
        pages(Vec::new())
    }

    fn fingerprints(&self, _: SourceId, kind: Kind) -> Pages<StoredFingerprint> {
        let state = self.0.lock().unwrap();
        let found = state.rows.iter().filter(|((of, _), _)| *of == kind);
        pages(
            found
                .map(|((_, id), row)| StoredFingerprint {
                    sourced_id: id.clone(),
                    internal_id: row.internal_id,
                    fingerprint: row.fingerprint,
                    encoding: row.encoding,
                    modified_ms: row.modified_ms,
                    deleted: row.deleted,
                    disabled: row.record.is_disabled_user(),
                })
                .collect(),
        )
    }

    async fn sourced_ids(&self, _: SourceId, kind: Kind, ids: &[i64]) -> Result<Vec<SourcedId>, StoreError> {
        let state = self.0.lock().unwrap();
        let found = state.rows.iter().filter(|((of, _), row)| *of == kind && ids.contains(&row.internal_id));
        Ok(found.map(|((_, id), _)| id.clone()).collect())
    }

    async fn fetch(&self, _: SourceId, run: RunId, kind: Kind, ids: &[SourcedId]) -> Result<Vec<Fetched>, StoreError> {
        let state = self.0.lock().unwrap();
        let staged = state.staged_puts(run);
        let find = |id: &SourcedId| {
            let key = (kind, id.clone());
            let stored = state.rows.get(&key).map(|row| StoredRecord {
                internal_id: row.internal_id,
                record: row.record.clone(),
                fingerprint: row.fingerprint,
                encoding: row.encoding,
                modified_ms: row.modified_ms,
                deleted: row.deleted,
            });
            let staged = staged.get(&key).cloned();
            (stored.is_some() || staged.is_some()).then(|| Fetched { sourced_id: id.clone(), stored, staged })
        };
        Ok(ids.iter().filter_map(find).collect())
    }

    async fn holders(
        &self,
        _: SourceId,
        run: RunId,
        field: RefField,
        targets: &[SourcedId],
    ) -> Result<Vec<ChildKey>, StoreError> {
        let state = self.0.lock().unwrap();
        let staged = state.staged_puts(run);
        let mut holders = Vec::new();
        let mut add = |record: &Record, deleted, is_staged| {
            record.each_reference(|reference| {
                if reference.field == field && targets.contains(reference.target) {
                    holders.push(ChildKey {
                        sourced_id: record.sourced_id().clone(),
                        target: reference.target.clone(),
                        deleted,
                        staged: is_staged,
                    });
                }
            });
        };
        for (key, row) in state.rows.iter().filter(|(key, _)| key.0 == field.holder()) {
            if !staged.contains_key(key) {
                add(&row.record, row.deleted, false);
            }
        }
        for record in staged.values().filter(|record| record.kind() == field.holder()) {
            add(record, None, true);
        }
        Ok(holders)
    }

    fn dangling(&self, _: SourceId, target: Kind) -> Pages<DanglingLink> {
        let state = self.0.lock().unwrap();
        let mut links = Vec::new();
        for ((_, holder), row) in state.rows.iter().filter(|(_, row)| row.deleted.is_none()) {
            row.record.each_reference(|reference| {
                let field = reference.field;
                let is_open = !row.attached.contains(&(field, reference.target.clone()));
                if field.target() == target && !field.is_required() && field != RefField::EnrollmentSchool && is_open {
                    links.push(DanglingLink { field, holder: holder.clone(), target: reference.target.clone() });
                }
            });
        }
        pages(links)
    }

    fn pending(&self, _: SourceId, kind: Kind) -> Pages<PendingRecord> {
        let state = self.0.lock().unwrap();
        pages(state.pending.iter().filter(|((of, _), _)| *of == kind).map(|(_, pending)| pending.clone()).collect())
    }

    async fn role_books(&self, _: SourceId, users: &[SourcedId]) -> Result<Vec<RoleBook>, StoreError> {
        let state = self.0.lock().unwrap();
        Ok(users.iter().filter_map(|user| state.books.get(user).cloned()).collect())
    }

    fn waiting_roles(&self, _: SourceId) -> Pages<RoleBook> {
        let state = self.0.lock().unwrap();
        pages(state.books.values().filter(|book| !book.waiting.is_empty()).cloned().collect())
    }

    async fn role_holders(&self, _: SourceId, roles: &[SourcedId]) -> Result<Vec<(SourcedId, SourcedId)>, StoreError> {
        let mut holders = Vec::new();
        for record in self.live().into_values() {
            if let Record::Users(user) = record {
                let ids = user.roles.into_iter().filter_map(|role| role.sourced_id);
                holders.extend(ids.filter(|id| roles.contains(id)).map(|id| (user.sourced_id.clone(), id)));
            }
        }
        Ok(holders)
    }

    fn records(&self, _: SourceId, kind: Kind) -> Pages<Record> {
        let live = self.live();
        pages(live.into_iter().filter(|((of, _), _)| *of == kind).map(|(_, record)| record).collect())
    }

    async fn stage(&self, _: SourceId, run: RunId, changes: Vec<StagedChange>) -> Result<(), StoreError> {
        self.0.lock().unwrap().staged.entry(run).or_default().extend(changes);
        Ok(())
    }

    async fn stage_clear(&self, _: SourceId, run: RunId) -> Result<(), StoreError> {
        self.0.lock().unwrap().staged.remove(&run);
        Ok(())
    }

    async fn apply(&self, commit: &Commit) -> Result<Applied, StoreError> {
        let mut state = self.0.lock().unwrap();
        if state.source.as_ref().unwrap().revision != commit.basis {
            return Err(StoreError::MovedOn);
        }
        let changes = state.staged.remove(&commit.outcome.run).unwrap_or_default();
        state.apply(changes, commit);
        Ok(Applied { revision: commit.basis + 1 })
    }

    async fn plan_keep(&self, plan: &Commit) -> Result<(), StoreError> {
        self.0.lock().unwrap().staged.remove(&plan.outcome.run);
        Ok(())
    }

    async fn plan_find(&self, _: RunId) -> Result<Option<KeptPlan>, StoreError> {
        Ok(None)
    }

    async fn plan_discard(&self, _: RunId) -> Result<(), StoreError> {
        Ok(())
    }

    fn changes(&self, _: SourceId, _: i64, _: Option<(Kind, SourcedId)>) -> Pages<ChangeEntry> {
        pages(Vec::new())
    }
}

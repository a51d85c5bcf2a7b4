//! A store over nothing, for looking a roster through without a database.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::StreamExt as _;
use rollcall_domain::keys::{KeyMap, Keys};
use rollcall_domain::ports::{
    Applied, ChangeEntry, ChildKey, Commit, DanglingLink, Fetched, KeptPlan, Lease, NewRun, Pages, RejectRow, RoleBook,
    RosterStore, RunFilter, RunOutcome, RunRow, SourceRow, SourceState, StagedChange, StoreError, StoredFingerprint,
};
use rollcall_domain::{Kind, PendingRecord, Record, RefField, Reject, RunId, SourceId, SourcedId};

use crate::error::failed;

/// A [`RosterStore`] in which nothing is and nothing stays.
///
/// Every read is empty, so that a sync over it sees a first import. What is staged is dropped, but for two things:
/// rejects are handed to whoever made the store, and users are kept in a temporary file, because roles may come apart
/// from them and have to be put to what was staged. The file has no name and is gone with the store.
pub struct DiscardingStore {
    on_reject: Box<dyn Fn(&Reject) + Send + Sync>,
    users: Mutex<Users>,
}

/// Users, serialised one after the other in a file.
#[derive(Default)]
struct Users {
    file: Option<BufWriter<File>>,
    end: u64,
    /// Where each of them begins, and how long it is.
    places: KeyMap<(u64, u32)>,
    keys: Keys,
    bytes: Vec<u8>,
}

impl Users {
    fn put(&mut self, record: &Record) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        self.bytes.clear();
        serde_json::to_writer(&mut self.bytes, record)?;
        file.write_all(&self.bytes)?;
        // No record is longer than a row of its package may be, which is far less.
        let length = u32::try_from(self.bytes.len()).map_err(io::Error::other)?;
        self.places.insert(self.keys.of(record.sourced_id()), (self.end, length));
        self.end += self.bytes.len() as u64;
        Ok(())
    }

    fn forget(&mut self, id: &SourcedId) {
        self.places.remove(&self.keys.of(id));
    }

    fn get(&mut self, id: &SourcedId) -> io::Result<Option<Record>> {
        let (Some(file), Some(&(begin, length))) = (&mut self.file, self.places.get(&self.keys.of(id))) else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(begin))?;
        self.bytes.resize(length as usize, 0);
        file.get_mut().read_exact(&mut self.bytes)?;
        file.seek(SeekFrom::Start(self.end))?;
        Ok(Some(serde_json::from_slice(&self.bytes)?))
    }
}

impl fmt::Debug for DiscardingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiscardingStore").finish_non_exhaustive()
    }
}

impl DiscardingStore {
    /// Makes a store that hands each reject to `on_reject`, in the order of staging.
    pub fn new(on_reject: impl Fn(&Reject) + Send + Sync + 'static) -> Self {
        Self { on_reject: Box::new(on_reject), users: Mutex::default() }
    }

    fn users(&self) -> std::sync::MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(name: &str, kind: &str) -> SourceState {
        SourceState {
            id: SourceId(1),
            name: name.to_owned(),
            kind: kind.to_owned(),
            cursor: None,
            scope: None,
            demographics: false,
            revision: 0,
            last_full: None,
        }
    }
}

#[derive(Debug)]
struct NoLease;

impl Lease for NoLease {}

fn nothing<T: Send + 'static>() -> Pages<T> {
    futures::stream::empty().boxed()
}

#[async_trait]
impl RosterStore for DiscardingStore {
    async fn source_open(&self, name: &str, kind: &str) -> Result<SourceState, StoreError> {
        Ok(Self::source(name, kind))
    }

    async fn source_find(&self, _name: &str) -> Result<Option<SourceState>, StoreError> {
        Ok(None)
    }

    async fn source_list(&self) -> Result<Vec<SourceRow>, StoreError> {
        Ok(Vec::new())
    }

    async fn lease(&self, _source: SourceId, _run: RunId) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(NoLease))
    }

    async fn run_start(&self, _run: &NewRun) -> Result<(), StoreError> {
        Ok(())
    }

    async fn run_turned_away(&self, _run: &NewRun, _outcome: &RunOutcome) -> Result<(), StoreError> {
        Ok(())
    }

    async fn run_finish(&self, _outcome: &RunOutcome) -> Result<(), StoreError> {
        *self.users() = Users::default();
        Ok(())
    }

    async fn run_find(&self, _run: RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(None)
    }

    async fn run_list(&self, _filter: &RunFilter, _limit: u32) -> Result<Vec<RunRow>, StoreError> {
        Ok(Vec::new())
    }

    fn run_rejects(&self, _run: RunId) -> Pages<RejectRow> {
        nothing()
    }

    fn fingerprints(&self, _source: SourceId, _kind: Kind) -> Pages<StoredFingerprint> {
        nothing()
    }

    async fn sourced_ids(
        &self,
        _source: SourceId,
        _kind: Kind,
        _internal_ids: &[i64],
    ) -> Result<Vec<SourcedId>, StoreError> {
        Ok(Vec::new())
    }

    async fn fetch(
        &self,
        _source: SourceId,
        _run: RunId,
        kind: Kind,
        ids: &[SourcedId],
    ) -> Result<Vec<Fetched>, StoreError> {
        if kind != Kind::Users {
            return Ok(Vec::new());
        }
        let mut users = self.users();
        let mut found = Vec::new();
        for id in ids {
            let user = users.get(id).map_err(|error| failed("read users back from a temporary file", error))?;
            if let Some(record) = user {
                found.push(Fetched { sourced_id: id.clone(), stored: None, staged: Some(record) });
            }
        }
        Ok(found)
    }

    async fn holders(
        &self,
        _source: SourceId,
        _run: RunId,
        _field: RefField,
        _targets: &[SourcedId],
    ) -> Result<Vec<ChildKey>, StoreError> {
        Ok(Vec::new())
    }

    fn dangling(&self, _source: SourceId, _target: Kind) -> Pages<DanglingLink> {
        nothing()
    }

    fn pending(&self, _source: SourceId, _kind: Kind) -> Pages<PendingRecord> {
        nothing()
    }

    async fn role_books(&self, _source: SourceId, _users: &[SourcedId]) -> Result<Vec<RoleBook>, StoreError> {
        Ok(Vec::new())
    }

    fn waiting_roles(&self, _source: SourceId) -> Pages<RoleBook> {
        nothing()
    }

    async fn role_holders(
        &self,
        _source: SourceId,
        _roles: &[SourcedId],
    ) -> Result<Vec<(SourcedId, SourcedId)>, StoreError> {
        Ok(Vec::new())
    }

    fn records(&self, _source: SourceId, _kind: Kind) -> Pages<Record> {
        nothing()
    }

    async fn stage(&self, _source: SourceId, _run: RunId, changes: Vec<StagedChange>) -> Result<(), StoreError> {
        let mut users = self.users();
        for change in changes {
            match change {
                StagedChange::Put { record: record @ Record::Users(_), .. } => {
                    users.put(&record).map_err(|error| failed("keep users in a temporary file", error))?;
                }
                StagedChange::Withdraw { kind: Kind::Users, sourced_id } => {
                    users.forget(&sourced_id);
                }
                StagedChange::Reject { reject, .. } => (self.on_reject)(&reject),
                _ => {}
            }
        }
        Ok(())
    }

    async fn stage_clear(&self, _source: SourceId, _run: RunId) -> Result<(), StoreError> {
        *self.users() = Users::default();
        Ok(())
    }

    async fn apply(&self, commit: &Commit) -> Result<Applied, StoreError> {
        *self.users() = Users::default();
        Ok(Applied { revision: commit.basis + 1 })
    }

    async fn plan_keep(&self, _plan: &Commit) -> Result<(), StoreError> {
        *self.users() = Users::default();
        Ok(())
    }

    async fn plan_find(&self, _run: RunId) -> Result<Option<KeptPlan>, StoreError> {
        Ok(None)
    }

    async fn plan_discard(&self, _run: RunId) -> Result<(), StoreError> {
        Ok(())
    }

    fn changes(&self, _source: SourceId, _after: i64, _record: Option<(Kind, SourcedId)>) -> Pages<ChangeEntry> {
        nothing()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rollcall_domain::ports::RosterStore;
    use rollcall_domain::{Kind, Record, SourceId};
    use rollcall_testkit::{build, store};

    use super::*;

    #[tokio::test]
    async fn staged_users_can_be_fetched_rejects_are_handed_on_and_the_rest_is_dropped() {
        let rejects = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&rejects);
        let discarding = DiscardingStore::new(move |reject| seen.lock().unwrap().push(reject.clone()));
        let (source, run) = (SourceId(1), store::run_id());
        let mut changes: Vec<_> = build::full_records().into_iter().map(store::created).collect();
        changes.push(StagedChange::Reject { reject: store::reject(Kind::Users, Some("zoe"), 7), pending: None });
        changes.push(StagedChange::Withdraw { kind: Kind::Users, sourced_id: build::id("agent") });
        discarding.stage(source, run, changes).await.unwrap();
        let ids = store::ids_of(&["agent", "user"]);
        let users = discarding.fetch(source, run, Kind::Users, &ids).await.unwrap();
        let expected: Vec<Record> =
            build::full_records().into_iter().filter(|record| record.sourced_id() == &ids[1]).take(1).collect();
        assert_eq!(users.into_iter().filter_map(|user| user.staged).collect::<Vec<_>>(), expected);
        assert!(discarding.fetch(source, run, Kind::Classes, &store::ids_of(&["class"])).await.unwrap().is_empty());
        assert_eq!(rejects.lock().unwrap().len(), 1);
        discarding.stage_clear(source, run).await.unwrap();
        assert!(discarding.fetch(source, run, Kind::Users, &ids).await.unwrap().is_empty());
    }
}

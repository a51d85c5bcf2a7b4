use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use rollcall_domain::ports::{ChangeEntry, RosterStore, StoredRecord};
use rollcall_domain::{Kind, RunId, SourcedId};
use rollcall_persistence::{Access, OpenOptions};
use rollcall_testkit::ThrowawayPostgres;
use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::{Answer, Rollcall, read_folder};

/// The two engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];
}

/// A folder to work in with an empty database of its own.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    url: String,
    database: Option<ThrowawayPostgres>,
}

impl Place {
    /// A new place.
    ///
    /// # Panics
    ///
    /// If there can be none: also where PostgreSQL is not installed, because a test that is skipped tests nothing.
    pub fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let database = (engine == Engine::Postgres).then(ThrowawayPostgres::database);
        let url = match &database {
            None => format!("sqlite://{}", folder.path().join("rollcall.db").display()),
            Some(database) => database.url().to_owned(),
        };
        Self { folder, url, database }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The PostgreSQL database, where it is one.
    pub fn postgres(&self) -> Option<&ThrowawayPostgres> {
        self.database.as_ref()
    }

    /// A call of the program on this place's database.
    pub fn call(&self, line: &str) -> Rollcall {
        Rollcall::call(self.folder()).env("DATABASE_URL", &self.url).args(line)
    }

    /// Calls the program.
    pub fn answer(&self, line: &str) -> Answer {
        self.call(line).answer()
    }

    /// Calls the program, which must succeed, and reads its JSON document.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        self.call(line).args("--output json").answer().exits(0).json()
    }

    /// Exports a source and reads the files.
    #[track_caller]
    pub fn export(&self, source: &str) -> BTreeMap<String, Vec<u8>> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let target = folder.path().join("out");
        let _ = self.call("export").arg(&target).args("--source").arg(source).answer().exits(0);
        read_folder(&target)
    }

    /// The change feed of a source.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn changes(&self, source: &str) -> Vec<ChangeEntry> {
        self.read(|store| {
            let source = source.to_owned();
            async move {
                let state = store.source_find(&source).await.expect("the source can be read").expect("it is there");
                let mut pages = store.changes(state.id, 0, None);
                let mut changes = Vec::new();
                while let Some(page) = pages.next().await {
                    changes.extend(page.expect("the feed can be read"));
                }
                changes
            }
        })
    }

    /// Records as they are stored, by id.
    ///
    /// # Panics
    ///
    /// If they cannot be read.
    pub fn stored(&self, source: &str, kind: Kind, ids: &[&str]) -> BTreeMap<String, StoredRecord> {
        let ids: Vec<_> = ids.iter().map(|id| SourcedId::new(id).expect("an id is not blank")).collect();
        self.read(|store| {
            let source = source.to_owned();
            async move {
                let state = store.source_find(&source).await.expect("the source can be read").expect("it is there");
                let found = store.fetch(state.id, RunId(Uuid::nil()), kind, &ids).await.expect("records can be read");
                let stored = found.into_iter().filter_map(|one| Some((one.sourced_id.to_string(), one.stored?)));
                stored.collect()
            }
        })
    }

    fn read<T, F: Future<Output = T>>(&self, read: impl FnOnce(Arc<dyn RosterStore>) -> F) -> T {
        let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
        runtime.block_on(async {
            let url = SecretString::from(self.url.as_str());
            let store = rollcall_persistence::open(&url, OpenOptions { access: Access::Read }).await;
            read(store.expect("the store can be opened")).await
        })
    }
}

//! Stores to try things on.

use std::any::Any;

use futures::FutureExt as _;
use rollcall_persistence::{Database, OpenOptions};
use rollcall_testkit::ThrowawayPostgres;
use rollcall_testkit::store::Fixture;
use secrecy::SecretString;
use tempfile::TempDir;

/// A new SQLite file.
pub(crate) async fn sqlite() -> Fixture {
    let (folder, mut fixture) = sqlite_in_folder().await;
    fixture.keep = Box::new(folder);
    fixture
}

/// A new SQLite file, `rollcall.db`, and the folder that it is in.
pub(crate) async fn sqlite_in_folder() -> (TempDir, Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("rollcall.db").display());
    (folder, fixture(url, Box::new(())).await)
}

/// A new database of the throwaway PostgreSQL.
pub(crate) async fn postgres() -> Fixture {
    let database = tokio::task::spawn_blocking(ThrowawayPostgres::database).await.unwrap();
    fixture(database.url().to_owned(), Box::new(database)).await
}

async fn fixture(url: String, keep: Box<dyn Any + Send + Sync>) -> Fixture {
    let store = open(&url).await;
    Fixture {
        store: store.store(),
        reopen: Box::new(move || {
            let url = url.clone();
            async move { open(&url).await.store() }.boxed()
        }),
        keep,
    }
}

/// A database that is there already.
pub(crate) async fn on(url: &str) -> Fixture {
    fixture(url.to_owned(), Box::new(())).await
}

/// Opens a database for writing.
pub(crate) async fn open(url: &str) -> Database {
    Database::open(&SecretString::from(url), OpenOptions::default()).await.unwrap()
}

/// Makes a role that may connect to a database and has no rights in it: its name, which begins like this, and its URL.
pub(crate) fn role(database: &ThrowawayPostgres, begin: &str) -> (String, String) {
    let role = format!("{begin}_{}", database.url().split("///").nth(1).unwrap().split('?').next().unwrap());
    database.sql(&format!("CREATE ROLE {role} LOGIN"));
    let url = database.url().replace("user=postgres", &format!("user={role}"));
    (role, url)
}

//! What a user is told when the database does not do its part.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rollcall_domain::Kind;
use rollcall_domain::ports::StoreError;
use rollcall_persistence::{Access, Database, OpenOptions};
use rollcall_testkit::store::{Scene, small_roster};
use rollcall_testkit::{ThrowawayPostgres, store::all};
use secrecy::SecretString;

async fn refused(url: &str, access: Access) -> StoreError {
    match Database::open(&SecretString::from(url), OpenOptions { access }).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => {
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2"), "the password is in {text}");
            error
        }
    }
}

/// The messages as a user reads them, with what differs from run to run left out.
fn line(error: &StoreError, place: &str) -> String {
    format!("{}: {}", error.code(), error.to_string().replace(place, "[place]"))
}

#[tokio::test]
async fn each_trouble_with_sqlite_has_its_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let url = |name: &str| format!("sqlite://{}", folder.path().join(name).display());
    std::fs::write(folder.path().join("text.db"), "this is a diary, and no database at all; ".repeat(200)).unwrap();
    let mut lines = vec![
        line(&refused("mysql://root:hunter2@localhost/x", Access::Write).await, &place),
        line(&refused("sqlite://:memory:", Access::Write).await, &place),
        line(&refused(&url("missing.db"), Access::Read).await, &place),
        line(&refused(&url("no/such/folder/rollcall.db"), Access::Write).await, &place),
        line(&refused(&url("text.db"), Access::Write).await, &place),
        line(&refused(&url("text.db"), Access::Read).await, &place),
    ];
    std::fs::create_dir(folder.path().join("folder.db")).unwrap();
    lines.push(line(&refused(&url("folder.db"), Access::Write).await, &place));
    insta::assert_snapshot!("troubles_with_sqlite", lines.join("\n"));
}

#[tokio::test]
async fn each_trouble_with_postgresql_has_its_sentence() {
    let database = ThrowawayPostgres::database();
    let url = database.url();
    let host = url.split("host=").nth(1).unwrap_or_default().split('&').next().unwrap_or_default().to_owned();
    let name = url.split("///").nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    let lines = [
        line(&refused("postgres://anna:hunter2@127.0.0.1:1/rollcall", Access::Write).await, &host),
        line(&refused("postgres://anna:hunter2@no-such-host.invalid/rollcall", Access::Write).await, &host),
        line(
            &refused(&format!("postgres:///nowhere?host={host}&user=postgres&password=hunter2"), Access::Write).await,
            &host,
        ),
        line(&refused(&format!("postgres:///{name}?host={host}&user=nobody_here"), Access::Write).await, &name),
    ];
    let lines = lines.join("\n").replace(&name, "[name]");
    insta::assert_snapshot!("troubles_with_postgresql", lines);
}

#[tokio::test]
async fn a_role_that_may_not_create_tables_is_told_so() {
    let database = ThrowawayPostgres::database();
    let (role, url) = crate::common::role(&database, "reader_of");
    assert!(matches!(refused(&url, Access::Write).await, StoreError::Denied { .. }));
    crate::common::open(database.url()).await;
    database.sql(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"));
    let reader = Database::open(&SecretString::from(url), OpenOptions { access: Access::Read }).await.unwrap().store();
    assert!(reader.source_list().await.unwrap().is_empty());
    assert!(matches!(reader.source_open("x", "test").await, Err(StoreError::Denied { .. })));
}

fn set_writable(path: &Path, writable: bool) {
    let folder = path.is_dir();
    let mode = match (folder, writable) {
        (true, true) => 0o755,
        (true, false) => 0o555,
        (false, true) => 0o644,
        (false, false) => 0o444,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Reading never writes: not to the file, not beside it. (As root the permissions do not bind; nothing may change even
/// so.)
#[tokio::test]
async fn a_read_only_database_is_read() {
    let fixture = crate::common::sqlite_in_folder().await;
    let (folder, scene) = (fixture.0, Scene::new(fixture.1).await);
    let run = scene.apply(small_roster()).await;
    let source = scene.source;
    drop(scene);
    let file = folder.path().join("rollcall.db");
    std::fs::remove_dir_all(folder.path().join("rollcall.db.work")).unwrap();
    set_writable(&file, false);
    set_writable(folder.path(), false);
    let url = SecretString::from(format!("sqlite://{}", file.display()));
    let before = std::fs::read(&file).unwrap();
    let store = Database::open(&url, OpenOptions { access: Access::Read }).await.unwrap().store();
    assert_eq!(all(store.records(source, Kind::Users)).await.len(), 2);
    assert!(store.run_find(run).await.unwrap().is_some());
    assert!(matches!(store.source_open("another", "test").await, Err(StoreError::NotWritable { .. })));
    drop(store);
    set_writable(folder.path(), true);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

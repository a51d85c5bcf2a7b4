//! First imports, for which keys and indexes are put aside: the schema is the same afterwards, and what they guard too.

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use rollcall_domain::Kind;
use rollcall_domain::ports::StagedChange;
use rollcall_testkit::store::{Fixture, Scene, created};
use rollcall_testkit::{ThrowawayPostgres, build};

use crate::catalogue::{Catalogue, postgres_catalogue, rendered, sqlite_catalogue};
use crate::common;

/// Enough for keys to be put aside.
const MANY: usize = 20_500;

fn roster(broken: bool) -> Vec<StagedChange> {
    let mut changes = vec![created(build::school("school")), created(build::class("class", "school"))];
    for number in 0..MANY {
        let mut user = build::user(&format!("user {number}"));
        user.roles = vec![build::role("school")];
        user.agents = vec![build::id(&format!("user {}", (number + 1) % MANY))];
        user.external_ids = vec![build::external("sis", &number.to_string())];
        changes.push(created(user));
        changes.push(created(build::enrollment(&number.to_string(), "class", &format!("user {number}"))));
    }
    if broken {
        changes.push(created(build::enrollment("broken", "class", "nobody")));
    }
    changes
}

async fn a_first_import(fixture: Fixture, catalogue: impl Fn() -> Catalogue) {
    let before = rendered(&catalogue());
    let scene = Scene::new(fixture).await;
    scene.try_apply(roster(true)).await.unwrap_err();
    assert_eq!(rendered(&catalogue()), before);
    assert!(scene.fingerprints(Kind::Users).await.is_empty());
    scene.apply(roster(false)).await;
    assert_eq!(rendered(&catalogue()), before);
    assert_eq!(scene.fingerprints(Kind::Users).await.len(), MANY);
    assert_eq!(scene.records(Kind::Enrollments).await.len(), MANY);
    // What was put aside guards again.
    let another = created(build::enrollment("another", "class", "nobody"));
    scene.try_apply(vec![another]).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_first_import_leaves_the_schema_as_it_was_on_sqlite() {
    let (folder, fixture) = common::sqlite_in_folder().await;
    let file = folder.path().join("rollcall.db");
    a_first_import(fixture, || sqlite_catalogue(&file)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_first_import_leaves_the_schema_as_it_was_on_postgresql() {
    let database = ThrowawayPostgres::database();
    let fixture = common::on(database.url()).await;
    a_first_import(fixture, || postgres_catalogue(&database)).await;
}

/// Somebody who reads the tables at that moment is not in the way, and is not kept waiting.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_does_not_stop_a_large_first_import() {
    let database = ThrowawayPostgres::database();
    let scene = Scene::new(common::on(database.url()).await).await;
    let mut reader = PgConnection::establish(database.url()).unwrap();
    reader.batch_execute("BEGIN; LOCK TABLE users, enrollments IN ACCESS SHARE MODE").unwrap();
    scene.apply(roster(false)).await;
    reader.batch_execute("SELECT count(*) FROM users; COMMIT").unwrap();
    assert_eq!(scene.fingerprints(Kind::Enrollments).await.len(), MANY);
}

//! First imports of large sources, for which keys and indexes are put aside: the schema is the same afterwards, and what
//! they guard too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use futures::StreamExt as _;
use rollcall_domain::ports::{DeleteReason, StagedChange};
use rollcall_domain::{Kind, Record, SourcedId};
use rollcall_testkit::store::{Fixture, Scene, created, deleted, updated};
use rollcall_testkit::{ThrowawayPostgres, build};

use crate::catalogue::{Catalogue, postgres_catalogue, rendered, sqlite_catalogue};
use crate::common;

/// Enough for keys to be put aside.
const MANY: usize = 20_500;

fn roster(broken: bool) -> Vec<StagedChange> {
    let mut changes = vec![created(build::school("school")), created(build::class("class", "school"))];
    for number in 0..MANY {
        changes.push(created(numbered_user(number)));
        changes.push(created(build::enrollment(&number.to_string(), "class", &format!("user {number}"))));
    }
    if broken {
        changes.push(created(build::enrollment("broken", "class", "nobody")));
    }
    changes
}

async fn a_first_import(fixture: Fixture, catalogue: impl Fn() -> Catalogue) {
    let before = rendered(&catalogue());
    let mut scene = Scene::new(fixture).await;
    // Into an empty store, and beside what is there.
    for source in ["springfield", "shelbyville"] {
        scene.turn_to(source).await;
        scene.try_apply(roster(true)).await.unwrap_err();
        assert_eq!(rendered(&catalogue()), before);
        assert!(scene.fingerprints(Kind::Users).await.is_empty());
        scene.apply(roster(false)).await;
        assert_eq!(rendered(&catalogue()), before);
        assert_eq!(scene.fingerprints(Kind::Users).await.len(), MANY);
        assert_eq!(scene.records(Kind::Enrollments).await.len(), MANY);
        // Who has seen enough leaves the rest.
        let some = scene.store().records(scene.source, Kind::Enrollments).next().await.unwrap().unwrap();
        assert!(!some.is_empty() && some.len() < MANY);
        // What was put aside guards again.
        let another = created(build::enrollment("another", "class", "nobody"));
        scene.try_apply(vec![another]).await.unwrap_err();
    }
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

/// What is to be deleted is read on another connection, which must not wait for the tables that are put aside.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_put_aside_stops_no_deletion() {
    let database = ThrowawayPostgres::database();
    let scene = Scene::new(common::on(database.url()).await).await;
    let user = |number: usize| build::user(&format!("user {number}"));
    let mut changes = vec![created(build::school("school")), created(build::class("class", "school"))];
    changes.extend((0..MANY).map(|number| created(user(number))));
    changes.extend((0..MANY).map(|number| created(build::enrollment(&number.to_string(), "class", "user 0"))));
    scene.apply(changes).await;
    // Nobody had an agent, so that the table of agents is put aside, and with its keys the one of users is locked.
    let with_agent = |number| {
        let mut user = user(number);
        user.agents = vec![build::id("user 0")];
        updated(user)
    };
    let mut changes: Vec<_> = (0..MANY).map(with_agent).collect();
    changes.extend((0..MANY).map(|number| deleted(Kind::Enrollments, &number.to_string(), DeleteReason::Absent)));
    scene.apply(changes).await;
    assert!(scene.records(Kind::Enrollments).await.is_empty());
    let users = scene.records(Kind::Users).await;
    assert!(
        users.len() == MANY && users.iter().all(|user| matches!(user, Record::Users(user) if !user.agents.is_empty()))
    );
}

/// Right after a first import PostgreSQL knows nothing of the tables, and must not go through all records of a source for
/// each chunk that is wanted.
#[tokio::test(flavor = "multi_thread")]
async fn records_are_looked_up_though_nothing_is_known_of_their_table() {
    const CHANGED: usize = 6_000;
    let database = ThrowawayPostgres::database();
    let scene = Scene::new(common::on(database.url()).await).await;
    database.sql("ALTER TABLE users SET (autovacuum_enabled = false)");
    let user = |number: usize| build::user(&format!("user {number}"));
    scene.apply((0..MANY).map(|number| created(user(number))).collect()).await;
    let renamed = |number| {
        let mut user = user(number);
        user.given_name = Some("Other".into());
        updated(user)
    };
    scene.apply((0..CHANGED).map(renamed).collect()).await;
    // A server counts for a connection at its end.
    drop(scene);
    let others =
        "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while database.sql(others).trim() != "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
    let read = database.sql("SELECT idx_tup_read::text FROM pg_stat_user_indexes WHERE indexrelname = 'users_key'");
    let read: usize = read.trim().parse().unwrap();
    assert!((CHANGED..2 * MANY).contains(&read), "{read} entries were read to change {CHANGED} users");
}

/// A roster in the order of a source: every user has a role, an agent and an external id, and every record of the others
/// refers to a user of its own.
fn in_order() -> Vec<StagedChange> {
    let mut changes = vec![created(build::school("school")), created(build::class("class", "school"))];
    changes.extend((0..MANY).map(|number| created(numbered_user(number))));
    // Not in the order of the users.
    let other = |number: usize| format!("user {}", number * 7 % MANY);
    changes.extend((0..MANY).map(|number| created(build::enrollment(&number.to_string(), "class", &other(number)))));
    changes.extend((0..MANY).map(|number| created(build::demographics(&other(number)))));
    changes
}

fn numbered_user(number: usize) -> rollcall_domain::entities::User {
    let mut user = build::user(&format!("user {number}"));
    user.roles = vec![build::role("school")];
    user.agents = vec![build::id(&format!("user {}", (number + 1) % MANY))];
    user.external_ids = vec![build::external("sis", &number.to_string())];
    user
}

fn withdraw(kind: Kind, id: &str) -> StagedChange {
    StagedChange::Withdraw { kind, sourced_id: build::id(id) }
}

/// Takes a user away, with everything that needs it.
fn withdraw_user(number: usize) -> Vec<StagedChange> {
    let id = format!("user {number}");
    let enrollment = (0..MANY).find(|enrollment| enrollment * 7 % MANY == number).unwrap();
    let needy = [withdraw(Kind::Enrollments, &enrollment.to_string()), withdraw(Kind::Demographics, &id)];
    needy.into_iter().chain([withdraw(Kind::Users, &id)]).collect()
}

/// What is there after these changes.
fn expected(changes: &[StagedChange]) -> BTreeMap<(Kind, SourcedId), Record> {
    let mut records = BTreeMap::new();
    for change in changes {
        match change {
            StagedChange::Put { record, .. } => {
                records.insert((record.kind(), record.sourced_id().clone()), record.clone());
            }
            StagedChange::Withdraw { kind, sourced_id } => {
                records.remove(&(*kind, sourced_id.clone()));
            }
            _ => unreachable!("only these are staged here"),
        }
    }
    let users: Vec<_> = records.keys().filter(|(kind, _)| *kind == Kind::Users).map(|(_, id)| id.clone()).collect();
    for record in records.values_mut() {
        match record {
            // Live records show links to live records only.
            Record::Users(user) => user.agents.retain(|agent| users.binary_search(agent).is_ok()),
            // The class's school counts.
            Record::Enrollments(enrollment) => enrollment.school = Some(build::id("school")),
            _ => {}
        }
    }
    records
}

/// Each record refers to what it referred to when it was sent, however the others were staged, and the feed has each once.
async fn first_imports_by_all_histories<F: Future<Output = Fixture>>(fixture: impl Fn() -> F, sources: &[&str]) {
    let last = MANY - 1;
    let mut another = numbered_user(77);
    another.roles.clear();
    let histories = [
        Vec::new(),
        // Gaps in the middle and at both ends, with rows of the withdrawn that stay behind.
        withdraw_user(78),
        [withdraw_user(0), withdraw_user(last)].concat(),
        // A user who comes again with other content, after the records that refer to it.
        vec![withdraw(Kind::Users, "user 77"), created(another.clone())],
        vec![withdraw(Kind::Users, &format!("user {last}")), created(numbered_user(last))],
    ];
    for history in histories {
        let changes = [in_order(), history].concat();
        let expected = expected(&changes);
        let mut scene = Scene::new(fixture().await).await;
        for source in sources {
            scene.turn_to(source).await;
            a_first_import_in_batches(&scene, &changes, &expected, true).await;
        }
    }
}

async fn a_first_import_in_batches(
    scene: &Scene,
    changes: &[StagedChange],
    expected: &BTreeMap<(Kind, SourcedId), Record>,
    is_alone: bool,
) {
    let run = scene.begin().await;
    for batch in changes.chunks(4_000) {
        scene.stage(run, batch.to_vec()).await;
    }
    let commit = scene.commit(run).await;
    scene.store().apply(&commit).await.unwrap();
    let mut found = BTreeMap::new();
    for kind in Kind::ALL {
        found.extend(scene.records(kind).await.into_iter().map(|record| ((kind, record.sourced_id().clone()), record)));
    }
    let wrong = expected.iter().find(|(id, record)| found.get(*id) != Some(*record));
    assert_eq!(wrong.map(|(id, record)| (record, found.get(id))), None, "what was sent, and what is there");
    assert_eq!(found.len(), expected.len());
    let feed = scene.feed().await;
    assert_eq!(feed.len(), expected.len());
    if is_alone {
        assert!(feed.iter().zip(1..).all(|(entry, sequence)| entry.sequence == sequence));
    } else {
        // Where others took ids meanwhile there are gaps.
        assert!(feed.is_sorted_by(|one, next| one.sequence < next.sequence));
    }
    // The next change is told apart from all of these.
    let one_more = scene.apply(vec![created(build::user("one more"))]).await;
    let entry = scene.feed().await.pop().unwrap();
    assert_eq!((entry.run, entry.sourced_id), (one_more, build::id("one more")));
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_large_first_import_refer_to_the_right_ones_on_sqlite() {
    // Into an empty store, and beside what is there.
    first_imports_by_all_histories(common::sqlite, &["springfield", "shelbyville"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_large_first_import_refer_to_the_right_ones_on_postgresql() {
    first_imports_by_all_histories(common::postgres, &["springfield", "shelbyville"]).await;
}

/// PostgreSQL gives ids to everybody: those of a source need not follow each other.
#[tokio::test(flavor = "multi_thread")]
async fn records_refer_to_the_right_ones_though_others_take_ids_meanwhile() {
    let database = ThrowawayPostgres::database();
    let mut scene = Scene::new(common::on(database.url()).await).await;
    scene.turn_to("springfield").await;
    let changes = in_order();
    let done = Arc::new(AtomicBool::new(false));
    let (url, is_done) = (database.url().to_owned(), Arc::clone(&done));
    let other = std::thread::spawn(move || {
        let mut other = PgConnection::establish(&url).unwrap();
        while !is_done.load(Ordering::Relaxed) {
            other.batch_execute("SELECT nextval('users_id_seq'), pg_sleep(0.001)").unwrap();
        }
    });
    a_first_import_in_batches(&scene, &changes, &expected(&changes), false).await;
    done.store(true, Ordering::Relaxed);
    other.join().unwrap();
}

/// Who may write to the tables need not be allowed to use their sequences.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_only_writes_to_the_tables_imports_a_large_source() {
    let database = ThrowawayPostgres::database();
    common::open(database.url()).await;
    let (role, url) = common::role(&database, "writer_to");
    database.sql(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"));
    let scene = Scene::new(common::on(&url).await).await;
    let changes = in_order();
    a_first_import_in_batches(&scene, &changes, &expected(&changes), true).await;
}

/// So much is there in the end that the indexes stay where they are.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_the_sixth_large_source_refer_to_the_right_ones_on_sqlite() {
    let changes = in_order();
    let expected = expected(&changes);
    let mut scene = Scene::new(common::sqlite().await).await;
    for source in ["springfield", "shelbyville", "ogdenville", "brockway", "capital", "cypress"] {
        scene.turn_to(source).await;
        a_first_import_in_batches(&scene, &changes, &expected, true).await;
    }
}

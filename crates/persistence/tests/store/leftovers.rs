//! What a process that died leaves behind.

use std::path::Path;

use rollcall_testkit::build;
use rollcall_testkit::store::{Scene, created};

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder.join("rollcall.db.work"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("stage-"))
        .collect();
    names.sort();
    names
}

/// Scratch files of runs whose processes are gone go when the database is next opened for writing; those of a run that
/// holds its lease, and of kept plans, stay.
#[tokio::test]
async fn scratch_files_of_dead_runs_are_swept_up() {
    let (folder, fixture) = crate::common::sqlite_in_folder().await;
    let scene = Scene::new(fixture).await;
    let held = scene.begin().await;
    scene.stage(held, vec![created(build::user("anna"))]).await;
    let commit = scene.commit(held).await;
    scene.store().plan_keep(&commit).await.unwrap();
    let work = folder.path().join("rollcall.db.work");
    let dead = work.join(format!("stage-{}-{}.db", scene.source.0, rollcall_testkit::store::run_id()));
    std::fs::write(&dead, b"").unwrap();
    let lease = scene.store().lease(scene.source, rollcall_testkit::store::run_id()).await.unwrap();
    (scene.fixture.reopen)().await;
    assert_eq!(files(folder.path()).len(), 2);
    drop(lease);
    (scene.fixture.reopen)().await;
    assert_eq!(files(folder.path()).len(), 1);
    assert!(!dead.exists());
    scene.store().apply(&commit).await.unwrap();
    assert!(files(folder.path()).is_empty());
}

/// An apply and a clear leave no scratch file behind.
#[tokio::test]
async fn a_run_removes_its_scratch_file() {
    let (folder, fixture) = crate::common::sqlite_in_folder().await;
    let scene = Scene::new(fixture).await;
    scene.apply(vec![created(build::user("anna"))]).await;
    let run = scene.begin().await;
    scene.stage(run, vec![created(build::user("ben"))]).await;
    assert_eq!(files(folder.path()).len(), 1);
    scene.store().stage_clear(scene.source, run).await.unwrap();
    assert!(files(folder.path()).is_empty());
}

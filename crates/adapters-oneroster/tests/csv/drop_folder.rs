//! A folder into which packages are dropped: oldest first, each once, none before it is complete.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rollcall_adapters_oneroster::CsvConfig;
use rollcall_domain::ports::{Cursor, PullRequest, RosterSource};
use tempfile::TempDir;

use crate::harness::{Files, Pulled, StoppedClock, pull_request};

/// Noon of the day on which these tests play, in seconds since 1970.
const NOON: u64 = 1_780_000_000;

struct Drops(TempDir);

impl Drops {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Drops a package `seconds` before noon.
    fn zip(&self, name: &str, files: &Files, seconds: u64) {
        let path = self.0.path().join(name);
        files.zip_to(&path);
        touch(&path, seconds);
    }

    async fn pull(&self, cursor: Option<Cursor>) -> Pulled {
        let request = PullRequest { cursor, full: false, demographics: false };
        self.request(request).await
    }

    async fn request(&self, request: PullRequest) -> Pulled {
        let clock = StoppedClock(Timestamp::from_second(i64::try_from(NOON).unwrap()).unwrap());
        pull_request(CsvConfig::new(self.0.path()), Arc::new(clock), request).await.unwrap()
    }
}

fn touch(path: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(NOON - seconds);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn orgs(mode: &str, name: &str) -> Files {
    let status = if mode == "delta" { "active,2026-05-01T00:00:00.000Z" } else { "," };
    Files::new()
        .with(
            "manifest.csv",
            format!("propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\nfile.orgs,{mode}\n"),
        )
        .with(
            "orgs.csv",
            format!(
                "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\ns1,{status},{name},school,,\n"
            ),
        )
}

fn name(pulled: &Pulled) -> String {
    pulled.record("s1")["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn deltas_are_applied_oldest_first_and_each_once() {
    let drops = Drops::new();
    drops.zip("b.zip", &orgs("delta", "second"), 3_000);
    drops.zip("a.zip", &orgs("bulk", "first"), 4_000);
    drops.zip("c.zip", &orgs("delta", "third"), 2_000);
    let mut cursor = None;
    for (expected, more) in [("first", true), ("second", true), ("third", false)] {
        let pulled = drops.pull(cursor).await;
        assert_eq!((name(&pulled).as_str(), pulled.summary.more), (expected, more));
        cursor = pulled.cursor();
    }
    let nothing = drops.pull(cursor.clone()).await;
    assert!(nothing.summary.nothing_new && nothing.items.is_empty());
    assert_eq!(nothing.summary.note.as_deref(), Some("no new package"));
    assert_eq!(nothing.cursor(), cursor);
}

#[tokio::test]
async fn a_package_that_comes_too_late_is_named_until_it_is_written_anew() {
    let drops = Drops::new();
    drops.zip("a.zip", &orgs("bulk", "First"), 5_000);
    drops.zip("c.zip", &orgs("delta", "Third"), 3_000);
    let applied = drops.pull(drops.pull(None).await.summary.cursor).await;
    assert_eq!(name(&applied), "Third");
    drops.zip("b.zip", &orgs("delta", "Second"), 4_000);
    let nothing = drops.pull(applied.summary.cursor).await;
    let note = nothing.summary.note.clone().unwrap();
    assert!(nothing.summary.nothing_new && note.contains("b.zip") && !note.contains("a.zip"), "{note}");
    touch(&drops.0.path().join("b.zip"), 2_000);
    let anew = drops.pull(nothing.summary.cursor).await;
    assert_eq!(name(&anew), "Second");
    let nothing = drops.pull(anew.summary.cursor).await;
    assert_eq!(nothing.summary.note.as_deref(), Some("no new package"));
}

#[tokio::test]
async fn packages_of_one_time_go_by_name() {
    let drops = Drops::new();
    drops.zip("b.zip", &orgs("delta", "second"), 3_000);
    drops.zip("a.zip", &orgs("delta", "first"), 3_000);
    let first = drops.pull(None).await;
    assert_eq!(name(&first), "first");
    assert_eq!(name(&drops.pull(first.cursor()).await), "second");
}

#[tokio::test]
async fn a_bulk_package_makes_what_came_before_it_needless() {
    let drops = Drops::new();
    drops.zip("1.zip", &orgs("bulk", "old"), 5_000);
    drops.zip("2.zip", &orgs("delta", "older change"), 4_000);
    drops.zip("3.zip", &orgs("bulk", "new"), 3_000);
    drops.zip("4.zip", &orgs("delta", "newest"), 2_000);
    let pulled = drops.pull(None).await;
    assert_eq!(name(&pulled), "new");
    assert!(pulled.summary.more);
    assert_eq!(
        pulled.summary.note.as_deref(),
        Some("3.zip: OneRoster 1.1; not read because a later package replaces them: 1.zip, 2.zip")
    );
    assert_eq!(name(&drops.pull(pulled.cursor()).await), "newest");
}

#[tokio::test]
async fn a_bulk_package_of_other_files_replaces_nothing() {
    let drops = Drops::new();
    drops.zip("1.zip", &orgs("delta", "change"), 4_000);
    let courses = Files::new().with("courses.csv", "sourcedId,title\nc1,Algebra\n");
    drops.zip("2.zip", &courses, 3_000);
    assert_eq!(name(&drops.pull(None).await), "change");
}

#[tokio::test]
async fn a_package_is_left_alone_until_it_has_been_still_for_a_minute() {
    let drops = Drops::new();
    drops.zip("late.zip", &orgs("bulk", "late"), 59);
    let waiting = drops.pull(None).await;
    assert!(waiting.summary.nothing_new);
    assert_eq!(waiting.summary.note.as_deref(), Some("no new package; still being written: late.zip"));
    touch(&drops.0.path().join("late.zip"), 60);
    assert_eq!(name(&drops.pull(waiting.cursor()).await), "late");
}

#[tokio::test]
async fn a_package_that_is_only_touched_again_is_not_new_and_one_that_is_written_anew_is() {
    let drops = Drops::new();
    drops.zip("roster.zip", &orgs("bulk", "monday"), 5_000);
    let monday = drops.pull(None).await;
    touch(&drops.0.path().join("roster.zip"), 4_000);
    assert!(drops.pull(monday.cursor()).await.summary.nothing_new);
    drops.zip("roster.zip", &orgs("bulk", "tuesday"), 3_000);
    assert_eq!(name(&drops.pull(monday.cursor()).await), "tuesday");
}

#[tokio::test]
async fn folders_of_csv_files_are_packages_too() {
    let drops = Drops::new();
    let folder = drops.0.path().join("2026-09-01");
    orgs("bulk", "in a folder").write_to(&folder);
    for file in folder.read_dir().unwrap() {
        touch(&file.unwrap().path(), 4_000);
    }
    let pulled = drops.pull(None).await;
    assert_eq!(name(&pulled), "in a folder");
    assert!(drops.pull(pulled.cursor()).await.summary.nothing_new);
}

#[tokio::test]
async fn a_drop_folder_that_was_emptied_has_nothing_new() {
    let drops = Drops::new();
    drops.zip("1.zip", &orgs("bulk", "one"), 4_000);
    let first = drops.pull(None).await;
    std::fs::remove_file(drops.0.path().join("1.zip")).unwrap();
    assert!(drops.pull(first.cursor()).await.summary.nothing_new);
}

#[tokio::test]
async fn a_folder_without_packages_is_a_mistake_unless_packages_are_expected_there() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("README.txt"), "drop your packages here").unwrap();
    let pull = |recurring| {
        let config = CsvConfig { recurring, ..CsvConfig::new(folder.path()) };
        let clock = StoppedClock(Timestamp::from_second(i64::try_from(NOON).unwrap()).unwrap());
        pull_request(config, Arc::new(clock), PullRequest::default())
    };
    assert_eq!(pull(false).await.err().unwrap().code, "package.invalid");
    let nothing = pull(true).await.unwrap();
    assert!(nothing.summary.nothing_new);
    assert_eq!(nothing.summary.note.as_deref(), Some(rollcall_adapters_oneroster::NO_NEW_PACKAGE));
}

#[tokio::test]
async fn demographics_that_are_switched_on_come_from_the_package_that_was_read_without_them() {
    let drops = Drops::new();
    drops.zip("1.zip", &Files::standard(), 4_000);
    let without = drops.pull(None).await;
    let ask = |cursor| PullRequest { cursor, full: false, demographics: true };
    let with = drops.request(ask(without.cursor())).await;
    assert!(!with.summary.nothing_new);
    assert!(with.records().iter().any(|record| record.kind() == rollcall_domain::Kind::Demographics));
    assert!(drops.request(ask(with.cursor())).await.summary.nothing_new);
}

#[tokio::test]
async fn a_full_pull_starts_again_at_the_newest_bulk_package() {
    let drops = Drops::new();
    drops.zip("1.zip", &orgs("bulk", "one"), 4_000);
    let first = drops.pull(None).await;
    let request = PullRequest { cursor: first.cursor(), full: true, demographics: false };
    assert_eq!(name(&drops.request(request).await), "one");
}

#[tokio::test]
async fn a_broken_package_is_an_error_in_its_turn() {
    let drops = Drops::new();
    let path = drops.0.path().join("1.zip");
    std::fs::write(&path, "not a zip").unwrap();
    touch(&path, 4_000);
    drops.zip("2.zip", &orgs("delta", "two"), 3_000);
    let clock = StoppedClock(Timestamp::from_second(i64::try_from(NOON).unwrap()).unwrap());
    let error =
        pull_request(CsvConfig::new(drops.0.path()), Arc::new(clock), PullRequest::default()).await.err().unwrap();
    assert!(error.message.contains("1.zip"), "{}", error.message);
}

#[tokio::test]
async fn a_check_names_the_package_that_is_next() {
    let drops = Drops::new();
    drops.zip("1.zip", &orgs("bulk", "one"), 4_000);
    let clock = StoppedClock(Timestamp::from_second(i64::try_from(NOON).unwrap()).unwrap());
    let source = rollcall_adapters_oneroster::CsvSource::new(CsvConfig::new(drops.0.path()), Arc::new(clock));
    let report = source.check().await.unwrap();
    assert!(report.facts.contains(&("package".to_owned(), "1.zip".to_owned())));
}

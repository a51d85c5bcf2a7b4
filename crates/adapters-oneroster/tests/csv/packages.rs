//! Packages as such: what they may look like, and the table of what refuses one. Every problem is named, not the first.

use std::sync::Arc;

use async_trait::async_trait;
use rollcall_adapters_oneroster::{ArchiveLimits, CsvConfig, CsvSource, SlashDates};
use rollcall_domain::Kind;
use rollcall_domain::ports::{
    BatchSink, Coverage, EmptySnapshot, Item, PullRequest, Repeats, RosterSource, SinkClosed, SourceFailure,
};
use tempfile::TempDir;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::harness::{Files, next_century, problems, pull, zipped};

#[tokio::test]
async fn a_zip_stored_or_deflated_brings_what_the_folder_brings() {
    let folder = Files::standard().pull().await;
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let home = TempDir::new().unwrap();
        let path = home.path().join("package.zip");
        Files::standard().zip_with(&path, SimpleFileOptions::default().compression_method(method));
        assert_eq!(pull(CsvConfig::new(path), None).await.unwrap().items, folder.items);
    }
}

#[tokio::test]
async fn one_folder_inside_the_zip_and_litter_are_accepted_with_a_warning() {
    let orgs = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\ns1,,,One,school,,\n";
    let files = Files::new()
        .with("Export 2026/orgs.csv", orgs)
        .with("__MACOSX/Export 2026/._orgs.csv", "litter")
        .with("Export 2026/.DS_Store", "litter")
        .with("Export 2026/readme.txt", "hello");
    let (_home, path) = zipped(&files);
    let pulled = pull(CsvConfig::new(path), None).await.unwrap();
    assert!(pulled.has_record("s1"));
    assert_eq!(
        pulled.warned(),
        [
            "file.skipped - package.zip",
            "file.skipped - package.zip",
            "file.skipped - package.zip",
            "package.invalid - package.zip",
            "manifest.invalid - package.zip",
        ]
    );
}

async fn zip_refusal(files: &Files, limits: ArchiveLimits) -> String {
    let (_home, path) = zipped(files);
    let mut config = CsvConfig::new(path);
    config.limits = limits;
    let error = pull(config, None).await.err().unwrap();
    assert_eq!(error.code, "package.invalid");
    assert_eq!(error.failure, SourceFailure::Permanent);
    problems(&error)
}

#[tokio::test]
async fn archives_that_cannot_be_trusted_are_refused() {
    let limits = ArchiveLimits::default();
    let bomb = "0".repeat(20 * 1024 * 1024);
    insta::assert_snapshot!(
        "names_that_lead_outside",
        zip_refusal(
            &Files::standard().with("../users.csv", "x").with("/etc/orgs.csv", "x").with("C:\\orgs.csv", "x"),
            limits,
        )
        .await
    );
    insta::assert_snapshot!("bomb", zip_refusal(&Files::standard().with("extra.csv", &bomb), limits).await);
    insta::assert_snapshot!(
        "too_many_entries",
        zip_refusal(&Files::standard(), ArchiveLimits { entries: 3, ..limits }).await
    );
    insta::assert_snapshot!(
        "too_large",
        zip_refusal(&Files::standard(), ArchiveLimits { expanded_bytes: 1_000, ..limits }).await
    );
    insta::assert_snapshot!("empty_zip", zip_refusal(&Files::new(), limits).await);
    insta::assert_snapshot!(
        "several_folders",
        zip_refusal(&Files::new().with("a/orgs.csv", "sourcedId,name\n").with("b/users.csv", "sourcedId\n"), limits,)
            .await
    );
    insta::assert_snapshot!("no_csv", zip_refusal(&Files::new().with("roster.xlsx", "x"), limits).await);
}

#[tokio::test]
async fn what_is_no_archive_is_refused() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("package.zip");
    Files::standard().zip_to(&path);
    let whole = std::fs::read(&path).unwrap();
    for (name, bytes) in [("cut off", &whole[..whole.len() / 2]), ("no zip", b"hello" as &[u8]), ("empty", b"")] {
        std::fs::write(&path, bytes).unwrap();
        let error = pull(CsvConfig::new(&path), None).await.err().unwrap();
        assert_eq!(error.code, "package.invalid", "{name}");
        assert_eq!(error.problems.len(), 1, "{name}");
    }
    let error = pull(CsvConfig::new(home.path().join("nowhere")), None).await.err().unwrap();
    assert_eq!(error.code, "package.unreadable");
    assert_eq!(error.problems.len(), 1);
}

#[tokio::test]
async fn a_zip_damaged_in_the_middle_fails_the_pull() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("package.zip");
    Files::standard().zip_with(&path, SimpleFileOptions::default().compression_method(CompressionMethod::Stored));
    let mut bytes = std::fs::read(&path).unwrap();
    // The stored text of users.csv: only the checksum can tell.
    let at = bytes.windows(5).position(|window| window == b"ann.o").unwrap();
    bytes[at] = b'X';
    std::fs::write(&path, bytes).unwrap();
    let error = pull(CsvConfig::new(&path), None).await.err().unwrap();
    assert_eq!(error.code, "package.damaged");
}

#[tokio::test]
async fn a_folder_without_csv_files_is_refused() {
    let error = Files::new().with("readme.txt", "hello").refusal().await;
    assert_eq!(error.problems.len(), 1);
    let error = Files::new().refusal().await;
    assert_eq!(error.problems.len(), 1);
}

#[tokio::test]
async fn formats_of_others_are_named() {
    for (files, format) in [
        (
            Files::new()
                .with("orgs.csv", "sourcedId,name,type,parentSourcedId\n1,One,school,\n")
                .with("classes.csv", "sourcedId,orgSourcedId,title\n2,1,Maths\n")
                .with("enrollments.csv", "classSourcedId,userSourcedId,role\n2,3,Student\n"),
            "Microsoft School Data Sync v2,",
        ),
        (
            Files::new()
                .with("classes.csv", "sourcedId,orgSourcedId,title,sessionSourcedIds,courseSourcedId\n")
                .with("relationships.csv", "userSourcedId,relationshipUserSourcedId,relationshipRole\n"),
            "Microsoft School Data Sync v2.1,",
        ),
        (Files::new().with("students.csv", "School_id,Student_id,Last_name\n"), "Clever SIS,"),
        (Files::new().with("users.csv", "user_id,login_id,status\n"), "Canvas SIS import,"),
    ] {
        let error = files.refusal().await;
        assert_eq!(error.problems.len(), 1);
        assert!(error.message.contains(format), "{}", error.message);
    }
    let error = Files::new().with("pupils.csv", "a,b\n").refusal().await;
    assert!(error.message.contains("none of the files is one of OneRoster's"), "{}", error.message);
}

#[tokio::test]
async fn every_problem_is_listed() {
    let files = Files::standard()
        .without("courses.csv")
        .with("lineItems.csv", "sourcedId\n")
        .edit("manifest.csv", "file.classes,bulk", "file.classes,everything")
        .edit("orgs.csv", "name,type", "label,type")
        .edit("enrollments.csv", "userSourcedId,role", "who,what")
        .edit("academicSessions.csv", "2026-08-17", "8/17/2026")
        .with("demographics.csv", "");
    let error = files.refusal().await;
    insta::assert_snapshot!(problems(&error));
    assert!(error.message.ends_with("8 problems were found"), "{}", error.message);
}

#[tokio::test]
async fn slash_dates_of_sessions_refuse_the_package_and_say_what_is_proven() {
    let package = |start: &str, end: &str| {
        Files::standard().edit(
            "academicSessions.csv",
            "semester,2026-08-17,2027-01-16",
            &format!("semester,{start},{end}"),
        )
    };
    let mut messages = Vec::new();
    for (start, end) in
        [("8/27/2018", "1/7/2019"), ("15/06/2023", "1/05/2024"), ("1/2/2026", "3/4/2026"), ("8/27/2018", "27/8/2019")]
    {
        let error = package(start, end).refusal().await;
        assert_eq!(error.problems.len(), 1);
        messages.push(error.problems[0].message.clone());
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[tokio::test]
async fn a_declared_order_that_the_dates_of_sessions_contradict_refuses_the_package() {
    let package = |start: &str, end: &str| {
        Files::standard().edit(
            "academicSessions.csv",
            "semester,2026-08-17,2027-01-16",
            &format!("semester,{start},{end}"),
        )
    };
    let mut messages = Vec::new();
    for (start, end, order) in
        [("25/08/2026", "1/05/2027", SlashDates::Mdy), ("1/05/2026", "8/25/2026", SlashDates::Dmy)]
    {
        let pulled = package(start, end).refusal_with(|config| config.slash_dates = Some(order)).await;
        messages.push(pulled.problems[0].message.clone());
    }
    insta::assert_snapshot!(messages.join("\n"));
    // Where some dates prove the declared order the others are refused one by one, and say why.
    let pulled = package("8/27/2026", "27/8/2027").pull_with(|config| config.slash_dates = Some(SlashDates::Mdy)).await;
    let rejects = pulled.rejects();
    assert_eq!(rejects.len(), 1);
    assert!(rejects[0].findings[0].message.contains("the other order than `slash_dates` says"), "{rejects:?}");
}

#[tokio::test]
async fn utf_16_is_refused_by_name() {
    let error = Files::standard().with("orgs.csv", b"\xff\xfes\0o\0").refusal().await;
    assert!(error.message.contains("UTF-16"), "{}", error.message);
}

#[tokio::test]
async fn the_older_name_of_a_needed_column_is_enough() {
    let files = Files::standard().edit("demographics.csv", "sourcedId,", "userSourcedId,");
    assert!(files.pull().await.has_warning("column.unknown userSourcedId demographics.csv:1"));
}

#[tokio::test]
async fn a_manifest_alone_means_that_nothing_changed() {
    let manifest = "propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\nfile.users,absent\n";
    let pulled = Files::new().with("manifest.csv", manifest).pull().await;
    assert!(pulled.summary.nothing_new);
    assert!(pulled.summary.note.as_deref().unwrap().ends_with("the package says that nothing changed"));
    assert_eq!(pulled.summary.coverage[Kind::Users], Coverage::Absent);
}

#[tokio::test]
async fn an_empty_file_of_bulk_covers_its_kind() {
    // Whether anybody may have meant that is for the domain to ask.
    let files =
        Files::standard().edit("courses.csv", "c-alg,,,y27,Algebra I,ALG-1,\"09,10\",s1,Mathematics,02052\n", "");
    let pulled = files.pull().await;
    assert_eq!(pulled.summary.coverage[Kind::Courses], Coverage::Snapshot);
}

#[tokio::test]
async fn files_that_are_not_there_leave_their_kinds_alone() {
    let pulled = Files::standard().without("manifest.csv").without("courses.csv").pull().await;
    assert_eq!(pulled.summary.coverage[Kind::Courses], Coverage::Absent);
    assert_eq!(pulled.summary.coverage[Kind::Orgs], Coverage::Snapshot);
    assert_eq!(pulled.summary.roles, None);
}

/// A sink that rewrites a file of the package at its first batch.
struct Meddling(std::path::PathBuf);

#[async_trait]
impl BatchSink for Meddling {
    async fn push(&mut self, _: Vec<Item>) -> Result<(), SinkClosed> {
        std::fs::write(&self.0, "sourcedId\n").unwrap();
        Ok(())
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_fails_the_pull() {
    let folder = TempDir::new().unwrap();
    // Enough for several batches, so that the first one is taken before the end is reached.
    let header = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n";
    let rows: Vec<String> = (0..40_000).map(|number| format!("s{number},,,School,school,,\n")).collect();
    Files::new()
        .with("orgs.csv", format!("{header}{}", rows.concat()))
        .with("courses.csv", header.replace("name", "title"))
        .write_to(folder.path());
    let source = CsvSource::new(CsvConfig::new(folder.path()), next_century());
    let sink = Meddling(folder.path().join("courses.csv"));
    let error = source.pull(&PullRequest::default(), Box::new(sink)).await.unwrap_err();
    assert_eq!(error.code, "package.changed");
    assert_eq!(error.failure, SourceFailure::Temporary);
    assert!(error.message.contains("courses.csv"));
}

/// A sink that takes nothing.
struct Closed;

#[async_trait]
impl BatchSink for Closed {
    async fn push(&mut self, _: Vec<Item>) -> Result<(), SinkClosed> {
        Err(SinkClosed)
    }
}

#[tokio::test]
async fn a_sync_that_stops_stops_the_reader() {
    let folder = TempDir::new().unwrap();
    Files::standard().write_to(folder.path());
    let source = CsvSource::new(CsvConfig::new(folder.path()), next_century());
    let error = source.pull(&PullRequest::default(), Box::new(Closed)).await.unwrap_err();
    assert_eq!(error.failure, SourceFailure::Stopped);
}

#[tokio::test]
async fn a_check_says_what_is_there() {
    let folder = TempDir::new().unwrap();
    Files::fixture("v1p2").write_to(&folder.path().join("springfield"));
    let source = CsvSource::new(CsvConfig::new(folder.path().join("springfield")), next_century());
    let report = source.check().await.unwrap();
    let facts: Vec<_> = report.facts.iter().map(|(name, found)| format!("{name}: {found}")).collect();
    insta::assert_snapshot!(facts.join("\n"));
    assert!(report.problems.is_empty());
    std::fs::remove_file(folder.path().join("springfield/users.csv")).unwrap();
    assert_eq!(source.check().await.unwrap().problems.len(), 1);
}

#[test]
fn the_source_describes_itself() {
    let source = CsvSource::new(CsvConfig::new("anywhere"), next_century());
    let source: Arc<dyn RosterSource> = Arc::new(source);
    let description = source.describe();
    assert_eq!(description.kind, "oneroster-csv");
    assert_eq!(description.capabilities.repeats, Repeats::Conflict);
    assert_eq!(description.capabilities.empty_snapshot, EmptySnapshot::Hold);
}

//! Deltas, the mode of each file, and columns that go missing from one package to the next.

use rollcall_adapters_oneroster::{CsvConfig, PackageMode};
use rollcall_domain::ports::Coverage;
use rollcall_domain::{Code, Kind};
use tempfile::TempDir;

use crate::harness::{Files, pull};

fn delta(orgs: &str) -> Files {
    let header = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\n";
    Files::new()
        .with("manifest.csv", "propertyName,value\nmanifest.version,1.0\noneroster.version,1.1\nfile.orgs,delta\n")
        .with("orgs.csv", format!("{header}{orgs}"))
}

#[tokio::test]
async fn a_delta_upserts_and_deletes_with_the_date_of_the_change() {
    let pulled = delta(
        "s1,active,2026-09-01T06:00:00.000Z,One,school,,\n\
         s2,tobedeleted,2026-09-01T06:00:00.000Z,,,,\n",
    )
    .pull()
    .await;
    assert_eq!(pulled.warned(), [""; 0]);
    assert_eq!(pulled.summary.coverage[Kind::Orgs], Coverage::Delta);
    insta::assert_snapshot!(pulled.render());
}

#[tokio::test]
async fn blank_life_cycle_columns_of_a_delta_are_accepted_with_a_warning() {
    let pulled = delta("s1,,,One,school,,\n").pull().await;
    assert!(pulled.has_record("s1"));
    assert_eq!(
        pulled.warned(),
        ["lifecycle.unexpected status orgs.csv:2", "lifecycle.unexpected dateLastModified orgs.csv:2"]
    );
}

#[tokio::test]
async fn odd_life_cycle_values_of_a_delta_are_understood() {
    for (status, deleted) in [("Active", 0), ("toBeDeleted", 1), ("inactive", 1), ("TOBEDELETED", 1)] {
        let pulled = delta(&format!("s1,{status},2026-09-01,One,school,,\n")).pull().await;
        assert_eq!(pulled.deleted().len(), deleted, "{status}");
        assert_eq!(
            pulled.warned(),
            ["field.lenient status orgs.csv:2", "field.lenient dateLastModified orgs.csv:2"],
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_deletion_without_an_id_is_refused() {
    let pulled = delta(",tobedeleted,2026-09-01T06:00:00.000Z,,,,\n").pull().await;
    assert_eq!(pulled.refused(), ["id.missing sourcedId orgs.csv:2 ?"]);
}

#[tokio::test]
async fn the_mode_of_the_source_goes_before_the_manifests_and_that_before_bulk() {
    let coverage = |pulled: &crate::harness::Pulled| pulled.summary.coverage[Kind::Orgs];
    let files = delta("s1,active,2026-09-01T06:00:00.000Z,One,school,,\n");
    assert_eq!(coverage(&files.pull().await), Coverage::Delta);
    let bulk = files.pull_with(|config| config.mode = Some(PackageMode::Bulk)).await;
    assert_eq!(coverage(&bulk), Coverage::Snapshot);
    assert_eq!(coverage(&files.clone().without("manifest.csv").pull().await), Coverage::Snapshot);
    let unknown = files.edit("manifest.csv", "orgs,delta", "orgs,full");
    assert_eq!(unknown.refusal().await.problems[0].code, Code::ManifestInvalid);
    let set = unknown.pull_with(|config| config.mode = Some(PackageMode::Delta)).await;
    assert_eq!(coverage(&set), Coverage::Delta);
}

#[tokio::test]
async fn files_of_one_package_may_have_different_modes() {
    let files = Files::standard().edit("manifest.csv", "enrollments,bulk", "enrollments,delta");
    let pulled = files.pull().await;
    assert_eq!(pulled.summary.coverage[Kind::Enrollments], Coverage::Delta);
    assert_eq!(pulled.summary.coverage[Kind::Users], Coverage::Snapshot);
}

#[tokio::test]
async fn a_column_that_was_there_last_time_holds_the_run() {
    let folder = TempDir::new().unwrap();
    let config = CsvConfig::new(folder.path());
    Files::standard().write_to(folder.path());
    let first = pull(config.clone(), None).await.unwrap();
    assert!(first.holds().is_empty());
    let again = pull(config.clone(), first.cursor()).await.unwrap();
    assert!(again.holds().is_empty());
    Files::standard()
        .edit("users.csv", "identifier,email", "identifier,e_mail")
        .edit("orgs.csv", ",metadata.city", ",ext_city")
        .write_to(folder.path());
    let lost = pull(config, first.cursor()).await.unwrap();
    assert_eq!(lost.holds(), [Code::ColumnLost, Code::ColumnLost]);
    assert!(lost.summary.holds[0].message.contains("`metadata.city`"));
    assert!(lost.summary.holds[1].message.contains("`email`"));
}

#[tokio::test]
async fn columns_of_files_that_a_package_leaves_out_are_still_remembered() {
    let folder = TempDir::new().unwrap();
    let config = CsvConfig::new(folder.path());
    Files::standard().without("manifest.csv").write_to(folder.path());
    let first = pull(config.clone(), None).await.unwrap();
    std::fs::rename(folder.path().join("users.csv"), folder.path().join("users.bak")).unwrap();
    let second = pull(config.clone(), first.cursor()).await.unwrap();
    assert!(second.holds().is_empty());
    Files::standard().without("manifest.csv").edit("users.csv", ",email", ",e_mail").write_to(folder.path());
    assert_eq!(pull(config, second.cursor()).await.unwrap().holds(), [Code::ColumnLost]);
}

#[tokio::test]
async fn the_roles_that_1_2_moves_into_a_file_of_their_own_are_not_lost() {
    let folder = TempDir::new().unwrap();
    let config = CsvConfig::new(folder.path());
    Files::standard().write_to(folder.path());
    let first = pull(config.clone(), None).await.unwrap();
    Files::fixture("v1p2").write_to(folder.path());
    assert!(pull(config, first.cursor()).await.unwrap().holds().is_empty());
}

#[tokio::test]
async fn a_cursor_of_another_source_is_refused() {
    let folder = TempDir::new().unwrap();
    Files::standard().write_to(folder.path());
    let cursor = rollcall_domain::ports::Cursor("2026-01-01T00:00:00Z".to_owned());
    let error = pull(CsvConfig::new(folder.path()), Some(cursor)).await.err().unwrap();
    assert_eq!(error.code, "cursor.invalid");
}

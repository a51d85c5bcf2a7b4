//! What every kind of record looks like once it is mapped. The snapshots read like documentation.

use rollcall_domain::{Kind, Record};

use crate::harness::{Files, Pulled};

fn of_kind(pulled: &Pulled, kind: Kind) -> Vec<&Record> {
    pulled.records().into_iter().filter(|record| record.kind() == kind).collect()
}

macro_rules! snapshots {
    ($pulled:expr, $version:literal) => {
        for kind in Kind::ALL {
            insta::assert_json_snapshot!(format!("{}_{kind}", $version), of_kind(&$pulled, kind));
        }
    };
}

#[tokio::test]
async fn packages_of_1_1_are_mapped() {
    let pulled = Files::fixture("v1p1").pull().await;
    assert_eq!(pulled.warned(), [""; 0], "a package by the book has nothing to remark");
    assert_eq!(pulled.refused(), [""; 0]);
    snapshots!(pulled, "v1p1");
}

#[tokio::test]
async fn packages_of_1_2_are_mapped() {
    let pulled = Files::fixture("v1p2").pull().await;
    assert_eq!(pulled.warned(), [""; 0], "a package by the book has nothing to remark");
    assert_eq!(pulled.refused(), [""; 0]);
    snapshots!(pulled, "v1p2");
}

#[tokio::test]
async fn packages_of_1_0_are_mapped_from_the_older_column_names() {
    let pulled = Files::fixture("v1p0").pull().await;
    assert_eq!(pulled.refused(), [""; 0]);
    assert_eq!(pulled.summary.note.as_deref().unwrap().split(": ").nth(1), Some("OneRoster 1.0"));
    snapshots!(pulled, "v1p0");
}

#[tokio::test]
async fn kinds_come_in_the_order_of_reference() {
    let pulled = Files::fixture("v1p2").pull().await;
    assert!(pulled.records().is_sorted_by_key(|record| record.kind()));
}

#[tokio::test]
async fn two_pulls_of_one_package_bring_the_same_items() {
    let (one, other) = (Files::standard().pull().await, Files::standard().pull().await);
    assert_eq!(one.items, other.items);
}

#[tokio::test]
async fn r11_no_password_is_kept_anywhere() {
    for fixture in ["v1p1", "v1p2"] {
        let files = Files::fixture(fixture)
            .edit("users.csv", "u-ann,,,true", ",,,true")
            .edit("orgs.csv", "metadata.city", "metadata.adminPassword")
            .edit("orgs.csv", "d1,Åsgård", "d1,hunter2");
        let pulled = files.pull().await;
        assert!(!pulled.rejects().is_empty());
        assert!(!pulled.render().contains("hunter2"), "{}", pulled.render());
    }
}

#[tokio::test]
async fn r12_demographics_are_not_looked_at_unless_they_are_asked_for() {
    let folder = tempfile::TempDir::new().unwrap();
    Files::standard().with("demographics.csv", b"\xff\xfe nonsense").write_to(folder.path());
    let config = rollcall_adapters_oneroster::CsvConfig::new(folder.path());
    let request = rollcall_domain::ports::PullRequest::default();
    let pulled = crate::harness::pull_request(config, crate::harness::next_century(), request).await.unwrap();
    assert!(of_kind(&pulled, Kind::Demographics).is_empty());
    assert_eq!(pulled.summary.skipped, Vec::<String>::new());
}

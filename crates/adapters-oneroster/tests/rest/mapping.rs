//! What every kind of record looks like once it is mapped. The snapshots read like documentation.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rollcall_adapters_oneroster::{CsvConfig, CsvSource, RestVersion};
use rollcall_domain::ports::{BatchSink, Coverage, Item, PullRequest, RosterSource, SinkClosed};
use rollcall_domain::{Kind, Record};

use crate::harness::{Service, TestClock};

const VERSIONS: [(RestVersion, &str); 2] = [(RestVersion::V1_1, "v1p1"), (RestVersion::V1_2, "v1p2")];

#[tokio::test]
async fn payloads_of_both_versions_are_mapped() {
    for (version, folder) in VERSIONS {
        let pulled = Service::fixture(version, folder).await.pull().await;
        assert_eq!(pulled.remarks(), "", "a roster by the book has nothing to remark");
        for kind in Kind::ALL {
            assert_eq!(pulled.summary.coverage[kind], Coverage::Snapshot);
            let records: Vec<_> = pulled.records().into_iter().filter(|record| record.kind() == kind).collect();
            insta::assert_json_snapshot!(format!("{folder}_{kind}"), records);
        }
        assert!(pulled.records().is_sorted_by_key(|record| record.kind()), "kinds come in the order of reference");
    }
}

#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<Record>>>);

#[async_trait]
impl BatchSink for Records {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        let records = batch.into_iter().filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.into_record()),
            _ => None,
        });
        self.0.lock().unwrap().extend(records);
        Ok(())
    }
}

/// The records of a CSV package in the order of their ids, without the ids that only roles.csv gives to roles.
async fn csv_records(folder: &str) -> Vec<Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let source = CsvSource::new(CsvConfig::new(path), Arc::new(TestClock::at("2126-01-01T00:00:00Z")));
    let sink = Records::default();
    let request = PullRequest { demographics: true, ..PullRequest::default() };
    source.pull(&request, Box::new(sink.clone())).await.unwrap();
    let mut records = std::mem::take(&mut *sink.0.lock().unwrap());
    for record in &mut records {
        if let Record::Users(user) = record {
            user.roles.iter_mut().for_each(|role| role.sourced_id = None);
        }
    }
    sorted(records)
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| (record.kind(), record.sourced_id().clone()));
    records
}

#[tokio::test]
async fn r2_the_same_roster_gives_the_same_records_by_csv_and_by_rest() {
    for (version, folder) in VERSIONS {
        let pulled = Service::fixture(version, folder).await.pull().await;
        let by_rest = sorted(pulled.records().into_iter().cloned().collect());
        assert_eq!(by_rest, csv_records(folder).await, "{folder}");
    }
}

#[tokio::test]
async fn two_pulls_of_one_roster_bring_the_same_items() {
    let service = Service::school(95).await;
    assert_eq!(service.pull().await.items, service.pull().await.items);
}

#[tokio::test]
async fn r11_passwords_are_not_asked_for_and_not_kept() {
    for (version, folder) in VERSIONS {
        let service = Service::fixture(version, folder).await;
        service.change(|vendor| {
            for user in vendor.data.get_mut("users").unwrap() {
                user["givenName"] = "".into();
                user["role"] = "wizard".into();
                user["roles"] = serde_json::json!([{"role": "wizard", "password": "hunter2"}]);
            }
        });
        let pulled = service.pull().await;
        assert!(!pulled.remarks().is_empty());
        assert!(!format!("{:?}{:?}", pulled.items, pulled.remarks()).contains("hunter2"));
        assert!(service.asked("users").iter().all(|query| !query.contains("password")));
    }
}

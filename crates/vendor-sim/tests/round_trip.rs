//! What the writer writes and the CSV source reads back is the same roster.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use rollcall_adapters_oneroster::export::{ExportOptions, ExportVersion, PackageWriter};
use rollcall_adapters_oneroster::{CsvConfig, CsvSource};
use rollcall_domain::entities::Role;
use rollcall_domain::ports::{BatchSink, Clock, Item, OwnedChange, PullRequest, RosterSource, SinkClosed};
use rollcall_domain::{PerKind, Record, SourcedId};
use rollcall_vendor_sim::{Churn, District, as_1_1_can_say};

fn write(folder: &Path, version: ExportVersion, records: impl Iterator<Item = Record>) {
    let options = ExportOptions { metadata: PerKind::from_fn(District::metadata_keys), ..ExportOptions::new(version) };
    let mut writer = PackageWriter::create(folder, options).unwrap();
    for record in records {
        writer.write(&record).unwrap();
    }
    writer.finish().unwrap();
}

/// Keeps what a source pushes.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Item>>>);

#[async_trait]
impl BatchSink for Kept {
    async fn push(&mut self, mut batch: Vec<Item>) -> Result<(), SinkClosed> {
        self.0.lock().unwrap().append(&mut batch);
        Ok(())
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

/// What a source reads: the records in the order in which it pushed them, and the warnings by code and field.
async fn read(folder: &Path) -> (Vec<Record>, BTreeMap<String, usize>) {
    let kept = Kept::default();
    let request = PullRequest { demographics: true, ..PullRequest::default() };
    CsvSource::new(CsvConfig::new(folder), Arc::new(Stopped)).pull(&request, Box::new(kept.clone())).await.unwrap();
    let (mut records, mut warnings) = (Vec::new(), BTreeMap::new());
    let mut roles: HashMap<SourcedId, Vec<Role>> = HashMap::new();
    for item in std::mem::take(&mut *kept.0.lock().unwrap()) {
        match item {
            Item::Upsert(upsert) => records.push(upsert.into_record()),
            Item::Owned(OwnedChange::Roles { user, roles: of_user, .. }) => {
                roles.insert(user, of_user);
            }
            Item::Warning(warning) => *warnings.entry(format!("{warning:?}")).or_default() += 1,
            other => panic!("{other:?}"),
        }
    }
    for record in &mut records {
        if let Record::Users(user) = record {
            user.roles.extend(roles.remove(&user.sourced_id).unwrap_or_default());
            for role in &mut user.roles {
                // The id of the row, which the record itself does not have.
                role.sourced_id = None;
            }
        }
        record.normalise();
    }
    assert!(roles.is_empty(), "roles of nobody: {roles:?}");
    records.sort_by_key(Record::kind);
    (records, warnings)
}

fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[tokio::test]
async fn a_district_is_read_as_it_was_written_and_written_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let district = District::at_generation(1500, 7, 2, Churn::new(0.02).unwrap()).unwrap();
    for (name, version) in [("v1_1", ExportVersion::V1_1), ("v1_2", ExportVersion::V1_2)] {
        let package = folder.path().join(name);
        write(&package, version, district.all_records());
        let (found, warnings) = read(&package).await;
        let expected: Vec<_> = match version {
            ExportVersion::V1_1 => district.all_records().map(as_1_1_can_say).collect(),
            ExportVersion::V1_2 => district.all_records().collect(),
        };
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}");
        }
        // Only words of 1.2 in a package of 1.1 are remarked on.
        for warning in warnings.keys() {
            assert!(version == ExportVersion::V1_1 && warning.contains("EnumUnknown"), "{name}: {warning}");
        }

        let again = folder.path().join(format!("{name}_again"));
        write(&again, version, found.into_iter());
        assert_eq!(bytes(&again).keys().collect::<Vec<_>>(), bytes(&package).keys().collect::<Vec<_>>());
        assert!(bytes(&again) == bytes(&package), "{name} differs when it is written again");
    }
}

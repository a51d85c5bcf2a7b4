//! Delta packages: only what is listed changed.

use rollcall_adapters_oneroster::export::{ExportOptions, ExportVersion, PackageWriter, RowMeta, RowStatus};
use rollcall_domain::{Kind, PerKind, Record};
use rollcall_tests::{Engine, Package, Place};
use rollcall_vendor_sim::{Churn, District, as_1_1_can_say};
use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{applied, count, import, rejects, total};

fn write(district: &District, version: ExportVersion, folder: &Path) {
    let metadata = PerKind::from_fn(District::metadata_keys);
    let mut writer = PackageWriter::create(folder, ExportOptions { metadata, ..ExportOptions::new(version) }).unwrap();
    for record in district.all_records() {
        writer.write(&said(record, version)).unwrap();
    }
    writer.finish().unwrap();
}

fn said(record: Record, version: ExportVersion) -> Record {
    if version == ExportVersion::V1_1 { as_1_1_can_say(record) } else { record }
}

fn by_id(district: &District, kind: Kind, version: ExportVersion) -> BTreeMap<String, Record> {
    district.records(kind).map(|record| (record.sourced_id().to_string(), said(record, version))).collect()
}

/// Writes what turns one day into the next, and returns how many records were created, updated and deleted.
fn write_delta(old: &District, new: &District, version: ExportVersion, folder: &Path) -> [u64; 3] {
    let metadata = PerKind::from_fn(District::metadata_keys);
    let options = ExportOptions { metadata, ..ExportOptions::new(version) };
    let mut writer = PackageWriter::create_delta(folder, options).unwrap();
    let date_last_modified = Some("2026-10-02T03:00:00Z".parse().unwrap());
    let mut numbers = [0; 3];
    for kind in Kind::ALL {
        let (before, after) = (by_id(old, kind, version), by_id(new, kind, version));
        for (id, record) in &after {
            let change = match before.get(id) {
                None => 0,
                Some(same) if same == record => continue,
                Some(_) => 1,
            };
            numbers[change] += 1;
            writer.write_change(record, RowMeta { status: RowStatus::Active, date_last_modified }).unwrap();
        }
        for record in before.iter().filter(|(id, _)| !after.contains_key(*id)).map(|(_, record)| record) {
            numbers[2] += 1;
            writer.write_change(record, RowMeta { status: RowStatus::ToBeDeleted, date_last_modified }).unwrap();
        }
    }
    writer.finish().unwrap();
    numbers
}

fn a_delta_gives_what_the_whole_roster_gives(engine: Engine, version: ExportVersion) {
    let monday = District::new(500, 21).unwrap();
    let tuesday = monday.clone().next_day(Churn::new(0.03).unwrap());
    let whole = Place::new(engine);
    write(&tuesday, version, &whole.path("tuesday"));
    applied(&whole, "tuesday", "--with-demographics");

    let place = Place::new(engine);
    write(&monday, version, &place.path("monday"));
    let [created, updated, deleted] = write_delta(&monday, &tuesday, version, &place.path("delta"));
    applied(&place, "monday", "--with-demographics");
    let report = applied(&place, "delta", "--with-demographics");
    assert_eq!(report["mode"], "incremental");
    assert_eq!(total(&report, "created"), created, "{report:#}");
    assert_eq!(total(&report, "deleted"), deleted, "{report:#}");
    assert_eq!(total(&report, "updated"), updated, "{report:#}");
    assert_eq!(total(&report, "rejected"), 0, "{report:#}");
    assert_eq!(place.export("s"), whole.export("s"));

    // R1, for deltas too.
    let feed = place.changes("s").len();
    let again = applied(&place, "delta", "--with-demographics");
    assert_eq!(total(&again, "created") + total(&again, "updated") + total(&again, "deleted"), 0, "{again:#}");
    assert_eq!(place.changes("s").len(), feed);
}

#[test]
fn a_delta_of_1_1_gives_what_the_whole_roster_gives() {
    for engine in Engine::ALL {
        a_delta_gives_what_the_whole_roster_gives(engine, ExportVersion::V1_1);
    }
}

#[test]
fn a_delta_of_1_2_gives_what_the_whole_roster_gives() {
    for engine in Engine::ALL {
        a_delta_gives_what_the_whole_roster_gives(engine, ExportVersion::V1_2);
    }
}

#[test]
fn r4_an_older_change_is_stale() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    applied(&place, "package", "");
    let delta = |name: &str, date: &str, title: &str| {
        let row = format!("k1,active,{date},y1,{title},MA4,04,s1,,");
        Package::small_delta().with_changes("courses.csv", &[&row]).write(&place.path(name));
    };
    delta("newer", "2026-10-02T00:00:00Z", "Newer");
    delta("older", "2026-10-01T00:00:00Z", "Older");
    let newer = applied(&place, "newer", "");
    assert_eq!(count(&newer, "courses", "updated"), 1, "{newer:#}");
    let older = applied(&place, "older", "");
    assert_eq!(count(&older, "courses", "stale"), 1, "{older:#}");
    assert_eq!(total(&older, "received"), 1);
    assert!(String::from_utf8_lossy(&place.export("s")["courses.csv"]).contains("Newer"));
}

#[test]
fn r7_a_deleted_class_takes_its_enrollments_along_and_brings_them_back() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        Package::small().write(&place.path("package"));
        applied(&place, "package", "");
        let before = place.export("s");
        let ids = ["e1", "e2", "e3"];
        let stored = place.stored("s", Kind::Enrollments, &ids);
        Package::small_delta()
            .with_changes(
                "classes.csv",
                &["c1,tobedeleted,2026-10-01T00:00:00Z,Mathematics 4a,04,k1,MA4a,scheduled,,s1,t1,,,1"],
            )
            .write(&place.path("gone"));
        let gone = applied(&place, "gone", "");
        assert_eq!([count(&gone, "classes", "deleted"), count(&gone, "enrollments", "deleted")], [1, 3], "{gone:#}");
        assert_eq!(count(&gone, "classes", "received"), 1);

        Package::small_delta()
            .with_changes(
                "classes.csv",
                &["c1,active,2026-10-02T00:00:00Z,Mathematics 4a,04,k1,MA4a,scheduled,,s1,t1,,,1"],
            )
            .write(&place.path("back"));
        let back = applied(&place, "back", "");
        assert_eq!([count(&back, "classes", "restored"), count(&back, "enrollments", "restored")], [1, 3], "{back:#}");
        assert_eq!(place.export("s"), before);
        for (id, record) in place.stored("s", Kind::Enrollments, &ids) {
            assert_eq!(record.internal_id, stored[&id].internal_id, "{id}");
        }
    }
}

#[test]
fn a_bulk_file_that_looks_like_a_delta_is_held() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    applied(&place, "package", "");
    Package::small()
        .replace("enrollments.csv", "e4,,,c2", "e4,tobedeleted,2026-10-01T00:00:00Z,c2")
        .write(&place.path("package"));
    let held = import(&place, "package", "").exits(3).json();
    assert_eq!(held["held_by"][0]["code"], "delta.suspected", "{held:#}");
    let told = applied(&place, "package", "--mode bulk");
    assert_eq!(count(&told, "enrollments", "deleted"), 1, "{told:#}");
}

#[test]
fn a_delta_that_refers_to_what_is_stored_needs_not_send_it() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    applied(&place, "package", "");
    Package::small_delta()
        .with_changes("enrollments.csv", &["e9,active,2026-10-01T00:00:00Z,c2,s1,u2,student,,,"])
        .write(&place.path("delta"));
    let report = applied(&place, "delta", "");
    assert_eq!(count(&report, "enrollments", "created"), 1, "{report:#}");
    assert!(rejects(&place).is_empty());
    // Without a database nobody knows: that is no error of the package.
    let valid = place.answer("validate delta --output json").exits(0).json();
    assert_eq!(valid["valid"], true, "{valid:#}");
}

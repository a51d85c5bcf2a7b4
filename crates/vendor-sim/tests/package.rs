//! A generated district as the OneRoster packages that the writer makes of it.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use rollcall_adapters_oneroster::export::{ExportOptions, ExportVersion, PackageWriter};
use rollcall_domain::{Kind, PerKind, Record};
use rollcall_vendor_sim::{Churn, District, as_1_1_can_say};

fn write(folder: &Path, version: ExportVersion, records: impl Iterator<Item = Record>) -> PathBuf {
    let options = ExportOptions {
        metadata: PerKind::from_fn(District::metadata_keys),
        system_name: Some("Rollcall generator".to_owned()),
        system_code: None,
        ..ExportOptions::new(version)
    };
    let mut writer = PackageWriter::create(folder, options).unwrap();
    for record in records {
        writer.write(&record).unwrap();
    }
    writer.finish().unwrap().path
}

/// The files of a package, one after the other; `lines` says how many of each.
fn content(folder: &Path, lines: usize) -> String {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut text = String::new();
    for file in files {
        let content = fs::read_to_string(&file).unwrap();
        assert_eq!(content.lines().count(), content.matches("\r\n").count(), "every line ends in CRLF");
        writeln!(text, "--- {} ({} rows)", file.file_name().unwrap().display(), content.lines().count() - 1).unwrap();
        for line in content.lines().take(lines) {
            writeln!(text, "{line}").unwrap();
        }
    }
    text
}

#[test]
fn a_tiny_district_in_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let district = District::new(6, 7).unwrap();
    for (name, version) in [("v1_1", ExportVersion::V1_1), ("v1_2", ExportVersion::V1_2)] {
        let package = write(&folder.path().join(name), version, district.all_records());
        insta::assert_snapshot!(format!("tiny_district_{name}"), content(&package, 34));
    }
}

#[test]
fn the_same_district_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let district = District::at_generation(300, 7, 2, Churn::new(0.02).unwrap()).unwrap();
    let first = write(&folder.path().join("a"), ExportVersion::V1_2, district.all_records());
    let again = write(&folder.path().join("b"), ExportVersion::V1_2, district.all_records());
    assert_eq!(content(&first, usize::MAX), content(&again, usize::MAX));
}

#[test]
fn a_1_1_package_says_all_that_the_reduction_keeps_and_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let district = District::new(3000, 7).unwrap();
    let reduced = || district.all_records().map(as_1_1_can_say);
    let whole = write(&folder.path().join("whole"), ExportVersion::V1_1, district.all_records());
    let less = write(&folder.path().join("less"), ExportVersion::V1_1, reduced());
    assert!(content(&whole, usize::MAX) == content(&less, usize::MAX), "the writer and the reduction disagree");

    // What the reduction keeps can be read off the row: it is the role, the orgs and the other columns of 1.1.
    let users = fs::read_to_string(less.join("users.csv")).unwrap();
    let rows = users.lines().skip(1);
    for (record, row) in reduced().filter(|record| record.kind() == Kind::Users).zip(rows) {
        let Record::Users(user) = record else { unreachable!() };
        let orgs: Vec<_> = user.roles.iter().filter_map(|role| role.org.as_ref()).map(ToString::to_string).collect();
        let orgs = if orgs.len() > 1 { format!("\"{}\"", orgs.join(",")) } else { orgs.join(",") };
        let role = user.roles[0].role.as_str().trim_start_matches("ext:");
        assert!(row.contains(&format!(",{orgs},{role},")), "{row}");
    }
}

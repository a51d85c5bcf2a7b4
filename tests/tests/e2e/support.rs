use std::path::Path;

use rollcall_domain::Kind;
use rollcall_tests::{Answer, Place};
use serde_json::Value;

/// Writes a synthetic district into the place's folder.
#[track_caller]
pub(crate) fn generate(place: &Place, name: &str, arguments: &str) {
    let _ = place.call("generate").arg(place.path(name)).args(arguments).answer().exits(0);
}

/// Imports a package of the place's folder into the source `s`.
pub(crate) fn import(place: &Place, package: &str, arguments: &str) -> Answer {
    place.call("import").arg(place.path(package)).args("--source s --output json").args(arguments).answer()
}

/// Imports a package, which must be applied, and returns the report.
#[track_caller]
pub(crate) fn applied(place: &Place, package: &str, arguments: &str) -> Value {
    let report = import(place, package, arguments).exits(0).json();
    assert_eq!(report["status"], "succeeded", "{report:#}");
    report
}

/// One count of a report.
#[track_caller]
pub(crate) fn count(report: &Value, kind: &str, name: &str) -> u64 {
    report["counts"][kind][name].as_u64().unwrap_or_else(|| panic!("no count {kind}.{name}: {report:#}"))
}

/// One count of a report over all kinds.
#[track_caller]
pub(crate) fn total(report: &Value, name: &str) -> u64 {
    Kind::ALL.iter().map(|kind| count(report, kind.as_str(), name)).sum()
}

/// The rejects of the newest run.
#[track_caller]
pub(crate) fn rejects(place: &Place) -> Vec<Value> {
    let document = place.answer("runs rejects latest --format json").exits(0).json();
    document["rejects"].as_array().expect("a list of rejects").clone()
}

/// Copies a package.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the folder can be made");
    for (name, bytes) in rollcall_tests::read_folder(from) {
        std::fs::write(to.join(name), bytes).expect("the file can be written");
    }
}

/// Replaces what differs from run to run.
pub(crate) fn filters() -> Vec<(&'static str, &'static str)> {
    vec![
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]"),
        (r"\d+ ms|\d+\.\d s", "[time]"),
        (r#""duration_ms": \d+"#, r#""duration_ms": "[time]""#),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[started]"),
        (r"/tmp/\.tmp[A-Za-z0-9]+", "[folder]"),
    ]
}

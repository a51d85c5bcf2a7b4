//! One test per line of what is refused and what is accepted with a warning: the code, the file and the line.

use rollcall_domain::Kind;
use rollcall_tests::{Engine, Package, Place};
use serde_json::Value;

use crate::support::{applied, count, import, rejects, total};

/// Imports a damaged package into an empty store.
fn import_new(package: &Package) -> (Place, Value) {
    let place = Place::new(Engine::Sqlite);
    package.write(&place.path("package"));
    let report = applied(&place, "package", "--with-demographics");
    (place, report)
}

/// The package loses exactly this one record.
#[track_caller]
fn assert_refused(package: &Package, expected: [&str; 4]) {
    let (place, report) = import_new(package);
    assert_eq!(total(&report, "rejected"), 1, "{report:#}");
    let rejects = rejects(&place);
    assert_eq!(rejects.len(), 1, "{rejects:#?}");
    let text = |field: &str| rejects[0][field].as_str().unwrap_or("-").to_owned();
    assert_eq!([text("kind"), text("sourced_id"), text("code"), text("location")], expected.map(str::to_owned));
    assert!(!text("message").is_empty());
    assert_eq!(count(&report, expected[0], "rejected"), 1);
    // 4 says that something was refused; nothing else changes.
    let strict = import(&place, "package", "--with-demographics --strict").exits(4).json();
    assert_eq!(strict["status"], "succeeded");
}

/// The package is taken whole, with this warning.
#[track_caller]
fn assert_warned(package: &Package, [code, file, field, line]: [&str; 4]) -> Place {
    let (place, report) = import_new(package);
    assert_eq!(total(&report, "rejected"), 0, "{report:#}");
    let warnings = report["warnings"].as_array().unwrap();
    let found = warnings.iter().find(|group| {
        group["code"] == code && group["file"] == file && group["field"].as_str().unwrap_or("-") == field
    });
    let group = found.unwrap_or_else(|| panic!("no {code} on {field} of {file}: {report:#}"));
    assert_eq!(group["first"][0]["line"].as_u64().map_or("-".to_owned(), |line| line.to_string()), line, "{group:#}");
    place
}

#[test]
fn the_small_package_has_nothing_wrong() {
    let (_, report) = import_new(&Package::small());
    assert_eq!(report["warnings"], serde_json::json!([]));
    assert_eq!(total(&report, "received"), total(&report, "created"));
    assert_eq!(total(&report, "created"), 17);
}

// -- refused ------------------------------------------------------------------------------------------------------------

#[test]
fn an_enrollment_in_an_unknown_class() {
    let package = Package::small().row("enrollments.csv", "e9,,,c9,s1,u2,student,,,");
    assert_refused(&package, ["enrollments", "e9", "ref.missing", "enrollments.csv:6"]);
}

#[test]
fn an_enrollment_of_an_unknown_user() {
    let package = Package::small().row("enrollments.csv", "e9,,,c1,s1,u9,student,,,");
    assert_refused(&package, ["enrollments", "e9", "ref.missing", "enrollments.csv:6"]);
}

#[test]
fn a_class_at_an_unknown_school_takes_its_enrollments_along() {
    let package = Package::small()
        .row("classes.csv", "c9,,,Art,,,,scheduled,,s9,t1,,,")
        .row("enrollments.csv", "e9,,,c9,s1,u2,student,,,");
    let (place, report) = import_new(&package);
    assert_eq!(total(&report, "rejected"), 2);
    let found = rejects(&place);
    let codes: Vec<_> = found.iter().map(|reject| (reject["sourced_id"].as_str(), reject["code"].as_str())).collect();
    assert!(codes.contains(&(Some("c9"), Some("ref.missing"))), "{found:#?}");
    assert!(codes.contains(&(Some("e9"), Some("ref.rejected"))), "{found:#?}");
}

#[test]
fn demographics_of_an_unknown_user() {
    let package = Package::small().row("demographics.csv", "u9,,,2016-01-01,female,,,,,,,,,,,");
    assert_refused(&package, ["demographics", "u9", "ref.missing", "demographics.csv:3"]);
}

#[test]
fn rows_of_one_id_that_conflict_are_all_refused() {
    let package = Package::small().row("courses.csv", "k1,,,y1,Another title,MA4,04,s1,,");
    let (place, report) = import_new(&package);
    assert!(count(&report, "courses", "rejected") >= 1, "{report:#}");
    assert_eq!(count(&report, "courses", "created"), 0);
    let found = rejects(&place);
    assert!(found.iter().all(|reject| reject["code"] == "id.duplicate"), "{found:#?}");
    let places: Vec<_> = found.iter().map(|reject| reject["location"].as_str().unwrap()).collect();
    assert_eq!(places, ["courses.csv:2", "courses.csv:3"]);
}

#[test]
fn bytes_that_are_no_utf_8() {
    let package = Package::small().bytes("users.csv", "Van Houten", b"M\xfcller");
    let package = package.without_row("enrollments.csv", "e4");
    assert_refused(&package, ["users", "u4", "encoding.invalid", "users.csv:5"]);
}

#[test]
fn windows_1252_is_read_where_the_source_says_so() {
    let place = Place::new(Engine::Sqlite);
    Package::small().bytes("users.csv", "Van Houten", b"M\xfcller").write(&place.path("package"));
    let config = "[[source]]\nname = \"s\"\nkind = \"oneroster-csv\"\nencoding = \"windows-1252\"\n";
    std::fs::write(place.path("rollcall.toml"), config).unwrap();
    let report = applied(&place, "package", "");
    assert_eq!(total(&report, "rejected"), 0);
    assert!(String::from_utf8_lossy(&place.export("s")["users.csv"]).contains("Müller"));
}

#[test]
fn too_many_cells() {
    let package = Package::small().row("courses.csv", "k9,,,y1,Art,AR,04,s1,,,one,too,many");
    assert_refused(&package, ["courses", "k9", "csv.malformed", "courses.csv:3"]);
}

#[test]
fn an_unknown_user_role() {
    let package = Package::small().replace("users.csv", "u4,,,true,s1,student", "u4,,,true,s1,wizard");
    assert_refused(&package.without_row("enrollments.csv", "e4"), ["users", "u4", "enum.unknown", "users.csv:5"]);
}

#[test]
fn an_unknown_enrollment_role() {
    let package = Package::small().row("enrollments.csv", "e9,,,c2,s1,u2,wizard,,,");
    assert_refused(&package, ["enrollments", "e9", "enum.unknown", "enrollments.csv:6"]);
}

#[test]
fn a_row_without_an_id() {
    let package = Package::small().row("courses.csv", ",,,y1,Art,AR,04,s1,,");
    assert_refused(&package, ["courses", "-", "id.missing", "courses.csv:3"]);
}

#[test]
fn r5_a_row_without_an_id_withholds_deletions_by_absence() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    applied(&place, "package", "");
    Package::small()
        .without_row("enrollments.csv", "e4")
        .row("enrollments.csv", ",,,c1,s1,u4,student,,,")
        .write(&place.path("package"));
    let report = applied(&place, "package", "");
    assert_eq!(count(&report, "enrollments", "deleted"), 0, "{report:#}");
    assert!(report["warnings"].to_string().contains("deletions.withheld"), "{report:#}");
}

#[test]
fn a_user_with_both_names_blank() {
    let package = Package::small().replace("users.csv", "Milhouse,Van Houten", ",");
    assert_refused(&package.without_row("enrollments.csv", "e4"), ["users", "u4", "field.missing", "users.csv:5"]);
}

#[test]
fn an_org_without_a_name() {
    let package = Package::small().row("orgs.csv", "s9,,,,school,,d1");
    assert_refused(&package, ["orgs", "s9", "field.missing", "orgs.csv:4"]);
}

#[test]
fn a_session_that_ends_before_it_starts() {
    let package = Package::small().row("academicSessions.csv", "t9,,,Spring,term,2027-06-01,2027-01-10,y1,2027");
    assert_refused(&package, ["academicSessions", "t9", "date.order", "academicSessions.csv:4"]);
}

#[test]
fn a_session_whose_dates_cannot_be_read() {
    let package = Package::small().row("academicSessions.csv", "t9,,,Spring,term,soon,2027-06-10,y1,2027");
    assert_refused(&package, ["academicSessions", "t9", "field.invalid", "academicSessions.csv:4"]);
}

#[test]
fn r5_a_stored_record_whose_row_is_bad_now_stays_as_it_was() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        Package::small().write(&place.path("package"));
        applied(&place, "package", "--with-demographics");
        let before = place.export("s");
        Package::small()
            .replace("users.csv", "u4,,,true,s1,student", "u4,,,true,s1,wizard")
            .write(&place.path("package"));
        let report = applied(&place, "package", "--with-demographics");
        assert_eq!(count(&report, "users", "rejected"), 1);
        assert_eq!(total(&report, "deleted"), 0, "{report:#}");
        assert_eq!(total(&report, "rejected"), 1, "what refers to the record is not refused with it: {report:#}");
        assert_eq!(place.export("s"), before);
    }
}

#[test]
fn r11_a_password_is_nowhere() {
    let place = Place::new(Engine::Sqlite);
    // One that is accepted, one that is refused, one that cannot be read.
    Package::small()
        .replace("users.csv", "u5,04,\r\nu3", "u5,04,swordfish-1\r\nu3")
        .replace(
            "users.csv",
            "u4,,,true,s1,student,milhouse,,Milhouse,Van Houten,,,,,,,04,",
            "u4,,,true,s1,wizard,milhouse,,Milhouse,Van Houten,,,,,,,04,swordfish-2",
        )
        .row("users.csv", "u9,,,true,s1,student,x,,X,X,,,,,,,04,swordfish-3,more")
        .write(&place.path("package"));
    let answer = place.call("import package --source s --output json").env("RUST_LOG", "trace").answer().exits(0);
    assert!(!answer.to_string().contains("swordfish"), "{answer}");
    for line in ["runs rejects latest", "runs rejects latest --format csv", "runs rejects latest --format json"] {
        let answer = place.answer(line).exits(0);
        assert!(!answer.stdout.contains("swordfish"), "{answer}");
    }
    for (name, bytes) in place.export("s") {
        assert!(!String::from_utf8_lossy(&bytes).contains("swordfish"), "{name}");
    }
    for file in ["rollcall.db", "rollcall.db-wal"] {
        let bytes = std::fs::read(place.path(file)).unwrap_or_default();
        assert!(!bytes.windows(9).any(|window| window == b"swordfish"), "{file}");
    }
}

// -- accepted with a warning ----------------------------------------------------------------------------------------------

#[test]
fn an_optional_date_that_cannot_be_read() {
    let package =
        Package::small().replace("enrollments.csv", "e4,,,c2,s1,u4,student,,2026-08-15", "e4,,,c2,s1,u4,student,,soon");
    let place = assert_warned(&package, ["field.invalid", "enrollments.csv", "beginDate", "5"]);
    assert!(
        String::from_utf8_lossy(&place.export("s")["enrollments.csv"]).contains("e4,,,c2,s1,u4,student,,,2026-12-20")
    );
}

#[test]
fn no_manifest() {
    assert_warned(&Package::small().without_file("manifest.csv"), ["manifest.invalid", "package", "-", "-"]);
}

#[test]
fn an_unknown_type_of_org_is_kept() {
    let package = Package::small().row("orgs.csv", "s9,,,Moonbase,galaxy,,d1");
    let place = assert_warned(&package, ["enum.unknown", "orgs.csv", "type", "4"]);
    assert!(String::from_utf8_lossy(&place.export("s")["orgs.csv"]).contains("galaxy"));
}

#[test]
fn an_enrollment_that_ends_before_it_begins() {
    let package = Package::small().row("enrollments.csv", "e9,,,c2,s1,u2,student,,2026-12-01,2026-10-01");
    assert_warned(&package, ["date.order", "enrollments.csv", "endDate", "6"]);
}

#[test]
fn an_enrollment_at_another_school_than_its_class() {
    let package = Package::small()
        .row("orgs.csv", "s2,,,Shelbyville High,school,,d1")
        .row("enrollments.csv", "e9,,,c2,s2,u2,student,,,");
    let (place, report) = import_new(&package);
    assert_eq!(total(&report, "rejected"), 0);
    assert!(count(&report, "enrollments", "warnings") >= 1, "{report:#}");
    let export = String::from_utf8(place.export("s").remove("enrollments.csv").unwrap()).unwrap();
    assert!(export.contains("e9,,,c2,s1,u2"), "{export}");
}

#[test]
fn a_blank_class_title_takes_the_class_code() {
    let package = Package::small().replace("classes.csv", "Mathematics 4b", "");
    let place = assert_warned(&package, ["field.missing", "classes.csv", "title", "3"]);
    assert!(String::from_utf8_lossy(&place.export("s")["classes.csv"]).contains("c2,,,MA4b"));
}

/// R8: an optional link whose target is missing is left out, and attached when the target comes.
#[track_caller]
fn assert_healed(file: &str, row: &str, warned_field: &str, target_file: &str, target_row: &str, kind: Kind, id: &str) {
    let target = target_row.split(',').next().unwrap().to_owned();
    for engine in Engine::ALL {
        let place = Place::new(engine);
        let package = Package::small().row(file, row);
        package.write(&place.path("package"));
        let report = applied(&place, "package", "");
        assert_eq!(total(&report, "rejected"), 0, "{report:#}");
        let warned = report["warnings"].as_array().unwrap().iter();
        let dropped: Vec<_> =
            warned.filter(|group| group["code"] == "ref.dropped" && group["field"] == warned_field).collect();
        assert_eq!(dropped.len(), 1, "{report:#}");
        let exported = |place: &Place| {
            let text = String::from_utf8(place.export("s").remove(file).unwrap()).unwrap();
            text.lines().find(|line| line.starts_with(&format!("{id},"))).unwrap().to_owned()
        };
        assert!(!exported(&place).contains(&target), "{}", exported(&place));
        let feed = place.changes("s").len();

        package.row(target_file, target_row).write(&place.path("package"));
        let report = applied(&place, "package", "");
        assert_eq!(total(&report, "created"), 1, "{report:#}");
        assert!(exported(&place).contains(&target), "{}", exported(&place));
        let changes = place.changes("s");
        let updated: Vec<_> = changes[feed..].iter().map(|entry| (entry.kind, entry.sourced_id.to_string())).collect();
        assert!(updated.contains(&(kind, id.to_owned())), "the attached link is in the feed: {updated:?}");
    }
}

#[test]
fn r8_a_guardian_who_comes_later() {
    assert_healed(
        "users.csv",
        "u6,,,true,s1,student,nelson,,Nelson,Muntz,,,,,,u7,04,",
        "agentSourcedIds",
        "users.csv",
        "u7,,,true,s1,guardian,mrsm,,Mrs,Muntz,,,,,,,,",
        Kind::Users,
        "u6",
    );
}

#[test]
fn r8_a_term_that_comes_later() {
    assert_healed(
        "classes.csv",
        "c9,,,Art,,k1,AR,scheduled,,s1,t9,,,",
        "termSourcedIds",
        "academicSessions.csv",
        "t9,,,Spring,term,2027-01-10,2027-06-10,y1,2027",
        Kind::Classes,
        "c9",
    );
}

#[test]
fn r8_a_course_that_comes_later() {
    assert_healed(
        "classes.csv",
        "c9,,,Art,,k9,AR,scheduled,,s1,t1,,,",
        "courseSourcedId",
        "courses.csv",
        "k9,,,y1,Art,AR,,s1,,",
        Kind::Classes,
        "c9",
    );
}

#[test]
fn r8_a_refused_enrollment_is_applied_when_its_class_comes() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        Package::small().row("enrollments.csv", "e9,,,c9,s1,u2,student,,,").write(&place.path("package"));
        applied(&place, "package", "");
        assert_eq!(rejects(&place).len(), 1);
        // The class comes alone: the source does not send the enrollment again.
        Package::small_delta()
            .with_changes("classes.csv", &["c9,active,2026-10-01T00:00:00Z,Art,,k1,AR,scheduled,,s1,t1,,,"])
            .write(&place.path("delta"));
        let report = applied(&place, "delta", "");
        assert_eq!(count(&report, "classes", "created"), 1, "{report:#}");
        let export = String::from_utf8(place.export("s").remove("enrollments.csv").unwrap()).unwrap();
        assert!(export.contains("e9,,,c9,s1,u2"), "{export}");
    }
}

#[test]
fn slash_dates_are_read_only_when_somebody_says_how() {
    let place = Place::new(Engine::Sqlite);
    Package::small()
        .replace("academicSessions.csv", "2026-08-01,2027-07-01", "8/1/2026,7/1/2027")
        .replace("academicSessions.csv", "2026-08-15,2026-12-20", "8/15/2026,12/20/2026")
        .write(&place.path("package"));
    let refused = import(&place, "package", "").exits(1).json();
    assert_eq!(refused["status"], "failed");
    assert!(refused["error"].to_string().contains("date.ambiguous"), "{refused:#}");
    let report = applied(&place, "package", "--slash-dates mdy");
    assert_eq!(total(&report, "rejected"), 0, "{report:#}");
    assert!(String::from_utf8_lossy(&place.export("s")["academicSessions.csv"]).contains("2026-08-15,2026-12-20"));
}

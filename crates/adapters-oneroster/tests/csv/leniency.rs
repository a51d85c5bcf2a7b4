//! The table of what is accepted with a warning, row by row.

use rollcall_adapters_oneroster::{EndDates, PackageMode, SlashDates, TextEncoding};
use rollcall_domain::Code;
use serde_json::json;

use crate::harness::Files;

/// Edits of one file of the standard package, the warning that they cause, and a value that they lead to.
struct Case {
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    warning: &'static str,
    record: &'static str,
    pointer: &'static str,
    value: serde_json::Value,
}

macro_rules! cases {
    ($($name:literal: $file:literal $from:literal => $to:literal, $warning:literal, $record:literal $pointer:literal = $value:tt;)+) => {
        vec![$(Case {
            name: $name,
            file: $file,
            from: $from,
            to: $to,
            warning: $warning,
            record: $record,
            pointer: $pointer,
            value: json!($value),
        },)+]
    };
}

#[tokio::test]
async fn what_can_be_understood_is_accepted_with_a_warning() {
    let cases = cases! {
        "boolean TRUE": "users.csv" "u-adm,,,false" => "u-adm,,,FALSE", "field.lenient enabledUser users.csv:5", "u-adm" "/enabledUser" = false;
        "boolean 1": "users.csv" "u-adm,,,false" => "u-adm,,,1", "field.lenient enabledUser users.csv:5", "u-adm" "/enabledUser" = true;
        "boolean yes": "enrollments.csv" "teacher,true" => "teacher,yes", "field.lenient primary enrollments.csv:3", "e2" "/primary" = true;
        "blank enabledUser": "users.csv" "u-adm,,,false" => "u-adm,,,", "field.missing enabledUser users.csv:5", "u-adm" "/enabledUser" = true;
        "unreadable enabledUser": "users.csv" "u-adm,,,false" => "u-adm,,,perhaps", "field.invalid enabledUser users.csv:5", "u-adm" "/enabledUser" = true;
        "enumeration in odd case": "orgs.csv" "High,school" => "High,School", "field.lenient type orgs.csv:3", "s1" "/type" = "school";
        "role in odd case": "users.csv" "s1,student" => "s1,Student", "field.lenient role users.csv:2", "u-ann" "/roles/0/role" = "student";
        "class type in odd case": "classes.csv" "ALG-1-01,scheduled" => "ALG-1-01,Scheduled", "field.lenient classType classes.csv:2", "k-alg-1" "/classType" = "scheduled";
        "a status in a bulk file": "orgs.csv" "s1,,," => "s1,active,,", "lifecycle.unexpected status orgs.csv:3", "s1" "/name" = "Åsgård High";
        "a date in a bulk file": "orgs.csv" "s1,,," => "s1,,2026-01-01T00:00:00.000Z,", "lifecycle.unexpected dateLastModified orgs.csv:3", "s1" "/name" = "Åsgård High";
        "school year 2026-2027": "academicSessions.csv" "y27,2027" => "y27,2026-2027", "field.lenient schoolYear academicSessions.csv:3", "t1" "/schoolYear" = 2027;
        "unreadable school year": "academicSessions.csv" "y27,2027" => "y27,soon", "field.invalid schoolYear academicSessions.csv:3", "t1" "/schoolYear" = null;
        "a time in a date": "academicSessions.csv" "semester,2026-08-17," => "semester,2026-08-17T00:00:00Z,", "field.lenient startDate academicSessions.csv:3", "t1" "/startDate" = "2026-08-17";
        "an id outside the GUID characters": "users.csv" "u-adm," => "s+123,", "id.characters sourcedId users.csv:5", "s+123" "/familyName" = "Li";
        "bare userIds": "users.csv" "{LDAP:tng}" => "74727075", "field.lenient userIds users.csv:4", "u-tea" "/externalIds/0" = {"scheme": "", "value": "74727075"};
        "a list with spaces": "classes.csv" "\"y27,t1\"" => "\"y27, t1\"", "field.lenient termSourcedIds classes.csv:2", "k-alg-1" "/terms" = ["t1", "y27"];
        "a trailing comma in a list": "classes.csv" "\"1,3\"" => "\"1,3,\"", "field.lenient periods classes.csv:2", "k-alg-1" "/periods" = ["1", "3"];
        "an ext: class type": "classes.csv" "ALG-1-01,scheduled" => "ALG-1-01,ext:lab", "enum.unknown classType classes.csv:2", "k-alg-1" "/classType" = "ext:lab";
        "a role of 1.2 in 1.1": "users.csv" "d1,administrator" => "d1,principal", "enum.unknown role users.csv:5", "u-adm" "/roles/0/role" = "principal";
        "an ext: role": "users.csv" "d1,administrator" => "d1,ext:coach", "enum.unknown role users.csv:5", "u-adm" "/roles/0/role" = "ext:coach";
        "an aide in a class": "enrollments.csv" "u-tea,teacher,true" => "u-tea,aide,", "enum.unknown role enrollments.csv:3", "e2" "/role" = "ext:aide";
        "a parent in a class": "enrollments.csv" "u-ann,student" => "u-ann,parent", "enum.unknown role enrollments.csv:2", "e1" "/role" = "ext:parent";
        "primary on a student": "enrollments.csv" "student,false" => "student,true", "value.conflict primary enrollments.csv:2", "e1" "/primary" = true;
        "blank class title, with a code": "classes.csv" "k-alg-1,,,Algebra I (1)" => "k-alg-1,,,", "field.missing title classes.csv:2", "k-alg-1" "/title" = "ALG-1-01";
        "blank class title, with a course": "classes.csv" "k-hr-9,,,Homeroom 9B" => "k-hr-9,,,", "field.missing title classes.csv:3", "k-hr-9" "/title" = "Algebra I";
        "blank class title, with nothing": "classes.csv" "k-hr-9,,,Homeroom 9B,09,c-alg" => "k-hr-9,,,,09,", "field.missing title classes.csv:3", "k-hr-9" "/title" = "k-hr-9";
        "blank course title": "courses.csv" "Algebra I,ALG-1" => ",ALG-1", "field.missing title courses.csv:2", "c-alg" "/title" = "ALG-1";
        "blank username": "users.csv" "administrator,b.admin" => "administrator,", "field.missing username users.csv:5", "u-adm" "/username" = null;
        "blank class type": "classes.csv" "ALG-1-01,scheduled" => "ALG-1-01,", "field.missing classType classes.csv:2", "k-alg-1" "/classType" = "scheduled";
        "blank class course": "classes.csv" "\"09,10\",c-alg" => "\"09,10\",", "field.missing courseSourcedId classes.csv:2", "k-alg-1" "/course" = null;
        "blank class terms": "classes.csv" "s1,\"y27,t1\"" => "s1,", "field.missing termSourcedIds classes.csv:2", "k-alg-1" "/terms" = null;
        "blank course org": "courses.csv" "\"09,10\",s1" => "\"09,10\",", "field.missing orgSourcedId courses.csv:2", "c-alg" "/org" = null;
        "blank orgs of a user": "users.csv" "false,d1,admin" => "false,,admin", "field.missing orgSourcedIds users.csv:5", "u-adm" "/roles" = [{"role": "ext:administrator", "roleType": "primary"}];
        "unknown org type": "orgs.csv" "High,school" => "High,campus", "enum.unknown type orgs.csv:3", "s1" "/type" = "campus";
        "blank org type": "orgs.csv" "High,school" => "High,", "field.missing type orgs.csv:3", "s1" "/type" = "unknown";
        "unknown session type": "academicSessions.csv" "Fall,semester" => "Fall,trimester", "enum.unknown type academicSessions.csv:3", "t1" "/type" = "trimester";
        "unknown class type": "classes.csv" "ALG-1-01,scheduled" => "ALG-1-01,seminar", "enum.unknown classType classes.csv:2", "k-alg-1" "/classType" = "seminar";
        "unreadable enrollment date": "enrollments.csv" "false,2026-08-17" => "false,last fall", "field.invalid beginDate enrollments.csv:2", "e1" "/beginDate" = null;
        "slash date in an enrollment": "enrollments.csv" "false,2026-08-17" => "false,8/17/2026", "date.ambiguous beginDate enrollments.csv:2", "e1" "/beginDate" = null;
        "slash date of birth": "demographics.csv" "2011-03-04" => "3/4/2011", "date.ambiguous birthDate demographics.csv:2", "u-ann" "/enabledUser" = true;
        "unreadable flag": "demographics.csv" "true,true,false" => "true,maybe,false", "field.invalid demographicRaceTwoOrMoreRaces demographics.csv:2", "u-ann" "/enabledUser" = true;
        "unknown sex": "demographics.csv" "female" => "f/m", "enum.unknown sex demographics.csv:2", "u-ann" "/enabledUser" = true;
        "unreadable dateLastModified": "orgs.csv" "s1,,," => "s1,,recently,", "field.invalid dateLastModified orgs.csv:3", "s1" "/name" = "Åsgård High";
        "unknown status": "orgs.csv" "s1,,," => "s1,open,,", "enum.unknown status orgs.csv:3", "s1" "/name" = "Åsgård High";
        "trailing blank cells in a row": "orgs.csv" "d1,Åsgård" => "d1,Åsgård,,,", "csv.malformed - orgs.csv:3", "s1" "/name" = "Åsgård High";
        "a quote that is not doubled": "orgs.csv" "s1,,,Åsgård High" => "s1,,,\"The \"High\" of Åsgård\"", "field.lenient - orgs.csv:3", "s1" "/name" = "The \"High\" of Åsgård";
        "a line break in a cell": "orgs.csv" "\"Elm Street Elementary, North\"" => "\"Elm Street\nElementary\"", "field.lenient - orgs.csv:4", "s2" "/name" = "Elm Street\nElementary";
        "a header in odd case": "orgs.csv" "dateLastModified,name" => "dateLastModified,Name", "column.order Name orgs.csv:1", "s1" "/name" = "Åsgård High";
        "a misspelt header": "orgs.csv" "dateLastModified" => "dataLastModified", "column.unknown dataLastModified orgs.csv:1", "s1" "/name" = "Åsgård High";
        "an extra column": "orgs.csv" "metadata.city" => "ext_city", "column.unknown ext_city orgs.csv:1", "s1" "/metadata" = null;
        "columns in another order": "orgs.csv" "sourcedId,status" => "status,sourcedId", "column.order - orgs.csv:1", "u-ann" "/enabledUser" = true;
        "a missing optional column": "orgs.csv" "identifier" => "notes", "column.missing identifier orgs.csv:1", "s1" "/identifier" = null;
        "trailing columns without a name": "orgs.csv" "metadata.city" => "metadata.city,,", "column.unknown - orgs.csv:1", "s1" "/metadata/city" = "Åsgård";
        "spreadsheet's manifest version": "manifest.csv" "manifest.version,1.0" => "manifest.version,1", "manifest.invalid - manifest.csv:2", "s1" "/name" = "Åsgård High";
        "mode word in another case": "manifest.csv" "orgs,bulk" => "orgs,Bulk", "manifest.invalid - manifest.csv:13", "s1" "/name" = "Åsgård High";
        "a file that the manifest does not list": "manifest.csv" "file.orgs,bulk\n" => "", "manifest.invalid - manifest.csv", "s1" "/name" = "Åsgård High";
    };
    for case in cases {
        let pulled = Files::standard().edit(case.file, case.from, case.to).pull().await;
        let name = case.name;
        assert!(
            pulled.has_warning(case.warning),
            "{name}: no `{}` among\n{}",
            case.warning,
            pulled.warned().join("\n")
        );
        if name != "columns in another order" {
            assert_eq!(pulled.refused(), [""; 0], "{name}");
        }
        let record = pulled.record(case.record);
        let value = record.pointer(case.pointer).unwrap_or(&serde_json::Value::Null);
        assert_eq!(value, &case.value, "{name}");
        assert!(pulled.holds().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_passed_over_in_every_file() {
    let files = Files::standard().edit("orgs.csv", "sourcedId,status,", "\u{feff}sourcedId,status,").edit(
        "manifest.csv",
        "propertyName",
        "\u{feff}propertyName",
    );
    let pulled = files.pull().await;
    assert_eq!(pulled.warned(), ["field.lenient - manifest.csv", "field.lenient - orgs.csv:1"]);
    assert!(pulled.has_record("s1"));
}

#[tokio::test]
async fn odd_case_in_file_names_is_accepted() {
    let orgs = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\ns1,,,One,school,,\n";
    let pulled = Files::new().with("ORGS.CSV", orgs).pull().await;
    assert!(pulled.has_record("s1"));
    assert!(pulled.has_warning("field.lenient - ORGS.CSV"));
}

#[tokio::test]
async fn a_package_without_a_manifest_is_read_in_bulk() {
    let pulled = Files::standard().without("manifest.csv").pull().await;
    assert!(pulled.warned()[0].starts_with("manifest.invalid - "));
    assert!(pulled.has_record("e1"));
}

#[tokio::test]
async fn slash_dates_are_read_once_their_order_is_said() {
    let files = Files::standard()
        .edit("academicSessions.csv", "semester,2026-08-17,2027-01-16", "semester,8/7/2026,1/6/2027")
        .edit("enrollments.csv", "2026-08-17", "8/7/2026");
    let months = files.pull_with(|config| config.slash_dates = Some(SlashDates::Mdy)).await;
    assert_eq!(months.record("t1")["startDate"], "2026-08-07");
    assert_eq!(months.record("e1")["beginDate"], "2026-08-07");
    assert!(months.has_warning("field.lenient startDate academicSessions.csv:3"));
    let days = files.pull_with(|config| config.slash_dates = Some(SlashDates::Dmy)).await;
    assert_eq!(days.record("t1")["startDate"], "2026-07-08");
}

#[tokio::test]
async fn inclusive_end_dates_gain_a_day_in_sessions_enrollments_and_roles() {
    let roles = Files::fixture("v1p2").pull_with(|config| config.end_dates = EndDates::Inclusive).await;
    assert_eq!(roles.record("t1")["endDate"], "2027-01-17");
    assert_eq!(roles.record("t1")["startDate"], "2026-08-17");
    assert_eq!(roles.record("e1")["endDate"], "2027-01-17");
    assert_eq!(roles.record("u-ann")["roles"][0]["endDate"], "2027-06-13");
}

#[tokio::test]
async fn windows_1252_is_read_where_the_source_declares_it() {
    let orgs = b"sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\ns1,,,\xC5sg\xE5rd,school,,\n";
    let files = Files::new().with("orgs.csv", orgs);
    let pulled = files.pull_with(|config| config.encoding = TextEncoding::Windows1252).await;
    assert_eq!(pulled.record("s1")["name"], "Åsgård");
    let refused = files.pull().await;
    assert_eq!(refused.refused(), ["encoding.invalid - orgs.csv:2 s1"]);
    assert_eq!(refused.rejects()[0].record, None);
}

#[tokio::test]
async fn a_deletion_in_a_bulk_file_deletes_and_one_with_a_date_holds() {
    for (row, holds) in [("s2,tobedeleted,,", 0), ("s2,toBeDeleted,,", 0), ("s2,inactive,2026-01-01T00:00:00.000Z,", 1)]
    {
        let files = Files::standard().edit("orgs.csv", "s2,,,", row);
        let pulled = files.pull().await;
        assert_eq!(pulled.deleted(), ["orgs s2"]);
        assert!(pulled.has_warning("lifecycle.unexpected status orgs.csv:4"));
        assert_eq!(pulled.holds(), vec![Code::DeltaSuspected; holds], "{row}");
        let certain = files.pull_with(|config| config.mode = Some(PackageMode::Bulk)).await;
        assert!(certain.holds().is_empty(), "{row}");
    }
}

#[tokio::test]
async fn a_deletion_is_kept_where_nothing_says_whether_the_file_is_bulk_or_delta() {
    let row = "s2,toBeDeleted,2026-01-01T00:00:00.000Z,";
    let files = Files::standard().without("manifest.csv").edit("orgs.csv", "s2,,,", row);
    let pulled = files.pull().await;
    assert!(pulled.has_record("s2") && pulled.deleted().is_empty() && pulled.holds().is_empty());
    assert!(pulled.has_warning("lifecycle.unexpected status orgs.csv:4"));
    let told = files.pull_with(|config| config.mode = Some(PackageMode::Bulk)).await;
    assert_eq!(told.deleted(), ["orgs s2"]);
}

#[tokio::test]
async fn files_that_are_not_read_are_named() {
    let files = Files::fixture("v1p2").without("manifest.csv").with("categories.csv", "x").with("extra.csv", "a,b\n");
    let pulled = files.pull().await;
    assert_eq!(
        pulled.summary.skipped,
        [
            "categories.csv: gradebook data is not read",
            "userProfiles.csv: user profiles hold credentials and are not read",
            "extra.csv: not part of OneRoster",
        ]
    );
    assert!(pulled.has_warning("file.skipped - extra.csv"));
}

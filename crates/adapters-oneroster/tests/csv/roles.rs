//! users.csv and roles.csv of 1.2: together, and when they come apart.

use rollcall_domain::Kind;
use rollcall_domain::ports::{Coverage, Item, OwnedChange, RoleChange};

use crate::harness::{Files, Pulled};

fn package() -> Files {
    Files::fixture("v1p2")
        .without("orgs.csv")
        .without("academicSessions.csv")
        .without("courses.csv")
        .without("classes.csv")
        .without("enrollments.csv")
        .without("demographics.csv")
        .with("manifest.csv", manifest("bulk", "bulk"))
}

fn manifest(users: &str, roles: &str) -> String {
    format!(
        "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.users,{users}\nfile.roles,{roles}\n\
         file.userProfiles,bulk\n"
    )
}

/// What was pushed, records by id only.
fn outline(pulled: &Pulled) -> String {
    pulled
        .render()
        .lines()
        .filter(|line| !line.starts_with([' ', '}']))
        .map(|line| line.trim_end_matches(" {"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn bulk_and_bulk_are_one_record() {
    let pulled = package().pull().await;
    assert_eq!(pulled.summary.roles, None);
    assert_eq!(pulled.summary.coverage[Kind::Users], Coverage::Snapshot);
    assert_eq!(pulled.record("u-tea")["roles"].as_array().unwrap().len(), 2);
    assert_eq!(pulled.record("u-ann")["roles"][0]["sourcedId"], "r1");
}

#[tokio::test]
async fn a_role_of_a_user_who_is_not_there_comes_apart() {
    let pulled = package().edit("roles.csv", "r3,,,u-tea", "r3,,,u-gone").pull().await;
    assert!(pulled.refused().is_empty(), "whether the user is there is not for this side to say");
    let apart: Vec<_> = pulled.items.iter().filter(|item| matches!(item, Item::Owned(_))).collect();
    let [Item::Owned(OwnedChange::Role { change: RoleChange::Put { user, role }, modified_ms: None, location })] =
        apart[..]
    else {
        panic!("{apart:?}")
    };
    assert_eq!((user.as_str(), role.role.as_str(), location.position), ("u-gone", "principal", Some(4)));
}

#[tokio::test]
async fn a_role_of_a_refused_user_is_not_refused_again() {
    let pulled = package().edit("users.csv", "t.nguyen,,Thị", "t.nguyen,,\"Thị").pull().await;
    assert_eq!(pulled.refused(), ["csv.malformed - users.csv:3 u-tea"]);
}

#[tokio::test]
async fn r5_a_refused_role_keeps_the_stored_one() {
    let pulled = package().edit("roles.csv", "secondary,principal", "secondary,janitor").pull().await;
    insta::assert_snapshot!(outline(&pulled));
}

#[tokio::test]
async fn r5_a_role_row_that_cannot_be_read_keeps_everyones_stored_roles() {
    let pulled = package().edit("roles.csv", "r3,,,u-tea,secondary,principal,,,s2,", "r3,,,u-tea").pull().await;
    insta::assert_snapshot!(outline(&pulled));
}

#[tokio::test]
async fn without_roles_csv_the_stored_roles_are_left_alone() {
    let files = package().without("roles.csv").with("manifest.csv", manifest("bulk", "absent"));
    let pulled = files.pull().await;
    assert_eq!(pulled.summary.roles, Some(Coverage::Absent));
    insta::assert_snapshot!(outline(&pulled));
}

#[tokio::test]
async fn without_users_csv_the_roles_are_changed_alone() {
    let files = package().without("users.csv").with("manifest.csv", manifest("absent", "bulk"));
    let pulled = files.pull().await;
    assert_eq!(pulled.summary.coverage[Kind::Users], Coverage::Absent);
    assert_eq!(pulled.summary.roles, Some(Coverage::Snapshot));
    insta::assert_snapshot!(outline(&pulled));
    let unreadable = files.edit("roles.csv", "r3,,,u-tea,secondary,principal,,,s2,", "r3").pull().await;
    assert_eq!(unreadable.summary.roles, Some(Coverage::Delta));
}

#[tokio::test]
async fn a_delta_of_roles_changes_them_one_by_one() {
    let files = package()
        .with("manifest.csv", manifest("bulk", "delta"))
        .edit("roles.csv", "r1,,,", "r1,active,2026-09-01T06:00:00.000Z,")
        .edit("roles.csv", "r2,,,", "r2,active,2026-09-01T06:00:00.000Z,")
        .edit("roles.csv", "r3,,,", "r3,tobedeleted,2026-09-01T06:00:00.000Z,");
    let pulled = files.pull().await;
    assert_eq!(pulled.summary.coverage[Kind::Users], Coverage::Snapshot);
    assert_eq!(pulled.summary.roles, Some(Coverage::Delta));
    insta::assert_snapshot!(outline(&pulled));
}

#[tokio::test]
async fn a_role_is_deleted_by_its_own_id_and_needs_no_user() {
    let files = package()
        .with("manifest.csv", manifest("bulk", "delta"))
        .with("roles.csv", "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId\nr3,tobedeleted,2026-09-01T06:00:00.000Z,,,,,,,\n");
    let pulled = files.pull().await;
    assert_eq!((pulled.refused(), pulled.warned()), (Vec::<String>::new(), Vec::<String>::new()));
    let deleted = pulled.items.iter().find_map(|item| match item {
        Item::Owned(OwnedChange::Role { change: RoleChange::Delete { user, role }, modified_ms, .. }) => {
            Some((user.clone(), role.as_str(), *modified_ms))
        }
        _ => None,
    });
    assert_eq!(deleted, Some((None, "r3", Some(1_788_242_400_000))));
}

#[tokio::test]
async fn a_delta_of_users_leaves_their_roles_to_roles_csv() {
    let files = package()
        .with("manifest.csv", manifest("delta", "bulk"))
        .edit("users.csv", "u-ann,,,", "u-ann,active,2026-09-01T06:00:00.000Z,")
        .edit("users.csv", "u-tea,,,", "u-tea,tobedeleted,2026-09-01T06:00:00.000Z,");
    let pulled = files.pull().await;
    assert_eq!(pulled.summary.coverage[Kind::Users], Coverage::Delta);
    assert_eq!(pulled.summary.roles, Some(Coverage::Snapshot));
    assert_eq!(pulled.deleted(), ["users u-tea"]);
    assert_eq!(pulled.items.iter().filter(|item| matches!(item, Item::Owned(_))).count(), 2);
}

#[tokio::test]
async fn a_deleted_role_of_a_bulk_file_is_simply_not_there() {
    let pulled = package().edit("roles.csv", "r3,,,", "r3,tobedeleted,,").pull().await;
    assert_eq!(pulled.record("u-tea")["roles"].as_array().unwrap().len(), 1);
    assert!(pulled.deleted().is_empty());
}

#[tokio::test]
async fn odd_role_rows_are_accepted_with_a_warning() {
    for (from, to, warning) in [
        ("secondary,principal", "Secondary,principal", "field.lenient roleType roles.csv:4"),
        ("secondary,principal", ",principal", "field.missing roleType roles.csv:4"),
        ("secondary,principal", "main,principal", "enum.unknown roleType roles.csv:4"),
        ("secondary,principal", "secondary,administrator", "enum.unknown role roles.csv:4"),
        ("secondary,principal", "secondary,ext:coach", "enum.unknown role roles.csv:4"),
        ("student,2026-08-17", "student,8/17/2026", "date.ambiguous beginDate roles.csv:2"),
        (",,,s2,", ",,,,", "field.missing orgSourcedId roles.csv:4"),
        ("r3,", "r2,", "id.duplicate sourcedId users.csv:3"),
    ] {
        let from = if from == ",,,s2," { "principal,,,s2," } else { from };
        let to = if to == ",,,," { "principal,,,," } else { to };
        let pulled = package().edit("roles.csv", from, to).pull().await;
        assert_eq!(pulled.warned(), [warning], "{to}");
        assert_eq!(pulled.record("u-tea")["roles"].as_array().unwrap().len(), 2, "{to}");
    }
}

#[tokio::test]
async fn users_of_1_2_that_still_have_a_role_column_are_read_as_1_1_reads_them() {
    let files = Files::standard().edit("manifest.csv", "oneroster.version,1.1", "oneroster.version,1.2");
    let pulled = files.pull().await;
    assert_eq!(pulled.record("u-tea")["roles"].as_array().unwrap().len(), 2);
    assert!(pulled.has_warning("manifest.invalid - users.csv:1"));
}

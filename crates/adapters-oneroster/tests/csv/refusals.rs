//! The table of what refuses a record, row by row. A record is never lost without a word of where it stands.

use rollcall_domain::ports::Item;

use crate::harness::{Files, render};

/// An edit of one file of the standard package, and the one reject that it causes.
#[tokio::test]
async fn nonsense_is_refused_and_located() {
    for (name, file, from, to, refused) in [
        ("no id", "orgs.csv", "s1,,,", ",,,", "id.missing sourcedId orgs.csv:3 ?"),
        ("an id of spaces", "orgs.csv", "s1,,,", "  ,,,", "id.missing sourcedId orgs.csv:3 ?"),
        ("blank org name", "orgs.csv", "s1,,,Åsgård High", "s1,,,", "field.missing name orgs.csv:3 s1"),
        (
            "blank session title",
            "academicSessions.csv",
            "t1,,,Fall",
            "t1,,,",
            "field.missing title academicSessions.csv:3 t1",
        ),
        ("unknown user role", "users.csv", "d1,administrator", "d1,janitor", "enum.unknown role users.csv:5 u-adm"),
        ("blank user role", "users.csv", "d1,administrator", "d1,", "field.missing role users.csv:5 u-adm"),
        (
            "unknown enrollment role",
            "enrollments.csv",
            "u-tea,teacher",
            "u-tea,professor",
            "enum.unknown role enrollments.csv:3 e2",
        ),
        (
            "blank enrollment role",
            "enrollments.csv",
            "u-tea,teacher",
            "u-tea,",
            "field.missing role enrollments.csv:3 e2",
        ),
        (
            "blank class school",
            "classes.csv",
            "Room 12,s1",
            "Room 12,",
            "field.missing schoolSourcedId classes.csv:2 k-alg-1",
        ),
        (
            "blank enrollment class",
            "enrollments.csv",
            "e2,,,k-alg-1",
            "e2,,,",
            "field.missing classSourcedId enrollments.csv:3 e2",
        ),
        (
            "blank enrollment user",
            "enrollments.csv",
            "u-tea,teacher",
            ",teacher",
            "field.missing userSourcedId enrollments.csv:3 e2",
        ),
        (
            "unreadable session date",
            "academicSessions.csv",
            "semester,2026-08-17",
            "semester,August",
            "field.invalid startDate academicSessions.csv:3 t1",
        ),
        (
            "a day that does not exist",
            "academicSessions.csv",
            "semester,2026-08-17",
            "semester,2026-02-30",
            "field.invalid startDate academicSessions.csv:3 t1",
        ),
        (
            "blank session date",
            "academicSessions.csv",
            "2027-01-16",
            "",
            "field.missing endDate academicSessions.csv:3 t1",
        ),
        ("too many cells", "orgs.csv", "s1,,,Åsgård High", "s1,,,Åsgård, High", "csv.malformed - orgs.csv:3 s1"),
        (
            "too few cells",
            "orgs.csv",
            "s1,,,Åsgård High,school,170993000943,d1,Åsgård",
            "s1,,,Åsgård High",
            "csv.malformed - orgs.csv:3 s1",
        ),
        (
            "a quote that never closes",
            "orgs.csv",
            "s1,,,Åsgård High",
            "s1,,,\"Åsgård High",
            "csv.malformed - orgs.csv:3 s1",
        ),
        (
            "several at once",
            "academicSessions.csv",
            "t1,,,Fall,semester,2026-08-17",
            "t1,,,,semester,never",
            "field.missing title + field.invalid startDate academicSessions.csv:3 t1",
        ),
    ] {
        let pulled = Files::standard().edit(file, from, to).pull().await;
        assert_eq!(pulled.refused(), [refused], "{name}");
    }
}

#[tokio::test]
async fn a_refused_record_is_quoted_and_a_broken_row_is_only_located() {
    let files = Files::standard().edit("users.csv", "d1,administrator", "d1,janitor").edit(
        "orgs.csv",
        "s1,,,Åsgård High",
        "s1,,,Åsgård, High",
    );
    let refused: Vec<_> = files.pull().await.items.into_iter().filter(|item| matches!(item, Item::Reject(_))).collect();
    insta::assert_snapshot!(render(&refused));
    let pulled = files.pull().await;
    assert_eq!(pulled.rejects()[0].record, None);
    let quoted = pulled.rejects()[1].record.as_ref().unwrap();
    assert_eq!(quoted["username"], "b.admin");
    assert_eq!(quoted.get("password"), None);
}

#[tokio::test]
async fn messages_never_quote_what_a_cell_says() {
    // A row with a shifted column has a name where the role should be.
    let pulled = Files::standard().edit("users.csv", "s1,student,ann.o", "s1,Secretname,Secretname").pull().await;
    for reject in pulled.rejects() {
        assert!(reject.findings.iter().all(|finding| !finding.message.contains("Secretname")));
    }
    assert_eq!(pulled.refused(), ["enum.unknown role users.csv:2 u-ann"]);
}

#[tokio::test]
async fn a_quote_that_never_closes_loses_no_other_child() {
    let pulled = Files::standard().edit("users.csv", "s1,student,ann.o", "s1,student,\"ann.o").pull().await;
    assert_eq!(pulled.refused(), ["csv.malformed - users.csv:2 u-ann"]);
    for user in ["u-ola", "u-tea", "u-adm"] {
        assert!(pulled.has_record(user), "{user}");
    }
}

#[tokio::test]
async fn r5_where_a_file_breaks_off_no_id_is_trusted() {
    // What stood behind the break is missing as well, so deletions by absence must be withheld.
    let orgs = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\ns1,,,One,school,,\ns2,,,Tw";
    let pulled = Files::new().with("orgs.csv", orgs).pull().await;
    assert_eq!(pulled.refused(), ["csv.malformed - orgs.csv:3 ?"]);
}

#[tokio::test]
async fn r5_an_id_behind_the_break_of_a_row_is_not_trusted() {
    let orgs = "name,type,sourcedId,status,dateLastModified,identifier,parentSourcedId\nOne, Street,school,s1,,,,d1\n";
    let pulled = Files::new().with("orgs.csv", orgs).pull().await;
    assert_eq!(pulled.refused(), ["csv.malformed - orgs.csv:2 ?"]);
}

#[tokio::test]
async fn invalid_utf_8_refuses_the_row_and_not_the_file() {
    let orgs = b"sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\ns1,,,\xC5s,school,,\ns2,,,Two,school,,\n";
    let pulled = Files::new().with("orgs.csv", orgs).pull().await;
    assert_eq!(pulled.refused(), ["encoding.invalid - orgs.csv:2 s1"]);
    assert!(pulled.has_record("s2"));
}

#[tokio::test]
async fn r11_a_comma_without_quotes_does_not_make_a_password_another_value() {
    let pulled = Files::fixture("v1p2")
        .edit("users.csv", "Ånn,Østby,", "Ånn,Østby, Jr,")
        .edit("users.csv", "hunter2,m-1,Annie,,,s1,she/her", "hunter2,,,,,,")
        .pull()
        .await;
    assert_eq!(pulled.refused(), ["csv.malformed - users.csv:2 u-ann"]);
    assert!(!pulled.render().contains("hunter2"));
}

#[tokio::test]
async fn r11_an_id_that_is_itself_damaged_is_neither_quoted_nor_trusted() {
    for damaged in ["\"s2,,,", "s\u{0}2,,,"] {
        let pulled = Files::standard().edit("orgs.csv", "s2,,,", damaged).pull().await;
        let rejects = pulled.rejects();
        assert_eq!(rejects.len(), 1, "{damaged:?}");
        assert_eq!(rejects[0].sourced_id, None, "{damaged:?}");
        assert_eq!(rejects[0].record, None, "{damaged:?}");
    }
}

#[tokio::test]
async fn r11_a_file_whose_lines_run_into_its_header_is_refused_without_being_quoted() {
    let rows = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId\rs1,,,Secret School,school,,\r";
    let error = Files::standard().with("orgs.csv", rows).refusal().await;
    let told = crate::harness::problems(&error);
    assert!(told.contains("carriage return") && !told.contains("Secret"), "{told}");
}

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::civil::date;
use rollcall_domain::entities::{Demographics, Enrollment, ExternalId, Metadata, Org, Race, Role, User};
use rollcall_domain::vocabulary::{EnrollmentRole, OrgType, RoleType, Sex, UserRole};
use rollcall_domain::{Kind, PerKind, Record, SourcedId, Text};

use super::*;

fn id(id: &str) -> SourcedId {
    SourcedId::new(id).unwrap()
}

fn org(sourced_id: &str, name: &str) -> Org {
    Org {
        sourced_id: id(sourced_id),
        name: name.into(),
        org_type: OrgType::School,
        identifier: None,
        parent: None,
        external_ids: vec![],
        metadata: Metadata::new(),
    }
}

fn role(role: UserRole, org: Option<&str>, role_type: RoleType) -> Role {
    Role { role, org: org.map(id), role_type, begin_date: None, end_date: None, user_profile: None, sourced_id: None }
}

fn user(roles: Vec<Role>) -> User {
    User {
        sourced_id: id("u1"),
        enabled_user: true,
        username: Some("zoe".into()),
        external_ids: vec![ExternalId { scheme: "sis".into(), value: "7".into() }],
        given_name: Some("Zoë".into()),
        family_name: Some("O'Neil, Jr.".into()),
        middle_name: None,
        identifier: None,
        email: None,
        sms: None,
        phone: None,
        agents: vec![],
        grades: vec![],
        user_master_identifier: Some("m1".into()),
        preferred_given_name: Some("Zo".into()),
        preferred_middle_name: None,
        preferred_family_name: None,
        primary_org: None,
        pronouns: Some("she/her".into()),
        roles,
        metadata: Metadata::new(),
    }
}

fn enrollment(role: EnrollmentRole) -> Enrollment {
    Enrollment {
        sourced_id: id("e1"),
        class: id("c1"),
        school: Some(id("s1")),
        user: id("u1"),
        role,
        primary: None,
        begin_date: Some(date(2026, 8, 17)),
        end_date: None,
        external_ids: vec![],
        metadata: Metadata::new(),
    }
}

/// One file of the package that `records` make.
fn file(version: ExportVersion, name: &str, records: impl IntoIterator<Item = Record>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = PackageWriter::create(&folder.path().join("p"), ExportOptions::new(version)).unwrap();
    for record in records {
        writer.write(&record).unwrap();
    }
    let package = writer.finish().unwrap();
    fs::read_to_string(package.path.join(name)).unwrap()
}

/// The rows of `users.csv` in 1.1, from the orgs to the role.
fn orgs_and_role(user: User) -> String {
    let users = file(ExportVersion::V1_1, "users.csv", [user.into()]);
    let row = users.lines().nth(1).unwrap();
    let start = row.find("true,").unwrap() + "true,".len();
    row[start..row.find(",zoe").unwrap()].to_owned()
}

fn entries(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_user_is_one_row_in_1_1_and_a_row_and_its_roles_in_1_2() {
    let mut advises = role(UserRole::Counselor, Some("s1"), RoleType::Secondary);
    advises.begin_date = Some(date(2026, 8, 17));
    advises.end_date = Some(date(2027, 6, 5));
    let roles = vec![role(UserRole::Teacher, Some("s1"), RoleType::Primary), advises];
    let records = || [Record::from(user(roles.clone()))];
    insta::assert_snapshot!("user_1_1", file(ExportVersion::V1_1, "users.csv", records()));
    insta::assert_snapshot!("user_1_2", file(ExportVersion::V1_2, "users.csv", records()));
    insta::assert_snapshot!("user_1_2_roles", file(ExportVersion::V1_2, "roles.csv", records()));
}

#[test]
fn the_id_of_a_role_follows_from_user_org_role_and_first_day_alone() {
    let one = role(UserRole::Teacher, Some("s1"), RoleType::Primary);
    let ids = |roles: Vec<Role>| -> Vec<String> {
        let text = file(ExportVersion::V1_2, "roles.csv", [user(roles).into()]);
        text.lines().skip(1).map(|row| row.split(',').next().unwrap().to_owned()).collect()
    };
    let plain = ids(vec![one.clone()]);
    let other_type = Role { role_type: RoleType::Secondary, end_date: Some(date(2027, 6, 5)), ..one.clone() };
    let vendor_id = Role { sourced_id: Some(id("r-77")), ..one.clone() };
    let later = Role { begin_date: Some(date(2026, 9, 1)), ..one.clone() };
    assert_eq!(ids(vec![other_type.clone()]), plain);
    assert_eq!(ids(vec![vendor_id.clone()]), plain);
    assert_ne!(ids(vec![later]), plain);
    // Two that differ only beyond that are told apart, whatever order they come in.
    let both = ids(vec![one.clone(), other_type.clone()]);
    assert_eq!(both, [plain[0].clone(), format!("{}-2", plain[0])]);
    assert_eq!(ids(vec![other_type, one.clone()]), both);
    // Two that say the same are one.
    assert_eq!(ids(vec![one, vendor_id]), plain);
}

#[test]
fn a_role_at_no_org_is_not_written_in_1_2_and_has_blank_orgs_in_1_1() {
    let homeless = || user(vec![role(UserRole::Student, None, RoleType::Primary)]);
    let manifest = file(ExportVersion::V1_2, "manifest.csv", [homeless().into()]);
    assert!(manifest.contains("file.users,bulk\r\n"));
    assert!(manifest.contains("file.roles,absent\r\n"));
    assert_eq!(orgs_and_role(homeless()), ",student");
}

#[test]
fn the_leading_role_of_1_1_is_written_with_the_orgs_where_it_is_held() {
    use RoleType::{Primary, Secondary};
    let several = |roles: &[(UserRole, &str, RoleType)]| {
        user(roles.iter().cloned().map(|(kind, org, role_type)| role(kind, Some(org), role_type)).collect())
    };
    let student_who_helps = several(&[(UserRole::Aide, "s0", Primary), (UserRole::Student, "s1", Primary)]);
    assert_eq!(orgs_and_role(student_who_helps.clone()), "s1,student");
    let at_home_elsewhere = User { primary_org: Some(id("s0")), ..student_who_helps };
    assert_eq!(orgs_and_role(at_home_elsewhere), "s0,aide");
    let teaches_twice = several(&[(UserRole::Teacher, "s2", Secondary), (UserRole::Teacher, "s1", Primary)]);
    assert_eq!(orgs_and_role(teaches_twice), "\"s1,s2\",teacher");
    let principal = several(&[(UserRole::Principal, "s1", Primary), (UserRole::DistrictAdministrator, "d", Secondary)]);
    assert_eq!(orgs_and_role(principal), "\"d,s1\",administrator");
    let parent_who_teaches = several(&[(UserRole::Parent, "s1", Secondary), (UserRole::Teacher, "s2", Secondary)]);
    assert_eq!(orgs_and_role(parent_who_teaches), "s2,teacher");
    assert_eq!(orgs_and_role(several(&[(UserRole::Administrator, "d", Primary)])), "d,administrator");
    assert_eq!(orgs_and_role(several(&[(UserRole::Counselor, "s1", Primary)])), "s1,counselor");
}

#[test]
fn an_aide_in_a_class_is_an_extension_in_1_2_and_a_word_of_1_1() {
    let row = |version, role| {
        let text = file(version, "enrollments.csv", [enrollment(role).into()]);
        text.lines().nth(1).unwrap().split(',').nth(6).unwrap().to_owned()
    };
    assert_eq!(row(ExportVersion::V1_1, EnrollmentRole::Aide), "aide");
    assert_eq!(row(ExportVersion::V1_2, EnrollmentRole::Aide), "ext:aide");
    assert_eq!(row(ExportVersion::V1_1, EnrollmentRole::Student), "student");
}

#[test]
fn demographics_leave_open_what_is_not_stated() {
    let record = Demographics {
        sourced_id: id("u1"),
        birth_date: Some(date(2012, 2, 29)),
        sex: Some(Sex::OtherSex),
        race: Race { asian: Some(true), white: Some(false), ..Race::default() },
        country_of_birth_code: Some("VN".into()),
        state_of_birth_abbreviation: None,
        city_of_birth: Some("Đà Nẵng".into()),
        public_school_residence_status: None,
        external_ids: vec![],
        metadata: Metadata::new(),
    };
    let text = file(ExportVersion::V1_2, "demographics.csv", [record.into()]);
    insta::assert_snapshot!(text.lines().nth(1).unwrap(), @"u1,,,2012-02-29,other,,true,,,false,,,VN,,Đà Nẵng,");
}

#[test]
fn the_manifest_names_every_file_and_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let options = ExportOptions {
        system_name: Some("Springfield SIS, west".to_owned()),
        system_code: Some("W".to_owned()),
        ..ExportOptions::new(ExportVersion::V1_1)
    };
    let mut writer = PackageWriter::create(&folder.path().join("p"), options).unwrap();
    writer.write(&org("s1", "Lincoln").into()).unwrap();
    let package = writer.finish().unwrap();
    assert_eq!((package.records[Kind::Orgs], package.records[Kind::Users], package.roles), (1, 0, 0));
    assert_eq!(entries(&package.path), ["manifest.csv", "orgs.csv"].map(str::to_owned).into());
    insta::assert_snapshot!("manifest_1_1", fs::read_to_string(package.path.join("manifest.csv")).unwrap());
}

#[test]
fn declared_extension_fields_get_a_column_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut metadata = PerKind::<BTreeSet<Text>>::default();
    metadata[Kind::Orgs] = ["phone".into(), "boarding".into()].into();
    let options = ExportOptions { metadata, ..ExportOptions::new(ExportVersion::V1_2) };
    let mut writer = PackageWriter::create(&folder.path().join("p"), options).unwrap();
    let with = |field: &str| Org { metadata: [(field.into(), "x".into())].into(), ..org("s1", "Lincoln") };
    writer.write(&with("phone").into()).unwrap();
    let refused = writer.write(&with("gender").into()).unwrap_err();
    insta::assert_snapshot!(refused, @"the extension field `gender` of orgs was not declared before the first record");
    writer.write(&org("s2", "Tubman").into()).unwrap();
    let package = writer.finish().unwrap();
    insta::assert_snapshot!("extension_fields", fs::read_to_string(package.path.join("orgs.csv")).unwrap());
}

#[test]
fn a_delta_says_of_each_row_whether_it_is_there_and_since_when() {
    let folder = tempfile::tempdir().unwrap();
    let options = || ExportOptions::new(ExportVersion::V1_2);
    let mut writer = PackageWriter::create_delta(&folder.path().join("p"), options()).unwrap();
    let changed =
        RowMeta { status: RowStatus::Active, date_last_modified: Some("2026-11-22T19:05:07.5Z".parse().unwrap()) };
    let gone = RowMeta { status: RowStatus::ToBeDeleted, date_last_modified: None };
    writer.write_change(&org("s1", "Lincoln").into(), changed).unwrap();
    writer.write_change(&org("s2", "Tubman").into(), gone).unwrap();
    let roles = vec![role(UserRole::Student, Some("s1"), RoleType::Primary)];
    writer.write_change(&user(roles).into(), changed).unwrap();
    insta::assert_snapshot!(
        writer.write(&org("s3", "Parks").into()).unwrap_err(),
        @"a bulk package takes records, and a delta package takes changes; this is a delta package"
    );
    let package = writer.finish().unwrap();
    let read = |name: &str| fs::read_to_string(package.path.join(name)).unwrap();
    assert!(read("manifest.csv").contains("file.orgs,delta\r\nfile.resources,absent\r\n"));
    assert!(read("roles.csv").contains(",active,2026-11-22T19:05:07.500Z,u1,primary,student,"));
    insta::assert_snapshot!("delta", read("orgs.csv"));

    let mut bulk = PackageWriter::create(&folder.path().join("q"), options()).unwrap();
    insta::assert_snapshot!(
        bulk.write_change(&org("s3", "Parks").into(), gone).unwrap_err(),
        @"a bulk package takes records, and a delta package takes changes; this is a bulk package"
    );
}

#[test]
fn a_package_has_its_name_only_when_it_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("deep/out");
    let begin = || {
        let mut writer = PackageWriter::create(&target, ExportOptions::new(ExportVersion::V1_2)).unwrap();
        writer.write(&org("s1", "Lincoln").into()).unwrap();
        writer
    };
    let writer = begin();
    assert!(!target.exists());
    drop(writer);
    assert_eq!(entries(&folder.path().join("deep")), BTreeSet::new(), "a writer that is dropped leaves nothing");

    begin().finish().unwrap();
    let writer = begin();
    assert_eq!(entries(&target).len(), 2, "the package of before still stands");
    drop(writer);
    assert_eq!(entries(&folder.path().join("deep")), ["out".to_owned()].into());
}

#[test]
fn a_package_is_replaced_as_a_whole_and_an_empty_folder_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out");
    fs::create_dir(&target).unwrap();
    for (record, expected) in [
        (Record::from(enrollment(EnrollmentRole::Student)), "enrollments.csv"),
        (org("s1", "Lincoln").into(), "orgs.csv"),
    ] {
        let mut writer = PackageWriter::create(&target, ExportOptions::new(ExportVersion::V1_2)).unwrap();
        writer.write(&record).unwrap();
        writer.finish().unwrap();
        assert_eq!(entries(&target), ["manifest.csv".to_owned(), expected.to_owned()].into());
    }
    assert_eq!(entries(folder.path()), ["out".to_owned()].into());
}

#[test]
fn a_folder_with_anything_else_in_it_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let create = |path: &Path| PackageWriter::create(path, ExportOptions::new(ExportVersion::V1_2));
    let thesis = folder.path().join("thesis");
    fs::create_dir(&thesis).unwrap();
    fs::write(thesis.join("chapter1.tex"), "x").unwrap();
    assert!(matches!(create(&thesis), Err(ExportError::NotAPackage { entry, .. }) if entry == "chapter1.tex"));
    fs::write(thesis.join("manifest.csv"), "x").unwrap();
    assert!(matches!(create(&thesis), Err(ExportError::NotAPackage { .. })));

    let no_manifest = folder.path().join("data");
    fs::create_dir(&no_manifest).unwrap();
    fs::write(no_manifest.join("users.csv"), "x").unwrap();
    assert!(matches!(create(&no_manifest), Err(ExportError::NotAPackage { entry, .. }) if entry == "users.csv"));

    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(matches!(create(&file), Err(ExportError::NotAFolder { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");

    // What appears while the package is written is not thrown away either.
    let out = folder.path().join("out");
    let writer = create(&out).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("notes.txt"), "x").unwrap();
    assert!(matches!(writer.finish(), Err(ExportError::NotAPackage { .. })));
    assert_eq!(entries(&out), ["notes.txt".to_owned()].into());
    assert_eq!(entries(folder.path()), ["data", "file", "out", "thesis"].map(str::to_owned).into());
}

#[test]
fn an_error_names_the_folder_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    // Long enough that a name made of it is too long.
    let target = folder.path().join("x".repeat(250));
    let error = PackageWriter::create(&target, ExportOptions::new(ExportVersion::V1_2)).unwrap_err().to_string();
    assert!(error.contains(&"x".repeat(250)) && !error.contains("partial"), "{error}");
}

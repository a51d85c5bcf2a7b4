//! Users: one record for a person, whatever roles they have.

use rollcall_domain::entities::{Demographics, ExternalId, Metadata, Race, Role, User};
use rollcall_domain::vocabulary::{RoleType, Sex, UserRole};
use rollcall_domain::{Code, SourcedId, Text};

use super::Context;
use super::fields::{Notes, after, external_ids, put, put_ext};
use crate::wire::{self, Contact, Relationship, SchoolEnrollment, Staff, Str, Student};

/// A mapped user.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) user: User,
    pub(crate) demographics: Option<Demographics>,
}

/// Fields, and columns of a district's own, that say about a student what only demographics may keep.
const SENSITIVE: [&str; 15] = [
    "dob",
    "gender",
    "race",
    "hispanic_ethnicity",
    "ell_status",
    "frl_status",
    "iep_status",
    "gifted_status",
    "section_504_status",
    "disability",
    "disability_status",
    "disability_type",
    "disability_code",
    "home_language",
    "home_language_code",
];

/// Whether a field is kept with demographics or not at all.
pub(crate) fn is_sensitive(name: &str) -> bool {
    SENSITIVE.iter().any(|sensitive| name.eq_ignore_ascii_case(sensitive))
}

pub(crate) fn user(wire: &wire::User, context: &Context, notes: &mut Notes) -> Option<Person> {
    let id = notes.id(&wire.id)?;
    let roles = &wire.roles;
    let demographics =
        roles.student.as_deref().filter(|_| context.demographics).map(|student| demographics(&id, student, notes));
    let email = wire.email.as_deref().map(|email| Text::new(email.to_lowercase()));
    if email.as_ref().is_some_and(|email| !email.contains('@')) {
        notes.warn(Code::FieldInvalid, "email", "the e-mail address has no @; it was kept as it is");
    }
    let mut user = User {
        sourced_id: id,
        enabled_user: true,
        username: None,
        external_ids: Vec::new(),
        given_name: wire.name.first.get(),
        family_name: wire.name.last.get(),
        middle_name: wire.name.middle.get(),
        identifier: None,
        email,
        sms: None,
        phone: None,
        agents: Vec::new(),
        grades: Vec::new(),
        user_master_identifier: None,
        preferred_given_name: None,
        preferred_middle_name: None,
        preferred_family_name: None,
        primary_org: None,
        pronouns: None,
        roles: Vec::new(),
        metadata: Metadata::new(),
    };
    // In this order: of several roles at one org, the first is the primary one.
    if let Some(student) = &roles.student {
        be_student(&mut user, student, context, notes);
    }
    if let Some(teacher) = &roles.teacher {
        be_employed(&mut user, &teacher.credentials.district_username, &teacher.teacher_number, &teacher.title);
        user.external_ids.extend(external_ids([
            ("legacy_id", &teacher.legacy_id),
            ("sis_id", &teacher.sis_id),
            ("state_id", &teacher.state_id),
            ("teacher_number", &teacher.teacher_number),
        ]));
        user.primary_org = user.primary_org.or_else(|| teacher.school.id());
        grant(&mut user.roles, &UserRole::Teacher, &schools(&teacher.school, &teacher.schools.ids));
        put_ext(&mut user.metadata, "teacher", &teacher.ext, |name| !is_sensitive(name));
    }
    if let Some(staff) = &roles.staff {
        be_employed(&mut user, &staff.credentials.district_username, &staff.staff_id, &staff.title);
        put(&mut user.metadata, "department", &staff.department);
        user.external_ids.extend(external_ids([("legacy_id", &staff.legacy_id), ("staff_id", &staff.staff_id)]));
        grant(&mut user.roles, &role_of_staff(staff), &staff.schools.ids);
        put_ext(&mut user.metadata, "staff", &staff.ext, |name| !is_sensitive(name));
    }
    if let Some(admin) = &roles.district_admin {
        be_employed(&mut user, &Str(None), &Str(None), &admin.title);
        user.external_ids.extend(external_ids([("legacy_id", &admin.legacy_id)]));
        grant(&mut user.roles, &UserRole::DistrictAdministrator, std::slice::from_ref(&context.district));
    }
    for (name, role) in &roles.others {
        notes.warn(
            Code::EnumUnknown,
            "roles",
            "the user has a role that is new in Clever; it was kept as it is called",
        );
        let orgs =
            if role.schools.ids.is_empty() { std::slice::from_ref(&context.district) } else { &role.schools.ids };
        grant(&mut user.roles, &UserRole::from(format!("ext:{name}").as_str()), orgs);
    }
    if let Some(contact) = &roles.contact {
        be_contact(&mut user, contact, context, notes);
    }
    if user.roles.is_empty() {
        notes.warn(Code::FieldMissing, "roles", "the user has no role; the user was kept without one");
    }
    Some(Person { user, demographics })
}

/// A role at each of these orgs, or at none if there are none. Beside another role there, it is secondary.
fn grant(roles: &mut Vec<Role>, role: &UserRole, orgs: &[SourcedId]) {
    let mut at = |org: Option<&SourcedId>| {
        let is_second = roles.iter().any(|known| known.org.as_ref() == org && known.role != *role);
        roles.push(Role {
            role: role.clone(),
            org: org.cloned(),
            role_type: if is_second { RoleType::Secondary } else { RoleType::Primary },
            begin_date: None,
            end_date: None,
            user_profile: None,
            sourced_id: None,
        });
    };
    match orgs {
        [] => at(None),
        orgs => orgs.iter().for_each(|org| at(Some(org))),
    }
}

/// All schools of a user; the one that is named alone is not always among the others.
fn schools(school: &Str, schools: &[SourcedId]) -> Vec<SourcedId> {
    let mut all: Vec<_> = school.id().into_iter().collect();
    for other in schools {
        if !all.contains(other) {
            all.push(other.clone());
        }
    }
    all
}

fn be_student(user: &mut User, student: &Student, context: &Context, notes: &mut Notes) {
    user.username = student.credentials.district_username.get();
    user.identifier = student.student_number.get();
    user.external_ids.extend(external_ids([
        ("legacy_id", &student.legacy_id),
        ("sis_id", &student.sis_id),
        ("state_id", &student.state_id),
        ("student_number", &student.student_number),
    ]));
    user.grades.extend(notes.grade("grade", &student.grade));
    user.preferred_given_name = student.preferred_name.first.get();
    user.preferred_middle_name = student.preferred_name.middle.get();
    user.preferred_family_name = student.preferred_name.last.get();
    user.primary_org = student.school.id();
    grant(&mut user.roles, &UserRole::Student, &schools(&student.school, &student.schools.ids));
    for enrollment in &student.enrollments {
        date_role(&mut user.roles, enrollment, notes);
    }
    if let Some(contacts) = &context.contacts {
        user.agents.extend(contacts.of(&user.sourced_id).cloned());
    }
    put(&mut user.metadata, "graduation_year", &student.graduation_year);
    put_ext(&mut user.metadata, "student", &student.ext, |name| !is_sensitive(name));
}

/// Dates a student's role at a school. Several times at one school are several roles.
fn date_role(roles: &mut Vec<Role>, enrollment: &SchoolEnrollment, notes: &mut Notes) {
    let begin = notes.day("enrollments.start_date", &enrollment.start_date);
    let end = notes.day("enrollments.end_date", &enrollment.end_date).and_then(after);
    let Some(school) = enrollment.school.id().filter(|_| begin.is_some() || end.is_some()) else { return };
    let undated = roles.iter_mut().find(|role| {
        role.role == UserRole::Student
            && role.org.as_ref() == Some(&school)
            && role.begin_date.is_none()
            && role.end_date.is_none()
    });
    if let Some(role) = undated {
        (role.begin_date, role.end_date) = (begin, end);
    } else if let Some(known) = roles.iter().find(|role| role.org.as_ref() == Some(&school)) {
        roles.push(Role { begin_date: begin, end_date: end, ..known.clone() });
    }
}

/// What teachers, staff and administrators have in common. What an earlier role has said stays.
fn be_employed(user: &mut User, username: &Str, number: &Str, title: &Str) {
    user.username = user.username.take().or_else(|| username.get());
    user.identifier = user.identifier.take().or_else(|| number.get());
    if !user.metadata.contains_key("title") {
        put(&mut user.metadata, "title", title);
    }
}

/// What a member of staff is. Clever knows only that they are: `staff` is what used to be its school administrators. A
/// title that names a lesser role is believed.
fn role_of_staff(staff: &Staff) -> UserRole {
    let title = staff.title.as_deref().unwrap_or_default().to_lowercase();
    let mut words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let role = words.find_map(|word| match word {
        "aide" | "para" | "paraprofessional" | "paraeducator" => Some(UserRole::Aide),
        "counselor" | "counsellor" => Some(UserRole::Counselor),
        "proctor" => Some(UserRole::Proctor),
        _ => None,
    });
    role.unwrap_or(UserRole::SiteAdministrator)
}

/// The students whom a contact is there for. One who is their own contact is none.
pub(crate) fn students_of(contact: &Contact, own: &SourcedId) -> impl Iterator<Item = SourcedId> {
    linked(&contact.student_relationships)
        .filter_map(|relationship| relationship.student.id())
        .filter(move |student| student != own)
}

/// Whether a contact is there for somebody of whom it cannot be told who they are.
pub(crate) fn has_untold_student(contact: &Contact) -> bool {
    linked(&contact.student_relationships).any(|relationship| relationship.student.id().is_none())
}

fn linked(relationships: &[Relationship]) -> impl Iterator<Item = &Relationship> {
    relationships.iter().filter(|relationship| relationship.relationship.as_deref() != Some("Self"))
}

/// What a contact is to a student.
fn role_of(relationship: &Relationship, notes: &mut Notes) -> UserRole {
    match relationship.relationship.as_deref() {
        Some("Parent") => UserRole::Parent,
        Some("Grandparent" | "Aunt/Uncle" | "Sibling") => UserRole::Relative,
        // Whether they are somebody's guardian or an emergency's contact, which Clever tells in words of its own, they are
        // responsible for the student in some way.
        None | Some("Other") => UserRole::Guardian,
        Some(_) => {
            notes.warn(
                Code::EnumUnknown,
                "student_relationships.relationship",
                "the relationship is none that is known of Clever; the contact is taken as a guardian, and the word is kept",
            );
            UserRole::Guardian
        }
    }
}

fn be_contact(user: &mut User, contact: &Contact, context: &Context, notes: &mut Notes) {
    user.phone = contact.phone.get();
    if contact.phone_type.as_deref() == Some("Cell") {
        user.sms = contact.phone.get();
    }
    user.external_ids.extend(external_ids([("legacy_id", &contact.legacy_id), ("sis_id", &contact.sis_id)]));
    put(&mut user.metadata, "phone_type", &contact.phone_type);
    let mut roles: Vec<UserRole> =
        linked(&contact.student_relationships).map(|relationship| role_of(relationship, notes)).collect();
    if roles.is_empty() {
        roles.push(UserRole::from("ext:contact"));
    }
    roles.sort_by_key(|role| match role {
        UserRole::Parent => 0,
        UserRole::Guardian => 1,
        _ => 2,
    });
    roles.dedup();
    for role in &roles {
        grant(&mut user.roles, role, std::slice::from_ref(&context.district));
    }
    let own = user.sourced_id.clone();
    user.agents.extend(students_of(contact, &own));
    // What the roles do not tell: which student it is about, and Clever's own words.
    let mut words: Vec<String> = contact
        .student_relationships
        .iter()
        .filter_map(|relationship| {
            let word = |text: &Str| text.as_deref().unwrap_or("-").to_owned();
            let student = relationship.student.as_deref()?;
            Some(format!("{student}={}, {}", word(&relationship.relationship), word(&relationship.relationship_type)))
        })
        .collect();
    words.sort_unstable();
    words.dedup();
    if !words.is_empty() {
        user.metadata.insert(Text::const_new("student_relationships"), Text::new(words.join("; ")));
    }
}

fn demographics(id: &SourcedId, student: &Student, notes: &mut Notes) -> Demographics {
    let mut metadata = Metadata::new();
    let (race, race_is_known) = race(student);
    if !race_is_known {
        notes.warn(Code::EnumUnknown, "race", "the race is none that is known of Clever; its word is kept in metadata");
        put(&mut metadata, "race", &student.race);
    }
    let sex = student.gender.as_deref().map(Sex::from);
    if matches!(sex, Some(Sex::Other(_))) {
        notes.warn(Code::EnumUnknown, "gender", "the gender is none of M, F and X; it was kept as it is");
    }
    for (name, value) in [
        ("ell_status", &student.ell_status),
        ("frl_status", &student.frl_status),
        ("gifted_status", &student.gifted_status),
        ("section_504_status", &student.section_504_status),
        ("iep_status", &student.iep_status),
        ("disability_status", &student.disability.disability_status),
        ("disability_type", &student.disability.disability_type),
        ("home_language", &student.home_language),
        ("home_language_code", &student.home_language_code),
    ] {
        put(&mut metadata, name, value);
    }
    // The documentation prints these codes in capitals, the specification does not.
    if let Some(code) = student.disability.disability_code.as_deref() {
        metadata.insert(Text::const_new("disability_code"), Text::new(code.to_lowercase()));
    }
    put_ext(&mut metadata, "student", &student.ext, is_sensitive);
    Demographics {
        sourced_id: id.clone(),
        birth_date: notes.day("dob", &student.dob),
        sex,
        race,
        country_of_birth_code: None,
        state_of_birth_abbreviation: None,
        city_of_birth: None,
        public_school_residence_status: None,
        external_ids: Vec::<ExternalId>::new(),
        metadata,
    }
}

/// Clever's one word for a student's race, as the statement that it makes; and whether the word is known.
fn race(student: &Student) -> (Race, bool) {
    let mut race = Race {
        hispanic_or_latino_ethnicity: match student.hispanic_ethnicity.as_deref() {
            Some("Y") => Some(true),
            Some("N") => Some(false),
            _ => None,
        },
        ..Race::default()
    };
    let stated = match student.race.as_deref() {
        Some("Caucasian") => &mut race.white,
        Some("Asian") => &mut race.asian,
        Some("Black or African American") => &mut race.black_or_african_american,
        Some("American Indian") => &mut race.american_indian_or_alaska_native,
        Some("Hawaiian or Other Pacific Islander") => &mut race.native_hawaiian_or_other_pacific_islander,
        Some("Two or More Races") => &mut race.demographic_race_two_or_more_races,
        None | Some("Unknown") => return (race, true),
        Some(_) => return (race, false),
    };
    *stated = Some(true);
    (race, true)
}

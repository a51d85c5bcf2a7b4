//! The rules that one record can be held against by itself, whatever source it came from.

use crate::entities::{AcademicSession, Class, Course, Enrollment, Org, User};
use crate::vocabulary::RoleType;
use crate::{Code, Finding, Record, SourcedId, Text};

/// What a finding means for its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The record is refused.
    Error,
    /// The record is accepted.
    Warning,
}

/// How many bytes an id may have. The standard allows 255 characters, which is 1,020 bytes at most, and no source is known to
/// come near them; what is much longer is no id, and an index of a database does not take it.
const MAX_ID_BYTES: usize = 1_020;

/// Holds a record against the rules that need no other record, and calls `found` for each that it breaks.
pub fn validate(record: &Record, mut found: impl FnMut(Severity, Finding)) {
    id_rules(record, &mut found);
    match record {
        Record::Orgs(org) => org_rules(org, &mut found),
        Record::AcademicSessions(session) => session_rules(session, &mut found),
        Record::Courses(course) => course_rules(course, &mut found),
        Record::Classes(class) => class_rules(class, &mut found),
        Record::Users(user) => user_rules(user, &mut found),
        Record::Enrollments(enrollment) => enrollment_rules(enrollment, &mut found),
        Record::Demographics(_) => {}
    }
}

fn id_rules(record: &Record, found: &mut impl FnMut(Severity, Finding)) {
    let mut hold = |field: &str, id: &str| {
        if id.len() > MAX_ID_BYTES {
            let message =
                format!("the id is {} bytes long, and none may have more than {MAX_ID_BYTES}; correct it", id.len());
            found(Severity::Error, Finding::on(Code::FieldInvalid, field, message));
        }
    };
    hold("sourcedId", record.sourced_id().as_str());
    for id in record.external_ids() {
        hold("externalIds", &id.scheme);
        hold("externalIds", &id.value);
    }
}

fn org_rules(org: &Org, found: &mut impl FnMut(Severity, Finding)) {
    own_parent(&org.sourced_id, org.parent.as_ref(), found);
}

fn session_rules(session: &AcademicSession, found: &mut impl FnMut(Severity, Finding)) {
    if session.end_date < session.start_date {
        found(
            Severity::Error,
            Finding::on(
                Code::DateOrder,
                "endDate",
                format!(
                    "the session ends on {} before it starts on {}; correct one of the dates",
                    session.end_date, session.start_date
                ),
            ),
        );
    }
    own_parent(&session.sourced_id, session.parent.as_ref(), found);
}

fn course_rules(course: &Course, found: &mut impl FnMut(Severity, Finding)) {
    subject_lists(&course.subjects, &course.subject_codes, found);
}

fn class_rules(class: &Class, found: &mut impl FnMut(Severity, Finding)) {
    subject_lists(&class.subjects, &class.subject_codes, found);
}

fn user_rules(user: &User, found: &mut impl FnMut(Severity, Finding)) {
    if user.given_name.is_none() && user.family_name.is_none() {
        found(
            Severity::Error,
            Finding::on(Code::FieldMissing, "givenName", "both givenName and familyName are blank; give at least one"),
        );
    }
    if user.agents.contains(&user.sourced_id) {
        found(
            Severity::Warning,
            Finding::on(Code::RefType, "agentSourcedIds", "the user is listed as an agent of itself"),
        );
    }
    for (index, role) in user.roles.iter().enumerate() {
        let is_second_primary = role.role_type == RoleType::Primary
            && user.roles[..index]
                .iter()
                .any(|other| other.role_type == RoleType::Primary && other.org == role.org && other.role != role.role);
        if is_second_primary {
            found(
                Severity::Warning,
                Finding::on(Code::ValueConflict, "roleType", "the user has several primary roles at one org"),
            );
        }
        if role.user_profile.is_some() {
            found(
                Severity::Warning,
                Finding::on(
                    Code::RefDropped,
                    "userProfileSourcedId",
                    "user profiles hold credentials and are not read; the role is kept without its profile",
                ),
            );
        }
    }
    if let Some(primary_org) = &user.primary_org
        && !user.roles.is_empty()
        && !user.roles.iter().any(|role| role.org.as_ref() == Some(primary_org))
    {
        found(
            Severity::Warning,
            Finding::on(Code::ValueConflict, "primaryOrgSourcedId", "the user has no role at its primary org"),
        );
    }
}

fn enrollment_rules(enrollment: &Enrollment, found: &mut impl FnMut(Severity, Finding)) {
    if let (Some(begin), Some(end)) = (enrollment.begin_date, enrollment.end_date)
        && end < begin
    {
        found(
            Severity::Warning,
            Finding::on(
                Code::DateOrder,
                "endDate",
                format!("the enrollment ends on {end} before it begins on {begin}; it is kept as it is"),
            ),
        );
    }
}

fn own_parent(own: &SourcedId, parent: Option<&SourcedId>, found: &mut impl FnMut(Severity, Finding)) {
    if parent == Some(own) {
        found(Severity::Warning, Finding::on(Code::RefType, "parentSourcedId", "the record is its own parent"));
    }
}

fn subject_lists(subjects: &[Text], codes: &[Text], found: &mut impl FnMut(Severity, Finding)) {
    if !subjects.is_empty() && !codes.is_empty() && subjects.len() != codes.len() {
        found(
            Severity::Warning,
            Finding::on(
                Code::ValueConflict,
                "subjectCodes",
                format!(
                    "{} subjects stand beside {} subject codes; the lists should be of one length",
                    subjects.len(),
                    codes.len()
                ),
            ),
        );
    }
}

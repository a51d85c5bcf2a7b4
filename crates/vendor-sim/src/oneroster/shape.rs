//! A record as OneRoster's JSON has it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rollcall_domain::entities::{
    AcademicSession, Class, Course, Demographics, Enrollment, ExternalId, Metadata, Org, User,
};
use rollcall_domain::vocabulary::{EnrollmentRole, Sex, UserRole};
use rollcall_domain::{Kind, Record, SourcedId};

use super::Version;
use crate::as_1_1_can_say;
use crate::json::Members;

/// What stands in one part of a path as it is (RFC 3986 section 2.3).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes the members of records.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) version: Version,
    /// The base URL, to which references point.
    pub(super) base_url: String,
}

/// What a reference points to: its collection, and the token of its type in 1.1 and in 1.2.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target(&'static str, &'static str, &'static str);

pub(super) const ORG: Target = Target("orgs", "org", "org");
pub(super) const SESSION: Target = Target("academicSessions", "academicSession", "academicSession");
pub(super) const TERM: Target = Target("academicSessions", "term", "academicSession");
pub(super) const COURSE: Target = Target("courses", "course", "course");
pub(super) const CLASS: Target = Target("classes", "class", "class");
pub(super) const USER: Target = Target("users", "user", "user");

impl Shape {
    /// Writes what follows id, status and time.
    pub(super) fn write(&self, out: &mut Members, record: Record) {
        let record = match self.version {
            Version::V1_1 => as_1_1_can_say(record),
            Version::V1_2 => record,
        };
        match record {
            Record::Orgs(org) => self.org(out, &org),
            Record::AcademicSessions(session) => self.session(out, &session),
            Record::Courses(course) => self.course(out, &course),
            Record::Classes(class) => self.class(out, &class),
            Record::Users(user) => self.user(out, &user),
            Record::Enrollments(enrollment) => self.enrollment(out, &enrollment),
            Record::Demographics(demographics) => self.demographics(out, &demographics),
        }
    }

    /// One reference.
    pub(super) fn reference(&self, out: &mut Members, key: &str, target: Target, id: &str) {
        out.object(key, |reference| self.reference_members(reference, target, id));
    }

    /// A list of references.
    pub(super) fn references<T: AsRef<str>>(
        &self,
        out: &mut Members,
        key: &str,
        target: Target,
        ids: impl IntoIterator<Item = T>,
    ) {
        out.objects(key, ids, |reference, id| self.reference_members(reference, target, id.as_ref()));
    }

    fn reference_members(&self, out: &mut Members, Target(collection, v1_1, v1_2): Target, id: &str) {
        // Most ids need no encoding, and most of the bytes of a district are references.
        let mut href = String::with_capacity(self.base_url.len() + collection.len() + id.len() + 2);
        for part in [&self.base_url, "/", collection, "/"] {
            href.push_str(part);
        }
        href.extend(utf8_percent_encode(id, PATH));
        out.text("href", &href);
        out.text("sourcedId", id);
        out.text("type", if self.version == Version::V1_1 { v1_1 } else { v1_2 });
    }

    fn org(&self, out: &mut Members, org: &Org) {
        out.text("name", &org.name);
        out.text("type", org.org_type.as_str());
        out.optional("identifier", org.identifier.as_ref());
        if let Some(parent) = &org.parent {
            self.reference(out, "parent", ORG, parent.as_str());
        }
        metadata(out, &org.metadata);
    }

    fn session(&self, out: &mut Members, session: &AcademicSession) {
        out.text("title", &session.title);
        out.date("startDate", Some(session.start_date));
        out.date("endDate", Some(session.end_date));
        out.text("type", session.session_type.as_str());
        if let Some(parent) = &session.parent {
            self.reference(out, "parent", SESSION, parent.as_str());
        }
        if let Some(year) = session.school_year {
            out.text("schoolYear", &format!("{year:04}"));
        }
        metadata(out, &session.metadata);
    }

    fn course(&self, out: &mut Members, course: &Course) {
        out.text("title", &course.title);
        if let Some(year) = &course.school_year {
            self.reference(out, "schoolYear", SESSION, year.as_str());
        }
        out.optional("courseCode", course.course_code.as_ref());
        list(out, "grades", &course.grades);
        list(out, "subjects", &course.subjects);
        if let Some(org) = &course.org {
            self.reference(out, "org", ORG, org.as_str());
        }
        list(out, "subjectCodes", &course.subject_codes);
        metadata(out, &course.metadata);
    }

    fn class(&self, out: &mut Members, class: &Class) {
        out.text("title", &class.title);
        out.optional("classCode", class.class_code.as_ref());
        out.text("classType", class.class_type.as_str());
        out.optional("location", class.location.as_ref());
        list(out, "grades", &class.grades);
        list(out, "subjects", &class.subjects);
        if let Some(course) = &class.course {
            self.reference(out, "course", COURSE, course.as_str());
        }
        self.reference(out, "school", ORG, class.school.as_str());
        self.references(out, "terms", TERM, class.terms.iter().map(SourcedId::as_str));
        list(out, "subjectCodes", &class.subject_codes);
        list(out, "periods", &class.periods);
        metadata(out, &class.metadata);
    }

    fn user(&self, out: &mut Members, user: &User) {
        let v1_2 = self.version == Version::V1_2;
        if v1_2 {
            out.optional("userMasterIdentifier", user.user_master_identifier.as_ref());
        }
        out.optional("username", user.username.as_ref());
        if !user.external_ids.is_empty() {
            out.objects("userIds", &user.external_ids, |id, ExternalId { scheme, value }| {
                id.text("type", scheme);
                id.text("identifier", value);
            });
        }
        out.flag("enabledUser", Some(user.enabled_user));
        out.optional("givenName", user.given_name.as_ref());
        out.optional("familyName", user.family_name.as_ref());
        out.optional("middleName", user.middle_name.as_ref());
        if v1_2 {
            out.optional("preferredFirstName", user.preferred_given_name.as_ref());
            out.optional("preferredMiddleName", user.preferred_middle_name.as_ref());
            out.optional("preferredLastName", user.preferred_family_name.as_ref());
            out.optional("pronouns", user.pronouns.as_ref());
            out.objects("roles", &user.roles, |member, role| {
                member.text("roleType", role.role_type.as_str());
                member.text("role", role.role.as_str());
                if let Some(org) = &role.org {
                    self.reference(member, "org", ORG, org.as_str());
                }
                member.optional("userProfile", role.user_profile.as_ref());
                member.date("beginDate", role.begin_date);
                member.date("endDate", role.end_date);
            });
            if let Some(org) = &user.primary_org {
                self.reference(out, "primaryOrg", ORG, org.as_str());
            }
        } else if let Some(role) = user.roles.first() {
            // 1.1 knows one sort of administrator, and no prefix for what it does not know.
            let word = if role.role == UserRole::Administrator { "administrator" } else { role.role.as_str() };
            out.text("role", word);
        }
        out.optional("identifier", user.identifier.as_ref());
        out.optional("email", user.email.as_ref());
        out.optional("sms", user.sms.as_ref());
        out.optional("phone", user.phone.as_ref());
        self.references(out, "agents", USER, user.agents.iter().map(SourcedId::as_str));
        if !v1_2 {
            let orgs = user.roles.iter().filter_map(|role| role.org.as_ref());
            self.references(out, "orgs", ORG, orgs.map(SourcedId::as_str));
        }
        list(out, "grades", &user.grades);
        metadata(out, &user.metadata);
    }

    fn enrollment(&self, out: &mut Members, enrollment: &Enrollment) {
        self.reference(out, "user", USER, enrollment.user.as_str());
        self.reference(out, "class", CLASS, enrollment.class.as_str());
        if let Some(school) = &enrollment.school {
            self.reference(out, "school", ORG, school.as_str());
        }
        let role = enrollment.role.as_str();
        let word = match (&enrollment.role, self.version) {
            (EnrollmentRole::Other(_), _) | (_, Version::V1_2) => role,
            (_, Version::V1_1) => role.strip_prefix("ext:").unwrap_or(role),
        };
        out.text("role", word);
        out.flag("primary", enrollment.primary);
        out.date("beginDate", enrollment.begin_date);
        out.date("endDate", enrollment.end_date);
        metadata(out, &enrollment.metadata);
    }

    fn demographics(&self, out: &mut Members, demographics: &Demographics) {
        out.date("birthDate", demographics.birth_date);
        out.optional("sex", demographics.sex.as_ref().map(Sex::as_str).as_ref());
        // The seven statements follow birth date and sex, in the standard's order.
        let keys = &self.version.fields(Kind::Demographics)[2..9];
        for (key, stated) in keys.iter().zip(demographics.race.in_order()) {
            out.flag(key, stated);
        }
        out.optional("countryOfBirthCode", demographics.country_of_birth_code.as_ref());
        out.optional("stateOfBirthAbbreviation", demographics.state_of_birth_abbreviation.as_ref());
        out.optional("cityOfBirth", demographics.city_of_birth.as_ref());
        out.optional("publicSchoolResidenceStatus", demographics.public_school_residence_status.as_ref());
        metadata(out, &demographics.metadata);
    }
}

fn list<T: AsRef<str>>(out: &mut Members, key: &str, items: &[T]) {
    if !items.is_empty() {
        out.list(key, items);
    }
}

fn metadata(out: &mut Members, metadata: &Metadata) {
    if !metadata.is_empty() {
        out.object("metadata", |members| {
            for (name, value) in metadata {
                members.text(name, value);
            }
        });
    }
}

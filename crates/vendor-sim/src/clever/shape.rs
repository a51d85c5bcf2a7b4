//! A district's records as Clever's JSON has them.

use std::collections::HashSet;

use compact_str::format_compact;
use jiff::civil::Date;
use rollcall_domain::entities::{AcademicSession, Class, Course, Demographics, Org, User};
use rollcall_domain::vocabulary::{ClassType, RoleType, Sex, UserRole};
use rollcall_domain::{SourcedId, Text};

use super::ApiVersion;
use super::object_id::{Ids, ObjectId};
use crate::json::Members;

/// Writes the members of one district's objects.
#[derive(Debug)]
pub(super) struct Shape<'a> {
    pub(super) version: ApiVersion,
    pub(super) ids: &'a Ids,
    pub(super) district: ObjectId,
    pub(super) schools: &'a HashSet<SourcedId>,
}

/// Who is in a section.
#[derive(Debug, Default)]
pub(super) struct Seats {
    pub(super) students: Vec<ObjectId>,
    /// Whether each teacher is the main one.
    pub(super) teachers: Vec<(bool, ObjectId)>,
}

impl Shape<'_> {
    fn id(&self, id: &SourcedId) -> Text {
        format_compact!("{}", self.ids.of(id))
    }

    fn district(&self, out: &mut Members) {
        out.text("district", &format_compact!("{}", self.district));
    }

    /// A school, with the lowest and the highest grade that is taught there.
    pub(super) fn school(&self, out: &mut Members, org: &Org, grades: Option<(&Text, &Text)>) {
        self.district(out);
        out.text("name", &org.name);
        out.text("sis_id", org.sourced_id.as_str());
        if let Some(number) = &org.identifier {
            out.text("school_number", number);
            out.text("nces_id", number);
        }
        out.optional("phone", org.metadata.get("phone"));
        if let Some((low, high)) = grades {
            out.text("low_grade", grade(low));
            out.text("high_grade", grade(high));
        }
        out.object("location", |location| {
            for key in ["address", "city", "state", "zip"] {
                location.text(key, "");
            }
        });
        out.object("ext", |_| {});
    }

    pub(super) fn term(&self, out: &mut Members, session: &AcademicSession) {
        self.district(out);
        out.text("name", &session.title);
        out.date("start_date", Some(session.start_date));
        // Terms that follow on each other end the day before the next begins.
        out.date("end_date", session.end_date.yesterday().ok());
    }

    pub(super) fn course(&self, out: &mut Members, course: &Course) {
        self.district(out);
        out.text("name", &course.title);
        out.optional("number", course.course_code.as_ref());
    }

    /// A section; `year` is the session of what is held in several.
    pub(super) fn section(&self, out: &mut Members, class: &Class, seats: &mut Seats, year: Option<&SourcedId>) {
        seats.students.sort_unstable();
        seats.students.dedup();
        // The main teacher first.
        seats.teachers.sort_unstable_by_key(|&(main, id)| (!main, id));
        seats.teachers.dedup_by_key(|(_, id)| *id);
        self.district(out);
        out.text("school", &self.id(&class.school));
        out.text("name", &class.title);
        out.text("sis_id", class.sourced_id.as_str());
        out.text("section_number", class.class_code.as_deref().unwrap_or_default());
        out.text("period", class.periods.first().map(Text::as_str).unwrap_or_default());
        out.text("grade", if let [one] = class.grades.as_slice() { grade(one) } else { "" });
        out.text("subject", subject(class));
        if let Some(course) = &class.course {
            out.text("course", &self.id(course));
        }
        let term = if let [one] = class.terms.as_slice() { Some(one) } else { year };
        if let Some(term) = term {
            out.text("term_id", &self.id(term));
        }
        if let Some((_, main)) = seats.teachers.first() {
            out.text("teacher", &format_compact!("{main}"));
        }
        out.list("teachers", seats.teachers.iter().map(|(_, id)| format_compact!("{id}")));
        out.list("students", seats.students.iter().map(|id| format_compact!("{id}")));
        out.object("ext", |ext| {
            ext.optional("classroom", class.location.as_ref());
            ext.optional("max_students", class.metadata.get("maxStudents"));
        });
    }

    pub(super) fn user(&self, out: &mut Members, user: &User, demographics: Option<&Demographics>) {
        self.district(out);
        out.optional("email", user.email.as_ref());
        let held = |is: fn(&UserRole) -> bool| user.roles.iter().filter(move |role| is(&role.role));
        let is_contact = held(is_family).next().is_some();
        out.object("name", |name| {
            if is_contact {
                // Clever keeps the whole name of a contact in one place.
                let parts = [&user.given_name, &user.family_name];
                let parts: Vec<_> = parts.into_iter().flatten().map(Text::as_str).collect();
                name.text("last", &parts.join(" "));
            } else {
                name.optional("first", user.given_name.as_ref());
                name.text("middle", user.middle_name.as_deref().unwrap_or_default());
                name.optional("last", user.family_name.as_ref());
            }
        });
        out.object("roles", |roles| {
            if held(|role| *role == UserRole::Student).next().is_some() {
                // Students are never merged with what else they are.
                roles.object("student", |student| self.student(student, user, demographics));
                return;
            }
            if held(|role| *role == UserRole::Teacher).next().is_some() {
                roles.object("teacher", |teacher| self.teacher(teacher, user));
            }
            if user.roles.iter().any(|role| self.is_staff(role)) {
                roles.object("staff", |staff| self.staff(staff, user));
            }
            if let Some(role) = user.roles.iter().find(|role| self.is_of_district(role)) {
                roles.object("district_admin", |admin| {
                    admin.text("title", title(&role.role));
                    self.legacy_id(admin, user, 3);
                });
            }
            if is_contact {
                roles.object("contact", |contact| self.contact(contact, user));
            }
        });
    }

    fn student(&self, out: &mut Members, user: &User, demographics: Option<&Demographics>) {
        self.places(out, user, |role| role.role == UserRole::Student);
        out.objects("enrollments", std::iter::empty::<()>(), |_, ()| {});
        let sis_id = external(user, "sis").or_else(|| Some(user.sourced_id.as_str()));
        out.optional("sis_id", sis_id.as_ref());
        out.optional("student_number", user.identifier.as_ref());
        out.optional("state_id", external(user, "stateId").as_ref());
        if let Some(date) = demographics.and_then(|demographics| demographics.birth_date) {
            out.text("dob", &day(date));
        }
        out.text("gender", gender(demographics));
        out.text("grade", user.grades.first().map_or("", |name| grade(name)));
        out.text("graduation_year", "");
        out.text("race", race(demographics));
        let hispanic = demographics.and_then(|demographics| demographics.race.hispanic_or_latino_ethnicity);
        out.text("hispanic_ethnicity", hispanic.map_or("", |is| if is { "Y" } else { "N" }));
        out.object("location", |location| {
            for key in ["address", "city", "state", "zip"] {
                location.text(key, "");
            }
        });
        credentials(out, user);
        match self.version {
            ApiVersion::V3_0 => out.object("ext", |ext| ext.text("gifted_status", "")),
            ApiVersion::V3_1 => {
                out.object("ext", |_| {});
                out.text("gifted_status", "");
                out.text("section_504_status", "");
                let preferred = [
                    ("first", &user.preferred_given_name),
                    ("middle", &user.preferred_middle_name),
                    ("last", &user.preferred_family_name),
                ];
                if preferred.iter().any(|(_, name)| name.is_some()) {
                    out.object("preferred_name", |name| {
                        for (key, part) in preferred {
                            name.text(key, part.as_deref().unwrap_or_default());
                        }
                    });
                }
            }
        }
        // Lists repeat the address here; events do not.
        out.optional("email", user.email.as_ref());
    }

    fn teacher(&self, out: &mut Members, user: &User) {
        self.places(out, user, |role| role.role == UserRole::Teacher);
        let sis_id = external(user, "sis").or_else(|| Some(user.sourced_id.as_str()));
        out.optional("sis_id", sis_id.as_ref());
        out.optional("teacher_number", user.identifier.as_ref());
        out.text("state_id", "");
        out.text("title", "");
        credentials(out, user);
        self.legacy_id(out, user, 1);
    }

    fn staff(&self, out: &mut Members, user: &User) {
        let staff = || user.roles.iter().filter(|role| self.is_staff(role));
        let main = staff().find(|role| role.role_type == RoleType::Primary).or_else(|| staff().next());
        let staff_id = user.identifier.as_deref().unwrap_or(user.sourced_id.as_str());
        out.text("staff_id", staff_id);
        let mut schools: Vec<_> = staff().filter_map(|role| role.org.as_ref()).map(|org| self.id(org)).collect();
        schools.sort();
        schools.dedup();
        out.list("schools", schools);
        out.text("title", main.map_or("", |role| title(&role.role)));
        out.text("department", "");
        let leads = staff().any(|role| role.role == UserRole::SystemAdministrator);
        out.list("roles", leads.then_some("SchoolTechLead"));
        credentials(out, user);
        self.legacy_id(out, user, 2);
    }

    fn contact(&self, out: &mut Members, user: &User) {
        out.text("sis_id", user.sourced_id.as_str());
        out.text("phone", user.phone.as_deref().unwrap_or_default());
        out.text("phone_type", if user.phone.is_some() { "Home" } else { "" });
        let sort = user.roles.iter().map(|role| &role.role).find(|role| is_family(role));
        let (relationship, sort) = match sort {
            Some(UserRole::Parent) => ("Parent", "Parent/Guardian"),
            Some(UserRole::Relative) => ("Grandparent", "Family"),
            _ => ("Other", "Parent/Guardian"),
        };
        out.objects("student_relationships", &user.agents, |related, student| {
            related.text("student", &self.id(student));
            related.text("relationship", relationship);
            related.text("type", sort);
        });
        self.legacy_id(out, user, 4);
    }

    /// `school`, the main one, and `schools`, in the order of ids.
    fn places(&self, out: &mut Members, user: &User, is: impl Fn(&rollcall_domain::entities::Role) -> bool) {
        let held = || user.roles.iter().filter(|role| is(role));
        let orgs = || held().filter_map(|role| role.org.as_ref()).filter(|org| self.schools.contains(*org));
        let main_role = held().find(|role| role.role_type == RoleType::Primary).and_then(|role| role.org.as_ref());
        let primary = user.primary_org.as_ref().filter(|primary| orgs().any(|org| org == *primary));
        let primary = primary.or(main_role.filter(|org| self.schools.contains(*org))).or_else(|| orgs().next());
        if let Some(primary) = primary {
            out.text("school", &self.id(primary));
        }
        let mut schools: Vec<_> = orgs().map(|org| self.id(org)).collect();
        schools.sort();
        schools.dedup();
        out.list("schools", schools);
    }

    fn is_staff(&self, role: &rollcall_domain::entities::Role) -> bool {
        let at_school = role.org.as_ref().is_some_and(|org| self.schools.contains(org));
        at_school && !matches!(role.role, UserRole::Student | UserRole::Teacher) && !is_family(&role.role)
    }

    fn is_of_district(&self, role: &rollcall_domain::entities::Role) -> bool {
        role.org.as_ref().is_some_and(|org| self.ids.of(org) == self.district) && !is_family(&role.role)
    }

    /// The id that the role had before Clever made one user of all roles.
    fn legacy_id(&self, out: &mut Members, user: &User, role: u64) {
        let id = self.ids.of(&user.sourced_id);
        let rest = crate::random::mix(id.rest ^ role);
        out.text("legacy_id", &format_compact!("{}", ObjectId { rest, ..id }));
    }
}

fn credentials(out: &mut Members, user: &User) {
    out.object("credentials", |credentials| credentials.optional("district_username", user.username.as_ref()));
}

fn external<'a>(user: &'a User, scheme: &str) -> Option<&'a str> {
    user.external_ids.iter().find(|id| id.scheme == scheme).map(|id| id.value.as_str())
}

const fn is_family(role: &UserRole) -> bool {
    matches!(role, UserRole::Guardian | UserRole::Parent | UserRole::Relative)
}

const fn title(role: &UserRole) -> &'static str {
    match role {
        UserRole::Aide => "Aide",
        UserRole::Counselor => "Counselor",
        UserRole::DistrictAdministrator => "District Administrator",
        UserRole::Principal => "Principal",
        UserRole::Proctor => "Proctor",
        UserRole::SiteAdministrator => "Site Administrator",
        UserRole::SystemAdministrator => "System Administrator",
        _ => "",
    }
}

/// A grade in Clever's words.
fn grade(name: &str) -> &str {
    match name {
        "KG" => "Kindergarten",
        name => name.strip_prefix('0').unwrap_or(name),
    }
}

/// The subject in Clever's words, from the course's area.
fn subject(class: &Class) -> &'static str {
    if class.class_type == ClassType::Homeroom {
        return "homeroom/advisory";
    }
    match class.subjects.first().map(Text::as_str) {
        Some("English Language Arts") => "english/language arts",
        Some("Mathematics") => "math",
        Some("Life and Physical Sciences") => "science",
        Some("Social Studies") => "social studies",
        Some("World Languages") => "language",
        Some("Fine and Performing Arts") => "arts and music",
        Some("Physical Education") => "PE and health",
        Some("Computer and Information Sciences") => "technology and engineering",
        Some(_) => "other",
        None => "",
    }
}

/// A day as Clever writes that of a birth: `9/3/1998`.
fn day(date: Date) -> Text {
    format_compact!("{}/{}/{}", date.month(), date.day(), date.year())
}

fn gender(demographics: Option<&Demographics>) -> &'static str {
    match demographics.and_then(|demographics| demographics.sex.as_ref()) {
        Some(Sex::Female) => "F",
        Some(Sex::Male) => "M",
        Some(Sex::OtherSex) => "X",
        _ => "",
    }
}

/// The one statement on race that Clever has room for.
fn race(demographics: Option<&Demographics>) -> &'static str {
    const NAMES: [&str; 5] =
        ["American Indian", "Asian", "Black or African American", "Hawaiian or Other Pacific Islander", "Caucasian"];
    let Some(demographics) = demographics else { return "" };
    let stated = demographics.race.in_order();
    let mut named = NAMES.iter().zip(stated).filter(|(_, is)| *is == Some(true)).map(|(name, _)| *name);
    match (named.next(), named.next()) {
        (Some(one), None) => one,
        (Some(_), Some(_)) => "Two or More Races",
        (None, _) => "",
    }
}

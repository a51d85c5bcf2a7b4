//! Builders of records: the least that is legal, to be changed where a test is about something.

use jiff::civil::{Date, date};
use rollcall_domain::entities::{
    AcademicSession, Class, Course, Demographics, Enrollment, ExternalId, Metadata, Org, Race, Role, User,
};
use rollcall_domain::vocabulary::{ClassType, EnrollmentRole, OrgType, RoleType, SessionType, Sex, UserRole};
use rollcall_domain::{Encoder, Fingerprint, Record, SourcedId, Text};

/// A sourcedId.
///
/// # Panics
///
/// If it is blank.
pub fn id(id: &str) -> SourcedId {
    SourcedId::new(id).expect("a sourcedId that is not blank")
}

/// A school.
pub fn school(sourced_id: &str) -> Org {
    Org {
        sourced_id: id(sourced_id),
        name: Text::new(format!("School {sourced_id}")),
        org_type: OrgType::School,
        identifier: None,
        parent: None,
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    }
}

/// A term, of spring 2027.
pub fn term(sourced_id: &str) -> AcademicSession {
    AcademicSession {
        sourced_id: id(sourced_id),
        title: Text::new(format!("Term {sourced_id}")),
        session_type: SessionType::Term,
        start_date: date(2027, 1, 4),
        end_date: date(2027, 6, 19),
        parent: None,
        school_year: Some(2027),
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    }
}

/// A course.
pub fn course(sourced_id: &str) -> Course {
    Course {
        sourced_id: id(sourced_id),
        school_year: None,
        title: Text::new(format!("Course {sourced_id}")),
        course_code: None,
        grades: Vec::new(),
        org: None,
        subjects: Vec::new(),
        subject_codes: Vec::new(),
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    }
}

/// A class of a school.
pub fn class(sourced_id: &str, school: &str) -> Class {
    Class {
        sourced_id: id(sourced_id),
        title: Text::new(format!("Class {sourced_id}")),
        grades: Vec::new(),
        course: None,
        class_code: None,
        class_type: ClassType::Scheduled,
        location: None,
        school: id(school),
        terms: Vec::new(),
        subjects: Vec::new(),
        subject_codes: Vec::new(),
        periods: Vec::new(),
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    }
}

/// A user with a name and nothing else.
pub fn user(sourced_id: &str) -> User {
    User {
        sourced_id: id(sourced_id),
        enabled_user: true,
        username: None,
        external_ids: Vec::new(),
        given_name: Some(Text::new("Given")),
        family_name: Some(Text::new(format!("Family {sourced_id}"))),
        middle_name: None,
        identifier: None,
        email: None,
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
    }
}

/// A student's primary role at an org.
pub fn role(org: &str) -> Role {
    Role {
        role: UserRole::Student,
        org: Some(id(org)),
        role_type: RoleType::Primary,
        begin_date: None,
        end_date: None,
        user_profile: None,
        sourced_id: None,
    }
}

/// A student's enrollment.
pub fn enrollment(sourced_id: &str, class: &str, user: &str) -> Enrollment {
    Enrollment {
        sourced_id: id(sourced_id),
        class: id(class),
        school: None,
        user: id(user),
        role: EnrollmentRole::Student,
        primary: None,
        begin_date: None,
        end_date: None,
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    }
}

/// Demographics of a user.
pub fn demographics(user: &str) -> Demographics {
    Demographics {
        sourced_id: id(user),
        birth_date: Some(date(2015, 2, 28)),
        sex: None,
        race: Race::default(),
        country_of_birth_code: None,
        state_of_birth_abbreviation: None,
        city_of_birth: None,
        public_school_residence_status: None,
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    }
}

/// An id in another system.
pub fn external(scheme: &str, value: &str) -> ExternalId {
    ExternalId { scheme: Text::new(scheme), value: Text::new(value) }
}

/// One record of each kind with every field filled, and texts that are hard on a store.
pub fn full_records() -> Vec<Record> {
    let awkward = Text::new("Æ\t\"quoted\"\\N, line\none; ? ' % $1 \u{1F392} — and more than twenty-four bytes");
    let metadata = Metadata::from([(Text::new("ext.flag"), awkward.clone()), (Text::new("b"), Text::new(""))]);
    let ids = vec![external("", "bare"), external("SIS", &awkward), external("SIS", "2")];
    let texts = || vec![Text::new("01"), Text::new("02"), awkward.clone()];
    let day = |month: i8| -> Date { date(2027, month, 1) };
    let mut district = school("district");
    district.org_type = OrgType::District;
    let mut org = school("school");
    org.identifier = Some(awkward.clone());
    org.parent = Some(id("district"));
    org.external_ids.clone_from(&ids);
    org.metadata.clone_from(&metadata);
    let mut year = term("year");
    year.session_type = SessionType::SchoolYear;
    let mut session = term("term");
    session.parent = Some(id("year"));
    session.external_ids.clone_from(&ids);
    session.metadata.clone_from(&metadata);
    let mut full_course = course("course");
    full_course.school_year = Some(id("year"));
    full_course.org = Some(id("district"));
    full_course.course_code = Some(awkward.clone());
    full_course.grades = texts();
    full_course.subjects = texts();
    full_course.subject_codes = texts();
    full_course.external_ids.clone_from(&ids);
    full_course.metadata.clone_from(&metadata);
    let mut full_class = class("class", "school");
    full_class.grades = texts();
    full_class.course = Some(id("course"));
    full_class.class_code = Some(awkward.clone());
    full_class.class_type = ClassType::Other(Text::new("ext:lab"));
    full_class.location = Some(awkward.clone());
    full_class.terms = vec![id("term"), id("year"), id("unknown term")];
    full_class.subjects = texts();
    full_class.subject_codes = texts();
    full_class.periods = texts();
    full_class.external_ids.clone_from(&ids);
    full_class.metadata.clone_from(&metadata);
    let mut agent = user("agent");
    agent.enabled_user = false;
    let mut full_user = user("user");
    for text in [
        &mut full_user.username,
        &mut full_user.middle_name,
        &mut full_user.identifier,
        &mut full_user.email,
        &mut full_user.sms,
        &mut full_user.phone,
        &mut full_user.user_master_identifier,
        &mut full_user.preferred_given_name,
        &mut full_user.preferred_middle_name,
        &mut full_user.preferred_family_name,
        &mut full_user.pronouns,
    ] {
        *text = Some(awkward.clone());
    }
    full_user.external_ids.clone_from(&ids);
    full_user.agents = vec![id("agent"), id("unknown agent")];
    full_user.grades = texts();
    full_user.primary_org = Some(id("school"));
    full_user.roles = vec![
        role("school"),
        Role {
            role: UserRole::Other(Text::new("ext:mentor")),
            org: None,
            role_type: RoleType::Secondary,
            begin_date: Some(day(1)),
            end_date: Some(day(7)),
            user_profile: Some(awkward.clone()),
            sourced_id: Some(id("role 2")),
        },
        role("unknown org"),
    ];
    full_user.metadata.clone_from(&metadata);
    let mut full_enrollment = enrollment("enrollment", "class", "user");
    full_enrollment.school = Some(id("another school"));
    full_enrollment.role = EnrollmentRole::Teacher;
    full_enrollment.primary = Some(true);
    full_enrollment.begin_date = Some(day(1));
    full_enrollment.end_date = Some(day(6));
    full_enrollment.external_ids.clone_from(&ids);
    full_enrollment.metadata.clone_from(&metadata);
    let mut full_demographics = demographics("user");
    full_demographics.sex = Some(Sex::OtherSex);
    full_demographics.race =
        Race::from_order([Some(true), Some(false), None, Some(true), None, Some(false), Some(true)]);
    full_demographics.country_of_birth_code = Some(Text::new("US"));
    full_demographics.state_of_birth_abbreviation = Some(Text::new("OH"));
    full_demographics.city_of_birth = Some(awkward.clone());
    full_demographics.public_school_residence_status = Some(awkward);
    full_demographics.external_ids = ids;
    full_demographics.metadata = metadata;
    let mut records: Vec<Record> = vec![
        district.into(),
        org.into(),
        year.into(),
        session.into(),
        full_course.into(),
        full_class.into(),
        agent.into(),
        full_user.into(),
        full_enrollment.into(),
        full_demographics.into(),
    ];
    records.iter_mut().for_each(Record::normalise);
    records
}

/// The fingerprint of a record, which is normalised first.
pub fn fingerprint(record: &mut Record) -> Fingerprint {
    record.normalise();
    record.fingerprint(&mut Encoder::default())
}

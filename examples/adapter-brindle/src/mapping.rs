//! From Brindle's objects to domain records: pure functions.

use rollcall_domain::entities::{Class, Enrollment, Metadata, Org, Role, User};
use rollcall_domain::ports::{Item, Upsert};
use rollcall_domain::vocabulary::{ClassType, EnrollmentRole, OrgType, RoleType, UserRole};
use rollcall_domain::{Code, Encoder, Finding, Kind, Location, Record, Reject, SourcedId, Text, Warning};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::wire::{Group, Person, School};

/// What became of an object.
#[derive(Debug, Default)]
pub(crate) struct Mapped {
    pub(crate) records: Vec<Record>,
    /// What would have been made of it and could not, each with the reason.
    pub(crate) missing: Vec<(Kind, Finding)>,
    /// It is accepted and should be known.
    pub(crate) warnings: Vec<Finding>,
}

/// Maps one object. One that cannot be mapped is refused, and no other with it but what would have been made of it, which is
/// `derived`.
pub(crate) fn items<W: DeserializeOwned>(
    kind: Kind,
    derived: Option<Kind>,
    object: &Value,
    location: &Location,
    map: impl FnOnce(&W) -> Result<Mapped, Finding>,
) -> Vec<Item> {
    let sourced_id = object["id"].as_str().and_then(|id| SourcedId::new(id).ok());
    // What the reader says of a value can quote it.
    let unreadable =
        |_| Finding::whole(Code::FieldInvalid, "a field of the object is of a form that is not documented");
    // A refused record is not an absent one. Without an id it could be any of its kind, and none of them is deleted then for
    // not having come.
    let refused = |kind, sourced_id, finding| {
        let (location, record) = (location.clone(), Some(object.clone()));
        Item::Reject(Reject { kind, sourced_id, is_part: false, location, findings: vec![finding], record })
    };
    match W::deserialize(object).map_err(unreadable).and_then(|object| map(&object)) {
        Ok(Mapped { records, missing, warnings }) => {
            let mut scratch = Encoder::default();
            let upserts = records
                .into_iter()
                .map(|record| Item::Upsert(Upsert::new(record, None, location.clone(), &mut scratch)));
            let missing = missing.into_iter().map(|(kind, finding)| refused(kind, None, finding));
            let warnings = warnings.into_iter().map(|finding| {
                let (sourced_id, location) = (sourced_id.clone(), location.clone());
                Item::Warning(Warning { kind: Some(kind), sourced_id, location, finding })
            });
            upserts.chain(missing).chain(warnings).collect()
        }
        Err(finding) => {
            let with_it =
                |kind| refused(kind, None, Finding::whole(Code::RefRejected, "what it is part of was refused"));
            std::iter::once(refused(kind, sourced_id.clone(), finding)).chain(derived.map(with_it)).collect()
        }
    }
}

pub(crate) fn school(school: &School) -> Result<Mapped, Finding> {
    let org = Org {
        sourced_id: id("id", &school.id)?,
        name: text(school.name.as_ref())
            .ok_or_else(|| Finding::on(Code::FieldMissing, "name", "the school has no name"))?,
        org_type: OrgType::School,
        identifier: text(school.number.as_ref()),
        parent: None,
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    };
    Ok(Mapped { records: vec![org.into()], ..Mapped::default() })
}

pub(crate) fn person(person: &Person) -> Result<Mapped, Finding> {
    let mut warnings = Vec::new();
    let role = match person.kind.as_deref() {
        Some("pupil") => UserRole::Student,
        Some("teacher") => UserRole::Teacher,
        Some("office") => UserRole::SiteAdministrator,
        // What is new at the vendor must not cost anybody the roster.
        other => {
            let message = "the kind of the person is none that is known; it was kept as it is called";
            warnings.push(Finding::on(Code::EnumUnknown, "kind", message));
            UserRole::from(format!("ext:{}", other.unwrap_or("unknown")).as_str())
        }
    };
    let school = person.school.as_deref().and_then(|school| SourcedId::new(school).ok());
    let user = User {
        sourced_id: id("id", &person.id)?,
        enabled_user: true,
        username: None,
        external_ids: Vec::new(),
        // Whether somebody without any name is somebody is for the domain to say.
        given_name: text(person.first.as_ref()),
        family_name: text(person.last.as_ref()),
        middle_name: None,
        identifier: None,
        email: text(person.email.as_ref()),
        sms: None,
        phone: None,
        agents: Vec::new(),
        grades: text(person.year.as_ref()).map(|year| Text::new(format!("{year:0>2}"))).into_iter().collect(),
        user_master_identifier: None,
        preferred_given_name: None,
        preferred_middle_name: None,
        preferred_family_name: None,
        primary_org: school.clone(),
        pronouns: None,
        roles: vec![Role {
            role,
            org: school,
            role_type: RoleType::Primary,
            begin_date: None,
            end_date: None,
            user_profile: None,
            sourced_id: None,
        }],
        metadata: Metadata::new(),
    };
    Ok(Mapped { records: vec![user.into()], warnings, ..Mapped::default() })
}

/// A group is a class, and its leader and members are the enrollments that Brindle does not have as such.
pub(crate) fn group(group: &Group) -> Result<Mapped, Finding> {
    let class = Class {
        sourced_id: id("id", &group.id)?,
        title: text(group.name.as_ref()).unwrap_or_else(|| Text::new(&group.id)),
        grades: Vec::new(),
        course: None,
        class_code: None,
        class_type: ClassType::Scheduled,
        location: None,
        school: id("school", group.school.as_deref().unwrap_or_default())?,
        terms: Vec::new(),
        subjects: Vec::new(),
        subject_codes: Vec::new(),
        periods: Vec::new(),
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    };
    let leader = group.leader.iter().map(|leader| ("leader", leader, EnrollmentRole::Teacher));
    let members = group.members.iter().map(|member| ("members", member, EnrollmentRole::Student));
    let mut mapped = Mapped::default();
    for (field, person, role) in leader.chain(members) {
        match enrollment(&class, field, person, role) {
            Ok(enrollment) => mapped.records.push(enrollment.into()),
            // It costs neither the class nor the others in it.
            Err(finding) => mapped.missing.push((Kind::Enrollments, finding)),
        }
    }
    mapped.records.insert(0, class.into());
    Ok(mapped)
}

fn enrollment(class: &Class, field: &str, user: &Value, role: EnrollmentRole) -> Result<Enrollment, Finding> {
    let user = id(field, user.as_str().unwrap_or_default())?;
    Ok(Enrollment {
        // The same at every pull: an id that is made up anew would be another enrollment.
        sourced_id: id(field, &format!("{}:{user}:{role}", class.sourced_id))?,
        class: class.sourced_id.clone(),
        school: Some(class.school.clone()),
        user,
        primary: (role == EnrollmentRole::Teacher).then_some(true),
        role,
        begin_date: None,
        end_date: None,
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    })
}

fn id(field: &str, id: &str) -> Result<SourcedId, Finding> {
    SourcedId::new(id).map_err(|_| Finding::on(Code::FieldMissing, field, "the id is missing, blank or no text"))
}

/// A blank text is none.
fn text(text: Option<&String>) -> Option<Text> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty()).map(Text::new)
}

//! Pages of objects become items.

use std::collections::HashMap;

use rollcall_domain::ports::{Deletion, Item, OwnedChange, Upsert};
use rollcall_domain::{Code, Encoder, Finding, Kind, Location, Record, Reject, SourcedId, Warning};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::fields::Notes;
use super::user::is_sensitive;
use super::{Context, course, org, section, session, user};
use crate::client::{Mapped, Object, id_of, short};
use crate::wire;

/// One object on its way to its items.
pub(crate) struct Emitter<'e> {
    location: Location,
    items: &'e mut Vec<Item>,
    scratch: &'e mut Encoder,
    pub(crate) notes: Notes,
}

impl Emitter<'_> {
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn upsert(&mut self, record: impl Into<Record>) {
        self.items.push(Item::Upsert(Upsert::new(record.into(), None, self.location.clone(), self.scratch)));
    }

    pub(crate) fn upsert_without_agents(&mut self, record: impl Into<Record>) {
        let upsert = Upsert::new(record.into(), None, self.location.clone(), self.scratch);
        self.items.push(Item::Upsert(upsert.without_agents()));
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.items.push(item);
    }
}

/// Maps the objects of a page one by one. One that cannot be read is refused, and no other with it.
pub(crate) fn each<W, T>(kind: Kind, objects: &[Object], map: impl FnMut(W, &mut Emitter<'_>, &mut T)) -> Mapped<T>
where
    W: for<'de> Deserialize<'de>,
    T: Default,
{
    each_with(kind, objects, map, |_, _| Vec::new())
}

/// The same for objects of which records of other kinds are derived. They are missing with an object that is refused, and
/// `missing` tells which, so that nobody takes them for absent (R5).
fn each_with<W, T>(
    kind: Kind,
    objects: &[Object],
    mut map: impl FnMut(W, &mut Emitter<'_>, &mut T),
    missing: impl Fn(&Object, Option<&SourcedId>) -> Vec<Reject>,
) -> Mapped<T>
where
    W: for<'de> Deserialize<'de>,
    T: Default,
{
    let mut mapped = Mapped { items: Vec::with_capacity(objects.len()), ..Mapped::default() };
    let mut scratch = Encoder::default();
    for object in objects {
        let Object { raw, location } = object;
        let has_nul = raw.get().contains("\\u0000");
        let id = id_of(raw).filter(|id| !id.as_str().contains('\0'));
        mapped.ids.extend(id.as_ref().map(|id| short(id.as_str())));
        let Mapped { items, facts, .. } = &mut mapped;
        let mut emitter = Emitter { location: location.clone(), items, scratch: &mut scratch, notes: Notes::default() };
        match serde_json::from_str::<W>(raw.get()) {
            _ if has_nul => emitter.notes.refusals.push(Finding::whole(
                Code::EncodingInvalid,
                format!("the {} holds a NUL, which is no part of any text; correct it in Clever", kind.singular()),
            )),
            Ok(object) => map(object, &mut emitter, facts),
            // What the reader says of it can quote the object.
            Err(_) => emitter.notes.refusals.push(Finding::whole(
                Code::FieldInvalid,
                format!("a field of the {} is of a form that Clever does not document", kind.singular()),
            )),
        }
        let Emitter { notes, .. } = emitter;
        if !notes.refusals.is_empty() {
            mapped.items.extend(missing(object, id.as_ref()).into_iter().map(Item::Reject));
            mapped.items.push(Item::Reject(Reject {
                kind,
                sourced_id: id,
                is_part: false,
                location: location.clone(),
                findings: notes.refusals,
                record: quoted(raw).filter(|_| !has_nul),
            }));
            continue;
        }
        for finding in notes.warnings {
            let location = location.clone();
            mapped.items.push(Item::Warning(Warning { kind: Some(kind), sourced_id: id.clone(), location, finding }));
        }
    }
    mapped
}

/// An object as it may be kept with its refusal: without demographics, addresses and passwords.
fn quoted(raw: &RawValue) -> Option<Value> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| {
                    !is_sensitive(name) && name != "location" && !name.to_ascii_lowercase().contains("password")
                });
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(raw.get()).ok()?;
    strip(&mut value);
    Some(value)
}

pub(crate) fn schools(context: &Context, objects: &[Object]) -> Mapped<()> {
    each(Kind::Orgs, objects, |school: wire::School, out, ()| {
        if let Some(org) = org::school(&school, context, &mut out.notes) {
            out.upsert(org);
        }
    })
}

/// Terms are few, and each year spans its own: they are mapped when all are there.
pub(crate) fn terms(objects: &[Object]) -> Mapped<Vec<session::Placed>> {
    each(Kind::AcademicSessions, objects, |term: wire::Term, out, terms: &mut Vec<_>| {
        if let Some(id) = out.notes.id(&term.id) {
            terms.push(session::Placed { id, term, location: out.location().clone() });
        }
    })
}

pub(crate) fn courses(context: &Context, years: &HashMap<SourcedId, u16>, objects: &[Object]) -> Mapped<()> {
    each(Kind::Courses, objects, |course: wire::Course, out, ()| {
        let year = course.id.id().and_then(|id| years.get(&id)).copied();
        if let Some(course) = course::course(&course, year, context, &mut out.notes) {
            out.upsert(course);
        }
    })
}

/// Classes that changed, each with all of its enrollments: which of them are new is not for us to say.
pub(crate) fn changed_sections(context: &Context, objects: &[Object]) -> Mapped<section::Facts> {
    each(Kind::Classes, objects, |section: wire::Section, out, facts: &mut section::Facts| {
        let Some(class) = section::class(&section, context, &mut out.notes) else { return };
        facts.learn(&section, context);
        match course::synthetic(&section, &class, context) {
            Some(course) => out.upsert(course),
            // It may have stood for a course until now; no event tells.
            None => {
                if let Some(sourced_id) = course::synthetic_id(&class.sourced_id) {
                    let location = out.location().clone();
                    out.push(Item::Delete(Deletion { kind: Kind::Courses, sourced_id, modified_ms: None, location }));
                }
            }
        }
        let enrollments = section::enrollments(&section, &class);
        let (class_id, location) = (class.sourced_id.clone(), out.location().clone());
        let odd = odd_members(&section, &class_id, &location);
        out.upsert(class);
        match odd {
            None => out.push(Item::Owned(OwnedChange::Enrollments { class: class_id, enrollments, location })),
            // Those who are not among them may still be meant.
            Some(odd) => {
                for enrollment in enrollments {
                    out.upsert(enrollment);
                }
                out.push(odd);
            }
        }
    })
}

/// Classes, each with its enrollments behind it.
pub(crate) fn sections(context: &Context, objects: &[Object]) -> Mapped<section::Facts> {
    let map = |section: wire::Section, out: &mut Emitter<'_>, facts: &mut section::Facts| {
        let Some(class) = section::class(&section, context, &mut out.notes) else { return };
        facts.learn(&section, context);
        if let Some(course) = course::synthetic(&section, &class, context) {
            out.upsert(course);
        }
        let enrollments = section::enrollments(&section, &class);
        let odd = odd_members(&section, &class.sourced_id, out.location());
        out.upsert(class);
        for enrollment in enrollments {
            out.upsert(enrollment);
        }
        if let Some(odd) = odd {
            out.push(odd);
        }
    };
    each_with(Kind::Classes, objects, map, |object, id| {
        let members = serde_json::from_str::<wire::Members>(object.raw.get()).unwrap_or_default();
        let refused = |kind, derived| missing_with(kind, derived, object, ("section", id));
        let mut missing = match section::enrollment_ids(&members) {
            Some(ids) => ids.into_iter().map(|id| refused(Kind::Enrollments, Some(id))).collect(),
            // Nobody knows whose they are: none is taken for absent.
            None => vec![refused(Kind::Enrollments, None)],
        };
        if members.course.0.is_none() {
            missing.push(refused(Kind::Courses, id.and_then(course::synthetic_id)));
        }
        missing
    })
}

/// The refusal of a record that would have been derived of an object.
fn missing_with(
    kind: Kind,
    sourced_id: Option<SourcedId>,
    object: &Object,
    (what, of): (&str, Option<&SourcedId>),
) -> Reject {
    let message = format!("the {what} of which it is part was refused; correct that, and it is taken again");
    let record = of.map(|of| json!({ what: of.as_str() }));
    let (location, findings) = (object.location.clone(), vec![Finding::whole(Code::RefRejected, message)]);
    Reject { kind, sourced_id, is_part: false, location, findings, record }
}

/// The refusal of the enrollments of a section's members that are no ids.
fn odd_members(section: &wire::Section, id: &SourcedId, location: &Location) -> Option<Item> {
    let finding = section::odd_members(&section.teacher, &section.teachers, &section.students)?;
    Some(Item::Reject(Reject {
        kind: Kind::Enrollments,
        // It could be any of them: none is taken for absent (R5).
        sourced_id: None,
        is_part: false,
        location: location.clone(),
        findings: vec![finding],
        record: Some(json!({ "section": id.as_str() })),
    }))
}

/// What users tell of each other.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// A contact names a student whose record does not name the contact.
    pub(crate) is_one_missing: bool,
}

pub(crate) fn users(context: &Context, objects: &[Object]) -> Mapped<Links> {
    let map = |user: wire::User, out: &mut Emitter<'_>, links: &mut Links| {
        let Some(person) = user::user(&user, context, &mut out.notes) else { return };
        if let (Some(contacts), Some(role)) = (&context.contacts, &user.roles.contact) {
            let contact = &person.user.sourced_id;
            links.is_one_missing |= user::students_of(role, contact).any(|student| !contacts.has(&student, contact));
        }
        match &context.contacts {
            _ if user.roles.student.is_none() => out.upsert(person.user),
            Some(contacts) if contacts.are_all => out.upsert(person.user),
            // Contacts speak for themselves and for their students; nobody else does.
            None => out.upsert_without_agents(person.user),
            // Who is no contact any more cannot be told. Those who are known are.
            Some(contacts) => {
                let student = person.user.sourced_id.clone();
                out.upsert_without_agents(person.user);
                for contact in contacts.of(&student) {
                    let (user, agent, location) = (student.clone(), contact.clone(), out.location().clone());
                    out.push(Item::Owned(OwnedChange::Agent { user, agent, location }));
                }
            }
        }
        if let Some(demographics) = person.demographics {
            out.upsert(demographics);
        }
    };
    each_with(Kind::Users, objects, map, |object, id| {
        // Where changes alone are read, what is not sent is not absent.
        let is_whole = context.contacts.is_some();
        let is_missing = is_whole && context.demographics && may_be_student(&object.raw);
        let refused = || missing_with(Kind::Demographics, id.cloned(), object, ("user", id));
        is_missing.then(refused).into_iter().collect()
    })
}

/// Whether a user may be a student, for all that can be told of one who cannot be read.
fn may_be_student(raw: &RawValue) -> bool {
    let user = serde_json::from_str::<Value>(raw.get()).ok();
    let roles = user.as_ref().and_then(|user| user.get("roles")?.as_object());
    roles.is_none_or(|roles| roles.contains_key("student"))
}

/// Who is a contact of which student.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    pub(crate) pairs: Vec<(SourcedId, SourcedId)>,
    /// Of some user it cannot be told whose contact they are.
    pub(crate) is_one_untold: bool,
}

/// Who is a contact of which student, and nothing else. What is wrong with a user is said where all users are read; whoever
/// is refused there stays whose contact they are (R5).
pub(crate) fn contacts(objects: &[Object]) -> Mapped<Pairs> {
    let mut mapped = Mapped::<Pairs>::default();
    for Object { raw, .. } in objects {
        mapped.ids.extend(id_of(raw).map(|id| short(id.as_str())));
        let user = serde_json::from_str::<wire::Contacting>(raw.get()).ok();
        let Pairs { pairs, is_one_untold } = &mut mapped.facts;
        match user.and_then(|user| Some((user.id.id()?, user.roles.contact))) {
            Some((_, None)) => {}
            Some((contact, Some(role))) => {
                *is_one_untold |= user::has_untold_student(&role);
                pairs.extend(user::students_of(&role, &contact).map(|student| (student, contact.clone())));
            }
            None => *is_one_untold = true,
        }
    }
    mapped
}

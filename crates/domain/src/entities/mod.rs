//! The roster entities: the superset of OneRoster 1.2, into which 1.1 and vendors' shapes are mapped.
//!
//! Field names follow the OneRoster 1.2 CSV binding. An absent value is `None` or an empty list, never an empty text.
//! All dates of an end are exclusive: the day after the last one.

mod academic_session;
mod class;
mod course;
mod demographics;
mod enrollment;
mod org;
mod user;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use academic_session::AcademicSession;
pub use class::Class;
pub use course::Course;
pub use demographics::{Demographics, Race};
pub use enrollment::Enrollment;
pub use org::Org;
pub use user::{Role, User};

use crate::{Encoder, Fingerprint, Kind, Reference, SourcedId, Text};

/// Extension fields by name, as the source wrote them.
pub type Metadata = BTreeMap<Text, Text>;

/// An id that another system knows the record by.
///
/// A user's OneRoster `userIds` are external ids, their `type` being the scheme. A bare value without a type has an
/// empty scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExternalId {
    /// The system or register that the value belongs to.
    pub scheme: Text,
    /// The id in it.
    pub value: Text,
}

/// A record of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Record {
    /// An org.
    Orgs(Box<Org>),
    /// An academic session.
    AcademicSessions(Box<AcademicSession>),
    /// A course.
    Courses(Box<Course>),
    /// A class.
    Classes(Box<Class>),
    /// A user.
    Users(Box<User>),
    /// An enrollment.
    Enrollments(Box<Enrollment>),
    /// A demographics record.
    Demographics(Box<Demographics>),
}

/// Calls `$body` with `$entity` bound to the entity inside `$record`.
macro_rules! each_entity {
    ($record:expr, $entity:ident => $body:expr) => {
        match $record {
            Record::Orgs($entity) => $body,
            Record::AcademicSessions($entity) => $body,
            Record::Courses($entity) => $body,
            Record::Classes($entity) => $body,
            Record::Users($entity) => $body,
            Record::Enrollments($entity) => $body,
            Record::Demographics($entity) => $body,
        }
    };
}

impl Record {
    /// The kind of the record.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Orgs(_) => Kind::Orgs,
            Self::AcademicSessions(_) => Kind::AcademicSessions,
            Self::Courses(_) => Kind::Courses,
            Self::Classes(_) => Kind::Classes,
            Self::Users(_) => Kind::Users,
            Self::Enrollments(_) => Kind::Enrollments,
            Self::Demographics(_) => Kind::Demographics,
        }
    }

    /// The record's own id.
    pub fn sourced_id(&self) -> &SourcedId {
        each_entity!(self, entity => &entity.sourced_id)
    }

    /// The record's ids in other systems.
    pub fn external_ids(&self) -> &[ExternalId] {
        each_entity!(self, entity => &entity.external_ids)
    }

    /// Calls `visit` for every reference that the record holds, in the order of its fields.
    pub fn each_reference<'a>(&'a self, mut visit: impl FnMut(Reference<'a>)) {
        each_entity!(self, entity => entity.each_reference(&mut visit));
    }

    /// Sorts the lists whose order means nothing and drops what they repeat, so that equal records are equal.
    pub fn normalise(&mut self) {
        each_entity!(self, entity => entity.normalise());
    }

    /// The fingerprint of the record. The record must be [normalised](Record::normalise); `scratch` is overwritten.
    pub fn fingerprint(&self, scratch: &mut Encoder) -> Fingerprint {
        scratch.clear();
        scratch.byte(self.kind() as u8);
        each_entity!(self, entity => entity.encode(scratch));
        scratch.fingerprint()
    }

    /// Whether the record switches its user off: `enabledUser = false`. Such a change weighs as much as a deletion.
    pub fn is_disabled_user(&self) -> bool {
        matches!(self, Self::Users(user) if !user.enabled_user)
    }
}

macro_rules! record_from {
    ($($variant:ident($entity:ident)),+) => {$(
        impl From<$entity> for Record {
            fn from(entity: $entity) -> Self {
                Self::$variant(Box::new(entity))
            }
        }
    )+};
}

record_from!(
    Orgs(Org),
    AcademicSessions(AcademicSession),
    Courses(Course),
    Classes(Class),
    Users(User),
    Enrollments(Enrollment),
    Demographics(Demographics)
);

fn encode_metadata(encoder: &mut Encoder, metadata: &Metadata) {
    encoder.number(metadata.len() as u64);
    for (name, value) in metadata {
        encoder.text(name);
        encoder.text(value);
    }
}

fn encode_external_ids(encoder: &mut Encoder, external_ids: &[ExternalId]) {
    encoder.number(external_ids.len() as u64);
    for id in external_ids {
        encoder.text(&id.scheme);
        encoder.text(&id.value);
    }
}

fn encode_ids(encoder: &mut Encoder, ids: &[SourcedId]) {
    encoder.number(ids.len() as u64);
    for id in ids {
        encoder.text(id.as_str());
    }
}

fn sort_and_dedup<T: Ord>(list: &mut Vec<T>) {
    if list.len() > 1 {
        list.sort_unstable();
        list.dedup();
    }
}

//! Records as rows: what is written into staging, and what is read back.
//!
//! Both sides go through the columns and links in the order of the kind's [`Layout`].

use std::borrow::Cow;

use jiff::civil::Date;
use rollcall_domain::entities::{
    AcademicSession, Class, Course, Demographics, Enrollment, ExternalId, Metadata, Org, Race, Role, User,
};
use rollcall_domain::ports::StoreError;
use rollcall_domain::{Kind, Record, RefField, SourcedId, Text};

use crate::connection::{Bind, Row};
use crate::layout::{Layout, layout};

/// The rows that a record owns, beside its own.
#[derive(Debug, Default)]
pub(crate) struct Owned {
    pub(crate) roles: Vec<Role>,
    /// Terms of a class or agents of a user.
    pub(crate) links: Vec<SourcedId>,
    pub(crate) external_ids: Vec<ExternalId>,
}

impl Owned {
    /// Adds a row of the table in which this field is.
    pub(crate) fn add(&mut self, field: RefField, mut reader: Reader) -> Result<(), StoreError> {
        if field == RefField::RoleOrg {
            self.roles.push(reader.role()?);
        } else {
            self.links.extend(reader.maybe_id());
        }
        Ok(())
    }
}

fn id(id: &SourcedId) -> Bind<'_> {
    Bind::text(id.as_str())
}

fn maybe_id(id: Option<&SourcedId>) -> Bind<'_> {
    Bind::maybe(id.map(SourcedId::as_str))
}

fn maybe(text: Option<&Text>) -> Bind<'_> {
    Bind::maybe(text.map(Text::as_str))
}

fn date(date: Option<Date>) -> Bind<'static> {
    Bind::Text(date.map(|date| Cow::Owned(date.to_string())))
}

/// A list as JSON; none if it is empty.
fn list(texts: &[Text]) -> Bind<'static> {
    if texts.is_empty() {
        Bind::Text(None)
    } else {
        Bind::owned(texts.iter().map(Text::as_str).collect::<serde_json::Value>().to_string())
    }
}

fn metadata(metadata: &Metadata) -> Bind<'static> {
    if metadata.is_empty() {
        return Bind::Text(None);
    }
    let map: serde_json::Map<_, _> =
        metadata.iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
    Bind::owned(serde_json::Value::Object(map).to_string())
}

/// The columns of a record and the raw ids of its links, in the order of its layout.
pub(crate) fn write<'a>(record: &'a Record, out: &mut Vec<Bind<'a>>) {
    match record {
        Record::Orgs(org) => out.extend([
            Bind::text(&org.name),
            Bind::text(org.org_type.as_str()),
            maybe(org.identifier.as_ref()),
            metadata(&org.metadata),
            maybe_id(org.parent.as_ref()),
        ]),
        Record::AcademicSessions(session) => out.extend([
            Bind::text(&session.title),
            Bind::text(session.session_type.as_str()),
            date(Some(session.start_date)),
            date(Some(session.end_date)),
            Bind::Int(session.school_year.map(i64::from)),
            metadata(&session.metadata),
            maybe_id(session.parent.as_ref()),
        ]),
        Record::Courses(course) => out.extend([
            Bind::text(&course.title),
            maybe(course.course_code.as_ref()),
            list(&course.grades),
            list(&course.subjects),
            list(&course.subject_codes),
            metadata(&course.metadata),
            maybe_id(course.school_year.as_ref()),
            maybe_id(course.org.as_ref()),
        ]),
        Record::Classes(class) => out.extend([
            Bind::text(&class.title),
            list(&class.grades),
            maybe(class.class_code.as_ref()),
            Bind::text(class.class_type.as_str()),
            maybe(class.location.as_ref()),
            list(&class.subjects),
            list(&class.subject_codes),
            list(&class.periods),
            metadata(&class.metadata),
            maybe_id(class.course.as_ref()),
            id(&class.school),
        ]),
        Record::Users(user) => out.extend([
            Bind::Bool(Some(user.enabled_user)),
            maybe(user.username.as_ref()),
            maybe(user.given_name.as_ref()),
            maybe(user.family_name.as_ref()),
            maybe(user.middle_name.as_ref()),
            maybe(user.identifier.as_ref()),
            maybe(user.email.as_ref()),
            maybe(user.sms.as_ref()),
            maybe(user.phone.as_ref()),
            list(&user.grades),
            maybe(user.user_master_identifier.as_ref()),
            maybe(user.preferred_given_name.as_ref()),
            maybe(user.preferred_middle_name.as_ref()),
            maybe(user.preferred_family_name.as_ref()),
            maybe(user.pronouns.as_ref()),
            metadata(&user.metadata),
            maybe_id(user.primary_org.as_ref()),
        ]),
        Record::Enrollments(enrollment) => out.extend([
            Bind::text(enrollment.role.as_str()),
            Bind::Bool(enrollment.primary),
            date(enrollment.begin_date),
            date(enrollment.end_date),
            metadata(&enrollment.metadata),
            maybe_id(enrollment.school.as_ref()),
            id(&enrollment.class),
            id(&enrollment.user),
        ]),
        Record::Demographics(demographics) => {
            out.extend([
                date(demographics.birth_date),
                Bind::maybe(demographics.sex.as_ref().map(rollcall_domain::vocabulary::Sex::as_str)),
            ]);
            out.extend(demographics.race.in_order().map(Bind::Bool));
            out.extend([
                maybe(demographics.country_of_birth_code.as_ref()),
                maybe(demographics.state_of_birth_abbreviation.as_ref()),
                maybe(demographics.city_of_birth.as_ref()),
                maybe(demographics.public_school_residence_status.as_ref()),
                metadata(&demographics.metadata),
                id(&demographics.sourced_id),
            ]);
        }
    }
}

/// The columns of a role and the raw id of its org.
pub(crate) fn write_role<'a>(role: &'a Role, out: &mut Vec<Bind<'a>>) {
    out.extend([
        Bind::text(role.role.as_str()),
        Bind::text(role.role_type.as_str()),
        date(role.begin_date),
        date(role.end_date),
        maybe(role.user_profile.as_ref()),
        maybe_id(role.sourced_id.as_ref()),
        maybe_id(role.org.as_ref()),
    ]);
}

/// Takes the cells of one row, one after the other, and knows what to blame.
pub(crate) struct Reader {
    row: Row,
    next: usize,
    layout: &'static Layout,
    id: i64,
}

impl Reader {
    /// Reads on from the cell `next`.
    pub(crate) fn new(row: Row, next: usize, layout: &'static Layout, id: i64) -> Self {
        Self { row, next, layout, id }
    }

    fn inconsistent(&self, index: usize) -> StoreError {
        inconsistent(self.layout, index, self.id)
    }

    fn text(&mut self) -> Option<Text> {
        self.next += 1;
        self.row.text(self.next - 1)
    }

    fn must(&mut self) -> Result<Text, StoreError> {
        let index = self.next;
        self.text().ok_or_else(|| self.inconsistent(index))
    }

    fn flag(&mut self) -> Option<bool> {
        self.next += 1;
        self.row.int(self.next - 1).map(|flag| flag != 0)
    }

    fn number(&mut self) -> Option<i64> {
        self.next += 1;
        self.row.int(self.next - 1)
    }

    fn date(&mut self) -> Result<Option<Date>, StoreError> {
        let index = self.next;
        self.text().map(|text| text.parse()).transpose().map_err(|_| self.inconsistent(index))
    }

    fn day(&mut self) -> Result<Date, StoreError> {
        let index = self.next;
        self.date()?.ok_or_else(|| self.inconsistent(index))
    }

    fn list(&mut self) -> Result<Vec<Text>, StoreError> {
        self.json()
    }

    fn json<T: serde::de::DeserializeOwned + Default>(&mut self) -> Result<T, StoreError> {
        let index = self.next;
        self.next += 1;
        match self.row.text(index) {
            None => Ok(T::default()),
            Some(text) => serde_json::from_str(&text).map_err(|_| self.inconsistent(index)),
        }
    }

    fn maybe_id(&mut self) -> Option<SourcedId> {
        self.text().and_then(|text| SourcedId::try_from(text).ok())
    }

    fn id(&mut self) -> Result<SourcedId, StoreError> {
        let index = self.next;
        self.maybe_id().ok_or_else(|| self.inconsistent(index))
    }

    fn role(&mut self) -> Result<Role, StoreError> {
        Ok(Role {
            role: self.must()?.as_str().into(),
            role_type: self.must()?.as_str().into(),
            begin_date: self.date()?,
            end_date: self.date()?,
            user_profile: self.text(),
            sourced_id: self.maybe_id(),
            org: self.maybe_id(),
        })
    }

    /// Reads a record of the layout's kind.
    pub(crate) fn record(&mut self, sourced_id: SourcedId, owned: Owned) -> Result<Record, StoreError> {
        let Owned { roles, links, external_ids } = owned;
        Ok(match self.layout.kind {
            Kind::Orgs => Org {
                sourced_id,
                name: self.must()?,
                org_type: self.must()?.as_str().into(),
                identifier: self.text(),
                metadata: self.json()?,
                parent: self.maybe_id(),
                external_ids,
            }
            .into(),
            Kind::AcademicSessions => AcademicSession {
                sourced_id,
                title: self.must()?,
                session_type: self.must()?.as_str().into(),
                start_date: self.day()?,
                end_date: self.day()?,
                school_year: self.number().and_then(|year| u16::try_from(year).ok()),
                metadata: self.json()?,
                parent: self.maybe_id(),
                external_ids,
            }
            .into(),
            Kind::Courses => Course {
                sourced_id,
                title: self.must()?,
                course_code: self.text(),
                grades: self.list()?,
                subjects: self.list()?,
                subject_codes: self.list()?,
                metadata: self.json()?,
                school_year: self.maybe_id(),
                org: self.maybe_id(),
                external_ids,
            }
            .into(),
            Kind::Classes => Class {
                sourced_id,
                title: self.must()?,
                grades: self.list()?,
                class_code: self.text(),
                class_type: self.must()?.as_str().into(),
                location: self.text(),
                subjects: self.list()?,
                subject_codes: self.list()?,
                periods: self.list()?,
                metadata: self.json()?,
                course: self.maybe_id(),
                school: self.id()?,
                terms: links,
                external_ids,
            }
            .into(),
            Kind::Users => User {
                sourced_id,
                enabled_user: self.flag().unwrap_or(true),
                username: self.text(),
                given_name: self.text(),
                family_name: self.text(),
                middle_name: self.text(),
                identifier: self.text(),
                email: self.text(),
                sms: self.text(),
                phone: self.text(),
                grades: self.list()?,
                user_master_identifier: self.text(),
                preferred_given_name: self.text(),
                preferred_middle_name: self.text(),
                preferred_family_name: self.text(),
                pronouns: self.text(),
                metadata: self.json()?,
                primary_org: self.maybe_id(),
                agents: links,
                roles,
                external_ids,
            }
            .into(),
            Kind::Enrollments => Enrollment {
                sourced_id,
                role: self.must()?.as_str().into(),
                primary: self.flag(),
                begin_date: self.date()?,
                end_date: self.date()?,
                metadata: self.json()?,
                school: self.maybe_id(),
                class: self.id()?,
                user: self.id()?,
                external_ids,
            }
            .into(),
            Kind::Demographics => Demographics {
                birth_date: self.date()?,
                sex: self.text().map(|sex| sex.as_str().into()),
                race: Race::from_order(std::array::from_fn(|_| self.flag())),
                country_of_birth_code: self.text(),
                state_of_birth_abbreviation: self.text(),
                city_of_birth: self.text(),
                public_school_residence_status: self.text(),
                metadata: self.json()?,
                sourced_id,
                external_ids,
            }
            .into(),
        })
    }
}

/// How many cells stand before the columns of a record: the head that every kind has.
pub(crate) const HEAD: usize = 6;

fn inconsistent(layout: &'static Layout, index: usize, row: i64) -> StoreError {
    let index = index.saturating_sub(HEAD);
    let column = match index.checked_sub(layout.columns.len()) {
        None => layout.columns[index].name,
        Some(link) => layout.links.get(link).map_or("sourced_id", |link| link.stem),
    };
    StoreError::Inconsistent { table: layout.table, column, row }
}

/// A sourcedId that the store gave back.
pub(crate) fn sourced_id(kind: Kind, text: Option<Text>, row: i64) -> Result<SourcedId, StoreError> {
    text.and_then(|text| SourcedId::try_from(text).ok()).ok_or(StoreError::Inconsistent {
        table: layout(kind).table,
        column: "sourced_id",
        row,
    })
}

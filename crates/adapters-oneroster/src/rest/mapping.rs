//! Pages into items: pure, without requests or state.
//!
//! The records are mapped by the crate's [`mapping`](crate::mapping), as those of files are, so that the same roster gives
//! the same records by either way.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rollcall_domain::entities::{ExternalId, User};
use rollcall_domain::ports::{Deletion, Item, OwnedChange, RoleChange, Upsert};
use rollcall_domain::{Code, Encoder, Finding, Kind, Location, Record, Reject, SourcedId, Text, Warning};

use super::envelope::{self, PageFault};
use super::schools::SchoolScope;
use super::wire::{self, Object};
use crate::csv::table::{Column, Table, Version};
use crate::mapping::class::CourseTitles;
use crate::mapping::fields::{Cells, Fields, Notes, Rules};
use crate::mapping::value::{self, Status, Written};
use crate::mapping::{class, course, demographics, enrollment, org, role, session, user};

/// How much older than asked for a record may be before the filter counts as not honoured, in milliseconds. Servers compare
/// days instead of moments, and some keep local time.
const FILTER_SLACK_MS: i64 = 36 * 60 * 60 * 1000;

/// What a page is mapped with. The same for all pages of a collection.
#[derive(Debug, Clone)]
pub(crate) struct PageContext {
    pub(crate) kind: Kind,
    pub(crate) rules: Rules,
    /// The key of the list in the response.
    pub(crate) envelope: &'static str,
    /// What locations name: the address of the collection.
    pub(crate) place: Arc<str>,
    /// Ids that every org gets beside its own.
    pub(crate) org_ids: Arc<[ExternalId]>,
    /// Where only changes are asked for: since when, in milliseconds since 1970 UTC.
    pub(crate) since_ms: Option<i64>,
    /// The titles of the courses read before.
    pub(crate) course_titles: Arc<CourseTitles>,
    /// The chosen schools, and what of the kinds before belongs elsewhere.
    pub(crate) schools: Option<Arc<SchoolScope>>,
}

/// What a page holds.
#[derive(Debug, Default)]
pub(crate) struct MappedPage {
    pub(crate) items: Vec<Item>,
    /// How many records the page has, whatever became of them.
    pub(crate) received: u64,
    /// A hash of each record's id, to tell whether the page was there before; of a record without one, of its text.
    pub(crate) ids: Vec<u64>,
    /// The courses and their titles.
    pub(crate) titles: Vec<(SourcedId, Text)>,
    /// Records that belong to other schools than the chosen ones.
    pub(crate) left_out: Vec<SourcedId>,
    /// The orgs that belong to the chosen schools, where there are some.
    pub(crate) orgs: Vec<SourcedId>,
    /// Records that are older than what was asked for, or have no date.
    pub(crate) unasked: u64,
}

/// Maps a page. `first` is the position of its first record in the collection.
pub(crate) fn map_page(context: &PageContext, body: &[u8], first: u64) -> Result<MappedPage, PageFault> {
    let text = String::from_utf8_lossy(body);
    let is_sound = matches!(text, std::borrow::Cow::Borrowed(_));
    let records = envelope::records(&text, context.envelope)?;
    let mut mapper = Mapper {
        context,
        page: MappedPage { received: records.len() as u64, ..MappedPage::default() },
        notes: Notes::default(),
        encoder: Encoder::default(),
    };
    mapper.page.items.reserve(records.len());
    mapper.page.ids.reserve(records.len());
    for (position, record) in (first..).zip(records) {
        let location = Location::index(&context.place, position);
        let json = record.get();
        if (!is_sound && json.contains('\u{fffd}')) || json.contains("\\u0000") {
            mapper.reject_unreadable(
                json,
                location,
                Code::EncodingInvalid,
                "the record holds bytes that are not valid UTF-8 text, or a NUL; the server must send UTF-8",
            );
            continue;
        }
        match Object::read(table_of(context.kind), json) {
            Ok(object) => mapper.record(&object, json, location),
            Err(_) => mapper.reject_unreadable(
                json,
                location,
                Code::FieldInvalid,
                "the item is no JSON object that can be read; every record must be one",
            ),
        }
    }
    Ok(mapper.page)
}

const fn table_of(kind: Kind) -> Table {
    match kind {
        Kind::Orgs => Table::Orgs,
        Kind::AcademicSessions => Table::AcademicSessions,
        Kind::Courses => Table::Courses,
        Kind::Classes => Table::Classes,
        Kind::Users => Table::Users,
        Kind::Enrollments => Table::Enrollments,
        Kind::Demographics => Table::Demographics,
    }
}

/// The fields of a kind that are stored, by their names in JSON, for a request that leaves out the others.
pub(crate) fn fields_of(kind: Kind, version: Version) -> String {
    let mut names: Vec<_> = wire::columns_read(table_of(kind), version).map(wire::json_name).collect();
    if kind == Kind::Users && version == Version::V1_2 {
        names.push("roles");
    }
    names.push("metadata");
    names.join(",")
}

fn hash(value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

struct Mapper<'c> {
    context: &'c PageContext,
    page: MappedPage,
    notes: Notes,
    encoder: Encoder,
}

impl Mapper<'_> {
    fn record(&mut self, object: &Object<'_>, json: &str, location: Location) {
        let kind = self.context.kind;
        self.notes.clear();
        let id = object.get(Column::SourcedId);
        self.page.ids.push(if id.is_empty() { hash(json) } else { hash(id) });
        let mut notes = std::mem::take(&mut self.notes);
        let mut fields = Fields { row: object, rules: self.context.rules, notes: &mut notes };
        for column in object.odd() {
            fields.dropped(column, "a text, a number, a reference or a list of these");
        }
        let deleted = status(&mut fields) == Status::ToBeDeleted;
        let modified_ms = modified_ms(&mut fields);
        if let Some(since) = self.context.since_ms
            && modified_ms.is_none_or(|modified| modified < since.saturating_sub(FILTER_SLACK_MS))
        {
            self.page.unasked += 1;
        }
        if deleted {
            match fields.sourced_id() {
                Some(sourced_id) => self.delete(sourced_id, modified_ms, location, &mut notes),
                None => self.reject(object, json, location, &mut notes),
            }
            self.notes = notes;
            return;
        }
        let mut parts = Roles::default();
        let record = match kind {
            Kind::Orgs => org::map(&mut fields).map(|mut org| {
                org.external_ids.extend_from_slice(&self.context.org_ids);
                Record::from(org)
            }),
            Kind::AcademicSessions => session::map(&mut fields).map(Record::from),
            Kind::Courses => course::map(&mut fields).map(Record::from),
            Kind::Classes => class::map(&mut fields, &self.context.course_titles).map(Record::from),
            Kind::Users => self.user(object, &mut fields, &location, &mut parts).map(Record::from),
            Kind::Enrollments => enrollment::map(&mut fields).map(Record::from),
            Kind::Demographics => demographics::map(&mut fields).map(Record::from),
        };
        match record {
            Some(record) if notes.errors.is_empty() => {
                self.accept(record, parts, modified_ms, &location, &mut notes);
            }
            _ => self.reject(object, json, location, &mut notes),
        }
        self.notes = notes;
    }

    fn accept(
        &mut self,
        record: Record,
        parts: Roles,
        modified_ms: Option<i64>,
        location: &Location,
        notes: &mut Notes,
    ) {
        let sourced_id = record.sourced_id().clone();
        if self.context.schools.as_ref().is_some_and(|schools| !schools.holds(&record)) {
            self.page.left_out.push(sourced_id);
            return;
        }
        match &record {
            Record::Courses(course) => self.page.titles.push((sourced_id.clone(), course.title.clone())),
            Record::Orgs(_) if self.context.schools.is_some() => self.page.orgs.push(sourced_id.clone()),
            _ => {}
        }
        self.warn_all(&sourced_id, location, notes);
        self.page.items.extend(parts.refused.into_iter().map(Item::Reject));
        let whole = !parts.is_incomplete;
        let upsert = Upsert::new(record, modified_ms, location.clone(), &mut self.encoder);
        self.page.items.push(Item::Upsert(if whole { upsert } else { upsert.without_roles() }));
        // Each by itself, so that a stored role whose object was refused stays as it is (R5).
        self.page.items.extend(parts.apart.into_iter().map(|role| {
            Item::Owned(OwnedChange::Role {
                change: RoleChange::Put { user: sourced_id.clone(), role },
                modified_ms,
                location: location.clone(),
            })
        }));
    }

    /// Maps a user of either version. 1.2 gives the roles as objects; a server of 1.1 that gives them too means them.
    fn user<'a, 'j>(
        &self,
        object: &'a Object<'j>,
        fields: &mut Fields<'a, &'a Object<'j>>,
        location: &Location,
        parts: &mut Roles,
    ) -> Option<User> {
        let has_role = !object.get(Column::Role).is_empty();
        let has_roles = !object.roles.is_empty() || object.has_odd_role;
        if !has_roles && (has_role || self.context.rules.version < Version::V1_2) {
            return user::map(fields, true);
        }
        let mut user = user::map(fields, false)?;
        if !has_roles {
            fields.notes.warnings.push(Finding::on(
                Code::FieldMissing,
                "roles",
                "the user has no roles, although OneRoster requires at least one; the user was taken without",
            ));
        }
        let mut refuse = |findings: Vec<Finding>, role: Option<&str>| {
            parts.is_incomplete = true;
            parts.refused.push(Reject {
                kind: Kind::Users,
                sourced_id: Some(user.sourced_id.clone()),
                is_part: true,
                location: location.clone(),
                findings,
                record: role.and_then(wire::quoted),
            });
        };
        if object.has_odd_role {
            let message = "an item of `roles` is no object; it was left out";
            refuse(vec![Finding::on(Code::FieldInvalid, "roles", message)], None);
        }
        let mut roles = Vec::with_capacity(object.roles.len());
        for (role, json) in &object.roles {
            let mut notes = Notes::default();
            let mut role_fields = Fields { row: role, rules: fields.rules, notes: &mut notes };
            for column in role.odd() {
                role_fields.dropped(column, "a text or a reference");
            }
            match role::of_user(&mut role_fields) {
                Some(role) if notes.errors.is_empty() => roles.push(role),
                _ => refuse(std::mem::take(&mut notes.errors), Some(json.0)),
            }
            fields.notes.warnings.append(&mut notes.warnings);
        }
        if parts.is_incomplete {
            parts.apart = roles;
        } else {
            user.roles = roles;
        }
        Some(user)
    }

    fn delete(&mut self, sourced_id: SourcedId, modified_ms: Option<i64>, location: Location, notes: &mut Notes) {
        self.warn_all(&sourced_id, &location, notes);
        self.page.items.push(Item::Delete(Deletion { kind: self.context.kind, sourced_id, modified_ms, location }));
    }

    fn reject(&mut self, object: &Object<'_>, json: &str, location: Location, notes: &mut Notes) {
        self.page.items.push(Item::Reject(Reject {
            kind: self.context.kind,
            sourced_id: SourcedId::new(object.get(Column::SourcedId)).ok(),
            is_part: false,
            location,
            findings: std::mem::take(&mut notes.errors),
            record: wire::quoted(json),
        }));
    }

    fn reject_unreadable(&mut self, json: &str, location: Location, code: Code, message: &str) {
        self.page.ids.push(hash(json));
        self.page.items.push(Item::Reject(Reject {
            kind: self.context.kind,
            sourced_id: None,
            is_part: false,
            location,
            findings: vec![Finding::whole(code, message)],
            record: None,
        }));
    }

    fn warn_all(&mut self, sourced_id: &SourcedId, location: &Location, notes: &mut Notes) {
        let kind = self.context.kind;
        self.page.items.extend(notes.warnings.drain(..).map(|finding| {
            Item::Warning(Warning {
                kind: Some(kind),
                sourced_id: Some(sourced_id.clone()),
                location: location.clone(),
                finding,
            })
        }));
    }
}

/// What became of the roles of a user, where not all of them could be taken.
#[derive(Default)]
struct Roles {
    is_incomplete: bool,
    /// The roles that can be taken.
    apart: Vec<rollcall_domain::entities::Role>,
    refused: Vec<Reject>,
}

/// Reads `status`. Records of a bulk import have none.
fn status<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Status {
    let text = fields.raw(Column::Status);
    if text.is_empty() {
        return Status::Active;
    }
    match value::status(text) {
        Some(Written::Exactly(status)) => status,
        Some(Written::Leniently(status)) => {
            fields.lenient(Column::Status, "`active` or `tobedeleted`");
            status
        }
        None => {
            fields.warn(
                Code::EnumUnknown,
                Column::Status,
                "the status is neither `active` nor `tobedeleted`; the record was taken as active",
            );
            Status::Active
        }
    }
}

/// Reads `dateLastModified`, in whatever form of ISO 8601. Records of a bulk import have none.
fn modified_ms<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<i64> {
    let text = fields.raw(Column::DateLastModified);
    if text.is_empty() {
        return None;
    }
    let read = value::instant_ms(text);
    if read.is_none() {
        fields.dropped(Column::DateLastModified, "YYYY-MM-DDTHH:MM:SS.sssZ");
    }
    read.map(|(Written::Exactly(milliseconds) | Written::Leniently(milliseconds))| milliseconds)
}

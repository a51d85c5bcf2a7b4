//! The feed of events: its newest one, and all since one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rollcall_adapters_http::{HttpError, RedactedUrl};
use rollcall_domain::{Location, SourcedId};
use serde_json::value::RawValue;

use crate::client::{Client, Collection, Mapped, Object, id_of, short};
use crate::error::CleverError;
use crate::mapping::user;
use crate::wire;

/// How many objects may have changed before reading everything is the better way.
const MAX_CHANGES: usize = 50_000;

/// The newest event of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Newest {
    /// There is no feed.
    Off,
    /// There is none that Clever remembers.
    None,
    /// This one.
    Event(String),
}

/// Whether a refusal means that the district, or the application, has no events.
fn is_off(error: &CleverError) -> bool {
    let CleverError::Http(error) = error else { return false };
    error.status().is_some_and(|status| matches!(status.as_u16(), 403 | 404 | 410 | 501))
}

/// Whether Clever does not understand what it was asked.
fn is_refused(error: &HttpError) -> bool {
    error.status().is_some_and(|status| status.as_u16() == 400)
}

/// The id of the newest event.
///
/// `ending_before=last` is not documented, and has worked for as long as there are clients; where it does not, the feed is
/// read from its oldest event on.
pub(crate) async fn newest(client: &Client) -> Result<Newest, CleverError> {
    let last = client.session.url("events", &[("ending_before", "last"), ("limit", "1")]);
    let mut newest = None;
    match client.page(&last).await {
        Ok(page) => {
            newest = page.objects.last().and_then(|event| id_of(event)).map(|id| id.to_string());
            // A server that does not know the parameter gives the oldest event, and says that there are more.
            if newest.is_none() || page.next.is_none() {
                return Ok(newest.map_or(Newest::None, Newest::Event));
            }
        }
        Err(error) if is_off(&error) => return Ok(Newest::Off),
        Err(CleverError::Http(error)) if is_refused(&error) => {
            tracing::debug!(error = %error, "the newest event cannot be asked for; the feed is read to its end");
        }
        Err(error) => return Err(error),
    }
    let after = newest.clone();
    let query: Vec<_> = after.iter().map(|after| ("starting_after", after.as_str())).collect();
    let mut feed = Collection::new(client, "events", &query);
    loop {
        let page = feed.next(|objects| Mapped {
            items: Vec::new(),
            ids: objects.iter().filter_map(|object| Some(short(id_of(&object.raw)?.as_str()))).collect(),
            facts: objects.last().and_then(|object| id_of(&object.raw)),
        });
        match page.await {
            Ok(Some(page)) => newest = page.facts.map(|id| id.to_string()).or(newest),
            Ok(None) => return Ok(newest.map_or(Newest::None, Newest::Event)),
            Err(error) if is_off(&error) => return Ok(Newest::Off),
            Err(error) => return Err(error),
        }
    }
}

/// What an object came to, after all events about it.
#[derive(Debug)]
pub(crate) struct Change {
    /// Its state, as the last event about it has it.
    pub(crate) object: Object,
    pub(crate) is_deleted: bool,
    /// Some event made it, or made it visible.
    pub(crate) was_created: bool,
}

/// What events amount to, by kind of object and by its id. The order among objects means nothing.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) schools: BTreeMap<SourcedId, Change>,
    pub(crate) courses: BTreeMap<SourcedId, Change>,
    pub(crate) sections: BTreeMap<SourcedId, Change>,
    pub(crate) users: BTreeMap<SourcedId, Change>,
    /// Some term changed.
    pub(crate) terms: bool,
    /// Courses that some section was, is, or is no longer about.
    pub(crate) touched_courses: BTreeSet<SourcedId>,
    /// The students of contacts whose relationships changed: those before.
    pub(crate) students_before: HashMap<SourcedId, BTreeSet<SourcedId>>,
    /// Users of whom something changed that they were as students; they may be none any more.
    pub(crate) were_students: BTreeSet<SourcedId>,
    /// The district's last sync that an event told of.
    pub(crate) sync: Option<Timestamp>,
    /// The id of the last event.
    pub(crate) last: Option<String>,
    /// How many events there were.
    pub(crate) events: u64,
    /// Kinds of events that are not ours, or new in Clever.
    pub(crate) skipped: BTreeSet<String>,
}

impl Changes {
    fn len(&self) -> usize {
        self.schools.len() + self.courses.len() + self.sections.len() + self.users.len()
    }
}

/// What came of reading the feed.
#[derive(Debug)]
pub(crate) enum Drained {
    Changes(Box<Changes>),
    /// The feed cannot be relied upon, for this reason.
    Unusable(String),
}

/// One event, read.
struct Read {
    id: String,
    event_type: String,
    object: Object,
    object_id: SourcedId,
    previous: Option<Box<RawValue>>,
}

/// Reads the feed from behind an event, or from its oldest on, to its end.
pub(crate) async fn drain(client: &Client, after: Option<&str>) -> Result<Drained, CleverError> {
    let query: Vec<_> = after.iter().map(|after| ("starting_after", *after)).collect();
    let mut feed = Collection::new(client, "events", &query);
    let url = client.session.url("events", &[]);
    let place: Arc<str> = RedactedUrl::new(&url).to_string().into();
    let mut changes = Changes { last: after.map(str::to_owned), ..Changes::default() };
    loop {
        let place = Arc::clone(&place);
        let page = match feed.next(move |objects| read(objects, &place)).await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(Drained::Changes(Box::new(changes))),
            Err(error) if is_off(&error) => {
                return Ok(Drained::Unusable(format!("Clever gives no events of the district: {error}")));
            }
            Err(CleverError::Http(error)) if after.is_some() && is_refused(&error) => {
                return Ok(Drained::Unusable(format!("Clever does not take the id of the last event: {error}")));
            }
            Err(error) => return Err(error),
        };
        let Some(events) = page.facts else {
            return Ok(Drained::Unusable("an event could not be read".to_owned()));
        };
        // What is accounted for already has been repeated: told once more, it would bring back an older state.
        for event in events.into_iter().filter(|event| after.is_none_or(|after| is_later(&event.id, after))) {
            changes.take(event);
        }
        if changes.len() > MAX_CHANGES {
            return Ok(Drained::Unusable(format!("more than {MAX_CHANGES} objects changed")));
        }
    }
}

/// Whether an event comes after another one. Ids rise; those of different forms cannot be compared.
fn is_later(id: &str, after: &str) -> bool {
    id.len() != after.len() || id > after
}

/// Reads the events of a page; nothing if one of them cannot be read, for then it is not known what it was about.
fn read(objects: &[Object], place: &str) -> Mapped<Option<Vec<Read>>> {
    let read = |object: &Object| {
        let event: wire::Event = serde_json::from_str(object.raw.get()).ok()?;
        let location = Location::whole(&Arc::from(format!("{place}/{}", event.id)));
        let raw = event.data.object;
        Some(Read {
            object_id: id_of(&raw)?,
            object: Object { raw, location },
            id: event.id,
            event_type: event.event_type,
            previous: event.data.previous_attributes.or(event.previous_attributes),
        })
    };
    let events: Option<Vec<_>> = objects.iter().map(read).collect();
    let ids = events.iter().flatten().map(|event| short(&event.id)).collect();
    Mapped { items: Vec::new(), ids, facts: events }
}

impl Changes {
    fn take(&mut self, event: Read) {
        let Read { id, event_type, object, object_id, previous } = event;
        self.last = Some(id);
        self.events += 1;
        let (kind, action) = event_type.split_once('.').unwrap_or((&event_type, ""));
        let is_deleted = action == "deleted";
        let of_kind = match (kind, action) {
            ("districts", _) => {
                let district = serde_json::from_str::<wire::District>(object.raw.get()).ok();
                self.sync = self.sync.max(district.and_then(|district| last_sync(&district)));
                return;
            }
            ("terms", _) => {
                self.terms = true;
                return;
            }
            ("schools", "created" | "updated" | "deleted") => &mut self.schools,
            ("courses", "created" | "updated" | "deleted") => &mut self.courses,
            ("sections", "created" | "updated" | "deleted") => {
                let section = serde_json::from_str::<wire::Section>(object.raw.get()).unwrap_or_default();
                let previous = previous
                    .as_deref()
                    .and_then(|previous| serde_json::from_str::<wire::PreviousSection>(previous.get()).ok())
                    .filter(|_| action == "updated");
                // An event that does not say what changed, or of which nothing is left but what did not exist before, may
                // be about anything.
                if previous.as_ref().is_none_or(wire::PreviousSection::may_have_moved) {
                    let before = previous.and_then(|previous| previous.course());
                    self.touched_courses.extend(section.course.id().into_iter().chain(before));
                }
                &mut self.sections
            }
            ("users", "created" | "updated" | "deleted") => {
                self.learn_user(&object_id, &object, action, previous.as_deref());
                &mut self.users
            }
            _ => {
                self.skipped.insert(format!("{kind} events"));
                return;
            }
        };
        let was_created = action == "created" || of_kind.get(&object_id).is_some_and(|known| known.was_created);
        of_kind.insert(object_id, Change { object, is_deleted, was_created });
    }

    /// Remembers what a user was and may be no more: a student, and whose contact.
    fn learn_user(&mut self, id: &SourcedId, object: &Object, action: &str, previous: Option<&RawValue>) {
        let before = match action {
            "updated" => {
                let previous =
                    previous.and_then(|previous| serde_json::from_str::<wire::PreviousUser>(previous.get()).ok());
                let wire::PreviousRoles { contact, student } = previous.unwrap_or_default().roles;
                self.were_students.extend(student.map(|_| id.clone()));
                contact
                    .student_relationships
                    .map(|student_relationships| wire::Contact { student_relationships, ..wire::Contact::default() })
            }
            "deleted" => object.roles().and_then(|roles| roles.contact).map(|contact| *contact),
            _ => None,
        };
        if let Some(contact) = before {
            self.students_before.entry(id.clone()).or_default().extend(user::students_of(&contact, id));
        }
    }
}

/// When a district last synced with its student information system.
pub(crate) fn last_sync(district: &wire::District) -> Option<Timestamp> {
    district.last_sync.as_deref()?.parse().ok()
}

//! What happened in a district, as events.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::object_id::{ObjectId, seconds};
use super::page::Listing;

/// One event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: ObjectId,
    /// The resource, in the plural.
    pub(super) resource: &'static str,
    /// The whole event, as JSON.
    json: Vec<u8>,
    /// The schools that it is about.
    schools: Vec<String>,
}

impl Event {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.json);
    }

    pub(super) fn is_of_school(&self, school: &str) -> bool {
        self.schools.iter().any(|known| known == school)
    }
}

/// What happened to an object.
#[derive(Debug)]
pub(super) enum Happening {
    Created(Value),
    /// What it is now, and was before.
    Updated(Value, Value),
    Deleted(Value),
}

/// The events of one district, the oldest first.
#[derive(Debug)]
pub(super) struct Feed {
    events: VecDeque<Event>,
    /// So that the ids of one second are in order, and no two districts share one.
    next: u64,
    /// Of an event with a time that is not after that of its predecessor, the predecessor's counts.
    last: u32,
}

impl Feed {
    pub(super) fn new(district: ObjectId) -> Self {
        Self { events: VecDeque::new(), next: district.rest & !0xffff_ffff, last: 0 }
    }

    /// Tells of something that happened at a time.
    pub(super) fn push(&mut self, at: Timestamp, resource: &'static str, happening: Happening) {
        self.last = self.last.max(seconds(at));
        self.next = self.next.wrapping_add(1);
        let id = ObjectId { minted: self.last, rest: self.next };
        let (verb, mut object, before) = match happening {
            Happening::Created(object) => ("created", object, None),
            Happening::Updated(object, before) => ("updated", object, Some(before)),
            Happening::Deleted(object) => ("deleted", object, None),
        };
        strip(&mut object);
        let schools = schools_of(resource, &object);
        let mut data = Map::new();
        if let Some(mut before) = before {
            strip(&mut before);
            data.insert("previous_attributes".to_owned(), previous(&before, &object));
        }
        data.insert("object".to_owned(), object);
        let created = id.time().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let event = json!({
            "id": id.to_string(), "type": format!("{resource}.{verb}"), "created": created, "data": data,
        });
        self.events.push_back(Event { id, resource, json: event.to_string().into_bytes(), schools });
    }

    /// Where what is kept begins. What is older is gone silently, as it is with Clever.
    pub(super) fn first_kept(&self, now: Timestamp, retention: SignedDuration) -> usize {
        let oldest = now.saturating_sub(retention).map_or(0, seconds);
        self.events.partition_point(|event| event.id.minted < oldest)
    }

    /// Drops what is kept no longer.
    pub(super) fn drop_until(&mut self, now: Timestamp, retention: SignedDuration) {
        self.events.drain(..self.first_kept(now, retention));
    }

    /// Drops everything.
    pub(super) fn forget(&mut self) {
        self.events.clear();
    }

    pub(super) const fn events(&self) -> &VecDeque<Event> {
        &self.events
    }
}

/// The events that a request means.
pub(super) struct Events<'a> {
    pub(super) feed: &'a Feed,
    /// The first that is kept still.
    pub(super) first: usize,
    /// The resources, in the plural; any, if there are none.
    pub(super) types: &'a [&'a str],
    pub(super) school: Option<&'a str>,
}

impl Listing for Events<'_> {
    fn name(&self) -> &'static str {
        "events"
    }

    fn len(&self) -> usize {
        self.feed.events().len() - self.first
    }

    fn id(&self, place: usize) -> ObjectId {
        self.feed.events()[self.first + place].id
    }

    fn is_meant(&self, place: usize) -> bool {
        let event = &self.feed.events()[self.first + place];
        (self.types.is_empty() || self.types.contains(&event.resource))
            && self.school.is_none_or(|school| event.is_of_school(school))
    }

    fn write(&self, place: usize, out: &mut Vec<u8>) {
        self.feed.events()[self.first + place].write(out);
    }
}

/// The objects of events lack an address that those of lists have twice.
fn strip(object: &mut Value) {
    if let Some(student) = object.pointer_mut("/roles/student").and_then(Value::as_object_mut) {
        student.remove("email");
    }
}

fn schools_of(resource: &str, object: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    match resource {
        "schools" => object.get("id").and_then(text).into_iter().collect(),
        "sections" => object.get("school").and_then(text).into_iter().collect(),
        "users" => {
            let roles = object["roles"].as_object().into_iter().flat_map(Map::values);
            roles.filter_map(|role| role["schools"].as_array()).flatten().filter_map(text).collect()
        }
        _ => Vec::new(),
    }
}

/// What is otherwise now: of objects only what changed, of lists the whole old one. What is new leaves no trace.
fn previous(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return before.clone() };
    let mut changed = Map::new();
    for (key, old) in before {
        match after.get(key) {
            // Times are no attributes.
            _ if key == "last_modified" || key == "created" => {}
            Some(new) if new == old => {}
            Some(new @ Value::Object(_)) if old.is_object() => {
                let inner = previous(old, new);
                if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                    changed.insert(key.clone(), inner);
                }
            }
            _ => {
                changed.insert(key.clone(), old.clone());
            }
        }
    }
    Value::Object(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_attributes_are_deep_and_leave_out_what_is_new() {
        let before = json!({"id": "1", "last_modified": "x", "email": "a", "students": ["1", "2"], "roles": {"student":
            {"grade": "6", "ext": {"a": "", "b": "1"}, "schools": ["s"]}}});
        let after = json!({"id": "1", "last_modified": "y", "students": ["2"], "roles": {"student":
            {"grade": "6", "ext": {"a": "Y", "b": "1"}, "schools": ["s"], "race": "Asian"}}});
        assert_eq!(
            previous(&before, &after),
            json!({"email": "a", "students": ["1", "2"], "roles": {"student": {"ext": {"a": ""}}}})
        );
    }
}

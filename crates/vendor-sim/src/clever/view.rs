//! What a path means.

use std::collections::HashSet;

use serde_json::Value;

use super::object_id::ObjectId;
use super::page::{Listing, Query};
use super::problem::Problem;
use super::roster::{Resource, Roster};
use crate::collection::Stored;
use crate::json;

/// What a path asks for.
#[derive(Debug)]
pub(super) enum View {
    /// The list of the one district.
    Districts,
    /// The district itself, and whether by its own path.
    District {
        own: bool,
    },
    List(Resource, Vec<Only>),
    /// An object, and whether by its own path.
    Single {
        resource: Resource,
        id: String,
        own: bool,
    },
    Events,
    Event(ObjectId),
    /// What Clever has besides rosters: nothing here.
    Resources,
}

/// Which objects of a collection are meant.
#[derive(Debug)]
pub(super) enum Only {
    /// Those with a member that names an object.
    Naming(&'static str, String),
    /// Users with a role.
    Role(String),
    Among(HashSet<String>),
}

const ROLES: [&str; 5] = ["contact", "district_admin", "staff", "student", "teacher"];

impl View {
    /// The collection, as faults name it.
    pub(super) const fn collection(&self) -> &'static str {
        match self {
            Self::Districts | Self::District { .. } => "districts",
            Self::List(resource, _) | Self::Single { resource, .. } => resource.name(),
            Self::Events | Self::Event(_) => "events",
            Self::Resources => "resources",
        }
    }

    pub(super) const fn is_list(&self) -> bool {
        matches!(self, Self::Districts | Self::List(..) | Self::Events)
    }

    /// Whether a token that is for logins only may see it.
    pub(super) const fn is_of_district(&self) -> bool {
        matches!(self, Self::Districts | Self::District { .. })
    }
}

/// Says what a path below the version means, in the one district that a token is for.
pub(super) fn resolve(path: &str, query: &Query, district: ObjectId, roster: &Roster) -> Result<View, Problem> {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let find = |resource: Resource, id: &str| {
        let found = roster.collection(resource).find(id).map(|place| roster.collection(resource).get(place));
        found.ok_or_else(|| not_found(resource.name()))
    };
    match parts.as_slice() {
        ["districts"] => Ok(View::Districts),
        ["districts", id] if *id == district.to_string() => Ok(View::District { own: true }),
        ["districts", _] => Err(not_found("districts")),
        ["events"] => Ok(View::Events),
        ["events", id] => ObjectId::parse(id.as_bytes()).map(View::Event).ok_or_else(|| not_found("events")),
        ["resources"] => Ok(View::Resources),
        [name] => {
            let resource = Resource::named(name).ok_or(Problem::NoRoute)?;
            let mut only = Vec::new();
            if resource == Resource::Users {
                only.extend(role(query, &ROLES)?);
            }
            Ok(View::List(resource, only))
        }
        [name, id] => {
            let resource = Resource::named(name).ok_or(Problem::NoRoute)?;
            find(resource, id)?;
            Ok(View::Single { resource, id: (*id).to_owned(), own: true })
        }
        [name, id, relation] => {
            let resource = Resource::named(name).ok_or(Problem::NoRoute)?;
            let object = find(resource, id)?;
            // `links` say `myContacts`; both are understood.
            related(resource, object, id, &relation.to_ascii_lowercase(), query, roster)
        }
        _ => Err(Problem::NoRoute),
    }
}

fn not_found(name: &str) -> Problem {
    Problem::NotFound(format!("no such object among the {name}"))
}

fn role(query: &Query, known: &[&str]) -> Result<Option<Only>, Problem> {
    match query.get("role") {
        None => Ok(None),
        Some(role) if known.contains(&role) => Ok(Some(Only::Role(role.to_owned()))),
        Some(_) => Err(Problem::Invalid(format!("role must be one of {}", known.join(", ")))),
    }
}

/// What stands below one object.
fn related(
    of: Resource,
    object: Stored<'_>,
    id: &str,
    relation: &str,
    query: &Query,
    roster: &Roster,
) -> Result<View, Problem> {
    use Resource::{Courses, Schools, Sections, Terms, Users};

    let sections = |key: &'static str| collect(roster, Sections, &[Only::Naming(key, id.to_owned())]);
    let named = |objects: &[Value], keys: &[&str]| Only::Among(objects.iter().flat_map(|one| ids(one, keys)).collect());
    let object = value(object);
    let single = |resource: Resource, key: &str| {
        let target = object[key].as_str().filter(|target| roster.collection(resource).find(target).is_some());
        let id = target.ok_or_else(|| not_found(resource.name()))?.to_owned();
        Ok(View::Single { resource, id, own: false })
    };
    let own_sections = || {
        let mut sections = sections("students");
        sections.extend(collect(roster, Sections, &[Only::Naming("teachers", id.to_owned())]));
        sections
    };
    let list = |resource, only| Ok(View::List(resource, vec![only]));
    match (of, relation) {
        (_, "district") => Ok(View::District { own: false }),
        (Schools, "sections") => list(Sections, Only::Naming("school", id.to_owned())),
        (Schools, "courses") => list(Courses, named(&sections("school"), &["course"])),
        (Schools, "terms") => list(Terms, named(&sections("school"), &["term_id"])),
        (Schools, "users") => {
            let key = if query.get("primary") == Some("true") { "school" } else { "schools" };
            let mut only = vec![Only::Naming(key, id.to_owned())];
            only.extend(role(query, &["staff", "student", "teacher"])?);
            Ok(View::List(Users, only))
        }
        (Terms, "sections") => list(Sections, Only::Naming("term_id", id.to_owned())),
        (Terms, "schools") => list(Schools, named(&sections("term_id"), &["school"])),
        (Courses, "sections") => list(Sections, Only::Naming("course", id.to_owned())),
        (Courses, "schools") => list(Schools, named(&sections("course"), &["school"])),
        (Sections, "course") => single(Courses, "course"),
        (Sections, "term") => single(Terms, "term_id"),
        (Sections, "school") => single(Schools, "school"),
        (Sections, "users") => {
            let keys: &[&str] = match query.get("role") {
                Some("student") => &["students"],
                Some("teacher") => &["teachers"],
                None => &["students", "teachers"],
                Some(_) => return Err(Problem::Invalid("role must be one of student, teacher".to_owned())),
            };
            list(Users, named(&[object], keys))
        }
        (Users, "sections") => list(Sections, named(&own_sections(), &["id"])),
        (Users, "schools") => list(Schools, named(&[object], &["schools"])),
        (Users, "mycontacts") => list(Users, Only::Naming("student", id.to_owned())),
        (Users, "mystudents") => list(Users, named(&sections("teachers"), &["students"])),
        (Users, "myteachers") => list(Users, named(&sections("students"), &["teachers"])),
        (Courses | Sections | Users, "resources") => Ok(View::Resources),
        _ => Err(Problem::NoRoute),
    }
}

/// The ids that some members of an object name, wherever they stand.
fn ids(object: &Value, keys: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::String(id) if keys.contains(&key.as_str()) => found.push(id.clone()),
            Value::Array(items) if keys.contains(&key.as_str()) => {
                found.extend(items.iter().filter_map(Value::as_str).map(ToOwned::to_owned));
            }
            Value::Object(_) => found.extend(ids(value, keys)),
            Value::Array(items) => found.extend(items.iter().flat_map(|item| ids(item, keys))),
            _ => {}
        }
    }
    found
}

fn value(object: Stored<'_>) -> Value {
    let mut out = Vec::new();
    Resource::Terms.write(&mut out, object.id, object.members, "");
    serde_json::from_slice(&out).unwrap_or_default()
}

fn collect(roster: &Roster, resource: Resource, only: &[Only]) -> Vec<Value> {
    let collection = roster.collection(resource);
    let objects = (0..collection.len()).map(|place| collection.get(place));
    objects.filter(|object| only.iter().all(|only| only.is(*object))).map(value).collect()
}

impl Only {
    fn is(&self, object: Stored<'_>) -> bool {
        match self {
            Self::Naming(key, id) => {
                let id = id.as_bytes();
                // Ids are in no other text: looking for the bytes spares the reading of most objects.
                object.members.windows(id.len()).any(|window| window == id)
                    && ids(&value(object), &[*key]).iter().any(|known| known.as_bytes() == id)
            }
            Self::Role(role) => {
                let roles = json::member(object.members, "roles").unwrap_or_default();
                // What is inside the braces has the form of members, but for the first comma.
                let mut inner = b",".to_vec();
                inner.extend_from_slice(roles.get(1..roles.len().saturating_sub(1)).unwrap_or_default());
                json::member(&inner, role).is_some()
            }
            Self::Among(ids) => std::str::from_utf8(object.id).is_ok_and(|id| ids.contains(id)),
        }
    }
}

/// Objects of a collection.
pub(super) struct Objects<'a> {
    pub(super) roster: &'a Roster,
    pub(super) resource: Resource,
    pub(super) only: &'a [Only],
    /// Whether the district shares anything.
    pub(super) shared: bool,
}

impl Listing for Objects<'_> {
    fn name(&self) -> &'static str {
        self.resource.name()
    }

    fn len(&self) -> usize {
        if self.shared { self.roster.collection(self.resource).len() } else { 0 }
    }

    fn id(&self, place: usize) -> ObjectId {
        ObjectId::parse(self.roster.collection(self.resource).get(place).id).unwrap_or_default()
    }

    fn is_meant(&self, place: usize) -> bool {
        let object = self.roster.collection(self.resource).get(place);
        self.only.iter().all(|only| only.is(object))
    }

    fn write(&self, place: usize, out: &mut Vec<u8>) {
        let object = self.roster.collection(self.resource).get(place);
        self.resource.write(out, object.id, object.members, &object.stamp.modified);
    }
}

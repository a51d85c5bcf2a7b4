//! The forty-one paths of rostering, and which records each of them means.

use std::collections::HashSet;

use percent_encoding::percent_decode_str;
use rollcall_domain::Kind;

use super::roster::Roster;
use super::version::Coverage;
use super::{Problem, Version};
use crate::collection::Stored;
use crate::json;

/// What a path means.
#[derive(Debug)]
pub(super) struct View {
    pub(super) kind: Kind,
    /// The collection as the path's last word for one names it.
    pub(super) collection: &'static str,
    pub(super) coverage: Coverage,
    /// The one record that is meant.
    pub(super) id: Option<String>,
    pub(super) only: Vec<Only>,
}

/// What the path demands of a record.
#[derive(Debug)]
pub(super) enum Only {
    /// `type` is this.
    Type(&'static str),
    /// The user has this role, at this org if one is named.
    Role(&'static str, Option<String>),
    /// A member refers to this record.
    RefersTo(&'static str, String),
    /// The record's id, escaped for JSON, is among these.
    Among(HashSet<Vec<u8>>),
}

/// A word of a path: the collection that it means, and the records of it.
struct Word {
    name: &'static str,
    kind: Kind,
    only: Option<Only>,
}

fn word(text: &str) -> Option<Word> {
    let (name, kind, only) = match text {
        "orgs" => ("orgs", Kind::Orgs, None),
        "schools" => ("schools", Kind::Orgs, Some(Only::Type("school"))),
        "academicSessions" => ("academicSessions", Kind::AcademicSessions, None),
        "terms" => ("terms", Kind::AcademicSessions, Some(Only::Type("term"))),
        "gradingPeriods" => ("gradingPeriods", Kind::AcademicSessions, Some(Only::Type("gradingPeriod"))),
        "courses" => ("courses", Kind::Courses, None),
        "classes" => ("classes", Kind::Classes, None),
        "users" => ("users", Kind::Users, None),
        "students" => ("students", Kind::Users, Some(Only::Role("student", None))),
        "teachers" => ("teachers", Kind::Users, Some(Only::Role("teacher", None))),
        "enrollments" => ("enrollments", Kind::Enrollments, None),
        "demographics" => ("demographics", Kind::Demographics, None),
        _ => return None,
    };
    Some(Word { name, kind, only })
}

/// Finds out what a path below the base path means.
pub(super) fn resolve(path: &str, version: Version, roster: &Roster) -> Result<View, Problem> {
    let nowhere = || Problem::Unknown(format!("there is no such path in OneRoster {}", version.as_str()));
    let parts: Option<Vec<_>> = path
        .trim_start_matches('/')
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned))
        .collect();
    let parts = parts.ok_or_else(nowhere)?;
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let exists = |collection: &str, id: &str| -> Result<(), Problem> {
        let word = word(collection).ok_or_else(nowhere)?;
        let found = roster.find(word.kind, id).is_some_and(|record| word.only.is_none_or(|only| only.is(record)));
        if found { Ok(()) } else { Err(Problem::Unknown(format!("there is no such record among the {collection}"))) }
    };
    let top = |name: &str, id: Option<&str>| -> Result<View, Problem> {
        let word = word(name).ok_or_else(nowhere)?;
        let coverage = if word.kind == Kind::Demographics { Coverage::Demographics } else { Coverage::Core };
        let id = id.map(str::to_owned);
        Ok(View { kind: word.kind, collection: word.name, coverage, id, only: word.only.into_iter().collect() })
    };
    let nested = |name: &str, only: Vec<Only>| -> Result<View, Problem> {
        let word = word(name).ok_or_else(nowhere)?;
        let only = word.only.into_iter().chain(only).collect();
        Ok(View { kind: word.kind, collection: word.name, coverage: Coverage::Nested, id: None, only })
    };
    let refers = |member: &'static str, id: &str| vec![Only::RefersTo(member, id.to_owned())];
    // The users who are in a class as students or teachers; the users' own roles do not matter.
    let members_of = |name: &str, role: &str, class: &str| -> Result<View, Problem> {
        let word = word(name).ok_or_else(nowhere)?;
        let enrolled = roster.referred(Kind::Enrollments, "user", &refers("class", class), Some(role));
        let only = vec![Only::Among(enrolled)];
        Ok(View { kind: word.kind, collection: word.name, coverage: Coverage::Nested, id: None, only })
    };
    match parts.as_slice() {
        [collection] => top(collection, None),
        [collection, id] if !id.is_empty() => top(collection, Some(id)),
        ["terms", id, "classes"] => {
            exists("terms", id)?;
            nested("classes", refers("terms", id))
        }
        ["terms", id, "gradingPeriods"] => {
            exists("terms", id)?;
            nested("gradingPeriods", refers("parent", id))
        }
        ["schools", id, "courses"] => {
            exists("schools", id)?;
            nested("courses", refers("org", id))
        }
        ["schools", id, name @ ("classes" | "enrollments")] => {
            exists("schools", id)?;
            nested(name, refers("school", id))
        }
        ["schools", id, name @ ("students" | "teachers")] => {
            exists("schools", id)?;
            let role = if *name == "students" { "student" } else { "teacher" };
            nested(name, vec![Only::Role(role, Some((*id).to_owned()))])
        }
        ["schools", id, "terms"] => {
            exists("schools", id)?;
            let of_classes = roster.referred(Kind::Classes, "terms", &refers("school", id), None);
            nested("terms", vec![Only::Among(of_classes)])
        }
        ["schools", school, "classes", class, name @ ("enrollments" | "students" | "teachers")] => {
            exists("schools", school)?;
            let in_school = Only::RefersTo("school", (*school).to_owned());
            if !roster.find(Kind::Classes, class).is_some_and(|record| in_school.is(record)) {
                return Err(Problem::Unknown("there is no such record among the school's classes".to_owned()));
            }
            match *name {
                "enrollments" => nested(name, refers("class", class)),
                "students" => members_of(name, "student", class),
                _ => members_of(name, "teacher", class),
            }
        }
        ["courses", id, "classes"] => {
            exists("courses", id)?;
            nested("classes", refers("course", id))
        }
        ["classes", id, name @ ("students" | "teachers")] => {
            exists("classes", id)?;
            members_of(name, if *name == "students" { "student" } else { "teacher" }, id)
        }
        [of @ ("users" | "students" | "teachers"), id, "classes"] => {
            exists(of, id)?;
            let classes = roster.referred(Kind::Enrollments, "class", &refers("user", id), None);
            nested("classes", vec![Only::Among(classes)])
        }
        _ => Err(nowhere()),
    }
}

impl View {
    /// The key of an answer with many records.
    pub(super) const fn envelope(&self) -> &'static str {
        self.kind.as_str()
    }

    /// The key of an answer with one record.
    pub(super) const fn single_envelope(&self) -> &'static str {
        match self.kind {
            Kind::Orgs => "org",
            Kind::AcademicSessions => "academicSession",
            Kind::Courses => "course",
            Kind::Classes => "class",
            Kind::Users => "user",
            Kind::Enrollments => "enrollment",
            Kind::Demographics => "demographics",
        }
    }
}

impl Only {
    /// Whether a record is meant.
    pub(super) fn is(&self, record: Stored<'_>) -> bool {
        match self {
            Self::Type(word) => json::member(record.members, "type") == Some(format!("\"{word}\"").as_bytes()),
            Self::Role(role, org) => {
                // 1.1: one role for all orgs; 1.2: each with its org.
                if let Some(own) = json::member(record.members, "role") {
                    return own == format!("\"{role}\"").as_bytes()
                        && org.as_ref().is_none_or(|org| refers_to(record.members, "orgs", org));
                }
                let roles = json::member(record.members, "roles").unwrap_or_default();
                let roles: Vec<serde_json::Value> = serde_json::from_slice(roles).unwrap_or_default();
                roles.iter().any(|one| {
                    one["role"] == *role && org.as_ref().is_none_or(|org| one["org"]["sourcedId"] == org.as_str())
                })
            }
            Self::RefersTo(member, id) => refers_to(record.members, member, id),
            Self::Among(ids) => ids.contains(record.id),
        }
    }
}

fn refers_to(members: &[u8], member: &str, id: &str) -> bool {
    let mut sought = b"\"sourcedId\":".to_vec();
    json::string(&mut sought, id);
    // A quote inside a text is escaped: what is found is a member and no part of a text.
    json::member(members, member).is_some_and(|value| value.windows(sought.len()).any(|window| window == sought))
}

/// The ids, escaped for JSON, to which a member refers.
pub(super) fn targets(members: &[u8], member: &str, mut visit: impl FnMut(&[u8])) {
    const KEY: &[u8] = b"\"sourcedId\":\"";
    let Some(mut value) = json::member(members, member) else { return };
    while let Some(at) = value.windows(KEY.len()).position(|window| window == KEY) {
        value = &value[at + KEY.len()..];
        let mut end = 0;
        while end < value.len() && value[end] != b'"' {
            end += if value[end] == b'\\' { 2 } else { 1 };
        }
        visit(&value[..end.min(value.len())]);
    }
}

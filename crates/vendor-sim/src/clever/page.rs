//! Lists, page by page.

use percent_encoding::percent_decode_str;

use super::object_id::ObjectId;
use super::problem::Problem;
use crate::json;
use crate::server::{Fault, FaultKind};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 10_000;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Query {
    /// As they were written.
    raw: String,
    pairs: Vec<(String, String)>,
    pub(super) limit: usize,
    pub(super) cursor: Cursor,
}

/// Where in a list a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Cursor {
    #[default]
    First,
    After(ObjectId),
    Before(ObjectId),
    /// `ending_before=last`, which no document mentions.
    Last,
}

impl Query {
    pub(super) fn parse(raw: &str, knows_last: bool) -> Result<Self, Problem> {
        let decoded = |text: &str| match percent_decode_str(&text.replace('+', " ")).decode_utf8() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(Problem::Invalid("the query is not UTF-8".to_owned())),
        };
        let mut query = Self { raw: raw.to_owned(), limit: DEFAULT_LIMIT, ..Self::default() };
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            query.pairs.push((decoded(name)?, decoded(value)?));
        }
        if let Some(limit) = query.get("limit") {
            query.limit = match limit.parse() {
                Ok(limit) if limit > MAX_LIMIT => return Err(Problem::TooLarge),
                Ok(limit) if limit > 0 => limit,
                _ => return Err(Problem::Invalid("limit must be a positive integer".to_owned())),
            };
        }
        let id = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => match ObjectId::parse(text.as_bytes()) {
                Some(id) => Ok(Some(id)),
                None => Err(Problem::Invalid(format!("{name} must be an id"))),
            },
        };
        query.cursor = if query.get("ending_before") == Some("last") && knows_last {
            Cursor::Last
        } else {
            match (id("starting_after")?, id("ending_before")?) {
                (None, None) => Cursor::First,
                (Some(after), None) => Cursor::After(after),
                (None, Some(before)) => Cursor::Before(before),
                (Some(_), Some(_)) => {
                    return Err(Problem::Invalid("starting_after and ending_before exclude each other".to_owned()));
                }
            }
        };
        Ok(query)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The values of a parameter that may stand there several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn wants_count(&self) -> bool {
        self.get("count") == Some("true")
    }

    /// Whether it begins a list.
    pub(super) fn is_first(&self) -> bool {
        self.cursor == Cursor::First
    }

    fn self_uri(&self, path: &str, is_events: bool) -> String {
        match (self.raw.as_str(), is_events) {
            ("", false) => path.to_owned(),
            (raw, _) => format!("{path}?{raw}"),
        }
    }

    /// The same request with another place in the list.
    fn moved(&self, path: &str, name: &str, id: ObjectId) -> String {
        let is_place = |pair: &&str| pair.starts_with("starting_after=") || pair.starts_with("ending_before=");
        let mut pairs: Vec<_> = self.raw.split('&').filter(|pair| !pair.is_empty() && !is_place(pair)).collect();
        let place = format!("{name}={id}");
        pairs.push(&place);
        format!("{path}?{}", pairs.join("&"))
    }
}

/// Something that is listed, in the order of ids.
pub(super) trait Listing {
    /// What the objects are, as the path of each has it.
    fn name(&self) -> &'static str;
    fn len(&self) -> usize;
    fn id(&self, place: usize) -> ObjectId;
    fn is_meant(&self, place: usize) -> bool;
    fn write(&self, place: usize, out: &mut Vec<u8>);
}

/// Writes one page, and says how many objects it has.
pub(super) fn write(
    list: &dyn Listing,
    query: &Query,
    base: &str,
    path: &str,
    fault: Option<&Fault>,
) -> (Vec<u8>, usize) {
    let kind = fault.map(|fault| fault.kind);
    if kind == Some(FaultKind::MissingEnvelope) {
        return (b"{}".to_vec(), 0);
    }
    let meant = |place: &usize| list.is_meant(*place);
    let mut end = match kind {
        Some(FaultKind::EmptyCollection) => 0,
        _ => list.len(),
    };
    if let Some(Fault { kind: FaultKind::ShrinkingTotal, turn, .. }) = fault {
        let kept = (0..end).rev().filter(meant).nth((*turn as usize).saturating_sub(1));
        end = kept.unwrap_or(0);
    }
    // The first place of which something is true that is true of all after it.
    let first = |is: &dyn Fn(ObjectId) -> bool| {
        let (mut low, mut high) = (0, end);
        while low < high {
            let middle = low.midpoint(high);
            if is(list.id(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    };
    let forwards = |from: usize| -> (Vec<usize>, bool) {
        let mut places: Vec<_> = (from..end).filter(meant).take(query.limit + 1).collect();
        let more = places.len() > query.limit;
        places.truncate(query.limit);
        (places, more)
    };
    let backwards = |to: usize| -> (Vec<usize>, bool) {
        let mut places: Vec<_> = (0..to).rev().filter(meant).take(query.limit + 1).collect();
        let more = places.len() > query.limit;
        places.truncate(query.limit);
        places.reverse();
        (places, more)
    };
    let (mut places, has_previous, has_next) = match query.cursor {
        Cursor::First => {
            let (places, more) = forwards(0);
            (places, false, more)
        }
        Cursor::After(after) => {
            let from = first(&|id| id > after);
            let (places, more) = forwards(from);
            // Said even where nothing comes before.
            (places, true, more)
        }
        Cursor::Before(before) => {
            let (places, more) = backwards(first(&|id| id >= before));
            // Said even where nothing comes after.
            (places, more, true)
        }
        Cursor::Last => {
            let (places, more) = backwards(end);
            (places, more, true)
        }
    };
    let ends = places.first().copied().zip(places.last().copied());
    match kind {
        Some(FaultKind::ShortPage) => places.truncate(places.len() / 2),
        Some(FaultKind::RepeatedPage) => {
            if let Some((before, _)) = ends {
                places = backwards(before).0;
            }
        }
        _ => {}
    }

    let mut out = b"{\"data\":[".to_vec();
    for (number, &place) in places.iter().enumerate() {
        out.extend_from_slice(if number == 0 { b"{\"data\":" } else { b",{\"data\":" });
        list.write(place, &mut out);
        out.extend_from_slice(format!(",\"uri\":\"{base}/{}/{}\"}}", list.name(), list.id(place)).as_bytes());
    }
    out.extend_from_slice(b"],\"links\":[");
    link(&mut out, "self", &query.self_uri(path, list.name() == "events"));
    if let Some((first, last)) = ends {
        if has_previous {
            out.push(b',');
            link(&mut out, "prev", &query.moved(path, "ending_before", list.id(first)));
        }
        if has_next {
            out.push(b',');
            link(&mut out, "next", &query.moved(path, "starting_after", list.id(last)));
        }
    }
    out.push(b']');
    if query.wants_count() {
        let count = (0..end).filter(meant).count();
        out.extend_from_slice(format!(",\"count\":{count}").as_bytes());
    }
    out.push(b'}');
    (out, places.len())
}

/// One object and its links.
pub(super) fn single(object: &[u8], uri: &str, relations: &[&str]) -> Vec<u8> {
    let mut out = b"{\"data\":".to_vec();
    out.extend_from_slice(object);
    out.extend_from_slice(b",\"links\":[");
    link(&mut out, "self", uri);
    for relation in relations {
        out.push(b',');
        link(&mut out, relation, &format!("{uri}/{relation}"));
    }
    out.extend_from_slice(b"]}");
    out
}

/// Writes one link.
fn link(out: &mut Vec<u8>, relation: &str, uri: &str) {
    out.extend_from_slice(format!("{{\"rel\":\"{relation}\",\"uri\":").as_bytes());
    json::string(out, uri);
    out.push(b'}');
}

//! Terms, and what Clever does not have: the school years above them, and a session for sections without a term.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rollcall_domain::entities::{AcademicSession, Metadata};
use rollcall_domain::ports::{Item, Upsert};
use rollcall_domain::vocabulary::SessionType;
use rollcall_domain::{Encoder, Kind, Location, SourcedId, Text, Warning};

use super::Years;
use super::fields::{Notes, after};
use crate::wire::Term;

/// A term and where it stands.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) id: SourcedId,
    pub(crate) term: Term,
    pub(crate) location: Location,
}

/// What marks a record, or the fields of one, that Clever does not state.
pub(crate) const SYNTHETIC: &str = "synthetic";

/// The first month of a school year.
const FIRST_MONTH: i8 = 7;

/// The school year that a day is in, named by the year in which it ends: July begins the next one.
pub(crate) fn year_of(day: Date) -> u16 {
    let next = i16::from(day.month() >= FIRST_MONTH);
    u16::try_from(day.year() + next).unwrap_or_default()
}

/// The first day of a school year; of the next one, it is the day after the last.
fn begin_of(year: u16) -> Date {
    let year = i16::try_from(year).unwrap_or(i16::MAX).saturating_sub(1).min(9_998);
    Date::constant(year, FIRST_MONTH, 1)
}

/// The id of a school year.
pub(crate) fn year_id(district: &SourcedId, year: u16) -> Option<SourcedId> {
    SourcedId::new(&format!("{district}:year:{year}")).ok()
}

/// The id of the session for sections without a term.
pub(crate) fn default_id(district: &SourcedId) -> Option<SourcedId> {
    SourcedId::new(&format!("{district}:session")).ok()
}

/// The terms of a district with what belongs above and beside them.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    pub(crate) items: Vec<Item>,
    pub(crate) years: Years,
}

/// Maps the terms. `current` is the year in which the district last synced; `place` is where sessions are said to stand that
/// Clever does not have.
pub(crate) fn sessions(
    terms: &[Placed],
    district: &SourcedId,
    current: u16,
    with_default: bool,
    place: &Location,
) -> Sessions {
    let mut sessions = Sessions { years: Years { current, ..Years::default() }, ..Sessions::default() };
    let mut spans: BTreeMap<u16, (Date, Date)> = BTreeMap::new();
    let mut scratch = Encoder::default();
    let mut mapped = Vec::new();
    for Placed { id, term, location } in terms {
        let mut notes = Notes::default();
        let session = session(id, term, district, current, &mut notes);
        let year = session.school_year.unwrap_or(current);
        sessions.years.of_terms.insert(id.clone(), year);
        let span = spans.entry(year).or_insert((session.start_date, session.end_date));
        *span = (span.0.min(session.start_date), span.1.max(session.end_date));
        mapped.push((session, location.clone()));
        for finding in notes.warnings {
            sessions.items.push(Item::Warning(Warning {
                kind: Some(Kind::AcademicSessions),
                sourced_id: Some(id.clone()),
                location: location.clone(),
                finding,
            }));
        }
    }
    if (with_default || terms.is_empty())
        && let Some(session) = default_session(district, current)
    {
        spans.entry(current).or_insert((session.start_date, session.end_date));
        mapped.push((session, place.clone()));
    }
    let years = spans.into_iter().filter_map(|(year, span)| Some((school_year(district, year, span)?, place.clone())));
    for (session, location) in years.collect::<Vec<_>>().into_iter().chain(mapped) {
        sessions.items.push(Item::Upsert(Upsert::new(session.into(), None, location, &mut scratch)));
    }
    sessions
}

fn session(id: &SourcedId, term: &Term, district: &SourcedId, current: u16, notes: &mut Notes) -> AcademicSession {
    let start = notes.day("start_date", &term.start_date);
    let end = notes.day("end_date", &term.end_date).and_then(after);
    let last = last_day(term);
    let year = last.or(start).map_or(current, year_of);
    let mut metadata = Metadata::new();
    let missing: Vec<_> = [(start, "start_date"), (end, "end_date")]
        .into_iter()
        .filter(|(date, _)| date.is_none())
        .map(|(_, field)| field)
        .collect();
    if !missing.is_empty() {
        metadata.insert(Text::const_new(SYNTHETIC), Text::new(missing.join(" ")));
    }
    // A date that could not be read is kept as it was written.
    for (name, raw, date) in [("start_date", &term.start_date, start), ("end_date", &term.end_date, end)] {
        if let (Some(raw), None) = (raw.get(), date) {
            metadata.insert(Text::const_new(name), raw);
        }
    }
    AcademicSession {
        sourced_id: id.clone(),
        title: term.name.get().unwrap_or_else(|| title_of(start, last, year)),
        session_type: SessionType::Term,
        start_date: start.unwrap_or_else(|| begin_of(year)),
        end_date: end.unwrap_or_else(|| begin_of(year.saturating_add(1))),
        parent: year_id(district, year),
        school_year: Some(year),
        external_ids: Vec::new(),
        metadata,
    }
}

/// The last day of a term, if it can be read.
fn last_day(term: &Term) -> Option<Date> {
    term.end_date.as_deref().and_then(super::fields::day)
}

/// The name of a term that has none.
fn title_of(start: Option<Date>, last: Option<Date>, year: u16) -> Text {
    match (start, last) {
        (Some(start), Some(last)) => Text::new(format!("{start} to {last}")),
        _ => year_title(year),
    }
}

fn year_title(year: u16) -> Text {
    Text::new(format!("{}-{year}", year.saturating_sub(1)))
}

fn school_year(district: &SourcedId, year: u16, (start, end): (Date, Date)) -> Option<AcademicSession> {
    Some(AcademicSession {
        sourced_id: year_id(district, year)?,
        title: year_title(year),
        session_type: SessionType::SchoolYear,
        start_date: start,
        end_date: end,
        parent: None,
        school_year: Some(year),
        external_ids: Vec::new(),
        metadata: synthetic(),
    })
}

fn default_session(district: &SourcedId, year: u16) -> Option<AcademicSession> {
    Some(AcademicSession {
        sourced_id: default_id(district)?,
        title: year_title(year),
        session_type: SessionType::Term,
        start_date: begin_of(year),
        end_date: begin_of(year.saturating_add(1)),
        parent: year_id(district, year),
        school_year: Some(year),
        external_ids: Vec::new(),
        metadata: synthetic(),
    })
}

/// The metadata of a record that Clever does not have.
pub(crate) fn synthetic() -> Metadata {
    Metadata::from([(Text::const_new(SYNTHETIC), Text::const_new("true"))])
}

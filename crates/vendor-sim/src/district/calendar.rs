//! The school year of every generated district: 2026-27, in semesters and quarters.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use rollcall_domain::SourcedId;
use rollcall_domain::entities::{AcademicSession, Metadata};
use rollcall_domain::vocabulary::SessionType;

use super::District;
use crate::random::Purpose;

pub(super) const YEAR: usize = 0;
pub(super) const FALL: usize = 1;
pub(super) const SPRING: usize = 2;

/// Title, type, first day, the day after the last one, parent.
type Session = (&'static str, SessionType, Date, Date, Option<usize>);

const SESSIONS: [Session; 7] = [
    ("2026-2027", SessionType::SchoolYear, date(2026, 8, 17), date(2027, 6, 5), None),
    ("Fall 2026", SessionType::Semester, date(2026, 8, 17), date(2027, 1, 11), Some(YEAR)),
    ("Spring 2027", SessionType::Semester, date(2027, 1, 11), date(2027, 6, 5), Some(YEAR)),
    ("Quarter 1", SessionType::GradingPeriod, date(2026, 8, 17), date(2026, 10, 19), Some(FALL)),
    ("Quarter 2", SessionType::GradingPeriod, date(2026, 10, 19), date(2027, 1, 11), Some(FALL)),
    ("Quarter 3", SessionType::GradingPeriod, date(2027, 1, 11), date(2027, 3, 22), Some(SPRING)),
    ("Quarter 4", SessionType::GradingPeriod, date(2027, 3, 22), date(2027, 6, 5), Some(SPRING)),
];

/// The first day of a session, and the day after its last one.
pub(super) const fn span_of(session: usize) -> (Date, Date) {
    (SESSIONS[session].2, SESSIONS[session].3)
}

/// The day on which what a generation adds begins. Generation 0 is the second of November 2026.
pub(super) fn day_of(generation: usize) -> Date {
    // The last generations of a long simulation share the last day, which still lies within the school year.
    let days = i64::try_from(generation.min(200)).unwrap_or(200);
    date(2026, 11, 2).saturating_add(days.days())
}

/// When generation 0 was, for those who ask for a time.
pub(crate) fn first_morning() -> Timestamp {
    // Five o'clock, UTC; a day without a time is none that this calendar has.
    day_of(0).at(5, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(Timestamp::UNIX_EPOCH, |morning| morning.timestamp())
}

impl District {
    pub(super) fn session_id(&self, session: usize) -> SourcedId {
        self.id("ses", Purpose::Session, session as u64)
    }

    pub(super) fn academic_sessions(&self) -> impl Iterator<Item = AcademicSession> + '_ {
        SESSIONS.iter().enumerate().map(|(index, (title, session_type, start, end, parent))| AcademicSession {
            sourced_id: self.session_id(index),
            title: (*title).into(),
            session_type: session_type.clone(),
            start_date: *start,
            end_date: *end,
            parent: parent.map(|parent| self.session_id(parent)),
            school_year: Some(2027),
            external_ids: Vec::new(),
            metadata: Metadata::new(),
        })
    }
}

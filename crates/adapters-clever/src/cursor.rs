//! What a Clever source remembers from one applied pull to the next.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::ports::Cursor;
use serde::{Deserialize, Serialize};

use crate::error::CleverError;

/// How long Clever's events can be relied upon. It keeps them for 30 days and does not say when a cursor is older: it begins
/// with the oldest event it has.
pub(crate) const RETENTION: SignedDuration = SignedDuration::from_hours(29 * 24);

/// How long after a sync its event may still be on its way.
const LAG: SignedDuration = SignedDuration::from_hours(1);

/// The memory of a Clever source. Written into a run's cursor as versioned JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// The id of the last event that is accounted for; none if there had been none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<String>,
    /// When that was known.
    pub(crate) as_of: Timestamp,
    /// When everything was last read.
    pub(crate) full: Timestamp,
    /// The district's last sync with its student information system that is accounted for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sync: Option<Timestamp>,
    /// A later one that Clever reported and of which no event had come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unconfirmed: Option<Timestamp>,
    /// Whether a section without a term was seen since everything was last read.
    pub(crate) default_session: bool,
    /// Whether demographics were read.
    pub(crate) demographics: bool,
    /// Whether the district gives events at all.
    pub(crate) events: bool,
    /// The lists that had objects when everything was last read. What is derived stands among the records of some of them,
    /// so that an empty list is not seen by an empty kind.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) filled: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum Versioned {
    #[serde(rename = "1")]
    V1(Memory),
}

impl Memory {
    /// Reads a cursor.
    pub(crate) fn of(cursor: Option<&Cursor>) -> Result<Option<Self>, CleverError> {
        let Some(cursor) = cursor else { return Ok(None) };
        match serde_json::from_str(&cursor.0) {
            Ok(Versioned::V1(memory)) => Ok(Some(memory)),
            Err(cause) => Err(CleverError::Cursor { cause }),
        }
    }

    /// Writes the memory as a cursor.
    pub(crate) fn into_cursor(self) -> Result<Cursor, CleverError> {
        serde_json::to_string(&Versioned::V1(self)).map(Cursor).map_err(|cause| CleverError::Cursor { cause })
    }

    /// Whether events after the last one may be gone from Clever's memory. What lies as far ahead is no time at all.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        let minted = self.event.as_deref().and_then(minted);
        [Some(self.as_of), minted].into_iter().flatten().any(|at| now.duration_since(at).abs() > RETENTION)
    }

    /// Whether the district has synced without an event to tell of it. `current` is its last sync as Clever reports it.
    pub(crate) fn lost_events(&self, current: Option<Timestamp>, now: Timestamp) -> bool {
        let is_unaccounted = |sync: &Timestamp| self.sync.is_none_or(|known| *sync > known);
        [current, self.unconfirmed]
            .into_iter()
            .flatten()
            .filter(is_unaccounted)
            .any(|sync| now.duration_since(sync) > LAG)
    }
}

/// When an id was minted: its first eight hexadecimal digits are seconds since 1970.
pub(crate) fn minted(id: &str) -> Option<Timestamp> {
    let seconds = u32::from_str_radix(id.get(..8)?, 16).ok()?;
    Timestamp::from_second(i64::from(seconds)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        Memory {
            event: Some("64206e4431f12f05cc49076f".to_owned()),
            as_of: "2023-03-27T02:00:00Z".parse().unwrap(),
            full: "2023-03-26T02:00:00Z".parse().unwrap(),
            sync: Some("2023-03-26T16:08:34.367Z".parse().unwrap()),
            unconfirmed: None,
            default_session: false,
            demographics: true,
            events: true,
            filled: BTreeSet::from(["schools".to_owned()]),
        }
    }

    #[test]
    fn the_cursor_of_version_1_is_written_and_read_back() {
        let cursor = memory().into_cursor().unwrap();
        insta::assert_snapshot!(cursor.0, @r#"{"v":"1","event":"64206e4431f12f05cc49076f","as_of":"2023-03-27T02:00:00Z","full":"2023-03-26T02:00:00Z","sync":"2023-03-26T16:08:34.367Z","default_session":false,"demographics":true,"events":true,"filled":["schools"]}"#);
        assert_eq!(Memory::of(Some(&cursor)).unwrap(), Some(memory()));
        assert!(Memory::of(Some(&Cursor("{\"v\":\"9\"}".to_owned()))).is_err());
        assert_eq!(Memory::of(None).unwrap(), None);
    }

    #[test]
    fn r10_a_cursor_expires_by_the_time_in_its_event_or_by_its_own() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(minted("64206e4431f12f05cc49076f"), Some(at("2023-03-26T16:09:40Z")));
        assert!(!memory().is_expired(at("2023-04-24T16:00:00Z")));
        assert!(memory().is_expired(at("2023-04-24T17:00:00Z")));
        let quiet = Memory { event: None, ..memory() };
        assert!(!quiet.is_expired(at("2023-04-25T01:00:00Z")));
        assert!(quiet.is_expired(at("2023-04-25T03:00:00Z")));
        let ahead = Memory { event: Some("ffffffff31f12f05cc49076f".to_owned()), ..memory() };
        assert!(ahead.is_expired(at("2023-03-27T03:00:00Z")));
        let strange = Memory { event: Some("not hexadecimal".to_owned()), ..memory() };
        assert!(strange.is_expired(at("2023-04-25T03:00:00Z")));
    }

    #[test]
    fn a_sync_without_an_event_is_noticed_once_the_event_had_its_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let later = Some(at("2023-03-28T01:30:00Z"));
        assert!(!memory().lost_events(memory().sync, at("2023-03-28T02:00:00Z")), "accounted for");
        assert!(!memory().lost_events(later, at("2023-03-28T02:00:00Z")), "the event may be on its way");
        assert!(memory().lost_events(later, at("2023-03-28T03:00:00Z")));
        let waiting = Memory { unconfirmed: later, ..memory() };
        let next = Some(at("2023-03-29T01:30:00Z"));
        assert!(waiting.lost_events(next, at("2023-03-29T02:00:00Z")), "its event has had a day");
    }
}

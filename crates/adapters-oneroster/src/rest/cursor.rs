//! What a REST source remembers from one applied pull to the next.

use jiff::Timestamp;
use rollcall_domain::Kind;
use rollcall_domain::ports::Cursor;
use serde::{Deserialize, Serialize};

use super::error::RestError;

/// The memory of a REST source. Written into a run's cursor as versioned JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// When the last pull began, by the more careful of both clocks, less the overlap: changes since then may be unread.
    pub(crate) since: Timestamp,
    /// When everything was last read.
    pub(crate) full: Timestamp,
    /// When the server last refused to give changes alone, or gave more than these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<Timestamp>,
    /// The vendor's revision of what was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<String>,
    /// How what was read was understood. Understood otherwise, it gives other records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reading: Option<String>,
    /// The server's totals have been seen to count more than the page they stand on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) totals_proven: bool,
    /// The kinds that have been read in full. Of another kind, changes alone would not be enough.
    pub(crate) kinds: Vec<Kind>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum Versioned {
    #[serde(rename = "1")]
    V1(Memory),
}

impl Memory {
    /// Reads a cursor.
    pub(crate) fn of(cursor: Option<&Cursor>) -> Result<Option<Self>, RestError> {
        let Some(cursor) = cursor else { return Ok(None) };
        match serde_json::from_str(&cursor.0) {
            Ok(Versioned::V1(memory)) => Ok(Some(memory)),
            Err(cause) => Err(RestError::Cursor { cause }),
        }
    }

    /// Writes the memory as a cursor.
    pub(crate) fn into_cursor(self) -> Result<Cursor, RestError> {
        serde_json::to_string(&Versioned::V1(self)).map(Cursor).map_err(|cause| RestError::Cursor { cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_of_version_1_is_written_and_read_back() {
        let memory = Memory {
            since: "2026-08-17T01:00:00Z".parse().unwrap(),
            full: "2026-08-16T02:00:00Z".parse().unwrap(),
            refused: None,
            revision: Some("41".to_owned()),
            reading: Some("mdy".to_owned()),
            totals_proven: true,
            kinds: vec![Kind::Orgs, Kind::Users],
        };
        let cursor = memory.clone().into_cursor().unwrap();
        insta::assert_snapshot!(cursor.0, @r#"{"v":"1","since":"2026-08-17T01:00:00Z","full":"2026-08-16T02:00:00Z","revision":"41","reading":"mdy","totals_proven":true,"kinds":["orgs","users"]}"#);
        assert_eq!(Memory::of(Some(&cursor)).unwrap(), Some(memory));
        assert!(Memory::of(Some(&Cursor("{\"v\":\"9\"}".to_owned()))).is_err());
        assert_eq!(Memory::of(None).unwrap(), None);
    }
}

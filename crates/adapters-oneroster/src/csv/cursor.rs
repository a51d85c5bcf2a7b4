//! What a CSV source remembers from one applied package to the next.

use std::collections::BTreeMap;

use rollcall_domain::ports::Cursor;
use serde::{Deserialize, Serialize};

use crate::error::CsvError;

/// The memory of a CSV source. Written into a run's cursor as versioned JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    /// The columns that were read, by file. A column that is gone later would wipe a field of every record.
    pub(crate) columns: BTreeMap<String, Vec<String>>,
    /// The package of a drop folder that was applied last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) applied: Option<AppliedPackage>,
    /// Whether the last applied package was read with its demographics.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) demographics: bool,
}

/// A package of a drop folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppliedPackage {
    /// Its file name.
    pub(crate) name: String,
    /// When its file was last written, in nanoseconds since 1970 UTC.
    pub(crate) modified_ns: i64,
    /// The digest of its content.
    pub(crate) digest: String,
    /// The packages beside it that were done with by then. One that is older and not among them came too late.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum Versioned {
    #[serde(rename = "1")]
    V1(Memory),
}

impl Memory {
    /// Reads a cursor; without one the memory is empty.
    pub(crate) fn of(cursor: Option<&Cursor>) -> Result<Self, CsvError> {
        let Some(cursor) = cursor else { return Ok(Self::default()) };
        match serde_json::from_str(&cursor.0) {
            Ok(Versioned::V1(memory)) => Ok(memory),
            Err(cause) => Err(CsvError::Cursor { cause }),
        }
    }

    /// Writes the memory as a cursor.
    pub(crate) fn into_cursor(self) -> Result<Cursor, CsvError> {
        serde_json::to_string(&Versioned::V1(self)).map(Cursor).map_err(|cause| CsvError::Cursor { cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_of_version_1_is_written_and_read_back() {
        let memory = Memory {
            columns: BTreeMap::from([("orgs".to_owned(), vec!["name".to_owned(), "sourcedId".to_owned()])]),
            applied: Some(AppliedPackage {
                name: "monday.zip".to_owned(),
                modified_ns: 17,
                digest: "ab".to_owned(),
                earlier: Vec::new(),
            }),
            demographics: true,
        };
        let cursor = memory.clone().into_cursor().unwrap();
        insta::assert_snapshot!(cursor.0, @r#"{"v":"1","columns":{"orgs":["name","sourcedId"]},"applied":{"name":"monday.zip","modified_ns":17,"digest":"ab"},"demographics":true}"#);
        assert_eq!(Memory::of(Some(&cursor)).unwrap(), memory);
    }

    #[test]
    fn a_cursor_of_another_sort_is_refused() {
        assert!(Memory::of(Some(&Cursor("{\"v\":\"9\"}".to_owned()))).is_err());
        assert!(Memory::of(Some(&Cursor("2026-01-01".to_owned()))).is_err());
        assert_eq!(Memory::of(None).unwrap(), Memory::default());
    }
}

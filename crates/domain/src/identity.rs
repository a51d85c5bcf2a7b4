use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text of a record. Most of them are short, and short ones live without an allocation.
pub type Text = CompactString;

/// The id by which a source knows a record: opaque, case-sensitive, never blank, and unique per kind within a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "CompactString", into = "CompactString")]
pub struct SourcedId(CompactString);

/// A sourcedId cannot be blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sourcedId cannot be blank")]
pub struct BlankId;

impl SourcedId {
    /// Takes the id as it is, unless it is blank.
    pub fn new(id: &str) -> Result<Self, BlankId> {
        if id.is_empty() { Err(BlankId) } else { Ok(Self(CompactString::new(id))) }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<CompactString> for SourcedId {
    type Error = BlankId;

    fn try_from(id: CompactString) -> Result<Self, BlankId> {
        if id.is_empty() { Err(BlankId) } else { Ok(Self(id)) }
    }
}

impl From<SourcedId> for CompactString {
    fn from(id: SourcedId) -> Self {
        id.0
    }
}

impl fmt::Display for SourcedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A store's number for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub i64);

/// The number of one run. Version 7 UUIDs, so that later runs sort after earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

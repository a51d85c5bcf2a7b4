//! What is wrong with a roster, and where: findings, rejects and warnings.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::{Fingerprint, Kind, Record, SourcedId, Text};

macro_rules! codes {
    ($( $(#[$meta:meta])* $variant:ident = $token:literal ; )+) => {
        /// The rule that a finding is about. Codes are stable; programs may depend on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $( $(#[$meta])* $variant, )+
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$( Self::$variant, )+];

            /// The code as reports print it.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $token, )+ }
            }

            /// Reads a code as reports print it.
            pub fn from_token(token: &str) -> Option<Self> {
                match token { $( $token => Some(Self::$variant), )+ _ => None }
            }
        }
    };
}

codes! {
    /// A row has the wrong number of cells, or a quote that never closes.
    CsvMalformed = "csv.malformed";
    /// A column that OneRoster does not define, or one under a misspelt or older name.
    ColumnUnknown = "column.unknown";
    /// A column that the standard asks for is not there.
    ColumnMissing = "column.missing";
    /// A column that was there in the last package is gone.
    ColumnLost = "column.lost";
    /// Columns stand in another order or case than the standard's.
    ColumnOrder = "column.order";
    /// Bytes that are not text in the source's encoding.
    EncodingInvalid = "encoding.invalid";
    /// A value that the standard requires is blank.
    FieldMissing = "field.missing";
    /// A value cannot be read.
    FieldInvalid = "field.invalid";
    /// A value is written otherwise than the standard says, and was understood.
    FieldLenient = "field.lenient";
    /// A value outside a fixed list.
    EnumUnknown = "enum.unknown";
    /// A record without a sourcedId.
    IdMissing = "id.missing";
    /// A sourcedId with characters outside OneRoster's set.
    IdCharacters = "id.characters";
    /// Several records of one kind with one sourcedId.
    IdDuplicate = "id.duplicate";
    /// A required reference to a record that does not exist.
    RefMissing = "ref.missing";
    /// A required reference to a record that was refused in this run.
    RefRejected = "ref.rejected";
    /// An optional reference to a record that does not exist: left out until the record arrives.
    RefDropped = "ref.dropped";
    /// A reference to a record of another type than the field is for, to itself, or in a circle.
    RefType = "ref.type";
    /// A record that the source left out although others still refer to it: kept.
    RefRetained = "ref.retained";
    /// An end before its start.
    DateOrder = "date.order";
    /// A date such as 3/4/2026 that may be read two ways.
    DateAmbiguous = "date.ambiguous";
    /// Values that contradict each other.
    ValueConflict = "value.conflict";
    /// Life-cycle columns that do not fit a bulk or a delta file.
    LifecycleUnexpected = "lifecycle.unexpected";
    /// The manifest is missing, incomplete or contradicts the files.
    ManifestInvalid = "manifest.invalid";
    /// A file that the manifest lists is not there, or the other way round.
    FileMissing = "file.missing";
    /// A file that is not part of a OneRoster rostering package, or one that is not read.
    FileSkipped = "file.skipped";
    /// The package is not OneRoster, or not an archive that can be read.
    PackageInvalid = "package.invalid";
    /// A file that is declared bulk looks like a delta.
    DeltaSuspected = "delta.suspected";
    /// Deletions by absence were withheld in this run.
    DeletionsWithheld = "deletions.withheld";
    /// More deletions than a guard lets through.
    GuardDelete = "guard.delete";
    /// More updates than a guard lets through.
    GuardUpdate = "guard.update";
    /// More refused records than a guard lets through.
    GuardReject = "guard.reject";
    /// A school, a district or a session in use would be deleted.
    GuardStructure = "guard.structure";
    /// Deletions right after what is visible has changed.
    GuardScope = "guard.scope";
    /// A complete collection came empty where records are stored.
    CollectionEmpty = "collection.empty";
    /// Records that an earlier run refused were applied, because what they refer to has arrived.
    RefHealed = "ref.healed";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let token = String::deserialize(deserializer)?;
        Self::from_token(&token).ok_or_else(|| serde::de::Error::custom(format!("unknown finding code `{token}`")))
    }
}

/// Where a source said something: a line of a file, or an item of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file or URL, without secrets.
    pub place: Arc<str>,
    /// The line of the file (the header is line 1) or the index in the response; `None` for the whole.
    pub position: Option<u64>,
    /// Whether the position is a line of a file or an index in a response.
    pub unit: PositionUnit,
}

/// What a [`Location`]'s position counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionUnit {
    /// Lines of a file, from 1.
    Line,
    /// Items of a response, from 0.
    Index,
}

impl Location {
    /// A line of a file.
    pub fn line(file: &Arc<str>, line: u64) -> Self {
        Self { place: Arc::clone(file), position: Some(line), unit: PositionUnit::Line }
    }

    /// An item of a response.
    pub fn index(url: &Arc<str>, index: u64) -> Self {
        Self { place: Arc::clone(url), position: Some(index), unit: PositionUnit::Index }
    }

    /// A file or response as a whole.
    pub fn whole(place: &Arc<str>) -> Self {
        Self { place: Arc::clone(place), position: None, unit: PositionUnit::Line }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.position, self.unit) {
            (None, _) => f.write_str(&self.place),
            (Some(line), PositionUnit::Line) => write!(f, "{}:{line}", self.place),
            (Some(index), PositionUnit::Index) => write!(f, "{}#{index}", self.place),
        }
    }
}

/// One thing that is wrong with one record.
///
/// The message must not quote a value of a person's record: field names, ids and the expected form say enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule.
    pub code: Code,
    /// The field, in the spelling of the source.
    pub field: Option<Text>,
    /// What was wrong, what was expected, and what to do, for the person who keeps the data.
    pub message: String,
}

impl Finding {
    /// A finding on one field.
    pub fn on(code: Code, field: impl AsRef<str>, message: impl Into<String>) -> Self {
        Self { code, field: Some(Text::new(field)), message: message.into() }
    }

    /// A finding on the record as a whole.
    pub fn whole(code: Code, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into() }
    }
}

/// A record that was refused. It counts once, however many findings it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The kind of the record.
    pub kind: Kind,
    /// Its id, if it could be read. A reject without one withholds deletions by absence (R5).
    pub sourced_id: Option<SourcedId>,
    /// Only a part of the record was refused, a role of a user: the record itself may still be accepted.
    pub is_part: bool,
    /// Where it stands.
    pub location: Location,
    /// Why it was refused; never empty.
    pub findings: Vec<Finding>,
    /// The offending record as the source sent it, by field, without passwords (R11). `None` where the structure was
    /// unreadable: such a row is located, not quoted.
    pub record: Option<serde_json::Value>,
}

/// Something that was accepted and should still be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The kind of the record or file, if it belongs to one.
    pub kind: Option<Kind>,
    /// The id of the record, if it is about one.
    pub sourced_id: Option<SourcedId>,
    /// Where.
    pub location: Location,
    /// What.
    pub finding: Finding,
}

/// A record refused for a required reference, kept so that it can be applied when its target arrives (R8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRecord {
    /// The record as it was mapped; it holds no password.
    pub record: Record,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// When the source last changed it, in milliseconds since 1970 UTC.
    pub modified_ms: Option<i64>,
}

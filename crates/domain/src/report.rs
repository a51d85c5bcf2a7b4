//! The report of a run: the JSON document that other programs read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ports::{Hold, Problem, RunMode, RunStatus};
use crate::{Code, Counts, Kind, RunId};

/// What a run did. Serialised, it is the document that `import`, `sync` and `runs show` print.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub run_id: RunId,
    /// The name of its source.
    pub source: String,
    /// What became of it.
    pub status: RunStatus,
    /// How much it pulled.
    pub mode: RunMode,
    /// What the reader should know before all else.
    pub note: Option<String>,
    /// What it did, per kind; every kind is listed.
    #[serde(with = "counts_by_kind")]
    pub counts: crate::PerKind<Counts>,
    /// What was recognised and not read.
    pub skipped: Vec<String>,
    /// What was accepted and should be known, by file, field and code.
    pub warnings: Vec<WarningGroup>,
    /// Why it was held.
    pub held_by: Vec<Hold>,
    /// How long it took.
    pub duration_ms: u64,
    /// Why it failed.
    pub error: Option<RunError>,
}

impl RunReport {
    /// The report of a run that has just begun.
    pub fn begun(run_id: RunId, source: &str) -> Self {
        Self {
            run_id,
            source: source.to_owned(),
            status: RunStatus::Running,
            mode: RunMode::Full,
            note: None,
            counts: crate::PerKind::default(),
            skipped: Vec::new(),
            warnings: Vec::new(),
            held_by: Vec::new(),
            duration_ms: 0,
            error: None,
        }
    }

    /// How many records were refused.
    pub fn rejected(&self) -> u64 {
        self.counts.iter().map(|(_, counts)| counts.rejected).sum()
    }
}

/// Warnings that say the same of the same field of the same file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningGroup {
    /// The rule.
    pub code: Code,
    /// The kind of record, if it is about one.
    pub kind: Option<Kind>,
    /// The file or address.
    pub file: String,
    /// The field, if it is about one.
    pub field: Option<String>,
    /// How often.
    pub count: u64,
    /// What the first of them says.
    pub message: String,
    /// The first ten.
    pub first: Vec<WarningExample>,
}

/// One of several warnings that say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningExample {
    /// The record.
    pub sourced_id: Option<String>,
    /// The line or index.
    pub line: Option<u64>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// A stable word.
    pub code: String,
    /// What was wrong and what to do.
    pub message: String,
    /// Every problem found.
    pub problems: Vec<Problem>,
}

mod counts_by_kind {
    use serde::{Deserializer, Serializer};

    use super::{BTreeMap, Counts, Deserialize, Kind};
    use crate::PerKind;

    pub(super) fn serialize<S: Serializer>(counts: &PerKind<Counts>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(counts.iter())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PerKind<Counts>, D::Error> {
        let mut by_kind = BTreeMap::<Kind, Counts>::deserialize(deserializer)?;
        Ok(PerKind::from_fn(|kind| by_kind.remove(&kind).unwrap_or_default()))
    }
}

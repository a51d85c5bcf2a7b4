use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{ExternalId, Metadata, encode_external_ids, encode_metadata, sort_and_dedup};
use crate::vocabulary::SessionType;
use crate::{Encoder, RefField, Reference, SourcedId, Text};

/// A school year, semester, term or grading period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AcademicSession {
    /// The source's id of the session.
    pub sourced_id: SourcedId,
    /// Its name.
    pub title: Text,
    /// What span of time it is.
    #[serde(rename = "type")]
    pub session_type: SessionType,
    /// The first day.
    pub start_date: Date,
    /// The day after the last one.
    pub end_date: Date,
    /// The session above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SourcedId>,
    /// The year in which the school year ends: 2027 for 2026-27.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub school_year: Option<u16>,
    /// Ids in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// Extension fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl AcademicSession {
    pub(super) fn each_reference<'a>(&'a self, visit: &mut impl FnMut(Reference<'a>)) {
        if let Some(target) = &self.parent {
            visit(Reference { field: RefField::SessionParent, target });
        }
    }

    pub(super) fn normalise(&mut self) {
        sort_and_dedup(&mut self.external_ids);
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.sourced_id.as_str());
        encoder.text(&self.title);
        encoder.text(self.session_type.as_str());
        encoder.date(Some(self.start_date));
        encoder.date(Some(self.end_date));
        encoder.optional(self.parent.as_ref().map(SourcedId::as_str));
        encoder.number(self.school_year.map_or(0, u64::from));
        encode_external_ids(encoder, &self.external_ids);
        encode_metadata(encoder, &self.metadata);
    }
}

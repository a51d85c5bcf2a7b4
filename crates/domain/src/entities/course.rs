use serde::{Deserialize, Serialize};

use super::{ExternalId, Metadata, encode_external_ids, encode_metadata, sort_and_dedup};
use crate::{Encoder, RefField, Reference, SourcedId, Text};

/// What is taught, independent of when and to whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Course {
    /// The source's id of the course.
    pub sourced_id: SourcedId,
    /// The school year in which it is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub school_year: Option<SourcedId>,
    /// Its name.
    pub title: Text,
    /// Its number in the catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course_code: Option<Text>,
    /// The grades it is meant for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<Text>,
    /// The org that offers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<SourcedId>,
    /// Its subjects; paired with the codes where there are as many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Text>,
    /// Codes of the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_codes: Vec<Text>,
    /// Ids in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// Extension fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl Course {
    pub(super) fn each_reference<'a>(&'a self, visit: &mut impl FnMut(Reference<'a>)) {
        if let Some(target) = &self.school_year {
            visit(Reference { field: RefField::CourseSchoolYear, target });
        }
        if let Some(target) = &self.org {
            visit(Reference { field: RefField::CourseOrg, target });
        }
    }

    pub(super) fn normalise(&mut self) {
        sort_and_dedup(&mut self.grades);
        sort_and_dedup(&mut self.external_ids);
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.sourced_id.as_str());
        encoder.optional(self.school_year.as_ref().map(SourcedId::as_str));
        encoder.text(&self.title);
        encoder.optional(self.course_code.as_deref());
        encoder.list(&self.grades);
        encoder.optional(self.org.as_ref().map(SourcedId::as_str));
        encoder.list(&self.subjects);
        encoder.list(&self.subject_codes);
        encode_external_ids(encoder, &self.external_ids);
        encode_metadata(encoder, &self.metadata);
    }
}

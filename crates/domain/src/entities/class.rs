use serde::{Deserialize, Serialize};

use super::{ExternalId, Metadata, encode_external_ids, encode_ids, encode_metadata, sort_and_dedup};
use crate::vocabulary::ClassType;
use crate::{Encoder, RefField, Reference, SourcedId, Text};

/// A course as taught to one group in one school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Class {
    /// The source's id of the class.
    pub sourced_id: SourcedId,
    /// Its name.
    pub title: Text,
    /// The grades it is meant for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<Text>,
    /// The course it teaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<SourcedId>,
    /// A short name that people use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_code: Option<Text>,
    /// Whether it meets by timetable.
    pub class_type: ClassType,
    /// Where it meets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Text>,
    /// The school it is held in.
    pub school: SourcedId,
    /// The sessions in which it is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<SourcedId>,
    /// Its subjects; paired with the codes where there are as many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Text>,
    /// Codes of the subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subject_codes: Vec<Text>,
    /// The periods of the day in which it meets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub periods: Vec<Text>,
    /// Ids in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// Extension fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl Class {
    pub(super) fn each_reference<'a>(&'a self, visit: &mut impl FnMut(Reference<'a>)) {
        if let Some(target) = &self.course {
            visit(Reference { field: RefField::ClassCourse, target });
        }
        visit(Reference { field: RefField::ClassSchool, target: &self.school });
        for target in &self.terms {
            visit(Reference { field: RefField::ClassTerm, target });
        }
    }

    pub(super) fn normalise(&mut self) {
        sort_and_dedup(&mut self.grades);
        sort_and_dedup(&mut self.terms);
        sort_and_dedup(&mut self.periods);
        sort_and_dedup(&mut self.external_ids);
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.sourced_id.as_str());
        encoder.text(&self.title);
        encoder.list(&self.grades);
        encoder.optional(self.course.as_ref().map(SourcedId::as_str));
        encoder.optional(self.class_code.as_deref());
        encoder.text(self.class_type.as_str());
        encoder.optional(self.location.as_deref());
        encoder.text(self.school.as_str());
        encode_ids(encoder, &self.terms);
        encoder.list(&self.subjects);
        encoder.list(&self.subject_codes);
        encoder.list(&self.periods);
        encode_external_ids(encoder, &self.external_ids);
        encode_metadata(encoder, &self.metadata);
    }
}

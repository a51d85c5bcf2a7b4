use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{ExternalId, Metadata, encode_external_ids, encode_metadata, sort_and_dedup};
use crate::vocabulary::EnrollmentRole;
use crate::{Encoder, RefField, Reference, SourcedId};

/// A user's part in a class. Several of one user in one class are legal: left and returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrollment {
    /// The source's id of the enrollment.
    pub sourced_id: SourcedId,
    /// The class.
    pub class: SourcedId,
    /// The school as the source states it; the class's own school is what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub school: Option<SourcedId>,
    /// The user.
    pub user: SourcedId,
    /// What the user is in the class.
    pub role: EnrollmentRole,
    /// Whether this is the class's main teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
    /// The first day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_date: Option<Date>,
    /// The day after the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date: Option<Date>,
    /// Ids in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// Extension fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl Enrollment {
    pub(super) fn each_reference<'a>(&'a self, visit: &mut impl FnMut(Reference<'a>)) {
        visit(Reference { field: RefField::EnrollmentClass, target: &self.class });
        if let Some(target) = &self.school {
            visit(Reference { field: RefField::EnrollmentSchool, target });
        }
        visit(Reference { field: RefField::EnrollmentUser, target: &self.user });
    }

    pub(super) fn normalise(&mut self) {
        sort_and_dedup(&mut self.external_ids);
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.sourced_id.as_str());
        encoder.text(self.class.as_str());
        encoder.optional(self.school.as_ref().map(SourcedId::as_str));
        encoder.text(self.user.as_str());
        encoder.text(self.role.as_str());
        encoder.flag(self.primary);
        encoder.date(self.begin_date);
        encoder.date(self.end_date);
        encode_external_ids(encoder, &self.external_ids);
        encode_metadata(encoder, &self.metadata);
    }
}

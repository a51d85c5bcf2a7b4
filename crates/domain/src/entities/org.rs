use serde::{Deserialize, Serialize};

use super::{ExternalId, Metadata, encode_external_ids, encode_metadata, sort_and_dedup};
use crate::vocabulary::OrgType;
use crate::{Encoder, RefField, Reference, SourcedId, Text};

/// A school, a district, or a body above, below or between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Org {
    /// The source's id of the org.
    pub sourced_id: SourcedId,
    /// Its name.
    pub name: Text,
    /// What sort of org it is.
    #[serde(rename = "type")]
    pub org_type: OrgType,
    /// An official number, in the USA usually the NCES id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Text>,
    /// The org above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SourcedId>,
    /// Ids in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// Extension fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl Org {
    pub(super) fn each_reference<'a>(&'a self, visit: &mut impl FnMut(Reference<'a>)) {
        if let Some(target) = &self.parent {
            visit(Reference { field: RefField::OrgParent, target });
        }
    }

    pub(super) fn normalise(&mut self) {
        sort_and_dedup(&mut self.external_ids);
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.sourced_id.as_str());
        encoder.text(&self.name);
        encoder.text(self.org_type.as_str());
        encoder.optional(self.identifier.as_deref());
        encoder.optional(self.parent.as_ref().map(SourcedId::as_str));
        encode_external_ids(encoder, &self.external_ids);
        encode_metadata(encoder, &self.metadata);
    }
}

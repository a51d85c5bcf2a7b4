use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{ExternalId, Metadata, encode_external_ids, encode_metadata, sort_and_dedup};
use crate::vocabulary::Sex;
use crate::{Encoder, RefField, Reference, SourcedId, Text};

/// Personal attributes of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Demographics {
    /// The sourcedId of the user whom the record describes; it is the record's own id too.
    pub sourced_id: SourcedId,
    /// The day of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth_date: Option<Date>,
    /// The sex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<Sex>,
    /// The seven statements on race and ethnicity.
    #[serde(flatten)]
    pub race: Race,
    /// The country of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country_of_birth_code: Option<Text>,
    /// The state of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_of_birth_abbreviation: Option<Text>,
    /// The city of birth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city_of_birth: Option<Text>,
    /// Whether the user lives in the school's area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_school_residence_status: Option<Text>,
    /// Ids in other systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// Extension fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// What a demographics record states on race and ethnicity. Each may be left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are OneRoster's, and say what they mean")]
pub struct Race {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub american_indian_or_alaska_native: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asian: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub black_or_african_american: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_hawaiian_or_other_pacific_islander: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub white: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demographic_race_two_or_more_races: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hispanic_or_latino_ethnicity: Option<bool>,
}

impl Race {
    /// The statements in the order of OneRoster's columns.
    pub const fn in_order(&self) -> [Option<bool>; 7] {
        [
            self.american_indian_or_alaska_native,
            self.asian,
            self.black_or_african_american,
            self.native_hawaiian_or_other_pacific_islander,
            self.white,
            self.demographic_race_two_or_more_races,
            self.hispanic_or_latino_ethnicity,
        ]
    }

    /// Builds the statements from the order of OneRoster's columns.
    pub const fn from_order(flags: [Option<bool>; 7]) -> Self {
        let [
            american_indian_or_alaska_native,
            asian,
            black_or_african_american,
            native_hawaiian_or_other_pacific_islander,
            white,
            demographic_race_two_or_more_races,
            hispanic_or_latino_ethnicity,
        ] = flags;
        Self {
            american_indian_or_alaska_native,
            asian,
            black_or_african_american,
            native_hawaiian_or_other_pacific_islander,
            white,
            demographic_race_two_or_more_races,
            hispanic_or_latino_ethnicity,
        }
    }
}

impl Demographics {
    pub(super) fn each_reference<'a>(&'a self, visit: &mut impl FnMut(Reference<'a>)) {
        visit(Reference { field: RefField::DemographicsUser, target: &self.sourced_id });
    }

    pub(super) fn normalise(&mut self) {
        sort_and_dedup(&mut self.external_ids);
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.sourced_id.as_str());
        encoder.date(self.birth_date);
        encoder.optional(self.sex.as_ref().map(Sex::as_str));
        for flag in self.race.in_order() {
            encoder.flag(flag);
        }
        encoder.optional(self.country_of_birth_code.as_deref());
        encoder.optional(self.state_of_birth_abbreviation.as_deref());
        encoder.optional(self.city_of_birth.as_deref());
        encoder.optional(self.public_school_residence_status.as_deref());
        encode_external_ids(encoder, &self.external_ids);
        encode_metadata(encoder, &self.metadata);
    }
}

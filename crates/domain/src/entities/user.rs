use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{ExternalId, Metadata, encode_external_ids, encode_ids, encode_metadata, sort_and_dedup};
use crate::vocabulary::{RoleType, UserRole};
use crate::{Encoder, RefField, Reference, SourcedId, Text};

/// A student, teacher, guardian or member of staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// The source's id of the user.
    pub sourced_id: SourcedId,
    /// Whether the user may use systems. A user who may not is kept.
    pub enabled_user: bool,
    /// The login name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Text>,
    /// OneRoster's `userIds` and a vendor's further ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_ids: Vec<ExternalId>,
    /// The given name; one of the two names is always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<Text>,
    /// The family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<Text>,
    /// Middle names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<Text>,
    /// A number that people know the user by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Text>,
    /// The e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Text>,
    /// The number for text messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<Text>,
    /// The telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Text>,
    /// The users who act for this one, or for whom it acts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<SourcedId>,
    /// The grades the user is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<Text>,
    /// An id that is the same in every system of a region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_master_identifier: Option<Text>,
    /// The given name the user prefers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_given_name: Option<Text>,
    /// The middle names the user prefers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_middle_name: Option<Text>,
    /// The family name the user prefers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_family_name: Option<Text>,
    /// The org the user mainly belongs to. Never guessed from the order of orgs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_org: Option<SourcedId>,
    /// How to refer to the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pronouns: Option<Text>,
    /// What the user is, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Extension fields.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

/// What a user is at one org.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// What the user is.
    pub role: UserRole,
    /// Where. A role at no org grants nothing anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<SourcedId>,
    /// Whether this is the main role there.
    pub role_type: RoleType,
    /// The first day of the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_date: Option<Date>,
    /// The day after its last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_date: Option<Date>,
    /// The user profile that goes with the role, as the source wrote it. Profiles hold credentials and are not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_profile: Option<Text>,
    /// The source's own id of the role, by which deltas address it. Outside fingerprint and export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sourced_id: Option<SourcedId>,
}

impl User {
    pub(super) fn each_reference<'a>(&'a self, visit: &mut impl FnMut(Reference<'a>)) {
        for target in self.roles.iter().filter_map(|role| role.org.as_ref()) {
            visit(Reference { field: RefField::RoleOrg, target });
        }
        for target in &self.agents {
            visit(Reference { field: RefField::UserAgent, target });
        }
        if let Some(target) = &self.primary_org {
            visit(Reference { field: RefField::UserPrimaryOrg, target });
        }
    }

    pub(super) fn normalise(&mut self) {
        sort_and_dedup(&mut self.external_ids);
        sort_and_dedup(&mut self.agents);
        sort_and_dedup(&mut self.grades);
        self.normalise_roles();
    }

    /// Sorts the roles; of two that say the same, the one with the lower vendor id stays.
    pub(crate) fn normalise_roles(&mut self) {
        if self.roles.len() > 1 {
            self.roles.sort_unstable();
            self.roles.dedup_by(|later, earlier| later.says_the_same_as(earlier));
        }
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.sourced_id.as_str());
        encoder.flag(Some(self.enabled_user));
        for text in [
            &self.username,
            &self.given_name,
            &self.family_name,
            &self.middle_name,
            &self.identifier,
            &self.email,
            &self.sms,
            &self.phone,
            &self.user_master_identifier,
            &self.preferred_given_name,
            &self.preferred_middle_name,
            &self.preferred_family_name,
            &self.pronouns,
        ] {
            encoder.optional(text.as_deref());
        }
        encoder.optional(self.primary_org.as_ref().map(SourcedId::as_str));
        encode_ids(encoder, &self.agents);
        encoder.list(&self.grades);
        encoder.number(self.roles.len() as u64);
        for role in &self.roles {
            role.encode(encoder);
        }
        encode_external_ids(encoder, &self.external_ids);
        encode_metadata(encoder, &self.metadata);
    }
}

impl Role {
    /// Whether the two are equal but for the source's own ids of them.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        (&self.role, &self.org, &self.role_type, self.begin_date, self.end_date, &self.user_profile)
            == (&other.role, &other.org, &other.role_type, other.begin_date, other.end_date, &other.user_profile)
    }

    fn encode(&self, encoder: &mut Encoder) {
        encoder.text(self.role.as_str());
        encoder.optional(self.org.as_ref().map(SourcedId::as_str));
        encoder.text(self.role_type.as_str());
        encoder.date(self.begin_date);
        encoder.date(self.end_date);
        encoder.optional(self.user_profile.as_deref());
    }
}

//! `users.csv` of every version. The roles of 1.0 and 1.1 stand in the same row; those of 1.2 are joined to it later.

use rollcall_domain::Code;
use rollcall_domain::entities::{Role, User};
use rollcall_domain::vocabulary::RoleType;

use super::fields::{Cells, Fields};
use super::role::user_role;
use crate::csv::table::Column;

/// Maps a user. `roles_in_row` says that the row has a role and orgs of its own, as in 1.0 and 1.1.
pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>, roles_in_row: bool) -> Option<User> {
    let sourced_id = fields.sourced_id();
    let roles = if roles_in_row { roles(fields) } else { Some(Vec::new()) };
    let enabled_user = enabled(fields);
    let username = fields.expected_text(Column::Username);
    let external_ids = fields.user_ids(Column::UserIds);
    let agents = fields.references(Column::AgentSourcedIds);
    let grades = fields.list(Column::Grades);
    Some(User {
        sourced_id: sourced_id?,
        enabled_user,
        username,
        external_ids,
        given_name: fields.text(Column::GivenName),
        family_name: fields.text(Column::FamilyName),
        middle_name: fields.text(Column::MiddleName),
        identifier: fields.text(Column::Identifier),
        email: fields.text(Column::Email),
        sms: fields.text(Column::Sms),
        phone: fields.text(Column::Phone),
        agents,
        grades,
        user_master_identifier: fields.text(Column::UserMasterIdentifier),
        preferred_given_name: fields.text(Column::PreferredGivenName),
        preferred_middle_name: fields.text(Column::PreferredMiddleName),
        preferred_family_name: fields.text(Column::PreferredFamilyName),
        primary_org: fields.reference(Column::PrimaryOrgSourcedId),
        pronouns: fields.text(Column::Pronouns),
        roles: roles?,
        metadata: fields.metadata(),
    })
}

/// The one role of a row, at each of its orgs. None of the orgs is made the primary one: their order means nothing.
fn roles<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<Vec<Role>> {
    let role = user_role(fields);
    let orgs = fields.references(Column::OrgSourcedIds);
    let role = role?;
    let at = |org| Role {
        role: role.clone(),
        org,
        role_type: RoleType::Primary,
        begin_date: None,
        end_date: None,
        user_profile: None,
        sourced_id: None,
    };
    if orgs.is_empty() {
        fields.expected(Column::OrgSourcedIds);
        return Some(vec![at(None)]);
    }
    Some(orgs.into_iter().map(|org| at(Some(org))).collect())
}

fn enabled<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> bool {
    if let Some(enabled) = fields.flag(Column::EnabledUser) {
        return enabled;
    }
    if fields.raw(Column::EnabledUser).is_empty() && fields.row.has(Column::EnabledUser) {
        fields.warn(Code::FieldMissing, Column::EnabledUser, "enabledUser is blank; it was taken as true");
    }
    true
}

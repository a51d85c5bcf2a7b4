//! The roles of 1.2, in `roles.csv` or inside a user, and the one role that 1.0 and 1.1 give a user.

use rollcall_domain::entities::Role;
use rollcall_domain::vocabulary::{RoleType, UserRole};
use rollcall_domain::{Code, SourcedId};

use super::fields::{Cells, Fields, Token};
use crate::csv::table::{Column, Version};

/// One row of `roles.csv`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleRow {
    /// Whose role it is.
    pub(crate) user: SourcedId,
    /// The role, with the row's own id.
    pub(crate) role: Role,
}

pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<RoleRow> {
    let sourced_id = fields.sourced_id();
    let user = fields.required_reference(Column::UserSourcedId);
    let role = of_user(fields);
    Some(RoleRow { user: user?, role: Role { sourced_id: Some(sourced_id?), ..role? } })
}

/// A role without an id of its own, as it stands inside its user.
pub(crate) fn of_user<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<Role> {
    let role = user_role(fields);
    let role_type = role_type(fields);
    let org = fields.expected_reference(Column::OrgSourcedId);
    let begin_date = fields.date(Column::BeginDate);
    let end_date = fields.end_date(Column::EndDate);
    Some(Role {
        role: role?,
        org,
        role_type,
        begin_date,
        end_date,
        user_profile: fields.text(Column::UserProfileSourcedId),
        sourced_id: None,
    })
}

/// The role that a row takes away: its own id, and whose it is where the row says so. The row is about to go, so its own
/// id is all that it must have, as in every other file.
pub(crate) fn map_deletion<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<(Option<SourcedId>, SourcedId)> {
    let sourced_id = fields.sourced_id();
    let user = fields.reference(Column::UserSourcedId);
    Some((user, sourced_id?))
}

/// What a user is. A user without a role that can be read is refused: nobody can say what the user may do.
pub(crate) fn user_role<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<UserRole> {
    match fields.token(Column::Role, UserRole::recognise) {
        Token::Known(role) => {
            if fields.rules.version < Version::V1_2 && is_new_in_1_2(&role) {
                fields.warn(
                    Code::EnumUnknown,
                    Column::Role,
                    "the role belongs to OneRoster 1.2, not to this version; it was kept",
                );
            }
            Some(role)
        }
        Token::Respelt(UserRole::Administrator) if fields.raw(Column::Role) == "administrator" => {
            if fields.rules.version == Version::V1_2 {
                fields.warn(
                    Code::EnumUnknown,
                    Column::Role,
                    "the role `administrator` belongs to OneRoster 1.1; 1.2 says which sort; it was kept",
                );
            }
            Some(UserRole::Administrator)
        }
        Token::Respelt(role) => {
            fields.lenient(Column::Role, "a role in the standard's spelling, such as `student`");
            Some(role)
        }
        Token::Unknown(_) => {
            fields.refuse(
                Code::EnumUnknown,
                Column::Role,
                "the role is none of those that OneRoster knows (student, teacher, aide, guardian, parent, relative, \
                 proctor, counselor, principal, administrator and so on); correct it and export again",
            );
            None
        }
        Token::Blank => {
            fields.refuse(Code::FieldMissing, Column::Role, "the role is blank; what the user is cannot be guessed");
            None
        }
    }
}

fn is_new_in_1_2(role: &UserRole) -> bool {
    matches!(
        role,
        UserRole::Counselor
            | UserRole::DistrictAdministrator
            | UserRole::Principal
            | UserRole::SiteAdministrator
            | UserRole::SystemAdministrator
    )
}

fn role_type<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> RoleType {
    match fields.token(Column::RoleType, RoleType::recognise) {
        Token::Known(role_type @ (RoleType::Primary | RoleType::Secondary)) => role_type,
        Token::Respelt(role_type) => {
            fields.lenient(Column::RoleType, "`primary` or `secondary`");
            role_type
        }
        // A further role is the weaker claim: it never competes with the one that the source does call primary.
        Token::Known(_) | Token::Unknown(_) => {
            fields.warn(
                Code::EnumUnknown,
                Column::RoleType,
                "the role type is neither `primary` nor `secondary`; it was taken as `secondary`",
            );
            RoleType::Secondary
        }
        Token::Blank => {
            if fields.row.has(Column::RoleType) {
                fields.warn(
                    Code::FieldMissing,
                    Column::RoleType,
                    "the role type is blank; it was taken as `secondary`",
                );
            }
            RoleType::Secondary
        }
    }
}

/// Whether two different roles of one user claim the same id, so that a later delta cannot tell them apart.
pub(crate) fn share_an_id(roles: &[Role]) -> bool {
    roles.iter().enumerate().any(|(index, role)| {
        roles[..index].iter().any(|other| other.sourced_id == role.sourced_id && !other.says_the_same_as(role))
    })
}

use rollcall_domain::Record;
use rollcall_domain::entities::{Role, User};
use rollcall_domain::vocabulary::{RoleType, UserRole};

/// What is left of a record when it has been said in OneRoster 1.1 and read back.
///
/// Only users lose anything, because all other files have the same columns in 1.1 and in 1.2. What 1.1 cannot say:
///
/// - **Different roles at different orgs.** 1.1 has one `role` and a list of orgs. The user's leading role is kept, at
///   the orgs where it is held; an org where the user is only something else is not listed, because listing it would
///   grant the leading role there. The leading role is, in this order: one at the user's primary org; one of type
///   primary; the first of student, teacher, administrator, proctor, aide, counselor, any other word, guardian, parent,
///   relative.
/// - **Role types.** Each role that is left reads as `primary`.
/// - **Dates and user profiles of roles.**
/// - **The four sorts of administrator.** District, site and system administrators and principals are all
///   `administrator`, which is read as [`UserRole::Administrator`].
/// - **`userMasterIdentifier`, the preferred names, `primaryOrgSourcedId` and `pronouns`,** for which there are no
///   columns.
///
/// `counselor`, the sexes `other` and `unspecified` and every `ext:` value are not in the lists of 1.1 either. There is
/// no older word for them, so that a 1.1 package carries them as 1.2 spells them, and readers accept them with a
/// warning.
pub fn as_1_1_can_say(mut record: Record) -> Record {
    if let Record::Users(user) = &mut record {
        reduce(user);
    }
    record.normalise();
    record
}

fn reduce(user: &mut User) {
    user.user_master_identifier = None;
    user.preferred_given_name = None;
    user.preferred_middle_name = None;
    user.preferred_family_name = None;
    user.pronouns = None;
    let primary_org = user.primary_org.take();
    let roles = std::mem::take(&mut user.roles);
    let leading = roles
        .iter()
        .min_by_key(|role| {
            let elsewhere = primary_org.is_none() || role.org != primary_org;
            (elsewhere, role.role_type != RoleType::Primary, rank(&role.role), &role.org)
        })
        .map(|role| word(&role.role));
    let Some(leading) = leading else { return };
    user.roles = roles
        .into_iter()
        .filter(|role| word(&role.role) == leading)
        .map(|role| Role {
            role: leading.clone(),
            org: role.org,
            role_type: RoleType::Primary,
            begin_date: None,
            end_date: None,
            user_profile: None,
            sourced_id: None,
        })
        .collect();
}

/// The role as 1.1 words it.
fn word(role: &UserRole) -> UserRole {
    match role {
        UserRole::DistrictAdministrator
        | UserRole::Principal
        | UserRole::SiteAdministrator
        | UserRole::SystemAdministrator => UserRole::Administrator,
        other => other.clone(),
    }
}

fn rank(role: &UserRole) -> u8 {
    match word(role) {
        UserRole::Student => 0,
        UserRole::Teacher => 1,
        UserRole::Administrator => 2,
        UserRole::Proctor => 3,
        UserRole::Aide => 4,
        UserRole::Counselor => 5,
        UserRole::Guardian => 7,
        UserRole::Parent => 8,
        UserRole::Relative => 9,
        _ => 6,
    }
}

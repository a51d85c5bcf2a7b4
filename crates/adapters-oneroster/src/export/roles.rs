//! A user's roles as each version says them.

use std::borrow::Cow;
use std::fmt::Write as _;

use rollcall_domain::entities::{Role, User};
use rollcall_domain::vocabulary::{EnrollmentRole, RoleType, UserRole};
use rollcall_domain::{Encoder, SourcedId};

/// The role as 1.1 words it.
pub(super) fn word_1_1(role: &UserRole) -> &str {
    match role {
        UserRole::Administrator
        | UserRole::DistrictAdministrator
        | UserRole::Principal
        | UserRole::SiteAdministrator
        | UserRole::SystemAdministrator => "administrator",
        other => other.as_str(),
    }
}

/// The role in a class as 1.1 words it: without the `ext:` of those that 1.2 left out.
pub(super) fn enrollment_word_1_1(role: &EnrollmentRole) -> &str {
    match role {
        EnrollmentRole::Aide | EnrollmentRole::Guardian | EnrollmentRole::Parent | EnrollmentRole::Relative => {
            role.as_str().trim_start_matches("ext:")
        }
        other => other.as_str(),
    }
}

/// The one role that 1.1 can say of a user, as 1.1 words it: at the primary org before elsewhere, primary before
/// secondary, then in the order of [`precedence`].
pub(super) fn leading_word(user: &User) -> Option<&str> {
    user.roles
        .iter()
        .min_by_key(|role| {
            let at_primary_org = user.primary_org.is_some() && role.org == user.primary_org;
            (!at_primary_org, role.role_type != RoleType::Primary, precedence(word_1_1(&role.role)), &role.org)
        })
        .map(|role| word_1_1(&role.role))
}

/// What a user is first of all. What is shown of a school comes before what is shown of a family, and a student who
/// helps out stays a student.
fn precedence(word: &str) -> usize {
    const FIRST: [&str; 6] = ["student", "teacher", "administrator", "proctor", "aide", "counselor"];
    const LAST: [&str; 3] = ["guardian", "parent", "relative"];
    let among = |words: &[&str]| words.iter().position(|&known| known == word);
    among(&FIRST).or_else(|| among(&LAST).map(|place| FIRST.len() + 1 + place)).unwrap_or(FIRST.len())
}

/// The roles in the order of their rows.
pub(super) fn sorted(roles: &[Role]) -> Cow<'_, [Role]> {
    if roles.is_sorted() {
        return Cow::Borrowed(roles);
    }
    let mut roles = roles.to_vec();
    roles.sort();
    Cow::Owned(roles)
}

/// The sourcedId of a row of `roles.csv`, made of what the role is. `repeats` counts the rows before it of which all that
/// is the same; they differ in type, last day or profile.
pub(super) fn row_id(
    id: &mut String,
    encoder: &mut Encoder,
    user: &SourcedId,
    org: &SourcedId,
    role: &Role,
    repeats: usize,
) {
    encoder.clear();
    encoder.text(user.as_str());
    encoder.text(org.as_str());
    encoder.text(role.role.as_str());
    encoder.date(role.begin_date);
    id.clear();
    let mut written = Ok(());
    // Not the fingerprint: ids that others have imported must outlive a change of its hash.
    for byte in &blake3::hash(encoder.bytes()).as_bytes()[..16] {
        written = written.and(write!(id, "{byte:02x}"));
    }
    if repeats > 0 {
        written = written.and(write!(id, "-{}", repeats + 1));
    }
    debug_assert!(written.is_ok(), "a string takes every write");
}

//! The rows of `roles.csv`, kept in little memory and grouped by user, while `users.csv` is read beside them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::Date;
use rollcall_domain::entities::Role;
use rollcall_domain::vocabulary::{RoleType, UserRole};
use rollcall_domain::{Location, SourcedId, Text};

use crate::mapping::role::RoleRow;

/// No further role.
const NONE: u32 = u32::MAX;

/// All roles of a package.
#[derive(Debug)]
pub(crate) struct RolesIndex {
    /// The file that the rows are from.
    file: Arc<str>,
    users: HashMap<SourcedId, u32>,
    heads: Vec<Head>,
    entries: Vec<Entry>,
    /// Few orgs and fewer sorts of role occur over and over; each is kept once.
    orgs: Interned<SourcedId>,
    roles: Interned<UserRole>,
    /// A row could not be read so far that its user is known: nobody's roles are known to be complete.
    pub(crate) is_incomplete: bool,
}

#[derive(Debug)]
struct Head {
    first: u32,
    last: u32,
    /// A row of the user was refused: the stored role of that row must stay (R5).
    refused: bool,
    seen: bool,
}

#[derive(Debug)]
struct Entry {
    sourced_id: SourcedId,
    user_profile: Option<Box<Text>>,
    org: Option<u32>,
    role: u32,
    next: u32,
    line: u32,
    begin_date: Option<Date>,
    end_date: Option<Date>,
    is_primary: bool,
}

/// The roles of one user.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RolesOfUser {
    /// Each with the line of its row.
    pub(crate) roles: Vec<(u64, Role)>,
    /// Whether these are all: no row of the user was refused.
    pub(crate) complete: bool,
}

impl RolesIndex {
    /// An index of the rows of a file, none of them read yet.
    pub(crate) fn new(file: &Arc<str>) -> Self {
        Self {
            file: Arc::clone(file),
            users: HashMap::new(),
            heads: Vec::new(),
            entries: Vec::new(),
            orgs: Interned::default(),
            roles: Interned::default(),
            is_incomplete: false,
        }
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: RoleRow, line: u64) {
        let RoleRow { user, role } = row;
        let Some(sourced_id) = role.sourced_id else { return };
        // Files of four thousand million roles do not occur.
        let Ok(index) = u32::try_from(self.entries.len()) else { return };
        self.entries.push(Entry {
            sourced_id,
            user_profile: role.user_profile.map(Box::new),
            org: role.org.map(|org| self.orgs.number(org)),
            role: self.roles.number(role.role),
            next: NONE,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            begin_date: role.begin_date,
            end_date: role.end_date,
            is_primary: role.role_type == RoleType::Primary,
        });
        let head = self.head(user);
        let before = std::mem::replace(&mut head.last, index);
        if head.first == NONE {
            head.first = index;
        } else if let Some(entry) = self.entries.get_mut(before as usize) {
            entry.next = index;
        }
    }

    /// Remembers that a row of the user was refused.
    pub(crate) fn refuse(&mut self, user: SourcedId) {
        self.head(user).refused = true;
    }

    fn head(&mut self, user: SourcedId) -> &mut Head {
        let next = self.heads.len();
        let index = *self.users.entry(user).or_insert_with(|| u32::try_from(next).unwrap_or(NONE)) as usize;
        if index >= next {
            self.heads.push(Head { first: NONE, last: NONE, refused: false, seen: false });
        }
        let last = self.heads.len() - 1;
        &mut self.heads[index.min(last)]
    }

    /// Remembers that the user exists, or at least that a row of it does.
    pub(crate) fn see(&mut self, user: &SourcedId) {
        if let Some(&index) = self.users.get(user) {
            self.heads[index as usize].seen = true;
        }
    }

    /// The roles of a user.
    pub(crate) fn of(&self, user: &SourcedId) -> RolesOfUser {
        let Some(&index) = self.users.get(user) else {
            return RolesOfUser { roles: Vec::new(), complete: !self.is_incomplete };
        };
        let head = &self.heads[index as usize];
        let mut roles = Vec::new();
        let mut next = head.first;
        while let Some(entry) = self.entries.get(next as usize) {
            roles.push((u64::from(entry.line), self.unpack(entry)));
            next = entry.next;
        }
        RolesOfUser { roles, complete: !self.is_incomplete && !head.refused }
    }

    /// Where a row stands.
    pub(crate) fn location(&self, line: u64) -> Location {
        Location::line(&self.file, line)
    }

    fn unpack(&self, entry: &Entry) -> Role {
        Role {
            role: self.roles.value(entry.role),
            org: entry.org.map(|org| self.orgs.value(org)),
            role_type: if entry.is_primary { RoleType::Primary } else { RoleType::Secondary },
            begin_date: entry.begin_date,
            end_date: entry.end_date,
            user_profile: entry.user_profile.as_deref().cloned(),
            sourced_id: Some(entry.sourced_id.clone()),
        }
    }

    /// The users that no row of `users.csv` spoke of, in the order of their first role.
    pub(crate) fn unseen(&self) -> Vec<SourcedId> {
        self.in_order(|head| !head.seen)
    }

    /// All users, in the order of their first role.
    pub(crate) fn everyone(&self) -> Vec<SourcedId> {
        self.in_order(|_| true)
    }

    fn in_order(&self, wanted: impl Fn(&Head) -> bool) -> Vec<SourcedId> {
        let mut found: Vec<_> = self.users.iter().filter(|(_, index)| wanted(&self.heads[**index as usize])).collect();
        found.sort_unstable_by_key(|(_, index)| **index);
        found.into_iter().map(|(user, _)| user.clone()).collect()
    }
}

/// Values that occur often, each kept once.
#[derive(Debug)]
struct Interned<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn number(&mut self, value: T) -> u32 {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let number = u32::try_from(self.values.len()).unwrap_or(NONE);
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    fn value(&self, number: u32) -> T {
        self.values[number as usize].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SourcedId {
        SourcedId::new(text).unwrap()
    }

    fn row(user: &str, role: &str, org: &str, sourced_id: &str) -> RoleRow {
        RoleRow {
            user: id(user),
            role: Role {
                role: UserRole::from(role),
                org: Some(id(org)),
                role_type: RoleType::Primary,
                begin_date: None,
                end_date: None,
                user_profile: None,
                sourced_id: Some(id(sourced_id)),
            },
        }
    }

    #[test]
    fn roles_are_kept_by_user_in_the_order_of_the_file() {
        let mut index = RolesIndex::new(&"roles.csv".into());
        index.add(row("ann", "teacher", "s1", "r1"), 2);
        index.add(row("ben", "student", "s1", "r2"), 3);
        index.add(row("ann", "principal", "s2", "r3"), 4);
        let ann = index.of(&id("ann"));
        assert!(ann.complete);
        assert_eq!(
            ann.roles,
            [(2, row("ann", "teacher", "s1", "r1").role), (4, row("ann", "principal", "s2", "r3").role)]
        );
        index.see(&id("ann"));
        assert_eq!(index.unseen(), [id("ben")]);
        assert_eq!(index.everyone(), [id("ann"), id("ben")]);
        assert!(index.of(&id("nobody")).roles.is_empty());
    }

    #[test]
    fn r5_a_refused_row_makes_its_users_roles_incomplete_and_an_unreadable_one_everyones() {
        let mut index = RolesIndex::new(&"roles.csv".into());
        index.add(row("ann", "teacher", "s1", "r1"), 2);
        index.refuse(id("ann"));
        index.add(row("ben", "student", "s1", "r2"), 4);
        assert!(!index.of(&id("ann")).complete);
        assert!(index.of(&id("ben")).complete);
        index.is_incomplete = true;
        assert!(!index.of(&id("ben")).complete);
        assert!(!index.of(&id("nobody")).complete);
    }
}

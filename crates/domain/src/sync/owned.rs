//! What records own, where the source speaks of it apart from them: roles and agents of users, enrollments of classes.
//!
//! A user's roles are part of the user, and so of its fingerprint and its history. What a source that sends them one by
//! one needs beyond that is in a [`RoleBook`]: the newest date of each role, and the roles that wait for their user.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures::StreamExt;

use super::Failure;
use super::session::{FETCH_BATCH, Session, current};
use super::table::flag;
use crate::entities::{Role, User};
use crate::ports::{
    Coverage, DeleteReason, Deletion, Fetched, OwnedChange, PullSummary, RoleBook, RoleChange, StagedChange, Upsert,
};
use crate::{Code, Finding, Kind, Location, Record, RefField, Reject, SourcedId, Warning};

/// How many ids of roles are looked for at a time: the store may have to look through all roles for them.
const ROLE_BATCH: usize = 20_000;

/// What a pull covered, as far as it matters to what users own.
#[derive(Debug, Clone, Copy)]
struct Covered {
    /// All users: who was not sent is as good as gone.
    users: bool,
    /// All roles, with their users or apart: dates do not count, and what waited is void.
    roles: bool,
}

/// The changes of one user's parts, in the order in which they were sent.
type Parts = (SourcedId, Vec<OwnedChange>);

impl Session<'_> {
    /// Puts what came apart to the records that own it.
    pub(super) async fn settle_owned(&mut self, summary: &PullSummary) -> Result<(), Failure> {
        let mut parts = Vec::new();
        for change in std::mem::take(&mut self.later.owned) {
            match change {
                OwnedChange::Enrollments { .. } => self.settle_enrollments(change, summary).await?,
                part => parts.push(part),
            }
        }
        let mut waiting = HashMap::new();
        let mut pages = self.store.waiting_roles(self.source);
        while let Some(page) = pages.next().await {
            waiting.extend(page?.into_iter().map(|book| (book.user.clone(), book)));
        }
        let roles = summary.roles.unwrap_or(summary.coverage[Kind::Users]);
        let covered = Covered {
            users: summary.coverage[Kind::Users] == Coverage::Snapshot,
            roles: roles == Coverage::Snapshot && !self.facts.unreadable_role,
        };
        if !parts.is_empty() || !waiting.is_empty() {
            self.load_for(Kind::Users).await?;
            let parts = self.name_users(parts, &waiting).await?;
            self.settle_users(by_user(parts, &waiting), waiting, covered).await?;
        }
        if summary.roles == Some(Coverage::Snapshot) && covered.roles {
            self.clear_unmentioned_roles(covered).await?;
        }
        Ok(())
    }

    /// Finds the users whose roles are taken away by nothing but the vendor's ids of the roles.
    async fn name_users(
        &mut self,
        parts: Vec<OwnedChange>,
        waiting: &HashMap<SourcedId, RoleBook>,
    ) -> Result<Vec<OwnedChange>, Failure> {
        let of_nobody = |change: &OwnedChange| match change {
            OwnedChange::Role { change: RoleChange::Delete { user: None, role }, .. } => Some(role.clone()),
            _ => None,
        };
        let wanted: Vec<_> = parts.iter().filter_map(of_nobody).collect();
        if wanted.is_empty() {
            return Ok(parts);
        }
        let mut users: HashMap<_, BTreeSet<SourcedId>> =
            wanted.iter().map(|role| (role.clone(), BTreeSet::new())).collect();
        for chunk in wanted.chunks(ROLE_BATCH) {
            for (user, role) in self.store.role_holders(self.source, chunk).await? {
                users.entry(role).or_default().insert(user);
            }
        }
        let put = parts.iter().filter_map(|change| match change {
            OwnedChange::Role { change: RoleChange::Put { user, role }, .. } => Some((user, role)),
            _ => None,
        });
        let kept = waiting.values().flat_map(|book| book.waiting.iter().map(|role| (&book.user, role)));
        for (user, role) in put.chain(kept) {
            if let Some(of_role) = role.sourced_id.as_ref().and_then(|id| users.get_mut(id)) {
                of_role.insert(user.clone());
            }
        }
        let mut named = Vec::with_capacity(parts.len());
        for part in parts {
            let OwnedChange::Role { change: RoleChange::Delete { user: None, role }, modified_ms, location } = part
            else {
                named.push(part);
                continue;
            };
            let of_role = users.get(&role).into_iter().flatten();
            let before = named.len();
            named.extend(of_role.map(|user| OwnedChange::Role {
                change: RoleChange::Delete { user: Some(user.clone()), role: role.clone() },
                modified_ms,
                location: location.clone(),
            }));
            if named.len() == before {
                self.count_needless_deletion();
            }
        }
        Ok(named)
    }

    /// The source deletes what is not there: there is nothing to do, and the row is accounted for.
    fn count_needless_deletion(&mut self) {
        self.counts[Kind::Users].received += 1;
        self.counts[Kind::Users].unchanged += 1;
    }

    async fn settle_users(
        &mut self,
        users: Vec<Parts>,
        mut waiting: HashMap<SourcedId, RoleBook>,
        covered: Covered,
    ) -> Result<(), Failure> {
        let mut healed = 0;
        let mut users = users.into_iter().peekable();
        while users.peek().is_some() {
            let chunk: Vec<_> = users.by_ref().take(FETCH_BATCH).collect();
            let mut books = self.books(&chunk, &mut waiting, covered).await?;
            let mut known = self.fetch(Kind::Users, chunk.iter().map(|(user, _)| user)).await?;
            for (user, changes) in chunk {
                let fetched = known.remove(&user);
                let book = books.remove(&user).unwrap_or_else(|| RoleBook::new(user.clone()));
                healed += self.settle_user_parts(&user, fetched.as_ref(), changes, book, covered);
            }
        }
        if healed > 0 {
            self.warn_of_stored(
                Kind::Users,
                None,
                Finding::whole(
                    Code::RefHealed,
                    format!("{healed} roles that an earlier run refused are applied: their users have arrived"),
                ),
            );
        }
        Ok(())
    }

    /// The books of these users, as far as something is written in them that can matter or that could be overwritten.
    async fn books(
        &mut self,
        chunk: &[Parts],
        waiting: &mut HashMap<SourcedId, RoleBook>,
        covered: Covered,
    ) -> Result<HashMap<SourcedId, RoleBook>, Failure> {
        let mut books = HashMap::new();
        let mut wanted = Vec::new();
        for (user, changes) in chunk {
            if let Some(book) = waiting.remove(user) {
                books.insert(user.clone(), book);
            } else if changes.iter().any(|change| date_of(change).is_some()) || !self.stands(user, covered) {
                wanted.push(user.clone());
            }
        }
        if !wanted.is_empty() {
            let found = self.store.role_books(self.source, &wanted).await?;
            books.extend(found.into_iter().map(|book| (book.user.clone(), book)));
        }
        Ok(books)
    }

    /// Whether a user is there to own something after this run.
    fn stands(&self, id: &SourcedId, covered: Covered) -> bool {
        let sent = flag::SEEN | flag::REJECTED | flag::WAITING;
        self.is_there(Kind::Users, id) && (!covered.users || self.flags(Kind::Users, id) & sent != 0)
    }

    /// Changes what a user owns, and says how many roles had waited for the user.
    fn settle_user_parts(
        &mut self,
        id: &SourcedId,
        fetched: Option<&Fetched>,
        changes: Vec<OwnedChange>,
        mut book: RoleBook,
        covered: Covered,
    ) -> u64 {
        let before = book.clone();
        // A refused row is not an absent one: the role that it was about may be one of those that wait (R5).
        if covered.roles && self.flags(Kind::Users, id) & flag::ROLES == 0 {
            book.waiting.clear();
        }
        let mut healed = 0;
        let current = fetched.cloned().and_then(current).filter(|_| self.stands(id, covered));
        if let Some(Record::Users(mut user)) = current {
            let mut locations = Vec::new();
            let flags = self.flags(Kind::Users, id);
            let came_whole = flags & flag::SEEN != 0 && flags & (flag::HALF | flag::STALE) == 0;
            let known_roles = user.roles.clone();
            for role in std::mem::take(&mut book.waiting) {
                // A user who came whole came with all roles.
                if !came_whole {
                    healed += 1;
                    locations.push(Location::whole(&Arc::from("an earlier run")));
                    put_role(&mut user.roles, role);
                }
            }
            for change in changes {
                if self.is_stale(&change, &book, covered) {
                    continue;
                }
                note_date(&mut book, role_id_of(&change), date_of(&change));
                locations.push(location_of(&change).clone());
                apply_to_user(&mut user, change);
            }
            if let Some(location) = locations.pop() {
                self.change_user(user, &known_roles, location, fetched);
            }
        } else {
            self.refuse_parts(id, changes, &mut book, covered);
        }
        if book != before {
            self.stage(StagedChange::RoleBook(book));
        }
        healed
    }

    /// Whether a change is older than what is known of its role (R4). Counts it if so.
    fn is_stale(&mut self, change: &OwnedChange, book: &RoleBook, covered: Covered) -> bool {
        let (Some(role), Some(sent)) = (role_id_of(change), date_of(change)) else { return false };
        let newest = book.dates.get(role).copied();
        if covered.roles || newest.is_none_or(|newest| sent >= newest) {
            return false;
        }
        self.counts[Kind::Users].received += 1;
        self.counts[Kind::Users].stale += 1;
        true
    }

    /// Decides a user whose parts have changed.
    fn change_user(
        &mut self,
        mut user: Box<User>,
        known_roles: &[Role],
        location: Location,
        fetched: Option<&Fetched>,
    ) {
        let id = user.sourced_id.clone();
        keep_last_of_equals(&mut user.roles);
        user.normalise_roles();
        let role_ids_moved = known_roles != user.roles;
        let entry = self.entry_mut(Kind::Users, &id);
        entry.set(flag::ROLES);
        let entry = *entry;
        let upsert = Upsert::new(Record::Users(user), entry.modified_ms(), location, &mut self.scratch);
        let is_same = entry.fingerprint() == upsert.fingerprint()
            && entry.has(flag::STORED | flag::SEEN)
            && !entry.has(flag::DELETED);
        // Nothing but the vendor's ids of the roles can differ then: bookkeeping, as they are in no fingerprint.
        if is_same && !(role_ids_moved && entry.has(flag::STAGED)) {
            if role_ids_moved && let Record::Users(user) = upsert.into_record() {
                self.stage(StagedChange::Touch {
                    kind: Kind::Users,
                    sourced_id: id.clone(),
                    modified_ms: None,
                    fingerprint: None,
                    reason: None,
                    roles: Some(user.roles),
                });
            }
            if !entry.has(flag::SEEN) {
                self.counts[Kind::Users].received += 1;
                self.counts[Kind::Users].unchanged += 1;
                self.entry_mut(Kind::Users, &id).set(flag::SEEN);
            }
            return;
        }
        if entry.has(flag::SEEN) {
            self.take_back(Kind::Users, &id, fetched);
        } else {
            self.counts[Kind::Users].received += 1;
        }
        self.entry_mut(Kind::Users, &id).set(flag::ROLES);
        self.admit(upsert);
    }

    /// Refuses what belongs to a user who is not there, and keeps the roles until the user arrives (R8).
    fn refuse_parts(&mut self, id: &SourcedId, changes: Vec<OwnedChange>, book: &mut RoleBook, covered: Covered) {
        let flags = self.flags(Kind::Users, id);
        let code = if flags & flag::REJECTED != 0 { Code::RefRejected } else { Code::RefMissing };
        for change in changes {
            if self.is_stale(&change, book, covered) {
                continue;
            }
            let location = location_of(&change).clone();
            let role_id = role_id_of(&change).cloned();
            note_date(book, role_id.as_ref(), date_of(&change));
            let record = match change {
                OwnedChange::Role { change: RoleChange::Put { role, .. }, .. } => {
                    let record = quote(id, &role);
                    put_role(&mut book.waiting, role);
                    record
                }
                OwnedChange::Role { change: RoleChange::Delete { .. }, .. } => {
                    // Taking away from a user who is not there needs no report.
                    book.waiting.retain(|role| role.sourced_id != role_id);
                    if flags & flag::GONE == 0 {
                        self.count_needless_deletion();
                    }
                    continue;
                }
                OwnedChange::Roles { roles, .. } => {
                    book.waiting = roles;
                    None
                }
                // A link to an agent is optional from either side.
                OwnedChange::Agents { .. } | OwnedChange::Agent { .. } => {
                    self.warn(Warning {
                        kind: Some(Kind::Users),
                        sourced_id: Some(id.clone()),
                        location,
                        finding: Finding::on(
                            Code::RefDropped,
                            RefField::UserAgent.column(),
                            "the user who should have an agent is not in the roster; the link is left out",
                        ),
                    });
                    continue;
                }
                OwnedChange::AgentGone { .. } => continue,
                OwnedChange::Enrollments { .. } => None,
            };
            self.counts[Kind::Users].received += 1;
            let finding = Finding::on(
                code,
                "userSourcedId",
                "the user of this role is not in the roster; send the user, or drop the role",
            );
            let reject = Reject {
                kind: Kind::Users,
                sourced_id: Some(id.clone()),
                is_part: true,
                location,
                findings: vec![finding],
                record,
            };
            self.reject(reject, None);
        }
    }

    /// A complete list of roles says nothing of some users: they have none.
    async fn clear_unmentioned_roles(&mut self, covered: Covered) -> Result<(), Failure> {
        self.load_for(Kind::Users).await?;
        let mut pages = self.store.fingerprints(self.source, Kind::Users);
        while let Some(page) = pages.next().await {
            let silent: Vec<_> = page?
                .into_iter()
                .map(|stored| stored.sourced_id)
                .filter(|id| self.stands(id, covered) && self.flags(Kind::Users, id) & flag::ROLES == 0)
                .collect();
            let known = self.fetch(Kind::Users, silent.iter()).await?;
            for (id, fetched) in known {
                let has_roles = matches!(current(fetched.clone()), Some(Record::Users(user)) if !user.roles.is_empty());
                if has_roles {
                    let location = Location::whole(&Arc::from("roles.csv"));
                    let change = OwnedChange::Roles { user: id.clone(), roles: Vec::new(), location };
                    self.settle_user_parts(&id, Some(&fetched), vec![change], RoleBook::new(id.clone()), covered);
                }
            }
        }
        Ok(())
    }

    /// All enrollments of a class: those that are not listed are gone.
    async fn settle_enrollments(&mut self, change: OwnedChange, summary: &PullSummary) -> Result<(), Failure> {
        let OwnedChange::Enrollments { class, enrollments, location } = change else { return Ok(()) };
        self.load_for(Kind::Enrollments).await?;
        let listed: HashSet<_> = enrollments.iter().map(|enrollment| enrollment.sourced_id.clone()).collect();
        for enrollment in enrollments {
            let upsert = Upsert::new(enrollment.into(), None, location.clone(), &mut self.scratch);
            self.arrive(upsert);
        }
        self.flush().await?;
        let field = RefField::EnrollmentClass;
        let held = self.store.holders(self.source, self.run, field, std::slice::from_ref(&class)).await?;
        for child in held {
            // One that went with its class or its user, and is not listed, must not come back with them.
            let may_be_there = matches!(child.deleted, None | Some(DeleteReason::Cascade));
            if may_be_there && !listed.contains(&child.sourced_id) {
                let deletion = Deletion {
                    kind: Kind::Enrollments,
                    sourced_id: child.sourced_id,
                    modified_ms: None,
                    location: location.clone(),
                };
                self.arrive_deletion(deletion);
            }
        }
        self.settle_again(summary).await
    }
}

/// Gathers changes by user, in the order in which the users were first spoken of; then the users whose roles wait and of
/// whom nothing is said.
fn by_user(parts: Vec<OwnedChange>, waiting: &HashMap<SourcedId, RoleBook>) -> Vec<Parts> {
    let mut of_users: Vec<Parts> = Vec::new();
    let mut positions: HashMap<SourcedId, usize> = HashMap::new();
    for change in parts {
        let Some(user) = user_of(&change) else { continue };
        let position = *positions.entry(user.clone()).or_insert_with(|| {
            of_users.push((user.clone(), Vec::new()));
            of_users.len() - 1
        });
        of_users[position].1.push(change);
    }
    let mut silent: Vec<_> = waiting.keys().filter(|user| !positions.contains_key(*user)).cloned().collect();
    silent.sort_unstable();
    of_users.extend(silent.into_iter().map(|user| (user, Vec::new())));
    of_users
}

fn user_of(change: &OwnedChange) -> Option<&SourcedId> {
    match change {
        OwnedChange::Roles { user, .. }
        | OwnedChange::Agents { user, .. }
        | OwnedChange::Agent { user, .. }
        | OwnedChange::AgentGone { user, .. }
        | OwnedChange::Role { change: RoleChange::Put { user, .. }, .. } => Some(user),
        OwnedChange::Role { change: RoleChange::Delete { user, .. }, .. } => user.as_ref(),
        OwnedChange::Enrollments { .. } => None,
    }
}

/// The vendor's id of the one role that a change is about.
fn role_id_of(change: &OwnedChange) -> Option<&SourcedId> {
    match change {
        OwnedChange::Role { change: RoleChange::Put { role, .. }, .. } => role.sourced_id.as_ref(),
        OwnedChange::Role { change: RoleChange::Delete { role, .. }, .. } => Some(role),
        _ => None,
    }
}

fn date_of(change: &OwnedChange) -> Option<i64> {
    match change {
        OwnedChange::Role { modified_ms, .. } => *modified_ms,
        _ => None,
    }
}

fn location_of(change: &OwnedChange) -> &Location {
    match change {
        OwnedChange::Roles { location, .. }
        | OwnedChange::Role { location, .. }
        | OwnedChange::Agents { location, .. }
        | OwnedChange::Agent { location, .. }
        | OwnedChange::AgentGone { location, .. }
        | OwnedChange::Enrollments { location, .. } => location,
    }
}

/// Keeps the newest date of a role.
fn note_date(book: &mut RoleBook, role: Option<&SourcedId>, modified_ms: Option<i64>) {
    if let (Some(role), Some(date)) = (role, modified_ms) {
        let newest = book.dates.entry(role.clone()).or_insert(date);
        *newest = date.max(*newest);
    }
}

fn apply_to_user(user: &mut User, change: OwnedChange) {
    match change {
        OwnedChange::Roles { roles, .. } => user.roles = roles,
        OwnedChange::Role { change: RoleChange::Put { role, .. }, .. } => put_role(&mut user.roles, role),
        OwnedChange::Role { change: RoleChange::Delete { role, .. }, .. } => {
            user.roles.retain(|known| known.sourced_id.as_ref() != Some(&role));
        }
        OwnedChange::Agents { agents, .. } => user.agents = agents,
        OwnedChange::Agent { agent, .. } => user.agents.push(agent),
        OwnedChange::AgentGone { agent, .. } => user.agents.retain(|known| *known != agent),
        OwnedChange::Enrollments { .. } => {}
    }
}

fn put_role(roles: &mut Vec<Role>, role: Role) {
    roles.retain(|known| !is_replaced_by(known, &role));
    roles.push(role);
}

/// Whether a role gives way to another one: it is the same by the vendor's id or, where there is none, by what it says.
fn is_replaced_by(known: &Role, role: &Role) -> bool {
    match (&known.sourced_id, &role.sourced_id) {
        (Some(known), Some(id)) => known == id,
        _ => known.says_the_same_as(role),
    }
}

/// Of roles that say the same the last one stays: a source that gives a role a new id may delete the old id later.
fn keep_last_of_equals(roles: &mut Vec<Role>) {
    let mut kept: Vec<Role> = Vec::with_capacity(roles.len());
    for role in roles.drain(..) {
        kept.retain(|known| !known.says_the_same_as(&role));
        kept.push(role);
    }
    *roles = kept;
}

/// A refused role as the report of its refusal shows it.
fn quote(user: &SourcedId, role: &Role) -> Option<serde_json::Value> {
    let mut value = serde_json::to_value(role).ok()?;
    value.as_object_mut()?.insert("userSourcedId".to_owned(), user.as_str().into());
    Some(value)
}

//! Property test of the delta rules: after any sequence of snapshots and deltas the store equals a model that knows
//! nothing of fingerprints, staging or order.

#![allow(clippy::allow_attributes, clippy::unwrap_used, missing_docs, reason = "a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rollcall_domain::entities::Role;
use rollcall_domain::ports::{Coverage, DeleteReason, Item, OwnedChange, RoleChange, Upsert};
use rollcall_domain::{Encoder, Kind, Record, SourcedId};
use rollcall_testkit::memory::{Key, MemoryStore};
use support::{Script, class, delete, enrollment, id, location, mass, org, role, snapshot, sync_with, upserts, user};

/// In a snapshot users come with their roles, and the rows are those of users who are not in it; in a delta users and
/// roles come apart.
#[derive(Clone)]
enum Step {
    Snapshot { records: Vec<Record>, roles: Vec<RoleRow> },
    Delta { upserts: Vec<Record>, deletes: Vec<Key>, roles: Vec<RoleRow> },
}

/// A row of a list of roles. There is one of each role in a step.
#[derive(Debug, Clone)]
struct RoleRow {
    role: SourcedId,
    /// None only where the row deletes the role.
    user: Option<SourcedId>,
    /// What it says; none if it deletes the role.
    name: Option<&'static str>,
    date: Option<i64>,
}

impl RoleRow {
    fn to_role(&self) -> Option<Role> {
        let mut said = role(self.name?, Some("s0"), Some(self.role.as_str()));
        // No two roles say the same.
        said.user_profile = Some(self.role.as_str().into());
        Some(said)
    }

    fn to_item(&self) -> Item {
        let role = self.role.clone();
        let change = match (self.to_role(), self.user.clone()) {
            (Some(role), Some(user)) => RoleChange::Put { user, role },
            (_, user) => RoleChange::Delete { user, role },
        };
        Item::Owned(OwnedChange::Role { change, modified_ms: self.date, location: location(5) })
    }
}

/// A record in a few letters: `e1>c0,u2`.
fn brief(record: &Record) -> String {
    let targets: Vec<_> = required(record).into_iter().map(|(_, id)| id.to_string()).collect();
    format!("{}>{}", record.sourced_id(), targets.join(","))
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Snapshot { records, roles } => {
                write!(f, "snapshot {:?} roles {roles:?}", records.iter().map(brief).collect::<Vec<_>>())
            }
            Self::Delta { upserts, deletes, roles } => {
                let deletes: Vec<_> = deletes.iter().map(|(_, id)| id.as_str()).collect();
                let upserts: Vec<_> = upserts.iter().map(brief).collect();
                write!(f, "delta {upserts:?} delete {deletes:?} roles {roles:?}")
            }
        }
    }
}

fn briefs(live: &BTreeMap<Key, Record>) -> Vec<String> {
    live.values().map(brief).collect()
}

/// The rules, said another way: sets and fixpoints instead of a stream.
#[derive(Default)]
struct Model {
    live: BTreeMap<Key, Record>,
    dead: BTreeMap<Key, (Record, DeleteReason)>,
    pending: BTreeMap<Key, Record>,
    /// The newest date of each role of each user.
    dates: BTreeMap<(SourcedId, SourcedId), i64>,
    /// Roles of users who are not there.
    waiting: BTreeMap<(SourcedId, SourcedId), Role>,
}

fn key(record: &Record) -> Key {
    (record.kind(), record.sourced_id().clone())
}

fn required(record: &Record) -> Vec<Key> {
    let mut targets = Vec::new();
    record.each_reference(|reference| {
        if reference.field.is_required() {
            targets.push((reference.field.target(), reference.target.clone()));
        }
    });
    targets
}

impl Model {
    fn step(&mut self, step: &Step) {
        match step {
            Step::Snapshot { records, roles } => {
                self.snapshot(records);
                self.waiting.clear();
                for row in roles {
                    self.keep_waiting(row);
                }
            }
            Step::Delta { upserts, deletes, roles } => {
                // Users keep the roles that they have, and those who were deleted have none.
                let mut joined = upserts.clone();
                for record in &mut joined {
                    let live = self.live.get(&key(record)).cloned();
                    if let Record::Users(user) = record {
                        user.roles = match live {
                            Some(Record::Users(live)) => live.roles,
                            _ => Vec::new(),
                        };
                    }
                }
                let named = self.named(roles);
                self.delta(&joined, deletes);
                self.roles(named);
            }
        }
    }

    fn keep_waiting(&mut self, row: &RoleRow) {
        if let (Some(role), Some(user)) = (row.to_role(), row.user.clone()) {
            self.waiting.insert((user, row.role.clone()), role);
        }
    }

    /// The roles of a live user.
    fn roles_of(&mut self, user: &SourcedId) -> Option<&mut Vec<Role>> {
        match self.live.get_mut(&(Kind::Users, user.clone())) {
            Some(Record::Users(user)) => Some(&mut user.roles),
            _ => None,
        }
    }

    fn put_role(&mut self, user: &SourcedId, role: Role) -> bool {
        let Some(roles) = self.roles_of(user) else { return false };
        roles.retain(|known| known.sourced_id != role.sourced_id);
        roles.push(role);
        roles.sort_unstable();
        true
    }

    fn note(&mut self, of: &(SourcedId, SourcedId), date: Option<i64>) {
        if let Some(date) = date {
            let newest = self.dates.entry(of.clone()).or_insert(date);
            *newest = date.max(*newest);
        }
    }

    /// Whose role a row is about. Of a nameless row, that is asked before anything changes.
    fn named<'a>(&self, rows: &'a [RoleRow]) -> Vec<(SourcedId, &'a RoleRow)> {
        let holders = |role: &SourcedId| -> BTreeSet<SourcedId> {
            let has = |record: &Record| match record {
                Record::Users(user) => user.roles.iter().any(|of| of.sourced_id.as_ref() == Some(role)),
                _ => false,
            };
            let live = self.live.iter().filter(|(_, record)| has(record)).map(|((_, user), _)| user.clone());
            live.chain(self.waiting.keys().filter(|(_, of)| of == role).map(|(user, _)| user.clone())).collect()
        };
        rows.iter()
            .flat_map(|row| match &row.user {
                Some(user) => vec![(user.clone(), row)],
                None => holders(&row.role).into_iter().map(|user| (user, row)).collect(),
            })
            .collect()
    }

    fn roles(&mut self, rows: Vec<(SourcedId, &RoleRow)>) {
        let arrived: Vec<_> = self
            .waiting
            .keys()
            .filter(|(user, _)| self.live.contains_key(&(Kind::Users, user.clone())))
            .cloned()
            .collect();
        for of in arrived {
            let role = self.waiting.remove(&of).unwrap();
            self.put_role(&of.0, role);
        }
        for (user, row) in rows {
            let of = (user.clone(), row.role.clone());
            let newest = self.dates.get(&of).copied();
            if row.date.zip(newest).is_some_and(|(date, newest)| date < newest) {
                continue;
            }
            self.note(&of, row.date);
            if let Some(role) = row.to_role() {
                if !self.put_role(&user, role) {
                    self.keep_waiting(row);
                }
            } else {
                self.waiting.remove(&of);
                if let Some(roles) = self.roles_of(&user) {
                    roles.retain(|role| role.sourced_id.as_ref() != Some(&row.role));
                }
            }
        }
    }

    fn put(&mut self, record: &Record) {
        self.dead.remove(&key(record));
        self.pending.remove(&key(record));
        self.live.insert(key(record), record.clone());
    }

    fn kill(&mut self, key: &Key, reason: DeleteReason) {
        if let Some(record) = self.live.remove(key) {
            self.dead.insert(key.clone(), (record, reason));
        }
    }

    fn cascade(&mut self) {
        loop {
            let orphan = self
                .live
                .iter()
                .find(|(_, record)| required(record).iter().any(|target| !self.live.contains_key(target)));
            let Some(orphan) = orphan.map(|(key, _)| key.clone()) else { return };
            self.kill(&orphan, DeleteReason::Cascade);
        }
    }

    fn snapshot(&mut self, records: &[Record]) {
        self.pending.clear();
        let before: BTreeSet<_> = self.live.keys().cloned().collect();
        let mut sorted: Vec<_> = records.iter().collect();
        sorted.sort_by_key(|record| record.kind());
        let mut accepted = BTreeSet::new();
        let sent: BTreeSet<_> = records.iter().map(key).collect();
        let mut kept: BTreeSet<Key> = BTreeSet::new();
        let mut revived: BTreeSet<Key> = BTreeSet::new();
        for kind in Kind::ALL {
            let of_kind = || sorted.iter().filter(|record| record.kind() == kind);
            let mut refused = Vec::new();
            for record in of_kind() {
                let is_there = |key: &Key| accepted.contains(key) || before.contains(key) || revived.contains(key);
                if required(record).iter().all(is_there) {
                    accepted.insert(key(record));
                    kept.extend(required(record));
                    self.put(record);
                } else {
                    self.pending.insert(key(record), (*record).clone());
                    refused.push(key(record));
                }
            }
            for refused in refused {
                let is_there = |key: &Key| accepted.contains(key) || before.contains(key) || revived.contains(key);
                if let Some((record, DeleteReason::Cascade)) = self.dead.get(&refused).cloned()
                    && required(&record).iter().all(is_there)
                {
                    kept.extend(required(&record));
                    self.dead.remove(&refused);
                    self.live.insert(refused.clone(), record);
                    revived.insert(refused);
                }
            }
        }
        for kind in Kind::ALL.into_iter().rev() {
            // A refused record is not an absent one: what is stored of it stays, with what that requires.
            for refused in before.iter().filter(|key| key.0 == kind && sent.contains(*key) && !accepted.contains(*key))
            {
                kept.extend(required(&self.live[refused]));
            }
            let absent: Vec<_> = before.iter().filter(|key| key.0 == kind && !sent.contains(*key)).cloned().collect();
            for key in absent {
                if kept.contains(&key) {
                    kept.extend(required(&self.live[&key]));
                } else {
                    self.kill(&key, DeleteReason::Absent);
                }
            }
        }
        for (key, (_, reason)) in &mut self.dead {
            if *reason == DeleteReason::Cascade && !sent.contains(key) {
                *reason = DeleteReason::Absent;
            }
        }
        self.cascade();
        self.revive();
    }

    /// What went with its parent comes back with it.
    fn revive(&mut self) {
        for kind in Kind::ALL {
            self.revive_where(|key| key.0 == kind);
        }
    }

    fn revive_where(&mut self, may: impl Fn(&Key) -> bool) {
        {
            let back: Vec<_> = self
                .dead
                .iter()
                .filter(|(key, (record, reason))| {
                    may(key)
                        && *reason == DeleteReason::Cascade
                        && required(record).iter().all(|target| self.live.contains_key(target))
                })
                .map(|(key, (record, _))| (key.clone(), record.clone()))
                .collect();
            for (key, record) in back {
                self.dead.remove(&key);
                self.live.insert(key, record);
            }
        }
    }

    fn delta(&mut self, upserts: &[Record], deletes: &[Key]) {
        let stored = self.live.clone();
        let stored_dead = self.dead.clone();
        for key in deletes {
            self.pending.remove(key);
            self.kill(key, DeleteReason::Explicit);
            // A record that went with its parent must not come back with it any more; another reason may stand.
            if let Some((_, reason @ DeleteReason::Cascade)) = self.dead.get_mut(key) {
                *reason = DeleteReason::Explicit;
            }
        }
        let sent: BTreeSet<_> = upserts.iter().map(key).collect();
        let mut accepted: BTreeMap<Key, Record> = BTreeMap::new();
        for kind in Kind::ALL {
            self.revive_where(|key| key.0 == kind && !sent.contains(key));
            for record in upserts.iter().filter(|record| record.kind() == kind) {
                self.pending.remove(&key(record));
                if required(record).iter().all(|target| self.live.contains_key(target)) {
                    accepted.insert(key(record), record.clone());
                    self.put(record);
                } else {
                    self.pending.insert(key(record), record.clone());
                }
            }
            self.revive_where(|key| key.0 == kind);
            let ready: Vec<_> = self
                .pending
                .iter()
                .filter(|(key, record)| {
                    key.0 == kind
                        && !sent.contains(*key)
                        && required(record).iter().all(|target| self.live.contains_key(target))
                })
                .map(|(_, record)| record.clone())
                .collect();
            for record in ready {
                accepted.insert(key(&record), record.clone());
                self.put(&record);
            }
        }
        // What was accepted and lost its parent is refused after all, and what was stored before stands again.
        loop {
            let orphan = accepted
                .iter()
                .find(|(_, record)| required(record).iter().any(|target| !self.live.contains_key(target)))
                .map(|(key, record)| (key.clone(), record.clone()));
            if let Some((key, record)) = orphan {
                accepted.remove(&key);
                self.live.remove(&key);
                self.pending.insert(key.clone(), record);
                if let Some(old) = stored.get(&key) {
                    self.live.insert(key, old.clone());
                } else if let Some(old) = stored_dead.get(&key) {
                    self.dead.insert(key, old.clone());
                }
                continue;
            }
            let count = self.live.len();
            self.cascade_all_but(&accepted);
            if self.live.len() == count {
                break;
            }
        }
        self.revive();
    }

    fn cascade_all_but(&mut self, accepted: &BTreeMap<Key, Record>) {
        let orphans: Vec<_> = self
            .live
            .iter()
            .filter(|(key, record)| {
                !accepted.contains_key(*key) && required(record).iter().any(|target| !self.live.contains_key(target))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in orphans {
            self.kill(&key, DeleteReason::Cascade);
        }
    }
}

fn record() -> impl Strategy<Value = Record> {
    let name = prop_oneof![Just("A"), Just("B")];
    prop_oneof![
        1 => (0..2, name.clone()).prop_map(|(number, name)| {
            let mut org = org(&format!("s{number}"));
            org.name = name.into();
            Record::from(org)
        }),
        2 => (0..3, 0..3, name.clone()).prop_map(|(number, school, title)| {
            let mut class = class(&format!("c{number}"), &format!("s{school}"));
            class.title = title.into();
            Record::from(class)
        }),
        2 => (0..3, name.clone()).prop_map(|(number, name)| {
            let mut user = user(&format!("u{number}"));
            user.given_name = Some(name.into());
            Record::from(user)
        }),
        4 => (0..5, 0..4, 0..4).prop_map(|(number, class, user)| {
            Record::from(enrollment(&format!("e{number}"), &format!("c{class}"), &format!("u{user}")))
        }),
    ]
}

fn one_of_each(records: Vec<Record>) -> Vec<Record> {
    let by_key: BTreeMap<_, _> = records.into_iter().map(|record| (key(&record), record)).collect();
    by_key.into_values().collect()
}

fn role_row() -> impl Strategy<Value = RoleRow> {
    let user = prop::option::weighted(0.8, 0..4);
    let name = prop_oneof![2 => Just(Some("teacher")), 2 => Just(Some("aide")), 2 => Just(None)];
    let date = prop_oneof![Just(None), (1_i64..5).prop_map(Some)];
    (0..4, user, name, date).prop_map(|(number, user, name, date)| RoleRow {
        role: id(&format!("r{number}")),
        user: user.map(|user| id(&format!("u{user}"))),
        // Only a deletion may leave the user out.
        name: name.filter(|_| user.is_some()),
        date,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let records = prop::collection::vec(record(), 0..14).prop_map(one_of_each).boxed();
    let roles = prop::collection::vec(role_row(), 0..4)
        .prop_map(|rows| {
            let by_role: BTreeMap<_, _> = rows.into_iter().map(|row| (row.role.clone(), row)).collect();
            by_role.into_values().collect::<Vec<_>>()
        })
        .boxed();
    let deletes = prop::collection::vec(
        prop_oneof![
            (0..2).prop_map(|number| (Kind::Orgs, format!("s{number}"))),
            (0..3).prop_map(|number| (Kind::Classes, format!("c{number}"))),
            (0..3).prop_map(|number| (Kind::Users, format!("u{number}"))),
            (0..5).prop_map(|number| (Kind::Enrollments, format!("e{number}"))),
        ],
        0..3,
    );
    prop_oneof![
        (records.clone(), roles.clone()).prop_map(|(mut records, rows)| {
            let mut of_nobody = Vec::new();
            for mut row in rows {
                row.date = None;
                let user = records
                    .iter_mut()
                    .find(|record| record.kind() == Kind::Users && Some(record.sourced_id()) == row.user.as_ref());
                match (row.to_role(), user) {
                    (Some(role), Some(Record::Users(user))) => user.roles.push(role),
                    (Some(_), _) => of_nobody.push(row),
                    (None, _) => {}
                }
            }
            records.iter_mut().for_each(Record::normalise);
            Step::Snapshot { records, roles: of_nobody }
        }),
        (records, deletes, roles).prop_map(|(upserts, deletes, roles)| {
            let sent: BTreeSet<_> = upserts.iter().map(key).collect();
            let deletes = deletes
                .into_iter()
                .map(|(kind, id)| (kind, SourcedId::new(&id).unwrap()))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .filter(|key| !sent.contains(key))
                .collect();
            Step::Delta { upserts, deletes, roles }
        }),
    ]
}

/// A user of a file that has no roles.
fn apart(record: &Record) -> Item {
    let whole = Upsert::new(record.clone(), None, location(2), &mut Encoder::default());
    Item::Upsert(if record.kind() == Kind::Users { whole.without_roles() } else { whole })
}

async fn play(store: &MemoryStore, step: &Step, shuffle: u64) {
    let (coverage, mut items) = match step {
        Step::Snapshot { records, roles } => {
            let roles = roles.iter().map(RoleRow::to_item);
            (Coverage::Snapshot, roles.chain(upserts(records.clone())).collect::<Vec<Item>>())
        }
        Step::Delta { upserts, deletes, roles } => {
            let deletes = deletes.iter().map(|(kind, id)| delete(*kind, id.as_str()));
            let roles = roles.iter().map(RoleRow::to_item);
            (Coverage::Delta, deletes.chain(upserts.iter().map(apart)).chain(roles).collect())
        }
    };
    // The order of arrival must not matter.
    let length = items.len().max(1);
    items.rotate_left(usize::try_from(shuffle).unwrap() % length);
    if shuffle % 2 == 1 {
        items.reverse();
    }
    let mut script = Script::new(coverage, items);
    script.summary.roles = (coverage == Coverage::Delta).then_some(Coverage::Delta);
    script.capabilities.empty_snapshot = rollcall_domain::ports::EmptySnapshot::Hold;
    let report = sync_with(store, &script, &mass()).await;
    assert!(report.error.is_none(), "{:?}", report.error);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(512), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_snapshots_and_deltas_leaves_what_the_model_says(
        steps in prop::collection::vec((step(), 0_u64..40), 1..7)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::default();
            let mut model = Model::default();
            for (step, shuffle) in &steps {
                play(&store, step, *shuffle).await;
                model.step(step);
                let before = (store.rows(), store.feed_len(), store.books());
                // R1: the same again changes nothing.
                play(&store, step, *shuffle).await;
                assert_eq!((store.rows(), store.feed_len(), store.books()), before, "after {step:?} again");
                let live = store.live();
                assert_eq!(briefs(&live), briefs(&model.live), "after {step:?}");
                assert_eq!(live, model.live, "after {step:?}");
                let dead: BTreeMap<_, _> = store.rows().into_iter()
                    .filter_map(|(key, row)| row.deleted.map(|reason| (key, reason)))
                    .collect();
                let model_dead: BTreeMap<_, _> = model.dead.iter().map(|(key, (_, reason))| (key.clone(), *reason)).collect();
                assert_eq!(dead, model_dead, "after {step:?}");
                let books = store.books();
                let dates: BTreeMap<_, _> = books.values()
                    .flat_map(|book| book.dates.iter().map(|(role, date)| ((book.user.clone(), role.clone()), *date)))
                    .collect();
                assert_eq!(&dates, &model.dates, "after {step:?}");
                let waiting: BTreeMap<_, _> = books.values()
                    .flat_map(|book| book.waiting.iter().map(|role| {
                        ((book.user.clone(), role.sourced_id.clone().unwrap()), role.clone())
                    }))
                    .collect();
                assert_eq!(&waiting, &model.waiting, "after {step:?}");
            }
        });
    }

    #[test]
    fn r1_the_same_roster_again_changes_nothing(records in prop::collection::vec(record(), 0..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::default();
            let records = one_of_each(records);
            snapshot(&store, records.clone()).await;
            let (rows, feed) = (store.rows(), store.feed_len());
            let report = snapshot(&store, records).await;
            assert_eq!((store.rows(), store.feed_len()), (rows, feed));
            for (_, counts) in report.counts.iter() {
                assert_eq!(counts.received, counts.unchanged + counts.rejected);
            }
        });
    }
}

//! Property test of the delta rules: after any sequence of snapshots and deltas the store equals a model that knows
//! nothing of fingerprints, staging or order.

#![allow(clippy::allow_attributes, clippy::unwrap_used, missing_docs, reason = "a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rollcall_domain::ports::{Coverage, DeleteReason, Item};
use rollcall_domain::{Kind, Record, SourcedId};
use support::memory::{Key, MemoryStore};
use support::{Script, class, delete, enrollment, mass, org, snapshot, sync_with, upsert, upserts, user};

#[derive(Clone)]
enum Step {
    Snapshot(Vec<Record>),
    Delta { upserts: Vec<Record>, deletes: Vec<Key> },
}

/// A record in a few letters: `e1>c0,u2`.
fn brief(record: &Record) -> String {
    let targets: Vec<_> = required(record).into_iter().map(|(_, id)| id.to_string()).collect();
    format!("{}>{}", record.sourced_id(), targets.join(","))
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Snapshot(records) => write!(f, "snapshot {:?}", records.iter().map(brief).collect::<Vec<_>>()),
            Self::Delta { upserts, deletes } => {
                let deletes: Vec<_> = deletes.iter().map(|(_, id)| id.as_str()).collect();
                write!(f, "delta {:?} delete {deletes:?}", upserts.iter().map(brief).collect::<Vec<_>>())
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
            Step::Snapshot(records) => self.snapshot(records),
            Step::Delta { upserts, deletes } => self.delta(upserts, deletes),
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

fn step() -> impl Strategy<Value = Step> {
    let records = prop::collection::vec(record(), 0..14).prop_map(one_of_each).boxed();
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
        records.clone().prop_map(Step::Snapshot),
        (records, deletes).prop_map(|(upserts, deletes)| {
            let sent: BTreeSet<_> = upserts.iter().map(key).collect();
            let deletes = deletes
                .into_iter()
                .map(|(kind, id)| (kind, SourcedId::new(&id).unwrap()))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .filter(|key| !sent.contains(key))
                .collect();
            Step::Delta { upserts, deletes }
        }),
    ]
}

async fn play(store: &MemoryStore, step: &Step, shuffle: u64) {
    let (coverage, mut items) = match step {
        Step::Snapshot(records) => (Coverage::Snapshot, upserts(records.clone())),
        Step::Delta { upserts, deletes } => {
            let deletes = deletes.iter().map(|(kind, id)| delete(*kind, id.as_str()));
            (Coverage::Delta, deletes.chain(upserts.iter().cloned().map(upsert)).collect::<Vec<Item>>())
        }
    };
    // The order of arrival must not matter.
    let length = items.len().max(1);
    items.rotate_left(usize::try_from(shuffle).unwrap() % length);
    if shuffle % 2 == 1 {
        items.reverse();
    }
    let mut script = Script::new(coverage, items);
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
                let live = store.live();
                assert_eq!(briefs(&live), briefs(&model.live), "after {step:?}");
                assert_eq!(live, model.live, "after {step:?}");
                let dead: BTreeMap<_, _> = store.rows().into_iter()
                    .filter_map(|(key, row)| row.deleted.map(|reason| (key, reason)))
                    .collect();
                let model_dead: BTreeMap<_, _> = model.dead.iter().map(|(key, (_, reason))| (key.clone(), *reason)).collect();
                assert_eq!(dead, model_dead, "after {step:?}");
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

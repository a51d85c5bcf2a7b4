//! Looking records up a few ahead.
//!
//! The tables of a large district are larger than a processor's caches, and their entries lie scattered. A processor
//! fetches many of them at once if nothing waits for any; one after the other they cost most of the time of a run.

use crate::keys::{Key, Keys};
use crate::{Kind, Record, RefField, Reference, SourcedId};

/// A reference of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) field: RefField,
    pub(super) key: Key,
}

impl Target {
    /// An enrollment's school is compared, not looked up.
    pub(super) fn is_looked_up(&self) -> bool {
        self.field != RefField::EnrollmentSchool
    }
}

/// The keys of records and of what they refer to.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    records: Vec<Foreseen>,
    targets: Vec<Target>,
}

/// The key of a record, and how many references it has.
#[derive(Debug)]
struct Foreseen {
    kind: Kind,
    key: Key,
    targets: usize,
}

impl Foresight {
    /// The keys of these records. Takes over the memory of an earlier foresight.
    pub(super) fn of<'r>(records: impl Iterator<Item = &'r Record>, keys: &Keys, mut memory: Self) -> Self {
        memory.records.clear();
        memory.targets.clear();
        // Records that follow each other refer to much the same: enrollments to their class, users to their school.
        let (mut previous, mut current) = (Vec::<(&SourcedId, Key)>::new(), Vec::new());
        for record in records {
            record.each_reference(|Reference { field, target }| {
                let key = match previous.get(current.len()) {
                    Some((known, key)) if *known == target => *key,
                    _ => keys.of(target),
                };
                current.push((target, key));
                memory.targets.push(Target { field, key });
            });
            memory.records.push(Foreseen {
                kind: record.kind(),
                key: keys.of(record.sourced_id()),
                targets: current.len(),
            });
            std::mem::swap(&mut previous, &mut current);
            current.clear();
        }
        memory
    }

    /// The records' own keys.
    pub(super) fn records(&self) -> impl Iterator<Item = (Kind, Key)> {
        self.records.iter().map(|record| (record.kind, record.key))
    }

    /// What all of them refer to.
    pub(super) fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Each record's key and references, in the order of the records.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, &[Target])> {
        let mut targets = &self.targets[..];
        self.records.iter().map(move |record| {
            let (own, others) = targets.split_at(record.targets);
            targets = others;
            (record.key, own)
        })
    }
}

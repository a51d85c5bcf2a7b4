//! Records as JSON, written once and served often.

use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::json;

/// How a record stands: its `status` and when it last changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The status as it is served, perhaps blank.
    pub(crate) status: String,
    /// The time as it is served, perhaps blank.
    pub(crate) modified: String,
    /// The time, if it is one.
    pub(crate) at: Option<Timestamp>,
}

impl Stamp {
    /// A record that was last changed at a time.
    pub(crate) fn active(at: Timestamp) -> Self {
        Self { status: "active".to_owned(), modified: date_time(at), at: Some(at) }
    }

    /// A record that was deleted at a time.
    fn deleted(at: Timestamp) -> Self {
        Self { status: "tobedeleted".to_owned(), modified: date_time(at), at: Some(at) }
    }
}

/// A time as OneRoster writes it: UTC, with milliseconds.
pub(crate) fn date_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// One record: where its bytes lie, and how it stands.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its id begins; its members follow.
    at: usize,
    id: u32,
    members: u32,
    stamp: u32,
}

/// The records of one kind, in the order of their ids.
///
/// A record is kept as the id (escaped for JSON) and the [members](crate::json::Members) that follow it. Equal ids are
/// kept as they came: a server may well hold two records of one id.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    stamps: Vec<Stamp>,
}

/// One record of a [`Collection`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    /// The id, escaped for JSON.
    pub(crate) id: &'a [u8],
    /// The members after id, status and time.
    pub(crate) members: &'a [u8],
    pub(crate) stamp: &'a Stamp,
}

/// What became of one record: it is new, says something else, or is gone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    /// The id, escaped for JSON.
    pub(crate) id: &'a [u8],
    pub(crate) before: Option<Stored<'a>>,
    /// The members from now on.
    pub(crate) after: Option<&'a [u8]>,
}

/// How many records of a kind a step changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Changes {
    /// Records that were not there before, or had been deleted.
    pub created: usize,
    /// Records that say something else.
    pub updated: usize,
    /// Records that are gone; a server keeps a tombstone of each.
    pub deleted: usize,
}

/// Takes records in any order.
#[derive(Debug, Default)]
pub(crate) struct Builder(Collection);

impl Builder {
    /// Names a life-cycle state for the records to come.
    pub(crate) fn stamp(&mut self, stamp: Stamp) -> u32 {
        let stamps = &mut self.0.stamps;
        if stamps.last() != Some(&stamp) {
            stamps.push(stamp);
        }
        number(stamps.len() - 1)
    }

    /// Takes a record.
    pub(crate) fn push(&mut self, id: &str, members: &[u8], stamp: u32) {
        let bytes = &mut self.0.bytes;
        let at = bytes.len();
        json::escaped(bytes, id);
        let id = number(bytes.len() - at);
        bytes.extend_from_slice(members);
        self.0.entries.push(Entry { at, id, members: number(members.len()), stamp });
    }

    /// How many records were taken.
    pub(crate) fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// The collection.
    pub(crate) fn finish(self) -> Collection {
        let Self(mut collection) = self;
        let Collection { bytes, entries, .. } = &mut collection;
        bytes.shrink_to_fit();
        entries.shrink_to_fit();
        entries.sort_by(|a, b| id_of(bytes, a).cmp(id_of(bytes, b)));
        collection
    }
}

impl Collection {
    /// How many records there are, deleted ones included.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many records are not deleted.
    pub(crate) fn live(&self) -> usize {
        self.entries.iter().filter(|entry| !self.is_deleted(entry)).count()
    }

    /// The record at a place in the order of ids.
    pub(crate) fn get(&self, place: usize) -> Stored<'_> {
        self.stored(&self.entries[place])
    }

    fn stored(&self, entry: &Entry) -> Stored<'_> {
        Stored {
            id: id_of(&self.bytes, entry),
            members: members_of(&self.bytes, entry),
            stamp: &self.stamps[entry.stamp as usize],
        }
    }

    /// The place of the first record with an id.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        let mut sought = Vec::with_capacity(id.len());
        json::escaped(&mut sought, id);
        let place = self.entries.partition_point(|entry| id_of(&self.bytes, entry) < sought.as_slice());
        let entry = self.entries.get(place)?;
        (id_of(&self.bytes, entry) == sought).then_some(place)
    }

    /// What becomes of the collection when the roster is `next`, all of whose records were stamped at the time `now`.
    ///
    /// A record that says what it said keeps its stamp; one that is gone stays as a tombstone, with its last content.
    pub(crate) fn advance(&self, next: Self, now: Timestamp) -> (Self, Changes) {
        self.succeed(next, now, true, &mut |_| {})
    }

    /// Does what [`advance`](Self::advance) does, with or without tombstones, and tells of each step in the order of
    /// ids.
    pub(crate) fn succeed(
        &self,
        mut next: Self,
        now: Timestamp,
        with_tombstones: bool,
        tell: &mut dyn FnMut(Step<'_>),
    ) -> (Self, Changes) {
        let mut changes = Changes::default();
        let offset = number(next.stamps.len());
        next.stamps.extend(self.stamps.iter().cloned());
        let tombstone = number(next.stamps.len());
        next.stamps.push(Stamp::deleted(now));
        let mut gone = Vec::new();
        let mut later = next.entries.iter_mut().peekable();
        let mut later_end = false;
        for before in &self.entries {
            let id = id_of(&self.bytes, before);
            let mut found = None;
            while !later_end {
                let Some(entry) = later.peek() else {
                    later_end = true;
                    break;
                };
                match id_of(&next.bytes, entry).cmp(id) {
                    Ordering::Less => {
                        changes.created += 1;
                        tell(Step {
                            id: id_of(&next.bytes, entry),
                            before: None,
                            after: Some(members_of(&next.bytes, entry)),
                        });
                        later.next();
                    }
                    Ordering::Equal => {
                        found = later.next();
                        break;
                    }
                    Ordering::Greater => break,
                }
            }
            let deleted = self.is_deleted(before);
            match found {
                Some(entry) if deleted => {
                    changes.created += 1;
                    tell(Step { id, before: None, after: Some(members_of(&next.bytes, entry)) });
                }
                Some(entry) if members_of(&next.bytes, entry) == members_of(&self.bytes, before) => {
                    entry.stamp = offset + before.stamp;
                }
                Some(entry) => {
                    changes.updated += 1;
                    tell(Step { id, before: Some(self.stored(before)), after: Some(members_of(&next.bytes, entry)) });
                }
                None => {
                    let stamp = if deleted { offset + before.stamp } else { tombstone };
                    if !deleted {
                        changes.deleted += 1;
                        tell(Step { id, before: Some(self.stored(before)), after: None });
                    }
                    if with_tombstones {
                        gone.push(Entry { stamp, ..*before });
                    }
                }
            }
        }
        for entry in later {
            changes.created += 1;
            tell(Step { id: id_of(&next.bytes, entry), before: None, after: Some(members_of(&next.bytes, entry)) });
        }
        for entry in gone {
            let at = next.bytes.len();
            let end = entry.at + entry.id as usize + entry.members as usize;
            next.bytes.extend_from_slice(&self.bytes[entry.at..end]);
            next.entries.push(Entry { at, ..entry });
        }
        let Self { bytes, entries, .. } = &mut next;
        entries.sort_by(|a, b| id_of(bytes, a).cmp(id_of(bytes, b)));
        next.compact_stamps();
        (next, changes)
    }

    /// Drops the stamps that no record has any more.
    fn compact_stamps(&mut self) {
        let mut kept: Vec<Option<u32>> = vec![None; self.stamps.len()];
        let mut stamps = Vec::new();
        for entry in &mut self.entries {
            let place = entry.stamp as usize;
            entry.stamp = *kept[place].get_or_insert_with(|| {
                stamps.push(self.stamps[place].clone());
                number(stamps.len() - 1)
            });
        }
        self.stamps = stamps;
    }

    fn is_deleted(&self, entry: &Entry) -> bool {
        self.stamps[entry.stamp as usize].status == "tobedeleted"
    }
}

fn id_of<'a>(bytes: &'a [u8], entry: &Entry) -> &'a [u8] {
    &bytes[entry.at..entry.at + entry.id as usize]
}

fn members_of<'a>(bytes: &'a [u8], entry: &Entry) -> &'a [u8] {
    let start = entry.at + entry.id as usize;
    &bytes[start..start + entry.members as usize]
}

/// Lengths and counts that cannot pass four thousand million in the memory of a machine that simulates.
#[expect(clippy::expect_used, reason = "no record is of four gigabytes, and no district of as many")]
fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a record has less than four gigabytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn collection(records: &[(&str, &str)], now: Timestamp) -> Collection {
        let mut builder = Builder::default();
        let stamp = builder.stamp(Stamp::active(now));
        for (id, members) in records {
            builder.push(id, members.as_bytes(), stamp);
        }
        builder.finish()
    }

    fn listing(collection: &Collection) -> Vec<String> {
        (0..collection.len())
            .map(|place| {
                let stored = collection.get(place);
                let [id, members] = [stored.id, stored.members].map(|bytes| std::str::from_utf8(bytes).unwrap());
                format!("{id} {members} {} {}", stored.stamp.status, stored.stamp.modified)
            })
            .collect()
    }

    #[test]
    fn an_advance_restamps_what_changed_and_keeps_tombstones() {
        let first = collection(&[("d", ",4"), ("b", ",2"), ("a", ",1"), ("c", ",3")], at(0));
        let (second, changes) = first.advance(collection(&[("e", ",5"), ("c", ",33"), ("a", ",1")], at(1)), at(1));
        assert_eq!(changes, Changes { created: 1, updated: 1, deleted: 2 });
        assert_eq!(
            listing(&second),
            [
                "a ,1 active 1970-01-01T00:00:00.000Z",
                "b ,2 tobedeleted 1970-01-01T00:00:01.000Z",
                "c ,33 active 1970-01-01T00:00:01.000Z",
                "d ,4 tobedeleted 1970-01-01T00:00:01.000Z",
                "e ,5 active 1970-01-01T00:00:01.000Z",
            ]
        );
        let (third, changes) = second.advance(collection(&[("a", ",1"), ("b", ",2"), ("c", ",33")], at(2)), at(2));
        assert_eq!(changes, Changes { created: 1, updated: 0, deleted: 1 });
        assert_eq!(
            listing(&third),
            [
                "a ,1 active 1970-01-01T00:00:00.000Z",
                "b ,2 active 1970-01-01T00:00:02.000Z",
                "c ,33 active 1970-01-01T00:00:01.000Z",
                "d ,4 tobedeleted 1970-01-01T00:00:01.000Z",
                "e ,5 tobedeleted 1970-01-01T00:00:02.000Z",
            ]
        );
        assert_eq!((third.len(), third.live()), (5, 3));
    }

    #[test]
    fn records_are_found_by_id() {
        let collection = collection(&[("b|/2", ",2"), ("a\"quoted", ",1")], at(0));
        assert_eq!(collection.find("b|/2"), Some(1));
        assert_eq!(collection.find("a\"quoted"), Some(0));
        assert_eq!(collection.find("b"), None);
    }
}

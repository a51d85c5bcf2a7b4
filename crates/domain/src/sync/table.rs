//! What a run knows of every record of a kind, in few bytes.
//!
//! A district of a million students has eight million enrollments, so an entry has to be small (40 bytes) and growth
//! must not copy everything at once: the table is split in shards that grow by a third or less, one at a time. Ids are kept as
//! [`Key`]s.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bits are packed and hashes are cut on purpose"
)]

use crate::Fingerprint;
use crate::keys::Key;

/// What is known of a record: a set of [`flag`]s.
pub(super) type Flags = u16;

/// What can be known of a record.
pub(super) mod flag {
    use super::Flags;

    /// The store has it, live or deleted.
    pub(crate) const STORED: Flags = 1;
    /// The store has it as deleted.
    pub(crate) const DELETED: Flags = 1 << 1;
    /// It was deleted together with what it belonged to.
    pub(crate) const BY_CASCADE: Flags = 1 << 2;
    /// Its stored fingerprint is of an older encoding.
    pub(crate) const OUTDATED: Flags = 1 << 3;
    /// It is stored as a user who is switched off.
    pub(crate) const DISABLED: Flags = 1 << 4;
    /// This run has received and accepted it.
    pub(crate) const SEEN: Flags = 1 << 5;
    /// This run has staged new content for it.
    pub(crate) const STAGED: Flags = 1 << 6;
    /// This run deletes it.
    pub(crate) const GONE: Flags = 1 << 7;
    /// This run has refused it.
    pub(crate) const REJECTED: Flags = 1 << 8;
    /// A record of this run refers to it by a required reference.
    pub(crate) const REFERENCED: Flags = 1 << 9;
    /// This run has received it and cannot decide yet.
    pub(crate) const WAITING: Flags = 1 << 10;
    /// This run has heard of the user's roles.
    pub(crate) const ROLES: Flags = 1 << 11;
    /// This run brings it back.
    pub(crate) const REVIVED: Flags = 1 << 12;
    /// This run was sent an older state of it.
    pub(crate) const STALE: Flags = 1 << 13;
    /// This run has received the user without its roles.
    pub(crate) const HALF: Flags = 1 << 14;
    /// This run knows a newer date of it than the store, whatever becomes of the record that carried the date.
    pub(crate) const DATED: Flags = 1 << 15;

    /// The run has been told something of the record itself.
    pub(crate) const HEARD_OF: Flags = SEEN | GONE | REJECTED | WAITING;
    /// All that is taken back with what a run decided on a record.
    pub(crate) const OF_RUN: Flags = HEARD_OF | STAGED | REFERENCED | ROLES | REVIVED | STALE | HALF;
}

/// One record's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    low: u64,
    high: u32,
    /// Where the accepted record stands, for the report of a later one that contradicts it; before that, where the
    /// stored record is to be found.
    position: u32,
    fingerprint: [u64; 2],
    /// The date in the upper 48 bits, the flags in the lower 16.
    packed: i64,
}

const NO_DATE: i64 = -(1 << 47);
const EMPTY: Entry = Entry { low: 0, high: 0, position: 0, fingerprint: [0; 2], packed: NO_DATE << 16 };

impl Entry {
    pub(super) fn flags(&self) -> Flags {
        (self.packed & 0xffff) as Flags
    }

    pub(super) fn has(&self, flags: Flags) -> bool {
        self.flags() & flags != 0
    }

    pub(super) fn set(&mut self, flags: Flags) {
        self.packed |= i64::from(flags);
    }

    pub(super) fn clear(&mut self, flags: Flags) {
        self.packed &= !i64::from(flags);
    }

    fn key(&self) -> Key {
        Key { low: self.low, high: self.high }
    }

    /// The line or index at which the accepted record stands, if it was noted. Of a stored record that the run has not
    /// heard of, how far its internal id is from the first that was read.
    pub(super) fn position(&self) -> Option<u64> {
        (self.position != 0).then(|| u64::from(self.position) - 1)
    }

    pub(super) fn set_position(&mut self, position: Option<u64>) {
        self.position = position.and_then(|position| u32::try_from(position + 1).ok()).unwrap_or(0);
    }

    /// The stored fingerprint; once the run has accepted the record, the accepted one.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint(u128::from(self.fingerprint[0]) << 64 | u128::from(self.fingerprint[1]))
    }

    pub(super) fn set_fingerprint(&mut self, fingerprint: Fingerprint) {
        self.fingerprint = [(fingerprint.0 >> 64) as u64, fingerprint.0 as u64];
    }

    /// The newest date that the source gave for the record.
    pub(super) fn modified_ms(&self) -> Option<i64> {
        let date = self.packed >> 16;
        (date != NO_DATE).then_some(date)
    }

    /// The store has it with a date after this one. A blank date is never older (R4).
    pub(super) fn is_stored_newer_than(&self, modified_ms: Option<i64>) -> bool {
        self.has(flag::STORED) && modified_ms.is_some_and(|sent| self.modified_ms().is_some_and(|known| sent < known))
    }

    /// Keeps the newer of the dates, and says whether that changed anything.
    pub(super) fn advance(&mut self, modified_ms: Option<i64>) -> bool {
        // Dates outside the 48 bits lie thousands of years away and are as good as none.
        let Some(date) = modified_ms.filter(|date| date.abs() < 1 << 46) else { return false };
        if self.modified_ms().is_some_and(|known| known >= date) {
            return false;
        }
        self.packed = date << 16 | i64::from(self.flags());
        true
    }

    /// Keeps the newer of the dates, and says whether the store has to learn one: from this record, or from one that was
    /// taken back.
    pub(super) fn learn_date(&mut self, modified_ms: Option<i64>) -> bool {
        if self.advance(modified_ms) {
            self.set(flag::DATED);
        }
        self.has(flag::DATED)
    }

    /// The record exists for those who refer to it.
    pub(super) fn is_there(&self) -> bool {
        (self.was_live() || self.is_accepted() || self.has(flag::REVIVED)) && !self.has(flag::GONE)
    }

    /// This run has received it and goes by what it received.
    pub(super) fn is_accepted(&self) -> bool {
        self.has(flag::SEEN) && !self.has(flag::STALE)
    }

    /// The store shows it to everyone before this run.
    pub(super) fn was_live(&self) -> bool {
        self.has(flag::STORED) && !self.has(flag::DELETED)
    }
}

/// So many that one of them fits a core's cache while it grows, in a district of a million students too.
const SHARDS: usize = 1024;

/// The entries of one kind.
#[derive(Debug)]
pub(super) struct Table {
    shards: Vec<Shard>,
}

#[derive(Debug, Default)]
struct Shard {
    slots: Vec<Entry>,
    used: usize,
    /// It was made for what is stored, and holds little else in the end.
    is_loaded: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl Table {
    pub(super) fn get(&self, key: Key) -> Option<&Entry> {
        let shard = &self.shards[shard_of(key)];
        if shard.slots.is_empty() {
            return None;
        }
        let entry = &shard.slots[shard.find(key)];
        (entry.key() == key).then_some(entry)
    }

    /// Touches the place of a key. A processor fetches many places at once if nothing waits for any of them, and they lie
    /// scattered over more memory than its caches hold.
    pub(super) fn prefetch(&self, key: Key) {
        let slots = &self.shards[shard_of(key)].slots;
        if !slots.is_empty() {
            let place = place_of(key, slots.len());
            std::hint::black_box(slots[place].high);
            // The search goes on from there, and two entries further is the next line of the cache.
            std::hint::black_box(slots[(place + 2).min(slots.len() - 1)].high);
        }
    }

    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut Entry> {
        let shard = &mut self.shards[shard_of(key)];
        if shard.slots.is_empty() {
            return None;
        }
        let position = shard.find(key);
        let entry = &mut shard.slots[position];
        (entry.key() == key).then_some(entry)
    }

    /// The entry of a key, made if it is new.
    pub(super) fn entry(&mut self, key: Key) -> &mut Entry {
        let number = shard_of(key);
        let shard = &mut self.shards[number];
        if (shard.used + 1) * 5 > shard.slots.len() * 4 {
            shard.grow(number);
        }
        let position = shard.find(key);
        let entry = &mut shard.slots[position];
        if entry.key() != key {
            (entry.low, entry.high) = (key.low, key.high);
            shard.used += 1;
        }
        entry
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.shards.iter().flat_map(|shard| &shard.slots).filter(|entry| entry.high != 0)
    }
}

/// The entries of what is stored, on their way into a [`Table`]: collected first, so that the table is made once, in its
/// final size, and a part of it at a time that fits a processor's cache.
#[derive(Debug)]
pub(super) struct Loading {
    shards: Vec<Vec<Entry>>,
}

impl Default for Loading {
    fn default() -> Self {
        Self { shards: vec![Vec::new(); SHARDS] }
    }
}

impl Loading {
    /// A new entry for a key. Each key comes once.
    pub(super) fn add(&mut self, key: Key, fill: impl FnOnce(&mut Entry)) {
        let mut entry = Entry { low: key.low, high: key.high, ..EMPTY };
        fill(&mut entry);
        let shard = &mut self.shards[shard_of(key)];
        if shard.len() == shard.capacity() {
            shard.reserve_exact(shard.len() / 3 + 8);
        }
        shard.push(entry);
    }

    pub(super) fn into_table(self) -> Table {
        let shards = self.shards.into_iter().map(|entries| {
            let mut shard = Shard::default();
            if entries.is_empty() {
                return shard;
            }
            // Room for a few more records than last time.
            shard.is_loaded = true;
            shard.slots = vec![EMPTY; entries.len() / 3 * 4 + 8];
            for entry in entries {
                let position = shard.find(entry.key());
                shard.used += usize::from(shard.slots[position].high == 0);
                shard.slots[position] = entry;
            }
            shard
        });
        Table { shards: shards.collect() }
    }
}

fn shard_of(key: Key) -> usize {
    (key.high >> 22) as usize
}

/// Maps the hash onto any number of slots without a division, so that a shard need not double.
fn place_of(key: Key, slots: usize) -> usize {
    ((u128::from(key.low) * slots as u128) >> 64) as usize
}

impl Shard {
    /// The slot that holds the key, or the empty one where it belongs.
    fn find(&self, key: Key) -> usize {
        let mut position = place_of(key, self.slots.len());
        loop {
            let slot = &self.slots[position];
            if slot.high == 0 || slot.key() == key {
                return position;
            }
            position += 1;
            if position == self.slots.len() {
                position = 0;
            }
        }
    }

    /// Grows by a third, or by a fifth if it was full of what is stored. Shards hold equally much, and those that are empty
    /// begin with different sizes, so that not all of them have just grown at the same moment.
    fn grow(&mut self, number: usize) {
        let larger = match self.slots.len() {
            0 => 12 + number * 4 / SHARDS,
            slots if self.is_loaded => slots + slots.div_ceil(5),
            slots => slots + slots.div_ceil(3),
        };
        let old = std::mem::replace(&mut self.slots, vec![EMPTY; larger]);
        for entry in old.into_iter().filter(|entry| entry.high != 0) {
            let position = self.find(entry.key());
            self.slots[position] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourcedId;
    use crate::keys::Keys;

    #[test]
    fn entries_are_found_again_after_growth_with_all_they_hold() {
        let keys = Keys::default();
        let mut table = Table::default();
        let id = |number: u32| SourcedId::new(&format!("id-{number}")).unwrap();
        for number in 0..20_000 {
            let entry = table.entry(keys.of(&id(number)));
            entry.set_fingerprint(Fingerprint(u128::from(number) << 70 | 7));
            entry.set(flag::STORED);
            entry.advance((number % 2 == 0).then(|| i64::from(number) - 5));
        }
        assert_eq!(table.iter().count(), 20_000);
        for number in 0..20_000 {
            let entry = table.get(keys.of(&id(number))).unwrap();
            assert_eq!(entry.fingerprint(), Fingerprint(u128::from(number) << 70 | 7));
            assert_eq!(entry.flags(), flag::STORED);
            assert_eq!(entry.modified_ms(), (number % 2 == 0).then(|| i64::from(number) - 5));
        }
        assert!(table.get(keys.of(&id(20_000))).is_none());
        assert_eq!(size_of::<Entry>(), 40);
    }

    #[test]
    fn what_is_stored_is_found_again_and_there_is_room_for_more() {
        let keys = Keys::default();
        let id = |number: u32| SourcedId::new(&format!("id-{number}")).unwrap();
        for stored in [0, 1, 7, 20_000] {
            let mut loading = Loading::default();
            for number in 0..stored {
                loading.add(keys.of(&id(number)), |entry| entry.set_fingerprint(Fingerprint(number.into())));
            }
            let mut table = loading.into_table();
            assert_eq!(table.iter().count(), usize::try_from(stored).unwrap());
            for number in stored..stored * 2 {
                table.entry(keys.of(&id(number))).set_fingerprint(Fingerprint(number.into()));
            }
            for number in 0..stored * 2 {
                assert_eq!(table.get(keys.of(&id(number))).unwrap().fingerprint(), Fingerprint(number.into()));
            }
            assert!(table.get(keys.of(&id(stored * 2))).is_none());
        }
    }

    #[test]
    fn only_a_newer_date_advances_and_flags_stay() {
        let mut entry = EMPTY;
        entry.set(flag::SEEN | flag::REVIVED);
        assert!(entry.advance(Some(-1000)));
        assert!(!entry.advance(Some(-1000)));
        assert!(!entry.advance(None));
        assert!(entry.advance(Some(1)));
        entry.clear(flag::SEEN);
        assert_eq!((entry.modified_ms(), entry.flags()), (Some(1), flag::REVIVED));
    }
}

//! Short keys that stand for ids while a run lasts.
//!
//! A sourcedId may be 255 characters long, and a district has ten million of them. A [`Key`] is a hash of 96 bits: two of
//! ten million ids share one with a probability of 10^-15, and the hash's own key is drawn anew for every [`Keys`], so that
//! nobody can craft ids that collide.

#![expect(clippy::cast_possible_truncation, reason = "a hash is cut on purpose")]

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use siphasher::sip128::SipHasher13;

use crate::SourcedId;

/// Stands for a sourcedId, among keys that the same [`Keys`] made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub(crate) low: u64,
    /// Never zero, which marks an empty place of a table.
    pub(crate) high: u32,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.low);
    }
}

/// A map by [`Key`]s, which are hashes already.
pub type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<KeyHasher>>;

/// Takes a [`Key`] for its hash: it depends on a secret, so that nobody can craft keys that collide.
#[derive(Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Key {
    /// Eight bytes of the key, for where a false positive in 2^64 only spoils a warning.
    pub(crate) const fn short(self) -> u64 {
        self.low
    }
}

/// Makes [`Key`]s.
#[derive(Debug)]
pub struct Keys(SipHasher13);

impl Default for Keys {
    fn default() -> Self {
        // The standard library's own source of keys that nobody can foresee.
        let (one, other) = (RandomState::new().hash_one(0), RandomState::new().hash_one(1));
        Self(SipHasher13::new_with_keys(one, other))
    }
}

impl Keys {
    /// The key of an id.
    pub fn of(&self, id: &SourcedId) -> Key {
        let hash = self.0.hash(id.as_str().as_bytes());
        Key { low: hash.h1, high: hash.h2 as u32 | 1 }
    }
}

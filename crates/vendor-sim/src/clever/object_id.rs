//! Ids as Clever has them: 24 hexadecimal digits, of which the first eight are a time.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use rollcall_domain::SourcedId;

/// An id of anything: unique over all that Clever knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct ObjectId {
    /// When it was minted, in seconds since 1970.
    pub(super) minted: u32,
    pub(super) rest: u64,
}

impl ObjectId {
    pub(super) const LENGTH: usize = 24;

    /// Reads an id; digits are lower-case.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != Self::LENGTH {
            return None;
        }
        let digits = |part: &[u8]| {
            part.iter().try_fold(0_u64, |number, &digit| {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    _ => return None,
                };
                Some(number << 4 | u64::from(value))
            })
        };
        Some(Self { minted: u32::try_from(digits(&text[..8])?).ok()?, rest: digits(&text[8..])? })
    }

    /// When it was minted.
    pub(super) fn time(self) -> Timestamp {
        Timestamp::from_second(i64::from(self.minted)).unwrap_or_default()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}{:016x}", self.minted, self.rest)
    }
}

/// The seconds since 1970 of a time.
pub(super) fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.as_second()).unwrap_or_default()
}

/// The ids of a district's records: the sixteen digits of a sourcedId, after the time at which it was first seen.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    first: u32,
    /// Only of users and classes: all else is there from the beginning.
    minted: HashMap<u64, u32>,
}

impl Ids {
    pub(super) fn new(first: u32) -> Self {
        Self { first, minted: HashMap::new() }
    }

    /// Knows a record from a time on, unless it is known already.
    pub(super) fn mint(&mut self, id: &SourcedId, at: u32) {
        self.minted.entry(digits_of(id)).or_insert(at);
    }

    pub(super) fn of(&self, id: &SourcedId) -> ObjectId {
        let rest = digits_of(id);
        ObjectId { minted: self.minted.get(&rest).copied().unwrap_or(self.first), rest }
    }
}

/// The sixteen digits at the end of the sourcedId of a generated record.
pub(super) fn digits_of(id: &SourcedId) -> u64 {
    let digits = id.as_str().rsplit('-').next().unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let id = ObjectId { minted: 0x6420_6e45, rest: 0x31f1_2f05_cc49_0fa5 };
        assert_eq!(id.to_string(), "64206e4531f12f05cc490fa5");
        assert_eq!(ObjectId::parse(b"64206e4531f12f05cc490fa5"), Some(id));
        assert_eq!(id.time().to_string(), "2023-03-26T16:09:41Z");
        for wrong in ["", "64206e4531f12f05cc490fa", "64206E4531f12f05cc490fa5", "g4206e4531f12f05cc490fa5"] {
            assert_eq!(ObjectId::parse(wrong.as_bytes()), None);
        }
    }
}

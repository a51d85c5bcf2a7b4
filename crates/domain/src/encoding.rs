//! The canonical encoding of a record, and the fingerprint made of it.
//!
//! A fingerprint answers one question: is this the record that was applied last time? It covers every mapped field as
//! the source sent it, raw reference ids included, and leaves out `dateLastModified` and a vendor's own role ids. Each
//! field is written with its length or a marker of absence, so that no two different records share an encoding.

use compact_str::CompactString;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

/// The version of the encoding and its hash. Raise it whenever the encoding of any kind changes; stored fingerprints of an older
/// version are then compared field by field and rewritten without a word.
pub const ENCODING_VERSION: i16 = 2;

/// The 128-bit XXH3 hash of a record's canonical encoding.
///
/// It tells records apart that differ by accident, not by design: whoever can craft two records of one fingerprint is the
/// source itself, and gains no more than leaving the record as it was. A cryptographic hash costs a tenth of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// The sixteen bytes that a store keeps.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// Reads what [`Fingerprint::to_bytes`] wrote.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }
}

/// Writes fields into the canonical encoding.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// All that was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The fingerprint of all that was written.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.bytes)
    }

    /// A small number that stands alone: a kind, a marker.
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// A number.
    pub fn number(&mut self, number: u64) {
        // LEB128: short for the small numbers that lengths and years are.
        let mut rest = number;
        while rest >= 0x80 {
            self.bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest.to_le_bytes()[0]);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A text that may be absent; absent and empty differ.
    pub fn optional(&mut self, text: Option<&str>) {
        match text {
            None => self.byte(0),
            Some(text) => {
                self.byte(1);
                self.text(text);
            }
        }
    }

    /// A list of texts.
    pub fn list(&mut self, texts: &[CompactString]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    /// A day that may be absent.
    pub fn date(&mut self, date: Option<Date>) {
        match date {
            None => self.byte(0),
            Some(date) => {
                self.byte(1);
                self.bytes.extend_from_slice(&date.year().to_le_bytes());
                self.bytes.extend([date.month().unsigned_abs(), date.day().unsigned_abs()]);
            }
        }
    }

    /// A yes or no that may be absent.
    pub fn flag(&mut self, flag: Option<bool>) {
        self.byte(match flag {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        });
    }
}

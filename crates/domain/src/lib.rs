//! Rollcall's core.
//!
//! This crate knows what a roster is and what may happen to it: the [entities], the rules by which a run works out what
//! changed, the [ports] through which it sees the world, and the [sync] use case that puts them in order. It does no
//! I/O, reads no clock and names no vendor.

mod counts;
mod encoding;
pub mod entities;
mod finding;
mod identity;
pub mod keys;
mod kind;
pub mod ports;
mod reference;
pub mod report;
mod rules;
pub mod sync;
pub mod vocabulary;

pub use counts::Counts;
pub use encoding::{ENCODING_VERSION, Encoder, Fingerprint};
pub use entities::Record;
pub use finding::{Code, Finding, Location, PendingRecord, PositionUnit, Reject, Warning};
pub use identity::{BlankId, RunId, SourceId, SourcedId, Text};
pub use kind::{Kind, PerKind, UnknownKind};
pub use reference::{RefField, Reference};
pub use rules::{Severity, validate};

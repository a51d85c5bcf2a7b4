//! OneRoster as a source of rosters.
//!
//! [`CsvSource`] reads OneRoster CSV packages of versions 1.0, 1.1 and 1.2: folders, zips, and folders into which zips are
//! dropped. It maps what it reads into domain records and says what it could not map. It never looks at stored state:
//! duplicates, references, guards and deletions by absence are the domain's.
//!
//! Three rules run through the crate. A child is not lost to a detail: what can be understood in one way only is accepted
//! with a warning. Nothing is guessed: a slash date, a role, a primary org. And no password is ever kept.

mod config;
mod csv;
mod error;
pub mod export;
mod mapping;

pub use config::{ArchiveLimits, CsvConfig, EndDates, PackageMode, SlashDates, TextEncoding};
pub use csv::{CsvSource, NO_NEW_PACKAGE};
pub use error::CsvError;

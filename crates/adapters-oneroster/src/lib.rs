//! OneRoster as a source of rosters.
//!
//! [`CsvSource`] reads OneRoster CSV packages of versions 1.0, 1.1 and 1.2: folders, zips, and folders into which zips are
//! dropped. [`RestSource`] reads OneRoster REST 1.1 and 1.2. Both map what they read into domain records by the same rules and
//! say what they could not map. They never look at stored state: duplicates, references, guards and deletions by absence are
//! the domain's.
//!
//! Three rules run through the crate. A child is not lost to a detail: what can be understood in one way only is accepted
//! with a warning. Nothing is guessed: a slash date, a role, a primary org. And no password is ever kept.

mod config;
mod csv;
mod error;
pub mod export;
mod mapping;
mod rest;

pub use config::{ArchiveLimits, CsvConfig, EndDates, PackageMode, SlashDates, TextEncoding};
pub use csv::{CsvSource, NO_NEW_PACKAGE};
pub use error::CsvError;
pub use rest::{PageFault, RestConfig, RestError, RestProfile, RestSource, RestVersion, ServiceRoot};

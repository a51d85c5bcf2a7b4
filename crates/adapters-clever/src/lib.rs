//! Clever as a source of rosters.
//!
//! [`CleverSource`] reads one district over Clever's Data API (v3.0 and v3.1), and what changed in it over the Events API.
//! [`CleverDirectory`] lists the districts that an application is connected to and makes a source of each.
//!
//! Clever knows no enrollments, no school years, and neither a course nor a term for every section. What the domain needs and
//! Clever does not state is derived with ids that are the same at every pull; `docs/mapping.md` says how.
//!
//! Three rules run through the crate. What Clever may add (values, fields, kinds of events) breaks no pull. An event's
//! object replaces what is stored, and order among events of different objects means nothing. And whenever it is uncertain
//! whether events tell everything, everything is read.

mod check;
mod client;
mod config;
mod cursor;
mod directory;
mod error;
mod events;
mod mapping;
mod output;
mod pull;
mod source;
mod tokens;
mod wire;

pub use config::{ApiVersion, CleverConfig, CleverCredentials};
pub use directory::{CleverDirectory, DistrictSource, DistrictSources, UnusableDistrict};
pub use error::CleverError;
pub use source::CleverSource;

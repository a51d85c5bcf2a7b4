//! ClassLink as a source of rosters.
//!
//! ClassLink serves OneRoster: what is asked of a district's server, and what becomes of the answers, is
//! [`RestSource`](rollcall_adapters_oneroster::RestSource)'s, with a profile of ClassLink's ways. This crate is about how a
//! server is reached. [`ClassLinkSource`] reads one tenant, through ClassLink's proxy with the tenant's bearer or from the
//! district's own server with signed requests, and [`ClassLinkDirectory`] lists the tenants that a partner's key opens and
//! makes a source of each.
//!
//! Three rules run through the crate. What the list of applications says goes into an address as it is written, escapes and
//! all. A tenant that is missing, disabled or refused stops the pull with a word about it, and nothing of it is ever
//! deleted for that. And nothing is taken from a list that may not be whole.

mod applications;
mod bearer;
mod config;
mod directory;
mod error;
mod profile;
mod source;
mod wire;

pub use config::{ClassLinkAccess, ClassLinkConfig, Mode, ServerAuth};
pub use directory::{ClassLinkDirectory, ListedTenant};
pub use error::ClassLinkError;
pub use source::ClassLinkSource;

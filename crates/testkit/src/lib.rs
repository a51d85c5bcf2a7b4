//! What tests of several crates share: the contract suites for stores and for sources, a store in memory, a throwaway
//! PostgreSQL, and builders of records.
//!
//! A dev-dependency only.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of it is test code: a panic is how it says no")]

pub mod build;
pub mod memory;
mod postgres;
pub mod source;
pub mod store;

pub use postgres::ThrowawayPostgres;

#[doc(hidden)]
pub use insta;
#[doc(hidden)]
pub use tokio;

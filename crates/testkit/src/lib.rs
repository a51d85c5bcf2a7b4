//! What tests of several crates share: the contract suite for stores, a throwaway PostgreSQL, and builders of records.
//!
//! A dev-dependency only.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of it is test code: a panic is how it says no")]

pub mod build;
mod postgres;
pub mod store;

pub use postgres::ThrowawayPostgres;

#[doc(hidden)]
pub use tokio;

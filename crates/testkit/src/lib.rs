//! What tests of several crates share: the contract suite for stores, a throwaway PostgreSQL, and builders of records.
//!
//! A dev-dependency only.

pub mod build;
mod postgres;
pub mod store;

pub use postgres::ThrowawayPostgres;

#[doc(hidden)]
pub use tokio;

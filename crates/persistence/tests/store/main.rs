//! The store on both engines: the contract suite, the schemas, errors, what dead processes leave, random histories.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "all of it is test code: a panic is how it says no")]

mod catalogue;
mod common;
mod contract_postgres;
mod contract_sqlite;
mod errors;
mod leftovers;
mod load;
mod models;

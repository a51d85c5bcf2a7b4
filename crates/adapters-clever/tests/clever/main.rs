//! The Clever source against a server that answers as it is told.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod contract;
mod corpus;
mod directory;
mod events;
mod harness;
mod hostile;
mod mapping;
mod tokens;
mod whole;

/// The store in memory that the use case's own tests stand on.
#[path = "../../../domain/tests/support/mod.rs"]
mod support;

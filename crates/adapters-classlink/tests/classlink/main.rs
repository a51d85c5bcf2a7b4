//! The ClassLink source against a proxy and servers that answer as they are told.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod corpus;
mod dangling;
mod harness;
mod list;
mod mapping;
mod reach;
mod revision;

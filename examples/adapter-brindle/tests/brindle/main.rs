//! The Brindle source against a server that answers as it is told.

#![expect(clippy::unwrap_used, reason = "what is not there fails the test")]

mod contract;
mod mapping;
mod server;

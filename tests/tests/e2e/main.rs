//! End to end: the real program, real files, real databases.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "what cannot be unwrapped fails the test")]
#![expect(clippy::print_stdout, reason = "a test says what it skips and what it saw")]

mod broken;
mod classlink;
mod clever;
mod command_line;
mod corpus;
mod deltas;
mod kills;
mod lifecycle;
mod records;
mod rest;
mod rest_vendor;
mod simulate;
mod support;
mod sync;
mod vendor;

//! The CSV source through its port: packages go in, items and a summary come out.

#![expect(clippy::unwrap_used, reason = "what a test cannot do ends it; clippy knows tests only by their attribute")]

mod deltas;
mod drop_folder;
mod harness;
mod leniency;
mod mapping;
mod packages;
mod refusals;
mod roles;

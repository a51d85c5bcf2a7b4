//! The contract suite of sources, on both sources of this crate and one simulated district.

#![expect(clippy::unwrap_used, reason = "what a test cannot do ends it; clippy knows tests only by their attribute")]

mod csv;
mod district;
mod faults;
mod rest;

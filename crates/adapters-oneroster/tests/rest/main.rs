//! The REST source through its port: a scripted server answers, items and a summary come out.

#![expect(clippy::unwrap_used, reason = "what a test cannot do ends it; clippy knows tests only by their attribute")]

mod check;
mod corpus;
mod harness;
mod hostile;
mod incremental;
mod leniency;
mod mapping;
mod paging;
mod scope;

//! The CSV source through its port: packages go in, items and a summary come out.

mod deltas;
mod drop_folder;
mod harness;
mod leniency;
mod mapping;
mod packages;
mod refusals;
mod roles;

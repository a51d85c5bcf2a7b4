//! Simulated vendors over generated districts: for the demo, tests and benchmarks.
//!
//! Everything starts from a [`District`]: a synthetic school district that is a pure function of its size, its seed and
//! the days that have passed. It hands out domain records kind by kind, as streams, so that a district of a million
//! students takes no more memory than one of ten.
//!
//! A simulated vendor serves such a district over HTTP: [`oneroster`] is a student information system that speaks
//! OneRoster, [`clever`] an aggregator of districts with an API of its own, [`classlink`] one in front of OneRoster servers. What vendors share is in [`server`] (faults
//! and days on demand) and [`auth`].
//!
//! The crate knows no adapter, on purpose: a simulator that shared code with the adapter it tests would share its
//! misreadings too.

pub mod auth;
pub mod classlink;
pub mod clever;
mod collection;
mod district;
mod json;
pub mod oneroster;
mod random;
pub mod server;
mod v1_1;

pub use collection::Changes;
pub use district::{Churn, District, DistrictError};
pub use v1_1::as_1_1_can_say;

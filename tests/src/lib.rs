//! Helpers of the end-to-end tests: the real program, stores of both engines, packages, and a reading of CSV that shares
//! nothing with the program's.
#![expect(clippy::expect_used, reason = "a helper of tests that cannot do its work ends the test")]

mod package;
mod program;
mod roster;
mod store;

pub use package::{Package, read_folder, write_zip};
pub use program::{Answer, Rollcall, binary};
pub use roster::{Difference, Roster};
pub use store::{Engine, Place};

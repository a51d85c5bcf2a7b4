//! OneRoster CSV packages as a source of rosters.
//!
//! A pull goes through these stages. [`source`] finds the package (in a drop folder with [`drop_folder`]); [`package`]
//! opens it; [`survey`] looks it through and gathers every problem; [`reader`] reads file after file, [`rows`] by row, and
//! maps. Nothing is held in memory but a batch, the roles of 1.2 and the titles of courses.

mod archive;
mod cursor;
mod drop_folder;
mod foreign;
pub(crate) mod header;
mod manifest;
mod output;
mod package;
mod reader;
mod records;
mod roles_index;
mod rows;
mod source;
pub(crate) mod survey;
pub(crate) mod table;
mod text;

pub use source::{CsvSource, NO_NEW_PACKAGE};

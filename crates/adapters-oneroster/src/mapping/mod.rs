//! Records of any binding into domain records: pure, without files, requests or state.
//!
//! Each module maps one entity. What a record says is read through [`fields::Fields`], which notes everything that was not
//! as it should be; a mapping returns a record, or `None` with the reasons among the notes' errors. Rules that need more
//! than one record are the domain's.

pub(crate) mod class;
pub(crate) mod course;
pub(crate) mod demographics;
pub(crate) mod enrollment;
pub(crate) mod fields;
pub(crate) mod lifecycle;
pub(crate) mod org;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod user;
pub(crate) mod value;

//! Writes OneRoster CSV packages, version 1.1 and 1.2, from domain records.
//!
//! A [`PackageWriter`] takes records one by one and streams them into files; equal records in equal order give equal
//! bytes. It writes what the standard asks for, not what some readers forgive:
//!
//! - every column of every file, in order, then one `metadata.` column per declared extension field;
//! - UTF-8 without a byte-order mark, lines that end in CRLF (RFC 4180), quotes only where they are needed. Line breaks
//!   inside a value are not allowed in OneRoster; each becomes a space;
//! - lists joined by `,`. An item cannot hold a comma and loses the ones it has;
//! - blank `status` and `dateLastModified` in bulk packages, filled ones in delta packages;
//! - no file without rows. A kind without records is `absent` in the manifest;
//! - never a password.
//!
//! What neither version can say is left out: a role at no org (`roles.csv` requires one; 1.1 says the role with blank
//! `orgSourcedIds`, or the user could not be read at all), external ids of anything but users, a vendor's own ids of roles.
//! Those of `roles.csv` are derived from user, org, role and first day, so that they are the same in every export.
//!
//! What 1.1 cannot say of what 1.2 says, all of it in `users.csv`: different roles at different orgs (the leading role
//! is written, with the orgs where it is held), role types, dates and profiles of roles, the preferred names,
//! `userMasterIdentifier`, `primaryOrgSourcedId`, `pronouns`, and the sort of an administrator (district, site and
//! system administrators and principals are all `administrator`). `counselor`, the sexes `unspecified` and `other` and
//! `ext:` values have no older word and are written as 1.2 spells them.

mod columns;
mod error;
mod folder;
mod roles;
mod row;
mod writer;

pub use columns::ExportVersion;
pub use error::ExportError;
pub use writer::{ExportOptions, PackageWriter, RowMeta, RowStatus, WrittenPackage};

#[cfg(test)]
mod tests;

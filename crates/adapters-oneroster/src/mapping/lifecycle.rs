//! The two life-cycle columns that every file begins with.

use rollcall_domain::Code;

use super::fields::{Cells, Fields};
use super::value::{self, Status};
use crate::config::PackageMode;
use crate::csv::survey::ToldBy;
use crate::csv::table::Column;

/// What a row says about the life of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    /// The record is gone.
    pub(crate) deleted: bool,
    /// When the source last changed it, in milliseconds since 1970 UTC.
    pub(crate) modified_ms: Option<i64>,
}

/// Reads `status` and `dateLastModified`.
///
/// Where nobody has declared the file bulk or delta, `tobedeleted` in a file that lists the record may mean either: that
/// the record is gone, or that it will be. Keeping it is the reading that locks nobody out; a record that is gone
/// leaves the file in the end.
pub(crate) fn read<'a>(fields: &mut Fields<'a, impl Cells<'a>>, mode: PackageMode, told_by: ToldBy) -> Lifecycle {
    let mut deleted = status(fields, mode) == Status::ToBeDeleted;
    if deleted && told_by == ToldBy::Nobody {
        deleted = false;
        fields.warn(
            Code::LifecycleUnexpected,
            Column::Status,
            "the row is `tobedeleted` and nothing says whether the file is bulk or delta, so the record was kept; \
             `--mode bulk`, `--mode delta` or the source's `mode` makes it a deletion",
        );
    }
    Lifecycle { deleted, modified_ms: modified_ms(fields, mode) }
}

fn status<'a>(fields: &mut Fields<'a, impl Cells<'a>>, mode: PackageMode) -> Status {
    let text = fields.raw(Column::Status);
    if text.is_empty() {
        if mode == PackageMode::Delta && fields.row.has(Column::Status) {
            fields.warn(
                Code::LifecycleUnexpected,
                Column::Status,
                "the row of a delta file has no status; it was taken as active",
            );
        }
        return Status::Active;
    }
    if mode == PackageMode::Bulk {
        fields.warn(
            Code::LifecycleUnexpected,
            Column::Status,
            "the row of a bulk file has a status; bulk files leave it blank",
        );
    }
    if let Some(status) = value::status(text) {
        return fields.understood(Column::Status, status, "`active` or `tobedeleted`");
    }
    fields.warn(
        Code::EnumUnknown,
        Column::Status,
        "the status is neither `active` nor `tobedeleted`; the row was taken as active",
    );
    Status::Active
}

fn modified_ms<'a>(fields: &mut Fields<'a, impl Cells<'a>>, mode: PackageMode) -> Option<i64> {
    let text = fields.raw(Column::DateLastModified);
    if text.is_empty() {
        if mode == PackageMode::Delta && fields.row.has(Column::DateLastModified) {
            fields.warn(
                Code::LifecycleUnexpected,
                Column::DateLastModified,
                "the row of a delta file has no dateLastModified; it was applied whatever its age",
            );
        }
        return None;
    }
    if mode == PackageMode::Bulk {
        fields.warn(
            Code::LifecycleUnexpected,
            Column::DateLastModified,
            "the row of a bulk file has a dateLastModified; bulk files leave it blank",
        );
    }
    fields.optional(Column::DateLastModified, value::instant_ms(text), "YYYY-MM-DDTHH:MM:SS.sssZ")
}

use std::io;
use std::path::PathBuf;

use rollcall_domain::{Kind, Text};

/// Why a package could not be written. Whatever the reason, nothing stands under the package's own name that did not
/// stand there before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The folder holds something that is no OneRoster package; writing would have thrown it away.
    #[error(
        "`{}` is not empty and not a OneRoster package (it holds `{entry}`); name a new folder, or empty this one",
        folder.display()
    )]
    NotAPackage {
        /// The folder.
        folder: PathBuf,
        /// The first thing in it that does not belong to a package.
        entry: String,
    },
    /// The path leads to a file, or names no folder at all.
    #[error("`{}` is not a folder", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A folder could not be read or made.
    #[error("cannot use the folder `{}`", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The finished package could not be moved to its name.
    #[error("cannot move the finished package to `{}`; if that is a mount point, name a folder inside it", path.display())]
    Publish {
        /// The name.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// A record has an extension field that was not declared, so that the header has no column for it.
    #[error("the extension field `{field}` of {kind} was not declared before the first record")]
    UndeclaredMetadata {
        /// The kind of the record.
        kind: Kind,
        /// The field.
        field: Text,
    },
    /// A change was written into a bulk package, or a bare record into a delta package.
    #[error("a bulk package takes records, and a delta package takes changes; this is a {} package", if *delta { "delta" } else { "bulk" })]
    WrongMode {
        /// Whether the package is a delta.
        delta: bool,
    },
}

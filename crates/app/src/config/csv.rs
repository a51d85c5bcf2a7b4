//! `kind = "oneroster-csv"`

use std::path::PathBuf;

use rollcall_adapters_oneroster::{PackageMode, TextEncoding};
use serde::Deserialize;

/// What a source of OneRoster CSV packages can be told.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CsvSettings {
    /// A folder of CSV files, a zip, or a folder into which zips are dropped.
    pub(crate) path: Option<PathBuf>,
    /// Whether files hold everything or only changes, whatever the manifest says.
    pub(crate) mode: Option<PackageMode>,
    /// The encoding of the files.
    #[serde(default)]
    pub(crate) encoding: TextEncoding,
}

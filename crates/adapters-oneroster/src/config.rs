//! The settings of a CSV source. They are plain values; where they come from is the application's business.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The settings of a [`CsvSource`](crate::CsvSource).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvConfig {
    /// A folder of CSV files, a zip, or a folder into which zips are dropped.
    pub path: PathBuf,
    /// Overrides what the manifest says of every file.
    pub mode: Option<PackageMode>,
    /// How dates with slashes are to be read. Without it they are not guessed.
    pub slash_dates: Option<SlashDates>,
    /// Whether the source means end dates as the last day or as the day after it.
    pub end_dates: EndDates,
    /// The encoding of the files.
    pub encoding: TextEncoding,
    /// How long a package in a drop folder must have been still before it is read.
    pub settle: Duration,
    /// What an archive may hold.
    pub limits: ArchiveLimits,
    /// Whether packages are expected at the path time and again. A folder that holds none is then a drop folder with
    /// nothing new in it, and not a mistake.
    pub recurring: bool,
}

impl CsvConfig {
    /// The settings of a source that says nothing but where it is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            mode: None,
            slash_dates: None,
            end_dates: EndDates::default(),
            encoding: TextEncoding::default(),
            settle: Duration::from_mins(1),
            limits: ArchiveLimits::default(),
            recurring: false,
        }
    }
}

/// Whether a file is the whole truth or a list of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageMode {
    /// Everything: what is absent is gone.
    Bulk,
    /// Only what changed.
    Delta,
}

impl PackageMode {
    /// The word that manifests and the configuration use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Delta => "delta",
        }
    }
}

/// How a date with slashes is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlashDates {
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
}

/// What a source means by an end date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndDates {
    /// The day after the last one, as OneRoster defines it.
    #[default]
    Exclusive,
    /// The last day. Mapping adds one.
    Inclusive,
}

/// The encoding of the files of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum TextEncoding {
    /// What OneRoster asks for.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// What spreadsheets on Windows save.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

impl TextEncoding {
    /// The word that the configuration uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Windows1252 => "windows-1252",
        }
    }
}

/// What an archive may hold. The defaults leave room for the largest districts and stop a zip bomb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// How many entries. The standard knows 22 files.
    pub entries: usize,
    /// How many bytes all entries may have together once they are unpacked.
    pub expanded_bytes: u64,
    /// How many times larger than its packed form an entry may be. Entries under [`Self::SMALL_ENTRY`] are free,
    /// because a small file of equal rows packs beyond any sensible ratio.
    pub ratio: u64,
}

impl ArchiveLimits {
    /// Up to this size no ratio is looked at.
    pub const SMALL_ENTRY: u64 = 16 * 1024 * 1024;
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        // Real rosters pack 5 to 20 times; deflate itself ends near 1030.
        Self { entries: 1_000, expanded_bytes: 16 * 1024 * 1024 * 1024, ratio: 200 }
    }
}

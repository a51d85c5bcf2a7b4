//! What can make a pull fail, and how the port is told.

use std::io;
use std::path::PathBuf;

use rollcall_domain::ports::{Problem, SourceError, SourceFailure};

/// Why a package could not be read to its end. Nothing of it is applied then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvError {
    /// The package was looked through and cannot be taken.
    #[error("the package {} is refused: {}", path.display(), sum_up(problems))]
    Refused {
        /// The package.
        path: PathBuf,
        /// Everything that is wrong with it.
        problems: Vec<Problem>,
    },
    /// A file moved under the reader's eyes.
    #[error("{} changed while the package was read; nothing was applied. Run again once the export has finished", places.join(", "))]
    Changed {
        /// The files.
        places: Vec<String>,
    },
    /// The path cannot be opened.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The middle of a file cannot be read: a damaged archive, a failing disk.
    #[error("{place} cannot be read to its end; the package is damaged or was cut off. Export or copy it again")]
    Damaged {
        /// The file.
        place: String,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The cursor is not one of this source's.
    #[error("the mark of the last applied package cannot be read; run once with `--full`")]
    Cursor {
        /// Where it does not fit.
        #[source]
        cause: serde_json::Error,
    },
    /// The sync takes no more records.
    #[error("the sync has stopped and takes no more records")]
    Stopped,
    /// The reading thread died.
    #[error("reading the package stopped unexpectedly")]
    Worker {
        /// How.
        #[source]
        cause: tokio::task::JoinError,
    },
}

fn sum_up(problems: &[Problem]) -> String {
    match problems {
        [only] => only.message.clone(),
        many => format!("{} problems were found", many.len()),
    }
}

impl CsvError {
    const fn code(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "package.invalid",
            Self::Changed { .. } => "package.changed",
            Self::Unreadable { .. } => "package.unreadable",
            Self::Damaged { .. } => "package.damaged",
            Self::Cursor { .. } => "cursor.invalid",
            Self::Stopped => "stopped",
            Self::Worker { .. } => "internal",
        }
    }

    const fn failure(&self) -> SourceFailure {
        match self {
            Self::Refused { .. } | Self::Unreadable { .. } | Self::Damaged { .. } | Self::Cursor { .. } => {
                SourceFailure::Permanent
            }
            Self::Changed { .. } | Self::Worker { .. } => SourceFailure::Temporary,
            Self::Stopped => SourceFailure::Stopped,
        }
    }

    fn problems(&self) -> Vec<Problem> {
        use rollcall_domain::Code;
        let about = |place: &str| {
            vec![Problem { code: Code::PackageInvalid, place: Some(place.to_owned()), message: self.to_string() }]
        };
        match self {
            Self::Refused { problems, .. } => problems.clone(),
            Self::Changed { places } => about(&places.join(", ")),
            Self::Unreadable { path, .. } => about(&path.display().to_string()),
            Self::Damaged { place, .. } => about(place),
            Self::Cursor { .. } | Self::Stopped | Self::Worker { .. } => Vec::new(),
        }
    }
}

impl From<CsvError> for SourceError {
    fn from(error: CsvError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            problems: error.problems(),
            failure: error.failure(),
            cause: match error {
                CsvError::Unreadable { cause, .. } | CsvError::Damaged { cause, .. } => Some(Box::new(cause)),
                CsvError::Cursor { cause } => Some(Box::new(cause)),
                CsvError::Worker { cause } => Some(Box::new(cause)),
                CsvError::Refused { .. } | CsvError::Changed { .. } | CsvError::Stopped => None,
            },
        }
    }
}

//! What can make a pull fail, and how the port is told.

use rollcall_adapters_http::{HttpError, RedactedUrl};
use rollcall_domain::ports::{SinkClosed, SourceError, SourceFailure};

/// Why a district could not be read to its end. Nothing of it is applied then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrindleError {
    /// The request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A link that leads nowhere, or in a circle.
    #[error("{url} links to a next page that cannot be read or that was there before; the end cannot be told")]
    Link {
        /// The page.
        url: RedactedUrl,
    },
    /// The sync itself stopped the pull.
    #[error(transparent)]
    Stopped(#[from] SinkClosed),
}

impl From<BrindleError> for SourceError {
    fn from(error: BrindleError) -> Self {
        match error {
            BrindleError::Http(error) => error.into(),
            BrindleError::Stopped(closed) => closed.into(),
            BrindleError::Link { .. } => {
                Self { failure: SourceFailure::Temporary, ..Self::permanent("page.repeated", error.to_string()) }
            }
        }
    }
}

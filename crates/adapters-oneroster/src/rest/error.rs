//! What can make a pull fail, and how the port is told.

use rollcall_adapters_http::{HttpError, RedactedUrl};
use rollcall_domain::Kind;
use rollcall_domain::ports::{Problem, SourceError, SourceFailure};

use super::envelope::PageFault;

/// Why a service could not be read to its end. Nothing of it is applied then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// The settings cannot work.
    #[error("{message}")]
    Settings {
        /// What is wrong and what to do.
        message: String,
    },
    /// There was no answer that can be used.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The answer is no page of the collection (R6). It was asked for twice.
    #[error("{url}: {fault}")]
    Page {
        /// What was asked for.
        url: RedactedUrl,
        /// What came.
        #[source]
        fault: PageFault,
    },
    /// The page says that it has more records than it has.
    #[error("{url}: the page has {received} records and says that it has {announced}; it was cut on the way")]
    PageCount {
        /// What was asked for.
        url: RedactedUrl,
        /// How many it says.
        announced: u64,
        /// How many there are.
        received: u64,
    },
    /// The collection ends before its announced total (R6).
    #[error(
        "the server announced {announced} {kind} and the list ended after {received}; nothing is applied. If its totals are \
         known to be wrong, set `totals = \"ignore\"`"
    )]
    Short {
        /// The collection.
        kind: Kind,
        /// How many were announced.
        announced: u64,
        /// How many came.
        received: u64,
    },
    /// The same page came again and again.
    #[error(
        "{url} brought only records that were there before; the server ignores `offset` or repeats a page, so the list cannot \
         be read to its end. A larger `page_size` may take it in one page"
    )]
    Repeated {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// A collection without which there is no roster cannot be read.
    #[error("the {kind} cannot be read, and without them there is no roster: {cause}")]
    Hidden {
        /// The collection.
        kind: Kind,
        /// The refusal.
        cause: Box<HttpError>,
    },
    /// The server refuses a filter from the configuration.
    #[error("the server refuses the configured filter of the {kind}: {cause}")]
    Filter {
        /// The collection.
        kind: Kind,
        /// The refusal.
        cause: Box<HttpError>,
    },
    /// What the server shows moved each time it was read.
    #[error("the source changed while it was read, {times} times in a row ({reason}); try again later")]
    Moving {
        /// What moved.
        reason: String,
        /// How often.
        times: u32,
    },
    /// The cursor is not one of this source's.
    #[error("the mark of the last applied pull cannot be read; run once with `--full`")]
    Cursor {
        /// Where it does not fit.
        #[source]
        cause: serde_json::Error,
    },
    /// The sync takes no more records.
    #[error("the sync has stopped and takes no more records")]
    Stopped,
    /// A worker died.
    #[error("reading a page stopped unexpectedly")]
    Worker {
        /// How.
        #[source]
        cause: tokio::task::JoinError,
    },
}

impl RestError {
    /// A stable word for the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "settings.invalid",
            Self::Http(cause) => cause.code(),
            Self::Page { fault: PageFault::WebPage | PageFault::NotJson { .. }, .. } => "not_json",
            Self::Page { fault: PageFault::NoCollection { .. }, .. } => "envelope.missing",
            Self::Page { fault: PageFault::ReportedFailure(_), .. } => "server_error",
            Self::PageCount { .. } | Self::Short { .. } => "pull.short",
            Self::Repeated { .. } => "page.repeated",
            Self::Hidden { .. } => "collection.hidden",
            Self::Filter { .. } => "filter.refused",
            Self::Moving { .. } => "source.moving",
            Self::Cursor { .. } => "cursor.invalid",
            Self::Stopped => "stopped",
            Self::Worker { .. } => "internal",
        }
    }

    fn failure(&self) -> SourceFailure {
        match self {
            Self::Settings { .. } | Self::Hidden { .. } | Self::Filter { .. } | Self::Cursor { .. } => {
                SourceFailure::Permanent
            }
            // Already tried again, and yet servers do mend.
            Self::Page { .. }
            | Self::PageCount { .. }
            | Self::Short { .. }
            | Self::Repeated { .. }
            | Self::Moving { .. }
            | Self::Worker { .. } => SourceFailure::Temporary,
            Self::Http(_) | Self::Stopped => SourceFailure::Stopped,
        }
    }
}

impl From<RestError> for SourceError {
    fn from(error: RestError) -> Self {
        if let RestError::Http(cause) = error {
            return cause.into();
        }
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            problems: Vec::<Problem>::new(),
            failure: error.failure(),
            cause: match error {
                RestError::Cursor { cause } => Some(Box::new(cause)),
                RestError::Worker { cause } => Some(Box::new(cause)),
                // The message says it all already.
                _ => None,
            },
        }
    }
}

//! What can make a pull fail, and how the port is told.

use rollcall_adapters_http::{HttpError, RedactedUrl};
use rollcall_domain::ports::{SinkClosed, SourceError, SourceFailure};

/// Why a district could not be read to its end. Nothing of it is applied then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CleverError {
    /// The settings cannot work.
    #[error("{message}")]
    Settings {
        /// What is wrong and what to do.
        message: String,
    },
    /// The request failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The application is not connected to the district.
    #[error(
        "Clever gives this application no token for the district {district}: it is not connected, or not any more. Nothing \
         of it is deleted. Ask the district to share with the application, or take the source out of the configuration"
    )]
    Disconnected {
        /// The district.
        district: String,
    },
    /// The token opens logins and no rosters.
    #[error(
        "the token is for single sign-on only (scopes {scopes}): it cannot read rosters. The application needs Secure Sync \
         with this district; the district switches it on, and Clever approves it"
    )]
    LoginOnly {
        /// The scopes of the token.
        scopes: String,
    },
    /// The token is for another district than the configured one.
    #[error("the token is for the district {found}, and the configuration says {expected}; correct one of them")]
    OtherDistrict {
        /// The configured district.
        expected: String,
        /// The district of the token.
        found: String,
    },
    /// The district's own answer names no district, or several.
    #[error(
        "{url} lists {found} districts; a token is for exactly one, so that it cannot be told whose roster this is"
    )]
    NoDistrict {
        /// What was asked for.
        url: RedactedUrl,
        /// How many came.
        found: usize,
    },
    /// The district is in trouble, and its data with it.
    #[error("Clever reports the district as `{state}`{}; its data may not be whole, so nothing was read", said(.message.as_deref()))]
    District {
        /// Clever's word for it: `error` or `pending`.
        state: String,
        /// What Clever says about it.
        message: Option<String>,
    },
    /// A page brought nothing but what had been there.
    #[error("{url} repeats records that came before, and brings nothing else; the end cannot be told")]
    Repeated {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// Page after page brings nothing and links to a next one.
    #[error(
        "{url} is the last of {pages} pages in a row that bring nothing, and links to a next one; the end cannot be told"
    )]
    Endless {
        /// What was asked for.
        url: RedactedUrl,
        /// How many pages.
        pages: u32,
    },
    /// A page that does not go as far as its own link to the next one says.
    #[error(
        "{url} does not end with the record after which the next page begins: records are missing, or others than those"
    )]
    Gap {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// The district changed while it was read.
    #[error("the district changed while it was read ({what}); try again later")]
    Moved {
        /// How that showed.
        what: String,
    },
    /// The pages ended before all was there.
    #[error(
        "{url} came to {received} records, and Clever counts {announced}; nothing is applied. If its counts are known to be \
         wrong, set `totals = \"ignore\"`"
    )]
    Short {
        /// The collection.
        url: RedactedUrl,
        /// How many Clever counts.
        announced: u64,
        /// How many came.
        received: u64,
    },
    /// A link that leads nowhere.
    #[error("{url} links to a next page by an address that cannot be read")]
    Link {
        /// The page.
        url: RedactedUrl,
    },
    /// The source's own memory cannot be read.
    #[error("the cursor of the last run is not one of a Clever source; run once with --full")]
    Cursor {
        /// How that shows.
        #[source]
        cause: serde_json::Error,
    },
    /// The sync itself stopped the pull.
    #[error("the sync has stopped and takes no more records")]
    Stopped,
    /// The thread that maps died.
    #[error("the thread that maps records ended before its time")]
    Worker {
        /// How.
        #[source]
        cause: tokio::task::JoinError,
    },
}

fn said(message: Option<&str>) -> String {
    message.map(|message| format!(" and says: {message}")).unwrap_or_default()
}

impl CleverError {
    /// A stable word for the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "settings.invalid",
            Self::Http(error) => error.code(),
            Self::Disconnected { .. } => "district.disconnected",
            Self::LoginOnly { .. } => "scopes.insufficient",
            Self::OtherDistrict { .. } | Self::NoDistrict { .. } => "district.other",
            Self::District { .. } => "district.not_ready",
            Self::Repeated { .. } | Self::Endless { .. } => "page.repeated",
            Self::Gap { .. } => "page.gap",
            Self::Moved { .. } => "source.moving",
            Self::Short { .. } => "pull.short",
            Self::Link { .. } => "json.unexpected",
            Self::Cursor { .. } => "cursor.invalid",
            Self::Stopped => "stopped",
            Self::Worker { .. } => "internal",
        }
    }

    fn failure(&self) -> SourceFailure {
        match self {
            Self::Settings { .. }
            | Self::Disconnected { .. }
            | Self::LoginOnly { .. }
            | Self::OtherDistrict { .. }
            | Self::NoDistrict { .. }
            | Self::Cursor { .. } => SourceFailure::Permanent,
            // Clever or the district mends these, and nobody has to tell us.
            Self::District { .. }
            | Self::Repeated { .. }
            | Self::Endless { .. }
            | Self::Gap { .. }
            | Self::Moved { .. }
            | Self::Short { .. }
            | Self::Link { .. }
            | Self::Worker { .. } => SourceFailure::Temporary,
            Self::Http(_) | Self::Stopped => SourceFailure::Stopped,
        }
    }
}

impl From<SinkClosed> for CleverError {
    fn from(_: SinkClosed) -> Self {
        Self::Stopped
    }
}

impl From<tokio::task::JoinError> for CleverError {
    fn from(cause: tokio::task::JoinError) -> Self {
        Self::Worker { cause }
    }
}

impl From<CleverError> for SourceError {
    fn from(error: CleverError) -> Self {
        if let CleverError::Http(cause) = error {
            return cause.into();
        }
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            problems: Vec::new(),
            failure: error.failure(),
            cause: match error {
                CleverError::Cursor { cause } => Some(Box::new(cause)),
                CleverError::Worker { cause } => Some(Box::new(cause)),
                // The message says it all already.
                _ => None,
            },
        }
    }
}

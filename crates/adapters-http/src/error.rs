//! What can make a request fail, and how the port is told.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;
use rollcall_domain::ports::{SourceError, SourceFailure};

use crate::redact::RedactedUrl;

/// How far the two clocks may be apart before a refusal is put down to it. Servers commonly accept five minutes.
const SKEW: SignedDuration = SignedDuration::from_mins(4);

/// Why there is no answer that can be used. Nothing in it is secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The settings cannot work.
    #[error("{message}")]
    Settings {
        /// What is wrong and what to do.
        message: String,
    },
    /// A request for another server than the session's, to which no credentials are sent.
    #[error(
        "{url} is not on {base}, the server that the credentials are for; nothing was sent to it. If the server has moved, \
         change the base URL"
    )]
    ForeignServer {
        /// What was asked for.
        url: RedactedUrl,
        /// The session's base URL.
        base: RedactedUrl,
    },
    /// The server answered with a status that is no success.
    #[error("{url} answered {status}{payload}{}", advice(*status, *skew, *wait))]
    Status {
        /// What was asked for.
        url: RedactedUrl,
        /// The status.
        status: StatusCode,
        /// What the server said about it.
        payload: ErrorPayload,
        /// By how much the server's clock is ahead of ours, if it said what time it is there.
        skew: Option<SignedDuration>,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
    /// The server sends the request elsewhere.
    #[error(
        "{url} answered {status} and points to {to}; redirects are not followed, because credentials would follow them. If \
         this is where the data is, change the base URL"
    )]
    Redirect {
        /// What was asked for.
        url: RedactedUrl,
        /// The status.
        status: StatusCode,
        /// Where it points to: the server, and the path if the server is the same.
        to: String,
    },
    /// There was no complete answer in time.
    #[error("{url} gave no complete answer within {} s", within.as_secs_f32())]
    Timeout {
        /// What was asked for.
        url: RedactedUrl,
        /// The time that it had.
        within: Duration,
    },
    /// The server could not be reached, or dropped the connection before it answered.
    #[error("{url} cannot be reached: {reason}")]
    Connection {
        /// What was asked for.
        url: RedactedUrl,
        /// What the network says.
        reason: String,
    },
    /// The server's certificate is not to be trusted, or there is no common protocol.
    #[error(
        "{url} cannot be trusted: {reason}. Check the server's certificate, its name and the machine's root certificates"
    )]
    Tls {
        /// What was asked for.
        url: RedactedUrl,
        /// What is wrong.
        reason: String,
    },
    /// The answer ends too early.
    #[error("the answer of {url} ends too early: {reason}")]
    Truncated {
        /// What was asked for.
        url: RedactedUrl,
        /// How that shows.
        reason: String,
    },
    /// The answer is too large.
    #[error("the answer of {url} has more than {limit} bytes; ask for smaller pages")]
    TooLarge {
        /// What was asked for.
        url: RedactedUrl,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer is not JSON.
    #[error("{url} answered with {found} instead of JSON{}", if *html { "; it may be a login page. Check the base URL and the credentials" } else { "" })]
    NotJson {
        /// What was asked for.
        url: RedactedUrl,
        /// What came instead.
        found: String,
        /// Whether that is a page for people.
        html: bool,
    },
    /// The answer is JSON of another form than expected.
    #[error("the JSON of {url} does not have the expected form at line {line}, column {column}{}", what.as_ref().map(|what| format!(": {what}")).unwrap_or_default())]
    Shape {
        /// What was asked for.
        url: RedactedUrl,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is missing, where that names nobody.
        what: Option<String>,
    },
    /// No token or other credential could be had.
    #[error("no credentials for the request: {message}{}", cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default())]
    Credentials {
        /// What was wrong and what to do.
        message: String,
        /// What went wrong on the way.
        cause: Option<Box<HttpError>>,
    },
    /// It was tried again until there was no more to be hoped for.
    #[error("{cause} (tried {tries} times in {} s)", elapsed.as_secs())]
    GaveUp {
        /// How often.
        tries: u32,
        /// For how long.
        elapsed: Duration,
        /// How the last try failed.
        cause: Box<HttpError>,
    },
}

/// What to do about a status.
fn advice(status: StatusCode, skew: Option<SignedDuration>, wait: Option<Duration>) -> String {
    if let Some(wait) = wait {
        return format!("; it asks to wait {} s", wait.as_secs());
    }
    let skewed = skew.filter(|skew| skew.abs() > SKEW).map(|skew| {
        let relation = if skew.is_negative() { "behind" } else { "ahead of" };
        format!(
            "; the server's clock is {} s {relation} this machine's, which alone can be the reason",
            skew.abs().as_secs()
        )
    });
    let advice = match status {
        StatusCode::UNAUTHORIZED => "; check the credentials",
        StatusCode::FORBIDDEN => "; the credentials are valid, but not for this. Ask for the permission or the scope",
        StatusCode::NOT_FOUND => "; check the URL",
        _ => "",
    };
    format!("{advice}{}", skewed.filter(|_| status == StatusCode::UNAUTHORIZED).unwrap_or_default())
}

impl HttpError {
    /// An error in the settings.
    pub fn settings(message: impl Into<String>) -> Self {
        Self::Settings { message: message.into() }
    }

    /// What went wrong while the credentials for a request were fetched, so that nobody takes it for the request's own end.
    pub(crate) fn before_the_request(self) -> Self {
        match self {
            Self::Credentials { .. } | Self::Settings { .. } => self,
            other => {
                Self::Credentials { message: "they could not be fetched".to_owned(), cause: Some(Box::new(other)) }
            }
        }
    }

    /// An error of an [`Authenticator`](crate::Authenticator) that has no credentials to give.
    pub fn credentials(message: impl Into<String>) -> Self {
        Self::Credentials { message: message.into(), cause: None }
    }

    /// The error under all that was added to it on the way.
    pub fn root(&self) -> &Self {
        match self {
            Self::GaveUp { cause, .. } | Self::Credentials { cause: Some(cause), .. } => cause.root(),
            other => other,
        }
    }

    /// The status with which the server refused the request itself; of a token request that failed there is none.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status { status, .. } | Self::Redirect { status, .. } => Some(*status),
            Self::GaveUp { cause, .. } => cause.status(),
            _ => None,
        }
    }

    /// What the server said when it refused the request itself.
    pub fn payload(&self) -> Option<&ErrorPayload> {
        match self {
            Self::Status { payload, .. } => Some(payload),
            Self::GaveUp { cause, .. } => cause.payload(),
            _ => None,
        }
    }

    /// A stable word for the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "settings.invalid",
            Self::ForeignServer { .. } => "foreign_server",
            Self::Status { status, .. } => match status.as_u16() {
                401 => "unauthorized",
                403 => "forbidden",
                404 | 410 => "not_found",
                429 => "rate_limited",
                500..=599 => "server_error",
                _ => "request.refused",
            },
            Self::Redirect { .. } => "redirect",
            Self::Timeout { .. } => "timeout",
            Self::Connection { .. } => "connection",
            Self::Tls { .. } => "tls",
            Self::Truncated { .. } => "truncated",
            Self::TooLarge { .. } => "body.too_large",
            Self::NotJson { .. } => "not_json",
            Self::Shape { .. } => "json.unexpected",
            Self::Credentials { cause: Some(cause), .. } | Self::GaveUp { cause, .. } => cause.code(),
            Self::Credentials { cause: None, .. } => "unauthorized",
        }
    }

    /// Whether the same request may succeed a little later.
    pub fn is_temporary(&self) -> bool {
        match self {
            // 520 to 524 are what a common proxy says for a server behind it that does not answer.
            Self::Status { status, .. } => matches!(status.as_u16(), 408 | 429 | 500 | 502..=504 | 520..=524),
            Self::Timeout { .. } | Self::Connection { .. } | Self::Truncated { .. } => true,
            Self::Credentials { cause: Some(cause), .. } | Self::GaveUp { cause, .. } => cause.is_temporary(),
            _ => false,
        }
    }

    fn failure(&self) -> SourceFailure {
        match self {
            Self::GaveUp { .. } => SourceFailure::Exhausted,
            Self::Credentials { cause: Some(cause), .. } => cause.failure(),
            _ if self.is_temporary() => SourceFailure::Temporary,
            _ => SourceFailure::Permanent,
        }
    }
}

impl From<HttpError> for SourceError {
    fn from(error: HttpError) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            problems: Vec::new(),
            failure: error.failure(),
            // The message says it all already.
            cause: None,
        }
    }
}

/// What a server said about a refusal, in whichever of the known shapes. Fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorPayload {
    /// Its code for the error: `invalid_filter_field`, `invalid_client`.
    pub code: Option<String>,
    /// Its description for people.
    pub description: Option<String>,
}

impl ErrorPayload {
    /// Whether the server's code for the error is this one, spelt with underscores, spaces or neither, in any case.
    pub fn is(&self, code: &str) -> bool {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        self.code.as_deref().is_some_and(|own| plain(own) == plain(code))
    }
}

impl fmt::Display for ErrorPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.description) {
            (None, None) => Ok(()),
            (Some(one), None) | (None, Some(one)) => write!(f, ": {one}"),
            (Some(code), Some(description)) => write!(f, ": {description} ({code})"),
        }
    }
}

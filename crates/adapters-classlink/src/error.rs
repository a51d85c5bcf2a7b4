//! What can make a pull fail, and how the port is told.

use rollcall_adapters_http::{HttpError, RedactedUrl};
use rollcall_adapters_oneroster::RestError;
use rollcall_domain::ports::{SourceError, SourceFailure};

/// Why a tenant's roster cannot be reached. Nothing of it is applied then.
///
/// What goes wrong once it is reached is told by the OneRoster source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClassLinkError {
    /// The settings cannot work.
    #[error("{message}")]
    Settings {
        /// What is wrong and what to do.
        message: String,
    },
    /// A request to ClassLink failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The OneRoster source cannot be made.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// An answer has no list of applications. It was asked for twice.
    #[error(
        "{url} answered without the list `applications`; such an answer says nothing about which tenants there are"
    )]
    NoList {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// An entry of the list cannot be read, and so might be anybody's.
    #[error(
        "entry {position} of the list of applications cannot be read: it needs a `tenant_id` that is a text or a whole \
         number"
    )]
    Entry {
        /// Which, from 0.
        position: usize,
    },
    /// The list has no end.
    #[error("{url} repeats applications that came before, and brings nothing else; the end of the list cannot be told")]
    Repeated {
        /// What was asked for.
        url: RedactedUrl,
    },
    /// The tenant is not in the list.
    #[error(
        "ClassLink does not list the tenant {tenant}: the district has not added the application, or not any more. Nothing of \
         it is deleted. Ask the district to add it, or take the source out of the configuration"
    )]
    Missing {
        /// The tenant.
        tenant: String,
    },
    /// The tenant is in the list, and switched off.
    #[error(
        "the tenant {tenant} is switched off at ClassLink (enabled: {enabled}, status: {status}). Nothing of it is deleted. \
         Ask the district to switch the application on, or take the source out of the configuration"
    )]
    Disabled {
        /// The tenant.
        tenant: String,
        /// Whether the district has enabled the application.
        enabled: bool,
        /// How the tenant stands with ClassLink.
        status: String,
    },
    /// The list says nothing that would open the tenant's roster.
    #[error(
        "ClassLink lists the tenant {tenant} without {missing}, so that its roster cannot be opened. Ask ClassLink or the \
         district to share it{}", advice(.missing)
    )]
    NotShared {
        /// The tenant.
        tenant: String,
        /// What is not there.
        missing: &'static str,
    },
    /// Two applications of one tenant could be meant.
    #[error(
        "ClassLink lists {found} applications that are switched on for the tenant {tenant}, and nothing says which one is \
         meant. Give the `bearer` and the `application_id` of one in place of the partner's key"
    )]
    Ambiguous {
        /// The tenant.
        tenant: String,
        /// How many.
        found: usize,
    },
    /// The tenant's bearer is refused, and the list still has it.
    #[error(
        "the proxy refuses the bearer of the tenant {tenant}, and ClassLink still lists the same one: the district has \
         stopped sharing. Nothing of it is deleted. Ask the district"
    )]
    Refused {
        /// The tenant.
        tenant: String,
    },
    /// The application has another id at the tenant than when the pull began.
    #[error("ClassLink lists another application of the tenant {tenant} than when the pull began; run again")]
    Moved {
        /// The tenant.
        tenant: String,
    },
}

/// What else can be done where something is not shared.
fn advice(missing: &str) -> &'static str {
    if missing == ClassLinkError::SECRET { ", or use `mode = \"proxy\"`" } else { "" }
}

impl ClassLinkError {
    pub(crate) const SECRET: &'static str = "a consumer key and secret";

    /// A stable word for the error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "settings.invalid",
            Self::Http(error) => error.code(),
            Self::Rest(error) => error.code(),
            Self::NoList { .. } => "envelope.missing",
            Self::Entry { .. } => "json.unexpected",
            Self::Repeated { .. } => "page.repeated",
            Self::Missing { .. } => "tenant.missing",
            Self::Disabled { .. } => "tenant.disabled",
            Self::NotShared { .. } => "tenant.not_shared",
            Self::Ambiguous { .. } => "tenant.ambiguous",
            Self::Refused { .. } => "unauthorized",
            Self::Moved { .. } => "source.moving",
        }
    }

    fn failure(&self) -> SourceFailure {
        match self {
            Self::Settings { .. }
            | Self::Entry { .. }
            | Self::Missing { .. }
            | Self::Disabled { .. }
            | Self::NotShared { .. }
            | Self::Ambiguous { .. }
            | Self::Refused { .. } => SourceFailure::Permanent,
            // Already tried again, and yet servers do mend.
            Self::NoList { .. } | Self::Repeated { .. } | Self::Moved { .. } => SourceFailure::Temporary,
            Self::Http(_) | Self::Rest(_) => SourceFailure::Stopped,
        }
    }
}

impl From<ClassLinkError> for SourceError {
    fn from(error: ClassLinkError) -> Self {
        match error {
            ClassLinkError::Http(cause) => cause.into(),
            ClassLinkError::Rest(cause) => cause.into(),
            error => Self {
                code: error.code().to_owned(),
                message: error.to_string(),
                problems: Vec::new(),
                failure: error.failure(),
                // The message says it all already.
                cause: None,
            },
        }
    }
}

/// For a request whose credentials could not be renewed.
impl From<ClassLinkError> for HttpError {
    fn from(error: ClassLinkError) -> Self {
        match error {
            ClassLinkError::Http(cause) => cause,
            error => Self::credentials(error.to_string()),
        }
    }
}

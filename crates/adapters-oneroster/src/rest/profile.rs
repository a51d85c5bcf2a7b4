//! What sets one vendor's OneRoster service apart from another's. A vendor that serves OneRoster in its own way brings a
//! profile (and credentials) and uses [`RestSource`](crate::RestSource) as it is.

use rollcall_domain::Kind;

/// The ways of one vendor. Plain data, so that a profile can be a constant.
///
/// Where the resources are is not part of it: the base URL of the session goes before every collection exactly as it is
/// written, escapes and all.
#[derive(Debug, Clone, Copy)]
pub struct RestProfile {
    /// The word for this sort of source in the configuration.
    pub source_kind: &'static str,
    /// The key of the list in a response, by kind. OneRoster names it after the sort of resource, not after the address.
    pub envelope: fn(Kind) -> &'static str,
    /// The path of a kind's collection under the base URL.
    pub collection: fn(Kind) -> &'static str,
    /// The headers that may say how many records the whole collection has; the first that is there counts.
    pub total_headers: &'static [&'static str],
    /// The headers that may say how many records the page has.
    pub page_count_headers: &'static [&'static str],
    /// Whether `Link` headers are followed.
    pub follows_links: bool,
    /// A header with a revision of everything that the credentials can see. It must be the same on all pages of a pull, or
    /// the pull begins again; if it is the one of the last full pull, nothing has changed and nothing more is read.
    pub revision_header: Option<&'static str>,
    /// The most records that a page may be asked for.
    pub max_page_size: u32,
    /// Whether changes alone can be asked for.
    pub incremental: bool,
}

impl RestProfile {
    /// OneRoster as the standard has it.
    pub const STANDARD: Self = Self {
        source_kind: "oneroster-rest",
        envelope: Kind::as_str,
        collection: Kind::as_str,
        total_headers: &["x-total-count"],
        page_count_headers: &[],
        follows_links: true,
        revision_header: None,
        max_page_size: u32::MAX,
        incremental: true,
    };
}

//! Asks for pages of collections, and maps them off the reactor.

use std::sync::Arc;

use rollcall_adapters_http::{HttpResponse, HttpSession, RedactedUrl, Url};
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::RestError;
use super::mapping::{MappedPage, PageContext, map_page};
use super::profile::RestProfile;

/// How a collection is asked for, apart from which part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// In OneRoster's filter language.
    pub(crate) filter: Option<String>,
    /// The names of the fields to send, with commas between them.
    pub(crate) fields: Option<String>,
    /// Whether the records are to come in the order of their sourcedIds, so that pages do not shift.
    pub(crate) sorted: bool,
}

/// Which part of a collection to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// As many records from a position on.
    At {
        /// How many records stand before it.
        offset: u64,
        /// The most records to send.
        limit: u64,
    },
    /// The page behind a link of the server. `first` is the position of its first record.
    Link {
        /// Where it is.
        url: Url,
        /// How many records came before it.
        first: u64,
    },
}

impl Part {
    const fn first(&self) -> u64 {
        match self {
            Self::At { offset, .. } => *offset,
            Self::Link { first, .. } => *first,
        }
    }
}

/// A mapped page, and what the server said beside it.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) mapped: MappedPage,
    pub(crate) url: Url,
    /// How many records the collection has, if the server says so.
    pub(crate) total: Option<u64>,
    /// The link to the next page, if it leads to the same server.
    pub(crate) next: Option<Url>,
    /// The vendor's revision of everything.
    pub(crate) revision: Option<String>,
    /// What time it was at the server.
    pub(crate) date: Option<jiff::Timestamp>,
}

/// Asks for pages.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) session: HttpSession,
    pub(crate) profile: RestProfile,
}

impl Client {
    /// The URL of a part of a collection.
    pub(crate) fn url(&self, context: &PageContext, query: &Query, part: &Part) -> Url {
        let (offset, limit) = match part {
            Part::At { offset, limit } => (offset.to_string(), limit.to_string()),
            Part::Link { url, .. } => return url.clone(),
        };
        let mut pairs = vec![("limit", limit.as_str()), ("offset", offset.as_str())];
        if query.sorted {
            pairs.extend([("sort", "sourcedId"), ("orderBy", "asc")]);
        }
        pairs.extend(query.filter.as_deref().map(|filter| ("filter", filter)));
        pairs.extend(query.fields.as_deref().map(|fields| ("fields", fields)));
        self.session.url((self.profile.collection)(context.kind), &pairs)
    }

    /// Gets and maps a part of a collection. An answer that is no page of it, or less than it says, is asked for once more.
    pub(crate) async fn page(&self, context: &Arc<PageContext>, query: &Query, part: &Part) -> Result<Page, RestError> {
        match self.try_page(context, query, part).await {
            Err(error @ (RestError::Page { .. } | RestError::PageCount { .. })) => {
                tracing::warn!(kind = %context.kind, error = %error, "a page cannot be used and is asked for again");
                self.try_page(context, query, part).await
            }
            other => other,
        }
    }

    async fn try_page(&self, context: &Arc<PageContext>, query: &Query, part: &Part) -> Result<Page, RestError> {
        let response = self.session.get(self.url(context, query, part)).await?;
        let HttpResponse { url, body, .. } = &response;
        let (body, context, first) = (body.clone(), Arc::clone(context), part.first());
        let mapped = spawn_blocking(move || map_page(&context, &body, first))
            .await
            .map_err(|cause| RestError::Worker { cause })?
            .map_err(|fault| RestError::Page {
                url: RedactedUrl::new(url),
                fault: fault.shown(|words| response.without_secrets(words)),
            })?;
        let count = self.profile.page_count_headers.iter().find_map(|header| response.number(header));
        if let Some(announced) = count.filter(|announced| *announced > mapped.received) {
            return Err(RestError::PageCount { url: RedactedUrl::new(url), announced, received: mapped.received });
        }
        Ok(Page {
            total: self.profile.total_headers.iter().find_map(|header| response.number(header)),
            next: response
                .next_link()
                .filter(|next| self.profile.follows_links && self.session.serves(next) && next != url),
            revision: self
                .profile
                .revision_header
                .and_then(|header| response.header(header))
                .map(str::trim)
                .filter(|revision| !revision.is_empty())
                .map(str::to_owned),
            date: response.date(),
            url: url.clone(),
            mapped,
        })
    }

    /// Begins to get a part of a collection, so that it comes while others are taken.
    pub(crate) fn ahead(&self, context: &Arc<PageContext>, query: &Query, part: Part) -> Ahead {
        let (client, context, query) = (self.clone(), Arc::clone(context), query.clone());
        Ahead(tokio::spawn(async move { client.page(&context, &query, &part).await }))
    }
}

/// A page under way. Nobody asks for it any more once this is dropped.
#[derive(Debug)]
pub(crate) struct Ahead(JoinHandle<Result<Page, RestError>>);

impl Ahead {
    pub(crate) async fn page(mut self) -> Result<Page, RestError> {
        (&mut self.0).await.map_err(|cause| RestError::Worker { cause })?
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

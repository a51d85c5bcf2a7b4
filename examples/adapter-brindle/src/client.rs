//! Asks for pages.

use rollcall_adapters_http::{Auth, HttpConfig, HttpError, HttpSession, RedactedUrl, Url};
use rollcall_domain::ports::Clock;
use std::sync::Arc;

use crate::config::BrindleConfig;
use crate::error::BrindleError;
use crate::wire;

/// How many objects to ask for at a time.
const LIMIT: &str = "500";

/// A session with Brindle.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    session: HttpSession,
}

impl Client {
    pub(crate) fn new(config: &BrindleConfig, clock: Arc<dyn Clock>) -> Result<Self, HttpError> {
        let mut http = HttpConfig::new(config.base_url.clone()).with_auth(Auth::Bearer(config.key.clone()));
        http.retry = config.retry;
        Ok(Self { session: HttpSession::new(http, clock)? })
    }

    /// The first page of a list.
    pub(crate) fn list(&self, list: &str) -> Url {
        self.session.url(list, &[("limit", LIMIT)])
    }

    /// Gets a page, and says where the next one is.
    pub(crate) async fn page(&self, url: &Url) -> Result<(wire::Page, Option<Url>), BrindleError> {
        let page = self.session.get_json::<wire::Page>(url.clone()).await?.value;
        let astray = || BrindleError::Link { url: RedactedUrl::new(url) };
        let next = match &page.next {
            // A link to another server is refused by the session, which keeps the key to its own.
            Some(next) => Some(url.join(next).ok().filter(|next| next != url).ok_or_else(astray)?),
            None => None,
        };
        Ok((page, next))
    }
}

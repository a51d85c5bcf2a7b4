//! Asks for pages, and reads them off the reactor.

use std::collections::HashSet;
use std::sync::Arc;

use rollcall_adapters_http::{HttpError, HttpSession, RedactedUrl, Url};
use rollcall_domain::ports::Item;
use rollcall_domain::{Fingerprint, Location, SourcedId};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::CleverError;
use crate::wire::{Identified, Page, Roles, Single, User};

/// Asks a list to say how many objects it has. Links keep it, so that every page says so.
pub(crate) const COUNTED: (&str, &str) = ("count", "true");

/// How many pages in a row may link to a next one and bring no object with an id. One that is empty is legal; a list that has
/// ever more of them has no end.
const MAX_EMPTY: u32 = 3;

/// A session with Clever's API.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) session: HttpSession,
    pub(crate) limit: u32,
    /// Whether lists are held against the numbers of objects that Clever says they have.
    pub(crate) trusts_totals: bool,
}

/// A page, read but not looked into.
#[derive(Debug)]
pub(crate) struct RawPage {
    pub(crate) objects: Vec<Box<RawValue>>,
    pub(crate) next: Option<Url>,
    pub(crate) count: Option<u64>,
    pub(crate) url: Url,
    pub(crate) date: Option<jiff::Timestamp>,
}

impl Client {
    /// The first page of a list.
    pub(crate) fn list(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let limit = self.limit.to_string();
        let mut pairs = vec![("limit", limit.as_str())];
        pairs.extend_from_slice(query);
        self.session.url(path, &pairs)
    }

    /// Gets a page. An answer that ends too early, is none, or leads back to itself is asked for once more.
    pub(crate) async fn page(&self, url: &Url) -> Result<RawPage, CleverError> {
        let error = match self.try_page(url).await {
            Err(error) if is_worth_asking_again(&error) => error,
            other => return other,
        };
        tracing::warn!(error = %error, "a page cannot be used and is asked for again");
        self.try_page(url).await
    }

    async fn try_page(&self, url: &Url) -> Result<RawPage, CleverError> {
        let response = self.session.get(url.clone()).await?;
        let date = response.date();
        let page: Page = spawn_blocking(move || response.json()).await??;
        let count = page.count();
        let link = page.links.into_iter().find(|link| link.rel == "next");
        let next = match link {
            // Taken as it is: it has the version, the limit and all filters in it.
            Some(link) => {
                let next = url.join(&link.uri).map_err(|_| CleverError::Link { url: RedactedUrl::new(url) })?;
                if next == *url {
                    return Err(CleverError::Repeated { url: RedactedUrl::new(url) });
                }
                let begins_after = next.query_pairs().find(|(name, _)| name == "starting_after").map(|(_, id)| id);
                let last = page.data.last().and_then(|item| id_of(&item.data));
                if let (Some(after), Some(last)) = (begins_after, last)
                    && after != last.as_str()
                {
                    return Err(CleverError::Gap { url: RedactedUrl::new(url) });
                }
                Some(next)
            }
            None => None,
        };
        let objects: Vec<_> = page.data.into_iter().map(|item| item.data).collect();
        // A list that goes on has more objects than this page: a count that says otherwise is one of the page.
        let count = count.filter(|count| next.is_none() || *count > objects.len() as u64);
        Ok(RawPage { objects, next, count, url: url.clone(), date })
    }

    /// Gets one object; nothing if there is none of that id, or none that is shared.
    pub(crate) async fn single<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, CleverError> {
        match self.session.get_json::<Single<T>>(self.session.url(path, &[])).await {
            Ok(answer) => Ok(Some(answer.value.data)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn ahead(&self, url: Url) -> Ahead {
        let client = self.clone();
        Ahead(tokio::spawn(async move { client.page(&url).await }))
    }
}

/// Whether a page that arrived may be another one if it is asked for again.
fn is_worth_asking_again(error: &CleverError) -> bool {
    matches!(
        error,
        CleverError::Repeated { .. }
            | CleverError::Gap { .. }
            | CleverError::Http(HttpError::Truncated { .. } | HttpError::Shape { .. })
    )
}

/// The id of any object, if it has one.
pub(crate) fn id_of(raw: &RawValue) -> Option<SourcedId> {
    serde_json::from_str::<Identified>(raw.get()).ok()?.id.id()
}

/// Whether an object is not there, or not shared.
pub(crate) fn is_gone(error: &HttpError) -> bool {
    error.status().is_some_and(|status| matches!(status.as_u16(), 404 | 410))
}

/// A page under way. Nobody asks for it any more once this is dropped.
#[derive(Debug)]
struct Ahead(JoinHandle<Result<RawPage, CleverError>>);

impl Ahead {
    async fn page(mut self) -> Result<RawPage, CleverError> {
        (&mut self.0).await?
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An object as it came, and where it stands.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) raw: Box<RawValue>,
    pub(crate) location: Location,
}

impl Object {
    /// The roles of a user, if it is one that can be read.
    pub(crate) fn roles(&self) -> Option<Roles> {
        serde_json::from_str::<User>(self.raw.get()).ok().map(|user| user.roles)
    }
}

/// What a page came to.
#[derive(Debug, Default)]
pub(crate) struct Mapped<T> {
    pub(crate) items: Vec<Item>,
    /// Hashes of the ids of its objects.
    pub(crate) ids: Vec<u64>,
    /// What else is to be remembered of it.
    pub(crate) facts: T,
}

/// The hash by which an id is recognised.
pub(crate) fn short(id: &str) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "any 64 bits of the hash will do")]
    let hash = Fingerprint::of(id.as_bytes()).0 as u64;
    hash
}

/// A list that is read to its end: one page is on its way while the one before is mapped and taken.
pub(crate) struct Collection<'c> {
    client: &'c Client,
    first: Url,
    place: Arc<str>,
    next: Option<Ahead>,
    received: u64,
    /// How many of the last pages brought no object with an id.
    empty: u32,
    seen: HashSet<u64>,
    /// Objects without an id.
    nameless: u64,
    /// How many objects Clever said that there are, when it last did.
    announced: Option<u64>,
}

impl<'c> Collection<'c> {
    pub(crate) fn new(client: &'c Client, path: &str, query: &[(&str, &str)]) -> Self {
        let first = client.list(path, query);
        let place = RedactedUrl::new(&client.session.url(path, &[])).to_string().into();
        let next = Some(client.ahead(first.clone()));
        Self { client, first, place, next, received: 0, empty: 0, seen: HashSet::new(), nameless: 0, announced: None }
    }

    /// The next page, mapped; nothing once there are no more.
    pub(crate) async fn next<T, F>(&mut self, map: F) -> Result<Option<Mapped<T>>, CleverError>
    where
        T: Send + 'static,
        F: Fn(&[Object]) -> Mapped<T> + Clone + Send + 'static,
    {
        let Some(ahead) = self.next.take() else { return Ok(None) };
        let mut page = ahead.page().await?;
        for again in [false, true] {
            if page.objects.is_empty() && self.received > 0 && !again {
                // Legal, and also what a server in trouble says.
                page = self.client.page(&page.url).await?;
                continue;
            }
            let RawPage { objects, next, url, count: announced, .. } = page;
            self.announce(announced)?;
            self.next = next.map(|next| self.client.ahead(next));
            let count = objects.len() as u64;
            let (place, first, map) = (Arc::clone(&self.place), self.received, map.clone());
            let mapped = spawn_blocking(move || {
                let place_of = |(raw, index)| Object { raw, location: Location::index(&place, index) };
                map(&objects.into_iter().zip(first..).map(place_of).collect::<Vec<_>>())
            })
            .await?;
            self.empty = if mapped.ids.is_empty() { self.empty + 1 } else { 0 };
            if self.empty > MAX_EMPTY && self.next.is_some() {
                return Err(CleverError::Endless { url: RedactedUrl::new(&url), pages: self.empty });
            }
            let is_repeated = !mapped.ids.is_empty() && mapped.ids.iter().all(|id| self.seen.contains(id));
            if !is_repeated {
                self.received += count;
                self.nameless += count.saturating_sub(mapped.ids.len() as u64);
                self.seen.extend(&mapped.ids);
                if self.next.is_none() {
                    self.hold_against_count()?;
                }
                return Ok(Some(mapped));
            }
            self.next = None;
            if again {
                return Err(CleverError::Repeated { url: RedactedUrl::new(&url) });
            }
            tracing::warn!(url = %RedactedUrl::new(&url), "a page repeats what came before and is asked for again");
            page = self.client.page(&url).await?;
        }
        Err(CleverError::Repeated { url: RedactedUrl::new(&self.first) })
    }

    /// Takes note of how many objects Clever says that there are. If that changes while they are read, ids that came and
    /// ids that went cannot be told from ids that were left out.
    fn announce(&mut self, announced: Option<u64>) -> Result<(), CleverError> {
        let Some(now) = announced.filter(|_| self.client.trusts_totals) else { return Ok(()) };
        match self.announced.replace(now) {
            Some(before) if before != now => {
                Err(CleverError::Moved { what: format!("{} had {before} objects and then {now}", self.place) })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a list that ended before as many objects had come as Clever says that there are.
    fn hold_against_count(&self) -> Result<(), CleverError> {
        let received = self.seen.len() as u64 + self.nameless;
        match self.announced.filter(|announced| *announced > received) {
            Some(announced) => Err(CleverError::Short { url: RedactedUrl::new(&self.first), announced, received }),
            None => Ok(()),
        }
    }
}

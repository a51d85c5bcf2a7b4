//! Reads one collection to its end, and knows when it has not.
//!
//! Where a list ends is told by the server's total, by the absence of a `next` link where there have been some, and by an
//! empty page; a short page says nothing, because servers send fewer records than they are asked for. Where the total is
//! known several pages are under way at once; they are taken in order all the same.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use rollcall_adapters_http::{HttpError, RedactedUrl, Url};
use rollcall_domain::{Kind, PerKind, SourcedId, Text};

use super::client::{Ahead, Client, Page, Part, Query};
use super::error::RestError;
use super::mapping::{MappedPage, PageContext};
use super::output::Output;

/// What is known of a pull across its collections, and across beginning again.
#[derive(Debug, Default)]
pub(crate) struct PullState {
    /// The vendor's revision.
    pub(crate) revision: Revision,
    /// What time it was at the server when the first page came.
    pub(crate) date: Option<Timestamp>,
    /// The server stumbles over `fields`.
    pub(crate) without_fields: bool,
    /// The server stumbles over `sort`.
    pub(crate) without_sort: bool,
    /// The server's totals have been seen to count more than the page they stand on.
    pub(crate) totals_proven: bool,
    /// How many records came, and how many of them a second time, when a collection was last read to its end and came
    /// out short.
    short: PerKind<Option<(u64, u64)>>,
}

/// The vendor's revision, as the pages of a pull state it.
#[derive(Debug, Default)]
pub(crate) struct Revision {
    /// That of the first page that had one.
    stated: Option<String>,
    /// Some page had none.
    is_missing: bool,
}

impl Revision {
    /// Takes that of a page. Gives the one before it if they differ.
    fn take(&mut self, page: Option<&String>) -> Option<&str> {
        let Some(page) = page else {
            self.is_missing = true;
            return None;
        };
        let stated = self.stated.get_or_insert_with(|| page.clone());
        (stated != page).then_some(stated)
    }

    /// The revision of everything that was read. One that some page did not state proves nothing about that page.
    pub(crate) fn of_everything(&self) -> Option<String> {
        self.stated.clone().filter(|_| !self.is_missing)
    }
}

/// Why a collection was not read to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It moved while it was read.
    Moved(String),
    /// The server does not give changes alone.
    Unfiltered(String),
    /// The credentials cannot see it, or it does not exist.
    Hidden(HttpError),
    /// Something went wrong.
    Failed(RestError),
}

impl<E: Into<RestError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What a collection came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many records came.
    pub(crate) received: u64,
    /// How many were announced, where that can be held against what arrives.
    pub(crate) announced: Option<u64>,
    /// The courses and their titles.
    pub(crate) titles: Vec<(SourcedId, Text)>,
    /// Records of other schools.
    pub(crate) left_out: Vec<SourcedId>,
    /// The orgs of the chosen schools.
    pub(crate) orgs: Vec<SourcedId>,
}

/// One collection, being read.
pub(crate) struct Collection<'r> {
    pub(crate) client: &'r Client,
    pub(crate) context: Arc<PageContext>,
    pub(crate) query: Query,
    pub(crate) limit: u64,
    pub(crate) trust_totals: bool,
    pub(crate) in_flight: usize,
    pub(crate) pull: &'r mut PullState,
    pub(crate) output: &'r mut Output,
    reading: Reading,
}

/// How far it has come.
#[derive(Default)]
struct Reading {
    tally: Tally,
    announced: Option<u64>,
    /// The server says how many records there are, of the collection or of the page.
    is_counted: bool,
    seen: HashSet<u64>,
    /// The id of the last record.
    last: Option<u64>,
    /// Records that had been on an earlier page, other than at its very end.
    again: u64,
    /// Records that continue a run of one id over the end of a page.
    continued: u64,
    /// Records that repeat the id of one on the same page.
    doubled: u64,
}

impl<'r> Collection<'r> {
    pub(crate) fn new(
        client: &'r Client,
        context: PageContext,
        query: Query,
        limit: u64,
        trust_totals: bool,
        pull: &'r mut PullState,
        output: &'r mut Output,
    ) -> Self {
        Self {
            in_flight: client.session.config().max_in_flight.max(1),
            context: Arc::new(context),
            client,
            query,
            limit,
            trust_totals,
            pull,
            output,
            reading: Reading::default(),
        }
    }

    fn kind(&self) -> Kind {
        self.context.kind
    }

    /// Reads it.
    pub(crate) async fn read(mut self) -> Result<Tally, Stop> {
        let part = Part::At { offset: 0, limit: self.limit };
        let first = self.first(&part).await?;
        self.reading.announced = first.total.filter(|_| self.trust_totals);
        self.reading.is_counted = self.reading.announced.is_some();
        let first = self.fresh(first, &part).await?;
        let (step, next) = (first.mapped.received, first.next.clone());
        self.take(first).await?;
        match self.reading.announced {
            Some(total) if total > step && next.as_ref().is_none_or(|next| offset_of(next) == Some(step)) => {
                self.pull.totals_proven = true;
                self.several_at_once(step, total).await?;
            }
            Some(total) if total > step => self.follow(next, step).await?,
            Some(_) if next.is_none() && (step == 0 || self.pull.totals_proven) => {}
            // Some servers announce the number of records on the page.
            Some(_) => {
                self.reading.announced = None;
                self.follow(next, step).await?;
            }
            None if step > 0 => self.follow(next, step).await?,
            None => {}
        }
        self.conclude()
    }

    /// Asks for the first page, with ever less that a server could stumble over.
    async fn first(&mut self, part: &Part) -> Result<Page, Stop> {
        loop {
            if self.pull.without_fields {
                self.query.fields = None;
            }
            self.query.sorted &= !self.pull.without_sort;
            let error = match self.client.page(&self.context, &self.query, part).await {
                Ok(page) => return Ok(page),
                Err(RestError::Http(error)) => error,
                Err(other) => return Err(other.into()),
            };
            let status = error.status().map_or(0, |status| status.as_u16());
            let blames = |code| error.payload().is_some_and(|payload| payload.is(code));
            let dated = self.context.since_ms.is_some();
            match status {
                // Of what was shown before, some servers say so when nothing has changed.
                404 if dated => {
                    return Err(Stop::Unfiltered(format!("the server finds no {} by date: {error}", self.kind())));
                }
                403 | 404 | 410 => return Err(Stop::Hidden(error)),
                400 | 405 | 414 | 422 | 501 if !blames("invalid_filter_field") && self.query.fields.is_some() => {
                    self.pull.without_fields = true;
                }
                400 | 405 | 414 | 422 | 501 if !blames("invalid_filter_field") && self.query.sorted => {
                    self.pull.without_sort = true;
                }
                400 | 405 | 414 | 422 | 500 | 501 if dated => {
                    return Err(Stop::Unfiltered(format!(
                        "the server refuses to filter {} by date: {error}",
                        self.kind()
                    )));
                }
                400 | 422 | 501 => {
                    return Err(match self.query.filter {
                        Some(_) => RestError::Filter { kind: self.kind(), cause: Box::new(error) }.into(),
                        None => error.into(),
                    });
                }
                _ => return Err(error.into()),
            }
            tracing::debug!(kind = %self.kind(), status, "the server stumbles over a parameter; asking without it");
        }
    }

    /// Reads the rest where the total is known: several pages at once, taken in order.
    async fn several_at_once(&mut self, step: u64, total: u64) -> Result<(), Stop> {
        let mut ahead: VecDeque<(u64, Ahead)> = VecDeque::new();
        let mut next = step;
        loop {
            while ahead.len() < self.in_flight && next < total {
                let part = Part::At { offset: next, limit: step };
                ahead.push_back((next, self.client.ahead(&self.context, &self.query, part)));
                next += step;
            }
            let Some((offset, page)) = ahead.pop_front() else { return Ok(()) };
            let wanted = step.min(total - offset);
            let page = self.fresh(page.page().await?, &Part::At { offset, limit: step }).await?;
            let mut got = page.mapped.received;
            self.take(page).await?;
            // A page may be shorter than it was asked to be; what it lacks is asked for before the next one is taken.
            while got < wanted {
                let part = Part::At { offset: offset + got, limit: wanted - got };
                let page = self.client.page(&self.context, &self.query, &part).await?;
                let page = self.fresh(page, &part).await?;
                if page.mapped.received == 0 {
                    // Others brought more than was asked for, so that nothing is missing; there is no more to be had here.
                    break;
                }
                got += page.mapped.received;
                self.take(page).await?;
            }
        }
    }

    /// Reads the rest page by page: by links, or by offset until an empty page.
    async fn follow(&mut self, mut link: Option<Url>, mut offset: u64) -> Result<(), Stop> {
        let mut has_links = false;
        loop {
            let received = self.reading.tally.received;
            let part = match link.take() {
                Some(url) => {
                    has_links = true;
                    match offset_of(&url) {
                        // Built anew, so that no parameter is lost on the way, and from what came: a server that sends fewer
                        // records than it was asked for can link past those that it left out.
                        Some(_) => Part::At { offset, limit: self.limit },
                        None => Part::Link { url, first: received },
                    }
                }
                None if self.reading.announced.is_some_and(|total| received >= total) => return Ok(()),
                None if has_links && self.reading.announced.is_none() => return Ok(()),
                None => Part::At { offset, limit: self.limit },
            };
            let page = self.client.page(&self.context, &self.query, &part).await?;
            let mut page = self.fresh(page, &part).await?;
            if page.mapped.received == 0 && !self.reading.is_counted {
                // It is all that tells the end here, and also what a server in trouble says.
                page = self.client.page(&self.context, &self.query, &part).await?;
                page = self.fresh(page, &part).await?;
            }
            if page.mapped.received == 0 {
                return Ok(());
            }
            offset = match part {
                Part::At { offset, .. } => offset,
                Part::Link { first, .. } => first,
            } + page.mapped.received;
            link.clone_from(&page.next);
            self.take(page).await?;
        }
    }

    fn is_repeated(&self, page: &MappedPage) -> bool {
        page.received > 0 && page.ids.iter().all(|id| self.reading.seen.contains(id))
    }

    /// Whether a page brings nothing although there must be something, or nothing but what was there.
    fn is_stale(&self, page: &Page) -> bool {
        let is_short = self.reading.announced.is_some_and(|total| self.reading.tally.received < total);
        (page.mapped.received == 0 && is_short) || self.is_repeated(&page.mapped)
    }

    /// Asks once more for a page that brings nothing although there must be something, or nothing but what was there.
    async fn fresh(&mut self, page: Page, part: &Part) -> Result<Page, RestError> {
        let received = self.reading.tally.received;
        let missing = self.reading.announced.filter(|total| received < *total);
        if !self.is_stale(&page) {
            return Ok(page);
        }
        tracing::warn!(kind = %self.kind(), received, "a page brings nothing new and is asked for again");
        let page = self.client.page(&self.context, &self.query, part).await?;
        match (self.is_stale(&page), missing) {
            (false, _) => Ok(page),
            (true, Some(announced)) if page.mapped.received == 0 => {
                Err(RestError::Short { kind: self.kind(), announced, received })
            }
            (true, _) => Err(RestError::Repeated { url: RedactedUrl::new(&page.url) }),
        }
    }

    /// Takes a page over.
    async fn take(&mut self, page: Page) -> Result<(), Stop> {
        self.hold_against_others(&page)?;
        let Reading { tally, seen, last, again, continued, doubled, .. } = &mut self.reading;
        let MappedPage { items, received, ids, titles, left_out, orgs, .. } = page.mapped;
        let run = ids.iter().take_while(|id| Some(**id) == *last).count();
        *continued += run as u64;
        *again += ids[run..].iter().filter(|id| seen.contains(id)).count() as u64;
        let before = seen.len();
        let fresh = ids[run..].iter().filter(|id| !seen.contains(id)).count();
        *last = ids.last().copied().or(*last);
        seen.extend(ids);
        *doubled += (fresh - (seen.len() - before)) as u64;
        tally.received += received;
        tally.titles.extend(titles);
        tally.left_out.extend(left_out);
        tally.orgs.extend(orgs);
        Ok(self.output.push(items).await?)
    }

    /// Notices a page that does not belong to the same state of the roster as those before it, or not to what was asked.
    fn hold_against_others(&mut self, page: &Page) -> Result<(), Stop> {
        let kind = self.kind();
        if self.pull.date.is_none() {
            self.pull.date = page.date;
        }
        if let (Some(known), Some(now)) = (self.pull.revision.take(page.revision.as_ref()), &page.revision) {
            return Err(Stop::Moved(format!("the revision went from {known} to {now} at the {kind}")));
        }
        if let (Some(announced), Some(now)) = (self.reading.announced, page.total)
            && announced != now
        {
            return Err(Stop::Moved(format!("the announced number of {kind} went from {announced} to {now}")));
        }
        if page.mapped.unasked > 0 {
            return Err(Stop::Unfiltered(format!(
                "the server sent {kind} that are older than what was asked for, or have no date"
            )));
        }
        Ok(())
    }

    /// Says what it came to, once the end is reached.
    fn conclude(self) -> Result<Tally, Stop> {
        let kind = self.kind();
        let Reading { mut tally, announced, again, continued, doubled, .. } = self.reading;
        if let Some(announced) = announced {
            let received = tally.received;
            if received < announced {
                return Err(RestError::Short { kind, announced, received }.into());
            }
            // Records that came twice stand where others should have come. A record that has several rows of its own can lie
            // across the end of a page; it does so again when it is read again.
            let outcome = (received, continued);
            if received - again - continued < announced && (again > 0 || self.pull.short[kind] != Some(outcome)) {
                self.pull.short[kind] = Some(outcome);
                return Err(Stop::Moved(format!("{} of the {kind} came on two pages", again + continued)));
            }
        }
        tally.announced = announced.filter(|_| again + continued + doubled == 0);
        Ok(tally)
    }
}

/// The offset that a link asks for.
fn offset_of(link: &Url) -> Option<u64> {
    link.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("offset")).and_then(|(_, value)| value.parse().ok())
}

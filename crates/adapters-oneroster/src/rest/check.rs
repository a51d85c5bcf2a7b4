//! Looks at a service without pulling from it: whether the credentials work, what they show, and what the server can do.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rollcall_adapters_http::{HttpError, RedactedUrl};
use rollcall_domain::ports::{BatchSink, CheckReport, Item, Problem, SinkClosed};
use rollcall_domain::vocabulary::OrgType;
use rollcall_domain::{Code, Kind, Record};

use super::client::{Page, Part, Query};
use super::collection::{Collection, PullState, Stop};
use super::error::RestError;
use super::output::Output;
use super::source::{ESSENTIAL, RestSource};

/// How far the two clocks may be apart before it is worth a word, in seconds.
const SKEW: i64 = 120;

/// How many schools and sessions are named.
const NAMED: usize = 20;

/// A moment after which nothing can have changed.
const NEVER: &str = "dateLastModified>='2199-01-01T00:00:00.000Z'";

pub(super) async fn check(source: &RestSource) -> Result<CheckReport, RestError> {
    let mut report = CheckReport::default();
    let session = &source.client.session;
    fact(&mut report, "service", RedactedUrl::new(session.base_url()).to_string());
    fact(&mut report, "version", format!("OneRoster {}", source.config().version));
    let mut shown = Vec::new();
    for kind in Kind::ALL {
        match glance(source, kind, source.query(kind, None).filter).await {
            Ok(page) => {
                fact(&mut report, kind.as_str(), how_many(&page));
                shown.push((kind, page));
            }
            Err(RestError::Http(error)) if is_hidden(&error) => hide(source, &mut report, kind, &error),
            Err(error) => return Err(error),
        }
    }
    if let Some((_, page)) = shown.first() {
        fact(&mut report, "credentials", "accepted");
        clock(source, &mut report, page);
    }
    let any = |has: fn(&Page) -> bool| shown.iter().any(|(_, page)| has(page));
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let (totals, links) = (any(|page| page.total.is_some()), any(|page| page.next.is_some()));
    fact(&mut report, "announces totals", yes_no(totals));
    fact(&mut report, "links to the next page", yes_no(links));
    if source.client.profile.revision_header.is_some() {
        fact(&mut report, "states a revision", yes_no(any(|page| page.revision.is_some())));
    }
    if let Some((kind, _)) = shown.iter().rev().find(|(_, page)| page.mapped.received > 0) {
        fact(&mut report, "filters by date", filters(source, *kind).await?);
    }
    for (kind, name) in [(Kind::Orgs, "schools"), (Kind::AcademicSessions, "sessions")] {
        if shown.iter().any(|(other, _)| *other == kind) {
            fact(&mut report, name, list(source, kind).await?);
        }
    }
    Ok(report)
}

fn fact(report: &mut CheckReport, name: &str, value: impl Into<String>) {
    report.facts.push((name.to_owned(), value.into()));
}

/// Asks for one record.
async fn glance(source: &RestSource, kind: Kind, filter: Option<String>) -> Result<Page, RestError> {
    let context = Arc::new(source.context(kind));
    let query = Query { filter, ..Query::default() };
    source.client.page(&context, &query, &Part::At { offset: 0, limit: 1 }).await
}

fn is_hidden(error: &HttpError) -> bool {
    error.status().is_some_and(|status| matches!(status.as_u16(), 403 | 404 | 410))
}

fn how_many(page: &Page) -> String {
    match (page.total, page.mapped.received) {
        (Some(total), _) => total.to_string(),
        (None, 0) => "none".to_owned(),
        (None, _) => "some; no total announced".to_owned(),
    }
}

fn hide(source: &RestSource, report: &mut CheckReport, kind: Kind, error: &HttpError) {
    fact(report, kind.as_str(), format!("hidden: {error}"));
    if ESSENTIAL.contains(&kind) {
        report.problems.push(Problem {
            code: Code::FileMissing,
            place: Some(source.context(kind).place.to_string()),
            message: format!("the {kind} cannot be read, and without them there is no roster: {error}"),
        });
    }
}

fn clock(source: &RestSource, report: &mut CheckReport, page: &Page) {
    let Some(date) = page.date else {
        fact(report, "clock", "the server does not tell the time");
        return;
    };
    let skew = date.duration_since(source.now()).as_secs();
    let relation = if skew < 0 { "behind" } else { "ahead" };
    fact(report, "clock", format!("{} s {relation}", skew.abs()));
    if skew.abs() > SKEW {
        report.problems.push(Problem {
            code: Code::ValueConflict,
            place: None,
            message: format!(
                "the server's clock is {} s {relation} of this machine's; signatures and tokens can fail for that alone. Set \
                 the clock that is wrong",
                skew.abs()
            ),
        });
    }
}

/// Whether the server gives changes alone.
async fn filters(source: &RestSource, kind: Kind) -> Result<String, RestError> {
    match glance(source, kind, Some(NEVER.to_owned())).await {
        Ok(page) if page.mapped.received == 0 => Ok("yes".to_owned()),
        Ok(_) => Ok("no, it ignores the filter; every pull reads everything".to_owned()),
        Err(RestError::Http(error)) if error.status().is_some_and(|status| status.as_u16() != 401) => {
            Ok(format!("no, it refuses the filter; every pull reads everything: {error}"))
        }
        Err(error) => Err(error),
    }
}

/// Names the schools or sessions, and says how many there are.
async fn list(source: &RestSource, kind: Kind) -> Result<String, RestError> {
    let gathered = Gathered::default();
    let mut state = PullState::default();
    let mut output = Output::new(Box::new(gathered.clone()));
    let collection = Collection::new(
        &source.client,
        source.context(kind),
        source.query(kind, None),
        source.limit(),
        source.trusts_totals(),
        &mut state,
        &mut output,
    );
    match collection.read().await {
        Ok(_) => Ok(gathered.named()),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::Moved(reason) | Stop::Unfiltered(reason)) => Ok(format!("cannot be told: {reason}")),
        Err(Stop::Hidden(error)) => Ok(format!("hidden: {error}")),
    }
}

/// The schools and sessions of a collection.
#[derive(Clone, Default)]
struct Gathered(Arc<Mutex<Vec<String>>>);

impl Gathered {
    fn named(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!("{}: {}", all.len(), all[..all.len().min(NAMED)].join(", "));
        if all.len() > NAMED {
            text.push_str(", …");
        }
        if all.is_empty() { "none".to_owned() } else { text }
    }
}

#[async_trait]
impl BatchSink for Gathered {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for item in batch {
            let Item::Upsert(upsert) = item else { continue };
            match upsert.record() {
                Record::Orgs(org) if org.org_type == OrgType::School => {
                    all.push(format!("{} ({})", org.name, org.sourced_id));
                }
                Record::AcademicSessions(session) => {
                    all.push(format!("{} ({}, {})", session.title, session.sourced_id, session.session_type));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

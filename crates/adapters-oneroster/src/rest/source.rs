//! The port: decides what to read, reads it in the order of reference, and says what it covered.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollcall_adapters_http::{HttpSession, RedactedUrl, StatusCode};
use rollcall_domain::ports::{
    BatchSink, CheckReport, Clock, Coverage, PullRequest, PullSummary, RosterSource, SourceDescription, SourceError,
};
use rollcall_domain::sync::Totals;
use rollcall_domain::{Kind, PerKind};

use super::check;
use super::client::{Client, Part, Query};
use super::collection::{Collection, PullState, Revision, Stop, Tally};
use super::config::RestConfig;
use super::cursor::Memory;
use super::error::RestError;
use super::mapping::{PageContext, fields_of};
use super::output::Output;
use super::profile::RestProfile;
use super::schools::SchoolScope;
use crate::mapping::class::CourseTitles;
use crate::mapping::fields::Rules;

/// Collections without which there is no roster. If one of them cannot be read the pull fails; any other is left alone.
pub(super) const ESSENTIAL: [Kind; 4] = [Kind::Orgs, Kind::Classes, Kind::Users, Kind::Enrollments];

/// For how long a vendor's revision is believed that stays the same. A summer has weeks in which nothing changes; but a revision
/// that a vendor forgets to move would freeze the roster, and nothing else would tell. Reading everything once a week costs
/// little against that.
const MAX_UNCHANGED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A source of rosters over OneRoster REST, of version 1.1 or 1.2.
#[derive(Clone)]
pub struct RestSource {
    config: RestConfig,
    pub(super) client: Client,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for RestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestSource").field("config", &self.config).field("client", &self.client).finish_non_exhaustive()
    }
}

impl RestSource {
    /// A source with these settings. The session's base URL is where the collections are; see
    /// [`ServiceRoot`](crate::ServiceRoot).
    pub fn new(config: RestConfig, session: HttpSession, clock: Arc<dyn Clock>) -> Self {
        Self::with_profile(config, session, clock, RestProfile::STANDARD)
    }

    /// A source for a vendor with ways of its own.
    pub fn with_profile(config: RestConfig, session: HttpSession, clock: Arc<dyn Clock>, profile: RestProfile) -> Self {
        Self { config, client: Client { session, profile }, clock }
    }

    /// The settings.
    pub fn config(&self) -> &RestConfig {
        &self.config
    }

    /// What time it is.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What pages of a kind are mapped with, apart from what other kinds tell.
    pub(super) fn context(&self, kind: Kind) -> PageContext {
        PageContext {
            kind,
            rules: Rules {
                version: self.config.version.table_version(),
                slash_dates: self.config.slash_dates,
                end_dates: self.config.end_dates,
            },
            envelope: (self.client.profile.envelope)(kind),
            place: self.place(kind),
            org_ids: self.config.org_ids.as_slice().into(),
            since_ms: None,
            course_titles: Arc::default(),
            schools: None,
        }
    }

    fn place(&self, kind: Kind) -> Arc<str> {
        let url = self.client.session.url((self.client.profile.collection)(kind), &[]);
        RedactedUrl::new(&url).to_string().into()
    }

    /// How a kind is asked for: what is configured, and since when if only changes are wanted.
    pub(super) fn query(&self, kind: Kind, since: Option<Timestamp>) -> Query {
        let own = self.config.filters.get(&kind).map(|filter| filter.trim());
        let date = since.map(|since| format!("dateLastModified>='{since:.3}'"));
        Query {
            filter: match (own, date) {
                (Some(own), Some(date)) => Some(format!("{own} AND {date}")),
                (Some(own), None) => Some(own.to_owned()),
                (None, date) => date,
            },
            fields: Some(fields_of(kind, self.config.version.table_version())),
            sorted: true,
        }
    }

    pub(super) fn limit(&self) -> u64 {
        u64::from(self.config.page_size.clamp(1, self.client.profile.max_page_size.max(1)))
    }

    pub(super) fn trusts_totals(&self) -> bool {
        self.config.totals == Totals::Trust
    }

    /// Whether a condition on the date can be joined to the configured filter: the standard allows one join.
    fn can_be_dated(&self, kind: Kind) -> bool {
        let has_join = |filter: &String| filter.contains(" AND ") || filter.contains(" OR ");
        !self.config.filters.get(&kind).is_some_and(has_join)
    }
}

#[async_trait]
impl RosterSource for RestSource {
    fn describe(&self) -> SourceDescription {
        let place = self.client.session.base_url().as_str().trim_end_matches('/');
        self.config.describe(&self.client.profile, place)
    }

    async fn check(&self) -> Result<CheckReport, SourceError> {
        Ok(check::check(self).await?)
    }

    async fn pull(&self, request: &PullRequest, sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError> {
        let memory = Memory::of(request.cursor.as_ref())?;
        let kinds: Vec<_> =
            Kind::ALL.into_iter().filter(|kind| request.demographics || *kind != Kind::Demographics).collect();
        let pull = Pull { source: self, memory, kinds, full: request.full, began: self.now() };
        Ok(pull.run(Output::new(sink)).await?)
    }
}

/// One pull under way.
struct Pull<'s> {
    source: &'s RestSource,
    memory: Option<Memory>,
    kinds: Vec<Kind>,
    full: bool,
    began: Timestamp,
}

/// What a reading of everything that was wanted came to.
struct Reading {
    summary: PullSummary,
    covered: Vec<Kind>,
}

impl Pull<'_> {
    async fn run(mut self, mut output: Output) -> Result<PullSummary, RestError> {
        if let Some(summary) = self.unchanged().await? {
            return Ok(summary);
        }
        let mut since = self.since();
        let mut refused = self.memory.as_ref().and_then(|memory| memory.refused);
        let mut state = PullState::default();
        state.totals_proven = self.memory.as_ref().is_some_and(|memory| memory.totals_proven);
        loop {
            match self.read(since, &mut state, &mut output).await {
                Ok(reading) => return self.conclude(reading, since, refused, &state),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Moved(reason)) => {
                    state.revision = Revision::default();
                    output.moved(reason).await?;
                }
                // Only where changes alone were asked for.
                Err(Stop::Unfiltered(reason)) => {
                    tracing::info!(reason, "the server does not give changes alone; everything is read");
                    (since, refused) = (None, Some(self.began));
                    state.revision = Revision::default();
                    output.restart(reason).await?;
                }
                Err(Stop::Hidden(error)) => return Err(error.into()),
            }
        }
    }

    /// Whether the vendor proves that nothing has changed since everything was last read.
    async fn unchanged(&mut self) -> Result<Option<PullSummary>, RestError> {
        let source = self.source;
        let Some(memory) = self.memory.as_ref().filter(|_| !self.full) else { return Ok(None) };
        let Some(known) = memory.revision.as_ref().filter(|_| source.client.profile.revision_header.is_some()) else {
            return Ok(None);
        };
        if self.is_doubtful(memory)
            || !self.is_read_alike(memory)
            || !self.kinds.iter().all(|kind| memory.kinds.contains(kind))
        {
            return Ok(None);
        }
        let context = Arc::new(source.context(Kind::Orgs));
        let part = Part::At { offset: 0, limit: 1 };
        let revision = match source.client.page(&context, &Query { sorted: true, ..Query::default() }, &part).await {
            Ok(page) => page.revision,
            // A server that stumbles over the question proves nothing. Whatever else is wrong shows when it is read.
            Err(RestError::Http(error)) if error.status().is_some_and(|status| status != StatusCode::UNAUTHORIZED) => {
                None
            }
            Err(error) => return Err(error),
        };
        if revision.as_ref() != Some(known) {
            return Ok(None);
        }
        let note = format!("nothing has changed since everything was last read, at revision {known}");
        let mut memory = memory.clone();
        // A kind that is not wanted any more is not kept either: should it be wanted again, it has to be read.
        memory.kinds.retain(|kind| self.kinds.contains(kind));
        Ok(Some(PullSummary {
            coverage: PerKind::from_fn(|kind| {
                if memory.kinds.contains(&kind) { Coverage::Unchanged } else { Coverage::Absent }
            }),
            cursor: Some(memory.into_cursor()?),
            note: Some(note),
            ..PullSummary::default()
        }))
    }

    /// Whether everything was last read so long ago that a revision, which has stayed since, proves nothing any more.
    fn is_doubtful(&self, memory: &Memory) -> bool {
        memory.revision.is_some() && self.began.duration_since(memory.full) >= MAX_UNCHANGED
    }

    /// Whether what was read before was understood as it would be now. Otherwise records that did not change at the vendor
    /// give others here.
    fn is_read_alike(&self, memory: &Memory) -> bool {
        memory.reading.as_ref() == Some(&self.source.config.reading())
    }

    /// Since when changes are to be read; nothing if everything is.
    fn since(&self) -> Option<Timestamp> {
        let memory = self.memory.as_ref().filter(|memory| !self.full && self.is_read_alike(memory))?;
        let config = &self.source.config;
        let full_every = SignedDuration::try_from(config.full_every).unwrap_or(SignedDuration::MAX);
        let is_recent = |moment: Timestamp| self.began.duration_since(moment) < full_every;
        let may = self.source.client.profile.incremental
            && config.schools.is_empty()
            && is_recent(memory.full)
            && !self.is_doubtful(memory)
            && !memory.refused.is_some_and(is_recent);
        may.then_some(memory.since)
    }

    /// Since when the changes of one kind are to be read.
    fn since_of(&self, kind: Kind, since: Option<Timestamp>) -> Option<Timestamp> {
        let was_read = self.memory.as_ref().is_some_and(|memory| memory.kinds.contains(&kind));
        since.filter(|_| was_read && self.source.can_be_dated(kind))
    }

    async fn read(
        &self,
        since: Option<Timestamp>,
        state: &mut PullState,
        output: &mut Output,
    ) -> Result<Reading, Stop> {
        let source = self.source;
        let config = &source.config;
        let mut reading = Reading { summary: PullSummary::default(), covered: Vec::new() };
        let mut titles = Arc::new(CourseTitles::new());
        let mut schools = (!config.schools.is_empty()).then(|| Arc::new(SchoolScope::new(&config.schools)));
        for &kind in &self.kinds {
            let since = self.since_of(kind, since);
            let context = PageContext {
                since_ms: since.map(Timestamp::as_millisecond),
                course_titles: Arc::clone(&titles),
                schools: schools.clone(),
                ..source.context(kind)
            };
            let collection = Collection::new(
                &source.client,
                context,
                source.query(kind, since),
                source.limit(),
                source.trusts_totals(),
                state,
                output,
            );
            let tally = match collection.read().await {
                Err(Stop::Hidden(error)) if ESSENTIAL.contains(&kind) => {
                    return Err(RestError::Hidden { kind, cause: Box::new(error) }.into());
                }
                Err(Stop::Hidden(error)) => {
                    tracing::warn!(kind = %kind, error = %error, "a collection cannot be read and is left alone");
                    reading.summary.skipped.push(kind.as_str().to_owned());
                    continue;
                }
                other => other?,
            };
            reading.covered.push(kind);
            reading.summary.coverage[kind] = if since.is_some() { Coverage::Delta } else { Coverage::Snapshot };
            reading.summary.totals[kind] = tally.announced.filter(|_| schools.is_none());
            remember(kind, tally, &mut titles, &mut schools)?;
        }
        Ok(reading)
    }

    fn conclude(
        &self,
        Reading { mut summary, covered }: Reading,
        since: Option<Timestamp>,
        refused: Option<Timestamp>,
        state: &PullState,
    ) -> Result<PullSummary, RestError> {
        let config = &self.source.config;
        // The earlier of the two clocks misses nothing.
        let began = state.date.map_or(self.began, |date| date.min(self.began));
        let overlap = SignedDuration::try_from(config.overlap).unwrap_or(SignedDuration::MAX);
        let full = match (&self.memory, since) {
            (Some(memory), Some(_)) => memory.full,
            _ => self.began,
        };
        let mut kinds = covered;
        if let (Some(memory), Some(_)) = (&self.memory, since) {
            // A kind that could not be read this time has to be read in full once it can.
            kinds.retain(|kind| memory.kinds.contains(kind) || summary.coverage[*kind] == Coverage::Snapshot);
        }
        let revision = state.revision.of_everything().filter(|_| since.is_none());
        let memory = Memory {
            since: began.checked_sub(overlap).unwrap_or(Timestamp::UNIX_EPOCH),
            full,
            refused,
            reading: Some(config.reading()),
            revision,
            totals_proven: state.totals_proven,
            kinds,
        };
        summary.cursor = Some(memory.into_cursor()?);
        let service = RedactedUrl::new(self.source.client.session.base_url());
        let read = since.map_or_else(|| "everything".to_owned(), |since| format!("changes since {since:.0}"));
        summary.note = Some(format!("OneRoster {} at {service}: {read}", config.version));
        Ok(summary)
    }
}

/// Keeps what later kinds need of a collection.
fn remember(
    kind: Kind,
    tally: Tally,
    titles: &mut Arc<CourseTitles>,
    schools: &mut Option<Arc<SchoolScope>>,
) -> Result<(), RestError> {
    if !tally.titles.is_empty() {
        *titles = Arc::new(tally.titles.into_iter().collect());
    }
    let Some(scope) = schools else { return Ok(()) };
    let scope = Arc::make_mut(scope);
    tally.orgs.iter().for_each(|org| scope.see(org));
    for sourced_id in tally.left_out {
        scope.leave_out(kind, sourced_id);
    }
    let unseen = scope.unseen();
    if kind == Kind::Orgs && !unseen.is_empty() {
        return Err(RestError::Settings {
            message: format!(
                "the server has no org `{}`, which `schools` names; correct the list, or take out what has closed",
                unseen.join("`, `")
            ),
        });
    }
    Ok(())
}

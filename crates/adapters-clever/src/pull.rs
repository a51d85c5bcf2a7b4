//! One pull under way: everything, or what events tell.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rollcall_adapters_http::RedactedUrl;
use rollcall_domain::entities::Org;
use rollcall_domain::ports::{Coverage, Deletion, Hold, Item, OwnedChange, PullRequest, PullSummary, Upsert};
use rollcall_domain::{Code, Encoder, Kind, Location, PerKind, SourcedId};
use tokio::task::spawn_blocking;

use crate::client::{COUNTED, Client, Collection, Mapped, Object, is_gone, short};
use crate::cursor::Memory;
use crate::error::CleverError;
use crate::events::{self, Change, Changes, Drained, Newest};
use crate::mapping::course::synthetic_id;
use crate::mapping::session::{self, Placed};
use crate::mapping::{Contacts, Context, Years, org, page, section, user};
use crate::output::Output;
use crate::wire;

/// How many courses may have to be asked for one by one before reading everything is the better way.
const MAX_COURSES: usize = 200;

/// The district as Clever describes it.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) id: SourcedId,
    pub(crate) district: wire::District,
    pub(crate) location: Location,
    pub(crate) date: Option<Timestamp>,
}

impl Identity {
    /// Asks for the district of the token.
    pub(crate) async fn ask(client: &Client, expected: Option<&str>) -> Result<Self, CleverError> {
        let url = client.session.url("districts", &[]);
        let place = RedactedUrl::new(&url);
        let page = client.page(&url).await?;
        let [object] = page.objects.as_slice() else {
            return Err(CleverError::NoDistrict { url: place, found: page.objects.len() });
        };
        let none = || CleverError::NoDistrict { url: place.clone(), found: 0 };
        let district: wire::District = serde_json::from_str(object.get()).map_err(|_| none())?;
        let id = district.id.id().ok_or_else(none)?;
        if let Some(expected) = expected.filter(|expected| *expected != id.as_str()) {
            return Err(CleverError::OtherDistrict { expected: expected.to_owned(), found: id.to_string() });
        }
        let location = Location::index(&Arc::from(place.to_string()), 0);
        Ok(Self { id, district, location, date: page.date })
    }

    /// Why nothing is to be read of the district now, if so. One in trouble is an error.
    pub(crate) fn standstill(&self) -> Result<Option<String>, CleverError> {
        match self.district.state.as_deref() {
            Some("paused") => {
                let until = self.district.pause_end.as_deref().map(|end| format!(" until {end}")).unwrap_or_default();
                Ok(Some(format!("Clever reports the district as paused{until}: nothing was read, and nothing changes")))
            }
            Some(state @ ("error" | "pending")) => Err(CleverError::District {
                state: state.to_owned(),
                message: self.district.error.as_deref().map(str::to_owned),
            }),
            _ => Ok(None),
        }
    }

    /// The school year that the district is in: that of its last sync, so that equal answers give equal records.
    fn year(&self, now: Timestamp) -> u16 {
        let moment = events::last_sync(&self.district).unwrap_or(now);
        session::year_of(moment.to_zoned(TimeZone::UTC).date())
    }

    fn org(&self) -> Org {
        org::district(&self.district, &self.id)
    }
}

/// One pull.
pub(crate) struct Pull<'s> {
    pub(crate) client: &'s Client,
    pub(crate) expected: Option<&'s str>,
    pub(crate) request: &'s PullRequest,
    pub(crate) began: Timestamp,
    pub(crate) output: Output,
}

impl Pull<'_> {
    fn nothing(&self, note: String) -> PullSummary {
        PullSummary {
            cursor: self.request.cursor.clone(),
            nothing_new: true,
            note: Some(note),
            ..PullSummary::default()
        }
    }

    fn coverage(&self, covered: Coverage) -> PerKind<Coverage> {
        PerKind::from_fn(|kind| match kind {
            Kind::Demographics if !self.request.demographics => Coverage::Absent,
            _ => covered,
        })
    }

    // -- everything -----------------------------------------------------------------------------------------------------

    /// Reads everything. If the district changes meanwhile in a way that could lose something, it is read anew; how often
    /// that is worth it is for the sync to say. `known` is what earlier pulls remembered.
    pub(crate) async fn full(mut self, why: &str, known: Option<&Memory>) -> Result<PullSummary, CleverError> {
        // Clever's own list of the contacts is short. Should it not be whole, the contacts are found among everybody.
        let mut contacts: &[_] = &[("role", "contact")];
        loop {
            match self.try_full(why, known, contacts).await {
                Err(CleverError::Moved { what }) => {
                    self.output.push(vec![Item::Restart { reason: what }]).await?;
                    contacts = &[];
                }
                outcome => return outcome,
            }
        }
    }

    async fn try_full(
        &mut self,
        why: &str,
        known: Option<&Memory>,
        contacts: &[(&str, &str)],
    ) -> Result<PullSummary, CleverError> {
        // Before anything else: whatever happens from here on will be among the events of the next pull.
        let newest = events::newest(self.client).await?;
        let identity = Identity::ask(self.client, self.expected).await?;
        if let Some(note) = identity.standstill()? {
            return Ok(self.nothing(note));
        }
        self.push_district(&identity).await?;
        let mut filled = BTreeSet::new();
        let context = Context {
            district: identity.id.clone(),
            years: Arc::default(),
            contacts: None,
            demographics: self.request.demographics,
        };
        self.read("schools", &context, page::schools, &mut filled).await?;

        // A student's record names the contacts, which only they state. Who they are has to be known before the students.
        let contacts = self.contacts(contacts).await?;
        let context = Context { contacts: Some(Arc::new(contacts)), ..context };
        let links: page::Links = self.read("users", &context, page::users, &mut filled).await?;
        if links.is_one_missing {
            let what = "a contact names a student who was read without that contact".to_owned();
            return Err(CleverError::Moved { what });
        }

        let terms = self.terms().await?;
        if !terms.is_empty() {
            filled.insert("terms".to_owned());
        }
        let current = identity.year(self.began);
        let place = self.place("terms");
        let sessions = session::sessions(&terms, &identity.id, current, false, &place);
        let pushed = upserts(&sessions.items);
        self.output.push(sessions.items).await?;
        let context = Context { years: Arc::new(sessions.years), contacts: None, ..context };

        let facts: section::Facts = self.read("sections", &context, page::sections, &mut filled).await?;
        if facts.without_term {
            let mut more = session::sessions(&terms, &identity.id, current, true, &place).items;
            more.retain(|item| matches!(item, Item::Upsert(upsert) if !pushed.contains(upsert.record().sourced_id())));
            self.output.push(more).await?;
        }
        let years = Arc::new(facts.course_years);
        let courses = move |context: &Context, objects: &[Object]| page::courses(context, &years, objects);
        let () = self.read("courses", &context, courses, &mut filled).await?;

        let holds = known.map(|known| emptied(known, &filled)).unwrap_or_default();
        let memory = Memory {
            events: newest != Newest::Off,
            event: match newest {
                Newest::Event(id) => Some(id),
                Newest::Off | Newest::None => None,
            },
            as_of: self.began,
            full: self.began,
            sync: events::last_sync(&identity.district),
            unconfirmed: None,
            default_session: facts.without_term,
            demographics: self.request.demographics,
            filled,
        };
        Ok(PullSummary {
            coverage: self.coverage(Coverage::Snapshot),
            cursor: Some(memory.into_cursor()?),
            holds,
            note: Some(format!("{}: everything was read, because {why}", identity.name())),
            ..PullSummary::default()
        })
    }

    async fn push_district(&mut self, identity: &Identity) -> Result<(), CleverError> {
        let location = identity.location.clone();
        let upsert = Upsert::new(identity.org().into(), None, location, &mut Encoder::default());
        self.output.push(vec![Item::Upsert(upsert)]).await
    }

    /// Reads a list to its end and hands over what it maps to. What the pages tell beside that is gathered. The list is
    /// noted among those that are `filled` if it has objects.
    async fn read<T, F>(
        &mut self,
        list: &str,
        context: &Context,
        map: F,
        filled: &mut BTreeSet<String>,
    ) -> Result<T, CleverError>
    where
        T: Gather + Send + 'static,
        F: Fn(&Context, &[Object]) -> Mapped<T> + Clone + Send + 'static,
    {
        let mut pages = Collection::new(self.client, list, &[COUNTED]);
        let mut gathered = T::default();
        let context = context.clone();
        let map = move |objects: &[Object]| map(&context, objects);
        while let Some(page) = pages.next(map.clone()).await? {
            if !page.ids.is_empty() {
                filled.insert(list.to_owned());
            }
            gathered.gather(page.facts);
            self.output.push(page.items).await?;
        }
        Ok(gathered)
    }

    /// Who is a contact of which student, by the users that a query means.
    async fn contacts(&mut self, query: &[(&str, &str)]) -> Result<Contacts, CleverError> {
        let mut list = Collection::new(self.client, "users", &[query, &[COUNTED]].concat());
        let mut pairs = page::Pairs::default();
        while let Some(page) = list.next(page::contacts).await? {
            pairs.gather(page.facts);
        }
        Ok(Contacts::new(pairs))
    }

    async fn terms(&mut self) -> Result<Vec<Placed>, CleverError> {
        let mut list = Collection::new(self.client, "terms", &[COUNTED]);
        let mut terms = Vec::new();
        while let Some(page) = list.next(page::terms).await? {
            terms.extend(page.facts);
            self.output.push(page.items).await?;
        }
        // A term that came on two pages is one term.
        let mut seen = HashSet::new();
        terms.reverse();
        terms.retain(|placed: &Placed| seen.insert(placed.id.clone()));
        terms.reverse();
        Ok(terms)
    }

    fn place(&self, path: &str) -> Location {
        Location::whole(&Arc::from(RedactedUrl::new(&self.client.session.url(path, &[])).to_string()))
    }

    // -- what events tell -------------------------------------------------------------------------------------------------

    /// Reads what changed since the last pull. If the events cannot be relied upon, everything is read.
    pub(crate) async fn changes(mut self, known: Memory) -> Result<PullSummary, CleverError> {
        let identity = Identity::ask(self.client, self.expected).await?;
        if let Some(note) = identity.standstill()? {
            return Ok(self.nothing(note));
        }
        let changes = match events::drain(self.client, known.event.as_deref()).await? {
            Drained::Changes(changes) => *changes,
            Drained::Unusable(reason) => return self.full(&reason, Some(&known)).await,
        };
        let sync = events::last_sync(&identity.district);
        let mut memory = Memory {
            event: changes.last.clone(),
            as_of: self.began,
            sync: known.sync.max(changes.sync),
            demographics: self.request.demographics,
            ..known.clone()
        };
        if memory.lost_events(sync, self.began) {
            let why = "the district has synced and no event told of it: events are switched off, or were lost";
            return self.full(why, Some(&known)).await;
        }
        let is_unaccounted = |sync: &Timestamp| memory.sync.is_none_or(|known| *sync > known);
        memory.unconfirmed = known.unconfirmed.filter(is_unaccounted).or(sync.filter(is_unaccounted));
        let current = identity.year(self.began);
        if known.sync.is_some_and(|sync| session::year_of(sync.to_zoned(TimeZone::UTC).date()) != current) {
            return self.full("a school year began", Some(&known)).await;
        }
        let touched: BTreeSet<_> = changes.touched_courses.iter().chain(changes.courses.keys()).cloned().collect();
        if touched.len() > MAX_COURSES {
            return self.full(&format!("more than {MAX_COURSES} courses changed"), Some(&known)).await;
        }

        let events = changes.events;
        let skipped = changes.skipped.iter().cloned().collect();
        let coverage = match self.apply(&identity, current, &mut memory, changes, &touched).await {
            Err(CleverError::Moved { what }) => {
                self.output.push(vec![Item::Restart { reason: what.clone() }]).await?;
                return self.full(&what, Some(&known)).await;
            }
            coverage => coverage?,
        };
        let note = match events {
            0 => "no event since the last pull".to_owned(),
            1 => "1 event since the last pull".to_owned(),
            events => format!("{events} events since the last pull"),
        };
        Ok(PullSummary {
            coverage,
            cursor: Some(memory.into_cursor()?),
            note: Some(format!("{}: {note}", identity.name())),
            skipped,
            ..PullSummary::default()
        })
    }

    async fn apply(
        &mut self,
        identity: &Identity,
        current: u16,
        memory: &mut Memory,
        changes: Changes,
        touched: &BTreeSet<SourcedId>,
    ) -> Result<PerKind<Coverage>, CleverError> {
        let mut coverage = self.coverage(Coverage::Delta);
        let Changes { schools, mut courses, sections, users, events, terms: terms_changed, .. } = changes;
        let Changes { students_before, were_students, .. } = changes;
        if events > 0 {
            self.push_district(identity).await?;
        }
        let mut context = Context {
            district: identity.id.clone(),
            years: Arc::new(Years { current, ..Years::default() }),
            contacts: None,
            demographics: self.request.demographics,
        };
        self.take(Kind::Orgs, schools, &context, page::schools).await?;
        let links = links(&users, &students_before);
        let mut no_students = Vec::new();
        for (id, change) in were_students.iter().filter_map(|id| users.get_key_value(id)) {
            let is_none = !change.is_deleted && change.object.roles().is_some_and(|roles| roles.student.is_none());
            if is_none && self.request.demographics {
                no_students.push(deletion(Kind::Demographics, id.clone(), &change.object.location));
            }
        }
        let _: page::Links = self.take(Kind::Users, users, &context, page::users).await?;
        self.output.push(no_students).await?;

        let mut terms = Vec::new();
        if terms_changed || !sections.is_empty() || !touched.is_empty() {
            terms = self.terms().await?;
            let sessions = session::sessions(&terms, &identity.id, current, false, &self.place("terms"));
            context.years = Arc::new(sessions.years);
        }
        let mut told: HashMap<SourcedId, HashSet<u64>> = HashMap::new();
        for (id, change) in sections.iter().filter(|(_, change)| !change.is_deleted) {
            let section = serde_json::from_str::<wire::Section>(change.object.raw.get()).unwrap_or_default();
            if let Some(course) = section.course.id() {
                told.entry(course).or_default().insert(short(id.as_str()));
            }
        }
        let gone: Vec<_> = sections.iter().filter(|(_, change)| change.is_deleted).map(|(id, _)| id.clone()).collect();
        let facts = self.take(Kind::Classes, sections, &context, page::changed_sections).await?;
        // A section that is gone may have stood for a course.
        let place = self.place("events");
        let synthetic = gone.iter().filter_map(synthetic_id).map(|id| deletion(Kind::Courses, id, &place)).collect();
        self.output.push(synthetic).await?;
        let without_term = facts.without_term && !memory.default_session;
        if terms_changed || without_term {
            memory.default_session |= facts.without_term;
            let place = self.place("terms");
            let sessions = session::sessions(&terms, &identity.id, current, memory.default_session, &place);
            self.output.push(sessions.items).await?;
            // Years come and go with their terms: all of them are stated, which is little.
            coverage[Kind::AcademicSessions] = Coverage::Snapshot;
        }

        let mut years = HashMap::new();
        for id in touched {
            if courses.get(id).is_some_and(|change| change.is_deleted) {
                continue;
            }
            let told = told.remove(id).unwrap_or_default();
            let Some(year) = self.year_of_course(id, &context, told).await? else { continue };
            years.extend(year.map(|year| (id.clone(), year)));
            if !courses.contains_key(id)
                && let Some(raw) = self.client.single(&format!("courses/{id}")).await?
            {
                let object = Object { raw, location: self.place("courses") };
                courses.insert(id.clone(), Change { object, is_deleted: false, was_created: false });
            }
        }
        let years = Arc::new(years);
        let map = move |context: &Context, objects: &[Object]| page::courses(context, &years, objects);
        self.take(Kind::Courses, courses, &context, map).await?;
        self.output.push(links).await?;
        Ok(coverage)
    }

    /// The latest year of a course's sections, if it has any; nothing at all if the course is not shared. Clever does not
    /// count these lists. The sections that events told of, by their hashes, must be among them.
    async fn year_of_course(
        &mut self,
        id: &SourcedId,
        context: &Context,
        mut told: HashSet<u64>,
    ) -> Result<Option<Option<u16>>, CleverError> {
        let path = format!("courses/{id}/sections");
        let mut year = None;
        // A list that is empty is legal, and also what a server in trouble says: it is asked for again.
        for _ in 0..2 {
            let mut list = Collection::new(self.client, &path, &[]);
            loop {
                let (context, id) = (context.clone(), id.clone());
                let learn = move |objects: &[Object]| {
                    page::each(Kind::Classes, objects, |mut section: wire::Section, _, facts: &mut section::Facts| {
                        section.course = wire::Str(Some(id.as_str().into()));
                        facts.learn(&section, &context);
                    })
                };
                match list.next(learn).await {
                    Ok(Some(page)) => {
                        year = year.max(page.facts.course_years.into_values().max());
                        told.retain(|section| !page.ids.contains(section));
                    }
                    Ok(None) => break,
                    Err(CleverError::Http(error)) if is_gone(&error) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
            if year.is_some() {
                break;
            }
        }
        if told.is_empty() {
            Ok(Some(year))
        } else {
            let what = format!("events told of sections that are not among those of their course {id}");
            Err(CleverError::Moved { what })
        }
    }

    /// Hands over what changed of a kind.
    async fn take<T, F>(
        &mut self,
        kind: Kind,
        changes: BTreeMap<SourcedId, Change>,
        context: &Context,
        map: F,
    ) -> Result<T, CleverError>
    where
        T: Default + Send + 'static,
        F: FnOnce(&Context, &[Object]) -> Mapped<T> + Send + 'static,
    {
        let mut deletions = Vec::new();
        let mut objects = Vec::new();
        for (id, change) in changes {
            if change.is_deleted {
                deletions.push(deletion(kind, id, &change.object.location));
            } else {
                objects.push(change.object);
            }
        }
        let context = context.clone();
        let mapped = spawn_blocking(move || map(&context, &objects)).await?;
        self.output.push(mapped.items).await?;
        self.output.push(deletions).await?;
        Ok(mapped.facts)
    }
}

impl Identity {
    /// The district's name, or its id.
    pub(crate) fn name(&self) -> &str {
        self.district.name.as_deref().unwrap_or(self.id.as_str())
    }
}

/// What pages tell beside their records.
pub(crate) trait Gather: Default {
    fn gather(&mut self, other: Self);
}

impl Gather for () {
    fn gather(&mut self, (): Self) {}
}

impl Gather for page::Links {
    fn gather(&mut self, other: Self) {
        self.is_one_missing |= other.is_one_missing;
    }
}

impl Gather for page::Pairs {
    fn gather(&mut self, other: Self) {
        self.pairs.extend(other.pairs);
        self.is_one_untold |= other.is_one_untold;
    }
}

impl Gather for section::Facts {
    fn gather(&mut self, other: Self) {
        self.merge(other);
    }
}

fn upserts(items: &[Item]) -> HashSet<SourcedId> {
    items
        .iter()
        .filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record().sourced_id().clone()),
            _ => None,
        })
        .collect()
}

/// Why the run is to be held: lists came empty that had objects when everything was last read. Whether records are stored
/// tells nothing here, and a list of users or sections that is empty makes an empty kind, which others see.
fn emptied(known: &Memory, filled: &BTreeSet<String>) -> Vec<Hold> {
    let hold = |list: &String| Hold {
        code: Code::CollectionEmpty,
        message: format!("Clever sent no {list}, although the district had some when everything was last read"),
    };
    known.filled.difference(filled).map(hold).collect()
}

fn deletion(kind: Kind, sourced_id: SourcedId, location: &Location) -> Item {
    Item::Delete(Deletion { kind, sourced_id, modified_ms: None, location: location.clone() })
}

/// What changed contacts mean for their students: one agent more, or one less. Students whom a contact has now are always
/// told, for what did not exist before leaves no trace among an event's previous attributes.
fn links(users: &BTreeMap<SourcedId, Change>, before: &HashMap<SourcedId, BTreeSet<SourcedId>>) -> Vec<Item> {
    let mut links = Vec::new();
    for (contact, change) in users {
        let was = before.get(contact);
        let (mut is, mut are_all) = (BTreeSet::new(), true);
        if !change.is_deleted {
            // One who cannot be read is refused, and stays whose contact they are (R5).
            let Some(roles) = change.object.roles() else { continue };
            is.extend(roles.contact.iter().flat_map(|role| user::students_of(role, contact)));
            are_all = !roles.contact.as_deref().is_some_and(user::has_untold_student);
        }
        let location = || change.object.location.clone();
        let was = was.into_iter().flatten().filter(|_| are_all);
        let gone = was.filter(|student| !is.contains(*student)).map(|student| OwnedChange::AgentGone {
            user: student.clone(),
            agent: contact.clone(),
            location: location(),
        });
        links.extend(gone.map(Item::Owned));
        let there = is.iter().map(|student| OwnedChange::Agent {
            user: student.clone(),
            agent: contact.clone(),
            location: location(),
        });
        links.extend(there.map(Item::Owned));
    }
    links
}

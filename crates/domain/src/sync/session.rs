//! What a run knows while it pulls: each record is decided on arrival if it can be, and put aside if it cannot.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::iter::once;
use std::mem::take;
use std::sync::Arc;
use std::task::Poll;

use futures::StreamExt;
use futures::future::BoxFuture;
use jiff::civil::Date;

use super::Failure;
use super::SyncOptions;
use super::foresight::{Foresight, Target};
use super::table::{Entry, Flags, Loading, Table, flag};
use super::warnings::Warnings;
use crate::entities::Enrollment;
use crate::keys::{Key, KeyMap, Keys};
use crate::ports::{
    ChangeKind, DeleteReason, Deletion, Fetched, Item, OwnedChange, Pages, RosterStore, SourceDescription, SourceState,
    StagedChange, StoreError, StoredFingerprint, Upsert, UserHalf,
};
use crate::report::WarningGroup;
use crate::vocabulary::{EnrollmentRole, OrgType, SessionType};
use crate::{
    Code, Counts, ENCODING_VERSION, Encoder, Finding, Kind, Location, PendingRecord, PerKind, Record, RefField, Reject,
    RunId, Severity, SourceId, SourcedId, Warning, validate,
};

/// How many changes are handed to the store at a time.
pub(super) const STAGE_BATCH: usize = 4_000;
/// How many records are asked for at a time.
pub(super) const FETCH_BATCH: usize = 500;
/// How many stored records are asked for by internal id; more are faster found by reading all.
const LOOKED_UP: usize = 100_000;
/// How many of them at a time.
const LOOK_UP_BATCH: usize = 5_000;
/// How often the upstream may move while it is read.
const RESTARTS: u8 = 3;
/// Who has sent so many records sends other kinds too, and what the store knows of those is read without being asked for.
const MUCH: u64 = 5_000;
/// Of how many items the entries are fetched from memory at a time: few enough to stay in a core's cache.
const FORESEEN: usize = 128;

/// The state of one run.
pub(super) struct Session<'a> {
    pub(super) store: &'a dyn RosterStore,
    pub(super) source: SourceId,
    pub(super) run: RunId,
    pub(super) options: &'a SyncOptions,
    pub(super) description: &'a SourceDescription,
    pub(super) keys: Keys,
    tables: PerKind<Option<Table>>,
    /// The kinds whose own table and those of the kinds they refer to are there.
    is_ready_for: PerKind<bool>,
    /// The stored side of a kind that nothing has asked for yet, on its way.
    ahead: Option<Ahead>,
    /// How many live records the store had.
    pub(super) live: PerKind<u64>,
    /// The internal id of the first stored record of each kind that was read.
    first_ids: PerKind<i64>,
    pub(super) counts: PerKind<Counts>,
    /// Users who are switched off by this run.
    pub(super) disabled: u64,
    /// A record was refused of which not even the id is known (R5).
    pub(super) unreadable: PerKind<bool>,
    warnings: Warnings,
    staged: Vec<StagedChange>,
    /// The changes before those, on their way to the store.
    staging: Option<BoxFuture<'a, Result<(), StoreError>>>,
    pub(super) later: Later,
    /// What is known of records that others are checked against.
    pub(super) facts: Facts,
    received: u64,
    /// The kinds of which a record of their own came; roles that come apart are no users.
    pub(super) heard_of: PerKind<bool>,
    /// The kind that came last.
    arriving: Option<Kind>,
    restarts: u8,
    pub(super) scratch: Encoder,
    /// The memory of the last records' keys, for the next ones'.
    foresight: Foresight,
    /// The memory of the last record's links, for the next one's.
    links: Vec<Link>,
}

/// What the store knows of a kind, while it is read.
struct Ahead {
    kind: Kind,
    pages: Pages<StoredFingerprint>,
    loading: Loading,
    live: u64,
    first_id: Option<i64>,
}

/// A reference of a record that is being decided, looked up.
struct Link {
    field: RefField,
    target: Key,
    is_there: bool,
    /// The target needs no mark: another record of this run requires it already, or this one does not count.
    is_marked: bool,
}

/// What could not be decided on arrival.
#[derive(Default)]
pub(super) struct Later {
    /// Records whose required references are not there yet.
    pub(super) early: PerKind<Vec<Upsert>>,
    /// Optional references to records that are not there yet.
    pub(super) loose: Vec<LooseLink>,
    /// Further records and deletions of ids that the run has already heard of, in their order.
    pub(super) again: Vec<Event>,
    /// The ids of which there is more to say: what repeats the accepted record may come after something else.
    pub(super) disputed: HashSet<(Kind, Key)>,
    /// Records and deletions that are older than what is stored: stale in a delta, ordinary in a snapshot.
    pub(super) older: Vec<Event>,
    /// Stored under an older encoding: compared field by field.
    outdated: Vec<Upsert>,
    /// Users whose roles come apart.
    pub(super) halves: Vec<Upsert>,
    /// Changes of what records own.
    pub(super) owned: Vec<OwnedChange>,
    /// Records that the source deletes.
    pub(super) deleted: Vec<(Kind, SourcedId)>,
    /// Records that this run brings back.
    pub(super) restored: Vec<(Kind, SourcedId)>,
    /// Records of earlier runs that this run has accepted.
    pub(super) replayed: HashSet<(Kind, SourcedId)>,
    /// What records required that this run accepted and then took back.
    pub(super) doubtful: HashSet<(Kind, SourcedId)>,
    /// Enrollments that name a school and whose class this run has not seen.
    schools: Vec<SchoolClaim>,
}

/// What the source says of a record.
pub(super) enum Event {
    Upsert(Upsert),
    Delete(Deletion),
}

impl Event {
    pub(super) fn key(&self) -> (Kind, &SourcedId) {
        match self {
            Self::Upsert(upsert) => (upsert.record().kind(), upsert.record().sourced_id()),
            Self::Delete(deletion) => (deletion.kind, &deletion.sourced_id),
        }
    }

    pub(super) fn modified_ms(&self) -> Option<i64> {
        match self {
            Self::Upsert(upsert) => upsert.modified_ms,
            Self::Delete(deletion) => deletion.modified_ms,
        }
    }
}

/// An optional reference whose target was not there when its holder arrived.
pub(super) struct LooseLink {
    pub(super) field: RefField,
    pub(super) target: Key,
    pub(super) target_id: SourcedId,
    pub(super) holder: SourcedId,
    pub(super) location: Location,
}

/// The days during which a user is the primary teacher of a class.
struct Tenure {
    user: Key,
    begin: Option<Date>,
    end: Option<Date>,
}

impl Tenure {
    fn overlaps(&self, other: &Self) -> bool {
        let before =
            |end: Option<_>, begin: Option<_>| matches!((end, begin), (Some(end), Some(begin)) if end <= begin);
        !before(self.end, other.begin) && !before(other.end, self.begin)
    }
}

struct SchoolClaim {
    class: SourcedId,
    school: Option<SourcedId>,
    enrollment: SourcedId,
    location: Location,
}

/// What is known of records that others are checked against.
#[derive(Default)]
pub(super) struct Facts {
    org_types: KeyMap<OrgType>,
    session_types: KeyMap<SessionType>,
    /// The school of each class that arrived, in short.
    class_schools: KeyMap<u64>,
    /// The primary teachers of each class.
    primary_teachers: KeyMap<Vec<Tenure>>,
    /// The file or address from which each kind came last.
    pub(super) places: PerKind<Option<Arc<str>>>,
    /// A role was refused of which not even the user is known (R5).
    pub(super) unreadable_role: bool,
    /// The parents of the orgs and sessions that arrived, with where they stand.
    pub(super) parents: HashMap<(Kind, Key), (Key, SourcedId, Location)>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        store: &'a dyn RosterStore,
        state: &SourceState,
        run: RunId,
        options: &'a SyncOptions,
        description: &'a SourceDescription,
    ) -> Self {
        Self {
            store,
            source: state.id,
            run,
            options,
            description,
            keys: Keys::default(),
            tables: PerKind::from_fn(|_| None),
            is_ready_for: PerKind::default(),
            ahead: None,
            live: PerKind::default(),
            first_ids: PerKind::default(),
            counts: PerKind::default(),
            disabled: 0,
            unreadable: PerKind::default(),
            warnings: Warnings::default(),
            staged: Vec::new(),
            staging: None,
            later: Later::default(),
            facts: Facts::default(),
            received: 0,
            heard_of: PerKind::default(),
            arriving: None,
            restarts: 0,
            scratch: Encoder::default(),
            foresight: Foresight::default(),
            links: Vec::new(),
        }
    }

    // -- arrival ------------------------------------------------------------------------------------------------------

    /// Takes a batch from the source, and says which kind came last.
    pub(super) async fn take(&mut self, batch: Vec<Item>) -> Result<Option<Kind>, Failure> {
        let mut last = None;
        let mut items = batch.into_iter();
        while !items.as_slice().is_empty() {
            let foresight = self.foresee(items.as_slice());
            let taken = self.take_foreseen(items.by_ref().take(FORESEEN), &foresight).await?;
            last = taken.or(last);
            self.foresight = foresight;
        }
        if self.later.outdated.len() >= FETCH_BATCH {
            self.compare_outdated().await?;
        }
        if self.later.halves.len() >= FETCH_BATCH {
            self.join_halves().await?;
        }
        if self.later.schools.len() >= FETCH_BATCH {
            self.compare_schools().await?;
        }
        self.hand_over_batches().await?;
        if last != self.arriving {
            self.arriving = last;
            self.drop_tied_links();
        }
        Ok(last)
    }

    /// Takes some items, and says of which kind the last record among them was.
    async fn take_foreseen(
        &mut self,
        items: impl Iterator<Item = Item>,
        foresight: &Foresight,
    ) -> Result<Option<Kind>, Failure> {
        let mut last = None;
        let mut foreseen = foresight.iter();
        for item in items {
            match item {
                Item::Upsert(upsert) => {
                    let kind = upsert.record().kind();
                    last = Some(kind);
                    let Some((key, targets)) = foreseen.next() else { unreachable!("every upsert was foreseen") };
                    if kind == Kind::Demographics && !self.options.demographics {
                        continue;
                    }
                    self.load_for(kind).await?;
                    self.arrive_keyed(upsert, key, targets);
                }
                Item::Delete(deletion) => {
                    if deletion.kind == Kind::Demographics && !self.options.demographics {
                        continue;
                    }
                    self.load_for(deletion.kind).await?;
                    self.arrive_deletion(deletion);
                }
                Item::Owned(change) => self.later.owned.push(change),
                Item::Reject(reject) => {
                    if reject.kind == Kind::Demographics && !self.options.demographics {
                        continue;
                    }
                    self.load_for(reject.kind).await?;
                    self.received += 1;
                    self.counts[reject.kind].received += 1;
                    self.heard_of[reject.kind] |= !reject.is_part;
                    self.reject(reject, None);
                }
                Item::Warning(warning) => self.warn(warning),
                Item::Restart { reason } => self.restart(&reason).await?,
            }
        }
        Ok(last)
    }

    /// Looks the next items up, so that their entries and those they refer to are at hand.
    fn foresee(&mut self, items: &[Item]) -> Foresight {
        let records = items.iter().take(FORESEEN).filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record()),
            _ => None,
        });
        let foresight = Foresight::of(records, &self.keys, take(&mut self.foresight));
        for (kind, key) in foresight.records() {
            if let Some(table) = self.table(kind) {
                table.prefetch(key);
            }
        }
        for target in foresight.targets().iter().filter(|target| target.is_looked_up()) {
            if let Some(table) = self.table(target.field.target()) {
                table.prefetch(target.key);
            }
            if target.field == RefField::EnrollmentClass {
                black_box(self.facts.class_schools.get(&target.key));
            }
        }
        foresight
    }

    /// How many records of all kinds have arrived.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Decides what was only waiting for a batch to fill.
    pub(super) async fn finish_arrival(&mut self) -> Result<(), Failure> {
        self.compare_outdated().await?;
        self.join_halves().await
    }

    async fn restart(&mut self, reason: &str) -> Result<(), Failure> {
        self.restarts += 1;
        if self.restarts > RESTARTS {
            return Err(Failure::Incomplete(
                "source.moving",
                format!(
                    "the source changed while it was read, {} times in a row ({reason}); try again later",
                    self.restarts
                ),
            ));
        }
        tracing::warn!(run.id = %self.run, reason, "the source moved while it was read; starting the pull again");
        self.staged.clear();
        self.flush().await?;
        self.store.stage_clear(self.source, self.run).await?;
        // The stored side of the tables is read again, so that a restart cannot inherit anything.
        self.tables = PerKind::from_fn(|_| None);
        self.is_ready_for = PerKind::default();
        self.ahead = None;
        self.live = PerKind::default();
        self.counts = PerKind::default();
        self.disabled = 0;
        self.unreadable = PerKind::default();
        self.warnings = Warnings::default();
        self.later = Later::default();
        self.facts = Facts::default();
        self.received = 0;
        self.heard_of = PerKind::default();
        Ok(())
    }

    /// Forgets the loose links whose targets have arrived by now: guardians come after their children, and there are many.
    fn drop_tied_links(&mut self) {
        let mut loose = take(&mut self.later.loose);
        loose.retain(|link| !self.is_there_by_key(link.field.target(), link.target));
        loose.shrink_to_fit();
        self.later.loose = loose;
    }

    /// Decides a record, or puts it aside.
    pub(super) fn arrive(&mut self, upsert: Upsert) {
        self.keyed(upsert, Self::arrive_keyed);
    }

    fn arrive_keyed(&mut self, upsert: Upsert, key: Key, targets: &[Target]) {
        let kind = upsert.record().kind();
        self.received += 1;
        self.counts[kind].received += 1;
        self.heard_of[kind] = true;
        let place = &mut self.facts.places[kind];
        if !place.as_ref().is_some_and(|place| Arc::ptr_eq(place, &upsert.location.place)) {
            *place = Some(Arc::clone(&upsert.location.place));
        }
        if !self.passes_rules(&upsert) {
            return;
        }
        let entry = self.table_mut(kind).entry(key);
        if entry.has(flag::HEARD_OF) {
            let says_the_same = entry.is_accepted()
                && entry.fingerprint() == upsert.fingerprint()
                && upsert.modified_ms <= entry.modified_ms();
            if says_the_same && upsert.half == UserHalf::Whole && !self.later.disputed.contains(&(kind, key)) {
                self.count_repeated(&upsert);
            } else {
                self.later.disputed.insert((kind, key));
                self.later.again.push(Event::Upsert(upsert));
            }
            return;
        }
        if entry.is_stored_newer_than(upsert.modified_ms) {
            entry.set(flag::WAITING);
            self.later.older.push(Event::Upsert(upsert));
        } else if upsert.half != UserHalf::Whole {
            entry.set(flag::WAITING);
            self.later.halves.push(upsert);
        } else {
            self.admit_keyed(upsert, key, targets);
        }
    }

    /// A record that repeats an earlier one counts once with it.
    pub(super) fn count_repeated(&mut self, upsert: &Upsert) {
        self.counts[upsert.record().kind()].received -= 1;
        self.warn_on(upsert, Finding::on(Code::IdDuplicate, "sourcedId", "the record is repeated word for word"));
    }

    /// Holds a record against the rules that need no other record.
    fn passes_rules(&mut self, upsert: &Upsert) -> bool {
        let mut refused = Vec::new();
        let mut accepted = Vec::new();
        validate(upsert.record(), |severity, finding| match severity {
            Severity::Error => refused.push(finding),
            Severity::Warning => accepted.push(finding),
        });
        if refused.is_empty() {
            for finding in accepted {
                self.warn_on(upsert, finding);
            }
            return true;
        }
        self.reject_record(upsert.record(), upsert.location.clone(), refused, None);
        false
    }

    /// Accepts a record if what it requires is there, and keeps it for later if not.
    pub(super) fn admit(&mut self, upsert: Upsert) {
        self.keyed(upsert, Self::admit_keyed);
    }

    /// Works the keys of a single record out, and does something with them.
    fn keyed(&mut self, upsert: Upsert, act: impl FnOnce(&mut Self, Upsert, Key, &[Target])) {
        let foresight = Foresight::of(once(upsert.record()), &self.keys, take(&mut self.foresight));
        if let Some((key, targets)) = foresight.iter().next() {
            act(self, upsert, key, targets);
        }
        self.foresight = foresight;
    }

    fn admit_keyed(&mut self, upsert: Upsert, key: Key, targets: &[Target]) {
        let links = self.links_of(targets);
        if links.iter().any(|link| link.field.is_required() && !link.is_there) {
            let kind = upsert.record().kind();
            self.table_mut(kind).entry(key).set(flag::WAITING);
            self.later.early[kind].push(upsert);
            self.links = links;
        } else {
            self.accept_keyed(upsert, key, links);
        }
    }

    /// Compares an accepted record with the stored one, and stages what differs.
    pub(super) fn accept(&mut self, upsert: Upsert) {
        self.keyed(upsert, |session, upsert, key, targets| {
            let links = session.links_of(targets);
            session.accept_keyed(upsert, key, links);
        });
    }

    /// Accepts a record of an earlier run. The source did not send it now, so it keeps nothing that is absent.
    pub(super) fn accept_replayed(&mut self, upsert: Upsert) {
        self.later.replayed.insert((upsert.record().kind(), upsert.record().sourced_id().clone()));
        self.keyed(upsert, |session, upsert, key, targets| {
            let mut links = session.links_of(targets);
            for link in &mut links {
                link.is_marked = true;
            }
            session.accept_keyed(upsert, key, links);
        });
    }

    fn accept_keyed(&mut self, upsert: Upsert, key: Key, links: Vec<Link>) {
        self.look_around(&upsert, &links);
        self.learn(&upsert, key, &links);
        self.links = links;
        let kind = upsert.record().kind();
        let entry = self.table_mut(kind).entry(key);
        entry.clear(flag::WAITING);
        if entry.has(flag::OUTDATED) {
            // Counts as there from now on: the comparison decides only whether anything differs.
            entry.set(flag::SEEN);
            self.later.outdated.push(upsert);
            return;
        }
        let same = entry.has(flag::STORED) && entry.fingerprint() == upsert.fingerprint();
        self.decide(upsert, key, same);
    }

    /// Looks up what a record refers to, in the order of its fields.
    fn links_of(&mut self, targets: &[Target]) -> Vec<Link> {
        let mut links = take(&mut self.links);
        links.clear();
        links.extend(targets.iter().map(|target| {
            let entry = if target.is_looked_up() {
                self.table(target.field.target()).and_then(|table| table.get(target.key))
            } else {
                None
            };
            Link {
                field: target.field,
                target: target.key,
                is_there: entry.is_some_and(Entry::is_there),
                is_marked: entry.is_some_and(|entry| entry.has(flag::REFERENCED)),
            }
        }));
        links
    }

    /// Counts an accepted record, and stages it unless it is the same as the live stored one.
    fn decide(&mut self, upsert: Upsert, key: Key, same: bool) {
        let kind = upsert.record().kind();
        let fingerprint = upsert.fingerprint();
        let modified_ms = upsert.modified_ms;
        let switched_off = upsert.record().is_disabled_user();
        let position = upsert.location.position;
        let entry = self.table_mut(kind).entry(key);
        entry.set(flag::SEEN);
        let newer = entry.learn_date(modified_ms);
        let newest = entry.modified_ms();
        let was_disabled = entry.has(flag::DISABLED);
        let change = if !entry.has(flag::STORED) {
            Some(ChangeKind::Created)
        } else if entry.has(flag::DELETED) {
            Some(ChangeKind::Restored)
        } else if same {
            None
        } else {
            Some(ChangeKind::Updated)
        };
        entry.set_fingerprint(fingerprint);
        entry.set_position(position);
        let Some(change) = change else {
            self.counts[kind].unchanged += 1;
            if newer {
                let sourced_id = upsert.record().sourced_id().clone();
                self.stage(touch(kind, sourced_id, newest, None));
            }
            return;
        };
        entry.set(flag::STAGED);
        match change {
            ChangeKind::Created => self.counts[kind].created += 1,
            ChangeKind::Restored => {
                self.counts[kind].restored += 1;
                self.later.restored.push((kind, upsert.record().sourced_id().clone()));
            }
            _ => {
                self.counts[kind].updated += 1;
                self.disabled += u64::from(switched_off && !was_disabled);
            }
        }
        self.stage(StagedChange::Put { record: upsert.into_record(), fingerprint, modified_ms: newest, change });
    }

    /// Marks what the record requires, and notes what it refers to that is not there or of the wrong type.
    fn look_around(&mut self, upsert: &Upsert, links: &[Link]) {
        for link in links {
            let kind = link.field.target();
            if link.field.is_required()
                && !link.is_marked
                && let Some(entry) = self.table_mut(kind).get_mut(link.target)
            {
                entry.set(flag::REFERENCED);
            }
            let misfit = match link.field {
                RefField::ClassSchool => (self.facts.org_types.get(&link.target))
                    .is_some_and(|found| !matches!(found, OrgType::School | OrgType::Other(_)))
                    .then_some("an org that is a school"),
                RefField::CourseSchoolYear => (self.facts.session_types.get(&link.target))
                    .is_some_and(|found| !matches!(found, SessionType::SchoolYear | SessionType::Other(_)))
                    .then_some("a school year"),
                _ => None,
            };
            if let Some(wanted) = misfit {
                let message = format!("the field should refer to {wanted}");
                self.warn_on(upsert, Finding::on(Code::RefType, link.field.column(), message));
            }
        }
        let is_loose =
            |link: &Link| !link.is_there && !link.field.is_required() && link.field != RefField::EnrollmentSchool;
        if links.iter().any(is_loose) {
            let mut links = links.iter();
            upsert.record().each_reference(|reference| {
                if let Some(link) = links.next().filter(|link| is_loose(link)) {
                    self.later.loose.push(LooseLink {
                        field: link.field,
                        target: link.target,
                        target_id: reference.target.clone(),
                        holder: upsert.record().sourced_id().clone(),
                        location: upsert.location.clone(),
                    });
                }
            });
        }
    }

    /// Remembers what later records are checked against, and checks enrollments.
    fn learn(&mut self, upsert: &Upsert, key: Key, links: &[Link]) {
        match upsert.record() {
            Record::Orgs(org) => {
                self.facts.org_types.insert(key, org.org_type.clone());
                self.learn_parent(Kind::Orgs, key, links, upsert);
            }
            Record::AcademicSessions(session) => {
                self.facts.session_types.insert(key, session.session_type.clone());
                self.learn_parent(Kind::AcademicSessions, key, links, upsert);
            }
            Record::Classes(_) => {
                let school = links.iter().find(|link| link.field == RefField::ClassSchool);
                if let Some(school) = school {
                    self.facts.class_schools.insert(key, school.target.short());
                }
            }
            Record::Enrollments(enrollment) => self.check_enrollment(enrollment, links, upsert),
            Record::Courses(_) | Record::Users(_) | Record::Demographics(_) => {}
        }
    }

    fn learn_parent(&mut self, kind: Kind, key: Key, links: &[Link], upsert: &Upsert) {
        // A record that is its own parent has been warned of already.
        if let Some(parent) = links.first().filter(|parent| parent.target != key) {
            let place = (parent.target, upsert.record().sourced_id().clone(), upsert.location.clone());
            self.facts.parents.insert((kind, key), place);
        }
    }

    fn check_enrollment(&mut self, enrollment: &Enrollment, links: &[Link], upsert: &Upsert) {
        let target = |field| links.iter().find(|link| link.field == field).map(|link| link.target);
        let (Some(class), Some(user)) = (target(RefField::EnrollmentClass), target(RefField::EnrollmentUser)) else {
            return;
        };
        match self.facts.class_schools.get(&class) {
            Some(&school) => {
                let stated = target(RefField::EnrollmentSchool).map(Key::short);
                if stated != Some(school) {
                    self.warn_on(upsert, school_finding(enrollment.school.is_some()));
                }
            }
            None => self.later.schools.push(SchoolClaim {
                class: enrollment.class.clone(),
                school: enrollment.school.clone(),
                enrollment: enrollment.sourced_id.clone(),
                location: upsert.location.clone(),
            }),
        }
        if enrollment.primary == Some(true) && enrollment.role == EnrollmentRole::Teacher {
            let tenure = Tenure { user, begin: enrollment.begin_date, end: enrollment.end_date };
            let tenures = self.facts.primary_teachers.entry(class).or_default();
            let is_shared = tenures.iter().any(|other| other.user != user && other.overlaps(&tenure));
            tenures.push(tenure);
            if is_shared {
                self.warn_on(
                    upsert,
                    Finding::on(
                        Code::ValueConflict,
                        "primary",
                        "the class has another primary teacher at the same time, and the standard allows one; both are kept",
                    ),
                );
            }
        }
    }

    pub(super) fn arrive_deletion(&mut self, deletion: Deletion) {
        let kind = deletion.kind;
        self.received += 1;
        self.counts[kind].received += 1;
        self.heard_of[kind] = true;
        let key = self.keys.of(&deletion.sourced_id);
        let entry = self.table_mut(kind).entry(key);
        if entry.has(flag::HEARD_OF) {
            self.later.disputed.insert((kind, key));
            self.later.again.push(Event::Delete(deletion));
            return;
        }
        if entry.is_stored_newer_than(deletion.modified_ms) {
            entry.set(flag::WAITING);
            self.later.older.push(Event::Delete(deletion));
            return;
        }
        self.delete_explicitly(deletion);
    }

    /// Takes the source's word that a record is gone. The record has not been seen in this run, or no longer counts.
    pub(super) fn delete_explicitly(&mut self, deletion: Deletion) {
        let Deletion { kind, sourced_id, modified_ms, .. } = deletion;
        let key = self.keys.of(&sourced_id);
        let entry = self.table_mut(kind).entry(key);
        let newer = entry.learn_date(modified_ms);
        let newest = entry.modified_ms();
        let was_live = entry.was_live();
        let was_cascade = entry.has(flag::DELETED) && entry.has(flag::BY_CASCADE);
        let is_stored = entry.has(flag::STORED);
        entry.set(flag::GONE);
        if was_live {
            self.counts[kind].deleted += 1;
            self.later.deleted.push((kind, sourced_id.clone()));
            self.stage(StagedChange::Delete { kind, sourced_id, reason: DeleteReason::Explicit, modified_ms: newest });
            return;
        }
        // Nothing to delete. A record that went with its parent must not come back with it any more.
        self.counts[kind].unchanged += 1;
        if was_cascade || (is_stored && newer) {
            let reason = was_cascade.then_some(DeleteReason::Explicit);
            self.stage(touch(kind, sourced_id, newer.then_some(newest).flatten(), reason));
        }
    }

    // -- what waits for a batch to fill -------------------------------------------------------------------------------

    /// Compares records that are stored under an older encoding field by field, and rewrites their fingerprints.
    async fn compare_outdated(&mut self) -> Result<(), Failure> {
        let waiting = take(&mut self.later.outdated);
        for chunk in by_kind(waiting) {
            let kind = chunk[0].record().kind();
            let mut stored = self.fetch(kind, chunk.iter().map(|upsert| upsert.record().sourced_id())).await?;
            for upsert in chunk {
                let same = stored.remove(upsert.record().sourced_id()).and_then(|fetched| fetched.stored).is_some_and(
                    |mut stored| {
                        stored.record.normalise();
                        stored.record.fingerprint(&mut self.scratch) == upsert.fingerprint()
                    },
                );
                let key = self.keys.of(upsert.record().sourced_id());
                let is_live = self.table_mut(kind).entry(key).was_live();
                if same && is_live {
                    let sourced_id = upsert.record().sourced_id().clone();
                    let fingerprint = Some(upsert.fingerprint());
                    self.stage(StagedChange::Touch {
                        kind,
                        sourced_id,
                        modified_ms: None,
                        fingerprint,
                        reason: None,
                        roles: None,
                    });
                }
                let key = self.keys.of(upsert.record().sourced_id());
                self.decide(upsert, key, same);
            }
        }
        Ok(())
    }

    /// Gives users that come without roles the roles they have.
    async fn join_halves(&mut self) -> Result<(), Failure> {
        let waiting = take(&mut self.later.halves);
        if waiting.is_empty() {
            return Ok(());
        }
        let mut stored = self.fetch(Kind::Users, waiting.iter().map(|upsert| upsert.record().sourced_id())).await?;
        for upsert in waiting {
            let location = upsert.location.clone();
            let (modified_ms, half) = (upsert.modified_ms, upsert.half);
            let mut record = upsert.into_record();
            if half == UserHalf::WithoutRoles {
                self.entry_mut(Kind::Users, record.sourced_id()).set(flag::HALF);
            }
            if let Record::Users(user) = &mut record
                && let Some(known) = stored.remove(&user.sourced_id)
            {
                // The agents of a user who is gone stay on record: one who comes back has them still.
                let last = known.staged.clone().or_else(|| known.stored.as_ref().map(|stored| stored.record.clone()));
                let of = if half == UserHalf::WithoutAgents { last } else { current(known) };
                match (half, of) {
                    (UserHalf::WithoutRoles, Some(Record::Users(known))) => user.roles = known.roles,
                    (UserHalf::WithoutAgents, Some(Record::Users(known))) => user.agents = known.agents,
                    _ => {}
                }
            }
            let whole = Upsert::new(record, modified_ms, location, &mut self.scratch);
            self.admit(whole);
        }
        Ok(())
    }

    /// Checks the schools of enrollments against classes that this run has not seen.
    pub(super) async fn compare_schools(&mut self) -> Result<(), Failure> {
        let waiting = take(&mut self.later.schools);
        for chunk in waiting.chunks(FETCH_BATCH) {
            let classes: HashSet<_> = chunk.iter().map(|claim| &claim.class).collect();
            let known = self.fetch(Kind::Classes, classes.into_iter()).await?;
            for claim in chunk {
                let Some(fetched) = known.get(&claim.class) else { continue };
                let class = fetched.staged.as_ref().or(fetched.stored.as_ref().map(|stored| &stored.record));
                let Some(Record::Classes(class)) = class else { continue };
                if claim.school.as_ref() != Some(&class.school) {
                    self.warn(Warning {
                        kind: Some(Kind::Enrollments),
                        sourced_id: Some(claim.enrollment.clone()),
                        location: claim.location.clone(),
                        finding: school_finding(claim.school.is_some()),
                    });
                }
            }
        }
        Ok(())
    }

    // -- bookkeeping --------------------------------------------------------------------------------------------------

    /// Reads what the store knows of a kind and of the kinds it refers to.
    pub(super) async fn load_for(&mut self, kind: Kind) -> Result<(), Failure> {
        if self.is_ready_for[kind] {
            return Ok(());
        }
        self.is_ready_for[kind] = true;
        self.load(kind).await?;
        for field in RefField::ALL {
            if field.holder() == kind && self.tables[field.target()].is_none() {
                self.load(field.target()).await?;
            }
        }
        self.look_ahead_after(kind);
        Ok(())
    }

    /// Reads what the store knows of a kind.
    pub(super) async fn load(&mut self, kind: Kind) -> Result<(), Failure> {
        if self.tables[kind].is_some() {
            return Ok(());
        }
        if self.ahead.as_ref().is_none_or(|ahead| ahead.kind != kind) {
            self.look_ahead_to(kind);
        }
        while self.look_ahead().await? {}
        Ok(())
    }

    /// Begins to read what the store knows of the first kind after `kind` that nothing has asked for.
    fn look_ahead_after(&mut self, kind: Kind) {
        let wanted = |kind| kind != Kind::Demographics || self.options.demographics;
        let next = Kind::ALL.into_iter().skip_while(|other| *other != kind).find(|next| self.tables[*next].is_none());
        if let Some(next) = next.filter(|next| wanted(*next)) {
            self.look_ahead_to(next);
        }
    }

    fn look_ahead_to(&mut self, kind: Kind) {
        let pages = self.store.fingerprints(self.source, kind);
        self.ahead = Some(Ahead { kind, pages, loading: Loading::default(), live: 0, first_id: None });
    }

    /// Whether something of what the store knows is on its way.
    pub(super) fn is_looking_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// Takes the next page of what the store knows, and says whether there may be more. May be dropped while it waits.
    pub(super) async fn look_ahead(&mut self) -> Result<bool, Failure> {
        let Some(ahead) = &mut self.ahead else { return Ok(false) };
        if let Some(page) = ahead.pages.next().await {
            for stored in page? {
                ahead.live += u64::from(stored.deleted.is_none());
                let first = *ahead.first_id.get_or_insert(stored.internal_id);
                ahead.loading.add(self.keys.of(&stored.sourced_id), |entry| fill(entry, &stored, first));
            }
            return Ok(true);
        }
        if let Some(Ahead { kind, loading, live, first_id, .. }) = self.ahead.take() {
            self.tables[kind] = Some(loading.into_table());
            self.live[kind] = live;
            self.first_ids[kind] = first_id.unwrap_or_default();
            if self.received >= MUCH {
                self.look_ahead_after(kind);
            }
        }
        Ok(false)
    }

    /// The ids of the stored records that the run has not heard of and whose entries are `wanted`: the table knows only
    /// hashes.
    pub(super) async fn unheard_of(
        &mut self,
        kind: Kind,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Vec<SourcedId>, Failure> {
        let (store, first) = (self.store, self.first_ids[kind]);
        let table = self.table_mut(kind);
        let expected = table.iter().filter(|entry| wanted(entry)).count();
        let mut internal = Vec::new();
        if expected <= LOOKED_UP {
            let distances = table.iter().filter(|entry| wanted(entry)).filter_map(Entry::position);
            internal.extend(distances.filter_map(|distance| first.checked_add_unsigned(distance)));
            internal.sort_unstable();
        }
        let mut ids = Vec::with_capacity(expected);
        for chunk in internal.chunks(LOOK_UP_BATCH) {
            let found = store.sourced_ids(self.source, kind, chunk).await?;
            ids.extend(found.into_iter().filter(|id| self.entry(kind, id).is_some_and(&wanted)));
        }
        if ids.len() < expected {
            // Too many to ask for one by one, or too far apart to have been noted.
            ids.clear();
            let mut pages = store.fingerprints(self.source, kind);
            while let Some(page) = pages.next().await {
                let found = page?.into_iter().map(|stored| stored.sourced_id);
                ids.extend(found.filter(|id| self.entry(kind, id).is_some_and(&wanted)));
            }
        }
        Ok(ids)
    }

    /// The table of a kind. Empty if the kind was never loaded, which only a kind that nothing arrived of can be.
    pub(super) fn table_mut(&mut self, kind: Kind) -> &mut Table {
        self.tables[kind].get_or_insert_default()
    }

    pub(super) fn table(&self, kind: Kind) -> Option<&Table> {
        self.tables[kind].as_ref()
    }

    pub(super) fn entry(&self, kind: Kind, id: &SourcedId) -> Option<&Entry> {
        self.table(kind)?.get(self.keys.of(id))
    }

    pub(super) fn entry_mut(&mut self, kind: Kind, id: &SourcedId) -> &mut Entry {
        let key = self.keys.of(id);
        self.table_mut(kind).entry(key)
    }

    pub(super) fn flags(&self, kind: Kind, id: &SourcedId) -> Flags {
        self.entry(kind, id).map_or(0, Entry::flags)
    }

    pub(super) fn is_there(&self, kind: Kind, id: &SourcedId) -> bool {
        self.is_there_by_key(kind, self.keys.of(id))
    }

    pub(super) fn is_there_by_key(&self, kind: Kind, key: Key) -> bool {
        self.table(kind).and_then(|table| table.get(key)).is_some_and(Entry::is_there)
    }

    /// Records by id, as stored and as staged so far.
    pub(super) async fn fetch<'b>(
        &mut self,
        kind: Kind,
        ids: impl Iterator<Item = &'b SourcedId>,
    ) -> Result<HashMap<SourcedId, Fetched>, Failure> {
        self.flush().await?;
        let ids: Vec<_> = ids.cloned().collect();
        let mut found = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(FETCH_BATCH) {
            for fetched in self.store.fetch(self.source, self.run, kind, chunk).await? {
                found.insert(fetched.sourced_id.clone(), fetched);
            }
        }
        Ok(found)
    }

    pub(super) fn stage(&mut self, change: StagedChange) {
        self.staged.push(change);
    }

    /// Hands over what is staged, and sees that the store has it.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.hand_over().await?;
        self.handed_over().await
    }

    /// Hands over what is staged once it is worth a batch: a million records may have waited.
    pub(super) async fn hand_over_batches(&mut self) -> Result<(), Failure> {
        if self.staged.len() >= STAGE_BATCH { self.hand_over().await } else { Ok(()) }
    }

    /// Hands over what is staged. The store writes it while the next records are decided.
    async fn hand_over(&mut self) -> Result<(), Failure> {
        self.handed_over().await?;
        if !self.staged.is_empty() {
            let changes = take(&mut self.staged);
            let mut staging = self.store.stage(self.source, self.run, changes);
            // A future does nothing until it is asked for the first time.
            match futures::poll!(&mut staging) {
                Poll::Ready(done) => done?,
                Poll::Pending => self.staging = Some(staging),
            }
        }
        Ok(())
    }

    async fn handed_over(&mut self) -> Result<(), Failure> {
        if let Some(staging) = self.staging.take() {
            staging.await?;
        }
        Ok(())
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if let Some(kind) = warning.kind {
            if kind == Kind::Demographics && !self.options.demographics {
                return;
            }
            self.counts[kind].warnings += 1;
        }
        self.warnings.add(warning);
    }

    pub(super) fn warn_on(&mut self, upsert: &Upsert, finding: Finding) {
        self.warn(Warning {
            kind: Some(upsert.record().kind()),
            sourced_id: Some(upsert.record().sourced_id().clone()),
            location: upsert.location.clone(),
            finding,
        });
    }

    /// A warning about what is stored rather than about something that was sent.
    pub(super) fn warn_of_stored(&mut self, kind: Kind, sourced_id: Option<SourcedId>, finding: Finding) {
        let location = Location::whole(&Arc::from("store"));
        self.warn(Warning { kind: Some(kind), sourced_id, location, finding });
    }

    /// Refuses a record that has been received.
    pub(super) fn reject(&mut self, reject: Reject, pending: Option<PendingRecord>) {
        let kind = reject.kind;
        self.counts[kind].rejected += 1;
        match &reject.sourced_id {
            // The user stays what it is, and has been heard of.
            Some(id) if reject.is_part => self.entry_mut(kind, id).set(flag::ROLES),
            None if reject.is_part => self.facts.unreadable_role = true,
            // Another row of the id may wait still.
            Some(id) => self.entry_mut(kind, id).set(flag::REJECTED),
            None => self.unreadable[kind] = true,
        }
        self.stage(StagedChange::Reject { reject, pending });
    }

    /// Refuses a mapped record.
    pub(super) fn reject_record(
        &mut self,
        record: &Record,
        location: Location,
        findings: Vec<Finding>,
        pending: Option<PendingRecord>,
    ) {
        let reject = Reject {
            kind: record.kind(),
            sourced_id: Some(record.sourced_id().clone()),
            is_part: false,
            location,
            findings,
            record: as_json(record),
        };
        self.reject(reject, pending);
    }

    pub(super) fn counts(&self) -> PerKind<Counts> {
        self.counts
    }

    pub(super) fn into_warnings(self) -> Vec<WarningGroup> {
        self.warnings.into_groups()
    }
}

/// A record as the report of its refusal shows it.
pub(super) fn as_json(record: &Record) -> Option<serde_json::Value> {
    // Serialising a record cannot fail: its maps have text keys. If it ever did, the reject would stand without it.
    serde_json::to_value(record).ok()
}

/// The record as the run would leave it, if it is live.
pub(super) fn current(fetched: Fetched) -> Option<Record> {
    let stored = fetched.stored.filter(|stored| stored.deleted.is_none()).map(|stored| stored.record);
    fetched.staged.or(stored)
}

pub(super) fn touch(
    kind: Kind,
    sourced_id: SourcedId,
    modified_ms: Option<i64>,
    reason: Option<DeleteReason>,
) -> StagedChange {
    StagedChange::Touch { kind, sourced_id, modified_ms, fingerprint: None, reason, roles: None }
}

/// Cuts records into runs of one kind, each small enough to ask for at once.
fn by_kind(mut upserts: Vec<Upsert>) -> Vec<Vec<Upsert>> {
    upserts.sort_by_key(|upsert| upsert.record().kind());
    let mut chunks: Vec<Vec<Upsert>> = Vec::new();
    for upsert in upserts {
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < FETCH_BATCH && chunk[0].record().kind() == upsert.record().kind() => {
                chunk.push(upsert);
            }
            _ => chunks.push(vec![upsert]),
        }
    }
    chunks
}

fn fill(entry: &mut Entry, stored: &StoredFingerprint, first_id: i64) {
    entry.set(flag::STORED);
    entry.set_position(stored.internal_id.checked_sub(first_id).and_then(|distance| u64::try_from(distance).ok()));
    entry.set_fingerprint(stored.fingerprint);
    entry.advance(stored.modified_ms);
    match stored.deleted {
        None => {}
        Some(DeleteReason::Cascade) => entry.set(flag::DELETED | flag::BY_CASCADE),
        Some(DeleteReason::Explicit | DeleteReason::Absent) => entry.set(flag::DELETED),
    }
    if stored.encoding != ENCODING_VERSION {
        entry.set(flag::OUTDATED);
    }
    if stored.disabled {
        entry.set(flag::DISABLED);
    }
}

fn school_finding(stated: bool) -> Finding {
    let message = if stated {
        "the enrollment's school is not its class's; the class's counts"
    } else {
        "the enrollment names no school; its class's counts"
    };
    Finding::on(Code::ValueConflict, RefField::EnrollmentSchool.column(), message)
}

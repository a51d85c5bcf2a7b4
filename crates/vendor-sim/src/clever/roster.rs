//! The objects of one district at one time.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rollcall_domain::vocabulary::{EnrollmentRole, OrgType, SessionType};
use rollcall_domain::{Kind, Record, SourcedId};

use super::object_id::{Ids, ObjectId, digits_of, seconds};
use super::shape::{Seats, Shape};
use super::{ApiVersion, Progress};
use crate::collection::{Builder, Changes, Collection, Stamp, Step, date_time};
use crate::district::{District, first_morning};
use crate::json::Members;

/// Records between two reports of progress.
const REPORT_EVERY: usize = 20_000;

/// What is served in lists, districts aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    Schools,
    Terms,
    Courses,
    Sections,
    Users,
}

impl Resource {
    /// In the order in which a day's events tell of them: sections come before the users they name.
    pub(super) const ALL: [Self; 5] = [Self::Schools, Self::Terms, Self::Courses, Self::Sections, Self::Users];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Schools => "schools",
            Self::Terms => "terms",
            Self::Courses => "courses",
            Self::Sections => "sections",
            Self::Users => "users",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }

    /// The kind of record that it is made of.
    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Schools => Kind::Orgs,
            Self::Terms => Kind::AcademicSessions,
            Self::Courses => Kind::Courses,
            Self::Sections => Kind::Classes,
            Self::Users => Kind::Users,
        }
    }

    /// Whether objects say when they were made and changed.
    const fn has_times(self) -> bool {
        !matches!(self, Self::Terms | Self::Courses)
    }

    /// What stands below an object, as its links spell it.
    pub(super) const fn relations(self) -> &'static [&'static str] {
        match self {
            Self::Schools => &["district", "sections", "users", "terms", "courses"],
            Self::Terms | Self::Courses => &["district", "sections", "schools"],
            Self::Sections => &["district", "school", "term", "course", "users"],
            Self::Users => &["district", "sections", "myContacts", "myTeachers", "myStudents", "schools"],
        }
    }

    /// Writes an object.
    pub(super) fn write(self, out: &mut Vec<u8>, id: &[u8], members: &[u8], modified: &str) {
        out.extend_from_slice(b"{\"id\":\"");
        out.extend_from_slice(id);
        out.push(b'"');
        out.extend_from_slice(members);
        if self.has_times() {
            let created = date_time(ObjectId::parse(id).unwrap_or_default().time());
            for (key, value) in [("created", created.as_str()), ("last_modified", modified)] {
                out.extend_from_slice(format!(",\"{key}\":\"{value}\"").as_bytes());
            }
        }
        out.push(b'}');
    }
}

/// All objects of a district.
#[derive(Debug, Default)]
pub(super) struct Roster([Collection; 5]);

impl Roster {
    pub(super) fn collection(&self, resource: Resource) -> &Collection {
        &self.0[resource as usize]
    }

    /// What becomes of it when the roster is `next`: see [`Collection::succeed`].
    pub(super) fn succeed(
        &self,
        next: Self,
        now: Timestamp,
        tell: &mut dyn FnMut(Resource, Step<'_>),
    ) -> (Self, [Changes; 5]) {
        let mut changes = [Changes::default(); 5];
        let mut next = next.0.into_iter();
        let collections = Resource::ALL.map(|resource| {
            let later = next.next().unwrap_or_default();
            let before = self.collection(resource);
            let (collection, changed) = before.succeed(later, now, false, &mut |step| tell(resource, step));
            changes[resource as usize] = changed;
            collection
        });
        (Self(collections), changes)
    }

    /// Makes the objects of a district, all stamped alike.
    pub(super) fn of(
        district: &District,
        ids: &mut Ids,
        version: ApiVersion,
        now: Timestamp,
        progress: Progress<'_>,
    ) -> Self {
        // The same for whoever gets to this generation, whenever.
        let days = u32::try_from(district.generation()).unwrap_or_default();
        let minted = seconds(first_morning()).saturating_add(days.saturating_mul(24 * 60 * 60));
        for kind in [Kind::Classes, Kind::Users] {
            for record in district.records(kind) {
                ids.mint(record.sourced_id(), minted);
            }
        }
        let mut schools = HashSet::new();
        let mut district_id = ObjectId::default();
        for record in district.records(Kind::Orgs) {
            match record {
                Record::Orgs(org) if org.org_type == OrgType::School => {
                    schools.insert(org.sourced_id);
                }
                Record::Orgs(org) if org.org_type == OrgType::District => district_id = ids.of(&org.sourced_id),
                _ => {}
            }
        }
        let shape = Shape { version, ids, district: district_id, schools: &schools };
        let maker = Maker { district, shape: &shape, now, progress };
        std::thread::scope(|scope| {
            let users = scope.spawn(|| maker.users());
            let (schools, sections) = maker.schools_and_sections();
            let (terms, courses) = (maker.terms(), maker.courses());
            // A thread that panics takes the simulator with it.
            let users = users.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Self([schools, terms, courses, sections, users])
        })
    }
}

struct Maker<'a> {
    district: &'a District,
    shape: &'a Shape<'a>,
    now: Timestamp,
    progress: Progress<'a>,
}

impl Maker<'_> {
    fn collect(&self, kind: Kind, mut write: impl FnMut(&mut Members, &Record) -> bool) -> Collection {
        let mut builder = Builder::default();
        let mut out = Members::default();
        let stamp = builder.stamp(Stamp::active(self.now));
        for record in self.district.records(kind) {
            out.clear();
            if write(&mut out, &record) {
                let id = self.shape.ids.of(record.sourced_id()).to_string();
                builder.push(&id, out.as_bytes(), stamp);
                if builder.len().is_multiple_of(REPORT_EVERY) {
                    (self.progress)(kind, builder.len());
                }
            }
        }
        builder.finish()
    }

    fn users(&self) -> Collection {
        // Demographics come in the order of students.
        let mut demographics = self.district.records(Kind::Demographics).peekable();
        self.collect(Kind::Users, |out, record| {
            let Record::Users(user) = record else { return false };
            let own = demographics.next_if(|next| *next.sourced_id() == user.sourced_id);
            let own = own.as_ref().and_then(|record| match record {
                Record::Demographics(demographics) => Some(&**demographics),
                _ => None,
            });
            self.shape.user(out, user, own);
            true
        })
    }

    fn courses(&self) -> Collection {
        self.collect(Kind::Courses, |out, record| {
            let Record::Courses(course) = record else { return false };
            self.shape.course(out, course);
            true
        })
    }

    /// The school year and its semesters: no section is held for a grading period.
    fn terms(&self) -> Collection {
        self.collect(Kind::AcademicSessions, |out, record| {
            let Record::AcademicSessions(session) = record else { return false };
            self.shape.term(out, session);
            session.session_type != SessionType::GradingPeriod
        })
    }

    fn schools_and_sections(&self) -> (Collection, Collection) {
        let mut seats: HashMap<u64, Seats> = HashMap::new();
        for record in self.district.records(Kind::Enrollments) {
            let Record::Enrollments(enrollment) = record else { continue };
            let user = self.shape.ids.of(&enrollment.user);
            let seats = seats.entry(digits_of(&enrollment.class)).or_default();
            match enrollment.role {
                EnrollmentRole::Student => seats.students.push(user),
                EnrollmentRole::Teacher => seats.teachers.push((enrollment.primary == Some(true), user)),
                _ => {}
            }
        }
        let mut year = None;
        for record in self.district.records(Kind::AcademicSessions) {
            if let Record::AcademicSessions(session) = record
                && session.session_type == SessionType::SchoolYear
            {
                year = Some(session.sourced_id);
            }
        }
        let mut taught: HashMap<SourcedId, Vec<rollcall_domain::Text>> = HashMap::new();
        let sections = self.collect(Kind::Classes, |out, record| {
            let Record::Classes(class) = record else { return false };
            taught.entry(class.school.clone()).or_default().extend(class.grades.iter().cloned());
            let Some(seats) = seats.get_mut(&digits_of(&class.sourced_id)) else { return false };
            self.shape.section(out, class, seats, year.as_ref());
            // A section without students is none.
            !seats.students.is_empty()
        });
        let schools = self.collect(Kind::Orgs, |out, record| {
            let Record::Orgs(org) = record else { return false };
            // `KG` comes before `01`, and not after `12`.
            let by_age = |name: &&rollcall_domain::Text| (name.as_str() != "KG", (*name).clone());
            let grades = taught.get(&org.sourced_id);
            let lowest = grades.and_then(|names| names.iter().min_by_key(by_age));
            let highest = grades.and_then(|names| names.iter().max_by_key(by_age));
            self.shape.school(out, org, lowest.zip(highest));
            org.org_type == OrgType::School
        });
        (schools, sections)
    }
}

//! The synthetic school district.

mod calendar;
mod catalogue;
mod churn;
mod demographics;
mod enrollments;
mod names;
mod orgs;
mod people;
mod plan;

use std::collections::BTreeSet;

use rollcall_domain::{Kind, Record, SourcedId, Text};

pub(crate) use self::calendar::first_morning;
use self::churn::Turnover;
use self::plan::Plan;
use crate::random::{Draw, Purpose, key, mix};

/// A synthetic district: a pure function of its number of students, its seed and the days that have passed.
///
/// It has elementary, middle and high schools, departments, a school year with semesters and quarters, courses,
/// classes, students, guardians, teachers, aides and staff: about eleven records per student, eight of them
/// enrollments. Every reference resolves. Records come [normalised](Record::normalise).
///
/// Each [day](District::next_day) changes a share of it; see [`Churn`]. The same district, two days later, is the same
/// whoever makes it and however it gets there.
///
/// ```
/// use rollcall_domain::Kind;
/// use rollcall_vendor_sim::{Churn, District};
///
/// let monday = District::new(200, 7)?;
/// let tuesday = monday.clone().next_day(Churn::new(0.01)?);
/// assert_eq!(monday.records(Kind::Orgs).count(), tuesday.records(Kind::Orgs).count());
/// # Ok::<(), rollcall_vendor_sim::DistrictError>(())
/// ```
#[derive(Debug, Clone)]
pub struct District {
    seed: u64,
    plan: Plan,
    /// The churn of each generation after the first state.
    churns: Vec<Churn>,
    turnover: Turnover,
}

/// The share of a district that changes in one day: about so much of the users is changed, so much of the enrollments
/// dropped, and so much added; a few students come and leave, a few classes open and close. Schools, sessions and
/// courses never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Churn {
    millionths: usize,
}

/// Why there can be no such district.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistrictError {
    /// The number of students is out of range.
    #[error("a district has between 1 and {max} students, not {students}", max = District::MAX_STUDENTS)]
    Students {
        /// The number that was asked for.
        students: usize,
    },
    /// The churn is not a share.
    #[error("churn is a share between 0 and 1, not {share}")]
    Churn {
        /// The number that was asked for.
        share: f64,
    },
}

impl District {
    /// The largest number of students.
    pub const MAX_STUDENTS: usize = 50_000_000;

    /// The district on its first day.
    pub fn new(students: usize, seed: u64) -> Result<Self, DistrictError> {
        if !(1..=Self::MAX_STUDENTS).contains(&students) {
            return Err(DistrictError::Students { students });
        }
        Ok(Self { seed, plan: Plan::new(students), churns: Vec::new(), turnover: Turnover::default() })
    }

    /// The district `generation` days later, each of them with the same churn.
    pub fn at_generation(students: usize, seed: u64, generation: usize, churn: Churn) -> Result<Self, DistrictError> {
        Ok((0..generation).fold(Self::new(students, seed)?, |district, _| district.next_day(churn)))
    }

    /// The district one day later.
    #[must_use]
    pub fn next_day(mut self, churn: Churn) -> Self {
        self.turn_over(churn);
        self
    }

    /// How many days have passed.
    pub fn generation(&self) -> usize {
        self.churns.len()
    }

    /// The records of a kind, in an order that stays the same from day to day.
    pub fn records(&self, kind: Kind) -> Box<dyn Iterator<Item = Record> + Send + '_> {
        fn normalised(record: impl Into<Record>) -> Record {
            let mut record = record.into();
            record.normalise();
            record
        }
        match kind {
            Kind::Orgs => Box::new(self.orgs().map(normalised)),
            Kind::AcademicSessions => Box::new(self.academic_sessions().map(normalised)),
            Kind::Courses => Box::new(self.courses().map(normalised)),
            Kind::Classes => Box::new(self.classes().map(normalised)),
            Kind::Users => Box::new(self.users().map(normalised)),
            Kind::Enrollments => Box::new(self.enrollments().map(normalised)),
            Kind::Demographics => Box::new(self.demographics().map(normalised)),
        }
    }

    /// All records, kind by kind, each after those it refers to.
    pub fn all_records(&self) -> impl Iterator<Item = Record> + Send + '_ {
        Kind::ALL.into_iter().flat_map(|kind| self.records(kind))
    }

    /// The names of the extension fields that records of a kind can have.
    pub fn metadata_keys(kind: Kind) -> BTreeSet<Text> {
        let keys: &[&'static str] = match kind {
            Kind::Orgs => &["phone"],
            Kind::Courses => &["credits"],
            Kind::Classes => &["maxStudents"],
            Kind::AcademicSessions | Kind::Users | Kind::Enrollments | Kind::Demographics => &[],
        };
        keys.iter().map(|key| Text::const_new(key)).collect()
    }

    /// The sourcedId of the `number`-th record of a purpose. Scrambled, so that it tells nothing; a bijection, so that
    /// no two are equal.
    #[expect(clippy::expect_used, reason = "an id with a prefix is never blank")]
    fn id(&self, prefix: &'static str, purpose: Purpose, number: u64) -> SourcedId {
        const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let mut scrambled = mix(number ^ key(self.seed, purpose));
        let mut id = Text::const_new(prefix);
        id.push('-');
        for _ in 0..16 {
            scrambled = scrambled.rotate_left(4);
            id.push(HEX[usize::from(scrambled.to_le_bytes()[0] & 0xf)]);
        }
        SourcedId::try_from(id).expect("an id with a prefix is not blank")
    }

    /// A sequence for one user and one further number.
    fn draw_for_user(&self, purpose: Purpose, user: u64, number: usize) -> Draw {
        Draw::new(mix(user ^ key(self.seed, Purpose::User)), purpose, &[number])
    }
}

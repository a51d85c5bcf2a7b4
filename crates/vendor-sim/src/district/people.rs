//! Students, guardians, teachers, aides and staff.

use compact_str::format_compact;
use jiff::civil::date;
use rollcall_domain::entities::{ExternalId, Metadata, Role, User};
use rollcall_domain::vocabulary::{RoleType, UserRole};
use rollcall_domain::{SourcedId, Text};

use super::District;
use super::calendar::{YEAR, span_of};
use super::catalogue::{Lesson, grade_name};
use super::churn::Changes;
use super::names::{FAMILY, Name, family, given, text};
use super::orgs::SPECIAL_EDUCATION;
use super::plan::{Level, Plan, SLOTS, Seat};
use crate::random::{Draw, Purpose};

/// The people of a district, each sort counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Person {
    Student(usize),
    Guardian(usize),
    Teacher(usize),
    Aide(usize),
    /// The four of each school's office.
    Office(usize),
    /// The three of the district's office.
    Central(usize),
}

/// Sections per aide.
pub(super) const SECTIONS_PER_AIDE: usize = 16;
/// An aide is in the first classes of a section's day.
pub(super) const AIDE_SLOTS: usize = 4;
const OFFICE: usize = 4;
const CENTRAL: usize = 3;
/// Students per household group: the first two may have guardians, of whom there are up to two.
const HOUSEHOLD: usize = 4;

impl Person {
    /// A number that no other person has.
    const fn number(self) -> u64 {
        let (sort, index) = match self {
            Self::Student(index) => (0, index),
            Self::Guardian(index) => (1, index),
            Self::Teacher(index) => (2, index),
            Self::Aide(index) => (3, index),
            Self::Office(index) => (4, index),
            Self::Central(index) => (5, index),
        };
        sort << 40 | index as u64
    }
}

/// The parts of a user that are made alike for everybody.
struct Identity {
    draw: Draw,
    female: bool,
    given: Name,
    base_family: Name,
    family: Text,
    contact: usize,
}

impl District {
    pub(super) fn user_id(&self, person: Person) -> SourcedId {
        self.id("usr", Purpose::User, person.number())
    }

    pub(super) fn users(&self) -> impl Iterator<Item = User> + '_ {
        let central = (0..CENTRAL).map(|index| self.central(index));
        let office = (0..self.plan.schools * OFFICE).map(|index| self.office(index));
        let teachers = (0..self.plan.sections * 2).map(|index| self.teacher(index));
        let aides = (0..self.plan.sections.div_ceil(SECTIONS_PER_AIDE)).map(|index| self.aide(index));
        let students = self.students().map(|index| self.student(index));
        let guardians = (0..self.students_ever().div_ceil(HOUSEHOLD) * 2).filter_map(|index| self.guardian(index));
        central.chain(office).chain(teachers).chain(aides).chain(students).chain(guardians)
    }

    /// The students who are here today.
    pub(super) fn students(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.students_ever()).filter(|&student| self.student_is_here(student))
    }

    pub(super) fn student_changes(&self, student: usize) -> Changes {
        let can_move = self.plan.schools_for(Plan::grade_of(student)) > 1;
        self.user_changes(Person::Student(student).number(), self.student_since(student), can_move)
    }

    /// Where a student is taught today.
    pub(super) fn seat(&self, student: usize, changes: Changes) -> Seat {
        if changes.moves == 0 {
            return self.plan.first_seat(student);
        }
        let grade = Plan::grade_of(student);
        let place = (self.plan.first_place(student) + changes.moves) % self.plan.schools_for(grade);
        let position = Draw::new(self.seed, Purpose::Move, &[student, changes.moved]).below(1 << 16);
        self.plan.seat(grade, place, position)
    }

    pub(super) fn is_female(&self, person: Person) -> bool {
        self.draw_for_user(Purpose::User, person.number(), 0).percent(50)
    }

    fn identity(&self, person: Person, family_base: usize, changes: Changes) -> Identity {
        let mut draw = self.draw_for_user(Purpose::User, person.number(), 0);
        let female = draw.percent(50);
        let given = given(&mut draw, female);
        let base_family = family(family_base, 0);
        let family = text(family(family_base, changes.family_shift));
        Identity { draw, female, given, base_family, family, contact: changes.contact }
    }

    /// Where in the list of family names a person begins.
    fn family_base(&self, person: Person) -> usize {
        let own = |person: Person| self.draw_for_user(Purpose::Household, person.number(), 0).below(FAMILY.len());
        match person {
            Person::Student(student) if student % HOUSEHOLD == 1 => match self.household(student / HOUSEHOLD) {
                0 | 3 => own(Person::Student(student - 1)),
                _ => own(person),
            },
            Person::Guardian(guardian) => {
                let first = guardian / 2 * HOUSEHOLD;
                let apart = self.household(guardian / 2) == 1;
                let shares = self.draw_for_user(Purpose::Household, person.number(), 1).percent(75);
                match (shares, guardian % 2) {
                    (false, _) => own(person),
                    (true, 1) if apart => own(Person::Student(first + 1)),
                    (true, _) => own(Person::Student(first)),
                }
            }
            _ => own(person),
        }
    }

    /// How the first two of four students live: 0 with both guardians, 1 with one each, 2 the first with both and the
    /// second with none, 3 with one guardian, the first with another one too.
    fn household(&self, household: usize) -> usize {
        Draw::new(self.seed, Purpose::Household, &[household]).below(4)
    }

    /// Which of a household's two guardians a student has.
    fn has_guardians(&self, student: usize) -> [bool; 2] {
        match (student % HOUSEHOLD, self.household(student / HOUSEHOLD)) {
            (0, 0 | 2 | 3) | (1, 0) => [true, true],
            (0, _) | (1, 3) => [true, false],
            (1, 1) => [false, true],
            _ => [false, false],
        }
    }

    fn student(&self, student: usize) -> User {
        let person = Person::Student(student);
        let changes = self.student_changes(student);
        let seat = self.seat(student, changes);
        let identity = self.identity(person, self.family_base(person), changes);
        let mut user = self.user(person, identity, |given, family| {
            let initial = given.chars().next().unwrap_or('x');
            (format_compact!("{initial}{family}{student}"), "students")
        });
        let mut draw = self.draw_for_user(Purpose::Contact, person.number(), 1);
        let number = 100_000 + student;
        user.identifier = Some(format_compact!("{number}"));
        user.external_ids.push(external("sis", format_compact!("{number}")));
        if draw.percent(80) {
            user.external_ids.push(external("stateId", format_compact!("{:010}", draw.below(10_000_000_000))));
        }
        user.grades = vec![grade_name(seat.grade)];
        if seat.grade < 6 && changes.contact == 0 {
            user.sms = None;
        }
        user.phone = None;
        user.agents = (0..2)
            .filter(|&which| self.has_guardians(student)[which])
            .map(|which| self.user_id(Person::Guardian(student / HOUSEHOLD * 2 + which)))
            .collect();
        let school = self.school_id(seat.school);
        user.roles = vec![role(UserRole::Student, school.clone(), RoleType::Primary)];
        // A few of the oldest help out in an elementary school.
        if seat.grade >= 11 && draw.percent(3) {
            let mut help = role(UserRole::Aide, self.school_id(0), RoleType::Primary);
            help.begin_date = Some(date(2026, 9, 14));
            help.end_date = Some(date(2027, 5, 29));
            user.roles.push(help);
            user.primary_org = Some(school);
        } else if draw.percent(50) {
            user.primary_org = Some(school);
        }
        user
    }

    fn guardian(&self, guardian: usize) -> Option<User> {
        let first = guardian / 2 * HOUSEHOLD;
        let children = || (first..first + 2).filter(move |&student| self.has_guardians(student)[guardian % 2]);
        let here: Vec<_> = children().filter(|&student| self.student_is_here(student)).collect();
        if here.is_empty() {
            return None;
        }
        let person = Person::Guardian(guardian);
        let since = children().map(|student| self.student_since(student)).min().unwrap_or(0);
        let changes = self.user_changes(person.number(), since, false);
        let identity = self.identity(person, self.family_base(person), changes);
        let mut user =
            self.user(person, identity, |given, family| (format_compact!("{given}.{family}.{guardian}.home"), "mail"));
        let mut draw = self.draw_for_user(Purpose::Contact, person.number(), 1);
        let sort = match draw.below(10) {
            0 => UserRole::Relative,
            1 | 2 => UserRole::Guardian,
            _ => UserRole::Parent,
        };
        for &child in &here {
            let school = self.school_id(self.seat(child, self.student_changes(child)).school);
            if user.roles.iter().all(|role| role.org.as_ref() != Some(&school)) {
                user.roles.push(role(sort.clone(), school, RoleType::Primary));
            }
        }
        user.agents = here.into_iter().map(|child| self.user_id(Person::Student(child))).collect();
        Some(user)
    }

    fn teacher(&self, teacher: usize) -> User {
        let person = Person::Teacher(teacher);
        let changes = self.user_changes(person.number(), 0, true);
        let identity = self.identity(person, self.family_base(person), changes);
        let mut user =
            self.user(person, identity, |given, family| (format_compact!("{given}.{family}.{teacher}"), "staff"));
        let mut draw = self.draw_for_user(Purpose::Staffing, person.number(), 0);
        user.identifier = Some(format_compact!("T{teacher:05}"));
        user.external_ids.push(external("sis", format_compact!("T{teacher:05}")));
        user.external_ids.push(external("ldap", user.username.clone().unwrap_or_default()));
        let home = self.plan.cells[self.plan.cell_of_section(teacher / 2)].school;
        let other = self.school_id((home + 1 + draw.below(self.plan.schools - 1)) % self.plan.schools);
        let home = self.school_id(home);
        let mut main = role(UserRole::Teacher, home.clone(), RoleType::Primary);
        if draw.percent(10) {
            main.begin_date = Some(date(2026, 8, 3));
        }
        user.roles.push(main);
        let extra = draw.below(100);
        // Who moves gets a second school, or gives it up.
        if (extra < 4) != (changes.moves % 2 == 1) {
            let mut second = role(UserRole::Teacher, other, RoleType::Secondary);
            second.end_date = Some(span_of(YEAR).1);
            user.roles.push(second);
        } else if extra < 6 {
            user.roles.push(role(UserRole::SiteAdministrator, other, RoleType::Primary));
        }
        if (90..92).contains(&extra) {
            let mut advises = role(UserRole::Counselor, home.clone(), RoleType::Secondary);
            advises.begin_date = Some(span_of(YEAR).0);
            advises.end_date = Some(span_of(YEAR).1);
            user.roles.push(advises);
        }
        user.primary_org = Some(home);
        user
    }

    fn aide(&self, aide: usize) -> User {
        let person = Person::Aide(aide);
        let changes = self.user_changes(person.number(), 0, false);
        let identity = self.identity(person, self.family_base(person), changes);
        let mut user =
            self.user(person, identity, |given, family| (format_compact!("{given}.{family}.{aide}.aide"), "staff"));
        let school = self.plan.cells[self.plan.cell_of_section(aide * SECTIONS_PER_AIDE)].school;
        user.roles.push(role(UserRole::Aide, self.school_id(school), RoleType::Primary));
        user.roles.push(role(UserRole::Aide, self.department_id(SPECIAL_EDUCATION), RoleType::Secondary));
        user
    }

    fn office(&self, index: usize) -> User {
        let person = Person::Office(index);
        let school = index / OFFICE;
        let changes = self.user_changes(person.number(), 0, false);
        let identity = self.identity(person, self.family_base(person), changes);
        let mut user =
            self.user(person, identity, |given, family| (format_compact!("{given}.{family}.{index}.office"), "staff"));
        let mut draw = self.draw_for_user(Purpose::Staffing, person.number(), 0);
        let org = self.school_id(school);
        user.identifier = Some(format_compact!("A{index:05}"));
        user.primary_org = Some(org.clone());
        let sort = match index % OFFICE {
            0 => {
                if draw.percent(20) {
                    user.roles.push(role(UserRole::Teacher, org.clone(), RoleType::Secondary));
                }
                UserRole::Principal
            }
            1 => {
                if draw.percent(20) {
                    let next = self.school_id((school + 1) % self.plan.schools);
                    user.roles.push(role(UserRole::SiteAdministrator, next, RoleType::Secondary));
                }
                UserRole::SiteAdministrator
            }
            2 => UserRole::SystemAdministrator,
            _ => UserRole::Proctor,
        };
        user.roles.push(role(sort, org, RoleType::Primary));
        user
    }

    fn central(&self, index: usize) -> User {
        let person = Person::Central(index);
        let changes = self.user_changes(person.number(), 0, false);
        let identity = self.identity(person, self.family_base(person), changes);
        let mut user =
            self.user(person, identity, |given, family| (format_compact!("{given}.{family}.{index}.central"), "staff"));
        let sort = if index == 2 { UserRole::SystemAdministrator } else { UserRole::DistrictAdministrator };
        user.roles.push(role(sort, self.district_id(), RoleType::Primary));
        if index == 1 {
            user.roles.push(role(UserRole::Principal, self.school_id(0), RoleType::Secondary));
        }
        user.primary_org = Some(self.district_id());
        user
    }

    /// What is made alike for everybody. `account` makes the login name and the e-mail's first label from the plain
    /// letters of the names that the user came with: accounts outlive renamings.
    fn user(&self, person: Person, identity: Identity, account: impl Fn(&str, &str) -> (Text, &'static str)) -> User {
        let Identity { mut draw, female, given, base_family, family, contact } = identity;
        let (username, host) = account(given.1, base_family.1);
        let place = self.place().split_whitespace().next().unwrap_or_default();
        let place: Text = place.chars().filter(char::is_ascii).map(|letter| letter.to_ascii_lowercase()).collect();
        let prefers = draw.percent(4);
        let mut reached = self.draw_for_user(Purpose::Contact, person.number(), contact << 1);
        User {
            sourced_id: self.user_id(person),
            enabled_user: !draw.permille(3),
            email: draw.percent(98).then(|| format_compact!("{username}@{host}.{place}.example")),
            external_ids: Vec::new(),
            given_name: Some(text(given)),
            family_name: Some(family),
            middle_name: draw.percent(30).then(|| text(super::names::given(&mut draw.clone(), female))),
            identifier: None,
            sms: (contact > 0 || draw.percent(25)).then(|| telephone(&mut reached)),
            phone: Some(telephone(&mut reached)),
            agents: Vec::new(),
            grades: Vec::new(),
            user_master_identifier: draw.percent(60).then(|| format_compact!("um-{:012x}", draw.clone().next() >> 16)),
            preferred_given_name: prefers.then(|| Text::const_new(if female { "Sam" } else { "Alex" })),
            preferred_middle_name: (prefers && draw.percent(10)).then(|| Text::const_new("J")),
            preferred_family_name: (prefers && draw.percent(20)).then(|| Text::const_new(base_family.0)),
            primary_org: None,
            pronouns: draw.percent(6).then(|| {
                Text::const_new(match (draw.clone().percent(20), female) {
                    (true, _) => "they/them",
                    (false, true) => "she/her",
                    (false, false) => "he/him",
                })
            }),
            roles: Vec::new(),
            username: Some(username),
            metadata: Metadata::new(),
        }
    }

    /// The teachers of a class: the main one, and for some classes a second one.
    pub(super) fn teachers_of(&self, lesson: Lesson) -> (Person, Option<Person>) {
        let section = if lesson.class < self.plan.classes() {
            lesson.class / SLOTS
        } else {
            self.plan.cells[lesson.cell].first_section
        };
        let half = lesson.slot * 2 / SLOTS;
        let shared = Draw::new(self.seed, Purpose::Staffing, &[lesson.class]).percent(10);
        (Person::Teacher(section * 2 + half), shared.then_some(Person::Teacher(section * 2 + 1 - half)))
    }

    /// The aide of a class, if it has one.
    pub(super) fn aide_of(&self, lesson: Lesson) -> Option<Person> {
        let section = lesson.class / SLOTS;
        (lesson.class < self.plan.classes() && section.is_multiple_of(SECTIONS_PER_AIDE) && lesson.slot < AIDE_SLOTS)
            .then_some(Person::Aide(section / SECTIONS_PER_AIDE))
    }

    pub(super) fn is_elementary(&self, seat: Seat) -> bool {
        matches!(Level::of_school(self.plan.cells[seat.cell].school), Level::Elementary)
    }
}

/// A number from the range that is reserved for fiction.
fn telephone(draw: &mut Draw) -> Text {
    format_compact!("+1 {} 555 01{:02}", 201 + draw.below(700), draw.below(100))
}

const fn external(scheme: &'static str, value: Text) -> ExternalId {
    ExternalId { scheme: Text::const_new(scheme), value }
}

const fn role(role: UserRole, org: SourcedId, role_type: RoleType) -> Role {
    Role { role, org: Some(org), role_type, begin_date: None, end_date: None, user_profile: None, sourced_id: None }
}

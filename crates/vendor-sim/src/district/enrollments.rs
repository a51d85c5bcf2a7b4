//! Who is in which class.

use jiff::civil::{Date, date};
use rollcall_domain::SourcedId;
use rollcall_domain::entities::{Enrollment, Metadata};
use rollcall_domain::vocabulary::EnrollmentRole;

use super::District;
use super::calendar::{YEAR, day_of, span_of};
use super::catalogue::Lesson;
use super::people::Person;
use super::plan::{SLOTS, Seat};
use crate::random::{Draw, Purpose};

/// Of a thousand original enrollments, how many are of students who were away for three weeks of October.
const AWAY_PERMILLE: usize = 5;
const AWAY: (Date, Date) = (date(2026, 10, 5), date(2026, 10, 26));

impl District {
    pub(super) fn enrollments(&self) -> impl Iterator<Item = Enrollment> + '_ {
        let staff = self.lessons().flat_map(|lesson| self.staff_enrollments(lesson));
        let students = self.students().flat_map(|student| self.student_enrollments(student));
        staff.chain(students)
    }

    fn staff_enrollments(&self, lesson: Lesson) -> impl Iterator<Item = Enrollment> + use<'_> {
        let (main, second) = self.teachers_of(lesson);
        let dated = Draw::new(self.seed, Purpose::Enrollment, &[lesson.class]).percent(30);
        let dates = dated.then(|| span_of(self.session_of(lesson)));
        let entry = move |place: u64, person, role, primary| {
            let id = 1 << 63 | (lesson.class as u64) << 2 | place;
            self.enrollment(id, lesson, person, role, primary, dates)
        };
        let main = entry(0, main, EnrollmentRole::Teacher, Some(true));
        let second = second.map(|person| entry(1, person, EnrollmentRole::Teacher, Some(false)));
        // The standard enrolls no aides; who helps in a class is its proctor.
        let aide = self.aide_of(lesson).map(|person| entry(2, person, EnrollmentRole::Proctor, None));
        std::iter::once(main).chain(second).chain(aide)
    }

    fn student_enrollments(&self, student: usize) -> Vec<Enrollment> {
        let today = self.generation();
        let changes = self.student_changes(student);
        let seat = self.seat(student, changes);
        // A move ends all that was before it and begins a new timetable.
        let since = self.student_since(student).max(changes.moved);
        let mut enrollments = Vec::with_capacity(SLOTS + 2);
        for slot in 0..SLOTS {
            let taken_up = (since + 1..=today).filter(|&generation| self.takes_up(student, slot, generation));
            for start in std::iter::once(since).chain(taken_up) {
                if self.dropped(student, slot, start) {
                    continue;
                }
                let class = if start == since {
                    self.timetabled(student, seat, slot, start)
                } else {
                    self.chosen(student, seat, slot, start)
                };
                let Some(class) = class.filter(|&class| self.class_is_open(class, today)) else { continue };
                self.push_student(&mut enrollments, student, slot, start, self.lesson(class));
            }
        }
        enrollments
    }

    /// The class of a slot in a student's timetable.
    fn timetabled(&self, student: usize, seat: Seat, slot: usize, start: usize) -> Option<usize> {
        // Young children stay together; older ones meet others in each class but home room.
        let section = if slot == 0 || self.is_elementary(seat) {
            seat.home_section
        } else {
            Draw::new(self.seed, Purpose::Timetable, &[student, slot, start]).below(self.plan.cells[seat.cell].sections)
        };
        self.open_class(seat, section, slot, start)
    }

    /// A class that a student takes up later: one of any slot, and a new one if there is.
    fn chosen(&self, student: usize, seat: Seat, slot: usize, start: usize) -> Option<usize> {
        let mut draw = Draw::new(self.seed, Purpose::Timetable, &[student, slot, start]);
        let new: Vec<_> = self.opened_in(seat.cell, start).filter(|&class| self.class_is_open(class, start)).collect();
        if !new.is_empty() && draw.percent(50) {
            return Some(*draw.pick(&new));
        }
        self.open_class(seat, draw.below(self.plan.cells[seat.cell].sections), draw.below(SLOTS), start)
    }

    /// The class of a section and slot, or of the next section where it was open.
    fn open_class(&self, seat: Seat, section: usize, slot: usize, start: usize) -> Option<usize> {
        let cell = self.plan.cells[seat.cell];
        (0..cell.sections)
            .map(|step| (cell.first_section + (section + step) % cell.sections) * SLOTS + slot)
            .find(|&class| self.class_is_open(class, start))
    }

    fn push_student(&self, out: &mut Vec<Enrollment>, student: usize, slot: usize, start: usize, lesson: Lesson) {
        let (term_begin, end) = span_of(self.session_of(lesson));
        let begin = if start == 0 { term_begin } else { day_of(start).max(term_begin) };
        // What is taken up after its term is over is a correction of the past.
        let begin = if begin < end { begin } else { term_begin };
        let id = (start as u64) << 36 | ((student * SLOTS + slot) as u64) << 1;
        let away = start == 0
            && term_begin == span_of(YEAR).0
            && Draw::new(self.seed, Purpose::Enrollment, &[student, slot]).permille(AWAY_PERMILLE);
        let mut push = |id, begin, end| {
            let person = Person::Student(student);
            out.push(self.enrollment(id, lesson, person, EnrollmentRole::Student, None, Some((begin, end))));
        };
        if away {
            push(id, begin, AWAY.0);
            push(id | 1, AWAY.1, end);
        } else {
            push(id, begin, end);
        }
    }

    fn enrollment(
        &self,
        id: u64,
        lesson: Lesson,
        person: Person,
        role: EnrollmentRole,
        primary: Option<bool>,
        dates: Option<(Date, Date)>,
    ) -> Enrollment {
        let school: SourcedId = self.school_id(self.plan.cells[lesson.cell].school);
        Enrollment {
            sourced_id: self.id("enr", Purpose::Enrollment, id),
            class: self.class_id(lesson.class),
            school: Some(school),
            user: self.user_id(person),
            role,
            primary,
            begin_date: dates.map(|(begin, _)| begin),
            end_date: dates.map(|(_, end)| end),
            external_ids: Vec::new(),
            metadata: Metadata::new(),
        }
    }
}

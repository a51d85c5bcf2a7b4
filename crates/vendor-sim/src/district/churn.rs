//! What the days do to a district.
//!
//! With a churn of P, each generation
//!
//! - changes about P of the users: 80 % of these are renamed, 10 % get another way to be reached, 10 % move (students
//!   to another school of their level, teachers to or from a second school);
//! - lets about 0.05 P of the students leave and as many come, with their guardians, enrollments and demographics;
//! - moves about P of the classes to another room, closes about 0.05 P of them and opens about 0.1 P;
//! - ends and begins about P of the enrollments, those of moves, departures and closures included.
//!
//! Schools, districts, departments, sessions and courses stay. In a district of forty students or more at least one
//! student comes and one leaves; in one of two hundred or more at least one class closes. Below that nobody leaves, so
//! that no single departure weighs like a mass deletion.

use std::collections::HashMap;

use super::plan::SLOTS;
use super::{Churn, District, DistrictError};
use crate::random::{Draw, Purpose};

/// In parts of the churn, in percent.
const RENAMED: usize = 80;
const RENAMED_OR_REACHED: usize = 90;
const ENROLLMENT_TURNOVER: usize = 78;
const STUDENT_TURNOVER: usize = 5;
const CLASSES_CLOSED: usize = 5;
const CLASSES_OPENED: usize = 10;

const MILLION: usize = 1_000_000;

impl Churn {
    /// Takes a share between 0 and 1, which is kept to a millionth.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
    pub fn new(share: f64) -> Result<Self, DistrictError> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self { millionths: (share * 1e6).round() as usize })
        } else {
            Err(DistrictError::Churn { share })
        }
    }

    /// `percent` of the churn, of `count`, rounded to the nearest.
    const fn share_of(self, count: usize, percent: usize) -> usize {
        (count * self.millionths / 100 * percent + MILLION / 2) / MILLION
    }

    /// Whether a thing to which `percent` of the churn applies is hit.
    fn hits(self, draw: &mut Draw, percent: usize) -> bool {
        draw.below(100 * MILLION) < self.millionths * percent
    }
}

/// A class that was opened later.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) cell: usize,
    pub(super) slot: usize,
    pub(super) generation: usize,
}

/// Who came, who left, what opened and what closed: all that cannot be worked out record by record.
#[derive(Debug, Clone, Default)]
pub(super) struct Turnover {
    /// For each generation from the first one on, the number of students that ever were, after it.
    students: Vec<usize>,
    /// When a student left.
    left: HashMap<usize, usize>,
    pub(super) opened: Vec<Opened>,
    /// The later classes of a cell, by their number.
    opened_in: HashMap<usize, Vec<usize>>,
    /// When a class closed.
    closed: HashMap<usize, usize>,
}

/// What has happened to a user since it came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changes {
    /// How many places in the list of family names the user has moved on.
    pub(super) family_shift: usize,
    /// The generation of the last new telephone number, or 0.
    pub(super) contact: usize,
    /// The generation of the last move, or 0.
    pub(super) moved: usize,
    /// How often the user moved.
    pub(super) moves: usize,
}

impl District {
    /// Works out the turnover of one more generation.
    pub(super) fn turn_over(&mut self, churn: Churn) {
        let generation = self.churns.len() + 1;
        let students = self.students_ever();
        let classes = self.classes_ever();
        let mut coming = 0;
        if churn.millionths > 0 {
            let present = students - self.turnover.left.len();
            let turnover = churn.share_of(present, STUDENT_TURNOVER);
            coming = turnover.max(1);
            let leaving = if present >= 40 { coming } else { turnover };
            let mut draw = Draw::new(self.seed, Purpose::Departure, &[generation]);
            self.turnover.left.extend(distinct(&mut draw, students, leaving, &self.turnover.left, generation));

            let open = classes - self.turnover.closed.len();
            let closing = churn.share_of(open, CLASSES_CLOSED).max(usize::from(open >= 50));
            let mut draw = Draw::new(self.seed, Purpose::Closure, &[generation]);
            self.turnover.closed.extend(distinct(&mut draw, classes, closing, &self.turnover.closed, generation));

            let mut draw = Draw::new(self.seed, Purpose::Opening, &[generation]);
            for class in classes..classes + churn.share_of(open, CLASSES_OPENED).max(1) {
                let (cell, slot) = (draw.below(self.plan.cells.len()), draw.below(SLOTS));
                self.turnover.opened.push(Opened { cell, slot, generation });
                self.turnover.opened_in.entry(cell).or_default().push(class);
            }
        }
        self.turnover.students.push(students + coming);
        self.churns.push(churn);
    }

    /// The number of students there ever were. Their indices are below it.
    pub(super) fn students_ever(&self) -> usize {
        self.turnover.students.last().copied().unwrap_or(self.plan.students)
    }

    /// The number of classes there ever were.
    pub(super) fn classes_ever(&self) -> usize {
        self.plan.classes() + self.turnover.opened.len()
    }

    /// The generation with which a student came.
    pub(super) fn student_since(&self, student: usize) -> usize {
        if student < self.plan.students {
            0
        } else {
            self.turnover.students.partition_point(|&after| after <= student) + 1
        }
    }

    pub(super) fn student_is_here(&self, student: usize) -> bool {
        student < self.students_ever() && !self.turnover.left.contains_key(&student)
    }

    /// Whether a class that was open in a generation was still open in `later`.
    pub(super) fn class_is_open(&self, class: usize, later: usize) -> bool {
        self.turnover.closed.get(&class).is_none_or(|&closed| closed > later)
    }

    /// The classes that a cell had got by a generation.
    pub(super) fn opened_in(&self, cell: usize, generation: usize) -> impl Iterator<Item = usize> + '_ {
        let classes = self.turnover.opened_in.get(&cell).map_or(&[][..], Vec::as_slice);
        classes
            .iter()
            .copied()
            .filter(move |class| self.turnover.opened[class - self.plan.classes()].generation <= generation)
    }

    /// What has happened to a user who came in generation `since`; a user who cannot move is renamed instead.
    pub(super) fn user_changes(&self, user: u64, since: usize, can_move: bool) -> Changes {
        let mut changes = Changes::default();
        for (churn, generation) in self.churns_after(since) {
            let mut draw = self.draw_for_user(Purpose::UserChange, user, generation);
            if !churn.hits(&mut draw, 100) {
                continue;
            }
            let what = draw.below(100);
            if what >= RENAMED_OR_REACHED && can_move {
                changes.moved = generation;
                changes.moves += 1;
            } else if (RENAMED..RENAMED_OR_REACHED).contains(&what) {
                changes.contact = generation;
            } else {
                changes.family_shift += 1 + draw.below(7);
            }
        }
        changes
    }

    /// The generation in which a class last moved to another room, or 0, and how often it did.
    pub(super) fn room_changes(&self, class: usize, since: usize) -> usize {
        self.churns_after(since)
            .filter(|(churn, generation)| {
                churn.hits(&mut Draw::new(self.seed, Purpose::ClassChange, &[class, *generation]), 100)
            })
            .count()
    }

    /// Whether a student takes up one more class in a generation, in the place of a slot.
    pub(super) fn takes_up(&self, student: usize, slot: usize, generation: usize) -> bool {
        let churn = self.churns[generation - 1];
        churn.hits(&mut Draw::new(self.seed, Purpose::Add, &[student, slot, generation]), ENROLLMENT_TURNOVER)
    }

    /// Whether an enrollment that began in generation `since` has been dropped since.
    pub(super) fn dropped(&self, student: usize, slot: usize, since: usize) -> bool {
        self.churns_after(since).any(|(churn, generation)| {
            let mut draw = Draw::new(self.seed, Purpose::Drop, &[student, slot, since, generation]);
            churn.hits(&mut draw, ENROLLMENT_TURNOVER)
        })
    }

    /// The churns after a generation, each with the number of its own.
    fn churns_after(&self, since: usize) -> impl Iterator<Item = (Churn, usize)> + '_ {
        self.churns.iter().copied().zip(1..).skip(since).filter(|(churn, _)| churn.millionths > 0)
    }
}

/// `count` different numbers below `bound` that are not in `taken`, each with `generation`.
fn distinct(
    draw: &mut Draw,
    bound: usize,
    count: usize,
    taken: &HashMap<usize, usize>,
    generation: usize,
) -> HashMap<usize, usize> {
    let count = count.min(bound - taken.len());
    let mut chosen = HashMap::with_capacity(count);
    while chosen.len() < count {
        let candidate = draw.below(bound);
        if !taken.contains_key(&candidate) {
            chosen.insert(candidate, generation);
        }
    }
    chosen
}

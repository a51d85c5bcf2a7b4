//! The shape of a district: how many schools there are, who is taught where, and which sections that makes.
//!
//! Everything follows from the number of students by arithmetic, so that the n-th record of any kind can be made on its
//! own. Only one entry per cell, about one per fifty students, is held in memory.

/// The grades KG to 12, as numbers 0 to 12.
pub(super) const GRADES: usize = 13;
/// Students per section of a cell.
const SECTION_SIZE: usize = 32;
/// Classes that a section has in a day, and a student attends.
pub(super) const SLOTS: usize = 8;
/// Students per school.
const SCHOOL_SIZE: usize = 550;
/// From here on each grade of a school has its own classes; below, a school's grades share them.
const CLASSES_BY_GRADE_FROM: usize = GRADES * SECTION_SIZE;

/// What grades a school teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// KG to 5.
    Elementary,
    /// 6 to 8.
    Middle,
    /// 9 to 12.
    High,
}

impl Level {
    pub(super) const fn of_school(school: usize) -> Self {
        match school % 5 {
            1 => Self::Middle,
            2 => Self::High,
            _ => Self::Elementary,
        }
    }

    const fn of_grade(grade: usize) -> Self {
        match grade {
            0..=5 => Self::Elementary,
            6..=8 => Self::Middle,
            _ => Self::High,
        }
    }

    pub(super) const fn first_grade(self) -> usize {
        match self {
            Self::Elementary => 0,
            Self::Middle => 6,
            Self::High => 9,
        }
    }

    pub(super) const fn grade_count(self) -> usize {
        match self {
            Self::Elementary => 6,
            Self::Middle => 3,
            Self::High => 4,
        }
    }

    /// How many of `schools` schools are of this level.
    const fn school_count(self, schools: usize) -> usize {
        let (rounds, rest) = (schools / 5, schools % 5);
        match self {
            Self::Elementary => rounds * 3 + if rest == 0 { 0 } else { 1 + rest.saturating_sub(3) },
            Self::Middle => rounds + (rest > 1) as usize,
            Self::High => rounds + (rest > 2) as usize,
        }
    }

    /// The n-th school of this level.
    const fn school(self, n: usize) -> usize {
        match self {
            Self::Elementary => n / 3 * 5 + [0, 3, 4][n % 3],
            Self::Middle => n * 5 + 1,
            Self::High => n * 5 + 2,
        }
    }
}

/// The students of one school who share classes: a grade, or in a small district the whole school.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) school: usize,
    /// The grade, if the cell is one grade.
    pub(super) grade: Option<usize>,
    /// Where the cell's sections begin in the district's count.
    pub(super) first_section: usize,
    pub(super) sections: usize,
}

/// Where a student is taught.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) grade: usize,
    pub(super) school: usize,
    /// The section in which the student has home room.
    pub(super) home_section: usize,
    pub(super) cell: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) students: usize,
    pub(super) schools: usize,
    pub(super) cells: Vec<Cell>,
    pub(super) sections: usize,
    /// Each school's first cell.
    first_cell: Vec<usize>,
}

impl Plan {
    pub(super) fn new(students: usize) -> Self {
        let schools = (students / SCHOOL_SIZE).max(3);
        let by_grade = students >= CLASSES_BY_GRADE_FROM;
        let mut plan = Self { students, schools, cells: Vec::new(), sections: 0, first_cell: Vec::new() };
        for school in 0..schools {
            plan.first_cell.push(plan.cells.len());
            let level = Level::of_school(school);
            let grades = level.first_grade()..level.first_grade() + level.grade_count();
            if by_grade {
                for grade in grades {
                    plan.push_cell(school, Some(grade), plan.students_in(school, grade));
                }
            } else {
                let size = grades.map(|grade| plan.students_in(school, grade)).sum();
                plan.push_cell(school, None, size);
            }
        }
        plan
    }

    fn push_cell(&mut self, school: usize, grade: Option<usize>, size: usize) {
        let sections = ((size + SECTION_SIZE / 2) / SECTION_SIZE).max(1);
        self.cells.push(Cell { school, grade, first_section: self.sections, sections });
        self.sections += sections;
    }

    /// How many of the first students are in a grade of a school.
    fn students_in(&self, school: usize, grade: usize) -> usize {
        // Student i is in grade 5 i mod 13, so that even a few students fill schools of every level; 8 undoes 5.
        let in_grade = self.students / GRADES + usize::from(self.students % GRADES > grade * 8 % GRADES);
        let level = Level::of_grade(grade);
        let count = level.school_count(self.schools);
        let place = (0..count).find(|&n| level.school(n) == school).unwrap_or(count);
        in_grade / count + usize::from(place < in_grade % count)
    }

    pub(super) const fn grade_of(student: usize) -> usize {
        student * 5 % GRADES
    }

    /// The number of schools that teach a grade.
    pub(super) const fn schools_for(&self, grade: usize) -> usize {
        Level::of_grade(grade).school_count(self.schools)
    }

    /// Where a student begins.
    pub(super) fn first_seat(&self, student: usize) -> Seat {
        let grade = Self::grade_of(student);
        let turn = student / GRADES;
        let count = self.schools_for(grade);
        self.seat(grade, turn % count, turn / count)
    }

    /// A seat in the n-th school that teaches the grade, at the `position`-th place.
    pub(super) fn seat(&self, grade: usize, n: usize, position: usize) -> Seat {
        let level = Level::of_grade(grade);
        let school = level.school(n);
        let first = self.first_cell[school];
        let cell = match self.cells[first].grade {
            Some(first_grade) => first + grade - first_grade,
            None => first,
        };
        Seat { grade, school, home_section: position % self.cells[cell].sections, cell }
    }

    /// Which of the schools that teach a grade a student begins at.
    pub(super) const fn first_place(&self, student: usize) -> usize {
        student / GRADES % self.schools_for(Self::grade_of(student))
    }

    /// The classes that exist from the beginning.
    pub(super) const fn classes(&self) -> usize {
        self.sections * SLOTS
    }

    /// The cell that a section belongs to.
    pub(super) fn cell_of_section(&self, section: usize) -> usize {
        self.cells.partition_point(|cell| cell.first_section <= section) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_fill_cells_as_they_were_counted() {
        for students in [1, 20, 415, 416, 5000, 20_000] {
            let plan = Plan::new(students);
            let mut counted = vec![0; plan.schools * GRADES];
            for student in 0..students {
                let seat = plan.first_seat(student);
                assert_eq!(plan.cells[seat.cell].school, seat.school);
                assert!(plan.cells[seat.cell].grade.is_none_or(|grade| grade == seat.grade));
                counted[seat.school * GRADES + seat.grade] += 1;
            }
            for school in 0..plan.schools {
                let level = Level::of_school(school);
                for grade in level.first_grade()..level.first_grade() + level.grade_count() {
                    assert_eq!(counted[school * GRADES + grade], plan.students_in(school, grade), "{students}");
                }
            }
        }
    }

    #[test]
    fn a_district_has_about_one_class_for_four_students() {
        for students in [2000, 20_000, 100_000] {
            let classes = Plan::new(students).classes();
            assert!((students / 5..=students / 3).contains(&classes), "{classes} for {students}");
        }
    }
}

//! Courses, and the classes that teach them.

use compact_str::format_compact;
use rollcall_domain::entities::{Class, Course, Metadata};
use rollcall_domain::vocabulary::ClassType;
use rollcall_domain::{SourcedId, Text};

use super::District;
use super::calendar::{FALL, SPRING, YEAR};
use super::orgs::ARTS;
use super::plan::{GRADES, Level, SLOTS};
use crate::random::{Draw, Purpose};

/// The courses that share a slot: titles by section, subject, code of the subject, short name.
struct Subject {
    titles: [&'static str; 4],
    area: &'static str,
    code: &'static str,
    short: &'static str,
}

const fn subject(titles: [&'static str; 4], area: &'static str, code: &'static str, short: &'static str) -> Subject {
    Subject { titles, area, code, short }
}

/// The slot of the home room.
const HOMEROOM: usize = 0;
/// The slots of high schools whose classes last a semester.
const SEMESTER_SLOTS: [usize; 2] = [6, 7];

const ELEMENTARY: [Subject; SLOTS] = [
    subject(["Homeroom"; 4], "Miscellaneous", "22", "HR"),
    subject(["Reading", "Reading", "Lectura", "Reading Support"], "English Language Arts", "01", "ELA"),
    subject(["Mathematics", "Mathematics", "Matemáticas", "Mathematics"], "Mathematics", "02", "MTH"),
    subject(["Science"; 4], "Life and Physical Sciences", "03", "SCI"),
    subject(["Social Studies"; 4], "Social Studies", "04", "SOC"),
    subject(["Art"; 4], "Fine and Performing Arts", "05", "ART"),
    subject(["Music"; 4], "Fine and Performing Arts", "05", "MUS"),
    subject(["Physical Education"; 4], "Physical Education", "08", "PE"),
];

const MIDDLE: [Subject; SLOTS] = [
    subject(["Homeroom"; 4], "Miscellaneous", "22", "HR"),
    subject(
        ["Language Arts", "Language Arts Honors", "Language Arts", "Reading Lab"],
        "English Language Arts",
        "01",
        "ELA",
    ),
    subject(["Mathematics", "Pre-Algebra", "Mathematics", "Algebra I"], "Mathematics", "02", "MTH"),
    subject(
        ["Earth Science", "Life Science", "Physical Science", "Science"],
        "Life and Physical Sciences",
        "03",
        "SCI",
    ),
    subject(["World Cultures", "Civics", "U.S. History", "Geography"], "Social Studies", "04", "SOC"),
    subject(["Español 1", "Français 1", "Deutsch 1", "日本語 1"], "World Languages", "24", "WL"),
    subject(["Band", "Orchestra", "Choir", "Studio Art"], "Fine and Performing Arts", "05", "ART"),
    subject(["Physical Education", "Health", "Physical Education", "Health"], "Physical Education", "08", "PE"),
];

const HIGH: [Subject; SLOTS] = [
    subject(["Advisory"; 4], "Miscellaneous", "22", "ADV"),
    subject(["English", "English Honors", "AP English", "Creative Writing"], "English Language Arts", "01", "ENG"),
    subject(["Geometry", "Algebra II", "Pre-Calculus", "AP Calculus \"AB\""], "Mathematics", "02", "MTH"),
    subject(["Biology", "Chemistry", "Physics", "Environmental Science"], "Life and Physical Sciences", "03", "SCI"),
    subject(
        ["World History", "U.S. History", "Government & Economics", "AP Human Geography"],
        "Social Studies",
        "04",
        "SOC",
    ),
    subject(["Español", "Français", "Deutsch", "American Sign Language"], "World Languages", "24", "WL"),
    subject(["Theatre", "Ceramics", "Jazz Band", "Photography"], "Fine and Performing Arts", "05", "ART"),
    subject(["Health", "Physical Education", "Weight Training", "Computer Science"], "Physical Education", "08", "PE"),
];

/// The grades as OneRoster's users write them.
pub(super) const fn grade_name(grade: usize) -> Text {
    const NAMES: [&str; GRADES] = ["KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12"];
    Text::const_new(NAMES[grade])
}

/// What is known of a class before it is written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lesson {
    /// Its number among all classes that ever were.
    pub(super) class: usize,
    pub(super) cell: usize,
    /// Its section in the cell.
    section: usize,
    pub(super) slot: usize,
    /// The generation with which it opened.
    pub(super) since: usize,
}

impl District {
    pub(super) fn class_id(&self, class: usize) -> SourcedId {
        self.id("cls", Purpose::Class, class as u64)
    }

    /// Four courses per slot, for each grade or, where the grades of a school share classes, for each level.
    fn course_id(&self, group: usize, slot: usize, variant: usize) -> SourcedId {
        self.id("crs", Purpose::Course, ((group * SLOTS + slot) * 4 + variant) as u64)
    }

    /// The groups that have courses of their own, by the first grade of each.
    fn course_groups(&self) -> &'static [usize] {
        if self.plan.cells[0].grade.is_some() { &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] } else { &[0, 6, 9] }
    }

    /// How many courses a group has in a slot.
    fn variants(&self, slot: usize) -> usize {
        if slot == HOMEROOM || self.plan.cells[0].grade.is_none() { 1 } else { 4 }
    }

    pub(super) fn courses(&self) -> impl Iterator<Item = Course> + '_ {
        self.course_groups().iter().flat_map(move |&group| {
            (0..SLOTS)
                .flat_map(move |slot| (0..self.variants(slot)).map(move |variant| self.course(group, slot, variant)))
        })
    }

    fn course(&self, group: usize, slot: usize, variant: usize) -> Course {
        let subject = &subjects(level_of_group(group))[slot];
        let by_grade = self.plan.cells[0].grade.is_some();
        let arts = subject.code == "05";
        let mut metadata = Metadata::new();
        if matches!(level_of_group(group), Level::High) && slot != HOMEROOM {
            let credits = if SEMESTER_SLOTS.contains(&slot) { "0.5" } else { "1.0" };
            metadata.insert(Text::const_new("credits"), Text::const_new(credits));
        }
        let (mut subjects, mut subject_codes) = (vec![subject.area.into()], vec![subject.code.into()]);
        if subject.titles[variant] == "Computer Science" {
            subjects = vec![Text::const_new("Computer and Information Sciences"), Text::const_new("Mathematics")];
            subject_codes = vec![Text::const_new("10"), Text::const_new("02")];
        }
        Course {
            sourced_id: self.course_id(group, slot, variant),
            school_year: Some(self.session_id(YEAR)),
            title: if by_grade {
                format_compact!("{} {}", subject.titles[variant], grade_name(group))
            } else {
                subject.titles[variant].into()
            },
            course_code: Some(format_compact!("{}-{}-{}", subject.short, grade_name(group), variant + 1)),
            grades: grades_of_group(group, by_grade),
            org: Some(if arts { self.department_id(ARTS) } else { self.district_id() }),
            subjects,
            subject_codes,
            external_ids: Vec::new(),
            metadata,
        }
    }

    /// What is known of a class, open or not.
    pub(super) fn lesson(&self, class: usize) -> Lesson {
        let first = self.plan.classes();
        if class < first {
            let section = class / SLOTS;
            let cell = self.plan.cell_of_section(section);
            let section = section - self.plan.cells[cell].first_section;
            Lesson { class, cell, section, slot: class % SLOTS, since: 0 }
        } else {
            let opened = self.turnover.opened[class - first];
            let section = self.plan.cells[opened.cell].sections + class - first;
            Lesson { class, cell: opened.cell, section, slot: opened.slot, since: opened.generation }
        }
    }

    /// The classes that are open today.
    pub(super) fn lessons(&self) -> impl Iterator<Item = Lesson> + '_ {
        let today = self.generation();
        (0..self.classes_ever()).filter(move |&class| self.class_is_open(class, today)).map(|class| self.lesson(class))
    }

    pub(super) fn classes(&self) -> impl Iterator<Item = Class> + '_ {
        self.lessons().map(|lesson| self.class(lesson))
    }

    /// The session in which a class is held, or both semesters' year.
    pub(super) fn session_of(&self, lesson: Lesson) -> usize {
        let high = matches!(Level::of_school(self.plan.cells[lesson.cell].school), Level::High);
        match (high && SEMESTER_SLOTS.contains(&lesson.slot), lesson.section % 2) {
            (false, _) => YEAR,
            (true, 0) => FALL,
            (true, _) => SPRING,
        }
    }

    fn class(&self, lesson: Lesson) -> Class {
        let cell = self.plan.cells[lesson.cell];
        let Lesson { slot, section, .. } = lesson;
        let level = Level::of_school(cell.school);
        let group = cell.grade.unwrap_or_else(|| level.first_grade());
        let variant = section % self.variants(slot);
        let subject = &subjects(level)[slot];
        let grade = grade_name(group);
        let mut draw = Draw::new(self.seed, Purpose::Class, &[lesson.class]);
        let terms = match self.session_of(lesson) {
            YEAR => vec![self.session_id(FALL), self.session_id(SPRING)],
            semester => vec![self.session_id(semester)],
        };
        let mut periods = vec![format_compact!("{}", slot + 1)];
        if subject.short == "SCI" && matches!(level, Level::High) {
            periods.push(Text::const_new("Lab"));
        }
        let course = self.course(group, slot, variant);
        let room = 100 + (draw.below(90) + 7 * self.room_changes(lesson.class, lesson.since)) % 90;
        let mut metadata = Metadata::new();
        if draw.percent(20) {
            metadata.insert(Text::const_new("maxStudents"), format_compact!("{}", 36 + draw.below(5)));
        }
        Class {
            sourced_id: self.class_id(lesson.class),
            title: if slot == HOMEROOM {
                format_compact!("{} {}{}", subject.titles[variant], grade, section_letter(section))
            } else {
                format_compact!("{} - Period {} ({})", course.title, slot + 1, section_letter(section))
            },
            grades: grades_of_group(group, cell.grade.is_some()),
            course: Some(course.sourced_id),
            class_code: Some(format_compact!("{}-{grade}-{:03}", subject.short, section + 1)),
            class_type: if slot == HOMEROOM { ClassType::Homeroom } else { ClassType::Scheduled },
            location: draw.percent(97).then(|| format_compact!("Rm {room}")),
            school: self.school_id(cell.school),
            terms,
            subjects: course.subjects,
            subject_codes: course.subject_codes,
            periods,
            external_ids: Vec::new(),
            metadata,
        }
    }
}

const fn subjects(level: Level) -> &'static [Subject; SLOTS] {
    match level {
        Level::Elementary => &ELEMENTARY,
        Level::Middle => &MIDDLE,
        Level::High => &HIGH,
    }
}

const fn level_of_group(first_grade: usize) -> Level {
    match first_grade {
        0..=5 => Level::Elementary,
        6..=8 => Level::Middle,
        _ => Level::High,
    }
}

fn grades_of_group(group: usize, by_grade: bool) -> Vec<Text> {
    let count = if by_grade { 1 } else { level_of_group(group).grade_count() };
    (group..group + count).map(grade_name).collect()
}

/// A, B, … Z, A2, B2, …
fn section_letter(section: usize) -> Text {
    const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = char::from(LETTERS[section % 26]);
    match section / 26 {
        0 => format_compact!("{letter}"),
        round => format_compact!("{letter}{}", round + 1),
    }
}

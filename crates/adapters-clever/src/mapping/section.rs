//! Sections: classes, and the enrollments that Clever does not have as such.

use std::collections::{HashMap, HashSet};

use rollcall_domain::entities::{Class, Enrollment, Metadata};
use rollcall_domain::vocabulary::{ClassType, EnrollmentRole};
use rollcall_domain::{Code, Finding, SourcedId, Text};

use super::Context;
use super::course::synthetic_id;
use super::fields::{Notes, external_ids, put_ext};
use super::session::default_id;
use crate::wire::{Ids, LoneId, Members, Section};

/// The subject of sections in which attendance is taken.
const HOMEROOM: &str = "homeroom/advisory";

/// What sections tell of others.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The latest year of the sections of each course.
    pub(crate) course_years: HashMap<SourcedId, u16>,
    /// Some section has no term.
    pub(crate) without_term: bool,
}

impl Facts {
    pub(crate) fn learn(&mut self, section: &Section, context: &Context) {
        let term = section.term_id.id();
        self.without_term |= term.is_none();
        if let Some(course) = section.course.id() {
            let year = context.years.of(term.as_ref());
            let known = self.course_years.entry(course).or_insert(year);
            *known = year.max(*known);
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.without_term |= other.without_term;
        for (course, year) in other.course_years {
            let known = self.course_years.entry(course).or_insert(year);
            *known = year.max(*known);
        }
    }
}

pub(crate) fn class(section: &Section, context: &Context, notes: &mut Notes) -> Option<Class> {
    let id = notes.id(&section.id);
    let school = section.school.id();
    if school.is_none() {
        notes.refuse(Code::FieldMissing, "school", "the section has no school, and a class is held in one");
    }
    let grade = notes.grade("grade", &section.grade);
    let (id, school) = (id?, school?);
    let class_code = section.section_number.get().or_else(|| section.sis_id.get());
    let title = section.name.get().or_else(|| class_code.clone()).unwrap_or_else(|| {
        notes.warn(Code::FieldMissing, "name", "the section has neither a name nor a number; its id stands in");
        Text::new(id.as_str())
    });
    let mut metadata = Metadata::new();
    put_ext(&mut metadata, "section", &section.ext, |_| true);
    Some(Class {
        title,
        grades: grade.into_iter().collect(),
        course: section.course.id().or_else(|| synthetic_id(&id)),
        class_code,
        class_type: match section.subject.as_deref() {
            Some(HOMEROOM) => ClassType::Homeroom,
            _ => ClassType::Scheduled,
        },
        location: None,
        school,
        terms: section.term_id.id().or_else(|| default_id(&context.district)).into_iter().collect(),
        // A label of Clever's own; there are no codes beside it.
        subjects: section.subject.get().into_iter().collect(),
        subject_codes: Vec::new(),
        periods: section.period.get().into_iter().collect(),
        external_ids: external_ids([("sis_id", &section.sis_id)]),
        metadata,
        sourced_id: id,
    })
}

/// The enrollments of a section: its teachers, of whom `teacher` is the primary one, and its students.
pub(crate) fn enrollments(section: &Section, class: &Class) -> Vec<Enrollment> {
    let primary = section.teacher.id();
    let teachers = primary.iter().chain(&section.teachers.ids);
    let mut enrollments = Vec::with_capacity(section.students.ids.len() + section.teachers.ids.len() + 1);
    let mut seen = HashSet::new();
    for teacher in teachers.filter(|teacher| seen.insert(*teacher)) {
        let is_primary = Some(teacher) == primary.as_ref();
        enrollments.extend(enrollment(class, teacher, EnrollmentRole::Teacher, Some(is_primary)));
    }
    let mut seen = HashSet::new();
    for student in section.students.ids.iter().filter(|student| seen.insert(*student)) {
        enrollments.extend(enrollment(class, student, EnrollmentRole::Student, None));
    }
    enrollments
}

/// The ids of the enrollments of a section that was refused; nothing if they cannot be told. There is no section without
/// students.
pub(crate) fn enrollment_ids(members: &Members) -> Option<Vec<SourcedId>> {
    let Members { id, teacher, teachers, students, .. } = members;
    let class = id.id().filter(|_| !students.ids.is_empty() && odd_members(teacher, teachers, students).is_none())?;
    let teachers = members.teacher.id().into_iter().chain(members.teachers.ids.iter().cloned());
    let students = members.students.ids.iter().cloned();
    let all = teachers
        .map(|user| (user, EnrollmentRole::Teacher))
        .chain(students.map(|user| (user, EnrollmentRole::Student)));
    let ids: Option<HashSet<_>> = all.map(|(user, role)| enrollment_id(&class, &user, &role)).collect();
    let mut ids: Vec<_> = ids?.into_iter().collect();
    // What holds a NUL cannot be stored, and so is nothing that is.
    ids.retain(|id| !id.as_str().contains('\0'));
    ids.sort_unstable();
    Some(ids)
}

/// What is to be said of members of a section that are no ids, if there are any: whose enrollments they are cannot be told.
pub(crate) fn odd_members(teacher: &LoneId, teachers: &Ids, students: &Ids) -> Option<Finding> {
    let counts = [("teacher", usize::from(teacher.is_odd)), ("teachers", teachers.odd), ("students", students.odd)];
    let (field, _) = counts.into_iter().find(|(_, odd)| *odd > 0)?;
    let odd: usize = counts.iter().map(|(_, odd)| odd).sum();
    let message = format!(
        "members of the section that are no ids: {odd}; whose enrollments they are cannot be told, and none is deleted for \
         being absent until that is corrected in Clever"
    );
    Some(Finding::on(Code::FieldInvalid, field, message))
}

fn enrollment_id(class: &SourcedId, user: &SourcedId, role: &EnrollmentRole) -> Option<SourcedId> {
    SourcedId::new(&format!("{class}:{user}:{role}")).ok()
}

fn enrollment(class: &Class, user: &SourcedId, role: EnrollmentRole, primary: Option<bool>) -> Option<Enrollment> {
    Some(Enrollment {
        sourced_id: enrollment_id(&class.sourced_id, user, &role)?,
        class: class.sourced_id.clone(),
        school: Some(class.school.clone()),
        user: user.clone(),
        role,
        primary,
        begin_date: None,
        end_date: None,
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    })
}

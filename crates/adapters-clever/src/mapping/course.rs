//! Courses, and those that sections without a course stand for.

use rollcall_domain::entities::{Class, Course, Metadata};
use rollcall_domain::{Code, SourcedId, Text};

use super::Context;
use super::fields::Notes;
use super::session::{synthetic as synthetic_metadata, year_id};
use crate::wire;

/// A course. Its year is the latest of its sections', for Clever states none.
pub(crate) fn course(course: &wire::Course, year: Option<u16>, context: &Context, notes: &mut Notes) -> Option<Course> {
    let id = notes.id(&course.id)?;
    let title = course.name.get().or_else(|| course.number.get()).unwrap_or_else(|| {
        notes.warn(Code::FieldMissing, "name", "the course has neither name nor number; its id stands in");
        Text::new(id.as_str())
    });
    Some(Course {
        school_year: year.and_then(|year| year_id(&context.district, year)),
        sourced_id: id,
        title,
        course_code: course.number.get(),
        grades: Vec::new(),
        org: Some(context.district.clone()),
        subjects: Vec::new(),
        subject_codes: Vec::new(),
        external_ids: Vec::new(),
        metadata: Metadata::new(),
    })
}

/// The id of the course that a section without one stands for.
pub(crate) fn synthetic_id(section: &SourcedId) -> Option<SourcedId> {
    SourcedId::new(&format!("{section}:course")).ok()
}

/// The course of a section that has none.
pub(crate) fn synthetic(section: &wire::Section, class: &Class, context: &Context) -> Option<Course> {
    if section.course.0.is_some() {
        return None;
    }
    let year = context.years.of(section.term_id.id().as_ref());
    Some(Course {
        sourced_id: synthetic_id(&class.sourced_id)?,
        school_year: year_id(&context.district, year),
        title: class.title.clone(),
        course_code: None,
        grades: class.grades.clone(),
        org: Some(context.district.clone()),
        subjects: class.subjects.clone(),
        subject_codes: Vec::new(),
        external_ids: Vec::new(),
        metadata: synthetic_metadata(),
    })
}

//! `courses.csv`.

use rollcall_domain::entities::Course;
use rollcall_domain::{Code, Text};

use super::fields::{Cells, Fields};
use crate::csv::table::Column;

pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<Course> {
    let sourced_id = fields.sourced_id();
    let course_code = fields.text(Column::CourseCode);
    let title = fields.text(Column::Title);
    let org = fields.expected_reference(Column::OrgSourcedId);
    let grades = fields.list(Column::Grades);
    let subjects = fields.list(Column::Subjects);
    let subject_codes = fields.list(Column::SubjectCodes);
    let sourced_id = sourced_id?;
    let title = title.unwrap_or_else(|| {
        fields.warn(
            Code::FieldMissing,
            Column::Title,
            "the course has no title; its code, or else its sourcedId, stands in",
        );
        course_code.clone().unwrap_or_else(|| Text::new(sourced_id.as_str()))
    });
    Some(Course {
        sourced_id,
        school_year: fields.reference(Column::SchoolYearSourcedId),
        title,
        course_code,
        grades,
        org,
        subjects,
        subject_codes,
        external_ids: Vec::new(),
        metadata: fields.metadata(),
    })
}

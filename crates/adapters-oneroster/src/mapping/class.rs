//! `classes.csv`.

use std::collections::HashMap;

use rollcall_domain::entities::Class;
use rollcall_domain::vocabulary::ClassType;
use rollcall_domain::{Code, SourcedId, Text};

use super::fields::{Cells, Fields, Token};
use crate::csv::table::Column;

/// Titles of the courses of the same package, for classes that have none.
pub(crate) type CourseTitles = HashMap<SourcedId, Text>;

pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>, course_titles: &CourseTitles) -> Option<Class> {
    let sourced_id = fields.sourced_id();
    let school = fields.required_reference(Column::SchoolSourcedId);
    let course = fields.expected_reference(Column::CourseSourcedId);
    let class_code = fields.text(Column::ClassCode);
    let class_type = class_type(fields);
    let terms = fields.references(Column::TermSourcedIds);
    if terms.is_empty() {
        fields.expected(Column::TermSourcedIds);
    }
    let grades = fields.list(Column::Grades);
    let subjects = fields.list(Column::Subjects);
    let subject_codes = fields.list(Column::SubjectCodes);
    let periods = fields.list(Column::Periods);
    let sourced_id = sourced_id?;
    let title = fields.text(Column::Title).unwrap_or_else(|| {
        fields.warn(
            Code::FieldMissing,
            Column::Title,
            "the class has no title; its class code, its course's title or its sourcedId stands in",
        );
        let course_title = || course.as_ref().and_then(|course| course_titles.get(course)).cloned();
        class_code.clone().or_else(course_title).unwrap_or_else(|| Text::new(sourced_id.as_str()))
    });
    Some(Class {
        sourced_id,
        title,
        grades,
        course,
        class_code,
        class_type,
        location: fields.text(Column::Location),
        school: school?,
        terms,
        subjects,
        subject_codes,
        periods,
        external_ids: Vec::new(),
        metadata: fields.metadata(),
    })
}

fn class_type<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> ClassType {
    match fields.token(Column::ClassType, ClassType::recognise) {
        Token::Known(class_type) => class_type,
        Token::Respelt(class_type) => {
            fields.lenient(Column::ClassType, "`homeroom` or `scheduled`");
            class_type
        }
        Token::Unknown(raw) => {
            fields.warn(
                Code::EnumUnknown,
                Column::ClassType,
                "the class type is neither `homeroom` nor `scheduled`; it was kept as it is",
            );
            raw
        }
        Token::Blank => {
            if fields.row.has(Column::ClassType) {
                fields.warn(
                    Code::FieldMissing,
                    Column::ClassType,
                    "the class type is blank; it was taken as `scheduled`",
                );
            }
            ClassType::Scheduled
        }
    }
}

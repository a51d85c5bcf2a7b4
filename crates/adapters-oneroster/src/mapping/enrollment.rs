//! `enrollments.csv`.

use rollcall_domain::Code;
use rollcall_domain::entities::Enrollment;
use rollcall_domain::vocabulary::EnrollmentRole;

use super::fields::{Cells, Fields, Token};
use crate::csv::table::Column;

pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<Enrollment> {
    let sourced_id = fields.sourced_id();
    let class = fields.required_reference(Column::ClassSourcedId);
    let user = fields.required_reference(Column::UserSourcedId);
    let role = role(fields);
    let primary = fields.flag(Column::Primary);
    let begin_date = fields.date(Column::BeginDate);
    let end_date = fields.end_date(Column::EndDate);
    if primary == Some(true) && role.as_ref().is_some_and(|role| *role != EnrollmentRole::Teacher) {
        fields.warn(
            Code::ValueConflict,
            Column::Primary,
            "`primary` is true although the user is no teacher of the class; it means nothing there",
        );
    }
    Some(Enrollment {
        sourced_id: sourced_id?,
        class: class?,
        school: fields.reference(Column::SchoolSourcedId),
        user: user?,
        role: role?,
        primary,
        begin_date,
        end_date,
        external_ids: Vec::new(),
        metadata: fields.metadata(),
    })
}

fn role<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<EnrollmentRole> {
    match fields.token(Column::Role, EnrollmentRole::recognise) {
        Token::Known(role) => Some(role),
        Token::Respelt(role) => {
            if EnrollmentRole::STANDARD[..4].contains(&role) {
                fields.lenient(Column::Role, "a role in the standard's spelling, such as `student`");
            } else {
                fields.warn(
                    Code::EnumUnknown,
                    Column::Role,
                    "only administrators, proctors, students and teachers are enrolled in classes by the standard; \
                     the aide or family member was kept as an extension (`ext:`)",
                );
            }
            Some(role)
        }
        Token::Unknown(_) => {
            fields.refuse(
                Code::EnumUnknown,
                Column::Role,
                "the role is none of administrator, proctor, student, teacher, aide, guardian, parent and relative; \
                 correct it and export again",
            );
            None
        }
        Token::Blank => {
            fields.refuse(
                Code::FieldMissing,
                Column::Role,
                "the role is blank; whether the user teaches or is taught cannot be guessed",
            );
            None
        }
    }
}

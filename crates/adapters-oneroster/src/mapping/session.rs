//! `academicSessions.csv`.

use rollcall_domain::Code;
use rollcall_domain::entities::AcademicSession;
use rollcall_domain::vocabulary::SessionType;

use super::fields::{Cells, Fields, Token};
use crate::csv::table::Column;

pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<AcademicSession> {
    let sourced_id = fields.sourced_id();
    let title = fields.required_text(Column::Title);
    let session_type = session_type(fields);
    let start_date = fields.required_date(Column::StartDate);
    let end_date = fields.required_end_date(Column::EndDate);
    let school_year = fields.school_year(Column::SchoolYear);
    Some(AcademicSession {
        sourced_id: sourced_id?,
        title: title?,
        session_type,
        start_date: start_date?,
        end_date: end_date?,
        parent: fields.reference(Column::ParentSourcedId),
        school_year,
        external_ids: Vec::new(),
        metadata: fields.metadata(),
    })
}

fn session_type<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> SessionType {
    match fields.token(Column::Type, SessionType::recognise) {
        Token::Known(session_type) => session_type,
        Token::Respelt(session_type) => {
            fields.lenient(Column::Type, "a type in the standard's spelling, such as `gradingPeriod`");
            session_type
        }
        Token::Unknown(raw) => {
            fields.warn(
                Code::EnumUnknown,
                Column::Type,
                "the type is none of gradingPeriod, semester, schoolYear and term; it was kept as it is",
            );
            raw
        }
        Token::Blank => {
            fields.expected(Column::Type);
            SessionType::Other("unknown".into())
        }
    }
}

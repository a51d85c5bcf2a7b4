//! `orgs.csv`.

use rollcall_domain::Code;
use rollcall_domain::entities::Org;
use rollcall_domain::vocabulary::OrgType;

use super::fields::{Cells, Fields, Token};
use crate::csv::table::Column;

pub(crate) fn map<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> Option<Org> {
    let sourced_id = fields.sourced_id();
    let name = fields.required_text(Column::Name);
    let org_type = org_type(fields);
    Some(Org {
        sourced_id: sourced_id?,
        name: name?,
        org_type,
        identifier: fields.text(Column::Identifier),
        parent: fields.reference(Column::ParentSourcedId),
        external_ids: Vec::new(),
        metadata: fields.metadata(),
    })
}

fn org_type<'a>(fields: &mut Fields<'a, impl Cells<'a>>) -> OrgType {
    match fields.token(Column::Type, OrgType::recognise) {
        Token::Known(org_type) => org_type,
        Token::Respelt(org_type) => {
            fields.lenient(Column::Type, "a type in the standard's spelling, such as `school`");
            org_type
        }
        Token::Unknown(raw) => {
            fields.warn(
                Code::EnumUnknown,
                Column::Type,
                "the type is none of department, school, district, local, state and national; it was kept as it is",
            );
            raw
        }
        // Guessing `school` would make it a place where classes may be held.
        Token::Blank => {
            fields.expected(Column::Type);
            OrgType::Other("unknown".into())
        }
    }
}

//! The district and its schools.

use rollcall_domain::entities::{Metadata, Org};
use rollcall_domain::vocabulary::OrgType;
use rollcall_domain::{Code, SourcedId, Text};

use super::Context;
use super::fields::{Notes, external_ids, put, put_ext};
use crate::wire::{District, School};

/// The district. When it last synced, and in which state it is, are no part of the record: they change with every sync.
pub(crate) fn district(district: &District, id: &SourcedId) -> Org {
    let mut metadata = Metadata::new();
    put(&mut metadata, "sis_type", &district.sis_type);
    Org {
        sourced_id: id.clone(),
        name: district.name.get().unwrap_or_else(|| Text::new(id.as_str())),
        org_type: OrgType::District,
        identifier: district.nces_id.get(),
        parent: None,
        external_ids: external_ids([("nces_id", &district.nces_id), ("mdr_number", &district.mdr_number)]),
        metadata,
    }
}

pub(crate) fn school(school: &School, context: &Context, notes: &mut Notes) -> Option<Org> {
    let id = notes.id(&school.id);
    if school.name.0.is_none() {
        notes.refuse(Code::FieldMissing, "name", "the school has no name; give it one in Clever");
    }
    let mut metadata = Metadata::new();
    for (name, value) in [
        ("phone", &school.phone),
        ("principal.name", &school.principal.name),
        ("principal.email", &school.principal.email),
        ("location.address", &school.location.address),
        ("location.city", &school.location.city),
        ("location.state", &school.location.state),
        ("location.zip", &school.location.zip),
    ] {
        put(&mut metadata, name, value);
    }
    for (name, grade) in [("low_grade", &school.low_grade), ("high_grade", &school.high_grade)] {
        if let Some(grade) = notes.grade(name, grade) {
            metadata.insert(Text::const_new(name), grade);
        }
    }
    put_ext(&mut metadata, "school", &school.ext, |_| true);
    Some(Org {
        sourced_id: id?,
        name: school.name.get()?,
        org_type: OrgType::School,
        identifier: school.school_number.get().or_else(|| school.nces_id.get()),
        parent: Some(context.district.clone()),
        external_ids: external_ids([
            ("sis_id", &school.sis_id),
            ("state_id", &school.state_id),
            ("nces_id", &school.nces_id),
            ("mdr_number", &school.mdr_number),
            ("school_number", &school.school_number),
        ]),
        metadata,
    })
}

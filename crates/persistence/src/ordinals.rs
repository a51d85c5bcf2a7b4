//! Under which ordinals a first load has staged the records to which millions of others refer.
//!
//! Their internal ids follow from the ordinals once they are written, so that an enrollment's class and user need not be
//! looked up in an index, which for a large district is most of the work.

use rollcall_domain::keys::{KeyMap, Keys};
use rollcall_domain::{Kind, PerKind, Record, RefField};

use crate::connection::Bind;
use crate::layout::{Layout, Link};

/// The references that are kept as ordinals too.
pub(crate) fn links(layout: &'static Layout) -> impl Iterator<Item = &'static Link> {
    let is_numbered = |link: &&Link| {
        matches!(link.field, RefField::EnrollmentClass | RefField::EnrollmentUser | RefField::DemographicsUser)
    };
    layout.links.iter().filter(is_numbered)
}

/// The ordinals by kind and id.
#[derive(Debug, Default)]
pub(crate) struct Ordinals {
    keys: Keys,
    known: PerKind<KeyMap<u32>>,
}

impl Ordinals {
    /// Gives the memory back once everything is staged.
    pub(crate) fn forget(&mut self) {
        self.known = PerKind::default();
    }

    /// Notes under which ordinal a record is staged.
    pub(crate) fn note(&mut self, record: &Record, ord: i64) {
        let kind = record.kind();
        if matches!(kind, Kind::Classes | Kind::Users)
            && let Ok(ord) = u32::try_from(ord)
        {
            self.known[kind].insert(self.keys.of(record.sourced_id()), ord);
        }
    }

    /// Adds the ordinals of what a record refers to, in the order of [`links`]; NULL where there is none yet.
    pub(crate) fn write(&self, layout: &'static Layout, record: &Record, row: &mut Vec<Bind<'_>>) {
        for link in links(layout) {
            let mut ord = None;
            record.each_reference(|reference| {
                if reference.field == link.field {
                    ord = self.known[link.field.target()].get(&self.keys.of(reference.target)).copied();
                }
            });
            row.push(Bind::Int(ord.map(i64::from)));
        }
    }
}

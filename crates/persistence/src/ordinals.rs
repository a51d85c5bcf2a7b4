//! Under which ordinals the first load of a source has staged the records to which millions of others refer.
//!
//! Their internal ids follow from the ordinals once they are written, so that an enrollment's class and user need not be
//! looked up in an index, which for a large district is most of the work.

use rollcall_domain::keys::{KeyMap, Keys};
use rollcall_domain::{Kind, PerKind, Record, RefField};

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

    /// The ordinals of what records refer to, in the order of the records and of [`links`]; none where there is none yet.
    ///
    /// All are looked up together: a processor fetches many places of a large map at once if nothing waits for any.
    pub(crate) fn of_links<'a>(
        &self,
        layout: &'static Layout,
        records: impl Iterator<Item = &'a Record>,
    ) -> impl Iterator<Item = Option<i64>> {
        let mut wanted = Vec::new();
        for record in records {
            let first = wanted.len();
            wanted.extend(links(layout).map(|link| (link.field.target(), None)));
            record.each_reference(|reference| {
                if let Some(place) = links(layout).position(|link| link.field == reference.field) {
                    wanted[first + place].1 = Some(self.keys.of(reference.target));
                }
            });
        }
        let found: Vec<_> =
            wanted.iter().map(|(kind, key)| key.and_then(|key| self.known[*kind].get(&key).copied())).collect();
        found.into_iter().map(|ord| ord.map(i64::from))
    }
}

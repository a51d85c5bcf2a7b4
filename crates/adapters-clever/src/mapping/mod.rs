//! From Clever's objects to domain records: pure functions, told apart by kind.

pub(crate) mod course;
pub(crate) mod fields;
pub(crate) mod org;
pub(crate) mod page;
pub(crate) mod section;
pub(crate) mod session;
pub(crate) mod user;

use std::collections::HashMap;
use std::sync::Arc;

use rollcall_domain::SourcedId;

/// What objects are mapped with.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The district.
    pub(crate) district: SourcedId,
    /// The years of the terms.
    pub(crate) years: Arc<Years>,
    /// The contacts of the students; none where a student's record says nothing of them.
    pub(crate) contacts: Option<Arc<Contacts>>,
    /// Whether demographics are wanted.
    pub(crate) demographics: bool,
}

/// The school years of the district: each is named by the year in which it ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Years {
    /// The year of each term.
    pub(crate) of_terms: HashMap<SourcedId, u16>,
    /// The year in which the district last synced: that of whatever has no term.
    pub(crate) current: u16,
}

impl Years {
    /// The year of a section that is in this term, or in none.
    pub(crate) fn of(&self, term: Option<&SourcedId>) -> u16 {
        term.and_then(|term| self.of_terms.get(term)).copied().unwrap_or(self.current)
    }
}

/// Who is a contact of which student, as the contacts say.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    /// Student and contact, sorted.
    pairs: Vec<(SourcedId, SourcedId)>,
    /// No user was there of whom it cannot be told whose contact they are.
    pub(crate) are_all: bool,
}

impl Contacts {
    pub(crate) fn new(page::Pairs { mut pairs, is_one_untold }: page::Pairs) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        Self { pairs, are_all: !is_one_untold }
    }

    /// Whether somebody is a contact of a student.
    pub(crate) fn has(&self, student: &SourcedId, contact: &SourcedId) -> bool {
        self.pairs.binary_search_by(|(known, other)| known.cmp(student).then_with(|| other.cmp(contact))).is_ok()
    }

    /// The contacts of a student.
    pub(crate) fn of<'a>(&'a self, student: &'a SourcedId) -> impl Iterator<Item = &'a SourcedId> {
        let first = self.pairs.partition_point(|(known, _)| known < student);
        self.pairs[first..].iter().take_while(move |(known, _)| known == student).map(|(_, contact)| contact)
    }
}

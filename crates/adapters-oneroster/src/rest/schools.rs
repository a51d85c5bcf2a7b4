//! A source that is narrowed to some schools.
//!
//! Servers differ in how they filter by school, and few take more than two conditions, so everything is asked for and what
//! belongs elsewhere is left out here. What is left out follows from the kinds before it, which is why such a source is
//! always read in full.

use std::collections::HashSet;

use rollcall_domain::vocabulary::OrgType;
use rollcall_domain::{Kind, Record, SourcedId};

/// What of a roster belongs to the chosen schools, as far as it has been read.
#[derive(Debug, Clone, Default)]
pub(crate) struct SchoolScope {
    chosen: HashSet<SourcedId>,
    /// Chosen schools that no org has been seen of.
    unseen: HashSet<SourcedId>,
    /// Schools that were not chosen.
    others: HashSet<SourcedId>,
    /// Classes that are held elsewhere.
    classes_elsewhere: HashSet<SourcedId>,
    /// Users who are at other schools only.
    users_elsewhere: HashSet<SourcedId>,
}

impl SchoolScope {
    pub(crate) fn new(chosen: &[String]) -> Self {
        let chosen: HashSet<_> = chosen.iter().filter_map(|id| SourcedId::new(id).ok()).collect();
        Self { unseen: chosen.clone(), chosen, ..Self::default() }
    }

    /// Whether the record belongs to the chosen schools. What refers to no school belongs to all of them.
    pub(crate) fn holds(&self, record: &Record) -> bool {
        let is_other = |org: &SourcedId| self.others.contains(org);
        match record {
            Record::Orgs(org) => org.org_type != OrgType::School || self.chosen.contains(&org.sourced_id),
            Record::AcademicSessions(_) => true,
            Record::Courses(course) => !course.org.as_ref().is_some_and(is_other),
            Record::Classes(class) => !is_other(&class.school),
            Record::Users(user) => {
                let mut orgs =
                    user.roles.iter().filter_map(|role| role.org.as_ref()).chain(&user.primary_org).peekable();
                orgs.peek().is_none() || orgs.any(|org| !is_other(org))
            }
            Record::Enrollments(enrollment) => {
                !self.classes_elsewhere.contains(&enrollment.class) && !self.users_elsewhere.contains(&enrollment.user)
            }
            Record::Demographics(demographics) => !self.users_elsewhere.contains(&demographics.sourced_id),
        }
    }

    /// Remembers a record that was left out, for the kinds that refer to it.
    pub(crate) fn leave_out(&mut self, kind: Kind, sourced_id: SourcedId) {
        match kind {
            Kind::Orgs => self.others.insert(sourced_id),
            Kind::Classes => self.classes_elsewhere.insert(sourced_id),
            Kind::Users => self.users_elsewhere.insert(sourced_id),
            _ => false,
        };
    }

    /// Remembers that a chosen school was there.
    pub(crate) fn see(&mut self, sourced_id: &SourcedId) {
        self.unseen.remove(sourced_id);
    }

    /// The chosen schools that have not been seen, in alphabetical order.
    pub(crate) fn unseen(&self) -> Vec<String> {
        let mut unseen: Vec<_> = self.unseen.iter().map(ToString::to_string).collect();
        unseen.sort_unstable();
        unseen
    }
}

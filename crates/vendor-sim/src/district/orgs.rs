use compact_str::format_compact;
use rollcall_domain::entities::{Metadata, Org};
use rollcall_domain::vocabulary::OrgType;
use rollcall_domain::{SourcedId, Text};

use super::District;
use super::names::{PLACES, SCHOOLS};
use super::plan::Level;
use crate::random::{Draw, Purpose};

/// The departments of a district office.
pub(super) const DEPARTMENTS: [&str; 2] = ["Special Education", "Arts & Music"];
pub(super) const SPECIAL_EDUCATION: usize = 0;
pub(super) const ARTS: usize = 1;

impl District {
    pub(super) fn district_id(&self) -> SourcedId {
        self.id("org", Purpose::Org, 0)
    }

    pub(super) fn department_id(&self, department: usize) -> SourcedId {
        self.id("org", Purpose::Org, 1 + department as u64)
    }

    pub(super) fn school_id(&self, school: usize) -> SourcedId {
        self.id("org", Purpose::Org, 100 + school as u64)
    }

    /// The name of the place, for titles and addresses.
    pub(super) fn place(&self) -> &'static str {
        PLACES[Draw::new(self.seed, Purpose::Org, &[0]).below(PLACES.len())]
    }

    pub(super) fn orgs(&self) -> impl Iterator<Item = Org> + '_ {
        let number = Draw::new(self.seed, Purpose::Org, &[1]).below(900_000) + 4_800_000;
        let district = std::iter::once_with(move || {
            org(
                self.district_id(),
                format_compact!("{} Unified School District", self.place()),
                OrgType::District,
                Some(format_compact!("{number}")),
            )
        });
        let departments = DEPARTMENTS.iter().enumerate().map(|(index, name)| Org {
            parent: Some(self.district_id()),
            ..org(self.department_id(index), Text::const_new(name), OrgType::Department, None)
        });
        let schools = (0..self.plan.schools).map(move |school| {
            let mut school_org = org(
                self.school_id(school),
                self.school_name(school),
                OrgType::School,
                Some(format_compact!("{number}{school:05}")),
            );
            school_org.parent = Some(self.district_id());
            school_org.metadata.insert(
                Text::const_new("phone"),
                format_compact!("+1 555 01{:02} {:04}", school / 10_000, school % 10_000),
            );
            school_org
        });
        district.chain(departments).chain(schools)
    }

    fn school_name(&self, school: usize) -> Text {
        let level = match Level::of_school(school) {
            Level::Elementary => "Elementary School",
            Level::Middle => "Middle School",
            Level::High => "High School",
        };
        let offset = Draw::new(self.seed, Purpose::Org, &[2]).below(SCHOOLS.len());
        let name = SCHOOLS[(school + offset) % SCHOOLS.len()];
        match school / SCHOOLS.len() {
            0 => format_compact!("{name} {level}"),
            round => format_compact!("{name} {level} No. {}", round + 1),
        }
    }
}

fn org(sourced_id: SourcedId, name: Text, org_type: OrgType, identifier: Option<Text>) -> Org {
    Org { sourced_id, name, org_type, identifier, parent: None, external_ids: Vec::new(), metadata: Metadata::new() }
}

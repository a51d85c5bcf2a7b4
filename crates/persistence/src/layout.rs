//! Where each kind of record is kept: its table, its columns, its links and the rows that it owns.
//!
//! Everything that is done to all seven kinds (staging, merging, reading back) is written once, over this catalogue. The
//! order of the columns and links is also the order in which [`rows`](crate::rows) writes and reads them.

use std::iter::once;

use rollcall_domain::{Kind, RefField};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Int,
    Bool,
}

/// A plain column of a record or of a row that it owns.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
}

/// A reference: `<stem>_ref` and `<stem>_id`. A required one has no `_ref` of its own once it is stored.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stem: &'static str,
    pub(crate) field: RefField,
}

impl Link {
    pub(crate) fn required(&self) -> bool {
        self.field.is_required()
    }

    /// The table of the records that it points at.
    pub(crate) fn target(&self) -> &'static str {
        layout(self.field.target()).table
    }
}

/// A table of rows that a record owns, in an order of their own.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) table: &'static str,
    pub(crate) staging: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) link: Link,
}

/// How a kind is kept.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) kind: Kind,
    pub(crate) table: &'static str,
    pub(crate) staging: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) links: &'static [Link],
    pub(crate) children: &'static [Child],
}

impl Layout {
    /// The kind's table and those of the rows that its records own.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static str> {
        once(self.table).chain(self.children.iter().map(|child| child.table))
    }

    /// Whether rows of other tables hold the ids of the kind's records.
    pub(crate) fn is_needed_by_others(&self) -> bool {
        !self.children.is_empty() || RefField::ALL.iter().any(|field| field.target() == self.kind)
    }
}

const fn text(name: &'static str) -> Column {
    Column { name, ty: Type::Text }
}

const fn flag(name: &'static str) -> Column {
    Column { name, ty: Type::Bool }
}

const fn int(name: &'static str) -> Column {
    Column { name, ty: Type::Int }
}

const fn link(stem: &'static str, field: RefField) -> Link {
    Link { stem, field }
}

/// The kinds in the order of reference.
pub(crate) static LAYOUTS: [Layout; 7] = [
    Layout {
        kind: Kind::Orgs,
        table: "orgs",
        staging: "s_orgs",
        columns: &[text("name"), text("type"), text("identifier"), text("metadata")],
        links: &[link("parent", RefField::OrgParent)],
        children: &[],
    },
    Layout {
        kind: Kind::AcademicSessions,
        table: "academic_sessions",
        staging: "s_academic_sessions",
        columns: &[
            text("title"),
            text("type"),
            text("start_date"),
            text("end_date"),
            int("school_year"),
            text("metadata"),
        ],
        links: &[link("parent", RefField::SessionParent)],
        children: &[],
    },
    Layout {
        kind: Kind::Courses,
        table: "courses",
        staging: "s_courses",
        columns: &[
            text("title"),
            text("course_code"),
            text("grades"),
            text("subjects"),
            text("subject_codes"),
            text("metadata"),
        ],
        links: &[link("school_year", RefField::CourseSchoolYear), link("org", RefField::CourseOrg)],
        children: &[],
    },
    Layout {
        kind: Kind::Classes,
        table: "classes",
        staging: "s_classes",
        columns: &[
            text("title"),
            text("grades"),
            text("class_code"),
            text("class_type"),
            text("location"),
            text("subjects"),
            text("subject_codes"),
            text("periods"),
            text("metadata"),
        ],
        links: &[link("course", RefField::ClassCourse), link("school", RefField::ClassSchool)],
        children: &[Child {
            table: "class_terms",
            staging: "s_class_terms",
            owner: "class_id",
            columns: &[],
            link: link("term", RefField::ClassTerm),
        }],
    },
    Layout {
        kind: Kind::Users,
        table: "users",
        staging: "s_users",
        columns: &[
            flag("enabled_user"),
            text("username"),
            text("given_name"),
            text("family_name"),
            text("middle_name"),
            text("identifier"),
            text("email"),
            text("sms"),
            text("phone"),
            text("grades"),
            text("user_master_identifier"),
            text("preferred_given_name"),
            text("preferred_middle_name"),
            text("preferred_family_name"),
            text("pronouns"),
            text("metadata"),
        ],
        links: &[link("primary_org", RefField::UserPrimaryOrg)],
        children: &[
            Child {
                table: "user_roles",
                staging: "s_user_roles",
                owner: "user_id",
                columns: &[
                    text("role"),
                    text("role_type"),
                    text("begin_date"),
                    text("end_date"),
                    text("user_profile"),
                    text("sourced_id"),
                ],
                link: link("org", RefField::RoleOrg),
            },
            Child {
                table: "user_agents",
                staging: "s_user_agents",
                owner: "user_id",
                columns: &[],
                link: link("agent", RefField::UserAgent),
            },
        ],
    },
    Layout {
        kind: Kind::Enrollments,
        table: "enrollments",
        staging: "s_enrollments",
        columns: &[
            text("role"),
            flag("is_primary"),
            text("begin_date"),
            text("end_date"),
            text("metadata"),
            text("school_ref"),
        ],
        links: &[link("class", RefField::EnrollmentClass), link("user", RefField::EnrollmentUser)],
        children: &[],
    },
    Layout {
        kind: Kind::Demographics,
        table: "demographics",
        staging: "s_demographics",
        columns: &[
            text("birth_date"),
            text("sex"),
            flag("american_indian_or_alaska_native"),
            flag("asian"),
            flag("black_or_african_american"),
            flag("native_hawaiian_or_other_pacific_islander"),
            flag("white"),
            flag("demographic_race_two_or_more_races"),
            flag("hispanic_or_latino_ethnicity"),
            text("country_of_birth_code"),
            text("state_of_birth_abbreviation"),
            text("city_of_birth"),
            text("public_school_residence_status"),
            text("metadata"),
        ],
        links: &[link("user", RefField::DemographicsUser)],
        children: &[],
    },
];

/// How a kind is kept.
pub(crate) fn layout(kind: Kind) -> &'static Layout {
    &LAYOUTS[kind.index()]
}

/// Where a reference is kept: in the record's own row, or in rows that it owns. An enrollment's school is no link.
pub(crate) enum Place {
    Own(&'static Layout, &'static Link),
    Owned(&'static Layout, &'static Child),
    Column(&'static Layout),
}

/// Where a reference is kept.
pub(crate) fn place(field: RefField) -> Place {
    let layout = layout(field.holder());
    if let Some(link) = layout.links.iter().find(|link| link.field == field) {
        return Place::Own(layout, link);
    }
    match layout.children.iter().find(|child| child.link.field == field) {
        Some(child) => Place::Owned(layout, child),
        None => Place::Column(layout),
    }
}

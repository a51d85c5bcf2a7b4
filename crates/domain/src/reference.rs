//! Which record refers to which, and what it means when the target is not there.

use crate::{Kind, SourcedId};

/// One link from a record to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The field that holds it.
    pub field: RefField,
    /// The id of the record it points at, as the source wrote it.
    pub target: &'a SourcedId,
}

/// The fields that refer to other records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefField {
    /// The org above an org.
    OrgParent,
    /// The session above a session.
    SessionParent,
    /// The school year of a course.
    CourseSchoolYear,
    /// The org that offers a course.
    CourseOrg,
    /// The course that a class teaches.
    ClassCourse,
    /// The school that a class is held in.
    ClassSchool,
    /// One of the sessions in which a class is held.
    ClassTerm,
    /// The org of one of a user's roles.
    RoleOrg,
    /// One of the users who act for a user, or for whom it acts.
    UserAgent,
    /// The org that a user mainly belongs to.
    UserPrimaryOrg,
    /// The class of an enrollment.
    EnrollmentClass,
    /// The school of an enrollment. It follows from the class; a source's own word is only checked.
    EnrollmentSchool,
    /// The user of an enrollment.
    EnrollmentUser,
    /// The user whom a demographics record describes: its own sourcedId.
    DemographicsUser,
}

impl RefField {
    /// Every field, grouped by the kind that holds it.
    pub const ALL: [Self; 14] = [
        Self::OrgParent,
        Self::SessionParent,
        Self::CourseSchoolYear,
        Self::CourseOrg,
        Self::ClassCourse,
        Self::ClassSchool,
        Self::ClassTerm,
        Self::RoleOrg,
        Self::UserAgent,
        Self::UserPrimaryOrg,
        Self::EnrollmentClass,
        Self::EnrollmentSchool,
        Self::EnrollmentUser,
        Self::DemographicsUser,
    ];

    /// The kind of the record that refers.
    pub const fn holder(self) -> Kind {
        match self {
            Self::OrgParent => Kind::Orgs,
            Self::SessionParent => Kind::AcademicSessions,
            Self::CourseSchoolYear | Self::CourseOrg => Kind::Courses,
            Self::ClassCourse | Self::ClassSchool | Self::ClassTerm => Kind::Classes,
            Self::RoleOrg | Self::UserAgent | Self::UserPrimaryOrg => Kind::Users,
            Self::EnrollmentClass | Self::EnrollmentSchool | Self::EnrollmentUser => Kind::Enrollments,
            Self::DemographicsUser => Kind::Demographics,
        }
    }

    /// The kind of the record that is referred to.
    pub const fn target(self) -> Kind {
        match self {
            Self::OrgParent
            | Self::CourseOrg
            | Self::ClassSchool
            | Self::RoleOrg
            | Self::UserPrimaryOrg
            | Self::EnrollmentSchool => Kind::Orgs,
            Self::SessionParent | Self::CourseSchoolYear | Self::ClassTerm => Kind::AcademicSessions,
            Self::ClassCourse => Kind::Courses,
            Self::EnrollmentClass => Kind::Classes,
            Self::UserAgent | Self::EnrollmentUser | Self::DemographicsUser => Kind::Users,
        }
    }

    /// A record without the target of a required reference is refused, and is deleted together with it. An optional
    /// one is left out until its target arrives.
    pub const fn is_required(self) -> bool {
        matches!(self, Self::ClassSchool | Self::EnrollmentClass | Self::EnrollmentUser | Self::DemographicsUser)
    }

    /// The column of the OneRoster 1.2 CSV binding that carries the reference.
    pub const fn column(self) -> &'static str {
        match self {
            Self::OrgParent | Self::SessionParent => "parentSourcedId",
            Self::CourseSchoolYear => "schoolYearSourcedId",
            Self::CourseOrg | Self::RoleOrg => "orgSourcedId",
            Self::ClassCourse => "courseSourcedId",
            Self::ClassSchool | Self::EnrollmentSchool => "schoolSourcedId",
            Self::ClassTerm => "termSourcedIds",
            Self::UserAgent => "agentSourcedIds",
            Self::UserPrimaryOrg => "primaryOrgSourcedId",
            Self::EnrollmentClass => "classSourcedId",
            Self::EnrollmentUser => "userSourcedId",
            Self::DemographicsUser => "sourcedId",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_refers_only_to_itself_and_to_kinds_before_it() {
        for field in RefField::ALL {
            assert!(field.target() <= field.holder(), "{field:?}");
        }
    }
}

//! The files of a package and their columns, in the order of the standard.

use rollcall_domain::Kind;

/// A version of OneRoster that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExportVersion {
    /// 1.1: one role per user.
    V1_1,
    /// 1.2, with the columns of the correction 1.2.1: roles in a file of their own.
    V1_2,
}

impl ExportVersion {
    /// The value of `oneroster.version` in the manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// Every file that the version's manifest must name.
    pub(super) const fn manifest_files(self) -> &'static [&'static str] {
        match self {
            Self::V1_1 => &[
                "academicSessions",
                "categories",
                "classes",
                "classResources",
                "courses",
                "courseResources",
                "demographics",
                "enrollments",
                "lineItems",
                "orgs",
                "resources",
                "results",
                "users",
            ],
            Self::V1_2 => &[
                "academicSessions",
                "categories",
                "classes",
                "classResources",
                "courses",
                "courseResources",
                "demographics",
                "enrollments",
                "lineItemLearningObjectiveIds",
                "lineItems",
                "lineItemScoreScales",
                "orgs",
                "resources",
                "resultLearningObjectiveIds",
                "results",
                "resultScoreScales",
                "roles",
                "scoreScales",
                "userProfiles",
                "userResources",
                "users",
            ],
        }
    }
}

/// A file that the writer fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExportFile {
    Orgs,
    AcademicSessions,
    Courses,
    Classes,
    Users,
    Roles,
    Enrollments,
    Demographics,
}

impl ExportFile {
    pub(super) const ALL: [Self; 8] = [
        Self::Orgs,
        Self::AcademicSessions,
        Self::Courses,
        Self::Classes,
        Self::Users,
        Self::Roles,
        Self::Enrollments,
        Self::Demographics,
    ];

    /// The kind of record whose rows and extension fields the file holds; roles are no kind.
    pub(super) const fn kind(self) -> Option<Kind> {
        match self {
            Self::Orgs => Some(Kind::Orgs),
            Self::AcademicSessions => Some(Kind::AcademicSessions),
            Self::Courses => Some(Kind::Courses),
            Self::Classes => Some(Kind::Classes),
            Self::Users => Some(Kind::Users),
            Self::Roles => None,
            Self::Enrollments => Some(Kind::Enrollments),
            Self::Demographics => Some(Kind::Demographics),
        }
    }

    /// The name without `.csv`.
    pub(super) const fn name(self) -> &'static str {
        match self.kind() {
            Some(kind) => kind.as_str(),
            None => "roles",
        }
    }

    /// The columns after `sourcedId`, `status` and `dateLastModified`.
    pub(super) const fn columns(self, version: ExportVersion) -> &'static [&'static str] {
        match (self, version) {
            (Self::Orgs, _) => &["name", "type", "identifier", "parentSourcedId"],
            (Self::AcademicSessions, _) => &["title", "type", "startDate", "endDate", "parentSourcedId", "schoolYear"],
            (Self::Courses, _) => {
                &["schoolYearSourcedId", "title", "courseCode", "grades", "orgSourcedId", "subjects", "subjectCodes"]
            }
            (Self::Classes, _) => &[
                "title",
                "grades",
                "courseSourcedId",
                "classCode",
                "classType",
                "location",
                "schoolSourcedId",
                "termSourcedIds",
                "subjects",
                "subjectCodes",
                "periods",
            ],
            (Self::Users, ExportVersion::V1_1) => &[
                "enabledUser",
                "orgSourcedIds",
                "role",
                "username",
                "userIds",
                "givenName",
                "familyName",
                "middleName",
                "identifier",
                "email",
                "sms",
                "phone",
                "agentSourcedIds",
                "grades",
                "password",
            ],
            (Self::Users, ExportVersion::V1_2) => &[
                "enabledUser",
                "username",
                "userIds",
                "givenName",
                "familyName",
                "middleName",
                "identifier",
                "email",
                "sms",
                "phone",
                "agentSourcedIds",
                "grades",
                "password",
                "userMasterIdentifier",
                "preferredGivenName",
                "preferredMiddleName",
                "preferredFamilyName",
                "primaryOrgSourcedId",
                "pronouns",
            ],
            (Self::Roles, _) => {
                &["userSourcedId", "roleType", "role", "beginDate", "endDate", "orgSourcedId", "userProfileSourcedId"]
            }
            (Self::Enrollments, _) => {
                &["classSourcedId", "schoolSourcedId", "userSourcedId", "role", "primary", "beginDate", "endDate"]
            }
            (Self::Demographics, _) => &[
                "birthDate",
                "sex",
                "americanIndianOrAlaskaNative",
                "asian",
                "blackOrAfricanAmerican",
                "nativeHawaiianOrOtherPacificIslander",
                "white",
                "demographicRaceTwoOrMoreRaces",
                "hispanicOrLatinoEthnicity",
                "countryOfBirthCode",
                "stateOfBirthAbbreviation",
                "cityOfBirth",
                "publicSchoolResidenceStatus",
            ],
        }
    }
}

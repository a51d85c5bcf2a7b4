//! What differs between OneRoster 1.1 and 1.2 over REST, apart from the records.

use rollcall_domain::Kind;

/// A version of OneRoster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// OneRoster 1.1.
    V1_1,
    /// OneRoster 1.2.
    V1_2,
}

/// What a token must cover to reach a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    /// A collection at the top, or one record.
    Core,
    /// A collection below a record.
    Nested,
    /// Demographics.
    Demographics,
}

/// Core, full and demographics.
const SCOPES_1_1: [&str; 3] = [
    "https://purl.imsglobal.org/spec/or/v1p1/scope/roster-core.readonly",
    "https://purl.imsglobal.org/spec/or/v1p1/scope/roster.readonly",
    "https://purl.imsglobal.org/spec/or/v1p1/scope/roster-demographics.readonly",
];
const SCOPES_1_2: [&str; 3] = [
    "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-core.readonly",
    "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.readonly",
    "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-demographics.readonly",
];

impl Version {
    /// The number of the version.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// The path below which the rostering service lies.
    pub const fn base_path(self) -> &'static str {
        match self {
            Self::V1_1 => "/ims/oneroster/v1p1",
            Self::V1_2 => "/ims/oneroster/rostering/v1p2",
        }
    }

    /// The scopes that a token may have.
    pub const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::V1_1 => &SCOPES_1_1,
            Self::V1_2 => &SCOPES_1_2,
        }
    }

    /// The scopes any of which reaches a path.
    pub(super) fn scopes_for(self, coverage: Coverage) -> &'static [&'static str] {
        match coverage {
            Coverage::Core => &self.scopes()[..2],
            Coverage::Nested => &self.scopes()[1..2],
            Coverage::Demographics => &self.scopes()[2..],
        }
    }

    /// The members of a record beside `sourcedId`, `status`, `dateLastModified` and `metadata`.
    pub(super) const fn fields(self, kind: Kind) -> &'static [&'static str] {
        match (kind, self) {
            (Kind::Orgs, _) => &["name", "type", "identifier", "parent", "children"],
            (Kind::AcademicSessions, _) => {
                &["title", "type", "startDate", "endDate", "parent", "children", "schoolYear"]
            }
            (Kind::Courses, _) => {
                &["title", "schoolYear", "courseCode", "grades", "subjects", "org", "subjectCodes", "resources"]
            }
            (Kind::Classes, _) => &[
                "title",
                "classCode",
                "classType",
                "location",
                "grades",
                "subjects",
                "course",
                "school",
                "terms",
                "subjectCodes",
                "periods",
                "resources",
            ],
            (Kind::Users, Self::V1_1) => &[
                "username",
                "userIds",
                "enabledUser",
                "givenName",
                "familyName",
                "middleName",
                "role",
                "identifier",
                "email",
                "sms",
                "phone",
                "agents",
                "orgs",
                "grades",
                "password",
            ],
            (Kind::Users, Self::V1_2) => &[
                "userMasterIdentifier",
                "username",
                "userIds",
                "enabledUser",
                "givenName",
                "familyName",
                "middleName",
                "preferredFirstName",
                "preferredMiddleName",
                "preferredLastName",
                "pronouns",
                "roles",
                "userProfiles",
                "primaryOrg",
                "identifier",
                "email",
                "sms",
                "phone",
                "agents",
                "grades",
                "password",
                "resources",
            ],
            (Kind::Enrollments, _) => &["user", "class", "school", "role", "primary", "beginDate", "endDate"],
            (Kind::Demographics, _) => &[
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

    /// Whether records of a kind have a member.
    pub(super) fn has_field(self, kind: Kind, name: &str) -> bool {
        matches!(name, "sourcedId" | "status" | "dateLastModified" | "metadata") || self.fields(kind).contains(&name)
    }
}

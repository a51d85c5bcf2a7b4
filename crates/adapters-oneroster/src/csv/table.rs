//! The files of a OneRoster package: which are read, which are known and passed over, and the columns of each.

use rollcall_domain::Kind;

/// The version of the standard that a package follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Version {
    /// June 2015: seven files, no manifest, some other column names.
    V1_0,
    /// April 2017.
    V1_1,
    /// June 2022: roles in a file of their own.
    V1_2,
}

impl Version {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }
}

/// A file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Table {
    Orgs,
    AcademicSessions,
    Courses,
    Classes,
    Users,
    Roles,
    Enrollments,
    Demographics,
}

impl Table {
    /// Every table in the order of reference. Roles stand after the users they belong to.
    pub(crate) const ALL: [Self; 8] = [
        Self::Orgs,
        Self::AcademicSessions,
        Self::Courses,
        Self::Classes,
        Self::Users,
        Self::Roles,
        Self::Enrollments,
        Self::Demographics,
    ];

    /// The name without `.csv`, which is also the name in the manifest.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Orgs => "orgs",
            Self::AcademicSessions => "academicSessions",
            Self::Courses => "courses",
            Self::Classes => "classes",
            Self::Users => "users",
            Self::Roles => "roles",
            Self::Enrollments => "enrollments",
            Self::Demographics => "demographics",
        }
    }

    /// The kind of record that the rows are, or are part of.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Orgs => Kind::Orgs,
            Self::AcademicSessions => Kind::AcademicSessions,
            Self::Courses => Kind::Courses,
            Self::Classes => Kind::Classes,
            Self::Users | Self::Roles => Kind::Users,
            Self::Enrollments => Kind::Enrollments,
            Self::Demographics => Kind::Demographics,
        }
    }

    /// The table with this name, in any case and without `.csv`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.as_str().eq_ignore_ascii_case(name))
    }

    /// The columns that the standard defines, in its order.
    pub(crate) const fn columns(self, version: Version) -> &'static [Column] {
        use Column as C;
        match self {
            Self::Orgs => {
                &[C::SourcedId, C::Status, C::DateLastModified, C::Name, C::Type, C::Identifier, C::ParentSourcedId]
            }
            Self::AcademicSessions => &[
                C::SourcedId,
                C::Status,
                C::DateLastModified,
                C::Title,
                C::Type,
                C::StartDate,
                C::EndDate,
                C::ParentSourcedId,
                C::SchoolYear,
            ],
            Self::Courses => &[
                C::SourcedId,
                C::Status,
                C::DateLastModified,
                C::SchoolYearSourcedId,
                C::Title,
                C::CourseCode,
                C::Grades,
                C::OrgSourcedId,
                C::Subjects,
                C::SubjectCodes,
            ],
            Self::Classes => &[
                C::SourcedId,
                C::Status,
                C::DateLastModified,
                C::Title,
                C::Grades,
                C::CourseSourcedId,
                C::ClassCode,
                C::ClassType,
                C::Location,
                C::SchoolSourcedId,
                C::TermSourcedIds,
                C::Subjects,
                C::SubjectCodes,
                C::Periods,
            ],
            Self::Users => match version {
                Version::V1_0 | Version::V1_1 => &[
                    C::SourcedId,
                    C::Status,
                    C::DateLastModified,
                    C::EnabledUser,
                    C::OrgSourcedIds,
                    C::Role,
                    C::Username,
                    C::UserIds,
                    C::GivenName,
                    C::FamilyName,
                    C::MiddleName,
                    C::Identifier,
                    C::Email,
                    C::Sms,
                    C::Phone,
                    C::AgentSourcedIds,
                    C::Grades,
                    C::Password,
                ],
                Version::V1_2 => &[
                    C::SourcedId,
                    C::Status,
                    C::DateLastModified,
                    C::EnabledUser,
                    C::Username,
                    C::UserIds,
                    C::GivenName,
                    C::FamilyName,
                    C::MiddleName,
                    C::Identifier,
                    C::Email,
                    C::Sms,
                    C::Phone,
                    C::AgentSourcedIds,
                    C::Grades,
                    C::Password,
                    C::UserMasterIdentifier,
                    C::ResourceSourcedIds,
                    C::PreferredGivenName,
                    C::PreferredMiddleName,
                    C::PreferredFamilyName,
                    C::PrimaryOrgSourcedId,
                    C::Pronouns,
                ],
            },
            Self::Roles => &[
                C::SourcedId,
                C::Status,
                C::DateLastModified,
                C::UserSourcedId,
                C::RoleType,
                C::Role,
                C::BeginDate,
                C::EndDate,
                C::OrgSourcedId,
                C::UserProfileSourcedId,
            ],
            Self::Enrollments => &[
                C::SourcedId,
                C::Status,
                C::DateLastModified,
                C::ClassSourcedId,
                C::SchoolSourcedId,
                C::UserSourcedId,
                C::Role,
                C::Primary,
                C::BeginDate,
                C::EndDate,
            ],
            Self::Demographics => &[
                C::SourcedId,
                C::Status,
                C::DateLastModified,
                C::BirthDate,
                C::Sex,
                C::AmericanIndianOrAlaskaNative,
                C::Asian,
                C::BlackOrAfricanAmerican,
                C::NativeHawaiianOrOtherPacificIslander,
                C::White,
                C::DemographicRaceTwoOrMoreRaces,
                C::HispanicOrLatinoEthnicity,
                C::CountryOfBirthCode,
                C::StateOfBirthAbbreviation,
                C::CityOfBirth,
                C::PublicSchoolResidenceStatus,
            ],
        }
    }

    /// Columns whose blank values refuse the record. A file without one of them would lose every record, so the package
    /// is refused. Of each group one column is enough.
    pub(crate) const fn essential(self, roles_in_users: bool) -> &'static [&'static [Column]] {
        use Column as C;
        match self {
            Self::Orgs => &[&[C::SourcedId], &[C::Name]],
            Self::AcademicSessions => &[&[C::SourcedId], &[C::Title], &[C::StartDate], &[C::EndDate]],
            Self::Courses | Self::Demographics => &[&[C::SourcedId]],
            Self::Classes => &[&[C::SourcedId], &[C::SchoolSourcedId]],
            Self::Users if roles_in_users => &[&[C::SourcedId], &[C::Role], &[C::GivenName, C::FamilyName]],
            Self::Users => &[&[C::SourcedId], &[C::GivenName, C::FamilyName]],
            Self::Roles => &[&[C::SourcedId], &[C::UserSourcedId], &[C::Role]],
            Self::Enrollments => &[&[C::SourcedId], &[C::ClassSourcedId], &[C::UserSourcedId], &[C::Role]],
        }
    }

    /// Other names under which a column is known, in this table: those of 1.0, and misspellings seen in real exports.
    pub(crate) fn alias(self, name: &str) -> Option<Column> {
        use Column as C;
        let lower = name.to_ascii_lowercase();
        let column = match (self, lower.as_str()) {
            (_, "datalastmodified" | "datelastmodifed" | "lastmodified" | "datelastmodifieddate") => {
                C::DateLastModified
            }
            (_, "sourceid" | "sourcedids" | "sourced_id") | (Self::Demographics, "usersourcedid") => C::SourcedId,
            (Self::Demographics, "birthdate" | "dateofbirth") => C::BirthDate,
            (Self::Courses | Self::Classes | Self::Users, "grade") => C::Grades,
            (Self::Courses, "schoolyearid") => C::SchoolYearSourcedId,
            (Self::Courses, "orgsourcedids" | "orgid") => C::OrgSourcedId,
            (Self::Courses | Self::Classes, "subject") => C::Subjects,
            (Self::Courses | Self::Classes, "subjectcode") => C::SubjectCodes,
            (Self::Classes, "termsourcedid") => C::TermSourcedIds,
            (Self::Classes, "period") => C::Periods,
            (Self::Users, "userid") => C::UserIds,
            (Self::Users, "orgsourcedid") => C::OrgSourcedIds,
            (Self::Users, "agents" | "agentsourcedid") => C::AgentSourcedIds,
            (Self::Users, "prefferedgivenname" | "preferedgivenname") => C::PreferredGivenName,
            (Self::Users, "prefferedmiddlename" | "preferedmiddlename") => C::PreferredMiddleName,
            (Self::Users, "prefferedfamilyname" | "preferedfamilyname") => C::PreferredFamilyName,
            (Self::Users, "resourcesourcedid") => C::ResourceSourcedIds,
            _ => return None,
        };
        Some(column)
    }
}

/// Files of the standard that hold no roster. They are known, and not read.
const PASSED_OVER: &[(&str, &str)] = &[
    ("userProfiles", "user profiles hold credentials and are not read"),
    ("resources", "resource data is not read"),
    ("classResources", "resource data is not read"),
    ("courseResources", "resource data is not read"),
    // The 1.2 text itself misspells this one in a table, and exporters copied it.
    ("courseResourses", "resource data is not read"),
    ("userResources", "resource data is not read"),
    ("categories", "gradebook data is not read"),
    ("lineItems", "gradebook data is not read"),
    ("results", "gradebook data is not read"),
    ("scoreScales", "gradebook data is not read"),
    ("lineItemScoreScales", "gradebook data is not read"),
    ("resultScoreScales", "gradebook data is not read"),
    ("lineItemLearningObjectiveIds", "gradebook data is not read"),
    ("resultLearningObjectiveIds", "gradebook data is not read"),
];

/// Why a file of the standard is not read, if it is one of those.
pub(crate) fn passed_over(name: &str) -> Option<(&'static str, &'static str)> {
    PASSED_OVER.iter().copied().find(|(known, _)| known.eq_ignore_ascii_case(name))
}

macro_rules! columns {
    ($( $variant:ident = $name:literal ),+ $(,)?) => {
        /// A column that the standard defines in one of the files that are read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Column { $( $variant, )+ }

        impl Column {
            /// How many there are.
            pub(crate) const COUNT: usize = [$( Self::$variant, )+].len();

            /// The standard's spelling.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }
        }
    };
}

columns! {
    SourcedId = "sourcedId",
    Status = "status",
    DateLastModified = "dateLastModified",
    Name = "name",
    Title = "title",
    Type = "type",
    Identifier = "identifier",
    ParentSourcedId = "parentSourcedId",
    StartDate = "startDate",
    BeginDate = "beginDate",
    EndDate = "endDate",
    SchoolYear = "schoolYear",
    SchoolYearSourcedId = "schoolYearSourcedId",
    CourseCode = "courseCode",
    Grades = "grades",
    OrgSourcedId = "orgSourcedId",
    Subjects = "subjects",
    SubjectCodes = "subjectCodes",
    CourseSourcedId = "courseSourcedId",
    ClassCode = "classCode",
    ClassType = "classType",
    Location = "location",
    SchoolSourcedId = "schoolSourcedId",
    TermSourcedIds = "termSourcedIds",
    Periods = "periods",
    EnabledUser = "enabledUser",
    OrgSourcedIds = "orgSourcedIds",
    Role = "role",
    Username = "username",
    UserIds = "userIds",
    GivenName = "givenName",
    FamilyName = "familyName",
    MiddleName = "middleName",
    Email = "email",
    Sms = "sms",
    Phone = "phone",
    AgentSourcedIds = "agentSourcedIds",
    Password = "password",
    UserMasterIdentifier = "userMasterIdentifier",
    ResourceSourcedIds = "resourceSourcedIds",
    PreferredGivenName = "preferredGivenName",
    PreferredMiddleName = "preferredMiddleName",
    PreferredFamilyName = "preferredFamilyName",
    PrimaryOrgSourcedId = "primaryOrgSourcedId",
    Pronouns = "pronouns",
    UserSourcedId = "userSourcedId",
    RoleType = "roleType",
    UserProfileSourcedId = "userProfileSourcedId",
    ClassSourcedId = "classSourcedId",
    Primary = "primary",
    BirthDate = "birthDate",
    Sex = "sex",
    AmericanIndianOrAlaskaNative = "americanIndianOrAlaskaNative",
    Asian = "asian",
    BlackOrAfricanAmerican = "blackOrAfricanAmerican",
    NativeHawaiianOrOtherPacificIslander = "nativeHawaiianOrOtherPacificIslander",
    White = "white",
    DemographicRaceTwoOrMoreRaces = "demographicRaceTwoOrMoreRaces",
    HispanicOrLatinoEthnicity = "hispanicOrLatinoEthnicity",
    CountryOfBirthCode = "countryOfBirthCode",
    StateOfBirthAbbreviation = "stateOfBirthAbbreviation",
    CityOfBirth = "cityOfBirth",
    PublicSchoolResidenceStatus = "publicSchoolResidenceStatus",
}

impl Column {
    /// Whether a file of this version may leave the column out without a word: withdrawn or added between revisions.
    pub(crate) const fn may_be_absent(self) -> bool {
        matches!(self, Self::ResourceSourcedIds)
    }

    /// Whether the column holds a secret. Its cells are never looked at.
    pub(crate) fn is_secret(name: &str) -> bool {
        name.to_ascii_lowercase().contains("password")
    }
}

//! The enumerations of OneRoster, as open vocabularies.
//!
//! Real exports write `Scheduled`, `SCHEDULED` and `ext:lab`. A vocabulary therefore reads a token and says how well it
//! was [`Recognised`]; what to do with an unknown one (warn, or refuse the record) is for the caller, because the answer
//! differs from field to field. Tokens written out are always the standard's own spelling.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a token fits a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recognised<T> {
    /// The standard's own spelling.
    Exact(T),
    /// A value of the standard in another case, or in an older or wider spelling.
    Lenient(T),
    /// An `ext:` value, which OneRoster 1.2 allows.
    Extension(T),
    /// None of these. The raw token is kept in the value.
    Unknown(T),
}

impl<T> Recognised<T> {
    /// The value, however well it fits.
    pub fn into_inner(self) -> T {
        match self {
            Self::Exact(value) | Self::Lenient(value) | Self::Extension(value) | Self::Unknown(value) => value,
        }
    }
}

macro_rules! vocabulary {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $token:literal $(| $alias:literal)* ; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )+
            /// A value outside the standard's list, as the source wrote it.
            Other(CompactString),
        }

        impl $name {
            /// The values of the standard.
            pub const STANDARD: &[Self] = &[$( Self::$variant, )+];

            /// The token that OneRoster 1.2 files carry.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$variant => $token, )+
                    Self::Other(raw) => raw,
                }
            }

            /// Reads a token, and says how well it fits.
            pub fn recognise(token: &str) -> Recognised<Self> {
                match token {
                    $( $token => return Recognised::Exact(Self::$variant), )+
                    _ => {}
                }
                $(
                    if token.eq_ignore_ascii_case($token) $( || token.eq_ignore_ascii_case($alias) )* {
                        return Recognised::Lenient(Self::$variant);
                    }
                )+
                let raw = Self::Other(CompactString::new(token));
                if is_extension(token) {
                    Recognised::Extension(raw)
                } else {
                    Recognised::Unknown(raw)
                }
            }
        }

        impl From<&str> for $name {
            fn from(token: &str) -> Self {
                Self::recognise(token).into_inner()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let token = CompactString::deserialize(deserializer)?;
                Ok(Self::from(token.as_str()))
            }
        }
    };
}

/// The `ext:` form of OneRoster 1.2: `ext:[a-zA-Z0-9.\-_]+`.
fn is_extension(token: &str) -> bool {
    token.strip_prefix("ext:").is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    })
}

vocabulary! {
    /// What sort of organisation an org is.
    OrgType {
        /// A part of a school or of another org.
        Department = "department";
        /// A place of teaching: what classes and enrollments belong to.
        School = "school";
        /// A group of schools under one administration.
        District = "district";
        /// A local authority.
        Local = "local";
        /// A state or province.
        State = "state";
        /// A country.
        National = "national";
    }
}

vocabulary! {
    /// What span of time an academic session is.
    SessionType {
        /// The span of one report card.
        GradingPeriod = "gradingPeriod" | "grading period" | "grading_period";
        /// Half a school year.
        Semester = "semester";
        /// A whole school year.
        SchoolYear = "schoolYear" | "school year" | "school_year";
        /// Any other teaching period.
        Term = "term";
    }
}

vocabulary! {
    /// Whether a class meets by timetable or is where attendance is taken.
    ClassType {
        /// A home room.
        Homeroom = "homeroom";
        /// A timetabled class.
        Scheduled = "scheduled";
    }
}

vocabulary! {
    /// What a user is at an org.
    UserRole {
        /// Helps a teacher.
        Aide = "aide";
        /// Advises students.
        Counselor = "counselor";
        /// Administers a district.
        DistrictAdministrator = "districtAdministrator";
        /// Responsible for a student, not necessarily a parent.
        Guardian = "guardian";
        /// A parent of a student.
        Parent = "parent";
        /// Heads a school.
        Principal = "principal";
        /// Supervises tests.
        Proctor = "proctor";
        /// Related to a student.
        Relative = "relative";
        /// Administers a school.
        SiteAdministrator = "siteAdministrator";
        /// Is taught.
        Student = "student";
        /// Administers systems.
        SystemAdministrator = "systemAdministrator";
        /// Teaches.
        Teacher = "teacher";
        /// The `administrator` of OneRoster 1.0 and 1.1, which 1.2 split in four. Which of the four is not guessed.
        Administrator = "ext:administrator" | "administrator";
    }
}

vocabulary! {
    /// What a user is in a class.
    ///
    /// The standard lists administrator, proctor, student and teacher. Exports of 1.1 also enroll aides and family
    /// members; those are kept as extension values.
    EnrollmentRole {
        /// Oversees the class.
        Administrator = "administrator";
        /// Supervises tests.
        Proctor = "proctor";
        /// Is taught.
        Student = "student";
        /// Teaches.
        Teacher = "teacher";
        /// Helps the teacher.
        Aide = "ext:aide" | "aide";
        /// Follows a student's class as a guardian.
        Guardian = "ext:guardian" | "guardian";
        /// Follows a student's class as a parent.
        Parent = "ext:parent" | "parent";
        /// Follows a student's class as a relative.
        Relative = "ext:relative" | "relative";
    }
}

vocabulary! {
    /// Whether a role is the user's main one at its org.
    RoleType {
        /// The main role at the org; at most one there.
        Primary = "primary";
        /// Any further role.
        Secondary = "secondary";
    }
}

vocabulary! {
    /// The sex that a demographics record states.
    Sex {
        /// Female.
        Female = "female" | "F";
        /// Male.
        Male = "male" | "M";
        /// Not stated, on purpose.
        Unspecified = "unspecified";
        /// Neither female nor male.
        OtherSex = "other" | "X";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_exactly_leniently_as_an_extension_or_not_at_all() {
        assert_eq!(OrgType::recognise("school"), Recognised::Exact(OrgType::School));
        assert_eq!(OrgType::recognise("School"), Recognised::Lenient(OrgType::School));
        assert_eq!(OrgType::recognise("ext:campus"), Recognised::Extension(OrgType::Other("ext:campus".into())));
        assert_eq!(OrgType::recognise("ext:"), Recognised::Unknown(OrgType::Other("ext:".into())));
        assert_eq!(OrgType::recognise("galaxy"), Recognised::Unknown(OrgType::Other("galaxy".into())));
    }

    #[test]
    fn the_administrator_of_1_1_is_written_as_an_extension_and_read_back() {
        let role = UserRole::from("administrator");
        assert_eq!(role, UserRole::Administrator);
        assert_eq!(role.as_str(), "ext:administrator");
        assert_eq!(UserRole::from(role.as_str()), role);
    }
}

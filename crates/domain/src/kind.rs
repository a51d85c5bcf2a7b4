use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The seven kinds of rostering records, named as OneRoster names its collections.
///
/// The order of the variants is the order of reference: a kind refers only to itself and to kinds before it.
/// Records are applied in this order and deleted in the reverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Schools, districts and the bodies above and between them.
    Orgs,
    /// School years, semesters, terms and grading periods.
    AcademicSessions,
    /// What is taught, independent of when and to whom.
    Courses,
    /// A course as taught to one group in one school.
    Classes,
    /// Students, teachers, guardians and staff.
    Users,
    /// A user's part in a class.
    Enrollments,
    /// Personal attributes of a user; stored only where a source switches them on.
    Demographics,
}

impl Kind {
    /// Every kind, in the order of reference.
    pub const ALL: [Self; 7] = [
        Self::Orgs,
        Self::AcademicSessions,
        Self::Courses,
        Self::Classes,
        Self::Users,
        Self::Enrollments,
        Self::Demographics,
    ];

    /// The OneRoster collection name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orgs => "orgs",
            Self::AcademicSessions => "academicSessions",
            Self::Courses => "courses",
            Self::Classes => "classes",
            Self::Users => "users",
            Self::Enrollments => "enrollments",
            Self::Demographics => "demographics",
        }
    }

    /// The name of one record of this kind, for sentences.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Orgs => "org",
            Self::AcademicSessions => "academic session",
            Self::Courses => "course",
            Self::Classes => "class",
            Self::Users => "user",
            Self::Enrollments => "enrollment",
            Self::Demographics => "demographics record",
        }
    }

    /// The position in [`Kind::ALL`], for arrays that hold one value per kind.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a kind of record; the kinds are orgs, academicSessions, courses, classes, users, enrollments and demographics"
)]
pub struct UnknownKind(pub String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// One value for each [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerKind<T>([T; 7]);

impl<T> PerKind<T> {
    /// Makes a table by asking for each kind's value.
    pub fn from_fn(mut value: impl FnMut(Kind) -> T) -> Self {
        Self(Kind::ALL.map(&mut value))
    }

    /// The kinds with their values, in the order of reference.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &T)> {
        Kind::ALL.into_iter().zip(&self.0)
    }
}

impl<T> std::ops::Index<Kind> for PerKind<T> {
    type Output = T;

    fn index(&self, kind: Kind) -> &T {
        &self.0[kind.index()]
    }
}

impl<T> std::ops::IndexMut<Kind> for PerKind<T> {
    fn index_mut(&mut self, kind: Kind) -> &mut T {
        &mut self.0[kind.index()]
    }
}

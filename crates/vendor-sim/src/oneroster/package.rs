//! A OneRoster CSV package as what a server over the same data would say.
//!
//! Cells are handed on as they are: a server that holds nonsense serves nonsense. Empty cells are left out.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};
use jiff::Timestamp;
use rollcall_domain::{Kind, PerKind};

use super::Version;
use super::shape::{CLASS, COURSE, ORG, SESSION, Shape, TERM, Target, USER};
use crate::collection::{Builder, Collection, Stamp};
use crate::json::Members;

/// A folder of OneRoster CSV files.
#[derive(Debug)]
pub struct Package {
    folder: PathBuf,
    version: Version,
}

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// A file cannot be read.
    #[error("cannot read {file}: {cause}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        cause: csv::Error,
    },
    /// There are no OneRoster files in it.
    #[error(
        "{folder} holds none of OneRoster's CSV files; give the folder in which orgs.csv, users.csv and the others lie"
    )]
    NotOneRoster {
        /// The folder.
        folder: String,
    },
}

/// How a cell becomes a member.
#[derive(Debug, Clone, Copy)]
enum Cell {
    Text,
    List,
    Reference(Target),
    References(Target),
    UserIds,
}

/// Header (in small letters, as 1.0 has it too), member, and how the one becomes the other.
type Column = (&'static [&'static str], &'static str, Cell);

const SESSIONS: &[Column] = &[
    (&["title"], "title", Cell::Text),
    (&["startdate"], "startDate", Cell::Text),
    (&["enddate"], "endDate", Cell::Text),
    (&["type"], "type", Cell::Text),
    (&["parentsourcedid"], "parent", Cell::Reference(SESSION)),
    (&["schoolyear"], "schoolYear", Cell::Text),
];
const ORGS: &[Column] = &[
    (&["name"], "name", Cell::Text),
    (&["type"], "type", Cell::Text),
    (&["identifier"], "identifier", Cell::Text),
    (&["parentsourcedid"], "parent", Cell::Reference(ORG)),
];
const COURSES: &[Column] = &[
    (&["title"], "title", Cell::Text),
    (&["schoolyearsourcedid", "schoolyearid"], "schoolYear", Cell::Reference(SESSION)),
    (&["coursecode"], "courseCode", Cell::Text),
    (&["grades", "grade"], "grades", Cell::List),
    (&["subjects"], "subjects", Cell::List),
    (&["orgsourcedid"], "org", Cell::Reference(ORG)),
    (&["subjectcodes"], "subjectCodes", Cell::List),
];
const CLASSES: &[Column] = &[
    (&["title"], "title", Cell::Text),
    (&["classcode"], "classCode", Cell::Text),
    (&["classtype"], "classType", Cell::Text),
    (&["location"], "location", Cell::Text),
    (&["grades", "grade"], "grades", Cell::List),
    (&["subjects"], "subjects", Cell::List),
    (&["coursesourcedid"], "course", Cell::Reference(COURSE)),
    (&["schoolsourcedid"], "school", Cell::Reference(ORG)),
    (&["termsourcedids", "termsourcedid"], "terms", Cell::References(TERM)),
    (&["subjectcodes"], "subjectCodes", Cell::List),
    (&["periods"], "periods", Cell::List),
];
const USERS: &[Column] = &[
    (&["usermasteridentifier"], "userMasterIdentifier", Cell::Text),
    (&["username"], "username", Cell::Text),
    (&["userids", "userid"], "userIds", Cell::UserIds),
    (&["enableduser"], "enabledUser", Cell::Text),
    (&["givenname"], "givenName", Cell::Text),
    (&["familyname"], "familyName", Cell::Text),
    (&["middlename"], "middleName", Cell::Text),
    (&["preferredgivenname"], "preferredFirstName", Cell::Text),
    (&["preferredmiddlename"], "preferredMiddleName", Cell::Text),
    (&["preferredfamilyname"], "preferredLastName", Cell::Text),
    (&["pronouns"], "pronouns", Cell::Text),
    (&["role"], "role", Cell::Text),
    (&["primaryorgsourcedid"], "primaryOrg", Cell::Reference(ORG)),
    (&["identifier"], "identifier", Cell::Text),
    (&["email"], "email", Cell::Text),
    (&["sms"], "sms", Cell::Text),
    (&["phone"], "phone", Cell::Text),
    (&["agentsourcedids", "agents"], "agents", Cell::References(USER)),
    (&["orgsourcedids"], "orgs", Cell::References(ORG)),
    (&["grades", "grade"], "grades", Cell::List),
    (&["password"], "password", Cell::Text),
];
const ENROLLMENTS: &[Column] = &[
    (&["usersourcedid"], "user", Cell::Reference(USER)),
    (&["classsourcedid"], "class", Cell::Reference(CLASS)),
    (&["schoolsourcedid"], "school", Cell::Reference(ORG)),
    (&["role"], "role", Cell::Text),
    (&["primary"], "primary", Cell::Text),
    (&["begindate"], "beginDate", Cell::Text),
    (&["enddate"], "endDate", Cell::Text),
];
const DEMOGRAPHICS: &[Column] = &[
    (&["birthdate"], "birthDate", Cell::Text),
    (&["sex"], "sex", Cell::Text),
    (&["americanindianoralaskanative"], "americanIndianOrAlaskaNative", Cell::Text),
    (&["asian"], "asian", Cell::Text),
    (&["blackorafricanamerican"], "blackOrAfricanAmerican", Cell::Text),
    (&["nativehawaiianorotherpacificislander"], "nativeHawaiianOrOtherPacificIslander", Cell::Text),
    (&["white"], "white", Cell::Text),
    (&["demographicracetwoormoreraces"], "demographicRaceTwoOrMoreRaces", Cell::Text),
    (&["hispanicorlatinoethnicity"], "hispanicOrLatinoEthnicity", Cell::Text),
    (&["countryofbirthcode"], "countryOfBirthCode", Cell::Text),
    (&["stateofbirthabbreviation"], "stateOfBirthAbbreviation", Cell::Text),
    (&["cityofbirth"], "cityOfBirth", Cell::Text),
    (&["publicschoolresidencestatus"], "publicSchoolResidenceStatus", Cell::Text),
];

const fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Orgs => ORGS,
        Kind::AcademicSessions => SESSIONS,
        Kind::Courses => COURSES,
        Kind::Classes => CLASSES,
        Kind::Users => USERS,
        Kind::Enrollments => ENROLLMENTS,
        Kind::Demographics => DEMOGRAPHICS,
    }
}

/// What users.csv of 1.2 leaves to other files, by user.
#[derive(Debug, Default)]
struct OfUsers {
    roles: HashMap<String, Vec<BTreeMap<String, String>>>,
    profiles: HashMap<String, Vec<BTreeMap<String, String>>>,
}

impl Package {
    /// Looks at a folder. Its version is the manifest's; a package without a manifest is served as 1.1.
    pub fn open(folder: &Path) -> Result<Self, PackageError> {
        let mut package = Self { folder: folder.to_path_buf(), version: Version::V1_1 };
        if Kind::ALL.iter().all(|kind| !package.path(kind.as_str()).is_file()) {
            return Err(PackageError::NotOneRoster { folder: folder.display().to_string() });
        }
        let mut stated = None;
        package.each_row("manifest", |header, row| {
            if header.get(row, &["propertyname"]) == Some("oneroster.version") {
                stated = header.get(row, &["value"]).map(str::to_owned);
            }
        })?;
        if stated.is_some_and(|version| version.starts_with("1.2")) {
            package.version = Version::V1_2;
        }
        Ok(package)
    }

    /// The version as which the package is served.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Reads everything, and notes what a server cannot serve.
    pub(super) fn read(&self, shape: &Shape) -> Result<(PerKind<Arc<Collection>>, Vec<String>), PackageError> {
        let mut notes = Vec::new();
        let mut of_users = OfUsers::default();
        if self.version == Version::V1_2 {
            for (file, rows) in [("roles", &mut of_users.roles), ("userProfiles", &mut of_users.profiles)] {
                self.each_row(file, |header, row| {
                    let cells = header.cells(row);
                    if let Some(user) = cells.get("usersourcedid")
                        && cells.get("status").is_none_or(|status| status != "tobedeleted")
                    {
                        rows.entry(user.clone()).or_default().push(cells);
                    }
                })?;
            }
        }
        let mut failure = None;
        let collections = PerKind::from_fn(|kind| {
            Arc::new(self.collection(kind, shape, &of_users, &mut notes).unwrap_or_else(|error| {
                failure.get_or_insert(error);
                Collection::default()
            }))
        });
        failure.map_or(Ok((collections, notes)), Err)
    }

    fn collection(
        &self,
        kind: Kind,
        shape: &Shape,
        of_users: &OfUsers,
        notes: &mut Vec<String>,
    ) -> Result<Collection, PackageError> {
        let mut builder = Builder::default();
        let mut out = Members::default();
        let mut without_id = 0_usize;
        self.each_row(kind.as_str(), |header, row| {
            // Demographics of 1.0 are keyed by the user.
            let keys: &[&str] =
                if kind == Kind::Demographics { &["sourcedid", "usersourcedid"] } else { &["sourcedid"] };
            let Some(id) = header.get(row, keys) else {
                without_id += 1;
                return;
            };
            let status = header.get(row, &["status"]).unwrap_or_default();
            let modified = header.get(row, &["datelastmodified", "datalastmodified"]).unwrap_or_default();
            let stamp = Stamp {
                status: status.to_owned(),
                modified: modified.to_owned(),
                at: modified.parse::<Timestamp>().ok(),
            };
            let stamp = builder.stamp(stamp);
            out.clear();
            for (names, key, cell) in columns(kind) {
                if let Some(value) = header.get(row, names) {
                    write(&mut out, shape, key, *cell, value);
                }
            }
            if kind == Kind::Users && self.version == Version::V1_2 {
                of_users.write(&mut out, shape, id);
            }
            let extensions: Vec<_> = header.extensions(row).collect();
            if !extensions.is_empty() {
                out.object("metadata", |metadata| {
                    for (name, value) in extensions {
                        metadata.text(name, value);
                    }
                });
            }
            builder.push(id, out.as_bytes(), stamp);
        })?;
        if without_id > 0 {
            notes.push(format!("{kind}: {without_id} rows without a sourcedId are not served"));
        }
        Ok(builder.finish())
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.join(format!("{file}.csv"))
    }

    /// Calls `visit` for each row of a file; a file that is not there has none.
    fn each_row(&self, file: &str, mut visit: impl FnMut(&Header, &StringRecord)) -> Result<(), PackageError> {
        let path = self.path(file);
        let unreadable = |cause: csv::Error| PackageError::Unreadable { file: path.display().to_string(), cause };
        let opened = match File::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error.into())),
        };
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(opened);
        let header = Header::new(reader.byte_headers().map_err(unreadable)?);
        let mut bytes = csv::ByteRecord::new();
        while reader.read_byte_record(&mut bytes).map_err(unreadable)? {
            visit(&header, &StringRecord::from_byte_record_lossy(bytes.clone()));
        }
        Ok(())
    }
}

/// The columns of a file.
#[derive(Debug)]
struct Header {
    /// Names in small letters.
    places: HashMap<String, usize>,
    /// Extension columns, without `metadata.`.
    extensions: Vec<(String, usize)>,
}

impl Header {
    fn new(names: &csv::ByteRecord) -> Self {
        let (mut places, mut extensions) = (HashMap::new(), Vec::new());
        for (place, name) in names.iter().enumerate() {
            let name = String::from_utf8_lossy(name);
            let name = name.trim_start_matches('\u{feff}').trim();
            if let Some(extension) = name.strip_prefix("metadata.") {
                extensions.push((extension.to_owned(), place));
            } else {
                places.entry(name.to_lowercase()).or_insert(place);
            }
        }
        Self { places, extensions }
    }

    /// The first of some columns that has a value.
    fn get<'r>(&self, row: &'r StringRecord, names: &[&str]) -> Option<&'r str> {
        let cells = names.iter().filter_map(|name| row.get(*self.places.get(*name)?));
        cells.map(str::trim).find(|cell| !cell.is_empty())
    }

    fn cells(&self, row: &StringRecord) -> BTreeMap<String, String> {
        let cells = self.places.iter().filter_map(|(name, place)| Some((name, row.get(*place)?.trim())));
        cells.filter(|(_, cell)| !cell.is_empty()).map(|(name, cell)| (name.clone(), cell.to_owned())).collect()
    }

    fn extensions<'a>(&'a self, row: &'a StringRecord) -> impl Iterator<Item = (&'a str, &'a str)> {
        let cells = self.extensions.iter().filter_map(|(name, place)| Some((name.as_str(), row.get(*place)?)));
        cells.filter(|(_, cell)| !cell.is_empty())
    }
}

impl OfUsers {
    fn write(&self, out: &mut Members, shape: &Shape, user: &str) {
        out.objects("roles", self.roles.get(user).into_iter().flatten(), |member, role| {
            member.optional("roleType", role.get("roletype"));
            member.optional("role", role.get("role"));
            if let Some(org) = role.get("orgsourcedid") {
                shape.reference(member, "org", ORG, org);
            }
            member.optional("userProfile", role.get("userprofilesourcedid"));
            member.optional("beginDate", role.get("begindate"));
            member.optional("endDate", role.get("enddate"));
        });
        if let Some(profiles) = self.profiles.get(user) {
            out.objects("userProfiles", profiles, |member, profile| {
                member.optional("profileId", profile.get("sourcedid"));
                member.optional("profileType", profile.get("profiletype"));
                member.optional("vendorId", profile.get("vendorid"));
                member.optional("applicationId", profile.get("applicationid"));
                member.optional("description", profile.get("description"));
                member.objects("credentials", [profile], |credential, profile| {
                    credential.optional("type", profile.get("credentialtype"));
                    credential.optional("username", profile.get("username"));
                    credential.optional("password", profile.get("password"));
                });
            });
        }
    }
}

fn write(out: &mut Members, shape: &Shape, key: &str, cell: Cell, value: &str) {
    match cell {
        Cell::Text => out.text(key, value),
        Cell::List => out.list(key, items(value)),
        Cell::Reference(target) => shape.reference(out, key, target, value),
        Cell::References(target) => shape.references(out, key, target, items(value)),
        Cell::UserIds => out.objects(key, items(value), |id, item| {
            let inner = item.strip_prefix('{').and_then(|item| item.strip_suffix('}')).unwrap_or(item);
            match inner.split_once(':') {
                Some((scheme, identifier)) => {
                    id.text("type", scheme);
                    id.text("identifier", identifier);
                }
                None => id.text("identifier", inner),
            }
        }),
    }
}

fn items(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim).filter(|item| !item.is_empty())
}

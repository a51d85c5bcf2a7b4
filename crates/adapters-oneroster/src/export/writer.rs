use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rollcall_domain::entities::{
    AcademicSession, Class, Course, Demographics, Enrollment, Metadata, Org, Record, Role, User,
};
use rollcall_domain::{Encoder, Kind, PerKind, SourcedId, Text};

use super::columns::{ExportFile, ExportVersion};
use super::error::ExportError;
use super::folder::Folder;
use super::roles::{enrollment_word_1_1, leading_word, row_id, sorted, word_1_1};
use super::row::Row;

/// What a package is to look like.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The version of OneRoster.
    pub version: ExportVersion,
    /// The extension fields that get a column, per kind. A record with any other is refused, so the set must be known
    /// before the first record.
    pub metadata: PerKind<BTreeSet<Text>>,
    /// The name of the system that the roster comes from, for the manifest.
    pub system_name: Option<String>,
    /// Its code, for the manifest.
    pub system_code: Option<String>,
}

impl ExportOptions {
    /// A package without extension fields that does not say where it comes from.
    pub fn new(version: ExportVersion) -> Self {
        Self { version, metadata: PerKind::default(), system_name: None, system_code: None }
    }
}

/// What a row of a delta package says about its record's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowMeta {
    /// Whether the record is there or gone.
    pub status: RowStatus,
    /// When it changed. The standard requires it; `None` leaves the cell blank, as some exporters do.
    pub date_last_modified: Option<Timestamp>,
}

/// Whether a record is there or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowStatus {
    /// New or changed.
    Active,
    /// Gone.
    ToBeDeleted,
}

impl RowStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ToBeDeleted => "tobedeleted",
        }
    }
}

/// A package that stands under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPackage {
    /// The folder.
    pub path: PathBuf,
    /// How many records it holds, per kind.
    pub records: PerKind<u64>,
    /// How many rows `roles.csv` has.
    pub roles: u64,
}

/// Writes one package. See [the module](super) for what it writes.
///
/// The files are written into a hidden folder beside the package's own, which gets its name in
/// [`finish`](PackageWriter::finish); a writer that is dropped before leaves nothing. A package that already stands under
/// the name is replaced; a folder with anything else in it is refused. Records may come in any order: each goes to the
/// end of its file.
///
/// ```
/// use rollcall_adapters_oneroster::export::{ExportOptions, ExportVersion, PackageWriter};
/// use rollcall_domain::entities::{Metadata, Org};
/// use rollcall_domain::vocabulary::OrgType;
/// use rollcall_domain::{Kind, Record, SourcedId};
///
/// let folder = tempfile::tempdir()?;
/// let mut writer = PackageWriter::create(&folder.path().join("out"), ExportOptions::new(ExportVersion::V1_2))?;
/// writer.write(&Record::from(Org {
///     sourced_id: SourcedId::new("1")?,
///     name: "Springfield".into(),
///     org_type: OrgType::District,
///     identifier: None,
///     parent: None,
///     external_ids: vec![],
///     metadata: Metadata::new(),
/// }))?;
/// let package = writer.finish()?;
/// assert_eq!(package.records[Kind::Orgs], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PackageWriter {
    options: ExportOptions,
    delta: bool,
    files: [Option<OpenFile>; ExportFile::ALL.len()],
    row: Row,
    encoder: Encoder,
    role_id: String,
    folder: Folder,
}

#[derive(Debug)]
struct OpenFile {
    /// Where it will be once the package has its name.
    path: PathBuf,
    out: BufWriter<File>,
    rows: u64,
}

impl OpenFile {
    fn create(folder: &Folder, name: &str) -> Result<Self, ExportError> {
        let path = folder.final_file(name);
        match File::create(folder.file(name)) {
            Ok(file) => Ok(Self { out: BufWriter::with_capacity(1 << 18, file), path, rows: 0 }),
            Err(cause) => Err(ExportError::Write { path, cause }),
        }
    }

    fn write(&mut self, line: &[u8]) -> Result<(), ExportError> {
        self.rows += 1;
        self.out.write_all(line).map_err(|cause| ExportError::Write { path: self.path.clone(), cause })
    }

    /// Brings everything to the disk, so that a package never has its name before it has its content.
    fn close(mut self) -> Result<(), ExportError> {
        let closed = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        closed.map_err(|cause| ExportError::Write { path: self.path, cause })
    }
}

impl PackageWriter {
    /// Begins a bulk package: everything there is.
    pub fn create(folder: &Path, options: ExportOptions) -> Result<Self, ExportError> {
        Self::begin(folder, options, false)
    }

    /// Begins a delta package: what changed. Its rows come with a life cycle, by [`write_change`](Self::write_change).
    pub fn create_delta(folder: &Path, options: ExportOptions) -> Result<Self, ExportError> {
        Self::begin(folder, options, true)
    }

    fn begin(folder: &Path, options: ExportOptions, delta: bool) -> Result<Self, ExportError> {
        Ok(Self {
            options,
            delta,
            files: Default::default(),
            row: Row::default(),
            encoder: Encoder::default(),
            role_id: String::new(),
            folder: Folder::create(folder)?,
        })
    }

    /// Writes a record into a bulk package.
    pub fn write(&mut self, record: &Record) -> Result<(), ExportError> {
        if self.delta { Err(ExportError::WrongMode { delta: true }) } else { self.write_row(record, None) }
    }

    /// Writes a record into a delta package. The roles of a user come with it and have the same life cycle.
    pub fn write_change(&mut self, record: &Record, meta: RowMeta) -> Result<(), ExportError> {
        if self.delta { self.write_row(record, Some(meta)) } else { Err(ExportError::WrongMode { delta: false }) }
    }

    /// Completes the package with its manifest and gives it its name.
    pub fn finish(mut self) -> Result<WrittenPackage, ExportError> {
        self.write_manifest()?;
        let mut records = PerKind::default();
        let mut roles = 0;
        for (file, open) in ExportFile::ALL.into_iter().zip(self.files) {
            let Some(open) = open else { continue };
            // The header is a line too.
            match file.kind() {
                Some(kind) => records[kind] = open.rows - 1,
                None => roles = open.rows - 1,
            }
            open.close()?;
        }
        Ok(WrittenPackage { path: self.folder.publish()?, records, roles })
    }

    fn write_manifest(&mut self) -> Result<(), ExportError> {
        let version = self.options.version;
        let mode = if self.delta { "delta" } else { "bulk" };
        let mut manifest = OpenFile::create(&self.folder, "manifest")?;
        let mut property = |name: &str, value: &str| {
            self.row.begin(name);
            self.row.cell(value);
            manifest.write(self.row.end())
        };
        property("propertyName", "value")?;
        property("manifest.version", "1.0")?;
        property("oneroster.version", version.as_str())?;
        for name in version.manifest_files() {
            let written =
                ExportFile::ALL.iter().zip(&self.files).any(|(file, open)| file.name() == *name && open.is_some());
            property(&format!("file.{name}"), if written { mode } else { "absent" })?;
        }
        for (name, value) in [("systemName", &self.options.system_name), ("systemCode", &self.options.system_code)] {
            if let Some(value) = value {
                property(&format!("source.{name}"), value)?;
            }
        }
        manifest.close()
    }

    fn write_row(&mut self, record: &Record, meta: Option<RowMeta>) -> Result<(), ExportError> {
        let kind = record.kind();
        self.begin_row(record.sourced_id().as_str(), meta);
        let metadata = match record {
            Record::Orgs(org) => self.org(org),
            Record::AcademicSessions(session) => self.academic_session(session),
            Record::Courses(course) => self.course(course),
            Record::Classes(class) => self.class(class),
            Record::Users(user) => self.user(user),
            Record::Enrollments(enrollment) => self.enrollment(enrollment),
            Record::Demographics(demographics) => self.demographics(demographics),
        };
        self.metadata(kind, metadata)?;
        self.end_row(file_of(kind))?;
        match record {
            Record::Users(user) if self.options.version == ExportVersion::V1_2 => self.roles(user, meta),
            _ => Ok(()),
        }
    }

    fn begin_row(&mut self, sourced_id: &str, meta: Option<RowMeta>) {
        self.row.begin(sourced_id);
        match meta {
            None => {
                self.row.blank();
                self.row.blank();
            }
            Some(RowMeta { status, date_last_modified }) => {
                self.row.cell(status.as_str());
                match date_last_modified {
                    None => self.row.blank(),
                    // Three decimals, no more and no fewer.
                    Some(date) => self.row.cell(&date.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()),
                }
            }
        }
    }

    fn end_row(&mut self, file: ExportFile) -> Result<(), ExportError> {
        let slot = &mut self.files[file as usize];
        let open = match slot {
            Some(open) => open,
            None => slot.insert(open_with_header(&self.folder, file, &self.options)?),
        };
        open.write(self.row.end())
    }

    fn metadata(&mut self, kind: Kind, metadata: &Metadata) -> Result<(), ExportError> {
        let declared = &self.options.metadata[kind];
        let mut found = 0;
        for name in declared {
            let value = metadata.get(name);
            found += usize::from(value.is_some());
            self.row.optional(value);
        }
        if found == metadata.len() {
            return Ok(());
        }
        match metadata.keys().find(|name| !declared.contains(*name)) {
            Some(field) => Err(ExportError::UndeclaredMetadata { kind, field: field.clone() }),
            None => Ok(()),
        }
    }

    fn org<'r>(&mut self, org: &'r Org) -> &'r Metadata {
        let row = &mut self.row;
        row.cell(&org.name);
        row.cell(org.org_type.as_str());
        row.optional(org.identifier.as_ref());
        row.reference(org.parent.as_ref());
        &org.metadata
    }

    fn academic_session<'r>(&mut self, session: &'r AcademicSession) -> &'r Metadata {
        let row = &mut self.row;
        row.cell(&session.title);
        row.cell(session.session_type.as_str());
        row.date(Some(session.start_date));
        row.date(Some(session.end_date));
        row.reference(session.parent.as_ref());
        match session.school_year {
            Some(year) => row.cell(&format!("{year:04}")),
            None => row.blank(),
        }
        &session.metadata
    }

    fn course<'r>(&mut self, course: &'r Course) -> &'r Metadata {
        let row = &mut self.row;
        row.reference(course.school_year.as_ref());
        row.cell(&course.title);
        row.optional(course.course_code.as_ref());
        row.list(course.grades.iter().map(Text::as_str));
        row.reference(course.org.as_ref());
        row.list(course.subjects.iter().map(Text::as_str));
        row.list(course.subject_codes.iter().map(Text::as_str));
        &course.metadata
    }

    fn class<'r>(&mut self, class: &'r Class) -> &'r Metadata {
        let row = &mut self.row;
        row.cell(&class.title);
        row.list(class.grades.iter().map(Text::as_str));
        row.reference(class.course.as_ref());
        row.optional(class.class_code.as_ref());
        row.cell(class.class_type.as_str());
        row.optional(class.location.as_ref());
        row.reference(Some(&class.school));
        row.list(class.terms.iter().map(SourcedId::as_str));
        row.list(class.subjects.iter().map(Text::as_str));
        row.list(class.subject_codes.iter().map(Text::as_str));
        row.list(class.periods.iter().map(Text::as_str));
        &class.metadata
    }

    fn user<'r>(&mut self, user: &'r User) -> &'r Metadata {
        let version = self.options.version;
        let row = &mut self.row;
        row.flag(Some(user.enabled_user));
        if version == ExportVersion::V1_1 {
            let leading = leading_word(user);
            let held = sorted(&user.roles);
            let mut orgs: Vec<_> = held
                .iter()
                .filter(|role| Some(word_1_1(&role.role)) == leading)
                .filter_map(|role| role.org.as_ref())
                .collect();
            orgs.sort_unstable();
            orgs.dedup();
            row.list(orgs.into_iter().map(SourcedId::as_str));
            row.cell(leading.unwrap_or_default());
        }
        row.optional(user.username.as_ref());
        row.user_ids(&user.external_ids);
        for text in [
            &user.given_name,
            &user.family_name,
            &user.middle_name,
            &user.identifier,
            &user.email,
            &user.sms,
            &user.phone,
        ] {
            row.optional(text.as_ref());
        }
        row.list(user.agents.iter().map(SourcedId::as_str));
        row.list(user.grades.iter().map(Text::as_str));
        // The column of passwords is required; what stood in it is not kept anywhere.
        row.blank();
        if version == ExportVersion::V1_2 {
            row.optional(user.user_master_identifier.as_ref());
            row.optional(user.preferred_given_name.as_ref());
            row.optional(user.preferred_middle_name.as_ref());
            row.optional(user.preferred_family_name.as_ref());
            row.reference(user.primary_org.as_ref());
            row.optional(user.pronouns.as_ref());
        }
        &user.metadata
    }

    fn roles(&mut self, user: &User, meta: Option<RowMeta>) -> Result<(), ExportError> {
        let roles = sorted(&user.roles);
        for (index, role) in roles.iter().enumerate() {
            let Some(org) = &role.org else { continue };
            if roles[..index].iter().any(|earlier| earlier.says_the_same_as(role)) {
                continue;
            }
            let same =
                |other: &&Role| (&other.role, &other.org, other.begin_date) == (&role.role, &role.org, role.begin_date);
            let repeats = roles[..index].iter().filter(same).count();
            let mut id = std::mem::take(&mut self.role_id);
            row_id(&mut id, &mut self.encoder, &user.sourced_id, org, role, repeats);
            self.begin_row(&id, meta);
            self.role_id = id;
            let row = &mut self.row;
            row.cell(user.sourced_id.as_str());
            row.cell(role.role_type.as_str());
            row.cell(role.role.as_str());
            row.date(role.begin_date);
            row.date(role.end_date);
            row.cell(org.as_str());
            row.optional(role.user_profile.as_ref());
            self.end_row(ExportFile::Roles)?;
        }
        Ok(())
    }

    fn enrollment<'r>(&mut self, enrollment: &'r Enrollment) -> &'r Metadata {
        let row = &mut self.row;
        row.cell(enrollment.class.as_str());
        row.reference(enrollment.school.as_ref());
        row.cell(enrollment.user.as_str());
        row.cell(match self.options.version {
            ExportVersion::V1_1 => enrollment_word_1_1(&enrollment.role),
            ExportVersion::V1_2 => enrollment.role.as_str(),
        });
        row.flag(enrollment.primary);
        row.date(enrollment.begin_date);
        row.date(enrollment.end_date);
        &enrollment.metadata
    }

    fn demographics<'r>(&mut self, demographics: &'r Demographics) -> &'r Metadata {
        let row = &mut self.row;
        row.date(demographics.birth_date);
        row.cell(demographics.sex.as_ref().map_or("", |sex| sex.as_str()));
        for flag in demographics.race.in_order() {
            row.flag(flag);
        }
        row.optional(demographics.country_of_birth_code.as_ref());
        row.optional(demographics.state_of_birth_abbreviation.as_ref());
        row.optional(demographics.city_of_birth.as_ref());
        row.optional(demographics.public_school_residence_status.as_ref());
        &demographics.metadata
    }
}

fn open_with_header(folder: &Folder, file: ExportFile, options: &ExportOptions) -> Result<OpenFile, ExportError> {
    let mut open = OpenFile::create(folder, file.name())?;
    let mut header = Row::default();
    header.begin("sourcedId");
    header.cell("status");
    header.cell("dateLastModified");
    for column in file.columns(options.version) {
        header.cell(column);
    }
    for name in file.kind().iter().flat_map(|kind| &options.metadata[*kind]) {
        header.cell(&format!("metadata.{name}"));
    }
    open.write(header.end())?;
    Ok(open)
}

const fn file_of(kind: Kind) -> ExportFile {
    match kind {
        Kind::Orgs => ExportFile::Orgs,
        Kind::AcademicSessions => ExportFile::AcademicSessions,
        Kind::Courses => ExportFile::Courses,
        Kind::Classes => ExportFile::Classes,
        Kind::Users => ExportFile::Users,
        Kind::Enrollments => ExportFile::Enrollments,
        Kind::Demographics => ExportFile::Demographics,
    }
}

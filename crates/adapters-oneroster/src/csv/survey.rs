//! Looks a package through before a single record is read: what it is, which files it has, how each is to be read. All
//! problems are gathered, so that whoever has to mend the export sees them at once.

use std::path::Path;
use std::sync::Arc;

use rollcall_domain::ports::Problem;
use rollcall_domain::{Code, Finding, Location, Warning};

use super::foreign::{self, Signature};
use super::header::Header;
use super::manifest::{self, Manifest, Word};
use super::package::{Entry, Package, about_package};
use super::records::{Records, Step};
use super::table::{Column, Table, Version, passed_over};
use super::text::{self, Mark};
use crate::config::{CsvConfig, PackageMode, SlashDates, TextEncoding};
use crate::error::CsvError;
use crate::mapping::value::{self, SlashProof};

/// A package that can be read, and how.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) version: Version,
    /// Where a user's roles stand in the user's own row.
    pub(crate) roles_in_users: bool,
    /// The files to read, in the order of reference.
    pub(crate) files: Vec<SurveyedFile>,
    /// What was accepted and should be known.
    pub(crate) warnings: Vec<Warning>,
    /// Files that were recognised and are not read.
    pub(crate) skipped: Vec<String>,
    pub(crate) has_manifest: bool,
    /// What the manifest says of the system that wrote the package.
    pub(crate) system: Option<String>,
}

/// A file to read.
#[derive(Debug)]
pub(crate) struct SurveyedFile {
    pub(crate) table: Table,
    pub(crate) entry: Entry,
    pub(crate) mode: PackageMode,
    pub(crate) told_by: ToldBy,
    pub(crate) header: Header,
}

/// Who says whether a file is bulk or delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToldBy {
    /// The settings of the source.
    Setting,
    /// The package's manifest, or its silence on one file.
    Manifest,
    /// Nobody: there is no manifest. The file counts as bulk.
    Nobody,
}

impl Survey {
    /// The file of a table.
    pub(crate) fn file(&self, table: Table) -> Option<&SurveyedFile> {
        self.files.iter().find(|file| file.table == table)
    }
}

/// The first row of a file.
struct FirstRow {
    names: Vec<String>,
    marked: bool,
}

/// Looks a package through.
pub(crate) fn survey(package: &mut Package, config: &CsvConfig, demographics: bool) -> Result<Survey, CsvError> {
    let mut surveyor =
        Surveyor { config, problems: Vec::new(), warnings: std::mem::take(&mut package.warnings), skipped: Vec::new() };
    let survey = surveyor.look_through(package, demographics)?;
    match survey {
        Some(survey) if surveyor.problems.is_empty() => Ok(survey),
        _ => Err(CsvError::Refused { path: package.path.clone(), problems: surveyor.problems }),
    }
}

struct Surveyor<'a> {
    config: &'a CsvConfig,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
    skipped: Vec<String>,
}

impl Surveyor<'_> {
    fn look_through(&mut self, package: &mut Package, demographics: bool) -> Result<Option<Survey>, CsvError> {
        let entries = package.entries.clone();
        let mut tables: Vec<(Table, Entry)> = Vec::new();
        let mut strangers: Vec<Entry> = Vec::new();
        let mut manifest_entry = None;
        for entry in entries {
            if entry.stem().eq_ignore_ascii_case("manifest") {
                self.note_case(&entry, "manifest");
                manifest_entry = Some(entry);
            } else if let Some(table) = Table::named(entry.stem()) {
                self.note_case(&entry, table.as_str());
                tables.push((table, entry));
            } else if let Some((_, why)) = passed_over(entry.stem()) {
                self.skipped.push(format!("{}: {why}", entry.place));
            } else {
                strangers.push(entry);
            }
        }
        tables.sort_by_key(|(table, _)| *table);
        let manifest = manifest_entry.as_ref().map(|entry| self.read_manifest(package, entry)).transpose()?;
        if manifest.is_none() {
            let finding = Finding::whole(
                Code::ManifestInvalid,
                "the package has no manifest.csv; its files were read as OneRoster without one, all of them in bulk \
                 unless the source sets a mode",
            );
            self.warnings.push(about_package(&package.name().into(), finding));
        }

        let mut first_rows = Vec::new();
        for (table, entry) in &tables {
            // Nothing of a file that is switched off is looked at (R12).
            let wanted = *table != Table::Demographics || demographics;
            first_rows.push(if wanted { self.first_row(package, entry)? } else { None });
        }
        if let Some(format) = self.foreign_format(package, &tables, &first_rows, &strangers) {
            // Whatever else is wrong follows from this.
            self.problems.clear();
            self.refuse(
                Code::PackageInvalid,
                Some(&package.name()),
                format!(
                    "the package is {format}, not OneRoster; have the source system export OneRoster 1.1 or 1.2 CSV"
                ),
            );
            return Ok(None);
        }
        for stranger in &strangers {
            let message = format!("`{}` is not part of a OneRoster package and was not read", stranger.place);
            self.skipped.push(format!("{}: not part of OneRoster", stranger.place));
            self.warn(None, &stranger.place, None, Finding::whole(Code::FileSkipped, message));
        }
        if tables.is_empty() && manifest.is_none() {
            self.refuse(
                Code::PackageInvalid,
                Some(&package.name()),
                "none of the files is one of OneRoster's (orgs.csv, academicSessions.csv, courses.csv, classes.csv, \
                 users.csv, enrollments.csv, demographics.csv, roles.csv); export OneRoster CSV"
                    .to_owned(),
            );
            return Ok(None);
        }
        if let Some(manifest) = &manifest {
            self.hold_against_manifest(package, manifest, &tables);
        }

        let version = version_of(manifest.as_ref(), &tables, &first_rows);
        let roles_in_users = self.roles_in_users(version, &tables, &first_rows);
        let mut files = Vec::new();
        for ((table, entry), first_row) in tables.into_iter().zip(first_rows) {
            if table == Table::Demographics && !demographics {
                // The sync lists the kind as skipped.
                continue;
            }
            let Some(first_row) = first_row else { continue };
            let Some((mode, told_by)) = self.mode_of(table, &entry, manifest.as_ref()) else { continue };
            let Some(header) = self.header(table, version, roles_in_users, &entry, &first_row) else { continue };
            let file = SurveyedFile { table, entry, mode, told_by, header };
            if table == Table::AcademicSessions {
                self.look_for_slash_dates(package, &file)?;
            }
            files.push(file);
        }
        Ok(Some(Survey {
            version,
            roles_in_users,
            files,
            warnings: std::mem::take(&mut self.warnings),
            skipped: std::mem::take(&mut self.skipped),
            has_manifest: manifest.is_some(),
            system: manifest.and_then(|manifest| manifest.system),
        }))
    }

    fn refuse(&mut self, code: Code, place: Option<&str>, message: String) {
        self.problems.push(Problem { code, place: place.map(str::to_owned), message });
    }

    fn warn(&mut self, table: Option<Table>, place: &Arc<str>, line: Option<u64>, finding: Finding) {
        let location = line.map_or_else(|| Location::whole(place), |line| Location::line(place, line));
        self.warnings.push(Warning { kind: table.map(Table::kind), sourced_id: None, location, finding });
    }

    fn note_case(&mut self, entry: &Entry, name: &str) {
        if *entry.place != *format!("{name}.csv") {
            let message = format!("the file is named `{}`; OneRoster writes `{name}.csv`", entry.place);
            self.warn(Table::named(name), &entry.place, None, Finding::whole(Code::FieldLenient, message));
        }
    }

    fn read_manifest(&mut self, package: &mut Package, entry: &Entry) -> Result<Manifest, CsvError> {
        let damaged = |cause| CsvError::Damaged { place: entry.place.to_string(), cause };
        let text = text::decode(package.read(entry)?, TextEncoding::Utf8).map_err(damaged)?;
        if text.mark == Some(Mark::Utf16) {
            self.refuse_utf_16(entry);
            return Ok(Manifest::default());
        }
        if text.mark == Some(Mark::Utf8) {
            self.warn(None, &entry.place, None, byte_order_mark());
        }
        let mut records = Records::new(text.bytes);
        let mut rows = Vec::new();
        while records.step(None).map_err(damaged)? != Step::End {
            let cells = (0..records.cells().len())
                .map(|index| String::from_utf8_lossy(records.cell(index)).into_owned())
                .collect();
            rows.push((records.line(), cells));
        }
        let read = manifest::read(&rows);
        for (line, finding) in read.warnings {
            self.warn(None, &entry.place, Some(line), finding);
        }
        Ok(read.manifest)
    }

    /// Reads the header row of a file. `None`, with a problem, if there is none that can be read.
    fn first_row(&mut self, package: &mut Package, entry: &Entry) -> Result<Option<FirstRow>, CsvError> {
        let damaged = |cause| CsvError::Damaged { place: entry.place.to_string(), cause };
        let text = text::decode(package.read(entry)?, self.config.encoding).map_err(damaged)?;
        let mark = text.mark;
        if mark == Some(Mark::Utf16) {
            self.refuse_utf_16(entry);
            return Ok(None);
        }
        let mut records = Records::new(text.bytes);
        let step = records.step(None).map_err(damaged)?;
        let names: Option<Vec<String>> = std::str::from_utf8(records.bytes()).ok().map(|bytes| {
            records.cells().iter().map(|range| bytes.get(range.clone()).unwrap_or("").to_owned()).collect()
        });
        match (step, names) {
            // Everything behind the first carriage return would pass for names of columns, passwords too (R11).
            (Step::Record, Some(_)) if records.bytes().contains(&b'\r') => {
                self.refuse(
                    Code::CsvMalformed,
                    Some(&entry.place),
                    format!(
                        "the lines of `{}` end with a bare carriage return; export it with line feeds (LF or CRLF)",
                        entry.place
                    ),
                );
                Ok(None)
            }
            (Step::Record, Some(names)) => Ok(Some(FirstRow { names, marked: mark.is_some() })),
            (Step::End, _) => {
                self.refuse(
                    Code::ColumnMissing,
                    Some(&entry.place),
                    format!(
                        "`{}` is empty, not even a header row is in it; leave the file out or export it again",
                        entry.place
                    ),
                );
                Ok(None)
            }
            (Step::Record, None) => {
                self.refuse(
                    Code::EncodingInvalid,
                    Some(&entry.place),
                    format!("the header of `{}` is not UTF-8 text; export it as UTF-8", entry.place),
                );
                Ok(None)
            }
            (Step::BadQuotes, _) => {
                self.refuse(
                    Code::CsvMalformed,
                    Some(&entry.place),
                    format!("the header of `{}` has a quote that never closes; export the file again", entry.place),
                );
                Ok(None)
            }
        }
    }

    fn refuse_utf_16(&mut self, entry: &Entry) {
        self.refuse(
            Code::EncodingInvalid,
            Some(&entry.place),
            format!("`{}` is saved as UTF-16; save it as UTF-8", entry.place),
        );
    }

    fn foreign_format(
        &self,
        package: &mut Package,
        tables: &[(Table, Entry)],
        first_rows: &[Option<FirstRow>],
        strangers: &[Entry],
    ) -> Option<&'static str> {
        let mut files: Vec<(String, Vec<String>)> = Vec::new();
        let lower = |names: &[String]| names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        for ((table, _), first_row) in tables.iter().zip(first_rows) {
            let columns = first_row.as_ref().map_or_else(Vec::new, |row| lower(&row.names));
            files.push((table.as_str().to_ascii_lowercase(), columns));
        }
        for stranger in strangers {
            // A stranger that cannot be read is no reason to refuse anything.
            let mut quiet =
                Surveyor { config: self.config, problems: Vec::new(), warnings: Vec::new(), skipped: Vec::new() };
            let columns =
                quiet.first_row(package, stranger).ok().flatten().map_or_else(Vec::new, |row| lower(&row.names));
            files.push((stranger.stem().to_ascii_lowercase(), columns));
        }
        let signatures: Vec<_> = files.iter().map(|(name, columns)| Signature { name, columns }).collect();
        foreign::recognise(&signatures)
    }

    /// Every file that the manifest lists must be there, and none that it calls absent.
    fn hold_against_manifest(&mut self, package: &Package, manifest: &Manifest, tables: &[(Table, Entry)]) {
        let manifest_name: Arc<str> = "manifest.csv".into();
        for (key, declared) in &manifest.files {
            let is_known = Table::named(key).is_some() || passed_over(key).is_some();
            let name = &declared.name;
            let entry = package.entries.iter().find(|entry| entry.stem().eq_ignore_ascii_case(key));
            match (&declared.word, entry) {
                (Word::Absent, None) | (Word::Present(_), Some(_)) => {}
                (Word::Absent, Some(entry)) => self.refuse(
                    Code::FileMissing,
                    Some(&entry.place),
                    format!("`{}` is in the package, but the manifest says `absent` of it; correct one of the two", entry.place),
                ),
                (Word::Present(mode), None) => self.refuse(
                    Code::FileMissing,
                    Some(&format!("{name}.csv")),
                    format!(
                        "the manifest lists `{name}.csv` as {}, but the package does not have it; export it again",
                        mode.as_str()
                    ),
                ),
                // A wrong guess could delete every record of the kind.
                (Word::Unknown(word), _) if self.config.mode.is_none() && Table::named(key).is_some() => self.refuse(
                    Code::ManifestInvalid,
                    Some(&manifest_name),
                    format!(
                        "the manifest says `{word}` of `{name}`; expected `absent`, `bulk` or `delta`. Correct it, or set \
                         the mode of the source"
                    ),
                ),
                (Word::Unknown(word), _) => {
                    let message = format!("the manifest says `{word}` of `{name}`; expected `absent`, `bulk` or `delta`");
                    self.warn(None, &manifest_name, None, Finding::whole(Code::ManifestInvalid, message));
                }
            }
            if !is_known {
                let message = format!("the manifest lists a file `{name}` that OneRoster does not define");
                self.warn(None, &manifest_name, None, Finding::whole(Code::ManifestInvalid, message));
            }
        }
        for (table, entry) in tables {
            if !manifest.files.contains_key(&table.as_str().to_ascii_lowercase()) {
                let message = format!(
                    "the manifest does not list `{}`, which is in the package; it was read as bulk",
                    entry.place
                );
                self.warn(None, &manifest_name, None, Finding::whole(Code::ManifestInvalid, message));
            }
        }
    }

    /// Where roles stand. A 1.2 package whose users.csv still has the columns of 1.1 and no roles.csv beside it means
    /// them.
    fn roles_in_users(&mut self, version: Version, tables: &[(Table, Entry)], first_rows: &[Option<FirstRow>]) -> bool {
        if version < Version::V1_2 {
            return true;
        }
        let has_roles_file = tables.iter().any(|(table, _)| *table == Table::Roles);
        let users = tables.iter().zip(first_rows).find(|((table, _), _)| *table == Table::Users);
        let Some(((_, entry), Some(row))) = users else { return false };
        let has_role_column = row.names.iter().any(|name| name.trim().eq_ignore_ascii_case(Column::Role.as_str()));
        if !has_role_column || has_roles_file {
            return false;
        }
        let message = "the package says OneRoster 1.2, but its users have the role column of 1.1 and there is no \
                       roles.csv; the roles were read from the users";
        self.warn(Some(Table::Users), &entry.place, Some(1), Finding::whole(Code::ManifestInvalid, message));
        true
    }

    /// The mode of a file, and whether the source itself sets it.
    fn mode_of(&self, table: Table, entry: &Entry, manifest: Option<&Manifest>) -> Option<(PackageMode, ToldBy)> {
        if let Some(mode) = self.config.mode {
            return Some((mode, ToldBy::Setting));
        }
        let declared = manifest.and_then(|manifest| manifest.files.get(&table.as_str().to_ascii_lowercase()));
        match declared.map(|declared| &declared.word) {
            None if manifest.is_none() => Some((PackageMode::Bulk, ToldBy::Nobody)),
            None => Some((PackageMode::Bulk, ToldBy::Manifest)),
            Some(Word::Present(mode)) => Some((*mode, ToldBy::Manifest)),
            // A problem has been noted for either.
            Some(Word::Absent | Word::Unknown(_)) => {
                debug_assert!(!self.problems.is_empty(), "{} is read although the manifest forbids it", entry.place);
                None
            }
        }
    }

    fn header(
        &mut self,
        table: Table,
        version: Version,
        roles_in_users: bool,
        entry: &Entry,
        first_row: &FirstRow,
    ) -> Option<Header> {
        if first_row.marked {
            self.warn(Some(table), &entry.place, Some(1), byte_order_mark());
        }
        let names: Vec<&str> = first_row.names.iter().map(String::as_str).collect();
        let resolved = Header::resolve(table, version, roles_in_users, &names);
        for finding in resolved.warnings {
            // A column that is missing for good is a problem below; saying it twice helps nobody.
            if finding.code == Code::ColumnMissing
                && finding.field.as_deref().is_some_and(|field| resolved.missing.iter().any(|missing| missing == field))
            {
                continue;
            }
            self.warn(Some(table), &entry.place, Some(1), finding);
        }
        for missing in &resolved.missing {
            self.refuse(
                Code::ColumnMissing,
                Some(&entry.place),
                format!(
                    "`{}` has no column `{missing}`, and no {} can be read without it; add the column to the export",
                    entry.place,
                    table.kind().singular(),
                ),
            );
        }
        resolved.missing.is_empty().then_some(resolved.header)
    }

    /// Looks for session dates that may mean two days, or that contradict what the source says of them. Terms shape
    /// everything that hangs on them, so the package waits until somebody says which.
    fn look_for_slash_dates(&mut self, package: &mut Package, file: &SurveyedFile) -> Result<(), CsvError> {
        let damaged = |cause| CsvError::Damaged { place: file.entry.place.to_string(), cause };
        let text = text::decode(package.read(&file.entry)?, self.config.encoding).map_err(damaged)?;
        let mut records = Records::new(text.bytes);
        records.step(None).map_err(damaged)?;
        let (mut count, mut month_first, mut day_first) = (0_u64, None, None);
        loop {
            let step = records.step(Some(file.header.width())).map_err(damaged)?;
            if step == Step::End {
                break;
            }
            for column in [Column::StartDate, Column::EndDate] {
                let cell = file.header.cell_of(column).map_or(&[][..], |index| records.cell(index));
                let Ok(cell) = std::str::from_utf8(cell) else { continue };
                let Some(proof) = value::slash_proof(cell.trim()) else { continue };
                count += 1;
                let example = || Some((records.line(), cell.trim().to_owned()));
                match proof {
                    SlashProof::MonthFirst if month_first.is_none() => month_first = example(),
                    SlashProof::DayFirst if day_first.is_none() => day_first = example(),
                    _ => {}
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
        let quote = |found: Option<(u64, String)>| {
            found.map_or_else(String::new, |(line, date)| format!("line {line} has {date}"))
        };
        if let Some(order) = self.config.slash_dates {
            let (proof, said, proven) = match order {
                SlashDates::Mdy if month_first.is_none() => (day_first, "mdy", "day/month/year"),
                SlashDates::Dmy if day_first.is_none() => (month_first, "dmy", "month/day/year"),
                // What does not fit is refused row by row.
                SlashDates::Mdy | SlashDates::Dmy => return Ok(()),
            };
            if proof.is_some() {
                let message = format!(
                    "slash dates are declared as `{said}`, but {}, which proves {proven}, and no date of `{}` proves the \
                     declared order; correct `slash_dates` of the source, or `--slash-dates`",
                    quote(proof),
                    file.entry.place
                );
                self.refuse(Code::DateAmbiguous, Some(&file.entry.place), message);
            }
            return Ok(());
        }
        let advice = match (month_first, day_first) {
            (Some(found), None) => format!(
                "{}, which proves month/day/year: set `slash_dates = \"mdy\"` for the source, or give `--slash-dates mdy`",
                quote(Some(found))
            ),
            (None, Some(found)) => format!(
                "{}, which proves day/month/year: set `slash_dates = \"dmy\"` for the source, or give `--slash-dates dmy`",
                quote(Some(found))
            ),
            (Some(one), Some(other)) => format!(
                "{} (month first) and {} (day first), so the file contradicts itself; export dates as YYYY-MM-DD",
                quote(Some(one)),
                quote(Some(other))
            ),
            (None, None) => "nothing in the file proves whether the month or the day comes first; ask the source system's \
                             keeper, then set `slash_dates` for the source or give `--slash-dates mdy` or `--slash-dates dmy`"
                .to_owned(),
        };
        self.refuse(
            Code::DateAmbiguous,
            Some(&file.entry.place),
            format!("{count} dates of `{}` have slashes, and slash dates are not guessed; {advice}", file.entry.place),
        );
        Ok(())
    }
}

fn byte_order_mark() -> Finding {
    Finding::whole(Code::FieldLenient, "the file begins with a byte-order mark; it was passed over")
}

/// The version that the manifest says, or that the files show.
fn version_of(manifest: Option<&Manifest>, tables: &[(Table, Entry)], first_rows: &[Option<FirstRow>]) -> Version {
    let has_roles_file = tables.iter().any(|(table, _)| *table == Table::Roles);
    match manifest.and_then(|manifest| manifest.version.as_deref()) {
        // A roles.csv is the one thing that no other version has.
        _ if has_roles_file => return Version::V1_2,
        Some(version) if version.starts_with("1.2") => return Version::V1_2,
        Some(version) if version.starts_with("1.1") => return Version::V1_1,
        _ => {}
    }
    let has_old_names = tables.iter().zip(first_rows).any(|((table, _), row)| {
        row.as_ref().is_some_and(|row| row.names.iter().any(|name| is_name_of_1_0(*table, name.trim())))
    });
    if has_old_names { Version::V1_0 } else { Version::V1_1 }
}

/// Names that only 1.0 has.
fn is_name_of_1_0(table: Table, name: &str) -> bool {
    match table {
        Table::Users => matches!(name, "userId" | "agents"),
        Table::Demographics => matches!(name, "userSourcedId" | "birthdate"),
        Table::Classes => matches!(name, "grade" | "termSourcedId"),
        Table::Courses => matches!(name, "grade" | "schoolYearId"),
        Table::Orgs | Table::AcademicSessions | Table::Roles | Table::Enrollments => false,
    }
}

/// Opens and surveys a package.
pub(crate) fn open(path: &Path, config: &CsvConfig, demographics: bool) -> Result<(Package, Survey), CsvError> {
    let mut package = Package::open(path, &config.limits)?;
    let survey = survey(&mut package, config, demographics)?;
    Ok((package, survey))
}

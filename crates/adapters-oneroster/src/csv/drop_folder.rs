//! A folder into which packages are dropped: which one is next.
//!
//! Packages are applied oldest first, each once. A bulk package replaces what came before it, so whatever an unapplied
//! package holds that a later one holds in bulk is not read at all. A package is left alone until it has been still for a
//! while, because the transfer that brings it may not be finished.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::cursor::AppliedPackage;
use super::package::{Package, Stamp, file_name, has_extension, is_csv};
use super::survey::{self, Survey};
use super::table::Table;
use crate::config::{CsvConfig, PackageMode};
use crate::error::CsvError;

/// What a path of a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    /// A package: a zip, or a folder of CSV files.
    Package,
    /// A folder of packages.
    DropFolder,
    /// A folder that holds neither CSV files nor packages.
    Neither,
}

/// Tells a package from a folder of packages.
pub(crate) fn kind_of(path: &Path) -> Result<PathKind, CsvError> {
    let unreadable = |cause| CsvError::Unreadable { path: path.to_owned(), cause };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(PathKind::Package);
    }
    let mut holds_packages = false;
    for found in fs::read_dir(path).map_err(unreadable)? {
        let found = found.map_err(unreadable)?;
        let name = found.file_name().to_string_lossy().into_owned();
        if is_csv(&name) && !name.starts_with('.') {
            return Ok(PathKind::Package);
        }
        holds_packages |= is_package(&found.path(), &name);
    }
    Ok(if holds_packages { PathKind::DropFolder } else { PathKind::Neither })
}

fn is_package(path: &Path, name: &str) -> bool {
    if name.starts_with('.') {
        return false;
    }
    if path.is_dir() {
        return fs::read_dir(path).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| is_csv(&file.file_name().to_string_lossy())))
        });
    }
    has_extension(name, "zip")
}

/// What a look into a drop folder found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The package to read next.
    pub(crate) next: Option<Next>,
    /// Packages that are not read because a later one replaces them.
    pub(crate) replaced: Vec<String>,
    /// Packages that may not be complete yet.
    pub(crate) unsettled: Vec<String>,
    /// Packages that are older than the one applied last and were not there yet. To apply one now would undo newer ones.
    pub(crate) late: Vec<String>,
}

/// The package to read next.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) path: PathBuf,
    /// What to remember once it is applied.
    pub(crate) mark: AppliedPackage,
    /// Others wait behind it.
    pub(crate) more: bool,
}

#[derive(Debug)]
struct Candidate {
    path: PathBuf,
    name: String,
    modified_ns: i64,
}

/// Looks for the next package after the one applied last.
pub(crate) fn look(
    folder: &Path,
    config: &CsvConfig,
    demographics: bool,
    applied: Option<&AppliedPackage>,
    now: Timestamp,
) -> Result<Found, CsvError> {
    let (settled, unsettled) = candidates(folder, config.settle, now)?;
    let mut waiting = Vec::new();
    let mut late = Vec::new();
    let mut past = Vec::new();
    for candidate in settled {
        if is_after(&candidate, applied)? {
            waiting.push(candidate);
        } else if applied
            .is_some_and(|applied| applied.name != candidate.name && !applied.earlier.contains(&candidate.name))
        {
            late.push(candidate.name);
        } else {
            past.push(candidate.name);
        }
    }
    let contents: Vec<_> = waiting.iter().map(|candidate| content(&candidate.path, config, demographics)).collect();
    let mut replaced = Vec::new();
    let mut kept = Vec::new();
    for (index, candidate) in waiting.into_iter().enumerate() {
        let is_replaced = contents[index + 1..].iter().any(|later| replaces(later, &contents[index]));
        if is_replaced || contents[index] == Content::Nothing {
            replaced.push(candidate.name);
        } else {
            kept.push(candidate);
        }
    }
    let more = kept.len() > 1;
    let next = match kept.into_iter().next() {
        None => None,
        Some(candidate) => {
            let digest = digest(&candidate.path)?;
            let earlier = past.into_iter().chain(replaced.iter().cloned()).filter(|name| *name != candidate.name);
            let mark = AppliedPackage {
                earlier: earlier.collect(),
                name: candidate.name.clone(),
                modified_ns: candidate.modified_ns,
                digest,
            };
            Some(Next { path: candidate.path, mark, more })
        }
    };
    Ok(Found { next, replaced, unsettled, late })
}

/// The packages of a folder, oldest first, and the names of those that may still be growing.
fn candidates(folder: &Path, settle: Duration, now: Timestamp) -> Result<(Vec<Candidate>, Vec<String>), CsvError> {
    let unreadable = |cause| CsvError::Unreadable { path: folder.to_owned(), cause };
    let mut settled = Vec::new();
    let mut unsettled = Vec::new();
    for found in fs::read_dir(folder).map_err(unreadable)? {
        let path = found.map_err(unreadable)?.path();
        let name = file_name(&path);
        if !is_package(&path, &name) {
            continue;
        }
        let modified_ns = modified_ns(&path).map_err(unreadable)?;
        let age_ns = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX).saturating_sub(modified_ns);
        // A file from the future was written by a machine whose clock is wrong, not a moment ago.
        if age_ns.unsigned_abs() < u64::try_from(settle.as_nanos()).unwrap_or(u64::MAX) {
            unsettled.push(name);
        } else {
            settled.push(Candidate { path, name, modified_ns });
        }
    }
    settled.sort_by(|one, other| (one.modified_ns, &one.name).cmp(&(other.modified_ns, &other.name)));
    unsettled.sort_unstable();
    Ok((settled, unsettled))
}

/// When a zip, or the newest file of a folder, was last written.
fn modified_ns(path: &Path) -> io::Result<i64> {
    let mut newest = nanoseconds(Stamp::of(path)?);
    if path.is_dir() {
        newest = i64::MIN;
        for file in csv_files(path)? {
            newest = newest.max(nanoseconds(Stamp::of(&file)?));
        }
    }
    Ok(newest)
}

fn nanoseconds(stamp: Stamp) -> i64 {
    stamp
        .modified
        .and_then(|modified| Timestamp::try_from(modified).ok())
        .and_then(|modified| i64::try_from(modified.as_nanosecond()).ok())
        .unwrap_or(i64::MIN)
}

fn csv_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for found in fs::read_dir(folder)? {
        let path = found?.path();
        if is_csv(&file_name(&path)) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Whether a package came after the one applied last. The same file touched again did not.
fn is_after(candidate: &Candidate, applied: Option<&AppliedPackage>) -> Result<bool, CsvError> {
    let Some(applied) = applied else { return Ok(true) };
    if (candidate.modified_ns, &candidate.name) <= (applied.modified_ns, &applied.name) {
        return Ok(false);
    }
    Ok(candidate.name != applied.name || digest(&candidate.path)? != applied.digest)
}

/// What a package would bring.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// It cannot be read. Reading it in its turn says why.
    Unreadable,
    /// A manifest alone: nothing changed.
    Nothing,
    /// Files, each with its mode.
    Files(Vec<(Table, PackageMode)>),
}

fn content(path: &Path, config: &CsvConfig, demographics: bool) -> Content {
    let surveyed: Result<Survey, CsvError> =
        Package::open(path, &config.limits).and_then(|mut package| survey::survey(&mut package, config, demographics));
    match surveyed {
        Err(_) => Content::Unreadable,
        Ok(survey) if survey.files.is_empty() => Content::Nothing,
        Ok(survey) => Content::Files(survey.files.iter().map(|file| (file.table, file.mode)).collect()),
    }
}

/// Whether a package makes an older one needless: it has in bulk everything that the older one has.
fn replaces(later: &Content, older: &Content) -> bool {
    let Content::Files(later) = later else { return false };
    let has_in_bulk = |table: Table| later.contains(&(table, PackageMode::Bulk));
    match older {
        Content::Nothing => true,
        Content::Files(older) => older.iter().all(|(table, _)| has_in_bulk(*table)),
        Content::Unreadable => {
            [Table::Orgs, Table::AcademicSessions, Table::Courses, Table::Classes, Table::Users, Table::Enrollments]
                .into_iter()
                .all(has_in_bulk)
        }
    }
}

/// The digest of a package's content.
fn digest(path: &Path) -> Result<String, CsvError> {
    let unreadable = |cause| CsvError::Unreadable { path: path.to_owned(), cause };
    let mut hasher = blake3::Hasher::new();
    let files = if path.is_dir() { csv_files(path).map_err(unreadable)? } else { vec![path.to_owned()] };
    for file in files {
        if path.is_dir() {
            hasher.update(file_name(&file).as_bytes());
            hasher.update(&[0]);
        }
        hash_file(&file, &mut hasher).map_err(unreadable)?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn hash_file(path: &Path, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        hasher.update(&buffer[..read]);
    }
}

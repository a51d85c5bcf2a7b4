//! A package on disk: a folder of CSV files, or a zip of them.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rollcall_domain::ports::Problem;
use rollcall_domain::{Code, Finding, Location, Warning};
use zip::ZipArchive;

use super::archive;
use crate::config::ArchiveLimits;
use crate::error::CsvError;

/// A package that can be read, file by file.
pub(crate) struct Package {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its CSV files, in the order of their names.
    pub(crate) entries: Vec<Entry>,
    /// What was odd about the package as such.
    pub(crate) warnings: Vec<Warning>,
    archive: Option<ZipArchive<BufReader<File>>>,
    stamps: Vec<(PathBuf, Stamp)>,
}

/// A CSV file of a package.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name without folders, as the package has it.
    pub(crate) place: Arc<str>,
    pub(crate) origin: Origin,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    File(PathBuf),
    Archived {
        index: usize,
        /// What the archive says of its size. More than that is not believed.
        size: u64,
    },
}

/// What must not change while a package is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) length: u64,
    pub(crate) modified: Option<SystemTime>,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { length: metadata.len(), modified: metadata.modified().ok() })
    }
}

impl Entry {
    /// The name without `.csv`.
    pub(crate) fn stem(&self) -> &str {
        stem(&self.place)
    }
}

/// The name without `.csv`.
fn stem(name: &str) -> &str {
    if is_csv(name) { &name[..name.len() - 4] } else { name }
}

/// Whether a file is a CSV file by its name.
pub(crate) fn is_csv(name: &str) -> bool {
    has_extension(name, "csv")
}

/// Whether a name ends with a dot and this extension, in any case.
pub(crate) fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

impl Package {
    /// Opens a folder or a zip and lists what is in it.
    pub(crate) fn open(path: &Path, limits: &ArchiveLimits) -> Result<Self, CsvError> {
        let metadata = fs::metadata(path).map_err(|cause| CsvError::Unreadable { path: path.to_owned(), cause })?;
        let package = if metadata.is_dir() { Self::open_folder(path)? } else { Self::open_archive(path, limits)? };
        let mut problems = Vec::new();
        for (index, entry) in package.entries.iter().enumerate() {
            if package.entries[..index].iter().any(|other| other.place.eq_ignore_ascii_case(&entry.place)) {
                problems.push(Problem {
                    code: Code::PackageInvalid,
                    place: Some(entry.place.to_string()),
                    message: format!("there are two files named `{}`; keep the one that counts", entry.place),
                });
            }
        }
        if problems.is_empty() { Ok(package) } else { Err(CsvError::Refused { path: path.to_owned(), problems }) }
    }

    fn open_folder(path: &Path) -> Result<Self, CsvError> {
        let unreadable = |cause| CsvError::Unreadable { path: path.to_owned(), cause };
        let mut entries = Vec::new();
        let mut stamps = Vec::new();
        for found in fs::read_dir(path).map_err(unreadable)? {
            let found = found.map_err(unreadable)?;
            let name = found.file_name().to_string_lossy().into_owned();
            let file = found.path();
            // Hidden files are leftovers of editors and transfers.
            if !is_csv(&name) || name.starts_with('.') || !file.is_file() {
                continue;
            }
            stamps.push((file.clone(), Stamp::of(&file).map_err(unreadable)?));
            entries.push(Entry { place: name.into(), origin: Origin::File(file) });
        }
        entries.sort_by(|one, other| one.place.cmp(&other.place));
        if entries.is_empty() {
            return Err(refused(
                path,
                "the folder holds no CSV files; give the folder that holds orgs.csv, users.csv and so on",
            ));
        }
        Ok(Self { path: path.to_owned(), entries, warnings: Vec::new(), archive: None, stamps })
    }

    fn open_archive(path: &Path, limits: &ArchiveLimits) -> Result<Self, CsvError> {
        let unreadable = |cause| CsvError::Unreadable { path: path.to_owned(), cause };
        let stamp = Stamp::of(path).map_err(unreadable)?;
        if stamp.length == 0 {
            return Err(refused(path, "the file is empty; export or copy the package again"));
        }
        let file = File::open(path).map_err(unreadable)?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|_| {
            refused(
                path,
                "the file is not a zip archive, or it was cut off on its way; give a folder of CSV files or a complete zip",
            )
        })?;
        let listing = archive::list(&archive, limits);
        if !listing.problems.is_empty() {
            return Err(CsvError::Refused { path: path.to_owned(), problems: listing.problems });
        }
        let place: Arc<str> = file_name(path).into();
        let warnings = listing.warnings.into_iter().map(|finding| about_package(&place, finding)).collect();
        let stamps = vec![(path.to_owned(), stamp)];
        Ok(Self { path: path.to_owned(), entries: listing.entries, warnings, archive: Some(archive), stamps })
    }

    /// The name of the package for people.
    pub(crate) fn name(&self) -> String {
        file_name(&self.path)
    }

    /// Opens a file of the package.
    pub(crate) fn read(&mut self, entry: &Entry) -> Result<Box<dyn Read + '_>, CsvError> {
        match (&entry.origin, &mut self.archive) {
            (Origin::File(path), _) => {
                let file = File::open(path).map_err(|cause| CsvError::Unreadable { path: path.clone(), cause })?;
                Ok(Box::new(file))
            }
            (Origin::Archived { index, size }, Some(archive)) => {
                let file = archive
                    .by_index(*index)
                    .map_err(|error| CsvError::Damaged { place: entry.place.to_string(), cause: error.into() })?;
                Ok(Box::new(archive::Measured::new(file, *size)))
            }
            (Origin::Archived { .. }, None) => Err(CsvError::Damaged {
                place: entry.place.to_string(),
                cause: io::Error::new(io::ErrorKind::NotFound, "the archive is not open"),
            }),
        }
    }

    /// The files that are not what they were when the package was opened.
    pub(crate) fn changed(&self) -> Vec<String> {
        self.stamps
            .iter()
            .filter(|(path, stamp)| Stamp::of(path).ok() != Some(*stamp))
            .map(|(path, _)| file_name(path))
            .collect()
    }
}

/// A refusal with one problem, about the package as a whole.
pub(crate) fn refused(path: &Path, message: &str) -> CsvError {
    let problem = Problem { code: Code::PackageInvalid, place: Some(file_name(path)), message: message.to_owned() };
    CsvError::Refused { path: path.to_owned(), problems: vec![problem] }
}

/// A warning about the package as a whole.
pub(crate) fn about_package(place: &Arc<str>, finding: Finding) -> Warning {
    Warning { kind: None, sourced_id: None, location: Location::whole(place), finding }
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

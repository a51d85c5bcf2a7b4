//! What a zip holds, and what it must not.

use std::fs::File;
use std::io::{self, BufReader, Read};

use rollcall_domain::ports::Problem;
use rollcall_domain::{Code, Finding};
use zip::{CompressionMethod, ZipArchive};

use super::package::{Entry, Origin, is_csv};
use crate::config::ArchiveLimits;

/// The CSV files of an archive, and what was found while looking for them.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) entries: Vec<Entry>,
    pub(crate) warnings: Vec<Finding>,
    pub(crate) problems: Vec<Problem>,
}

/// What is of interest about an entry.
struct Found {
    folder: String,
    name: String,
    index: usize,
    size: u64,
}

/// Lists the CSV files of an archive. Nothing is unpacked.
pub(crate) fn list(archive: &ZipArchive<BufReader<File>>, limits: &ArchiveLimits) -> Listing {
    let mut listing = Listing::default();
    if archive.is_empty() {
        listing.refuse(None, "the zip is empty; export the package again".to_owned());
        return listing;
    }
    if archive.len() > limits.entries {
        listing.refuse(
            None,
            format!(
                "the zip holds {} entries, and more than {} are not looked at; a package has at most 22 files",
                archive.len(),
                limits.entries
            ),
        );
        return listing;
    }
    if archive.has_duplicate_names() {
        listing.refuse(None, "the zip holds two files of one name; export the package again".to_owned());
    }
    let mut expanded: u64 = 0;
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let Ok(entry) = archive.by_index_data(index) else {
            listing.refuse(None, "an entry of the zip cannot be read; export or copy the package again".to_owned());
            continue;
        };
        let Ok(name) = entry.name().map(|name| name.replace('\\', "/")) else {
            listing.refuse(None, "the name of an entry of the zip cannot be read".to_owned());
            continue;
        };
        if leads_outside(&name) {
            listing.refuse(
                Some(&name),
                "the name of the entry leads outside the package (`..` or an absolute path); such archives are refused"
                    .to_owned(),
            );
            continue;
        }
        expanded = expanded.saturating_add(entry.size());
        if entry.is_dir() {
            continue;
        }
        let (folder, base) = name.rsplit_once('/').unwrap_or(("", &name));
        if is_litter(folder, base) {
            listing.skip(&name, "it is a leftover of the system that packed the zip");
            continue;
        }
        if !is_csv(base) {
            listing.skip(&name, "it is not a CSV file");
            continue;
        }
        if entry.encrypted() {
            listing.refuse(Some(&name), "the entry is encrypted; pack the files without a password".to_owned());
        } else if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            listing.refuse(
                Some(&name),
                "the entry is packed in a way that OneRoster does not allow; pack it with ordinary zip (deflate)"
                    .to_owned(),
            );
        }
        if entry.size() > ArchiveLimits::SMALL_ENTRY && entry.size() / entry.compressed_size().max(1) > limits.ratio {
            listing.refuse(
                Some(&name),
                format!(
                    "the entry would unpack to {} times its size, and more than {} is taken for an attack",
                    entry.size() / entry.compressed_size().max(1),
                    limits.ratio
                ),
            );
        }
        files.push(Found { folder: folder.to_owned(), name: base.to_owned(), index, size: entry.size() });
    }
    if expanded > limits.expanded_bytes {
        listing.refuse(
            None,
            format!("the zip would unpack to {expanded} bytes, and more than {} are refused", limits.expanded_bytes),
        );
    }
    listing.take_one_folder(files);
    listing
}

impl Listing {
    fn refuse(&mut self, place: Option<&str>, message: String) {
        self.problems.push(Problem { code: Code::PackageInvalid, place: place.map(str::to_owned), message });
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.warnings.push(Finding::whole(Code::FileSkipped, format!("`{name}` was not read: {why}")));
    }

    /// The files of a package stand at the root, or all in one folder.
    fn take_one_folder(&mut self, files: Vec<Found>) {
        let at_root = files.iter().any(|file| file.folder.is_empty());
        let mut folders: Vec<String> = files.iter().map(|file| file.folder.clone()).collect();
        folders.sort_unstable();
        folders.dedup();
        if files.is_empty() && self.problems.is_empty() {
            self.refuse(None, "the zip holds no CSV files; pack orgs.csv, users.csv and so on into it".to_owned());
            return;
        }
        if !at_root && folders.len() > 1 {
            self.refuse(
                None,
                format!(
                    "the CSV files of the zip lie in several folders ({}); pack one package, with its files at the root",
                    folders.join(", ")
                ),
            );
            return;
        }
        if let (false, [folder]) = (at_root, folders.as_slice()) {
            self.warnings.push(Finding::whole(
                Code::PackageInvalid,
                format!("the files lie in the folder `{folder}` inside the zip; OneRoster wants them at its root"),
            ));
        }
        for file in files {
            if at_root && !file.folder.is_empty() {
                self.skip(&format!("{}/{}", file.folder, file.name), "the package is at the root of the zip");
                continue;
            }
            self.entries.push(Entry {
                place: file.name.into(),
                origin: Origin::Archived { index: file.index, size: file.size },
            });
        }
        self.entries.sort_by(|one, other| one.place.cmp(&other.place));
    }
}

fn leads_outside(name: &str) -> bool {
    let has_drive = name.as_bytes().get(1) == Some(&b':');
    name.starts_with('/') || has_drive || name.split('/').any(|part| part == "..")
}

/// What operating systems leave in archives.
fn is_litter(folder: &str, name: &str) -> bool {
    folder.split('/').any(|part| part == "__MACOSX")
        || name.starts_with('.')
        || ["thumbs.db", "desktop.ini"].iter().any(|litter| name.eq_ignore_ascii_case(litter))
}

/// Reads an entry and stops where the archive says that it ends, so that a lie about its size cannot fill the disk or
/// the memory.
pub(crate) struct Measured<R> {
    entry: R,
    left: u64,
}

impl<R> Measured<R> {
    pub(crate) const fn new(entry: R, size: u64) -> Self {
        Self { entry, left: size }
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.entry.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the entry is larger than the archive says"))?;
        Ok(read)
    }
}

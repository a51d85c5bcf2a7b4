//! Where a package is written, and how it gets its name in one step.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::columns::ExportVersion;
use super::error::ExportError;

/// A hidden folder beside the package's own. It is renamed when everything is written, and removed if that never comes.
#[derive(Debug)]
pub(super) struct Folder {
    target: PathBuf,
    scratch: PathBuf,
    published: bool,
}

impl Folder {
    pub(super) fn create(path: &Path) -> Result<Self, ExportError> {
        let target = resolve(path)?;
        refuse_other_content(&target)?;
        let scratch = beside(&target, "partial");
        fs::create_dir_all(&scratch).map_err(|cause| ExportError::Folder { path: target.clone(), cause })?;
        Ok(Self { target, scratch, published: false })
    }

    /// Where a file is written.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.scratch.join(format!("{name}.csv"))
    }

    /// Where a file will be; this is the name to speak of.
    pub(super) fn final_file(&self, name: &str) -> PathBuf {
        self.target.join(format!("{name}.csv"))
    }

    /// Gives the package its name. A package that had it before is put aside first and removed afterwards.
    pub(super) fn publish(mut self) -> Result<PathBuf, ExportError> {
        // Looked at again, because writing may have taken a while.
        let filled = refuse_other_content(&self.target)?;
        let failed = |cause| ExportError::Publish { path: self.target.clone(), cause };
        if filled {
            let old = beside(&self.target, "old");
            fs::rename(&self.target, &old).map_err(failed)?;
            if let Err(cause) = fs::rename(&self.scratch, &self.target) {
                fs::rename(&old, &self.target).map_err(failed)?;
                return Err(failed(cause));
            }
            self.published = true;
            fs::remove_dir_all(&old).map_err(|cause| ExportError::Folder { path: old, cause })?;
        } else {
            fs::rename(&self.scratch, &self.target).map_err(failed)?;
            self.published = true;
        }
        Ok(self.target.clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.published {
            // Nobody is left to be told; what stays behind is hidden and has no manifest.
            drop(fs::remove_dir_all(&self.scratch));
        }
    }
}

/// The path with its links followed, so that a rename meets the folder and not a link to it.
fn resolve(path: &Path) -> Result<PathBuf, ExportError> {
    let unusable = |path: &Path, cause| ExportError::Folder { path: path.to_owned(), cause };
    match fs::canonicalize(path) {
        Ok(target) if target.is_dir() && target.file_name().is_some() => Ok(target),
        Ok(_) => Err(ExportError::NotAFolder { path: path.to_owned() }),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| ExportError::NotAFolder { path: path.to_owned() })?;
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            fs::create_dir_all(parent).map_err(|cause| unusable(parent, cause))?;
            Ok(fs::canonicalize(parent).map_err(|cause| unusable(parent, cause))?.join(name))
        }
        Err(cause) => Err(unusable(path, cause)),
    }
}

/// Refuses a folder that holds anything but a package. Returns whether it holds one.
fn refuse_other_content(folder: &Path) -> Result<bool, ExportError> {
    let unreadable = |cause| ExportError::Folder { path: folder.to_owned(), cause };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(unreadable(cause)),
    };
    let mut first = None;
    let mut manifest = false;
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".csv"));
        let of_package =
            stem.is_some_and(|stem| stem == "manifest" || ExportVersion::V1_2.manifest_files().contains(&stem));
        if !of_package || !entry.file_type().map_err(unreadable)?.is_file() {
            return Err(not_a_package(folder, &name));
        }
        manifest |= stem == Some("manifest");
        first.get_or_insert(name);
    }
    match first {
        None => Ok(false),
        Some(_) if manifest => Ok(true),
        Some(name) => Err(not_a_package(folder, &name)),
    }
}

fn not_a_package(folder: &Path, entry: &OsString) -> ExportError {
    ExportError::NotAPackage { folder: folder.to_owned(), entry: entry.to_string_lossy().into_owned() }
}

/// A name beside the target that no other writer uses.
fn beside(target: &Path, what: &str) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{what}-{}-{number}", std::process::id()));
    target.with_file_name(name)
}

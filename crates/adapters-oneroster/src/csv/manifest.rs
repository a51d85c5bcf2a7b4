//! `manifest.csv`: which files a package has, and whether each is bulk or delta.

use std::collections::BTreeMap;

use rollcall_domain::{Code, Finding};

use crate::config::PackageMode;

/// What a manifest says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// `oneroster.version`, as written.
    pub(crate) version: Option<String>,
    /// `source.systemName`.
    pub(crate) system: Option<String>,
    /// What is said of each file, by its name in lower case.
    pub(crate) files: BTreeMap<String, Declared>,
}

/// What a manifest says of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The name as the manifest writes it.
    pub(crate) name: String,
    pub(crate) word: Word,
}

/// The word that a manifest has for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Absent,
    Present(PackageMode),
    /// None of the three.
    Unknown(String),
}

/// A manifest, and what was odd in it, with the line.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) manifest: Manifest,
    pub(crate) warnings: Vec<(u64, Finding)>,
}

/// Reads a manifest from its rows, the header among them.
pub(crate) fn read(rows: &[(u64, Vec<String>)]) -> Read {
    let mut read = Read::default();
    for (index, (line, cells)) in rows.iter().enumerate() {
        let property = cells.first().map_or("", |cell| cell.trim());
        let value = cells.get(1).map_or("", |cell| cell.trim());
        if index == 0 {
            if property == "propertyName" && value == "value" {
                continue;
            }
            read.warn(*line, "the header of the manifest is not `propertyName,value`");
            if !property.contains('.') {
                continue;
            }
        }
        read.property(*line, property, value);
        if cells.iter().skip(2).any(|cell| !cell.trim().is_empty()) {
            read.warn(*line, "the row of the manifest has more than two cells; the others were not read");
        }
    }
    if read.manifest.version.is_none() {
        read.warn(1, "the manifest does not say `oneroster.version`; it was told from the files");
    }
    read
}

impl Read {
    fn warn(&mut self, line: u64, message: impl Into<String>) {
        self.warnings.push((line, Finding::whole(Code::ManifestInvalid, message)));
    }

    fn property(&mut self, line: u64, property: &str, value: &str) {
        let lower = property.to_ascii_lowercase();
        if let Some(file) = lower.strip_prefix("file.") {
            self.file(line, file, &property[5..], value);
            return;
        }
        match lower.as_str() {
            "manifest.version" if value == "1.0" => {}
            "manifest.version" => self.warn(line, format!("`manifest.version` is `{value}`; expected `1.0`")),
            "oneroster.version" => {
                if self.manifest.version.replace(value.to_owned()).is_some() {
                    self.warn(line, "`oneroster.version` stands in the manifest twice; the last one counts");
                }
            }
            "source.systemname" => self.manifest.system = (!value.is_empty()).then(|| value.to_owned()),
            "source.systemcode" | "" => {}
            _ => self.warn(line, format!("the manifest has a property `{property}` that OneRoster does not define")),
        }
    }

    fn file(&mut self, line: u64, file: &str, name: &str, value: &str) {
        let word = match value.to_ascii_lowercase().as_str() {
            // A row without a word says as little as no row at all.
            "" => {
                self.warn(line, format!("the manifest says nothing of `{name}`; expected `absent`, `bulk` or `delta`"));
                return;
            }
            "absent" => Word::Absent,
            "bulk" => Word::Present(PackageMode::Bulk),
            "delta" => Word::Present(PackageMode::Delta),
            _ => Word::Unknown(value.to_owned()),
        };
        if !matches!(word, Word::Unknown(_)) && value.bytes().any(|byte| byte.is_ascii_uppercase()) {
            self.warn(line, format!("the manifest says `{value}` of `{name}`; the standard writes it in lower case"));
        }
        // A table of the 1.2 text misspells this name, and exporters copied it.
        let key = if file == "courseresourses" { "courseresources".to_owned() } else { file.to_owned() };
        if self.manifest.files.insert(key, Declared { name: name.to_owned(), word }).is_some() {
            self.warn(line, format!("`file.{name}` stands in the manifest twice; the last one counts"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Read {
        let rows: Vec<_> = text
            .lines()
            .enumerate()
            .map(|(index, line)| (index as u64 + 1, line.split(',').map(str::to_owned).collect()))
            .collect();
        read(&rows)
    }

    #[test]
    fn a_manifest_by_the_book_has_nothing_to_remark() {
        let read = parse(
            "propertyName,value\nmanifest.version,1.0\noneroster.version,1.2\nfile.users,bulk\nfile.roles,delta\n\
             file.results,absent\nsource.systemName,Springfield SIS\nsource.systemCode,s",
        );
        assert_eq!(read.warnings, []);
        assert_eq!(read.manifest.version.as_deref(), Some("1.2"));
        assert_eq!(read.manifest.system.as_deref(), Some("Springfield SIS"));
        assert_eq!(read.manifest.files["users"].word, Word::Present(PackageMode::Bulk));
        assert_eq!(read.manifest.files["roles"].word, Word::Present(PackageMode::Delta));
        assert_eq!(read.manifest.files["results"].word, Word::Absent);
    }

    #[test]
    fn a_spreadsheets_version_other_case_and_repetitions_are_remarked() {
        let read = parse(
            "PropertyName,Value\nmanifest.version,1\noneroster.version,1.1\nFile.Users,Bulk\nfile.users,delta\n\
             file.orgs,full\nfile.courses,\nsomething,else",
        );
        let messages: Vec<_> =
            read.warnings.iter().map(|(line, finding)| format!("{line}: {}", finding.message)).collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        1: the header of the manifest is not `propertyName,value`
        2: `manifest.version` is `1`; expected `1.0`
        4: the manifest says `Bulk` of `Users`; the standard writes it in lower case
        5: `file.users` stands in the manifest twice; the last one counts
        7: the manifest says nothing of `courses`; expected `absent`, `bulk` or `delta`
        8: the manifest has a property `something` that OneRoster does not define
        ");
        assert_eq!(read.manifest.files["users"].word, Word::Present(PackageMode::Delta));
        assert_eq!(read.manifest.files["orgs"].word, Word::Unknown("full".to_owned()));
        assert!(!read.manifest.files.contains_key("courses"));
    }
}

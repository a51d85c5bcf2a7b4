use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

/// A small OneRoster 1.1 package that a test can damage: a district, a school, a year and a term, a course, two
/// classes, a teacher, a guardian and three students.
#[derive(Debug, Clone)]
pub struct Package {
    files: BTreeMap<String, Vec<u8>>,
}

const SMALL: &[(&str, &[&str])] = &[
    (
        "manifest.csv",
        &[
            "propertyName,value",
            "manifest.version,1.0",
            "oneroster.version,1.1",
            "file.academicSessions,bulk",
            "file.categories,absent",
            "file.classes,bulk",
            "file.classResources,absent",
            "file.courses,bulk",
            "file.courseResources,absent",
            "file.demographics,bulk",
            "file.enrollments,bulk",
            "file.lineItems,absent",
            "file.orgs,bulk",
            "file.resources,absent",
            "file.results,absent",
            "file.users,bulk",
            "source.systemName,test",
            "source.systemCode,test",
        ],
    ),
    (
        "orgs.csv",
        &[
            "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId",
            "d1,,,Springfield,district,,",
            "s1,,,Springfield Elementary,school,,d1",
        ],
    ),
    (
        "academicSessions.csv",
        &[
            "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear",
            "y1,,,2026-27,schoolYear,2026-08-01,2027-07-01,,2027",
            "t1,,,Autumn,term,2026-08-15,2026-12-20,y1,2027",
        ],
    ),
    (
        "courses.csv",
        &[
            "sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes",
            "k1,,,y1,Mathematics 4,MA4,04,s1,,",
        ],
    ),
    (
        "classes.csv",
        &[
            "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods",
            "c1,,,Mathematics 4a,04,k1,MA4a,scheduled,,s1,t1,,,1",
            "c2,,,Mathematics 4b,04,k1,MA4b,scheduled,,s1,t1,,,2",
        ],
    ),
    (
        "users.csv",
        &[
            "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password",
            "u1,,,true,s1,teacher,edna,,Edna,Krabappel,,,,,,,,",
            "u2,,,true,s1,student,bart,,Bart,Simpson,,,,,,u5,04,",
            "u3,,,true,s1,student,lisa,,Lisa,Simpson,,,,,,u5,02,",
            "u4,,,true,s1,student,milhouse,,Milhouse,Van Houten,,,,,,,04,",
            "u5,,,true,s1,guardian,marge,,Marge,Simpson,,,,,,\"u2,u3\",,",
        ],
    ),
    (
        "enrollments.csv",
        &[
            "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate",
            "e1,,,c1,s1,u1,teacher,true,2026-08-15,2026-12-20",
            "e2,,,c1,s1,u2,student,,2026-08-15,2026-12-20",
            "e3,,,c1,s1,u3,student,,2026-08-15,2026-12-20",
            "e4,,,c2,s1,u4,student,,2026-08-15,2026-12-20",
        ],
    ),
    (
        "demographics.csv",
        &[
            "sourcedId,status,dateLastModified,birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,hispanicOrLatinoEthnicity,countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,publicSchoolResidenceStatus",
            "u2,,,2016-04-01,male,false,false,false,false,true,false,false,US,OR,Springfield,",
        ],
    ),
];

impl Package {
    /// The package with nothing wrong in it.
    pub fn small() -> Self {
        let files = SMALL.iter().map(|(name, lines)| {
            let mut text = lines.join("\r\n");
            text.push_str("\r\n");
            ((*name).to_owned(), text.into_bytes())
        });
        Self { files: files.collect() }
    }

    /// A package with a manifest that says `delta` and nothing else.
    pub fn small_delta() -> Self {
        let mut package = Self::small();
        let manifest = package.text("manifest.csv").replace(",bulk", ",absent");
        package.files.clear();
        package.files.insert("manifest.csv".to_owned(), manifest.into_bytes());
        package
    }

    /// Adds a file of changes to a delta package: the header is the small package's.
    #[must_use]
    pub fn with_changes(mut self, file: &str, rows: &[&str]) -> Self {
        let (_, lines) = SMALL.iter().find(|(name, _)| *name == file).expect("the small package has the file");
        let mut text = format!("{}\r\n", lines[0]);
        for row in rows {
            text.push_str(row);
            text.push_str("\r\n");
        }
        self.files.insert(file.to_owned(), text.into_bytes());
        let name = file.trim_end_matches(".csv");
        self.replace("manifest.csv", &format!("file.{name},absent"), &format!("file.{name},delta"))
    }

    /// The text of a file.
    ///
    /// # Panics
    ///
    /// If there is no such file, or it is no text.
    pub fn text(&self, file: &str) -> String {
        String::from_utf8(self.files[file].clone()).expect("the file is text")
    }

    /// Replaces a piece of a file that is there exactly once.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[track_caller]
    #[must_use]
    pub fn replace(mut self, file: &str, from: &str, to: &str) -> Self {
        let text = self.text(file);
        assert_eq!(text.matches(from).count(), 1, "`{from}` in {file}");
        self.files.insert(file.to_owned(), text.replace(from, to).into_bytes());
        self
    }

    /// Replaces bytes of a file, so that it may stop being text.
    #[must_use]
    pub fn bytes(mut self, file: &str, from: &str, to: &[u8]) -> Self {
        let old = &self.files[file];
        let at = old.windows(from.len()).position(|window| window == from.as_bytes()).expect("the piece is there");
        let new = [&old[..at], to, &old[at + from.len()..]].concat();
        self.files.insert(file.to_owned(), new);
        self
    }

    /// Adds a row at the end of a file.
    #[must_use]
    pub fn row(mut self, file: &str, row: &str) -> Self {
        let bytes = self.files.get_mut(file).expect("the file is there");
        bytes.extend_from_slice(row.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Drops the row that begins with an id.
    #[must_use]
    pub fn without_row(mut self, file: &str, id: &str) -> Self {
        let text = self.text(file);
        let start = format!("{id},");
        let kept: String = text.split_inclusive("\r\n").filter(|line| !line.starts_with(&start)).collect();
        assert_ne!(kept, text, "{file} has no row `{id}`");
        self.files.insert(file.to_owned(), kept.into_bytes());
        self
    }

    /// Drops a file.
    #[must_use]
    pub fn without_file(mut self, file: &str) -> Self {
        self.files.remove(file).expect("the file is there");
        self
    }

    /// Writes the package into a folder, which is emptied first.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn write(&self, folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("the folder can be made");
        for (name, bytes) in &self.files {
            fs::write(folder.join(name), bytes).expect("the file can be written");
        }
    }

    /// Its files.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }
}

/// The files of a folder by name.
///
/// # Panics
///
/// If they cannot be read.
#[track_caller]
pub fn read_folder(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |path: &Path| fs::read(path).expect("the file can be read");
    entries
        .map(|entry| entry.expect("the folder can be read").path())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), read(&path)))
        .collect()
}

/// Writes files into a zip under the names given, whatever they are.
///
/// # Panics
///
/// If that fails.
pub fn write_zip<'a>(path: &Path, files: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).expect("the zip can be made"));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in files {
        zip.start_file(name, options).expect("the entry can be begun");
        zip.write_all(bytes).expect("the entry can be written");
    }
    zip.finish().expect("the zip can be finished");
}

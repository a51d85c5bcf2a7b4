//! Packages made of texts, and a sink that remembers.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use rollcall_adapters_oneroster::{CsvConfig, CsvSource};
use rollcall_domain::ports::{
    BatchSink, Clock, Cursor, Item, OwnedChange, PullRequest, PullSummary, RoleChange, RosterSource, SinkClosed,
    SourceError, UserHalf,
};
use rollcall_domain::{Code, Record, Reject, Warning};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A clock that stands.
pub(crate) struct StoppedClock(pub(crate) Timestamp);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A clock at which every file that a test writes has long been still.
pub(crate) fn next_century() -> Arc<dyn Clock> {
    Arc::new(StoppedClock("2126-01-01T00:00:00Z".parse().unwrap()))
}

/// Files of a package, by name.
#[derive(Clone, Default)]
pub(crate) struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A small package of 1.1 by the book.
    pub(crate) fn standard() -> Self {
        Self::fixture("v1p1")
    }

    /// A folder under `fixtures/`.
    pub(crate) fn fixture(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
        let mut files: Vec<_> = folder
            .read_dir()
            .unwrap()
            .map(|file| {
                let file = file.unwrap();
                (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())
            })
            .collect();
        files.sort();
        Self(files)
    }

    /// Adds or replaces a file.
    pub(crate) fn with(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// Replaces a text in a file, which must be there.
    pub(crate) fn edit(self, name: &str, from: &str, to: &str) -> Self {
        let content = self.0.iter().find(|(other, _)| other == name).map(|(_, content)| content.clone()).unwrap();
        let content = String::from_utf8(content).unwrap();
        assert!(content.contains(from), "{name} does not have {from}");
        self.with(name, content.replace(from, to))
    }

    pub(crate) fn write_to(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        for (name, content) in &self.0 {
            std::fs::write(folder.join(name), content).unwrap();
        }
    }

    pub(crate) fn zip_to(&self, path: &Path) {
        self.zip_with(path, SimpleFileOptions::default());
    }

    pub(crate) fn zip_with(&self, path: &Path, options: SimpleFileOptions) {
        let mut zip = ZipWriter::new(std::fs::File::create(path).unwrap());
        for (name, content) in &self.0 {
            zip.start_file(name.as_str(), options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap();
    }

    /// Pulls the files as a folder.
    pub(crate) async fn pull(&self) -> Pulled {
        self.pull_with(|_| {}).await
    }

    /// Pulls the files as a folder, with other settings.
    pub(crate) async fn pull_with(&self, settings: impl FnOnce(&mut CsvConfig)) -> Pulled {
        let folder = TempDir::new().unwrap();
        self.write_to(folder.path());
        let mut config = CsvConfig::new(folder.path());
        settings(&mut config);
        pull(config, None).await.unwrap()
    }

    /// Pulls the files as a folder and expects a refusal.
    pub(crate) async fn refusal(&self) -> SourceError {
        self.refusal_with(|_| {}).await
    }

    pub(crate) async fn refusal_with(&self, settings: impl FnOnce(&mut CsvConfig)) -> SourceError {
        let folder = TempDir::new().unwrap();
        self.write_to(folder.path());
        let mut config = CsvConfig::new(folder.path());
        settings(&mut config);
        pull(config, None).await.err().unwrap()
    }
}

/// What a pull brought.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) items: Vec<Item>,
    pub(crate) summary: PullSummary,
}

impl Pulled {
    pub(crate) fn records(&self) -> Vec<&Record> {
        self.items
            .iter()
            .filter_map(|item| if let Item::Upsert(upsert) = item { Some(upsert.record()) } else { None })
            .collect()
    }

    pub(crate) fn record(&self, id: &str) -> serde_json::Value {
        let found = self.records().into_iter().find(|record| record.sourced_id().as_str() == id);
        serde_json::to_value(found.unwrap_or_else(|| panic!("no record `{id}` in\n{}", self.render()))).unwrap()
    }

    pub(crate) fn has_record(&self, id: &str) -> bool {
        self.records().iter().any(|record| record.sourced_id().as_str() == id)
    }

    pub(crate) fn rejects(&self) -> Vec<&Reject> {
        self.items.iter().filter_map(|item| if let Item::Reject(reject) = item { Some(reject) } else { None }).collect()
    }

    pub(crate) fn warnings(&self) -> Vec<&Warning> {
        self.items
            .iter()
            .filter_map(|item| if let Item::Warning(warning) = item { Some(warning) } else { None })
            .collect()
    }

    /// The warnings as `code field place`, for comparison.
    pub(crate) fn warned(&self) -> Vec<String> {
        self.warnings()
            .iter()
            .map(|warning| {
                let field = warning.finding.field.as_deref().unwrap_or("-");
                format!("{} {field} {}", warning.finding.code, warning.location)
            })
            .collect()
    }

    pub(crate) fn has_warning(&self, expected: &str) -> bool {
        self.warned().iter().any(|warning| warning == expected)
    }

    /// The rejects as `code field place id`, for comparison.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.rejects()
            .iter()
            .map(|reject| {
                let findings: Vec<_> = reject
                    .findings
                    .iter()
                    .map(|finding| format!("{} {}", finding.code, finding.field.as_deref().unwrap_or("-")))
                    .collect();
                let id = reject.sourced_id.as_ref().map_or("?", |id| id.as_str());
                format!("{} {} {id}", findings.join(" + "), reject.location)
            })
            .collect()
    }

    pub(crate) fn deleted(&self) -> Vec<String> {
        self.items
            .iter()
            .filter_map(|item| match item {
                Item::Delete(deletion) => Some(format!("{} {}", deletion.kind, deletion.sourced_id)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn holds(&self) -> Vec<Code> {
        self.summary.holds.iter().map(|hold| hold.code).collect()
    }

    /// Everything, to be read by a person.
    pub(crate) fn render(&self) -> String {
        render(&self.items)
    }

    /// The cursor for the next pull.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.summary.cursor.clone()
    }
}

/// Items to be read by a person.
pub(crate) fn render(items: &[Item]) -> String {
    let mut text = String::new();
    for item in items {
        render_item(item, &mut text);
    }
    text
}

fn render_item(item: &Item, text: &mut String) {
    match item {
        Item::Upsert(upsert) => {
            let half = if upsert.half == UserHalf::WithoutRoles { " without roles" } else { "" };
            let modified = upsert.modified_ms.map_or_else(String::new, |ms| format!(" modified {ms}"));
            let record = serde_json::to_string_pretty(upsert.record()).unwrap();
            writeln!(text, "upsert {}{half}{modified} {record}", upsert.location).unwrap();
        }
        Item::Delete(deletion) => {
            let modified = deletion.modified_ms.map_or_else(String::new, |ms| format!(" modified {ms}"));
            writeln!(text, "delete {}{modified} {} {}", deletion.location, deletion.kind, deletion.sourced_id).unwrap();
        }
        Item::Owned(OwnedChange::Roles { user, roles, location }) => {
            writeln!(text, "roles {location} of {user}: {}", serde_json::to_string(roles).unwrap()).unwrap();
        }
        Item::Owned(OwnedChange::Role { change: RoleChange::Put { user, role }, location, .. }) => {
            writeln!(text, "put role {location} of {user}: {}", serde_json::to_string(role).unwrap()).unwrap();
        }
        Item::Owned(OwnedChange::Role { change: RoleChange::Delete { user, role }, location, .. }) => {
            let user = user.as_ref().map_or("?", |user| user.as_str());
            writeln!(text, "delete role {location} of {user}: {role}").unwrap();
        }
        Item::Owned(other) => writeln!(text, "{other:?}").unwrap(),
        Item::Reject(reject) => {
            let id = reject.sourced_id.as_ref().map_or("?", |id| id.as_str());
            writeln!(text, "reject {} {} {id}", reject.location, reject.kind).unwrap();
            for finding in &reject.findings {
                writeln!(text, "  {} {}: {}", finding.code, finding.field.as_deref().unwrap_or("-"), finding.message)
                    .unwrap();
            }
            if let Some(record) = &reject.record {
                writeln!(text, "  {record}").unwrap();
            }
        }
        Item::Warning(Warning { sourced_id, location, finding, .. }) => {
            let id = sourced_id.as_ref().map_or("-", |id| id.as_str());
            let field = finding.field.as_deref().unwrap_or("-");
            writeln!(text, "warn {location} {id} {} {field}: {}", finding.code, finding.message).unwrap();
        }
        Item::Restart { reason } => writeln!(text, "restart: {reason}").unwrap(),
    }
}

#[derive(Clone, Default)]
struct Remembering(Arc<Mutex<Vec<Item>>>);

#[async_trait]
impl BatchSink for Remembering {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// Pulls with demographics.
pub(crate) async fn pull(config: CsvConfig, cursor: Option<Cursor>) -> Result<Pulled, SourceError> {
    let request = PullRequest { cursor, full: false, demographics: true };
    pull_request(config, next_century(), request).await
}

pub(crate) async fn pull_request(
    config: CsvConfig,
    clock: Arc<dyn Clock>,
    request: PullRequest,
) -> Result<Pulled, SourceError> {
    let sink = Remembering::default();
    let summary = CsvSource::new(config, clock).pull(&request, Box::new(sink.clone())).await?;
    let items = std::mem::take(&mut *sink.0.lock().unwrap());
    Ok(Pulled { items, summary })
}

/// Writes a package as a zip into a folder of its own.
pub(crate) fn zipped(files: &Files) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("package.zip");
    files.zip_to(&path);
    (folder, path)
}

/// The problems of a refusal, to be read by a person.
pub(crate) fn problems(error: &SourceError) -> String {
    error
        .problems
        .iter()
        .map(|problem| format!("{} {}: {}", problem.code, problem.place.as_deref().unwrap_or("-"), problem.message))
        .collect::<Vec<_>>()
        .join("\n")
}

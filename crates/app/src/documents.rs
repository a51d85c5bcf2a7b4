//! The JSON documents that are not a run's report: those of failures, listings and validations.

use std::collections::BTreeMap;

use rollcall_domain::ports::{Problem, RejectRow};
use rollcall_domain::report::{RunError, RunReport};
use rollcall_domain::{Counts, Kind, PerKind};
use serde::{Deserialize, Serialize, Serializer};

use crate::failure::Explained;

/// The report of a run that failed before it became one: the same shape, with `run_id` null.
#[derive(Debug, Serialize)]
pub(crate) struct FailedEarly<'a> {
    run_id: Option<()>,
    source: Option<&'a str>,
    status: &'static str,
    mode: Option<()>,
    note: Option<()>,
    #[serde(serialize_with = "by_kind")]
    counts: PerKind<Counts>,
    skipped: [(); 0],
    warnings: [(); 0],
    held_by: [(); 0],
    duration_ms: u64,
    error: EarlyError<'a>,
}

/// Why something failed, and what to do about it.
#[derive(Debug, Serialize)]
struct EarlyError<'a> {
    #[serde(flatten)]
    error: &'a RunError,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl<'a> FailedEarly<'a> {
    /// The document for `error`, on the source that the command named.
    pub(crate) fn new(source: Option<&'a str>, error: &'a RunError, hint: Option<&'a str>) -> Self {
        Self {
            run_id: None,
            source,
            status: "failed",
            mode: None,
            note: None,
            counts: PerKind::default(),
            skipped: [],
            warnings: [],
            held_by: [],
            duration_ms: 0,
            error: EarlyError { error, hint },
        }
    }
}

/// Several runs, newest first.
#[derive(Debug, Serialize)]
pub(crate) struct Runs<T> {
    /// The reports.
    pub(crate) runs: Vec<T>,
    /// Tenants of which there was no run, where a source stands for many.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<LeftOut>,
}

impl<T> Runs<T> {
    /// Runs, and no more.
    pub(crate) fn new(runs: Vec<T>) -> Self {
        Self { runs, left_out: Vec::new() }
    }
}

/// A tenant of which there was no run. What is stored of it stays as it is.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    /// The name of its source.
    pub(crate) source: String,
    /// A stable word for the reason.
    pub(crate) code: &'static str,
    /// The reason.
    pub(crate) message: String,
}

/// The tenants of a vendor.
#[derive(Debug, Serialize)]
pub(crate) struct Discovery<'a> {
    /// The source whose credentials were used.
    pub(crate) source: &'a str,
    /// What sort of source it is.
    pub(crate) kind: &'a str,
    /// What the vendor lists.
    pub(crate) tenants: Vec<Discovered>,
}

/// One tenant.
#[derive(Debug, Serialize)]
pub(crate) struct Discovered {
    /// The vendor's id of it.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Whether it can be synced.
    pub(crate) usable: bool,
    /// Why not, if so.
    pub(crate) reason: Option<String>,
    /// What else the vendor says of it.
    pub(crate) details: BTreeMap<String, String>,
    /// The `[[source]]` of it.
    pub(crate) config: String,
}

/// What a check of a source found out.
#[derive(Debug, Serialize)]
pub(crate) struct Check<'a> {
    /// The source.
    pub(crate) source: &'a str,
    /// What sort of source it is.
    pub(crate) kind: &'a str,
    /// Whether there are no problems.
    pub(crate) ok: bool,
    /// What was found, by name.
    #[serde(serialize_with = "as_map")]
    pub(crate) facts: Vec<(String, String)>,
    /// What will make a sync fail or fall short.
    pub(crate) problems: Vec<CheckProblem>,
}

/// One problem of a source.
#[derive(Debug, Serialize)]
pub(crate) struct CheckProblem {
    /// A stable word.
    pub(crate) code: String,
    /// The file or address, if it is about one.
    pub(crate) place: Option<String>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// What a check found: facts by name, and problems.
pub(crate) type Findings = (Vec<(String, String)>, Vec<CheckProblem>);

impl CheckProblem {
    /// What a failure says.
    pub(crate) fn of_failure(Explained { error, hint, exit: _ }: Explained) -> Vec<Self> {
        if !error.problems.is_empty() {
            return error.problems.into_iter().map(Into::into).collect();
        }
        let message = hint.map_or(error.message.clone(), |hint| format!("{}; {hint}", error.message));
        vec![Self { code: error.code, place: None, message }]
    }
}

impl From<Problem> for CheckProblem {
    fn from(problem: Problem) -> Self {
        Self { code: problem.code.to_string(), place: problem.place, message: problem.message }
    }
}

impl<'a> Check<'a> {
    /// The document of a check. Facts of one name become one.
    pub(crate) fn new(source: &'a str, kind: &'a str, found: Result<Findings, Explained>) -> Self {
        let (facts, problems) = match found {
            Ok(found) => found,
            Err(explained) => (Vec::new(), CheckProblem::of_failure(explained)),
        };
        let mut joined: Vec<(String, String)> = Vec::new();
        for (name, value) in facts {
            match joined.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => {
                    values.push_str("; ");
                    values.push_str(&value);
                }
                None => joined.push((name, value)),
            }
        }
        Self { source, kind, ok: problems.is_empty(), facts: joined, problems }
    }
}

fn as_map<S: Serializer>(facts: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(facts.iter().map(|(name, value)| (name, value)))
}

/// One reject: its code and field are those of its first finding.
#[derive(Debug, Serialize)]
pub(crate) struct Reject<'a> {
    kind: Kind,
    sourced_id: Option<&'a str>,
    code: &'static str,
    field: Option<&'a str>,
    location: &'a str,
    message: String,
    record: Option<&'a serde_json::Value>,
    findings: &'a [rollcall_domain::Finding],
}

impl<'a> Reject<'a> {
    /// The document of a stored reject.
    pub(crate) fn new(row: &'a RejectRow) -> Self {
        let first = row.findings.first();
        Self {
            kind: row.kind,
            sourced_id: row.sourced_id.as_ref().map(rollcall_domain::SourcedId::as_str),
            code: first.map_or("", |finding| finding.code.as_str()),
            field: first.and_then(|finding| finding.field.as_deref()),
            location: &row.location,
            message: joined_messages(row),
            record: row.record.as_ref(),
            findings: &row.findings,
        }
    }

    /// The reject as a row of a CSV file, in the order of [`Reject::COLUMNS`].
    pub(crate) fn into_cells(self) -> [String; 7] {
        [
            self.kind.to_string(),
            self.sourced_id.unwrap_or_default().to_owned(),
            self.code.to_owned(),
            self.field.unwrap_or_default().to_owned(),
            self.location.to_owned(),
            self.message,
            self.record.map(ToString::to_string).unwrap_or_default(),
        ]
    }

    /// The header of the CSV file.
    pub(crate) const COLUMNS: [&'static str; 7] =
        ["kind", "sourced_id", "code", "field", "location", "message", "record"];
}

/// All messages of a reject, in one text.
pub(crate) fn joined_messages(row: &RejectRow) -> String {
    let mut joined = String::new();
    for finding in &row.findings {
        if !joined.is_empty() {
            joined.push_str("; ");
        }
        joined.push_str(&finding.message);
    }
    joined
}

/// How many rejects say the same of the same field.
#[derive(Debug, Serialize)]
pub(crate) struct RejectSummary {
    /// The groups, by kind, code and field.
    pub(crate) summary: Vec<RejectGroup>,
}

/// Rejects of one kind, code and field.
#[derive(Debug, Serialize)]
pub(crate) struct RejectGroup {
    /// The kind of the records.
    pub(crate) kind: Kind,
    /// The rule.
    pub(crate) code: String,
    /// The field.
    pub(crate) field: Option<String>,
    /// How many.
    pub(crate) count: u64,
}

/// What a validation found.
#[derive(Debug, Serialize)]
pub(crate) struct Validation {
    /// Whether there is no error.
    pub(crate) valid: bool,
    /// Everything found.
    pub(crate) findings: Vec<PackageFinding>,
}

impl Validation {
    /// A package that cannot be validated at all.
    pub(crate) fn refused(error: &RunError, hint: Option<&str>) -> Self {
        let mut findings = PackageFinding::of_refusal(error);
        if let (Some(hint), [only]) = (hint, findings.as_mut_slice()) {
            only.message = format!("{}; {hint}", only.message);
        }
        Self { valid: false, findings }
    }
}

/// One finding of a validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PackageFinding {
    /// `error` or `warning`.
    pub(crate) severity: Severity,
    /// The rule.
    pub(crate) code: String,
    /// The file.
    pub(crate) file: Option<String>,
    /// The line; the header is line 1.
    pub(crate) line: Option<u64>,
    /// The field.
    pub(crate) field: Option<String>,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// The record or the package is refused.
    Error,
    /// It is accepted.
    Warning,
}

impl Severity {
    /// The word in the document.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl PackageFinding {
    /// The findings of a package that was refused as a whole.
    pub(crate) fn of_refusal(error: &RunError) -> Vec<Self> {
        if error.problems.is_empty() {
            return vec![Self {
                severity: Severity::Error,
                code: error.code.clone(),
                file: None,
                line: None,
                field: None,
                message: error.message.clone(),
            }];
        }
        let of_problem = |problem: &Problem| {
            let (file, line) = problem.place.as_deref().map_or((None, None), split_location);
            Self {
                severity: Severity::Error,
                code: problem.code.to_string(),
                file,
                line,
                field: None,
                message: problem.message.clone(),
            }
        };
        error.problems.iter().map(of_problem).collect()
    }
}

/// Splits `users.csv:12` into the file and the line.
pub(crate) fn split_location(location: &str) -> (Option<String>, Option<u64>) {
    match location.rsplit_once(':') {
        Some((file, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) && !line.is_empty() => {
            (Some(file.to_owned()), line.parse().ok())
        }
        _ if location.is_empty() => (None, None),
        _ => (Some(location.to_owned()), None),
    }
}

/// All sources.
#[derive(Debug, Serialize)]
pub(crate) struct Sources<'a> {
    /// The sources, by name.
    pub(crate) sources: Vec<Source<'a>>,
}

/// A source: stored, configured, or both.
#[derive(Debug, Serialize)]
pub(crate) struct Source<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// What sort of source it is.
    pub(crate) kind: &'a str,
    /// Whether the configuration names it.
    pub(crate) configured: bool,
    /// Whether demographics are stored for it.
    pub(crate) demographics: bool,
    /// How many live records it has.
    #[serde(serialize_with = "by_kind")]
    pub(crate) live: PerKind<u64>,
    /// Its last run.
    pub(crate) last_run: Option<&'a RunReport>,
}

/// What an export wrote.
#[derive(Debug, Serialize)]
pub(crate) struct Export<'a> {
    /// The source.
    pub(crate) source: &'a str,
    /// The folder.
    pub(crate) path: String,
    /// How many records of each kind.
    #[serde(serialize_with = "by_kind")]
    pub(crate) records: PerKind<u64>,
}

/// What `generate` wrote.
#[derive(Debug, Serialize)]
pub(crate) struct Generated {
    /// The folder.
    pub(crate) path: String,
    /// The version of OneRoster.
    pub(crate) version: &'static str,
    /// How many records of each kind.
    #[serde(serialize_with = "by_kind")]
    pub(crate) records: PerKind<u64>,
}

/// The state of a database.
#[derive(Debug, Serialize)]
pub(crate) struct Migrations {
    /// The address, without a password.
    pub(crate) database: String,
    /// Migrations that have been run, oldest first.
    pub(crate) applied: Vec<String>,
    /// Migrations that have not.
    pub(crate) pending: Vec<String>,
}

fn by_kind<T: Serialize, S: Serializer>(table: &PerKind<T>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(table.iter())
}

/// Counts by kind, code and field.
pub(crate) type RejectTally = BTreeMap<(Kind, String, Option<String>), u64>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_from_before_a_run_has_the_shape_of_a_report() {
        let error = RunError { code: "store.unavailable".to_owned(), message: "no".to_owned(), problems: Vec::new() };
        let early = serde_json::to_value(FailedEarly::new(Some("a"), &error, None)).unwrap();
        let report = RunReport::begun(rollcall_domain::RunId(uuid::Uuid::nil()), "a");
        let report = serde_json::to_value(report).unwrap();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&early), keys(&report));
        assert_eq!(early["counts"], report["counts"]);
        assert_eq!(early["run_id"], serde_json::Value::Null);
        assert_eq!(early["skipped"], serde_json::json!([]));
    }

    #[test]
    fn a_location_comes_apart_into_file_and_line() {
        assert_eq!(split_location("users.csv:12"), (Some("users.csv".to_owned()), Some(12)));
        assert_eq!(split_location("users.csv"), (Some("users.csv".to_owned()), None));
        assert_eq!(split_location("C:/x.csv"), (Some("C:/x.csv".to_owned()), None));
    }
}

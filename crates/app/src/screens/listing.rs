//! Listings, for people.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use rollcall_domain::ports::{RejectRow, RunRow};
use rollcall_domain::{Counts, Kind, PerKind};

use super::{counted, lines_of, plain_table};
use crate::documents::{Check, Discovery, Migrations, PackageFinding, RejectSummary, Severity, Source};

/// Runs, newest first. Times are the machine's.
pub(crate) fn runs(rows: &[RunRow], zone: &TimeZone) -> String {
    if rows.is_empty() {
        return "no runs yet\n".to_owned();
    }
    let mut table = plain_table(&["run", "source", "started", "status", "changes", "rejected"], 4);
    for row in rows {
        let sum = |count: fn(&Counts) -> u64| row.report.counts.iter().map(|(_, counts)| count(counts)).sum::<u64>();
        table.add_row([
            row.id.to_string(),
            row.source.clone(),
            row.started.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            row.report.status.as_str().to_owned(),
            sum(|counts| counts.created + counts.updated + counts.deleted + counts.restored).to_string(),
            sum(|counts| counts.rejected).to_string(),
        ]);
    }
    lines_of(&table)
}

/// Sources by name.
pub(crate) fn sources(sources: &[Source<'_>]) -> String {
    if sources.is_empty() {
        return "no sources yet\nhint: `rollcall import PATH --source NAME` makes one\n".to_owned();
    }
    let mut table = plain_table(&["source", "kind", "last run", "orgs", "classes", "users", "enrollments"], 3);
    for source in sources {
        table.add_row([
            source.name.to_owned(),
            source.kind.to_owned(),
            source.last_run.map_or("never", |run| run.status.as_str()).to_owned(),
            source.live[Kind::Orgs].to_string(),
            source.live[Kind::Classes].to_string(),
            source.live[Kind::Users].to_string(),
            source.live[Kind::Enrollments].to_string(),
        ]);
    }
    lines_of(&table)
}

/// What a check of a source found out.
pub(crate) fn check(check: &Check<'_>) -> String {
    let mut text = format!("`{}`: {}\n", check.source, check.kind);
    let width = check.facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &check.facts {
        let _ = writeln!(text, "  {name:width$}  {value}");
    }
    for problem in &check.problems {
        let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let _ = writeln!(text, "problem: {place}{} ({})", problem.message, problem.code);
    }
    let _ = match check.problems.len() as u64 {
        0 => writeln!(text, "ready to be synced"),
        problems => writeln!(text, "not ready: {}", counted(problems, "problem")),
    };
    text
}

/// The tenants of a vendor: a table, and a piece of configuration for each.
pub(crate) fn discovery(discovery: &Discovery<'_>) -> String {
    let tenants = &discovery.tenants;
    if tenants.is_empty() {
        return "# nothing is connected to these credentials\n".to_owned();
    }
    let mut table = plain_table(&["id", "name", "can be synced"], 3);
    for tenant in tenants {
        table.add_row([
            line_of(&tenant.id),
            line_of(&tenant.name),
            if tenant.usable { "yes" } else { "no" }.to_owned(),
        ]);
    }
    // All of it is a configuration: what is for people is a comment.
    let mut text = String::new();
    for line in lines_of(&table).lines() {
        let _ = writeln!(text, "# {line}");
    }
    for tenant in tenants {
        let _ = writeln!(text, "\n# {}", line_of(&tenant.name));
        let width = tenant.details.keys().map(|name| name.chars().count()).max().unwrap_or(0);
        for (name, value) in &tenant.details {
            let _ = writeln!(text, "#   {:width$}  {}", line_of(name), line_of(value));
        }
        if let Some(reason) = &tenant.reason {
            let _ = writeln!(text, "# cannot be synced: {}", line_of(reason));
        }
        // What cannot be synced yet is ready to be pasted all the same, and switched off.
        for line in tenant.config.lines() {
            let _ = writeln!(text, "{}{line}", if tenant.usable { "" } else { "# " });
        }
    }
    text
}

/// A vendor's words on one line: they stand in comments of a configuration.
fn line_of(words: &str) -> String {
    words.replace(char::is_control, " ")
}

/// Rejects by kind, code and field.
pub(crate) fn reject_summary(summary: &RejectSummary) -> String {
    if summary.summary.is_empty() {
        return "no rejects\n".to_owned();
    }
    let mut table = plain_table(&["kind", "code", "field", "records"], 3);
    for group in &summary.summary {
        table.add_row([
            group.kind.to_string(),
            group.code.clone(),
            group.field.clone().unwrap_or_default(),
            group.count.to_string(),
        ]);
    }
    lines_of(&table)
}

/// One finding of a validation, as a line.
pub(crate) fn finding(finding: &PackageFinding) -> String {
    let mut text = String::new();
    let _ = write!(text, "{}: ", finding.severity.as_str());
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => {
            let _ = write!(text, "{file}:{line}: ");
        }
        (Some(file), None) => {
            let _ = write!(text, "{file}: ");
        }
        (None, _) => {}
    }
    if let Some(field) = &finding.field {
        let _ = write!(text, "{field}: ");
    }
    let _ = writeln!(text, "{} ({})", finding.message, finding.code);
    text
}

/// The last line of a validation.
pub(crate) fn verdict(valid: bool, errors: u64, warnings: u64) -> String {
    let found = match (errors, warnings) {
        (0, 0) => "nothing found".to_owned(),
        (_, 0) => counted(errors, Severity::Error.as_str()),
        (0, _) => counted(warnings, Severity::Warning.as_str()),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    };
    format!("{}: {found}\n", if valid { "valid" } else { "not valid" })
}

/// How many records were written.
pub(crate) fn written(what: &str, path: &str, records: &PerKind<u64>) -> String {
    let mut text = format!("{what} to `{path}`\n\n");
    let mut table = plain_table(&["kind", "records"], 1);
    for (kind, count) in records.iter() {
        table.add_row([kind.to_string(), count.to_string()]);
    }
    text.push_str(&lines_of(&table));
    text
}

/// The state of a database.
pub(crate) fn database(state: &Migrations) -> String {
    let mut text = format!("{}\n", state.database);
    for name in &state.applied {
        let _ = writeln!(text, "  applied  {name}");
    }
    for name in &state.pending {
        let _ = writeln!(text, "  pending  {name}");
    }
    if state.pending.is_empty() {
        text.push_str("up to date\n");
    } else {
        text.push_str("hint: `rollcall db migrate` runs what is pending; so does any command that writes\n");
    }
    text
}

/// One reject, as a line.
pub(crate) fn reject(row: &RejectRow, messages: &str) -> String {
    let id = row.sourced_id.as_ref().map(|id| format!(" `{id}`")).unwrap_or_default();
    let code = row.findings.first().map_or("", |finding| finding.code.as_str());
    format!("{}: {}{id}: {messages} ({code})\n", row.location, row.kind.singular())
}

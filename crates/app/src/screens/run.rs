//! A run, for people.

use std::fmt::Write as _;

use rollcall_domain::ports::{RunMode, RunStatus};
use rollcall_domain::report::{RunError, RunReport, WarningGroup};
use rollcall_domain::{Counts, Kind};

use super::{counted, duration, lines_of, plain_table};
use crate::failure::hint_for;

/// The name of a count, how to read it, and whether its column is shown even when it is all zero.
type Column = (&'static str, fn(&Counts) -> u64, bool);

const COLUMNS: [Column; 10] = [
    ("received", |counts| counts.received, true),
    ("created", |counts| counts.created, true),
    ("updated", |counts| counts.updated, true),
    ("unchanged", |counts| counts.unchanged, true),
    ("deleted", |counts| counts.deleted, true),
    ("restored", |counts| counts.restored, false),
    ("retained", |counts| counts.retained, false),
    ("rejected", |counts| counts.rejected, true),
    ("stale", |counts| counts.stale, false),
    ("warnings", |counts| counts.warnings, false),
];

/// Everything about a run that came to an end by itself.
pub(crate) fn report(report: &RunReport) -> String {
    let mut text = String::new();
    let status = match report.status {
        RunStatus::Succeeded => "succeeded",
        RunStatus::Planned if !report.held_by.is_empty() => "planned; it would be held",
        RunStatus::Planned => "planned; nothing is applied in a dry run",
        RunStatus::Held => "held; nothing is applied",
        RunStatus::Failed => "failed; nothing is applied",
        other => other.as_str(),
    };
    let _ = writeln!(text, "`{}`: {status}", report.source);
    let _ = writeln!(text, "run {} ({}, {})", report.run_id, mode(report.mode), duration(report.duration_ms));
    if let Some(note) = &report.note {
        let _ = writeln!(text, "note: {note}");
    }
    if let Some(error) = &report.error {
        text.push('\n');
        text.push_str(&failure(error, None));
        return text;
    }
    text.push('\n');
    text.push_str(&counts(report));
    if !report.skipped.is_empty() {
        let _ = writeln!(text, "\nnot read: {}", report.skipped.join(", "));
    }
    warnings(&mut text, &report.warnings);
    if !report.held_by.is_empty() {
        let would = if report.status == RunStatus::Planned { "it would be " } else { "" };
        let _ = writeln!(text, "\n{would}held because");
        for hold in &report.held_by {
            let _ = writeln!(text, "  {}: {}", hold.code, hold.message);
        }
        text.push_str("hint: look at the numbers; `--allow-mass-change` applies the roster all the same, once\n");
    }
    if report.rejected() > 0 {
        let rejected = counted(report.rejected(), "record");
        let verb = if report.rejected() == 1 { "was" } else { "were" };
        let _ = writeln!(text, "\n{rejected} {verb} refused");
        let _ = writeln!(text, "hint: `rollcall runs rejects {}` lists them with file and line", report.run_id);
    }
    text
}

/// Why something failed: the message, every problem, and what to do.
pub(crate) fn failure(error: &RunError, hint: Option<&str>) -> String {
    let mut text = format!("error: {}\n", error.message);
    // A lone problem is often the message already.
    let told = |message: &str| error.problems.len() == 1 && error.message.contains(message);
    for problem in error.problems.iter().filter(|problem| !told(&problem.message)) {
        let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
        let _ = writeln!(text, "  - {place}{} ({})", problem.message, problem.code);
    }
    if let Some(hint) = hint.or_else(|| hint_for(&error.code)) {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

fn mode(mode: RunMode) -> &'static str {
    match mode {
        RunMode::Full => "full",
        RunMode::Incremental => "incremental",
        RunMode::Mixed => "mixed",
    }
}

fn counts(report: &RunReport) -> String {
    let shown: Vec<_> = COLUMNS
        .into_iter()
        .filter(|(_, count, always)| *always || report.counts.iter().any(|(_, counts)| count(counts) > 0))
        .collect();
    let mut header = vec!["kind"];
    header.extend(shown.iter().map(|(name, ..)| *name));
    let mut table = plain_table(&header, 1);
    for kind in Kind::ALL {
        let counts = &report.counts[kind];
        let mut row = vec![kind.to_string()];
        row.extend(shown.iter().map(|(_, count, _)| count(counts).to_string()));
        table.add_row(row);
    }
    lines_of(&table)
}

fn warnings(text: &mut String, groups: &[WarningGroup]) {
    if groups.is_empty() {
        return;
    }
    text.push_str("\nwarnings\n");
    for group in groups {
        let field = group.field.as_ref().map(|field| format!(" {field}")).unwrap_or_default();
        let times = if group.count > 1 { format!(", {} times", group.count) } else { String::new() };
        let _ = writeln!(text, "  {}: {}{field}{times}", group.code, group.file);
        let _ = writeln!(text, "    {}", group.message);
        let mut examples: Vec<(String, u64)> = Vec::new();
        for example in &group.first {
            let place = match (example.line, &example.sourced_id) {
                (Some(line), Some(id)) => format!("line {line} (`{id}`)"),
                (Some(line), None) => format!("line {line}"),
                (None, Some(id)) => format!("`{id}`"),
                (None, None) => continue,
            };
            // One row can have two links of one field that lead nowhere.
            match examples.last_mut() {
                Some((last, times)) if *last == place => *times += 1,
                _ => examples.push((place, 1)),
            }
        }
        let examples: Vec<_> = examples
            .into_iter()
            .map(|(place, times)| if times == 1 { place } else { format!("{place} {times} times") })
            .collect();
        if !examples.is_empty() {
            let more = group.count.saturating_sub(group.first.len() as u64);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(text, "    at {}{more}", examples.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_domain::ports::{Hold, Problem};
    use rollcall_domain::report::WarningExample;
    use rollcall_domain::{Code, RunId};

    use super::*;

    fn sample(status: RunStatus) -> RunReport {
        let mut report = RunReport::begun(RunId(uuid::Uuid::nil()), "springfield");
        report.status = status;
        report.duration_ms = 1_234;
        report.counts[Kind::Users] =
            Counts { received: 120, created: 100, updated: 17, rejected: 3, ..Counts::default() };
        report.counts[Kind::Classes] = Counts { received: 12, created: 12, warnings: 12, ..Counts::default() };
        report
    }

    #[test]
    fn a_run_that_was_applied() {
        let mut report = sample(RunStatus::Succeeded);
        report.note = Some("no manifest".to_owned());
        report.skipped = vec!["userProfiles.csv".to_owned()];
        report.warnings = vec![WarningGroup {
            code: Code::RefDropped,
            kind: Some(Kind::Classes),
            file: "classes.csv".to_owned(),
            field: Some("termSourcedIds".to_owned()),
            count: 12,
            message: "there is no academic session with this id; the class is kept without it".to_owned(),
            first: (2..12)
                .map(|line| WarningExample { sourced_id: Some(format!("c-{line}")), line: Some(line) })
                .collect(),
        }];
        insta::assert_snapshot!(super::report(&report));
    }

    #[test]
    fn a_run_that_is_held() {
        let mut report = sample(RunStatus::Held);
        report.held_by = vec![Hold {
            code: Code::GuardDelete,
            message: "the run would delete 50 of 100 enrollments; more than 10 % needs approval".to_owned(),
        }];
        insta::assert_snapshot!(super::report(&report));
    }

    #[test]
    fn a_run_that_failed() {
        let mut report = sample(RunStatus::Failed);
        report.error = Some(RunError {
            code: "package.invalid".to_owned(),
            message: "the package is refused; nothing was applied".to_owned(),
            problems: vec![
                Problem {
                    code: Code::ColumnMissing,
                    place: Some("users.csv".to_owned()),
                    message: "there is no column `role`".to_owned(),
                },
                Problem { code: Code::FileMissing, place: None, message: "`classes.csv` is missing".to_owned() },
            ],
        });
        insta::assert_snapshot!(super::report(&report));
    }
}

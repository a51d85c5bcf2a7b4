//! `rollcall validate`
//!
//! A validation is a dry run into a store that keeps nothing but the rejects: what it finds is what an import into an
//! empty store would find.

use std::sync::Arc;

use anyhow::Result;
use futures::StreamExt as _;
use rollcall_adapters_oneroster::CsvSource;
use rollcall_domain::ports::{RejectRow, RunMode};
use rollcall_domain::report::{RunReport, WarningGroup};
use rollcall_domain::sync::Sync;
use rollcall_domain::{Code, RunId};
use uuid::Uuid;

use super::Context;
use crate::cli::Validate;
use crate::clock::SystemClock;
use crate::documents::{PackageFinding, Severity, split_location};
use crate::failure::Exit;
use crate::output::Output;
use crate::progress::Meter;
use crate::screens::listing;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &Validate) -> Result<Exit> {
    wiring::check_path(&arguments.path)?;
    let (csv, options) = wiring::validation(&arguments.path, arguments.reading);
    let source = CsvSource::new(csv, Arc::new(SystemClock));
    let (store, _folder) = wiring::passing_store().await?;
    let run = RunId(Uuid::now_v7());
    let report = {
        let meter = Meter::start("validate");
        let sync = Sync { store: &*store, clock: &SystemClock, progress: &meter };
        sync.run(run, "validate", &source, &options).await?.report
    };

    let judge = Judge { strict: arguments.strict, is_partial: report.mode != RunMode::Full };
    let fixed = judge.package(&report);
    // The verdict stands at the head of the document, so that the rejects are counted before they are printed.
    let mut errors = fixed.iter().filter(|finding| finding.severity == Severity::Error).count() as u64;
    let mut warnings = fixed.len() as u64 - errors;
    let mut pages = store.run_rejects(run);
    while let Some(page) = pages.next().await {
        for finding in page?.iter().flat_map(|row| judge.reject(row)) {
            match finding.severity {
                Severity::Error => errors += 1,
                Severity::Warning => warnings += 1,
            }
        }
    }
    let valid = errors == 0;

    let mut printer = Printer { output: &mut context.output, is_first: true };
    printer.begin(valid)?;
    for finding in &fixed {
        printer.finding(finding)?;
    }
    let mut pages = store.run_rejects(run);
    while let Some(page) = pages.next().await {
        for finding in page?.iter().flat_map(|row| judge.reject(row)) {
            printer.finding(&finding)?;
        }
    }
    printer.end(valid, errors, warnings)?;
    Ok(if valid { Exit::Done } else { Exit::Failed })
}

/// Decides how bad a finding is.
#[derive(Debug, Clone, Copy)]
struct Judge {
    /// Every warning is an error.
    strict: bool,
    /// The package holds only changes: what it refers to may be stored already.
    is_partial: bool,
}

impl Judge {
    fn warning(self) -> Severity {
        if self.strict { Severity::Error } else { Severity::Warning }
    }

    /// What concerns the package and its files: why it is refused, why it would be held, and its warnings.
    fn package(self, report: &RunReport) -> Vec<PackageFinding> {
        let mut findings: Vec<_> = report.error.iter().flat_map(PackageFinding::of_refusal).collect();
        // Guards compare with what is stored, and here nothing is.
        let holds = report.held_by.iter().filter(|hold| !hold.code.as_str().starts_with("guard."));
        findings.extend(holds.map(|hold| PackageFinding {
            severity: self.warning(),
            code: hold.code.to_string(),
            file: None,
            line: None,
            field: None,
            message: hold.message.clone(),
        }));
        for group in &report.warnings {
            self.group(group, &mut findings);
        }
        findings
    }

    fn group(self, group: &WarningGroup, findings: &mut Vec<PackageFinding>) {
        if self.is_partial && group.code == Code::RefDropped {
            return;
        }
        let at = |line| PackageFinding {
            severity: self.warning(),
            code: group.code.to_string(),
            file: Some(group.file.clone()),
            line,
            field: group.field.clone(),
            message: group.message.clone(),
        };
        if group.first.is_empty() {
            findings.push(at(None));
        }
        findings.extend(group.first.iter().map(|example| at(example.line)));
        let more = group.count.saturating_sub(group.first.len().max(1) as u64);
        if more > 0 {
            findings.push(PackageFinding { message: format!("{} ({more} more like this)", group.message), ..at(None) });
        }
    }

    /// What is wrong with a refused record.
    fn reject(self, row: &RejectRow) -> impl Iterator<Item = PackageFinding> + '_ {
        let (file, line) = split_location(&row.location);
        row.findings.iter().map(move |finding| PackageFinding {
            severity: if self.is_partial && finding.code == Code::RefMissing {
                self.warning()
            } else {
                Severity::Error
            },
            code: finding.code.to_string(),
            file: file.clone(),
            line,
            field: finding.field.as_ref().map(ToString::to_string),
            message: finding.message.clone(),
        })
    }
}

/// Prints findings as they come.
struct Printer<'a> {
    output: &'a mut Output,
    is_first: bool,
}

impl Printer<'_> {
    fn begin(&mut self, valid: bool) -> Result<()> {
        if self.output.is_json() {
            self.output.text(&format!("{{\"valid\":{valid},\"findings\":["))?;
        }
        Ok(())
    }

    fn finding(&mut self, finding: &PackageFinding) -> Result<()> {
        if self.output.is_json() {
            self.output.text(if self.is_first { "\n" } else { ",\n" })?;
            serde_json::to_writer(&mut *self.output, finding)?;
        } else {
            self.output.text(&listing::finding(finding))?;
        }
        self.is_first = false;
        Ok(())
    }

    fn end(&mut self, valid: bool, errors: u64, warnings: u64) -> Result<()> {
        if self.output.is_json() {
            self.output.text(if self.is_first { "]}\n" } else { "\n]}\n" })?;
        } else {
            self.output.text(&listing::verdict(valid, errors, warnings))?;
        }
        Ok(())
    }
}

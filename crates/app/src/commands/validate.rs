//! `rollcall validate`
//!
//! A validation is a dry run over a store that keeps nothing: what it finds is what an import into an empty store would
//! find.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, mem};

use anyhow::{Context as _, Result};
use rollcall_adapters_oneroster::NO_NEW_PACKAGE;
use rollcall_domain::ports::RunMode;
use rollcall_domain::report::{RunReport, WarningGroup};
use rollcall_domain::sync::Sync;
use rollcall_domain::{Code, Reject, RunId};
use rollcall_persistence::DiscardingStore;
use uuid::Uuid;

use super::Context;
use crate::cli::Validate;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::documents::{PackageFinding, Severity};
use crate::failure::Exit;
use crate::output::Output;
use crate::progress::Meter;
use crate::screens::listing;
use crate::wiring;

pub(super) async fn run(context: &mut Context, arguments: &Validate) -> Result<Exit> {
    let config = if arguments.source.is_some() { context.config()? } else { Config::default() };
    let configured = arguments.source.as_deref().map(|name| config.known_source(name)).transpose()?;
    let (source, options) = wiring::validation(configured.as_deref(), arguments).await?;
    let spool = Arc::new(Mutex::new(Spool::new()?));
    let store = {
        let spool = Arc::clone(&spool);
        DiscardingStore::new(move |reject| spool.lock().unwrap_or_else(PoisonError::into_inner).add(reject))
    };
    let report = {
        let meter = Meter::start("validate");
        let sync = Sync { store: &store, clock: &SystemClock, progress: &meter };
        sync.run(RunId(Uuid::now_v7()), "validate", &source, &options).await?.report
    };

    let judge = Judge { strict: arguments.strict, is_partial: report.mode != RunMode::Full };
    let of_package = judge.package(&report);
    let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
    // The verdict stands at the head of the document, so that the findings are counted before they are printed.
    let (mut errors, mut warnings) = (0, 0);
    let mut count = |finding: PackageFinding| {
        match finding.severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
        }
        Ok(())
    };
    of_package.iter().cloned().try_for_each(&mut count)?;
    spool.read(|finding| count(judge.of_reject(finding)))?;

    let valid = errors == 0;
    let mut printer = Printer { output: &mut context.output, is_first: true };
    printer.begin(valid, report.note.as_deref())?;
    of_package.iter().try_for_each(|finding| printer.finding(finding))?;
    spool.read(|finding| printer.finding(&judge.of_reject(finding)))?;
    printer.end(valid, errors, warnings)?;
    Ok(if valid { Exit::Done } else { Exit::Failed })
}

/// The findings of rejects, put aside in a file without a name: there may be a million of them.
#[derive(Debug)]
struct Spool {
    file: BufWriter<File>,
    /// The first thing that went wrong; the sync cannot be told.
    broken: Option<io::Error>,
}

impl Spool {
    fn new() -> Result<Self> {
        let file = tempfile::tempfile().context("cannot make a temporary file")?;
        Ok(Self { file: BufWriter::new(file), broken: None })
    }

    fn add(&mut self, reject: &Reject) {
        if self.broken.is_some() {
            return;
        }
        let mut write = || -> io::Result<()> {
            for finding in &reject.findings {
                let finding = PackageFinding {
                    severity: Severity::Error,
                    code: finding.code.to_string(),
                    file: Some(reject.location.place.to_string()),
                    line: reject.location.position,
                    field: finding.field.as_ref().map(ToString::to_string),
                    message: finding.message.clone(),
                };
                serde_json::to_writer(&mut self.file, &finding)?;
                self.file.write_all(b"\n")?;
            }
            Ok(())
        };
        self.broken = write().err();
    }

    /// Hands out what was put aside, in order.
    fn read(&mut self, mut take: impl FnMut(PackageFinding) -> Result<()>) -> Result<()> {
        if let Some(error) = mem::take(&mut self.broken) {
            return Err(anyhow::Error::new(error).context("cannot write a temporary file"));
        }
        self.file.flush()?;
        self.file.get_mut().rewind()?;
        for line in BufReader::new(self.file.get_ref()).lines() {
            take(serde_json::from_str(&line?)?)?;
        }
        Ok(())
    }
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
        let note = report.note.as_deref().unwrap_or_default();
        if note.starts_with(NO_NEW_PACKAGE) {
            findings.push(PackageFinding {
                severity: Severity::Error,
                code: Code::PackageInvalid.to_string(),
                file: None,
                line: None,
                field: None,
                message: format!("there is no package to look at: {note}"),
            });
        }
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
        // One row can have two links of one field that lead nowhere.
        let mut examples: Vec<_> = group.first.iter().map(|example| at(example.line)).collect();
        examples.dedup();
        findings.append(&mut examples);
        let more = group.count.saturating_sub(group.first.len().max(1) as u64);
        if more > 0 {
            findings.push(PackageFinding { message: format!("{} ({more} more like this)", group.message), ..at(None) });
        }
    }

    /// What is wrong with a refused record. A record that changes alone may refer to what is stored already.
    fn of_reject(self, finding: PackageFinding) -> PackageFinding {
        if self.is_partial && finding.code == Code::RefMissing.as_str() {
            return PackageFinding { severity: self.warning(), ..finding };
        }
        finding
    }
}

/// Prints findings as they come.
struct Printer<'a> {
    output: &'a mut Output,
    is_first: bool,
}

impl Printer<'_> {
    fn begin(&mut self, valid: bool, note: Option<&str>) -> Result<()> {
        if self.output.is_json() {
            self.output.text(&format!("{{\"valid\":{valid},\"findings\":["))?;
        } else if let Some(note) = note {
            // Which of several packages was looked at, and which were not.
            self.output.text(&format!("note: {note}\n"))?;
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

//! The rows of one file: what cannot be a row is refused here, what can goes on to be mapped.

use std::sync::Arc;

use rollcall_domain::ports::Item;
use rollcall_domain::{Code, Finding, Location, Reject, SourcedId, Warning};

use super::header::Row;
use super::output::Output;
use super::package::Package;
use super::records::{Records, Step};
use super::survey::SurveyedFile;
use super::table::{Column, Table};
use super::text;
use crate::config::TextEncoding;
use crate::error::CsvError;

/// How many lines share one copy of the name of their file.
const SHARING: u64 = 1_000;

/// What became of the rows of a file.
#[derive(Debug, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Rows whose structure or text made no sense.
    pub(crate) unreadable: u64,
    /// The ids of those among them that still show theirs.
    pub(crate) ids: Vec<SourcedId>,
}

/// Reads every row of a file and hands the readable ones to `each`.
pub(crate) fn read(
    package: &mut Package,
    file: &SurveyedFile,
    encoding: TextEncoding,
    output: &mut Output,
    mut each: impl FnMut(&mut Output, Row<'_>, Location) -> Result<(), CsvError>,
) -> Result<Tally, CsvError> {
    let mut place = Arc::clone(&file.entry.place);
    let damaged = |cause| CsvError::Damaged { place: file.entry.place.to_string(), cause };
    let header = &file.header;
    let text = text::decode(package.read(&file.entry)?, encoding).map_err(damaged)?;
    let mut records = Records::new(text.bytes);
    let mut tally = Tally::default();
    records.step(None).map_err(damaged)?;
    loop {
        let step = records.step(Some(header.width())).map_err(damaged)?;
        if step == Step::End {
            return Ok(tally);
        }
        // What is read here is dropped on another thread, and two that count the same name's holders wait for each other.
        if records.line() % SHARING == 0 {
            place = Arc::from(&*place);
        }
        let location = Location::line(&place, records.line());
        match readable(&records, step, file) {
            Ok(text) => {
                note_oddities(&records, file, &location, output)?;
                each(output, Row { header, text, cells: records.cells() }, location)?;
            }
            Err(finding) => {
                let sourced_id = own_id(&records, file, finding.code);
                tally.unreadable += 1;
                tally.ids.extend(sourced_id.clone());
                output.reject(Reject {
                    kind: file.table.kind(),
                    sourced_id,
                    is_part: file.table == Table::Roles,
                    location,
                    findings: vec![finding],
                    // The cells cannot be told apart, so a password could hide in any of them.
                    record: None,
                })?;
            }
        }
    }
}

/// The text of a record, or why it is none.
fn readable<'r, R: std::io::BufRead>(
    records: &'r Records<R>,
    step: Step,
    file: &SurveyedFile,
) -> Result<&'r str, Finding> {
    let header = &file.header;
    if step == Step::BadQuotes {
        return Err(Finding::whole(
            Code::CsvMalformed,
            "a quote is opened in this row and never closed; double the quotes inside cells and export again",
        ));
    }
    let count = records.cells().len();
    let is_blank = |index: usize| records.cell(index).trim_ascii().is_empty();
    let surplus = count.saturating_sub(header.width());
    // A comma without quotes shifts every cell behind it, and blank cells at the end can hide that. Where it could make
    // a password pass for another value the row is not believed (R11).
    let may_show_a_secret =
        || header.secrets().iter().any(|&secret| (secret + 1..=secret + surplus).any(|index| !is_blank(index)));
    if count < header.named_width() || !(header.named_width()..count).all(is_blank) || may_show_a_secret() {
        return Err(Finding::whole(
            Code::CsvMalformed,
            format!(
                "the row has {count} cells and the header {}; a comma inside a cell needs quotes around the cell",
                header.named_width()
            ),
        ));
    }
    let bytes = records.bytes();
    match std::str::from_utf8(bytes) {
        // No database takes a NUL inside a text.
        Ok(text) if !bytes.contains(&0) => Ok(text),
        _ => Err(Finding::whole(
            Code::EncodingInvalid,
            "the row is not valid UTF-8 text; export the file as UTF-8, or set `encoding = \"windows-1252\"` for the source",
        )),
    }
}

/// The id of a row that cannot be read otherwise, if it can be trusted. A row without one withholds deletions (R5).
fn own_id<R: std::io::BufRead>(records: &Records<R>, file: &SurveyedFile, code: Code) -> Option<SourcedId> {
    // A row of roles.csv is part of a user, and its own id says nothing of which.
    if file.table == Table::Roles {
        return None;
    }
    let cells_are_sound = code == Code::EncodingInvalid;
    // Where a row is broken only the cells before the break stand where they should; and where the file breaks off,
    // rows behind it are missing as well.
    if !cells_are_sound && (!file.header.is_first(Column::SourcedId) || records.is_cut_off()) {
        return None;
    }
    let cell = std::str::from_utf8(records.cell(file.header.cell_of(Column::SourcedId)?)).ok()?.trim();
    // A quote that never closes draws the cells behind it, names and all, into this one.
    let is_one_cell = cell.len() <= 255 && !cell.contains([',', '"', ';', '\t', '\n']);
    // An id that is itself damaged names nobody.
    let is_sound = !cell.contains('\0') && (cells_are_sound || is_one_cell);
    SourcedId::new(cell).ok().filter(|_| is_sound)
}

fn note_oddities<R: std::io::BufRead>(
    records: &Records<R>,
    file: &SurveyedFile,
    location: &Location,
    output: &mut Output,
) -> Result<(), CsvError> {
    let oddities = records.oddities();
    let has_surplus = records.cells().len() > file.header.width();
    let mut warn = |code, message: &str| {
        output.push(Item::Warning(Warning {
            kind: Some(file.table.kind()),
            sourced_id: None,
            location: location.clone(),
            finding: Finding::whole(code, message),
        }))
    };
    if has_surplus {
        warn(Code::CsvMalformed, "the row has more cells than the header; the surplus ones are blank")?;
    }
    if oddities.stray_quote {
        warn(Code::FieldLenient, "a quote inside a quoted cell is not doubled; it was taken as it stands")?;
    }
    if oddities.line_break {
        warn(Code::FieldLenient, "a cell holds a line break, which OneRoster does not allow; it was kept")?;
    }
    Ok(())
}

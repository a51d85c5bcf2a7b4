//! The values of one record as typed values, with a note on everything that was not as it should be.

use jiff::civil::Date;
use rollcall_domain::entities::{ExternalId, Metadata};
use rollcall_domain::vocabulary::Recognised;
use rollcall_domain::{Code, Finding, SourcedId, Text};

use super::value::{self, BadDate, Written};
use crate::config::{EndDates, SlashDates};
use crate::csv::table::{Column, Version};

/// How a day is written.
const DATE: &str = "a date as YYYY-MM-DD";

/// What is wrong with a date that is none in the order that the source declares.
const OTHER_ORDER: &str =
    "its day and month come in the other order than `slash_dates` says; correct the setting or the date";

/// One record as a binding wrote it: a row of a file, or an object of a response.
///
/// Every binding is read through this, so that the same roster gives the same records whichever way it comes.
pub(crate) trait Cells<'a>: Copy {
    /// The value as it stands; empty if it is blank or not there.
    fn untrimmed(self, column: Column) -> &'a str;

    /// The value without the spaces around it; empty if it is blank or not there.
    fn get(self, column: Column) -> &'a str {
        value::trimmed(self.untrimmed(column))
    }

    /// Whether a blank value is worth a word: the record has a place for it, or ought to have one.
    fn has(self, column: Column) -> bool;

    /// Calls `visit` for each item of a list, without the spaces around it. Blank items are left out. Returns whether the
    /// list was written as the standard asks.
    fn each_item(self, column: Column, visit: impl FnMut(&'a str)) -> bool;

    /// Adds the ids of `userIds`, and returns whether all were written as the standard asks.
    fn user_ids(self, column: Column, ids: &mut Vec<ExternalId>) -> bool;

    /// The extension fields that are not blank.
    fn metadata(self) -> Metadata;

    /// How the binding spells the column.
    fn name(column: Column) -> &'static str;
}

/// What decides how a value is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) version: Version,
    pub(crate) slash_dates: Option<SlashDates>,
    pub(crate) end_dates: EndDates,
}

/// What was found in one row. Emptied before each.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// What was accepted and should be known.
    pub(crate) warnings: Vec<Finding>,
    /// What refuses the record.
    pub(crate) errors: Vec<Finding>,
}

impl Notes {
    pub(crate) fn clear(&mut self) {
        self.warnings.clear();
        self.errors.clear();
    }
}

/// The values of one record.
///
/// Messages never quote a value: a row with shifted columns has a name where a role should be.
pub(crate) struct Fields<'a, C> {
    pub(crate) row: C,
    pub(crate) rules: Rules,
    pub(crate) notes: &'a mut Notes,
}

impl<'a, C: Cells<'a>> Fields<'a, C> {
    /// The value without the spaces around it; empty if it is blank or not there.
    pub(crate) fn raw(&self, column: Column) -> &'a str {
        self.row.get(column)
    }

    /// Notes something that was accepted and should be known.
    pub(crate) fn warn(&mut self, code: Code, column: Column, message: impl Into<String>) {
        self.notes.warnings.push(Finding::on(code, C::name(column), message));
    }

    /// Notes something that refuses the record.
    pub(crate) fn refuse(&mut self, code: Code, column: Column, message: impl Into<String>) {
        self.notes.errors.push(Finding::on(code, C::name(column), message));
    }

    /// The record's own id. Without one the record is refused.
    pub(crate) fn sourced_id(&mut self) -> Option<SourcedId> {
        let cell = self.row.untrimmed(Column::SourcedId);
        let id = value::trimmed(cell);
        let Ok(sourced_id) = SourcedId::new(id) else {
            self.refuse(Code::IdMissing, Column::SourcedId, "the record has no sourcedId; every record needs one");
            return None;
        };
        if id.len() != cell.len() || !value::is_guid(id) {
            self.warn(
                Code::IdCharacters,
                Column::SourcedId,
                "the sourcedId has characters outside `A-Z a-z 0-9 . _ / @ -` or is longer than 255; it was taken as it is",
            );
        }
        Some(sourced_id)
    }

    /// A reference without which the record makes no sense.
    pub(crate) fn required_reference(&mut self, column: Column) -> Option<SourcedId> {
        let reference = self.reference(column);
        if reference.is_none() {
            self.refuse(Code::FieldMissing, column, blank(C::name(column)));
        }
        reference
    }

    /// A reference that may be blank.
    pub(crate) fn reference(&self, column: Column) -> Option<SourcedId> {
        SourcedId::new(self.raw(column)).ok()
    }

    /// A reference that the standard requires and the record can do without.
    pub(crate) fn expected_reference(&mut self, column: Column) -> Option<SourcedId> {
        let reference = self.reference(column);
        if reference.is_none() {
            self.expected(column);
        }
        reference
    }

    /// A list of references.
    pub(crate) fn references(&mut self, column: Column) -> Vec<SourcedId> {
        let mut references = Vec::new();
        let exact = self.row.each_item(column, |item| references.extend(SourcedId::new(item)));
        self.list_note(exact, column);
        references
    }

    /// A text, or none if it is blank.
    pub(crate) fn text(&self, column: Column) -> Option<Text> {
        let text = self.raw(column);
        (!text.is_empty()).then(|| Text::new(text))
    }

    /// A text without which the record is refused.
    pub(crate) fn required_text(&mut self, column: Column) -> Option<Text> {
        let text = self.text(column);
        if text.is_none() {
            self.refuse(Code::FieldMissing, column, blank(C::name(column)));
        }
        text
    }

    /// A text that the standard requires and the record can do without.
    pub(crate) fn expected_text(&mut self, column: Column) -> Option<Text> {
        let text = self.text(column);
        if text.is_none() {
            self.expected(column);
        }
        text
    }

    /// Notes that a value is blank which the standard requires. A column that is not there at all has been noted once
    /// with the header.
    pub(crate) fn expected(&mut self, column: Column) {
        if self.row.has(column) {
            self.warn(
                Code::FieldMissing,
                column,
                format!("`{}` is blank although OneRoster requires it; the record was taken without", C::name(column)),
            );
        }
    }

    /// A list of texts.
    pub(crate) fn list(&mut self, column: Column) -> Vec<Text> {
        let mut items = Vec::new();
        let exact = self.row.each_item(column, |item| items.push(Text::new(item)));
        self.list_note(exact, column);
        items
    }

    fn list_note(&mut self, exact: bool, column: Column) {
        if !exact {
            self.warn(
                Code::FieldLenient,
                column,
                "the list has spaces around its commas or blank items; they were left out",
            );
        }
    }

    /// A yes or no, or none if it is blank or unreadable.
    pub(crate) fn flag(&mut self, column: Column) -> Option<bool> {
        let text = self.raw(column);
        if text.is_empty() {
            return None;
        }
        self.optional(column, value::boolean(text), "`true` or `false` in lower case")
    }

    /// A day that may be blank.
    pub(crate) fn date(&mut self, column: Column) -> Option<Date> {
        let text = self.raw(column);
        if text.is_empty() {
            return None;
        }
        match value::date(text, self.rules.slash_dates) {
            Ok(date) => Some(self.understood(column, date, DATE)),
            Err(BadDate::Ambiguous) => {
                self.warn(
                    Code::DateAmbiguous,
                    column,
                    "the date has slashes, which may mean month/day or day/month; it was left out. \
                     Say which with `slash_dates`, or export dates as YYYY-MM-DD",
                );
                None
            }
            Err(BadDate::OtherOrder) => {
                self.warn(Code::FieldInvalid, column, format!("`{}` was left out: {OTHER_ORDER}", C::name(column)));
                None
            }
            Err(BadDate::Unreadable) => {
                self.dropped(column, DATE);
                None
            }
        }
    }

    /// The day after the last one; may be blank.
    pub(crate) fn end_date(&mut self, column: Column) -> Option<Date> {
        let date = self.date(column)?;
        Some(self.exclusive(date))
    }

    /// A day without which the record is refused.
    pub(crate) fn required_date(&mut self, column: Column) -> Option<Date> {
        let text = self.raw(column);
        if text.is_empty() {
            self.refuse(Code::FieldMissing, column, blank(C::name(column)));
            return None;
        }
        match value::date(text, self.rules.slash_dates) {
            Ok(date) => Some(self.understood(column, date, DATE)),
            Err(BadDate::Ambiguous) => {
                self.refuse(
                    Code::DateAmbiguous,
                    column,
                    "the date has slashes, which may mean month/day or day/month; say which with `slash_dates`",
                );
                None
            }
            Err(BadDate::OtherOrder) => {
                let message = format!("`{}` cannot be read: {OTHER_ORDER}", C::name(column));
                self.refuse(Code::FieldInvalid, column, message);
                None
            }
            Err(BadDate::Unreadable) => {
                self.refuse(
                    Code::FieldInvalid,
                    column,
                    format!("`{}` is not a date; expected YYYY-MM-DD", C::name(column)),
                );
                None
            }
        }
    }

    /// The day after the last one, without which the record is refused.
    pub(crate) fn required_end_date(&mut self, column: Column) -> Option<Date> {
        let date = self.required_date(column)?;
        Some(self.exclusive(date))
    }

    fn exclusive(&self, date: Date) -> Date {
        match self.rules.end_dates {
            EndDates::Exclusive => date,
            // The last day of the year 9999 has no successor and means "never" anyway.
            EndDates::Inclusive => date.tomorrow().unwrap_or(date),
        }
    }

    /// The year in which a school year ends.
    pub(crate) fn school_year(&mut self, column: Column) -> Option<u16> {
        let text = self.raw(column);
        if text.is_empty() {
            self.expected(column);
            return None;
        }
        self.optional(column, value::school_year(text), "YYYY, the year in which the school year ends")
    }

    /// `userIds`.
    pub(crate) fn user_ids(&mut self, column: Column) -> Vec<ExternalId> {
        let mut ids = Vec::new();
        if !self.row.user_ids(column, &mut ids) {
            self.lenient(column, "`{type:id}` items joined by commas; ids without a type were kept without one");
        }
        ids
    }

    /// The extension fields.
    pub(crate) fn metadata(&self) -> Metadata {
        self.row.metadata()
    }

    /// A token of a vocabulary: notes another case or spelling, and an extension. What an unknown token means is for
    /// the caller.
    pub(crate) fn token<T>(&mut self, column: Column, recognise: fn(&str) -> Recognised<T>) -> Token<T> {
        let text = self.raw(column);
        if text.is_empty() {
            return Token::Blank;
        }
        match recognise(text) {
            Recognised::Exact(value) => Token::Known(value),
            Recognised::Lenient(value) => Token::Respelt(value),
            Recognised::Extension(value) => {
                self.warn(Code::EnumUnknown, column, "the value is an extension (`ext:`); it was kept as it is");
                Token::Known(value)
            }
            Recognised::Unknown(value) => Token::Unknown(value),
        }
    }

    /// A value that may be left out: notes one that is written otherwise than the standard says, or cannot be read.
    pub(crate) fn optional<T>(&mut self, column: Column, read: Option<Written<T>>, expected: &str) -> Option<T> {
        if read.is_none() {
            self.dropped(column, expected);
        }
        read.map(|written| self.understood(column, written, expected))
    }

    /// The value, with a note if it is written otherwise than the standard says.
    pub(crate) fn understood<T>(&mut self, column: Column, written: Written<T>, expected: &str) -> T {
        match written {
            Written::Exactly(value) => value,
            Written::Leniently(value) => {
                self.lenient(column, expected);
                value
            }
        }
    }

    /// Notes a value that was understood although it is written otherwise than the standard says.
    pub(crate) fn lenient(&mut self, column: Column, expected: &str) {
        self.warn(
            Code::FieldLenient,
            column,
            format!("`{}` is not written as OneRoster says and was understood; expected {expected}", C::name(column)),
        );
    }

    /// Notes an optional value that could not be read and was left out.
    pub(crate) fn dropped(&mut self, column: Column, expected: &str) {
        self.warn(
            Code::FieldInvalid,
            column,
            format!("`{}` cannot be read and was left out; expected {expected}", C::name(column)),
        );
    }
}

/// A token read from a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<T> {
    /// The cell is blank.
    Blank,
    /// A value of the standard, or an extension.
    Known(T),
    /// A value of the standard in another case or spelling.
    Respelt(T),
    /// None of these; the raw token is kept in it.
    Unknown(T),
}

fn blank(name: &str) -> String {
    format!("`{name}` is blank, and the record makes no sense without it")
}

//! Values: dates, grades, and what is noted of a record while it is mapped.

use jiff::civil::Date;
use rollcall_domain::entities::{ExternalId, Metadata};
use rollcall_domain::{Code, Finding, SourcedId, Text};

use crate::wire::{Ext, Str};

/// What was noted of a record.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// It is accepted and should be known.
    pub(crate) warnings: Vec<Finding>,
    /// It is refused.
    pub(crate) refusals: Vec<Finding>,
}

impl Notes {
    pub(crate) fn warn(&mut self, code: Code, field: &str, message: impl Into<String>) {
        self.warnings.push(Finding::on(code, field, message));
    }

    pub(crate) fn refuse(&mut self, code: Code, field: &str, message: impl Into<String>) {
        self.refusals.push(Finding::on(code, field, message));
    }

    /// The record's own id, without which it is nobody.
    pub(crate) fn id(&mut self, id: &Str) -> Option<SourcedId> {
        let id = id.id();
        if id.is_none() {
            self.refuse(Code::IdMissing, "id", "the object has no id");
        }
        id
    }

    /// A day that may be missing.
    pub(crate) fn day(&mut self, field: &str, text: &Str) -> Option<Date> {
        let text = text.as_deref()?;
        let day = day(text);
        if day.is_none() {
            self.warn(Code::FieldInvalid, field, "the date cannot be read, expected YYYY-MM-DD; it was left out");
        }
        day
    }

    /// A grade in the words of the CEDS that OneRoster uses. One that is new to us is kept as it is.
    pub(crate) fn grade(&mut self, field: &str, grade: &Str) -> Option<Text> {
        let raw = grade.as_deref()?;
        let known = known_grade(raw);
        if known.is_none() {
            self.warn(Code::EnumUnknown, field, "the grade is none that is known of Clever; it was kept as it is");
        }
        Some(known.unwrap_or_else(|| Text::new(raw)))
    }
}

/// Reads a day: `YYYY-MM-DD`, the same with a time behind it, or `M/D/YYYY`, as Clever writes days of birth.
pub(crate) fn day(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Some((month, rest)) = text.split_once('/') {
        let (day, year) = rest.split_once('/')?;
        if year.len() != 4 {
            return None;
        }
        return Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok();
    }
    let date = text.get(..10)?;
    let is_alone = matches!(text.as_bytes().get(10), None | Some(b'T' | b't' | b' '));
    date.parse().ok().filter(|_| is_alone)
}

/// The day after a last day. Clever's ends are last days: recorded terms follow each other without a gap that way.
pub(crate) fn after(last: Date) -> Option<Date> {
    last.tomorrow().ok()
}

fn known_grade(raw: &str) -> Option<Text> {
    let known = match raw {
        "InfantToddler" => "IT",
        "Preschool" => "PR",
        "PreKindergarten" => "PK",
        "TransitionalKindergarten" => "TK",
        "Kindergarten" => "KG",
        // CEDS has a word for adult education and none for the years after school; this is the nearest.
        "PostGraduate" => "PS",
        "Ungraded" => "UG",
        "Other" => "Other",
        number => match number.parse::<u8>() {
            Ok(number @ 1..=13) => return Some(Text::new(format!("{number:02}"))),
            _ => return None,
        },
    };
    Some(Text::const_new(known))
}

/// External ids from pairs of scheme and value; those that are missing are left out.
pub(crate) fn external_ids<'a>(ids: impl IntoIterator<Item = (&'static str, &'a Str)>) -> Vec<ExternalId> {
    ids.into_iter()
        .filter_map(|(scheme, value)| Some(ExternalId { scheme: Text::const_new(scheme), value: value.get()? }))
        .collect()
}

/// Puts a value into metadata if there is one.
pub(crate) fn put(metadata: &mut Metadata, name: &'static str, value: &Str) {
    if let Some(value) = value.get() {
        metadata.insert(Text::const_new(name), value);
    }
}

/// Puts a district's own columns into metadata, each under `ext.` and its name. Where two roles of a user disagree on one,
/// the later one's goes under the role's name as well.
pub(crate) fn put_ext(metadata: &mut Metadata, role: &str, ext: &Ext, wanted: impl Fn(&str) -> bool) {
    for (name, value) in ext.0.iter().filter(|(name, _)| wanted(name)) {
        let key = Text::new(format!("ext.{name}"));
        match metadata.get(&key) {
            Some(other) if other != value => {
                metadata.insert(Text::new(format!("{role}.ext.{name}")), value.clone());
            }
            _ => {
                metadata.insert(key, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_clever_writes_them() {
        let read = |text| day(text).map(|day| day.to_string());
        for (text, expected) in [
            ("2012-08-01", Some("2012-08-01")),
            ("2012-08-01T00:00:00.000Z", Some("2012-08-01")),
            ("2/11/2007", Some("2007-02-11")),
            ("12/31/1999", Some("1999-12-31")),
            ("31/12/1999", None),
            ("2/11/07", None),
            ("2012-08-011", None),
            ("2012-13-01", None),
            ("soon", None),
            ("née 2012-08-01", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn every_grade_of_clever_is_known() {
        let mut notes = Notes::default();
        let mut of = |grade: &str| notes.grade("grade", &Str(Some(Text::new(grade)))).unwrap();
        let numbers = (1..=13).map(|number| number.to_string());
        let words = [
            "InfantToddler",
            "Preschool",
            "PreKindergarten",
            "TransitionalKindergarten",
            "Kindergarten",
            "PostGraduate",
            "Ungraded",
            "Other",
        ];
        let all: Vec<_> = words.map(str::to_owned).into_iter().chain(numbers).map(|grade| of(&grade)).collect();
        insta::assert_snapshot!(all.join(" "), @"IT PR PK TK KG PS UG Other 01 02 03 04 05 06 07 08 09 10 11 12 13");
        assert_eq!(of("14"), "14");
        assert_eq!(notes.warnings.len(), 1, "only the last one is unknown");
    }
}

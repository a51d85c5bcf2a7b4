//! One line of a CSV file, in memory that is used again for the next one.

use std::io::Write as _;

use jiff::civil::Date;
use rollcall_domain::entities::ExternalId;
use rollcall_domain::{SourcedId, Text};

#[derive(Debug, Default)]
pub(super) struct Row {
    line: Vec<u8>,
    /// The cell that is being put together from items.
    items: String,
}

impl Row {
    /// Begins a line with its first cell.
    pub(super) fn begin(&mut self, first: &str) {
        self.line.clear();
        self.value(first);
    }

    /// The finished line.
    pub(super) fn end(&mut self) -> &[u8] {
        self.line.extend_from_slice(b"\r\n");
        &self.line
    }

    pub(super) fn cell(&mut self, value: &str) {
        self.line.push(b',');
        self.value(value);
    }

    pub(super) fn blank(&mut self) {
        self.line.push(b',');
    }

    pub(super) fn optional(&mut self, value: Option<&Text>) {
        self.cell(value.map_or("", Text::as_str));
    }

    pub(super) fn reference(&mut self, target: Option<&SourcedId>) {
        self.cell(target.map_or("", SourcedId::as_str));
    }

    pub(super) fn flag(&mut self, flag: Option<bool>) {
        self.cell(match flag {
            None => "",
            Some(true) => "true",
            Some(false) => "false",
        });
    }

    pub(super) fn date(&mut self, date: Option<Date>) {
        self.line.push(b',');
        let Some(date) = date else { return };
        // Two dates in each of millions of enrollments: digits by hand are several times as fast as a formatter.
        let (Ok(year), Ok(month), Ok(day)) =
            (u16::try_from(date.year()), u8::try_from(date.month()), u8::try_from(date.day()))
        else {
            let written = write!(self.line, "{date}");
            debug_assert!(written.is_ok(), "memory takes every write");
            return;
        };
        let two = |number: u8| [b'0' + number / 10, b'0' + number % 10];
        let century = u8::try_from(year / 100).unwrap_or_default();
        let of_century = u8::try_from(year % 100).unwrap_or_default();
        self.line.extend_from_slice(&two(century));
        self.line.extend_from_slice(&two(of_century));
        self.line.push(b'-');
        self.line.extend_from_slice(&two(month));
        self.line.push(b'-');
        self.line.extend_from_slice(&two(day));
    }

    /// A list in one cell. Items lose their commas, and blank ones are left out.
    pub(super) fn list<'t>(&mut self, items: impl Iterator<Item = &'t str>) {
        let mut cell = std::mem::take(&mut self.items);
        cell.clear();
        for item in items {
            push_item(&mut cell, |cell| cell.extend(item.chars().filter(|&letter| letter != ',')));
        }
        self.cell(&cell);
        self.items = cell;
    }

    /// `userIds`: `{type:id}`, and the bare id where there is no type. What would end an item early is left out.
    pub(super) fn user_ids(&mut self, ids: &[ExternalId]) {
        let mut cell = std::mem::take(&mut self.items);
        cell.clear();
        for ExternalId { scheme, value } in ids {
            push_item(&mut cell, |cell| {
                let bare = scheme.is_empty() && !value.contains(':');
                if !bare {
                    cell.push('{');
                    cell.extend(scheme.chars().filter(|letter| !"{},:".contains(*letter)));
                    cell.push(':');
                }
                cell.extend(value.chars().filter(|letter| !"{},".contains(*letter)));
                if !bare {
                    cell.push('}');
                }
            });
        }
        self.cell(&cell);
        self.items = cell;
    }

    fn value(&mut self, value: &str) {
        let bytes = value.as_bytes();
        if !bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
            self.line.extend_from_slice(bytes);
            return;
        }
        let quoted = bytes.iter().any(|byte| matches!(byte, b',' | b'"'));
        if quoted {
            self.line.push(b'"');
        }
        let mut previous = 0;
        for &byte in bytes {
            match byte {
                b'"' => self.line.extend_from_slice(b"\"\""),
                b'\n' if previous == b'\r' => {}
                b'\r' | b'\n' => self.line.push(b' '),
                _ => self.line.push(byte),
            }
            previous = byte;
        }
        if quoted {
            self.line.push(b'"');
        }
    }
}

/// Adds an item and the comma before it, unless nothing is left of the item.
fn push_item(cell: &mut String, push: impl FnOnce(&mut String)) {
    let before = cell.len();
    if before > 0 {
        cell.push(',');
    }
    let start = cell.len();
    push(cell);
    if cell.len() == start {
        cell.truncate(before);
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn line(build: impl FnOnce(&mut Row)) -> String {
        let mut row = Row::default();
        row.begin("id");
        build(&mut row);
        String::from_utf8(row.end().to_vec()).unwrap()
    }

    #[test]
    fn cells_are_quoted_only_where_they_must_be() {
        assert_eq!(line(|row| row.cell("plain O'Neil Zoë 李")), "id,plain O'Neil Zoë 李\r\n");
        assert_eq!(line(|row| row.cell("a,b")), "id,\"a,b\"\r\n");
        assert_eq!(line(|row| row.cell("AP \"AB\"")), "id,\"AP \"\"AB\"\"\"\r\n");
        assert_eq!(line(Row::blank), "id,\r\n");
    }

    #[test]
    fn a_line_break_in_a_value_becomes_one_space() {
        assert_eq!(line(|row| row.cell("a\r\nb\nc\rd")), "id,a b c d\r\n");
        assert_eq!(line(|row| row.cell("a,\r\nb")), "id,\"a, b\"\r\n");
    }

    #[test]
    fn a_list_is_one_cell_and_its_items_lose_their_commas() {
        assert_eq!(line(|row| row.list(["09", "10"].into_iter())), "id,\"09,10\"\r\n");
        assert_eq!(line(|row| row.list(["Reading, Writing"].into_iter())), "id,Reading Writing\r\n");
        assert_eq!(line(|row| row.list(["", "a", ",", "b"].into_iter())), "id,\"a,b\"\r\n");
        assert_eq!(line(|row| row.list(std::iter::empty())), "id,\r\n");
    }

    #[test]
    fn user_ids_are_pairs_and_bare_where_there_is_no_type() {
        let id = |scheme: &str, value: &str| ExternalId { scheme: scheme.into(), value: value.into() };
        assert_eq!(line(|row| row.user_ids(&[id("sis", "7"), id("ldap", "x.y")])), "id,\"{sis:7},{ldap:x.y}\"\r\n");
        assert_eq!(line(|row| row.user_ids(&[id("", "74727075")])), "id,74727075\r\n");
        assert_eq!(line(|row| row.user_ids(&[id("", "urn:x")])), "id,{:urn:x}\r\n");
        assert_eq!(line(|row| row.user_ids(&[id("a:b", "cn=x,dc=y}")])), "id,{ab:cn=xdc=y}\r\n");
    }

    #[test]
    fn dates_are_written_with_all_their_digits() {
        assert_eq!(line(|row| row.date(Some(date(2026, 8, 7)))), "id,2026-08-07\r\n");
        assert_eq!(line(|row| row.date(Some(date(987, 12, 31)))), "id,0987-12-31\r\n");
        assert_eq!(line(|row| row.date(None)), "id,\r\n");
    }
}

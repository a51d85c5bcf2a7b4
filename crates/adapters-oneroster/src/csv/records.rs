//! Splits the bytes of a file into records and cells.
//!
//! The `csv` crate is not used for this, for three reasons that all come down to losing no child to a detail. A quote
//! that never closes swallows the rest of the file there; here it costs its own line, and reading goes on with the next
//! one. The memory that a record may take is bounded. And the line of a record is the line that an editor shows. On
//! well-formed files the two agree, which a property test checks.

use std::io::{self, BufRead, Read};
use std::ops::Range;

/// How long a line may be. Longer ones are not CSV.
const MAX_LINE: usize = 4 * 1024 * 1024;

/// Over how many lines a quoted cell may stretch. The standard allows none at all.
const MAX_LINES_PER_RECORD: u64 = 32;

/// What the reader came upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A record; see [`Records::cells`].
    Record,
    /// A line whose quoting makes no sense. Its first cell is there if it can be told; see [`Records::first_cell`].
    BadQuotes,
    /// The end of the file.
    End,
}

/// What was odd in a record that could still be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Oddities {
    /// A quote stands inside a quoted cell and is not doubled.
    pub(crate) stray_quote: bool,
    /// A cell holds a line break.
    pub(crate) line_break: bool,
}

/// Reads records from a file.
pub(crate) struct Records<R> {
    input: R,
    /// Lines that were read ahead in search of a closing quote, and are to be read again.
    ahead: Vec<u8>,
    ahead_from: usize,
    /// The line of the current record, and of the next one.
    line: u64,
    next_line: u64,
    /// The bytes of the current record without its line end.
    raw: Vec<u8>,
    /// The same with quotes undone; used if there are any.
    unquoted: Vec<u8>,
    quoted: bool,
    cells: Vec<Range<usize>>,
    oddities: Oddities,
    ended_without_newline: bool,
}

impl<R: BufRead> Records<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            ahead: Vec::new(),
            ahead_from: 0,
            line: 0,
            next_line: 1,
            raw: Vec::new(),
            unquoted: Vec::new(),
            quoted: false,
            cells: Vec::new(),
            oddities: Oddities::default(),
            ended_without_newline: false,
        }
    }

    /// Reads the next record. `width` is the number of cells of the header, if there is one: a cell with a line break is
    /// only believed if the record comes out as wide as that.
    pub(crate) fn step(&mut self, width: Option<usize>) -> io::Result<Step> {
        loop {
            self.raw.clear();
            self.line = self.next_line;
            if !self.append_line()? {
                return Ok(Step::End);
            }
            self.next_line += 1;
            self.trim_line_end(0);
            if !self.raw.is_empty() {
                break;
            }
        }
        self.oddities = Oddities::default();
        self.quoted = self.raw.contains(&b'"');
        if !self.quoted {
            self.split_plain();
            return Ok(Step::Record);
        }
        if self.split_quoted(true) {
            return Ok(Step::Record);
        }
        self.read_on(width)
    }

    /// A quoted cell is open at the end of the line: looks for its end on the next lines, and gives them back if there
    /// is none that makes sense.
    fn read_on(&mut self, width: Option<usize>) -> io::Result<Step> {
        let first = self.raw.len();
        for extra in 1..MAX_LINES_PER_RECORD {
            let before = self.raw.len();
            self.raw.push(b'\n');
            if !self.append_line()? {
                self.raw.truncate(before);
                break;
            }
            self.trim_line_end(before + 1);
            if self.split_quoted(false) {
                if width.is_none_or(|width| width == self.cells.len()) {
                    self.next_line += extra;
                    self.oddities.line_break = true;
                    return Ok(Step::Record);
                }
                break;
            }
        }
        self.give_back(first);
        // The cells of the first line alone, for the sake of the record's id.
        self.split_quoted(true);
        Ok(Step::BadQuotes)
    }

    /// Puts everything after the first line in front of what is still to be read.
    fn give_back(&mut self, first: usize) {
        if self.raw.len() > first {
            let mut ahead = self.raw[first + 1..].to_vec();
            ahead.push(b'\n');
            ahead.extend_from_slice(&self.ahead[self.ahead_from..]);
            self.ahead = ahead;
            self.ahead_from = 0;
            self.raw.truncate(first);
        }
    }

    /// The line on which the current record begins.
    pub(crate) const fn line(&self) -> u64 {
        self.line
    }

    /// How many cells the current record has.
    pub(crate) fn cells(&self) -> &[Range<usize>] {
        &self.cells
    }

    /// The bytes into which the cells' ranges point.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.quoted { &self.unquoted } else { &self.raw }
    }

    /// The bytes of one cell.
    pub(crate) fn cell(&self, index: usize) -> &[u8] {
        self.cells.get(index).map_or(&[], |range| &self.bytes()[range.clone()])
    }

    /// What was odd in the current record.
    pub(crate) const fn oddities(&self) -> Oddities {
        self.oddities
    }

    /// Whether the file breaks off after the current record instead of ending with a line end.
    pub(crate) const fn is_cut_off(&self) -> bool {
        self.ended_without_newline
    }

    /// Appends the next line, with its line end, to the current record. `false` at the end of the file.
    fn append_line(&mut self) -> io::Result<bool> {
        if self.ahead_from < self.ahead.len() {
            let rest = &self.ahead[self.ahead_from..];
            let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
            self.raw.extend_from_slice(&rest[..length]);
            self.ahead_from += length;
            return Ok(true);
        }
        let before = self.raw.len();
        let read = self.input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut self.raw)?;
        if read == 0 {
            return Ok(false);
        }
        self.ended_without_newline = self.raw.last() != Some(&b'\n');
        if self.ended_without_newline && read == MAX_LINE {
            let message = format!("line {} is longer than {MAX_LINE} bytes", self.next_line);
            self.raw.truncate(before);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(true)
    }

    fn trim_line_end(&mut self, from: usize) {
        while self.raw.len() > from && matches!(self.raw.last(), Some(b'\n' | b'\r')) {
            self.raw.pop();
        }
    }

    fn split_plain(&mut self) {
        self.cells.clear();
        let mut start = 0;
        for (index, &byte) in self.raw.iter().enumerate() {
            if byte == b',' {
                self.cells.push(start..index);
                start = index + 1;
            }
        }
        self.cells.push(start..self.raw.len());
    }

    /// Splits the record and undoes its quotes; `false` if a quote is open at its end. A quote inside a quoted cell that
    /// is not doubled is taken as it stands if `lenient`; otherwise it makes the record unreadable.
    fn split_quoted(&mut self, lenient: bool) -> bool {
        self.cells.clear();
        self.unquoted.clear();
        let raw = &self.raw;
        let mut at = 0;
        loop {
            let start = self.unquoted.len();
            if raw.get(at) == Some(&b'"') {
                at += 1;
                loop {
                    match raw.get(at) {
                        None => {
                            self.cells.push(start..self.unquoted.len());
                            return false;
                        }
                        Some(b'"') => match raw.get(at + 1) {
                            Some(b'"') => {
                                self.unquoted.push(b'"');
                                at += 2;
                            }
                            None | Some(b',') => {
                                at += 1;
                                break;
                            }
                            Some(_) if lenient => {
                                self.oddities.stray_quote = true;
                                self.unquoted.push(b'"');
                                at += 1;
                            }
                            Some(_) => return false,
                        },
                        Some(&byte) => {
                            self.unquoted.push(byte);
                            at += 1;
                        }
                    }
                }
            } else {
                while let Some(&byte) = raw.get(at) {
                    if byte == b',' {
                        break;
                    }
                    self.unquoted.push(byte);
                    at += 1;
                }
            }
            self.cells.push(start..self.unquoted.len());
            if at >= raw.len() {
                return true;
            }
            // The comma stays between the cells, so that no two of them can run together into one character.
            self.unquoted.push(b',');
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(text: &str, width: Option<usize>) -> Vec<(u64, Step, Vec<String>)> {
        let mut records = Records::new(text.as_bytes());
        let mut all = Vec::new();
        loop {
            let step = records.step(width).unwrap();
            if step == Step::End {
                return all;
            }
            let cells =
                (0..records.cells().len()).map(|i| String::from_utf8_lossy(records.cell(i)).into_owned()).collect();
            all.push((records.line(), step, cells));
        }
    }

    fn cells(cells: &[&str]) -> Vec<String> {
        cells.iter().map(|&cell| cell.to_owned()).collect()
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        let all = read_all("a,b\r\n\r\n1,2\n\n\"3\n4\",5\n6,7", Some(2));
        assert_eq!(
            all,
            [
                (1, Step::Record, cells(&["a", "b"])),
                (3, Step::Record, cells(&["1", "2"])),
                (5, Step::Record, cells(&["3\n4", "5"])),
                (7, Step::Record, cells(&["6", "7"])),
            ]
        );
    }

    #[test]
    fn a_quote_that_never_closes_costs_its_own_line_only() {
        let all = read_all("1,\"Ann\n2,Ben\n3,\"Cid\"\n4,Dee\n", Some(2));
        assert_eq!(
            all,
            [
                (1, Step::BadQuotes, cells(&["1", "Ann"])),
                (2, Step::Record, cells(&["2", "Ben"])),
                (3, Step::Record, cells(&["3", "Cid"])),
                (4, Step::Record, cells(&["4", "Dee"])),
            ]
        );
    }

    #[test]
    fn a_quote_inside_a_quoted_cell_is_taken_as_it_stands() {
        let all = read_all("1,\"Ann \"Nan\" Lee\",x\n", Some(3));
        assert_eq!(all, [(1, Step::Record, cells(&["1", "Ann \"Nan\" Lee", "x"]))]);
    }

    #[test]
    fn an_endless_line_is_an_error_and_not_an_endless_buffer() {
        let mut records = Records::new(io::BufReader::new(io::repeat(b'x')));
        assert_eq!(records.step(None).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn well_formed_files_are_read_as_the_csv_crate_reads_them(
            rows in prop::collection::vec(prop::collection::vec("[a-c\", é\\n]{0,6}", 3), 1..12),
            crlf in any::<bool>(),
        ) {
            let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
            let mut writer = csv::WriterBuilder::new().terminator(terminator).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let expected: Vec<Vec<String>> = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(text.as_bytes())
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect();
            let read: Vec<Vec<String>> = read_all(&text, Some(3)).into_iter().map(|(_, _, cells)| cells).collect();
            prop_assert_eq!(read, expected);
        }
    }
}

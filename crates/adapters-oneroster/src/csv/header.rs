//! The header of a file, resolved once, and the rows under it.

use std::ops::Range;

use rollcall_domain::entities::{ExternalId, Metadata};
use rollcall_domain::{Code, Finding, Text};

use super::table::{Column, Table, Version};
use crate::mapping::fields::Cells;
use crate::mapping::value;

/// Where no cell is.
const NOWHERE: u16 = u16::MAX;

/// Which cell of a row holds which column.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    cells: [u16; Column::COUNT],
    metadata: Vec<(Text, u16)>,
    /// The names as the file writes them; blank where a column has none.
    names: Vec<Text>,
    /// The cells that hold secrets.
    secrets: Vec<usize>,
    /// The number of cells up to the last column with a name. Rows may not have fewer.
    named_width: usize,
}

/// A header, and what was found in it.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) header: Header,
    /// What was accepted and should be known.
    pub(crate) warnings: Vec<Finding>,
    /// Columns without which every record of the file would be refused.
    pub(crate) missing: Vec<String>,
}

impl Header {
    /// Finds the columns of a table among the names of its header row.
    pub(crate) fn resolve(table: Table, version: Version, roles_in_users: bool, names: &[&str]) -> Resolved {
        let mut header = Self {
            cells: [NOWHERE; Column::COUNT],
            metadata: Vec::new(),
            names: names.iter().map(|name| Text::new(name.trim())).collect(),
            secrets: (0..names.len()).filter(|&index| Column::is_secret(names[index])).collect(),
            named_width: names.iter().rposition(|name| !name.trim().is_empty()).map_or(0, |last| last + 1),
        };
        let columns_version = if table == Table::Users && roles_in_users { Version::V1_1 } else { version };
        let standard = table.columns(columns_version);
        let mut warnings = header.place_names(table, standard);
        header.note_missing(standard, &mut warnings);
        header.note_order(standard, &mut warnings);
        let missing = table
            .essential(roles_in_users)
            .iter()
            .filter(|group| !group.iter().any(|&column| header.has(column)))
            .map(|group| group.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(" or "))
            .collect();
        Resolved { header, warnings, missing }
    }

    /// Gives every name its column. Names that fit exactly go first, so that an older name beside the standard's own
    /// does not take its place.
    fn place_names(&mut self, table: Table, standard: &[Column]) -> Vec<Finding> {
        let mut warnings = Vec::new();
        let names = self.names.clone();
        let mut placed = vec![false; names.len()];
        for (index, name) in names.iter().enumerate() {
            let column = standard.iter().copied().find(|column| column.as_str() == name.as_str());
            placed[index] = self.place(column, index);
        }
        for (index, name) in names.iter().enumerate() {
            if placed[index] || name.is_empty() {
                continue;
            }
            let Ok(position) = u16::try_from(index) else { continue };
            if name.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("metadata.")) && name.len() > 9 {
                if !Column::is_secret(name) {
                    self.metadata.push((Text::new(&name[9..]), position));
                }
                continue;
            }
            let in_case = standard.iter().copied().find(|column| column.as_str().eq_ignore_ascii_case(name));
            if self.place(in_case, index) {
                warnings.push(Finding::on(
                    Code::ColumnOrder,
                    name,
                    format!(
                        "the column `{name}` was read as `{}`; OneRoster's column names are case-sensitive",
                        in_case.map_or("", Column::as_str)
                    ),
                ));
                continue;
            }
            let other = table.alias(name).or_else(|| newer_column(table, name));
            if self.place(other, index) {
                warnings.push(Finding::on(
                    Code::ColumnUnknown,
                    name,
                    format!(
                        "the column `{name}` was read as `{}`: the name is misspelt or belongs to another version",
                        other.map_or("", Column::as_str)
                    ),
                ));
                continue;
            }
            let again = in_case.is_some() || names[..index].contains(name);
            if !looks_like_a_name(name) {
                // What stands here may be a cell of a row that ran into the header (R11).
                warnings.push(Finding::whole(
                    Code::ColumnUnknown,
                    format!("the header's cell {} is no name of a column; the column was not read", index + 1),
                ));
                continue;
            }
            warnings.push(Finding::on(
                Code::ColumnUnknown,
                name,
                if again {
                    format!("the column `{name}` stands in the file twice; the first one was read")
                } else {
                    format!("OneRoster defines no column `{name}` in this file; it was not read")
                },
            ));
        }
        warnings
    }

    /// Gives a column its cell, unless it has one.
    fn place(&mut self, column: Option<Column>, index: usize) -> bool {
        let (Some(column), Ok(position)) = (column, u16::try_from(index)) else { return false };
        let cell = &mut self.cells[column as usize];
        let free = *cell == NOWHERE;
        if free {
            *cell = position;
        }
        free
    }

    fn note_missing(&self, standard: &[Column], warnings: &mut Vec<Finding>) {
        for &column in standard {
            if !self.has(column) && !column.may_be_absent() {
                let name = column.as_str();
                let consequence = match column {
                    Column::Password => "nothing is lost, because passwords are never read",
                    _ => "it was read as blank in every row",
                };
                warnings.push(Finding::on(
                    Code::ColumnMissing,
                    name,
                    format!("the column `{name}` is missing; {consequence}"),
                ));
            }
        }
    }

    fn note_order(&self, standard: &[Column], warnings: &mut Vec<Finding>) {
        let positions = standard.iter().map(|&column| self.cells[column as usize]).filter(|&cell| cell != NOWHERE);
        let in_order = positions.clone().is_sorted();
        let last = positions.max().unwrap_or(0);
        let extensions_last = self.metadata.iter().all(|&(_, cell)| cell > last);
        if !in_order || !extensions_last {
            warnings.push(Finding::whole(
                Code::ColumnOrder,
                "the columns stand in another order than OneRoster's; they were read by their names",
            ));
        }
        if self.names.len() > self.named_width {
            warnings.push(Finding::whole(
                Code::ColumnUnknown,
                "the header ends with columns that have no name; they were not read",
            ));
        }
    }

    /// Whether the file has the column.
    pub(crate) const fn has(&self, column: Column) -> bool {
        self.cells[column as usize] != NOWHERE
    }

    /// Whether the column is the first of the file, so that even a row with the wrong number of cells shows its value.
    pub(crate) const fn is_first(&self, column: Column) -> bool {
        self.cells[column as usize] == 0
    }

    /// Which cell holds the column.
    pub(crate) fn cell_of(&self, column: Column) -> Option<usize> {
        let cell = self.cells[column as usize];
        (cell != NOWHERE).then_some(usize::from(cell))
    }

    /// The number of cells that a row must have at least.
    pub(crate) const fn named_width(&self) -> usize {
        self.named_width
    }

    /// The cells that hold secrets, which are never looked at.
    pub(crate) fn secrets(&self) -> &[usize] {
        &self.secrets
    }

    /// The number of cells of the header row.
    pub(crate) fn width(&self) -> usize {
        self.names.len()
    }

    /// The columns that are read, by their standard names, in alphabetical order.
    pub(crate) fn columns_read(&self, table: Table) -> Vec<String> {
        let known = [Version::V1_1, Version::V1_2].map(|version| table.columns(version));
        let mut read: Vec<String> = known
            .into_iter()
            .flatten()
            .filter(|&&column| self.has(column) && !matches!(column, Column::Password | Column::ResourceSourcedIds))
            .map(|column| column.as_str().to_owned())
            .chain(self.metadata.iter().map(|(name, _)| format!("metadata.{name}")))
            .collect();
        read.sort_unstable();
        read.dedup();
        read
    }
}

/// A column that a newer version defines in this table. Exporters add them before they change the version.
fn newer_column(table: Table, name: &str) -> Option<Column> {
    table.columns(Version::V1_2).iter().copied().find(|column| column.as_str().eq_ignore_ascii_case(name))
}

/// One row, whose cells are valid text and as many as the header asks for.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) header: &'a Header,
    pub(crate) text: &'a str,
    pub(crate) cells: &'a [Range<usize>],
}

impl<'a> Row<'a> {
    fn at(&self, index: usize) -> &'a str {
        self.cells.get(index).and_then(|range| self.text.get(range.clone())).unwrap_or("")
    }

    /// The row as the file has it, by column name, for a person to look at. Passwords are left out (R11).
    pub(crate) fn quoted(&self) -> serde_json::Value {
        self.header
            .names
            .iter()
            .enumerate()
            .filter(|(_, name)| !name.is_empty() && !Column::is_secret(name))
            .map(|(index, name)| (name.to_string(), self.at(index).into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl<'a> Cells<'a> for Row<'a> {
    fn untrimmed(self, column: Column) -> &'a str {
        match self.header.cells[column as usize] {
            NOWHERE => "",
            index => self.at(usize::from(index)),
        }
    }

    /// A column that is not there at all has been noted once, with the header.
    fn has(self, column: Column) -> bool {
        self.header.has(column)
    }

    fn each_item(self, column: Column, visit: impl FnMut(&'a str)) -> bool {
        value::each_item(self.get(column), visit)
    }

    fn user_ids(self, column: Column, ids: &mut Vec<ExternalId>) -> bool {
        value::user_ids(self.get(column), ids)
    }

    fn metadata(self) -> Metadata {
        let mut metadata = Metadata::new();
        for (name, cell) in &self.header.metadata {
            let value = value::trimmed(self.at(usize::from(*cell)));
            if !value.is_empty() {
                metadata.insert(name.clone(), Text::new(value));
            }
        }
        metadata
    }

    fn name(column: Column) -> &'static str {
        column.as_str()
    }
}

/// Names of columns are short and made of letters, digits and a few signs, and have no digit where a number would begin.
fn looks_like_a_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && text.chars().all(|sign| sign.is_alphanumeric() || "_.-: /()#".contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(table: Table, version: Version, names: &str) -> Resolved {
        let names: Vec<&str> = names.split(',').collect();
        Header::resolve(table, version, version < Version::V1_2, &names)
    }

    fn codes(resolved: &Resolved) -> Vec<String> {
        resolved
            .warnings
            .iter()
            .map(|finding| format!("{} {}", finding.code, finding.field.as_deref().unwrap_or("-")))
            .collect()
    }

    #[test]
    fn the_standard_header_has_nothing_to_remark() {
        for table in Table::ALL {
            for version in [Version::V1_1, Version::V1_2] {
                let names: Vec<&str> = table.columns(version).iter().map(|column| column.as_str()).collect();
                let resolved = Header::resolve(table, version, version < Version::V1_2, &names);
                assert_eq!(codes(&resolved), [""; 0], "{table:?}");
                assert_eq!(resolved.missing, [""; 0], "{table:?}");
            }
        }
    }

    #[test]
    fn odd_case_order_spelling_and_extra_columns_are_read_with_a_remark() {
        let resolved = resolve(
            Table::Orgs,
            Version::V1_1,
            "sourcedId,status,dataLastModified,Type,name,ext_colour,identifier,metadata.city,parentSourcedId,,",
        );
        assert_eq!(resolved.missing, [""; 0]);
        assert_eq!(
            codes(&resolved),
            [
                "column.unknown dataLastModified",
                "column.order Type",
                "column.unknown ext_colour",
                "column.order -",
                "column.unknown -",
            ]
        );
        assert_eq!(resolved.header.named_width(), 9);
        assert_eq!(resolved.header.width(), 11);
        let read = resolved.header.columns_read(Table::Orgs);
        assert!(read.contains(&"metadata.city".to_owned()) && read.contains(&"dateLastModified".to_owned()));
    }

    #[test]
    fn the_names_of_1_0_are_known() {
        for (table, names) in [
            (Table::Demographics, "userSourcedId,birthdate"),
            (Table::Classes, "sourcedId,schoolSourcedId,grade,termSourcedId"),
            (Table::Courses, "sourcedId,schoolYearId,grade"),
            (Table::Users, "sourcedId,role,givenName,userId,agents"),
        ] {
            let resolved = resolve(table, Version::V1_0, names);
            assert_eq!(resolved.missing, [""; 0], "{table:?}");
            for name in names.split(',').skip(1) {
                let unread = format!("OneRoster defines no column `{name}`");
                assert!(!resolved.warnings.iter().any(|finding| finding.message.contains(&unread)), "{name}");
            }
        }
    }

    #[test]
    fn the_standards_own_name_wins_over_an_older_one_beside_it() {
        let resolved = resolve(Table::Demographics, Version::V1_1, "userSourcedId,sourcedId");
        assert!(!resolved.header.is_first(Column::SourcedId));
    }

    #[test]
    fn a_column_whose_blank_values_refuse_records_may_not_be_missing() {
        let missing = |table, version, names| resolve(table, version, names).missing;
        assert_eq!(missing(Table::Orgs, Version::V1_1, "status"), ["sourcedId", "name"]);
        assert_eq!(missing(Table::AcademicSessions, Version::V1_1, "sourcedId"), ["title", "startDate", "endDate"]);
        assert_eq!(missing(Table::Classes, Version::V1_1, "sourcedId"), ["schoolSourcedId"]);
        assert_eq!(missing(Table::Users, Version::V1_1, "sourcedId"), ["role", "givenName or familyName"]);
        assert_eq!(missing(Table::Users, Version::V1_2, "sourcedId,familyName"), [""; 0]);
        assert_eq!(missing(Table::Roles, Version::V1_2, "sourcedId"), ["userSourcedId", "role"]);
        assert_eq!(
            missing(Table::Enrollments, Version::V1_1, "sourcedId"),
            ["classSourcedId", "userSourcedId", "role"]
        );
    }
}

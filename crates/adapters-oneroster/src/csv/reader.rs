//! Reads a surveyed package in the order of reference, and says at the end what it covered.

use rollcall_domain::entities::Role;
use rollcall_domain::ports::{Coverage, Deletion, Hold, Item, OwnedChange, PullSummary, RoleChange, Upsert};
use rollcall_domain::{Code, Encoder, Finding, Kind, Location, Record, Reject, SourcedId};

use super::cursor::Memory;
use super::header::Row;
use super::output::Output;
use super::package::Package;
use super::roles_index::RolesIndex;
use super::rows;
use super::survey::{Survey, SurveyedFile, ToldBy};
use super::table::{Column, Table};
use crate::config::{CsvConfig, PackageMode};
use crate::error::CsvError;
use crate::mapping::class::CourseTitles;
use crate::mapping::fields::{Cells, Fields, Notes, Rules};
use crate::mapping::lifecycle::{self, Lifecycle};
use crate::mapping::{class, course, demographics, enrollment, org, role, session, user};

/// Reads a package, and pushes everything that it says. `memory` is what earlier packages left, and is brought up to
/// date.
pub(crate) fn read(
    package: &mut Package,
    survey: &Survey,
    config: &CsvConfig,
    memory: &mut Memory,
    output: &mut Output,
) -> Result<PullSummary, CsvError> {
    let mut summary = PullSummary { skipped: survey.skipped.clone(), ..PullSummary::default() };
    for warning in &survey.warnings {
        output.push(Item::Warning(warning.clone()))?;
    }
    hold_lost_columns(survey, memory, &mut summary.holds);
    let mut reader = Reader {
        rules: Rules { version: survey.version, slash_dates: config.slash_dates, end_dates: config.end_dates },
        package,
        config,
        output,
        notes: Notes::default(),
        encoder: Encoder::default(),
        dated_deletions: 0,
        course_titles: CourseTitles::new(),
    };
    for file in &survey.files {
        reader.dated_deletions = 0;
        let coverage = match file.mode {
            PackageMode::Bulk => Coverage::Snapshot,
            PackageMode::Delta => Coverage::Delta,
        };
        match file.table {
            Table::Users => {
                summary.coverage[Kind::Users] = coverage;
                summary.roles = reader.users(file, survey)?;
            }
            // Read along with the users if there are any.
            Table::Roles if survey.file(Table::Users).is_none() => summary.roles = Some(reader.roles_apart(file)?),
            Table::Roles => {}
            table => {
                summary.coverage[table.kind()] = coverage;
                reader.plain(file)?;
            }
        }
        summary.holds.extend(reader.suspicion(file));
    }
    reader.output.flush()?;
    let changed = reader.package.changed();
    if changed.is_empty() { Ok(summary) } else { Err(CsvError::Changed { places: changed }) }
}

struct Reader<'a> {
    package: &'a mut Package,
    config: &'a CsvConfig,
    rules: Rules,
    output: &'a mut Output,
    notes: Notes,
    encoder: Encoder,
    /// Rows of the current bulk file that are deleted and say when.
    dated_deletions: u64,
    course_titles: CourseTitles,
}

impl Reader<'_> {
    /// Reads a file whose rows are records of their own.
    fn plain(&mut self, file: &SurveyedFile) -> Result<(), CsvError> {
        let Self { package, config, output, notes, encoder, dated_deletions, course_titles, rules } = self;
        let table = file.table;
        rows::read(package, file, config.encoding, output, |output, row, location| {
            notes.clear();
            let mut fields = Fields { row, rules: *rules, notes };
            let life = begin(&mut fields, file, dated_deletions);
            if life.deleted {
                let sourced_id = fields.sourced_id();
                return deletion(output, file, row, life, sourced_id, location, notes);
            }
            let record: Option<Record> = match table {
                Table::Orgs => org::map(&mut fields).map(Record::from),
                Table::AcademicSessions => session::map(&mut fields).map(Record::from),
                Table::Courses => course::map(&mut fields).map(|course| {
                    course_titles.insert(course.sourced_id.clone(), course.title.clone());
                    Record::from(course)
                }),
                Table::Classes => class::map(&mut fields, course_titles).map(Record::from),
                Table::Enrollments => enrollment::map(&mut fields).map(Record::from),
                Table::Demographics => demographics::map(&mut fields).map(Record::from),
                Table::Users | Table::Roles => None,
            };
            match record {
                Some(record) if notes.errors.is_empty() => {
                    let sourced_id = record.sourced_id().clone();
                    output.warn_all(table.kind(), Some(&sourced_id), &location, &mut notes.warnings)?;
                    output.upsert(Upsert::new(record, life.modified_ms, location, encoder))
                }
                _ => refuse(output, table, row, notes, location),
            }
        })?;
        Ok(())
    }

    /// Reads users.csv, and roles.csv with it.
    fn users(&mut self, file: &SurveyedFile, survey: &Survey) -> Result<Option<Coverage>, CsvError> {
        if survey.roles_in_users {
            self.user_rows(file, UserRoles::InRow)?;
            return Ok(None);
        }
        let Some(roles) = survey.file(Table::Roles) else {
            self.user_rows(file, UserRoles::Apart)?;
            return Ok(Some(Coverage::Absent));
        };
        if file.mode == PackageMode::Bulk && roles.mode == PackageMode::Bulk {
            let mut index = self.index_roles(roles)?;
            self.user_rows(file, UserRoles::Joined(&mut index))?;
            self.roles_of_nobody(&index)?;
            return Ok(None);
        }
        self.user_rows(file, UserRoles::Apart)?;
        self.roles_apart(roles).map(Some)
    }

    fn user_rows(&mut self, file: &SurveyedFile, mut roles: UserRoles<'_>) -> Result<(), CsvError> {
        let Self { package, config, output, notes, encoder, dated_deletions, rules, .. } = self;
        let tally = rows::read(package, file, config.encoding, output, |output, row, location| {
            notes.clear();
            let mut fields = Fields { row, rules: *rules, notes };
            let life = begin(&mut fields, file, dated_deletions);
            if let UserRoles::Joined(index) = &mut roles
                && let Ok(user) = SourcedId::new(row.get(Column::SourcedId))
            {
                // Even a row that is refused shows that the user is no invention of roles.csv.
                index.see(&user);
            }
            if life.deleted {
                let sourced_id = fields.sourced_id();
                return deletion(output, file, row, life, sourced_id, location, notes);
            }
            let user = user::map(&mut fields, matches!(roles, UserRoles::InRow));
            let Some(mut user) = user.filter(|_| notes.errors.is_empty()) else {
                return refuse(output, Table::Users, row, notes, location);
            };
            let sourced_id = user.sourced_id.clone();
            let mut apart = Vec::new();
            let mut is_whole = true;
            match &roles {
                UserRoles::InRow => {}
                UserRoles::Apart => is_whole = false,
                UserRoles::Joined(index) => {
                    let of_user = index.of(&sourced_id);
                    is_whole = of_user.complete;
                    if is_whole {
                        user.roles = of_user.roles.into_iter().map(|(_, role)| role).collect();
                        if role::share_an_id(&user.roles) {
                            notes.warnings.push(Finding::on(
                                Code::IdDuplicate,
                                Column::SourcedId.as_str(),
                                SHARED_ROLE_ID,
                            ));
                        }
                    } else {
                        apart = of_user.roles;
                    }
                }
            }
            output.warn_all(Kind::Users, Some(&sourced_id), &location, &mut notes.warnings)?;
            let upsert = Upsert::new(Record::from(user), life.modified_ms, location, encoder);
            if is_whole {
                return output.upsert(upsert);
            }
            output.upsert(upsert.without_roles())?;
            if let UserRoles::Joined(index) = &roles {
                put_each(output, index, &sourced_id, apart)?;
            }
            Ok(())
        })?;
        if let UserRoles::Joined(index) = &mut roles {
            tally.ids.iter().for_each(|user| index.see(user));
        }
        Ok(())
    }

    /// Reads roles.csv into memory.
    fn index_roles(&mut self, file: &SurveyedFile) -> Result<RolesIndex, CsvError> {
        let mut index = RolesIndex::new(&file.entry.place);
        let Self { package, config, output, notes, dated_deletions, rules, .. } = self;
        let tally = rows::read(package, file, config.encoding, output, |output, row, location| {
            notes.clear();
            let mut fields = Fields { row, rules: *rules, notes };
            let life = begin(&mut fields, file, dated_deletions);
            if life.deleted {
                return Ok(());
            }
            let role = role::map(&mut fields);
            if let Some(role) = role.filter(|_| notes.errors.is_empty()) {
                output.warn_all(Kind::Users, Some(&role.user), &location, &mut notes.warnings)?;
                index.add(role, location.position.unwrap_or_default());
                return Ok(());
            }
            match SourcedId::new(row.get(Column::UserSourcedId)) {
                Ok(user) => index.refuse(user),
                Err(_) => index.is_incomplete = true,
            }
            refuse(output, Table::Roles, row, notes, location)
        })?;
        index.is_incomplete |= tally.unreadable > 0;
        Ok(index)
    }

    /// Hands on role rows whose user is not in users.csv: they are refused, and wait for the user.
    fn roles_of_nobody(&mut self, index: &RolesIndex) -> Result<(), CsvError> {
        for user in index.unseen() {
            put_each(self.output, index, &user, index.of(&user).roles)?;
        }
        Ok(())
    }

    /// Reads roles.csv where it does not come together with users.csv.
    fn roles_apart(&mut self, file: &SurveyedFile) -> Result<Coverage, CsvError> {
        match file.mode {
            PackageMode::Delta => {
                self.role_changes(file)?;
                Ok(Coverage::Delta)
            }
            PackageMode::Bulk => {
                let index = self.index_roles(file)?;
                for user in index.everyone() {
                    let of_user = index.of(&user);
                    if !of_user.complete {
                        put_each(self.output, &index, &user, of_user.roles)?;
                        continue;
                    }
                    let Some(&(line, _)) = of_user.roles.first() else { continue };
                    self.output.push(Item::Owned(OwnedChange::Roles {
                        user,
                        roles: of_user.roles.into_iter().map(|(_, role)| role).collect(),
                        location: Location::line(&file.entry.place, line),
                    }))?;
                }
                // Of whom no row was read, nobody can say that the roles are gone (R5).
                Ok(if index.is_incomplete { Coverage::Delta } else { Coverage::Snapshot })
            }
        }
    }

    fn role_changes(&mut self, file: &SurveyedFile) -> Result<(), CsvError> {
        let Self { package, config, output, notes, dated_deletions, rules, .. } = self;
        rows::read(package, file, config.encoding, output, |output, row, location| {
            notes.clear();
            let mut fields = Fields { row, rules: *rules, notes };
            let life = begin(&mut fields, file, dated_deletions);
            let change = if life.deleted {
                role::map_deletion(&mut fields).map(|(user, role)| RoleChange::Delete { user, role })
            } else {
                role::map(&mut fields).map(|row| RoleChange::Put { user: row.user, role: row.role })
            };
            let Some(change) = change.filter(|_| notes.errors.is_empty()) else {
                return refuse(output, Table::Roles, row, notes, location);
            };
            let user = match &change {
                RoleChange::Put { user, .. } => Some(user),
                RoleChange::Delete { user, .. } => user.as_ref(),
            };
            output.warn_all(Kind::Users, user, &location, &mut notes.warnings)?;
            output.push(Item::Owned(OwnedChange::Role { change, modified_ms: life.modified_ms, location }))
        })?;
        Ok(())
    }

    /// A file that calls itself bulk and deletes records with a date is likely a delta, and taking it for the whole
    /// truth would delete everything else.
    fn suspicion(&self, file: &SurveyedFile) -> Option<Hold> {
        (self.dated_deletions > 0 && file.told_by == ToldBy::Manifest).then(|| Hold {
            code: Code::DeltaSuspected,
            message: format!(
                "`{}` counts as bulk, but {} of its rows are `tobedeleted` with a date, as in a delta; if it is a delta, \
                 import it with `--mode delta`, and if it is the whole roster, set `mode = \"bulk\"` for the source",
                file.entry.place, self.dated_deletions
            ),
        })
    }
}

/// Where the roles of users come from.
enum UserRoles<'a> {
    /// From the user's own row.
    InRow,
    /// From roles.csv, which is complete like users.csv.
    Joined(&'a mut RolesIndex),
    /// Not together with the user.
    Apart,
}

const SHARED_ROLE_ID: &str = "two different roles of the user have one sourcedId; both were kept, and a later delta \
                              cannot tell them apart";

/// Reads the life-cycle columns, and counts what makes a bulk file look like a delta.
fn begin<'a>(fields: &mut Fields<'a, Row<'a>>, file: &SurveyedFile, dated_deletions: &mut u64) -> Lifecycle {
    let life = lifecycle::read(fields, file.mode, file.told_by);
    let is_dated = !fields.raw(Column::DateLastModified).is_empty();
    if file.mode == PackageMode::Bulk && life.deleted && is_dated {
        *dated_deletions += 1;
    }
    life
}

fn deletion(
    output: &mut Output,
    file: &SurveyedFile,
    row: Row<'_>,
    life: Lifecycle,
    sourced_id: Option<SourcedId>,
    location: Location,
    notes: &mut Notes,
) -> Result<(), CsvError> {
    let Some(sourced_id) = sourced_id else { return refuse(output, file.table, row, notes, location) };
    let kind = file.table.kind();
    output.warn_all(kind, Some(&sourced_id), &location, &mut notes.warnings)?;
    output.delete(Deletion { kind, sourced_id, modified_ms: life.modified_ms, location })
}

fn refuse(
    output: &mut Output,
    table: Table,
    row: Row<'_>,
    notes: &mut Notes,
    location: Location,
) -> Result<(), CsvError> {
    let id = if table == Table::Roles { Column::UserSourcedId } else { Column::SourcedId };
    output.reject(Reject {
        kind: table.kind(),
        sourced_id: SourcedId::new(row.get(id)).ok(),
        is_part: table == Table::Roles,
        location,
        findings: std::mem::take(&mut notes.errors),
        record: Some(row.quoted()),
    })
}

/// Puts the roles of a user one by one: each is located, and a stored role whose row was refused stays as it is (R5).
fn put_each(
    output: &mut Output,
    index: &RolesIndex,
    user: &SourcedId,
    roles: Vec<(u64, Role)>,
) -> Result<(), CsvError> {
    for (line, role) in roles {
        output.push(Item::Owned(OwnedChange::Role {
            change: RoleChange::Put { user: user.clone(), role },
            modified_ms: None,
            location: index.location(line),
        }))?;
    }
    Ok(())
}

/// A column that was read last time and is gone now would wipe its field from every record.
fn hold_lost_columns(survey: &Survey, memory: &mut Memory, holds: &mut Vec<Hold>) {
    for file in &survey.files {
        let mut now = file.header.columns_read(file.table);
        if file.table == Table::Users && !survey.roles_in_users {
            now.retain(|name| !is_role_column(name));
        }
        let name = file.table.as_str();
        let before = memory.columns.insert(name.to_owned(), now.clone()).unwrap_or_default();
        let lost: Vec<_> = before
            .iter()
            // With 1.2 the roles move into a file of their own; that loses nothing.
            .filter(|column| survey.roles_in_users || file.table != Table::Users || !is_role_column(column))
            .filter(|column| !now.contains(column))
            .map(|column| format!("`{column}`"))
            .collect();
        if !lost.is_empty() {
            holds.push(Hold {
                code: Code::ColumnLost,
                message: format!(
                    "`{}` had {} {} in the last package and has not now; applying it would blank that in every record. \
                     Add what is missing to the export, or allow the change if it is meant",
                    file.entry.place,
                    if lost.len() == 1 { "the column" } else { "the columns" },
                    lost.join(", "),
                ),
            });
        }
    }
}

fn is_role_column(name: &str) -> bool {
    name == Column::Role.as_str() || name == Column::OrgSourcedIds.as_str()
}

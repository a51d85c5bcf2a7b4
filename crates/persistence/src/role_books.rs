//! What is remembered of users' roles beside the roles themselves: the newest date of each, and those that wait for their
//! user. A book is read and written as a whole; few users have one.

use std::collections::HashMap;

use rollcall_domain::ports::{RoleBook, StoreError};
use rollcall_domain::{Kind, SourceId, SourcedId, Text};
use serde::Serialize;

use crate::connection::{Bind, Connection};
use crate::layout::Type;
use crate::reads::Sink;
use crate::rows;
use crate::staging::{BOOKS, OPERATIONS, Operation, Staging, json};

/// Books in a page.
const PAGE: i64 = 2_000;

/// The books of these users.
pub(crate) fn of_users(
    connection: &mut Connection,
    source: SourceId,
    users: &[SourcedId],
) -> Result<Vec<RoleBook>, StoreError> {
    let sql =
        format!("SELECT user_ref, book FROM role_books WHERE source_id = ? AND user_ref {}", connection.in_texts());
    let mut books = Vec::new();
    connection.each("read role books", &sql, &[Bind::int(source.0), Bind::owned(json(&users))], |mut row| {
        books.push(read(row.text(1))?);
        Ok(())
    })?;
    Ok(books)
}

/// The books in which roles wait.
pub(crate) fn waiting(
    connection: &mut Connection,
    source: SourceId,
    sink: Sink<'_, RoleBook>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT user_ref, book FROM role_books WHERE source_id = ? AND waiting AND user_ref > ? ORDER BY user_ref LIMIT {PAGE}"
    );
    let mut after = String::new();
    loop {
        let mut page = Vec::new();
        let binds = [Bind::int(source.0), Bind::owned(after.clone())];
        connection.each("read role books", &sql, &binds, |mut row| {
            after = row.string(0).unwrap_or_default();
            page.push(read(row.text(1))?);
            Ok(())
        })?;
        if page.is_empty() || !sink(page) {
            return Ok(());
        }
    }
}

fn read(book: Option<Text>) -> Result<RoleBook, StoreError> {
    book.and_then(|book| serde_json::from_str(&book).ok()).ok_or(StoreError::Inconsistent {
        table: "role_books",
        column: "book",
        row: 0,
    })
}

/// The live users who have roles with these vendor ids. Roles are in no index by those ids, which few runs ask for: all
/// of them are looked through once.
pub(crate) fn holders(
    connection: &mut Connection,
    source: SourceId,
    roles: &[SourcedId],
) -> Result<Vec<(SourcedId, SourcedId)>, StoreError> {
    let sql = format!(
        "SELECT u.sourced_id, r.sourced_id FROM user_roles r {join} users u ON u.id = r.user_id \
         WHERE r.sourced_id {in_texts} AND u.source_id = ? AND u.deleted_at_us IS NULL",
        join = connection.ordered_join(),
        in_texts = connection.in_texts(),
    );
    let mut holders = Vec::new();
    let binds = [Bind::owned(json(&roles)), Bind::int(source.0)];
    connection.each("look for roles by their ids", &sql, &binds, |mut row| {
        holders.push((rows::sourced_id(Kind::Users, row.text(0), 0)?, rows::sourced_id(Kind::Users, row.text(1), 0)?));
        Ok(())
    })?;
    Ok(holders)
}

#[derive(Debug, Serialize)]
struct BookRow {
    user_ref: SourcedId,
    waiting: bool,
    book: String,
}

/// Brings the books up to date with what was staged.
pub(crate) fn apply(staging: &mut Staging, source: SourceId) -> Result<(), StoreError> {
    if staging.operations == 0 {
        return Ok(());
    }
    let sql =
        format!("SELECT ord, operation FROM {OPERATIONS} WHERE kind = '{BOOKS}' AND ord > ? ORDER BY ord LIMIT {PAGE}");
    let mut after = 0;
    loop {
        // The last book that was staged of a user is the one that counts.
        let mut books: HashMap<SourcedId, RoleBook> = HashMap::new();
        staging.connection.each("read staged operations", &sql, &[Bind::int(after)], |mut row| {
            after = row.int(0).unwrap_or(after);
            match row.text(1).and_then(|text| serde_json::from_str(&text).ok()) {
                Some(Operation::Book(book)) => drop(books.insert(book.user.clone(), book)),
                _ => return Err(StoreError::Inconsistent { table: OPERATIONS, column: "operation", row: after }),
            }
            Ok(())
        })?;
        if books.is_empty() {
            return Ok(());
        }
        write(&mut staging.connection, source, books.into_values().collect())?;
    }
}

fn write(connection: &mut Connection, source: SourceId, books: Vec<RoleBook>) -> Result<(), StoreError> {
    let users: Vec<_> = books.iter().map(|book| &book.user).collect();
    let sql = format!("DELETE FROM role_books WHERE source_id = ? AND user_ref {}", connection.in_texts());
    connection.execute("write role books", &sql, &[Bind::int(source.0), Bind::owned(json(&users))])?;
    let written: Vec<_> = books
        .into_iter()
        .filter(|book| !book.is_empty())
        .map(|book| BookRow { waiting: !book.waiting.is_empty(), book: json(&book), user_ref: book.user })
        .collect();
    let from = connection.objects(&[("user_ref", Type::Text), ("waiting", Type::Bool), ("book", Type::Text)]);
    let sql = format!(
        "INSERT INTO role_books (source_id, user_ref, waiting, book) \
         SELECT {}, v.user_ref, v.waiting, v.book FROM {from}",
        source.0
    );
    connection.execute("write role books", &sql, &[Bind::owned(json(&written))])?;
    Ok(())
}

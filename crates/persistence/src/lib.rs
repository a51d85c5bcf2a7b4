//! Rollcall's store on SQLite and PostgreSQL.
//!
//! [`open`] takes a database URL and gives a [`RosterStore`](rollcall_domain::ports::RosterStore). Both engines hold the
//! same tables (see `migrations/`), and nearly everything is written once:
//!
//! - `layout` is the catalogue of the seven kinds, and `rows` turns records into rows and back;
//! - `staging` puts a run's changes aside where they lock nothing, `merge` applies them in one transaction, and
//!   `load` makes the first import fast;
//! - `reads` and `book` answer questions about records, and about sources, runs and plans; `role_books` keeps what is
//!   remembered of users' roles beside the roles themselves;
//! - `connection` is the one place that tells the engines apart statement by statement; `sqlite` and `postgres` hold what
//!   only one of them does, and `error` reads what they say when something goes wrong.
//!
//! Diesel is synchronous here: it has COPY, and the work is a few connections with large statements. It runs in blocking
//! tasks.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "statements are put together a few times in a run, and read best as they are written"
)]

// Never named: they are here to be linked, so that nothing but the C library is asked of the machine.
use {libsqlite3_sys as _, openssl_sys as _, pq_sys as _};

mod ahead;
mod book;
mod connection;
mod discarding;
mod error;
mod layout;
mod load;
mod merge;
mod migrate;
mod ordinals;
mod postgres;
mod reads;
mod role_books;
mod rows;
mod sqlite;
mod staging;
mod store;
mod url;

pub use discarding::DiscardingStore;
pub use migrate::MigrationStatus;
pub use store::{Access, Database, OpenOptions, open};

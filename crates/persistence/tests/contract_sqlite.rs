//! The store contract on SQLite.

mod common;

use common::sqlite as make_store;

rollcall_testkit::roster_store_contract!(make_store);

//! The store contract on SQLite.

use crate::common::sqlite as make_store;

rollcall_testkit::roster_store_contract!(make_store);

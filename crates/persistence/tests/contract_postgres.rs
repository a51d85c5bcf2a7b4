//! The store contract on PostgreSQL.

mod common;

use common::postgres as make_store;

rollcall_testkit::roster_store_contract!(make_store);

//! The store contract on PostgreSQL.

use crate::common::postgres as make_store;

rollcall_testkit::roster_store_contract!(make_store);

//! The store on both engines: the contract suite, the schemas, errors, what dead processes leave, random histories.

mod catalogue;
mod common;
mod contract_postgres;
mod contract_sqlite;
mod errors;
mod leftovers;
mod models;

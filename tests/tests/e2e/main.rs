//! End to end: the real program, real files, real databases.

mod broken;
mod command_line;
mod corpus;
mod deltas;
mod kills;
mod lifecycle;
mod records;
mod support;

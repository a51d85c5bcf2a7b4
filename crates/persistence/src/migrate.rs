//! Bringing a database's schema up to this program's, and refusing one that is not Rollcall's or is newer.

use std::collections::HashSet;

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use rollcall_domain::ports::StoreError;

use crate::connection::{Connection, Engine, Raw};
use crate::error::failed;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgresql");

/// A migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its name.
    pub name: String,
    /// Whether it has been applied.
    pub applied: bool,
}

fn known(engine: Engine) -> Result<Vec<String>, StoreError> {
    use diesel::migration::{Migration, MigrationSource};
    type Migrations<DB> = diesel::migration::Result<Vec<Box<dyn Migration<DB>>>>;
    fn names<DB: diesel::backend::Backend>(migrations: Migrations<DB>) -> Result<Vec<String>, StoreError> {
        let mut names: Vec<String> = migrations
            .map_err(|error| failed("list the migrations", error))?
            .iter()
            .map(|migration| migration.name().to_string())
            .collect();
        names.sort();
        Ok(names)
    }
    match engine {
        Engine::Sqlite => names(MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SQLITE)),
        Engine::Postgres => names(MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES)),
    }
}

/// The version part of a migration's name, as Diesel writes it down.
fn version(name: &str) -> String {
    name.split('_').next().unwrap_or(name).replace('-', "")
}

/// Every migration that this program or the database knows, oldest first.
///
/// # Errors
///
/// [`StoreError::Schema`] if the database is not Rollcall's, or has migrations that this program does not know.
pub(crate) fn status(connection: &mut Connection) -> Result<Vec<MigrationStatus>, StoreError> {
    let names = known(connection.engine())?;
    let sql = match connection.engine() {
        Engine::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
        Engine::Postgres => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()"
        }
    };
    let mut tables = HashSet::new();
    connection.each("read the schema", sql, &[], |mut row| {
        tables.extend(row.string(0));
        Ok(())
    })?;
    let shown = connection.origin.shown.clone();
    if !tables.contains("__diesel_schema_migrations") {
        let foreign = match connection.engine() {
            Engine::Sqlite => !tables.is_empty(),
            Engine::Postgres => ["sources", "runs", "users", "enrollments"].iter().any(|name| tables.contains(*name)),
        };
        if foreign {
            return Err(StoreError::Schema {
                message: format!(
                    "the database {shown} holds tables that are not Rollcall's; give Rollcall a database of its own"
                ),
            });
        }
        return Ok(names.into_iter().map(|name| MigrationStatus { name, applied: false }).collect());
    }
    let mut applied = HashSet::new();
    connection.each("read the schema", "SELECT version FROM __diesel_schema_migrations", &[], |mut row| {
        applied.extend(row.string(0));
        Ok(())
    })?;
    let status: Vec<_> =
        names.into_iter().map(|name| MigrationStatus { applied: applied.remove(&version(&name)), name }).collect();
    if let Some(unknown) = applied.into_iter().next() {
        return Err(StoreError::Schema {
            message: format!(
                "the database {shown} has the migration {unknown}, which this program does not know: a newer Rollcall has \
                 used it; use that version, or another database"
            ),
        });
    }
    Ok(status)
}

/// Applies what is missing. The caller holds the lock for migrations.
pub(crate) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    if status(connection)?.iter().all(|migration| migration.applied) {
        return Ok(());
    }
    let result = match &mut connection.raw {
        Raw::Sqlite(raw) => raw.run_pending_migrations(SQLITE).map(drop),
        Raw::Postgres(raw) => raw.run_pending_migrations(POSTGRES).map(drop),
    };
    result.map_err(|error| migration_failed(connection, error))
}

/// Takes every migration back. For tests of the migrations.
pub(crate) fn revert(connection: &mut Connection) -> Result<(), StoreError> {
    let result = match &mut connection.raw {
        Raw::Sqlite(raw) => raw.revert_all_migrations(SQLITE).map(drop),
        Raw::Postgres(raw) => raw.revert_all_migrations(POSTGRES).map(drop),
    };
    result.map_err(|error| migration_failed(connection, error))
}

fn migration_failed(connection: &Connection, error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    let message = error.to_string();
    connection.origin.explain("migrate the schema", &message, error)
}

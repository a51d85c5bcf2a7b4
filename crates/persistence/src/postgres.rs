//! What only PostgreSQL does: connecting, COPY, leases as advisory locks, plans kept in a schema of their own.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex};

use diesel::pg::CopyFormat;
use diesel::{Connection as _, ExecuteCopyFromDsl, PgConnection};
use rollcall_domain::ports::{Lease, StoreError};
use rollcall_domain::{RunId, SourceId};
use secrecy::{ExposeSecret, SecretString};

use crate::connection::{Bind, Connection, Raw};
use crate::error::{Origin, failed};

/// The first half of the key of every advisory lock: `ROLL`.
const LOCKS: i32 = 0x524F_4C4C;
/// The second half of the key of the lock under which schemas are migrated. Sources are numbered from 1.
const MIGRATION: i64 = 0;

/// Connects.
pub(crate) fn open(url: &SecretString, origin: &Arc<Origin>) -> Result<Connection, StoreError> {
    let connection = PgConnection::establish(url.expose_secret()).map_err(|error| origin.unreachable(error))?;
    let mut connection = Connection { raw: Raw::Postgres(connection), origin: Arc::clone(origin) };
    connection.batch(
        "open it",
        "SET application_name = 'rollcall'; SET client_encoding = 'UTF8'; SET client_min_messages = 'warning';
         SET bytea_output = 'hex'; SET work_mem = '64MB'; SET maintenance_work_mem = '128MB'; SET jit = off;
         SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off;
         SET enable_bitmapscan = off;",
    )?;
    Ok(connection)
}

/// Its connection: the server drops the lock with it.
struct AdvisoryLease(Mutex<Connection>);

impl fmt::Debug for AdvisoryLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdvisoryLease").finish_non_exhaustive()
    }
}

impl Lease for AdvisoryLease {}

impl Drop for AdvisoryLease {
    fn drop(&mut self) {
        // The server would notice the end of the connection too, but a moment later. If it cannot be told, so be it.
        let connection = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = connection.rows("give back the lease", "SELECT pg_advisory_unlock_all()::text", &[]);
    }
}

/// Takes a source on a connection of its own; none if another has it.
pub(crate) fn lease(mut connection: Connection, source: SourceId) -> Result<Option<Box<dyn Lease>>, StoreError> {
    let sql = format!("SELECT pg_try_advisory_lock({LOCKS}, {})", source.0);
    if connection.number("take the source's lease", &sql, &[])? == 0 {
        return Ok(None);
    }
    Ok(Some(Box::new(AdvisoryLease(Mutex::new(connection)))))
}

/// Whether a process has the source. Writes nothing, and takes no lock.
pub(crate) fn leased(connection: &mut Connection, source: SourceId) -> Result<bool, StoreError> {
    let sql = format!(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = {LOCKS} AND objid = {} \
         AND objsubid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        source.0
    );
    Ok(connection.number("look for the source's lease", &sql, &[])? > 0)
}

/// Keeps other processes from migrating at the same time until the connection closes or the lock is given back.
pub(crate) fn migration_lock(connection: &mut Connection, take: bool) -> Result<(), StoreError> {
    let word = if take { "pg_advisory_lock" } else { "pg_advisory_unlock" };
    connection.rows("lock the schema", &format!("SELECT {word}({LOCKS}, {MIGRATION})::text"), &[]).map(drop)
}

/// The schema in which a held run's staging is kept.
pub(crate) fn plan_schema(source: SourceId, run: RunId) -> String {
    format!("rollcall_plan_{}_{}", source.0, run.0.simple())
}

/// The schemas of kept plans that are there, with their source and run.
pub(crate) fn plan_schemas(connection: &mut Connection) -> Result<Vec<(String, SourceId, RunId)>, StoreError> {
    let sql = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'rollcall\\_plan\\_%'";
    let mut found = Vec::new();
    for mut row in connection.rows("look for kept plans", sql, &[])? {
        let Some(name) = row.string(0) else { continue };
        let parts = name.strip_prefix("rollcall_plan_").and_then(|rest| rest.split_once('_'));
        if let Some((source, run)) = parts
            && let (Ok(source), Ok(run)) = (source.parse(), run.parse())
        {
            found.push((name, SourceId(source), RunId(run)));
        }
    }
    Ok(found)
}

/// A failure inside a COPY.
#[derive(Debug)]
enum CopyError {
    Database(diesel::result::Error),
    Io(std::io::Error),
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CopyError {}

impl From<diesel::result::Error> for CopyError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

impl From<std::io::Error> for CopyError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Declares the tables that COPY fills, and the choice between them. The types do not matter: the rows go as text.
macro_rules! copy_tables {
    ($( $table:ident ( $key:ident ) { $( $column:ident $(= $name:literal)? ),+ } )+) => {
        mod tables {
            $(
                diesel::table! {
                    $table ($key) {
                        $( $( #[sql_name = $name] )? $column -> Text, )+
                    }
                }
            )+
        }

        fn copy_into(connection: &mut PgConnection, table: &str, data: &[u8]) -> Result<usize, CopyError> {
            match table {
                $(
                    stringify!($table) => diesel::copy_from(tables::$table::table)
                        .from_raw_data(tables::$table::table, |out: &mut dyn Write| -> Result<(), CopyError> {
                            // libpq takes at most an `int`'s worth at a time.
                            for part in data.chunks(1 << 20) {
                                out.write_all(part)?;
                            }
                            Ok(())
                        })
                        .with_format(CopyFormat::Binary)
                        .execute(connection),
                )+
                _ => Err(CopyError::Io(std::io::Error::other(format!("{table} is not a table for COPY")))),
            }
        }
    };
}

copy_tables! {
    s_orgs (ord) { ord, sourced_id, fingerprint, modified_ms, name, org_type = "type", identifier, metadata, parent_ref }
    s_academic_sessions (ord) {
        ord, sourced_id, fingerprint, modified_ms, title, session_type = "type", start_date, end_date, school_year,
        metadata, parent_ref
    }
    s_courses (ord) {
        ord, sourced_id, fingerprint, modified_ms, title, course_code, grades, subjects, subject_codes, metadata,
        school_year_ref, org_ref
    }
    s_classes (ord) {
        ord, sourced_id, fingerprint, modified_ms, title, grades, class_code, class_type, location, subjects,
        subject_codes, periods, metadata, course_ref, school_ref
    }
    s_class_terms (ord) { ord, position, term_ref }
    s_users (ord) {
        ord, sourced_id, fingerprint, modified_ms, enabled_user, username, given_name, family_name, middle_name,
        identifier, email, sms, phone, grades, user_master_identifier, preferred_given_name, preferred_middle_name,
        preferred_family_name, pronouns, metadata, primary_org_ref
    }
    s_user_roles (ord) { ord, position, role, role_type, begin_date, end_date, user_profile, sourced_id, org_ref }
    s_user_agents (ord) { ord, position, agent_ref }
    s_enrollments (ord) {
        ord, sourced_id, fingerprint, modified_ms, role, is_primary, begin_date, end_date, metadata, school_ref,
        class_ref, user_ref, class_ord, user_ord
    }
    s_demographics (ord) {
        ord, sourced_id, fingerprint, modified_ms, birth_date, sex, american_indian_or_alaska_native, asian,
        black_or_african_american, native_hawaiian_or_other_pacific_islander, white, demographic_race_two_or_more_races,
        hispanic_or_latino_ethnicity, country_of_birth_code, state_of_birth_abbreviation, city_of_birth,
        public_school_residence_status, metadata, user_ref, user_ord
    }
    s_external_ids (ord) { ord, kind, scheme, value }
    s_operations (ord) { ord, kind, sourced_id, operation }
    s_rejects (ord) {
        ord, kind, sourced_id, location, findings, record, pending_sourced_id, pending, fingerprint, modified_ms
    }
    changes (sequence) { source_id, sequence, run_id, at_us, kind, record_id, sourced_id, change, before }
}

/// Writes rows by COPY, in its binary form: the server has nothing to parse.
///
/// Every number goes as eight bytes, so that each column that takes one must be a BIGINT.
pub(crate) fn copy(
    connection: &mut Connection,
    table: &'static str,
    width: usize,
    values: &[Bind<'_>],
) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    let mut data = Vec::with_capacity(values.len() * 16);
    // The signature, no flags, no extension of the header.
    data.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
    data.extend_from_slice(&[0; 8]);
    let fields = i16::try_from(width).map_err(|error| failed("copy rows", error))?;
    for row in values.chunks_exact(width) {
        data.extend_from_slice(&fields.to_be_bytes());
        for value in row {
            encode(value, &mut data)?;
        }
    }
    data.extend_from_slice(&(-1_i16).to_be_bytes());
    let Raw::Postgres(raw) = &mut connection.raw else {
        return Err(failed("copy rows", "COPY is PostgreSQL's"));
    };
    match copy_into(raw, table, &data) {
        Ok(_) => Ok(()),
        Err(CopyError::Database(error)) => Err(connection.origin.translate("copy rows", error)),
        Err(CopyError::Io(error)) => Err(failed("copy rows", error)),
    }
}

/// Writes a value as its length and its bytes; a null has the length -1.
fn encode(value: &Bind<'_>, out: &mut Vec<u8>) -> Result<(), StoreError> {
    let mut field = |bytes: &[u8]| -> Result<(), StoreError> {
        let length = i32::try_from(bytes.len()).map_err(|error| failed("copy rows", error))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(bytes);
        Ok(())
    };
    match value {
        Bind::Int(Some(number)) => field(&number.to_be_bytes()),
        Bind::Bool(Some(flag)) => field(&[u8::from(*flag)]),
        Bind::Text(Some(text)) => field(text.as_bytes()),
        Bind::Bytes(Some(bytes)) => field(bytes),
        Bind::Int(None) | Bind::Bool(None) | Bind::Text(None) | Bind::Bytes(None) => {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            Ok(())
        }
    }
}

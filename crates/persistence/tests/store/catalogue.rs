//! The schemas of the two engines: the same tables, and the same migrations, up and down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rollcall_domain::ports::StoreError;
use rollcall_persistence::{Access, Database, OpenOptions};
use rollcall_testkit::ThrowawayPostgres;
use secrecy::SecretString;

fn directories(engine: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(engine);
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn both_engines_have_the_same_migrations() {
    assert_eq!(directories("sqlite"), directories("postgresql"));
}

/// One line for each column, key and index of a table.
pub(crate) type Catalogue = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn rendered(catalogue: &Catalogue) -> String {
    let mut text: Vec<String> = Vec::new();
    for (table, lines) in catalogue {
        text.push(table.clone());
        text.extend(lines.iter().map(|line| format!("    {line}")));
    }
    text.join("\n")
}

/// Asks SQLite, through the program itself: the file is read as another program would see it.
pub(crate) fn sqlite_catalogue(file: &Path) -> Catalogue {
    use diesel::prelude::*;
    use diesel::sql_types::Text;
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text)]
        of: String,
        #[diesel(sql_type = Text)]
        line: String,
    }
    let mut connection = SqliteConnection::establish(&file.display().to_string()).unwrap();
    let sql = "
        WITH t AS (SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\')
        SELECT t.name AS \"of\", 'column ' || c.name || ' ' ||
               CASE upper(c.type) WHEN 'BLOB' THEN 'bytes' WHEN 'BIGINT' THEN 'bigint' WHEN 'INTEGER' THEN
                    CASE WHEN c.pk > 0 THEN 'bigint' ELSE 'integer' END ELSE lower(c.type) END ||
               CASE WHEN c.\"notnull\" OR c.pk > 0 THEN ' not null' ELSE '' END AS line
        FROM t, pragma_table_info(t.name) c
        UNION ALL
        SELECT t.name, 'key ' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(t.name) WHERE pk > 0 ORDER BY pk))
        FROM t
        UNION ALL
        SELECT t.name, 'reference ' || f.\"from\" || ' to ' || f.\"table\" || ' (' || f.\"to\" || ')' FROM t, pragma_foreign_key_list(t.name) f
        UNION ALL
        SELECT t.name, CASE i.\"unique\" WHEN 1 THEN 'unique ' ELSE 'index ' END ||
               (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)) ||
               CASE i.partial WHEN 1 THEN ' (partial)' ELSE '' END || CASE i.origin WHEN 'c' THEN ' as ' || i.name ELSE '' END
        FROM t, pragma_index_list(t.name) i WHERE i.origin <> 'pk'";
    let mut catalogue = Catalogue::new();
    for Line { of, line } in diesel::sql_query(sql).load::<Line>(&mut connection).unwrap() {
        assert!(catalogue.entry(of).or_default().insert(line.clone()), "{line} stands twice");
    }
    catalogue
}

pub(crate) fn postgres_catalogue(database: &ThrowawayPostgres) -> Catalogue {
    let sql = "
        SELECT c.table_name || '|column ' || c.column_name || ' ' || replace(c.data_type, 'bytea', 'bytes') ||
               CASE c.is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
        FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name NOT LIKE '\\_\\_%'
        UNION ALL
        SELECT k.conrelid::regclass || '|' || CASE k.contype
               WHEN 'p' THEN 'key ' || (SELECT string_agg(a.attname, ', ' ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(c, n)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.c)
               WHEN 'u' THEN 'unique ' || (SELECT string_agg(a.attname, ', ' ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(c, n)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.c)
               ELSE 'reference ' || (SELECT attname FROM pg_attribute WHERE attrelid = k.conrelid AND attnum = k.conkey[1]) ||
                    ' to ' || k.confrelid::regclass || ' (id)' END
        FROM pg_constraint k WHERE k.contype IN ('p', 'u', 'f') AND k.connamespace = 'public'::regnamespace
             AND k.conrelid::regclass::text NOT LIKE '\\_\\_%'
        UNION ALL
        SELECT i.indrelid::regclass || '|' || CASE WHEN i.indisunique THEN 'unique ' ELSE 'index ' END ||
               (SELECT string_agg(a.attname, ', ' ORDER BY u.n) FROM unnest(i.indkey) WITH ORDINALITY u(c, n)
                    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.c) ||
               CASE WHEN i.indpred IS NULL THEN '' ELSE ' (partial)' END || ' as ' || i.indexrelid::regclass
        FROM pg_index i JOIN pg_class r ON r.oid = i.indrelid WHERE r.relnamespace = 'public'::regnamespace
             AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))";
    let mut catalogue = Catalogue::new();
    for line in database.sql(sql).lines() {
        let (table, line) = line.split_once('|').unwrap();
        assert!(catalogue.entry(table.to_owned()).or_default().insert(line.to_owned()), "{line} stands twice");
    }
    catalogue
}

#[tokio::test]
async fn the_catalogues_agree() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.db");
    crate::common::open(&format!("sqlite://{}", file.display())).await;
    let database = ThrowawayPostgres::database();
    crate::common::open(database.url()).await;
    let (sqlite, postgres) = (sqlite_catalogue(&file), postgres_catalogue(&database));
    assert_eq!(rendered(&sqlite), rendered(&postgres));
    insta::assert_snapshot!("catalogue_of_sqlite", rendered(&sqlite));
    insta::assert_snapshot!("catalogue_of_postgresql", rendered(&postgres));
}

#[tokio::test]
async fn every_foreign_key_has_an_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.db");
    crate::common::open(&format!("sqlite://{}", file.display())).await;
    for (table, lines) in sqlite_catalogue(&file) {
        let indexed: Vec<&str> = lines
            .iter()
            .filter_map(|line| ["key ", "unique ", "index "].iter().find_map(|word| line.strip_prefix(word)))
            .map(|columns| columns.split([',', ' ']).next().unwrap())
            .collect();
        for line in lines.iter().filter_map(|line| line.strip_prefix("reference ")) {
            let column = line.split(' ').next().unwrap();
            let covered = indexed.contains(&column) || (table == "external_ids" && column == "source_id");
            assert!(covered, "{table}.{column} refers to others and has no index");
        }
    }
}

async fn goes_up_and_down(url: &str, catalogue: impl Fn() -> Catalogue) {
    let database = crate::common::open(url).await;
    let up = catalogue();
    assert!(database.migration_status().await.unwrap().iter().all(|migration| migration.applied));
    database.revert_migrations().await.unwrap();
    assert!(catalogue().is_empty());
    assert!(database.migration_status().await.unwrap().iter().all(|migration| !migration.applied));
    database.migrate().await.unwrap();
    assert_eq!(rendered(&catalogue()), rendered(&up));
}

#[tokio::test]
async fn migrations_go_up_down_and_up_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollcall.db");
    goes_up_and_down(&format!("sqlite://{}", file.display()), || sqlite_catalogue(&file)).await;
}

#[tokio::test]
async fn migrations_go_up_down_and_up_on_postgresql() {
    let database = ThrowawayPostgres::database();
    goes_up_and_down(database.url(), || postgres_catalogue(&database)).await;
}

async fn refusal(url: &str, access: Access) -> String {
    match Database::open(&SecretString::from(url), OpenOptions { access }).await {
        Err(StoreError::Schema { message }) => message,
        other => panic!("a refusal of the schema, not {other:?}"),
    }
}

#[tokio::test]
async fn a_newer_schema_and_a_foreign_one_are_refused() {
    let database = ThrowawayPostgres::database();
    crate::common::open(database.url()).await;
    database.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000000')");
    for access in [Access::Read, Access::Write] {
        let message = refusal(database.url(), access).await;
        assert!(message.contains("20991231000000") && message.contains("newer"), "{message}");
    }
    let foreign = ThrowawayPostgres::database();
    foreign.sql("CREATE TABLE users (id int)");
    assert!(refusal(foreign.url(), Access::Write).await.contains("not Rollcall's"));
    let empty = ThrowawayPostgres::database();
    let refused = rollcall_persistence::open(&empty.url().into(), OpenOptions { access: Access::Read }).await.err();
    assert!(matches!(&refused, Some(StoreError::Absent { message }) if message.contains("db migrate")), "{refused:?}");
}

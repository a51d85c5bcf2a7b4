//! Arrows point inward only: what may depend on what, and which words may stand where.

#![expect(clippy::expect_used, reason = "what is not there fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Which of our crates a crate may depend on, outside its tests. `rollcall-tests` may see everything.
const EDGES: &[(&str, &[&str])] = &[
    ("rollcall-domain", &[]),
    ("rollcall-adapters-http", &["rollcall-domain"]),
    ("rollcall-adapters-oneroster", &["rollcall-domain", "rollcall-adapters-http"]),
    ("rollcall-adapters-clever", &["rollcall-domain", "rollcall-adapters-http"]),
    // ClassLink serves OneRoster: its source is built on the OneRoster REST client.
    ("rollcall-adapters-classlink", &["rollcall-domain", "rollcall-adapters-http", "rollcall-adapters-oneroster"]),
    ("rollcall-persistence", &["rollcall-domain"]),
    // The worked example of docs/adding-a-vendor.md: an adapter like any other, that nothing depends on.
    ("rollcall-adapters-brindle", &["rollcall-domain", "rollcall-adapters-http"]),
    // A simulator that shared code with an adapter would share its misreadings.
    ("rollcall-vendor-sim", &["rollcall-domain"]),
    ("rollcall-testkit", &["rollcall-domain"]),
];

/// Which of our crates the tests of a crate may use beside that. An adapter is held against a simulated vendor and never
/// against a store; a simulator is held against the adapter that reads it.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("rollcall-domain", &["rollcall-testkit"]),
    ("rollcall-adapters-oneroster", &["rollcall-testkit", "rollcall-vendor-sim"]),
    ("rollcall-adapters-clever", &["rollcall-testkit", "rollcall-vendor-sim"]),
    ("rollcall-adapters-classlink", &["rollcall-testkit", "rollcall-vendor-sim"]),
    ("rollcall-adapters-brindle", &["rollcall-testkit"]),
    ("rollcall-persistence", &["rollcall-testkit"]),
    ("rollcall-vendor-sim", &["rollcall-adapters-oneroster"]),
];

/// Crates that stay in one place, and where.
const CONFINED: &[(&str, &[&str])] = &[
    ("diesel", &["rollcall-persistence"]),
    ("diesel_migrations", &["rollcall-persistence"]),
    ("pq-sys", &["rollcall-persistence"]),
    ("libsqlite3-sys", &["rollcall-persistence"]),
    ("clap", &["rollcall-app"]),
    ("indicatif", &["rollcall-app"]),
    ("comfy-table", &["rollcall-app"]),
    ("anyhow", &["rollcall-app"]),
    // Whoever spoke HTTP past the session would speak without its limits and its care for secrets.
    ("reqwest", &["rollcall-adapters-http"]),
    ("rustls", &["rollcall-adapters-http"]),
    ("governor", &["rollcall-adapters-http"]),
    ("backon", &["rollcall-adapters-http"]),
];

/// Words that name a vendor. `oneroster` is the standard and belongs everywhere.
const VENDORS: &[&str] =
    &["clever", "classlink", "powerschool", "skyward", "infinite campus", "infinitecampus", "aeries"];

/// Openings of SQL statements, as no prose and no Rust has them.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "BEGIN IMMEDIATE",
    "PRAGMA ",
    "COPY ",
];

fn workspace() -> Vec<Package> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata must run");
    metadata.workspace_packages().into_iter().cloned().collect()
}

#[test]
fn arrows_point_inward_only() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let in_tests: BTreeMap<&str, &[&str]> = TEST_EDGES.iter().copied().collect();
    let mut offending = Vec::new();
    for package in workspace() {
        let name = package.name.as_str();
        if matches!(name, "rollcall-app" | "rollcall-tests") {
            continue;
        }
        let Some(may) = allowed.get(name) else {
            offending.push(format!("{name} has no line in EDGES"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|edge| edge.name.starts_with("rollcall-")) {
            let is_test = dependency.kind == DependencyKind::Development;
            let more = in_tests.get(name).filter(|_| is_test).copied().unwrap_or_default();
            if !may.iter().chain(more).any(|may| *may == dependency.name) {
                let tests = if is_test { " (tests)" } else { "" };
                offending.push(format!("{name} -> {}{tests}", dependency.name));
            }
        }
    }
    assert!(offending.is_empty(), "edges that point outward:\n  {}", offending.join("\n  "));
}

#[test]
fn the_test_kit_is_never_shipped() {
    let shipped: Vec<_> = workspace()
        .iter()
        .filter(|package| package.name.as_str() != "rollcall-tests")
        .flat_map(|package| {
            let edges = package.dependencies.iter().filter(|edge| edge.kind == DependencyKind::Normal);
            let name = package.name.clone();
            edges.filter(|edge| edge.name == "rollcall-testkit").map(move |_| format!("{name} -> rollcall-testkit"))
        })
        .collect();
    assert!(shipped.is_empty(), "{shipped:?}");
}

#[test]
fn databases_and_the_command_line_stay_where_they_belong() {
    let mut offending = Vec::new();
    for package in workspace() {
        for dependency in package.dependencies.iter().filter(|edge| edge.kind == DependencyKind::Normal) {
            let confined = CONFINED.iter().find(|(name, _)| *name == dependency.name);
            if let Some((_, places)) = confined
                && !places.contains(&package.name.as_str())
            {
                offending.push(format!("{} -> {}", package.name, dependency.name));
            }
        }
    }
    assert!(offending.is_empty(), "dependencies in the wrong place:\n  {}", offending.join("\n  "));
}

#[test]
fn the_domain_names_no_vendor() {
    let domain = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/domain/src");
    let mut offending = Vec::new();
    for (path, number, line) in lines_under(&domain) {
        let lower = line.to_lowercase();
        // A whole word: `cleverly` is none.
        let named = VENDORS.iter().find(|vendor| {
            lower.match_indices(*vendor).any(|(at, _)| {
                let after = lower[at + vendor.len()..].chars().next();
                let before = lower[..at].chars().next_back();
                !after.is_some_and(char::is_alphanumeric) && !before.is_some_and(char::is_alphanumeric)
            })
        });
        if let Some(vendor) = named {
            offending.push(format!("{}:{number}: {vendor}", path.display()));
        }
    }
    assert!(offending.is_empty(), "vendors in the domain:\n  {}", offending.join("\n  "));
}

#[test]
fn sql_is_spoken_only_in_persistence() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut offending = Vec::new();
    for entry in fs::read_dir(&crates).expect("the crates must be there") {
        let folder = entry.expect("the crates must be readable").path();
        // The test kit makes and drops whole databases, which is no store's business.
        if folder.ends_with("persistence") || folder.ends_with("testkit") {
            continue;
        }
        for (path, number, line) in lines_under(&folder.join("src")) {
            if line.trim_start().starts_with("//") {
                continue;
            }
            if let Some(sql) = SQL.iter().find(|sql| line.contains(*sql)) {
                offending.push(format!("{}:{number}: {sql}", path.display()));
            }
        }
    }
    assert!(offending.is_empty(), "SQL outside persistence:\n  {}", offending.join("\n  "));
}

/// Every line of every Rust file under a folder, with its number.
fn lines_under(folder: &Path) -> Vec<(PathBuf, usize, String)> {
    let mut lines = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a folder of sources must be readable").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source must be text");
                lines.extend(text.lines().enumerate().map(|(at, line)| (path.clone(), at + 1, line.to_owned())));
            }
        }
    }
    lines
}
